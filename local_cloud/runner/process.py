"""Local processes that stand in for containers; none of them outlives the engine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

GRACE_SECONDS = 5.0

# Becomes the leader of a process group, leaves a watchdog in it that kills the group as soon as the engine's end of
# the pipe on standard input is closed (also when the engine is killed), and turns into the program.
_LAUNCHER = 'exec 3<&0; ( ( read -r _ <&3; kill -KILL 0 ) >/dev/null 2>&1 & ); exec "$@" 3<&- </dev/null'


class ProcessPool:
    """Starts processes in groups of their own and ends them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[str, int] = {}
        self._stopped: set[str] = set()
        self._closed = False
        self._lifeline_read, self._lifeline_write = os.pipe()

    def run(
        self,
        key: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        stdout: Path,
        stderr: Path,
    ) -> int:
        """Run a program to its end.

        Parameters
        ----------
        key
            By which `stop` finds it.
        command, environment, folder
            The program with its arguments, all of its environment, and where it runs.
        stdout, stderr
            Files that take what it writes.

        Returns
        -------
        int
            The exit code; 128 plus the signal's number where a signal ended it, as containers report it.
        """
        with stdout.open("ab") as out, stderr.open("ab") as err:
            with self._lock:
                if self._closed or key in self._stopped:
                    return 128 + signal.SIGTERM
                process = subprocess.Popen(
                    ["/bin/sh", "-c", _LAUNCHER, "job", *command],
                    env=dict(environment), cwd=folder, stdin=self._lifeline_read, stdout=out, stderr=err,
                    start_new_session=True,
                )  # fmt: skip
                self._groups[key] = process.pid
            try:
                code = process.wait()
            finally:
                with self._lock:
                    self._groups.pop(key, None)
                _signal_group(process.pid, signal.SIGKILL)
        return code if code >= 0 else 128 - code

    def process_id(self, key: str) -> int | None:
        """Return the id of a running process, which is also its group's."""
        with self._lock:
            return self._groups.get(key)

    def stop(self, key: str) -> None:
        """End a process: a request first, by force after a grace period."""
        with self._lock:
            self._stopped.add(key)
            group = self._groups.get(key)
        if group is not None:
            _signal_group(group, signal.SIGTERM)
            timer = threading.Timer(GRACE_SECONDS, self._kill, (key, group))
            timer.daemon = True
            timer.start()

    def _kill(self, key: str, group: int) -> None:
        with self._lock:
            if self._groups.get(key) == group:
                _signal_group(group, signal.SIGKILL)

    def forget(self, key: str) -> None:
        """Drop what is remembered of a process that has ended."""
        with self._lock:
            self._stopped.discard(key)

    def close(self) -> None:
        """End all processes at once; none can be started afterwards."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            groups = list(self._groups.values())
        for group in groups:
            _signal_group(group, signal.SIGKILL)
        os.close(self._lifeline_write)
        os.close(self._lifeline_read)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
