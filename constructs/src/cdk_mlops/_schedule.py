"""How long a schedule is silent at most: the longest time between two of its firings.

Reads EventBridge Scheduler's expressions:
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
# Sunday is 1.
_DAYS = {
    name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)
}
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\(([^()]+)\)")
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_FIELDS = ("minutes", "hours", "day of month", "month", "day of week", "year")
# Long enough for the 29th of February; dates are fixed so that a template doesn't change with the day it is
# made on.
_FIRST, _LAST = date(2027, 1, 1), date(2036, 12, 31)


@dataclass(frozen=True)
class Cron:
    """A parsed cron expression: the times of day it fires at, and which days."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]

    def fires_on(self, day: date) -> bool:
        """Whether it fires on this day."""
        if day.month not in self.months or day.year not in self.years:
            return False
        return _month_day_fits(self.days, day) if self.weekdays == "?" else _weekday_fits(self.weekdays, day)


def longest_silence(expression: str) -> timedelta | None:
    """Return the longest time between two firings, None for a schedule that fires once (or twice ten years apart).

    Raises
    ------
    ValueError
        If the expression isn't one; it names the field and the value.
    """
    rate = _RATE.fullmatch(expression)
    if rate:
        if int(rate[1]) < 1:
            raise ValueError(f"expression must have a rate of at least 1, got '{expression}'")
        return int(rate[1]) * _UNITS[rate[2]]
    at = _AT.fullmatch(expression)
    if at:
        try:
            datetime.fromisoformat(at[1])
        except ValueError:
            raise ValueError(f"expression must name a date and time that exist, got '{expression}'") from None
        return None
    cron = _CRON.fullmatch(expression)
    if cron:
        return _longest_gap(parse_cron(cron[1]))
    raise ValueError(
        "expression must be cron(minutes hours day-of-month month day-of-week year), rate(1 day) or "
        f"at(yyyy-mm-ddThh:mm:ss), got '{expression}'"
    )


def parse_cron(fields: str) -> Cron:
    """Return the parsed fields.

    Raises
    ------
    ValueError
        Naming the field that is wrong.
    """
    parts = fields.upper().split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"cron must have six fields ({', '.join(_FIELDS)}), got {len(parts)} in '{fields}'")
    minutes, hours, days, months, weekdays, years = parts
    if (days == "?") == (weekdays == "?"):
        raise ValueError(f"cron must have a ? as either its day of month or its day of week, got '{fields}'")
    if days != "?":
        _check_month_day(days)
    else:
        _check_weekday(weekdays)
    return Cron(
        minutes=_numbers("minutes", minutes, 0, 59),
        hours=_numbers("hours", hours, 0, 23),
        days=days,
        months=_numbers("month", months, 1, 12, _MONTHS),
        weekdays=weekdays,
        years=_numbers("year", years, 1970, 2199),
    )


def _longest_gap(cron: Cron) -> timedelta | None:
    times = sorted(timedelta(hours=hour, minutes=minute) for hour in cron.hours for minute in cron.minutes)
    longest = max((after - before for before, after in pairwise(times)), default=timedelta(0))
    first, last, previous, fired = times[0], times[-1], None, 0
    day = _FIRST
    while day <= _LAST:
        if cron.fires_on(day):
            fired += 1
            if previous is not None:
                longest = max(longest, (day - previous) + first - last)
            previous = day
        day += timedelta(days=1)
    if fired == 0:
        raise ValueError(
            f"cron must fire at least once from {_FIRST.year} to {_LAST.year}; this one never does"
        )
    return longest or None


def _numbers(
    field: str, text: str, least: int, most: int, names: Mapping[str, int] | None = None
) -> frozenset[int]:
    names = {} if names is None else names
    found: set[int] = set()
    for item in text.split(","):
        body, slash, step = item.partition("/")
        low, dash, high = body.partition("-")
        try:
            start = least if low == "*" else names.get(low) or int(low)
            end = names.get(high) or int(high) if dash else (most if low == "*" or slash else start)
            width = int(step) if slash else 1
        except ValueError:
            raise ValueError(f"cron's {field} must be numbers from {least} to {most}, got '{text}'") from None
        if not (least <= start <= end <= most and width >= 1) or (low == "*" and dash):
            raise ValueError(f"cron's {field} must be numbers from {least} to {most}, got '{text}'")
        found.update(range(start, end + 1, width))
    return frozenset(found)


def _check_month_day(text: str) -> None:
    if text in ("L", "LW") or re.fullmatch(r"L-([1-9]|[12]\d|30)", text):
        return
    nearest = re.fullmatch(r"(\d{1,2})W", text)
    _numbers("day of month", nearest[1] if nearest else text, 1, 31)


def _check_weekday(text: str) -> None:
    nth = re.fullmatch(r"(\w+)#([1-5])", text)
    last = re.fullmatch(r"(\w+)L", text) if text != "L" else None
    _weekdays("SAT" if text == "L" else nth[1] if nth else last[1] if last else text)


def _weekdays(text: str) -> frozenset[int]:
    return _numbers("day of week", text, 1, 7, _DAYS)


def _month_day_fits(text: str, day: date) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if text == "L":
        return day.day == last
    if text.startswith("L-"):
        return day.day == last - int(text[2:])
    if text == "LW":
        return day == _nearest_weekday(day.replace(day=last))
    if text.endswith("W"):
        wanted = int(text[:-1])
        return wanted <= last and day == _nearest_weekday(day.replace(day=wanted))
    return day.day in _numbers("day of month", text, 1, 31)


def _weekday_fits(text: str, day: date) -> bool:
    number = day.isoweekday() % 7 + 1
    if text == "L":
        return number == 7
    if "#" in text:
        weekday, nth = text.split("#")
        return number in _weekdays(weekday) and (day.day - 1) // 7 + 1 == int(nth)
    if text.endswith("L"):
        return number in _weekdays(text[:-1]) and (day + timedelta(days=7)).month != day.month
    return number in _weekdays(text)


def _nearest_weekday(day: date) -> date:
    """Return the weekday nearest to a day, within its month."""
    if day.isoweekday() == 6:
        back = day - timedelta(days=1)
        return back if back.month == day.month else day + timedelta(days=2)
    if day.isoweekday() == 7:
        on = day + timedelta(days=1)
        return on if on.month == day.month else day - timedelta(days=2)
    return day
