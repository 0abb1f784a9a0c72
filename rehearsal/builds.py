"""What the rehearsal changes in the builds of the pipeline, and says so: set-up and test suite happen once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from local_cloud.cloud import LocalCloud
from rehearsal.borrowed import borrowing

SUITE = "make check test"
CHECK, SOON = (
    "make check-stage",
    "CHECK_LEAD_SECONDS=2",
)  # the schedule of staging's check fires at its second here
PYTHON = ".venv/bin/python"
# What stands for the test suite after promotion 1: the check of the lock, and a few tests that take seconds.
QUICK_TESTS = ("tests/definitions/test_lock.py", "tests/steps/test_distance.py")
PYTEST = f"{PYTHON} -m pytest -n 0 --no-header --tb=line --disable-warnings"
STAND_IN = f"{PYTHON} -m pipeline_code.lock --check && {PYTEST} {' '.join(QUICK_TESTS)}"


def commands_of(codebuild: Any) -> Iterator[str]:
    """Yield each command of each CodeBuild project of an account."""
    names = [
        name for page in codebuild.get_paginator("list_projects").paginate() for name in page["projects"]
    ]
    for start in range(0, len(names), 100):
        for project in codebuild.batch_get_projects(names=names[start : start + 100])["projects"]:
            yield from commands_in(project["source"].get("buildspec") or "")


def commands_in(buildspec: str) -> Iterator[str]:
    """Yield the commands of a build specification; none where it is the name of a file."""
    found = yaml.safe_load(buildspec) if buildspec else None
    if not isinstance(found, dict):
        return
    for phase in (found.get("phases") or {}).values():
        commands = (phase or {}).get("commands") or []
        yield from [commands] if isinstance(commands, str) else [str(one) for one in commands]


def replacements(commands: Iterator[str], borrow: Path, *, suite_runs: bool) -> dict[str, str]:
    """Return what runs instead of which command.

    Parameters
    ----------
    commands
        All that the projects' build specifications say.
    borrow
        See `rehearsal.borrowed`.
    suite_runs
        Whether the build sets up an environment of its own and runs the test suite.
    """
    found = {}
    for command in commands:
        if not command.startswith("make "):
            continue  # the CDK CLI's own commands, and what follows a target in the same shell
        if command.startswith((SUITE, "make synth")) and suite_runs:
            continue
        run = STAND_IN if command == SUITE else command
        found[command] = borrowing(borrow, f"{SOON} {run}" if run.startswith(CHECK) else run)
    return found


def replace(cloud: LocalCloud, codebuild: Any, borrow: Path, *, suite_runs: bool) -> None:
    """Have the builds that begin from now on run as `replacements` says."""
    for command, replacement in replacements(commands_of(codebuild), borrow, suite_runs=suite_runs).items():
        cloud.replace_build_command(command, replacement)
