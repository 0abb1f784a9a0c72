"""The path of a commit: one row an action, told while it happens and kept for the page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STAGE_WIDTH, ACTION_WIDTH, RESULT_WIDTH = 19, 34, 9
SAID_CHARACTERS = 160


@dataclass
class Row:
    """One action of a pipeline, or one step of another CI system or of a person.

    ``result`` is CodePipeline's word: Succeeded, Failed, Approved, Rejected, Superseded ...
    """

    stage: str
    action: str
    result: str
    seconds: float
    said: str = ""

    def line(self) -> str:
        """Return the row as a line of the terminal's table."""
        columns = (
            (self.stage, STAGE_WIDTH),
            (self.action, ACTION_WIDTH),
            (self.result, RESULT_WIDTH),
        )
        cells = " ".join(f"{shortened(text, width):<{width}}" for text, width in columns)
        return f"  {cells} {self.seconds:5.0f} s  {shortened(self.said)}".rstrip()


@dataclass
class Part:
    """One part of the rehearsal: a promotion, a failure case, the way back, another CI system."""

    title: str
    expectation: str = ""
    commit: str = ""
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stopped_by: str = ""
    arrived: bool = False
    seconds: float = 0.0


class Record:
    """Tells each row as it happens, and keeps all for the page and summary.json."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.parts: list[Part] = []
        self.facts: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Return the time since the beginning."""
        return time.monotonic() - self._began

    @property
    def current(self) -> Part:
        """Return the part that is going on."""
        return self.parts[-1]

    @contextmanager
    def part(self, title: str, expectation: str = "") -> Iterator[Part]:
        """Tell a part and measure it.

        Parameters
        ----------
        title
            What it is called.
        expectation
            What it is to show, in a sentence.
        """
        began = time.monotonic()
        part = Part(title, expectation)
        self.parts.append(part)
        print(f"\n== {title}" + (f": {expectation}" if expectation else ""), flush=True)
        try:
            yield part
        finally:
            part.seconds = round(time.monotonic() - began, 1)

    def row(self, row: Row) -> None:
        """Tell an action that has ended."""
        self.current.rows.append(row)
        print(row.line(), flush=True)

    @contextmanager
    def step(self, stage: str, action: str) -> Iterator[Row]:
        """Tell a step that the block performs; what it sets on the row is told at its end."""
        began = time.monotonic()
        row = Row(stage, action, "Succeeded", 0.0)
        try:
            yield row
        except BaseException:
            row.result = "Failed"
            raise
        finally:
            row.seconds = round(time.monotonic() - began, 1)
            self.row(row)

    def note(self, line: str) -> None:
        """Tell something about the current part that is no action."""
        self.current.notes.append(line)
        print(f"  {line}", flush=True)

    def stopped(self, line: str) -> None:
        """Tell the one line that says where and why a case was stopped."""
        self.current.stopped_by = line
        print(f"  => stopped: {line}", flush=True)

    def table(self) -> str:
        """Return the parts as a table: what each showed, and how long it took."""
        lines = []
        for part in self.parts:
            failed = next((row for row in part.rows if row.result in ("Failed", "Rejected")), None)
            stopped = f"stopped: {part.stopped_by}" if part.stopped_by else ""
            said = stopped or ("arrived in prod" if part.arrived else "")
            if not said and failed is not None:
                said = f"{failed.stage}/{failed.action} {failed.result.lower()}"
            lines.append(f"{part.title:<36} {part.seconds:5.0f} s  {shortened(said, 120)}".rstrip())
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return what summary.json holds."""
        return {
            "seconds": round(self.seconds, 1),
            "facts": self.facts,
            "parts": [asdict(part) for part in self.parts],
        }

    def write(self, folder: Path) -> None:
        """Write summary.json into a folder."""
        (folder / "summary.json").write_text(json.dumps(self.as_json(), indent=1) + "\n")


def shortened(text: str, characters: int = SAID_CHARACTERS) -> str:
    """Return a text as one line of limited length."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 3].rstrip() + "..."
