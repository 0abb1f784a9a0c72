"""Schedules: what is refused, and how long they are silent at most."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cdk_mlops import BatchSchedule, FlexibleWindow
from cdk_mlops._schedule import longest_silence, parse_cron


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("rate(15 minutes)", 0.25),
        ("rate(1 day)", 24),
        ("cron(0 23 * * ? *)", 24),
        ("cron(0/15 * * * ? *)", 0.25),
        ("cron(0 8,20 * * ? *)", 12),
        ("cron(0 6,20 * * ? *)", 14),
        ("cron(0 23 ? * MON-FRI *)", 72),
        ("cron(30 6 ? * SUN *)", 7 * 24),
        ("cron(0 0 1 * ? *)", 31 * 24),
        ("cron(0 0 L * ? *)", 31 * 24),
        ("cron(0 0 ? * 2#1 *)", 35 * 24),
        ("cron(0 12 1 JAN ? *)", 366 * 24),
    ],
)
def test_the_longest_silence_is_the_longest_time_between_two_firings(expression: str, hours: float) -> None:
    assert longest_silence(expression) == timedelta(hours=hours)


def test_a_schedule_that_fires_once_has_no_longest_silence() -> None:
    assert longest_silence("at(2027-01-31T08:00:00)") is None


@pytest.mark.parametrize(
    ("fields", "day", "fires"),
    [
        ("0 0 ? * MON *", date(2027, 1, 4), True),
        ("0 0 ? * 1 *", date(2027, 1, 3), True),
        ("0 0 ? * 1 *", date(2027, 1, 4), False),
        ("0 0 ? * 6L *", date(2027, 1, 29), True),
        ("0 0 ? * 6L *", date(2027, 1, 22), False),
        ("0 0 ? * L *", date(2027, 1, 2), True),
        ("0 0 ? * TUE#2 *", date(2027, 1, 12), True),
        ("0 0 LW * ? *", date(2027, 1, 29), True),
        ("0 0 L-1 * ? *", date(2027, 1, 30), True),
        ("0 0 1W * ? *", date(2027, 5, 3), True),
        ("0 0 31W * ? *", date(2027, 1, 29), True),
        ("0 0 31W * ? *", date(2027, 2, 26), False),
        ("0 0 29 2 ? *", date(2028, 2, 29), True),
        ("0 0 1 * ? 2028", date(2027, 1, 1), False),
    ],
)
def test_cron_fires_on_the_days_that_eventbridge_names(fields: str, day: date, fires: bool) -> None:
    assert parse_cron(fields).fires_on(day) is fires


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("cron(0 23 * * *)", "six fields"),
        ("cron(0 23 * * * *)", "a ? as either"),
        ("cron(0 23 ? * ? *)", "a ? as either"),
        ("cron(60 23 * * ? *)", "minutes must be numbers from 0 to 59, got '60'"),
        ("cron(0 24 * * ? *)", "hours must be"),
        ("cron(0 0 32 * ? *)", "day of month must be"),
        ("cron(0 0 ? * 8 *)", "day of week must be"),
        ("cron(0 0 ? 0 1 *)", "month must be"),
        ("cron(5-1 0 * * ? *)", "minutes must be"),
        ("cron(0 0 30 2 ? *)", "never does"),
        ("rate(0 days)", "at least 1"),
        ("rate(1 fortnight)", "must be cron("),
        ("at(2027-02-30T08:00:00)", "exist"),
        ("0 23 * * ? *", "must be cron("),
    ],
)
def test_fails_for_an_expression_that_is_none(expression: str, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        BatchSchedule(expression=expression)
    assert part in str(caught.value)


def test_fails_for_a_time_zone_that_is_none() -> None:
    with pytest.raises(
        ValueError, match="time_zone must be an IANA name such as Europe/Berlin, got 'Europe/Bärlin'"
    ):
        BatchSchedule.cron("0 23 * * ? *", time_zone="Europe/Bärlin")


@pytest.mark.parametrize("minutes", [1, 1440])
def test_a_window_is_one_minute_to_a_day(minutes: int) -> None:
    assert FlexibleWindow.up_to(minutes).minutes == minutes


@pytest.mark.parametrize("minutes", [0, 1441])
def test_fails_for_a_window_of_another_length(minutes: int) -> None:
    with pytest.raises(ValueError, match="minutes must be a whole number from 1 to 1440"):
        FlexibleWindow.up_to(minutes)


def test_one_unit_is_written_in_the_singular() -> None:
    assert BatchSchedule.every(1, "day").expression == "rate(1 day)"
    assert BatchSchedule.every(2, "day").expression == "rate(2 days)"
