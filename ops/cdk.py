"""The pinned CDK CLI as a subprocess: the commands that a person types, for the embedded cloud and AWS alike."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ops.errors import CommandError

ROOT = Path(__file__).resolve().parent.parent
NODE = ROOT / ".venv" / "bin" / "node"
CLI = ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk"
_END_SECONDS = 5.0


def environment(credentials: Mapping[str, str], settings_file: Path | None = None) -> dict[str, str]:
    """Return the environment of a CDK command: someone's credentials, no telemetry, plain output.

    Parameters
    ----------
    credentials
        Variables that say who acts; what this process has of the kind otherwise counts.
    settings_file
        Settings to synthesize with. Default: those of this process.
    """
    chosen = {"MLOPS_SETTINGS": str(settings_file)} if settings_file else {}
    return {
        **os.environ,
        **credentials,
        **chosen,
        "JSII_NODE": str(NODE),
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        "CDK_VALIDATION": "false",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CI": "true",  # progress as plain lines on stdout
        "NO_COLOR": "1",
    }


@contextlib.contextmanager
def interruptions_deferred() -> Iterator[None]:
    """Let an interruption wait for the end of the block: halfway, a process would be started that nobody knows."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield  # interruptions reach the main thread only
        return
    handlers = {
        number: signal.signal(number, lambda number, _frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


class Command:
    """A CDK command that runs inside a ``with`` block, and ends with all that it started at its end at the latest.

    Parameters
    ----------
    arguments
        What follows ``cdk``.
    env
        See `environment`.
    log
        File that gets its output.
    folder
        Where it runs. Default: the repository, whose cdk.json names the app; elsewhere it needs no synthesis.
    """

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str], log: Path, *, folder: Path = ROOT
    ) -> None:
        self.what = "cdk " + " ".join(arguments)
        self.log = log
        self._arguments, self._env, self._folder = arguments, dict(env), folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Command:
        try:
            with interruptions_deferred():
                self._process = self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._end(self._process)

    def _start(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as out:
            return subprocess.Popen(
                [str(NODE), str(CLI), *self._arguments],
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                # A group of its own: the CLI, the app and jsii's Node end together, when the caller says so.
                start_new_session=True,
            )

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        def tell(number: int) -> None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

        if process.poll() is None:
            tell(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
            tell(signal.SIGKILL)
            process.wait()

    def finish(self) -> str:
        """Wait for its end and return what it printed.

        Raises
        ------
        CommandError
            Where it failed, with the last lines that it printed.
        """
        if self._process is None:
            raise RuntimeError(f"{self.what} was not started: use it in a with block")
        code = self._process.wait()
        text = self.log.read_text(errors="replace")
        if code:
            lines = [line for line in text.splitlines() if line.strip()]
            raise CommandError(
                f"{self.what} failed with exit code {code} (log: {self.log}):\n" + "\n".join(lines[-12:])
            )
        return text


def run(arguments: Sequence[str], env: Mapping[str, str], log: Path) -> str:
    """Run a CDK command to its end and return what it printed."""
    with Command(arguments, env, log) as command:
        return command.finish()
