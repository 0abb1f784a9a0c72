"""Ctrl-C and SIGTERM end the demo at any point: one line, the right exit code, no process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.marked import MARK, left_running, marked

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("interrupts")]
ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP, DEPLOY, RUN = (
    "three accounts, each trusting",
    "the three stacks, with",
    "prod runs inference before",
)


class Demo:
    """The demo as a subprocess that carries a mark, and what it said."""

    def __init__(self, output: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo", "--output", str(output)],
            cwd=ROOT,
            env={**os.environ, MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # signals sent to its group don't reach the tests
        )
        self._watchdog = threading.Timer(90, self.process.kill)
        self._watchdog.start()

    def wait_for(self, line: str) -> None:
        assert self.process.stdout is not None
        seen = []
        for said in self.process.stdout:
            seen.append(said)
            if line in said:
                return
        raise AssertionError(f"the demo never said '{line}':\n{''.join(seen)}")

    def end(self) -> tuple[int, list[str]]:
        """Wait for its end; return the exit code and the lines on stderr, but where the data came from."""
        _, errors = self.process.communicate()
        self._watchdog.cancel()
        lines = [line for line in errors.splitlines() if line.strip()]
        return self.process.returncode, [line for line in lines if not line.startswith("UCI's copy ")]


@contextmanager
def demo(output: Path) -> Iterator[Demo]:
    started = Demo(output)
    try:
        yield started
    finally:
        started.process.kill()
        started.end()


@pytest.mark.parametrize(
    ("moment", "number", "to_the_group"),
    [
        (BOOTSTRAP, signal.SIGINT, True),  # as a terminal does
        (DEPLOY, signal.SIGTERM, False),
        (RUN, signal.SIGINT, False),
    ],
    ids=["bootstrap", "deploy", "run"],
)
def test_an_interrupted_demo_ends_with_one_line_and_leaves_no_process(
    tmp_path: Path, moment: str, number: signal.Signals, to_the_group: bool
) -> None:
    with demo(tmp_path / "out") as running:
        running.wait_for(moment)
        assert len(marked(running.mark)) > 1, "the cloud is a process of its own"
        (os.killpg if to_the_group else os.kill)(running.process.pid, number)
        code, errors = running.end()
        assert (code, errors) == (128 + number, ["demo: interrupted; nothing of it is left running"])
        assert left_running(running.mark, seconds=3) == []


def test_an_impatient_second_interruption_changes_nothing(tmp_path: Path) -> None:
    with demo(tmp_path / "out") as running:
        running.wait_for(BOOTSTRAP)
        for _ in range(3):
            running.process.send_signal(signal.SIGINT)
        code, errors = running.end()
        assert (code, len(errors)) == (130, 1)
        assert left_running(running.mark, seconds=3) == []


def test_a_killed_demo_leaves_nothing_and_the_next_one_starts(tmp_path: Path) -> None:
    with demo(tmp_path / "out") as killed:
        killed.wait_for(BOOTSTRAP)
        killed.process.kill()
        killed.end()
        assert left_running(killed.mark) == []
    with demo(tmp_path / "out") as second:
        second.wait_for(DEPLOY)


def test_a_folder_with_other_files_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep")
    with demo(tmp_path) as refused:
        code, errors = refused.end()
    assert code == 1
    assert errors == [f"demo: --output names '{tmp_path}', which holds other files; name a new folder"]
    assert (tmp_path / "precious.txt").exists()
