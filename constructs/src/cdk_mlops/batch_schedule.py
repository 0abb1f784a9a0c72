"""When batches are scored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import available_timezones

from cdk_mlops._schedule import longest_silence
from cdk_mlops._validation import check_range


@dataclass(frozen=True, kw_only=True)
class FlexibleWindow:
    """How much later than scheduled a run may start.

    Parameters
    ----------
    minutes
        1 to 1440; 0 (default) starts on time.

    Raises
    ------
    ValueError
        If it is outside of these limits.
    """

    minutes: int = 0

    def __post_init__(self) -> None:
        """Check the limits."""
        check_range("minutes", self.minutes, 0, 1440)

    @staticmethod
    def off() -> FlexibleWindow:
        """Start on time."""
        return FlexibleWindow()

    @staticmethod
    def up_to(minutes: int) -> FlexibleWindow:
        """Start at any time within the given minutes, 1 to 1440."""
        check_range("minutes", minutes, 1, 1440)
        return FlexibleWindow(minutes=minutes)


@dataclass(frozen=True, kw_only=True)
class BatchSchedule:
    """An expression of EventBridge Scheduler and the time zone it is meant in.

    Parameters
    ----------
    expression
        ``cron(0 23 * * ? *)``, ``rate(1 day)`` or ``at(2027-01-31T08:00:00)``.
    time_zone
        An IANA name such as ``Europe/Berlin``. Default: ``UTC``.

    Raises
    ------
    ValueError
        If the expression or the time zone isn't one.

    See https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
    """

    expression: str
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        """Check both."""
        longest_silence(self.expression)
        if self.time_zone not in available_timezones():
            raise ValueError(f"time_zone must be an IANA name such as Europe/Berlin, got '{self.time_zone}'")

    @staticmethod
    def cron(fields: str, *, time_zone: str = "UTC") -> BatchSchedule:
        """Fire by cron: minutes, hours, day of month, month, day of week, year, such as ``0 23 * * ? *``."""
        return BatchSchedule(expression=f"cron({fields})", time_zone=time_zone)

    @staticmethod
    def every(count: int, unit: str) -> BatchSchedule:
        """Fire every so many minutes, hours or days (``unit``: ``minute``, ``hour`` or ``day``)."""
        return BatchSchedule(expression=f"rate({count} {unit}{'' if count == 1 else 's'})")

    @staticmethod
    def once(when: str, *, time_zone: str = "UTC") -> BatchSchedule:
        """Fire once, at a time such as ``2027-01-31T08:00:00``."""
        return BatchSchedule(expression=f"at({when})", time_zone=time_zone)

    @property
    def longest_silence(self) -> timedelta | None:
        """Return the longest time between two firings; None for a schedule that fires once."""
        return longest_silence(self.expression)
