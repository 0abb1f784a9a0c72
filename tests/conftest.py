"""What every test process needs: the Node that came from PyPI, and no template validation (make check does that)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

os.environ.setdefault("JSII_NODE", str(ROOT / ".venv" / "bin" / "node"))
os.environ.setdefault("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")

# A test must not reach anybody's account, nor read their settings, nor know which build of the delivery it runs in.
FOREIGN = ("AWS_", "MLOPS_", "CDK_", "CODEBUILD_", "GIT_", "GITHUB_")
KEPT = ("GIT_CEILING_DIRECTORIES",)  # how far up git looks for a repository
for name in [name for name in os.environ if name.startswith(FOREIGN) and name not in KEPT]:
    del os.environ[name]
os.environ["CDK_VALIDATION"] = "false"
# There is a test process a core: threads of XGBoost's would only wait for each other, and burn both cores with it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# --- where it is asked for, a run of the whole suite records who is let do what, and fails where it no longer does
# what used.json says of it. Asked for only: used.json's part of the tests comes from a run that wasn't whole yet.

ASKED = "CHECK_USED_PERMISSIONS"
RECORD = "LOCAL_CLOUD_RECORD"
_recording = pytest.StashKey[Path]()
_missing = pytest.StashKey[list[str]]()


def _is_whole(config: pytest.Config) -> bool:
    named = config.option.file_or_dir or config.option.keyword or config.option.markexpr
    return not named and not config.option.deselect and not hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get(ASKED) and _is_whole(config) and RECORD not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="recording-"))
        config.stash[_recording] = folder / "decisions.jsonl"
        os.environ[RECORD] = str(config.stash[_recording])  # the workers inherit it


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    recording = session.config.stash.get(_recording, None)
    if recording is None or exitstatus != pytest.ExitCode.OK or not recording.exists():
        return
    from tests.usage import used

    found = {(use.holder, use.action) for use in used.read(recording)}
    expected = {(use.holder, use.action) for use in used.load()["tests"]}
    if missing := [f"{holder}: {action}" for holder, action in sorted(expected - found)]:
        session.config.stash[_missing] = missing
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if missing := config.stash.get(_missing, None):
        terminalreporter.section("used permissions")
        terminalreporter.line("tests/usage/used.json says that the tests use these, and they don't any more:")
        for line in missing:
            terminalreporter.line(f"  {line}")
        terminalreporter.line("take the permission away where nothing needs it, then: make used-permissions")
