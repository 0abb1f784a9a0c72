"""Ctrl-C, SIGTERM and a closed terminal end the demo in order."""

from __future__ import annotations

import signal
import time
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENDING_SECONDS = (
    15.0  # ending takes a moment, and an impatient second Ctrl-C must not keep it from being complete
)


class Interrupted(BaseException):
    """Somebody wants the demo to end.

    Parameters
    ----------
    number
        The signal that said so.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def install() -> None:
    """Turn the signals into `Interrupted`, raised in the main thread."""
    raised: list[float] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if raised and now - raised[-1] < _ENDING_SECONDS:
            return
        raised.append(now)
        raise Interrupted(number)

    for number in SIGNALS:
        signal.signal(number, interrupt)
