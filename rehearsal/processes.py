"""Programs that the rehearsal runs, each with all that it starts in a process group of its own, which ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.cdk import interruptions_deferred

_END_SECONDS = 5.0


class Group:
    """A running program and its children."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @classmethod
    def run(cls, command: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path) -> int:
        """Run a program to its end and return its exit code; an interruption ends it and all that it started.

        Parameters
        ----------
        command
            Program and arguments.
        env
            Its whole environment.
        folder
            Where it runs.
        log
            File that gets its output.
        """
        group: Group | None = None
        try:
            with interruptions_deferred(), log.open("wb") as out:
                group = cls(
                    subprocess.Popen(
                        list(command),
                        cwd=folder,
                        env=dict(env),
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
            return group._process.wait()
        finally:
            if group is not None:
                group.end()

    def end(self) -> None:
        """End it and its children, where it still runs."""
        if self._process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
                return
