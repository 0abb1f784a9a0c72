"""What the demo says while it runs, and remembers for the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class DemoError(Exception):
    """A step didn't show what it should: one line that says which and what was seen."""


class Story:
    """Tells each step as it happens and keeps the timeline."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.timeline: list[dict[str, Any]] = []
        self.phases: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """Return the time since the beginning."""
        return time.monotonic() - self._began

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a part of the demo."""
        began = time.monotonic()
        print(f"\n== {name}", flush=True)
        try:
            yield
        finally:
            self.phases[name] = round(time.monotonic() - began, 2)

    @contextmanager
    def step(self, title: str, *, kind: str = "plain") -> Iterator[None]:
        """Tell one step; what `show` says inside belongs to it. ``kind``: plain, good, drift or alert."""
        at = round(self.seconds, 1)  # once: the page must say what the log says
        print(f"[{at:4.0f} s] {title}", flush=True)
        self.timeline.append({"title": title, "kind": kind, "at": at, "shown": []})
        yield

    def show(self, line: str) -> None:
        """Tell a detail of the current step."""
        print(f"         {line}", flush=True)
        if self.timeline:
            self.timeline[-1]["shown"].append(line.strip())

    def progress(self, line: str) -> None:
        """Tell something that passes and isn't worth the page."""
        print(f"         {line}", flush=True)

    @staticmethod
    def check(ok: bool, claim: str, seen: object = "") -> None:
        """Fail the demo unless a claim holds.

        Raises
        ------
        DemoError
            With the claim and what was seen.
        """
        if not ok:
            raise DemoError(f"expected: {claim}" + (f"; seen: {seen}" if seen != "" else ""))
