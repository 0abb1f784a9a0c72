"""One-time schedules fire when their time has come; those that recur fire only when they are told to.

``at(...)`` was asked for by somebody who waits for it, so it is no chance in the middle of a test or a demo, as a
nightly schedule that happens to be due would be.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from local_cloud.adapter import hooks

logger = logging.getLogger("local_cloud.one_time")

_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_SWEEP_SECONDS = 0.25
_SLOW_REQUEST = timedelta(seconds=5)


def due(schedule: dict[str, Any], now: datetime) -> bool:
    """Whether a schedule is a one-time one whose time came after it was made or changed.

    Parameters
    ----------
    schedule
        Its record.
    now
        The time, with a time zone.
    """
    moment = _moment(schedule)
    changed = datetime.fromtimestamp(schedule["LastModificationDate"], UTC)
    # What lay in the past already when it was made never fires; a request that was slow to come doesn't count as that.
    return (
        moment is not None and schedule.get("State") == "ENABLED" and changed - _SLOW_REQUEST <= moment <= now
    )


def _moment(schedule: dict[str, Any]) -> datetime | None:
    found = _AT.fullmatch(schedule.get("ScheduleExpression", "").strip())
    if found is None:
        return None
    try:
        zone = ZoneInfo(schedule.get("ScheduleExpressionTimezone") or "UTC")
        return datetime.fromisoformat(found[1]).replace(tzinfo=zone)
    except (ValueError, ZoneInfoNotFoundError):
        return None


class OneTimeSchedules:
    """Looks for one-time schedules that are due and fires each once.

    Parameters
    ----------
    fire
        Runs a schedule's target, in the request scope of its account and region.
    """

    def __init__(self, fire: Callable[[dict[str, Any]], str | None]) -> None:
        self._fire = fire
        self._fired: set[tuple[str, float]] = set()

    def sweep(self) -> None:
        """Fire what is due now; on the loop's thread, which alone touches ministack's stores."""
        schedules, now = hooks.module("services.scheduler")._schedules, datetime.now(UTC)
        for (account, region, key), schedule in list(schedules._data.items()):
            once = (schedule["Arn"], schedule["LastModificationDate"])
            if once in self._fired or not due(schedule, now):
                continue
            self._fired.add(once)
            with hooks.module("core.responses").request_scope(account, region):
                self._fire(schedule)
            # Done is done, delivered or not: the failure is on the dead-letter queue.
            if schedule.get("ActionAfterCompletion") == "DELETE":
                schedules.pop_scoped(account, region, key, None)

    async def keep_sweeping(self) -> None:
        """Sweep until cancelled."""
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(_SWEEP_SECONDS)
                try:
                    self.sweep()
                except Exception:  # one schedule must not end the others
                    logger.exception("a one-time schedule could not be fired")
