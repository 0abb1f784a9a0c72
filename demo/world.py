"""The demo's embedded cloud, its people, and what a step of the demo needs to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.lookout import Lookout, Run
from demo.story import Story
from stacks.installation import StageName

__all__ = ["APPROVER", "Run", "World"]

APPROVER = "alice"


@dataclass
class World(Lookout):
    """The embedded cloud of a demo with everything deployed to it."""

    story: Story
    work: Path
    person: Any  # a session of the approver as a user, before taking the approver role
    runs: list[Run] = field(default_factory=list)

    def follow(self, name: str, stage: StageName, arn: str) -> Run:
        """Wait for an execution, remember it, and tell how it ended."""
        run = super().follow(name, stage, arn)
        self.runs.append(run)
        self.story.show(run.outcome.in_words())
        return run

    def settle(self, run: Run) -> dict[str, str]:
        """Wait for the one alert of a failed run and return it; a second one fails the demo at the end."""
        alert = super().settle(run)
        self.story.show(f"alert: {alert['subject']}")
        return alert
