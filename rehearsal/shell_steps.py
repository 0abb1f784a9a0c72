"""Runs the shell steps of another CI system, each job in a checkout of its own and under its own credentials."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from rehearsal import builds
from rehearsal.borrowed import borrowing
from rehearsal.ci_steps import ShellStep
from rehearsal.desk import last_line
from rehearsal.errors import RehearsalError
from rehearsal.processes import Group
from rehearsal.settings import ACCOUNTS, REGION
from rehearsal.world import World

_OWN = ("AWS_", "MLOPS_", "CDK_", "GIT_", "GITHUB_", "MAKE", "MFLAGS", "JSII_")
_SUDO = '#!/bin/sh\necho "not on this machine: sudo $*"\n'


class Machine:
    """What runs the jobs of a CI system.

    Parameters
    ----------
    world
        The rehearsal.
    name
        Of the CI system; its folder.
    """

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.folder = world.work / name
        self._tools = self.folder / "tools"
        self._tools.mkdir(parents=True)
        sudo = (
            self._tools / "sudo"
        )  # a step installs a browser: a rehearsal installs nothing on anybody's machine
        sudo.write_text(_SUDO)
        sudo.chmod(0o755)
        self._steps = 0

    def checkout(self, job: str) -> Path:
        """Return a new folder with the commit, and the environment that its builds borrow."""
        folder = self.folder / re.sub(r"\W+", "-", job)
        shutil.rmtree(folder, ignore_errors=True)
        self._world.origin.clone(folder)
        return folder

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a job: nothing of this process that matters, and where AWS is."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
        account = self._world.cloud.environment(ACCOUNTS["registry"], REGION)
        places = {name: value for name, value in account.items() if "ACCESS_KEY" not in name}
        return {
            **kept,
            **places,
            "PATH": f"{self._tools}{os.pathsep}{os.environ.get('PATH', '')}",
            "CI": "true",
            "CHECK_LEAD_SECONDS": "2",
            **more,
        }

    def run(self, step: ShellStep, script: str, folder: Path, env: Mapping[str, str]) -> str:
        """Run a step and tell its row; return what it printed.

        Raises
        ------
        RehearsalError
            Where it fails.
        """
        self._steps += 1
        log = self._world.work / "logs" / f"{self.folder.name}-{self._steps:02}.log"
        log.parent.mkdir(exist_ok=True)
        # The suite has run in promotion 1.
        runs = re.sub(rf"^{re.escape(builds.SUITE)}$", builds.STAND_IN, script, flags=re.MULTILINE)
        with self._world.record.step(step.job, step.name) as row:
            command = borrowing(self._world.borrow, f"(\n{runs}\n)")
            code = Group.run(["bash", "-e", "-o", "pipefail", "-c", command], env=env, folder=folder, log=log)
            text = log.read_text(errors="replace")
            row.said = last_line(text)
            if code:
                raise RehearsalError(
                    f"{step.job}: {step.name} failed with exit code {code}: {last_line(text)}"
                )
            return text


def pairs(file: Path) -> dict[str, str]:
    """Return the ``name=value`` lines of a file; none where it isn't there."""
    lines = file.read_text().splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line)
