"""Everything that the parts of a rehearsal share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.lookout import Lookout
from rehearsal import builds, settings
from rehearsal.approver import Approver
from rehearsal.desk import Desk
from rehearsal.following import Ended, Follower, Seen
from rehearsal.origin import Edit, Origin, change_settings, settings_of
from rehearsal.path import Record
from stacks import settings as app

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class World(Lookout):
    """An embedded cloud with the delivery pipeline of an origin repository.

    Attributes
    ----------
    work
        The rehearsal's folder.
    origin, desk
        The repository that the pipeline watches, and a person's clone of it.
    record
        Where everything is told.
    approver
        Who answers.
    borrow
        The program that gives a build its environment.
    person
        A session of the approver of model versions, before she takes the approver role.
    suite_runs
        Whether builds run the whole test suite.
    seen
        What was told of the pipeline's executions.
    """

    work: Path
    origin: Origin
    desk: Desk
    record: Record
    approver: Approver
    borrow: Path
    person: Any
    suite_runs: bool = False
    seen: Seen = field(default_factory=Seen)

    @property
    def codepipeline(self) -> Any:
        """Return a client of CodePipeline in the delivery's account."""
        return self.client("registry", "codepipeline")

    def follower(self, on_action: Callable[[Mapping[str, Any]], None] | None = None) -> Follower:
        """Return what follows the delivery pipeline."""
        return Follower(
            self.codepipeline,
            settings.PIPELINE,
            self.record,
            self.approver,
            on_action=self._watch(on_action),
            seen=self.seen,
        )

    def _watch(self, also: Callable[[Mapping[str, Any]], None] | None) -> Callable[[Mapping[str, Any]], None]:
        def watch(action: Mapping[str, Any]) -> None:
            if action["stageName"] == "UpdatePipeline":
                self.adjust_builds()  # the pipeline may have new projects now
            if also is not None:
                also(action)

        return watch

    def adjust_builds(self) -> None:
        """Have builds borrow their environment, and run the stand-in of the suite unless `suite_runs`."""
        codebuild = self.client("registry", "codebuild")
        builds.replace(self.cloud, codebuild, self.borrow, suite_runs=self.suite_runs)

    def deliver(self) -> Ended:
        """Push main: start the pipeline and follow it to its end."""
        self.record.current.commit = self.origin.head
        return self.follower().deliver()

    def commit(
        self,
        message: str,
        *,
        change: Callable[[dict[str, Any]], None] | None = None,
        edit: Edit | None = None,
    ) -> str:
        """Commit to main a change of the settings, of files, or of both; the settings here follow.

        Parameters
        ----------
        message
            One line.
        change
            Changes the settings in place.
        edit
            Changes files below the repository's folder.
        """

        def both(folder: Path) -> None:
            if change is not None:
                change_settings(folder, change)
            if edit is not None:
                edit(folder)

        commit = self.origin.commit(message, both)
        self.settings = app.load(settings_of(self.origin.folder))
        self.record.note(f"{commit[:12]} {message}")
        return commit

    def back_to(self, commit: str) -> None:
        """Set main back to a commit."""
        self.origin.reset(commit)
        self.settings = app.load(settings_of(self.origin.folder))
