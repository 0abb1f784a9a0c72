"""A person's desk: a clone of the repository, AWS profiles of every account, and the commands of the README."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from local_cloud.cloud import LocalCloud
from local_cloud.keeper import write_profiles
from ops import cdk
from rehearsal.errors import RehearsalError
from rehearsal.origin import Origin
from rehearsal.processes import Group
from rehearsal.settings import ACCOUNTS, REGION

# What this process was started with and a command at the desk must not see.
_FOREIGN = ("AWS_", "MLOPS_", "CDK_", "GIT_", "MAKE", "MFLAGS")


class Desk:
    """Runs commands as a person of the installation would.

    Parameters
    ----------
    work
        The rehearsal's folder.
    cloud
        Where the profiles point.
    origin
        What is cloned.
    borrow
        The program that gives the clone its environment.
    """

    def __init__(self, work: Path, cloud: LocalCloud, origin: Origin, borrow: Path) -> None:
        self.folder = work / "desk"
        self._work, self._cloud, self._origin, self._borrow = work, cloud, origin, borrow
        self._commands = 0
        self._config = work / "aws-config"
        profiles = {f"mlops-{name}": account for name, account in ACCOUNTS.items()}
        write_profiles(self._config, cloud, REGION, profiles)

    def pull(self) -> None:
        """Have the newest commit of main in the clone."""
        self._origin.clone(self.folder)
        self.run([str(self._borrow)])

    def environment(self, account: str | None = None) -> dict[str, str]:
        """Return the environment of a command: the profiles, or the root of one account.

        Parameters
        ----------
        account
            Name of an account. Default: none; the profiles ``mlops-<name>`` are there.
        """
        env = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        if account is not None:
            env |= self._cloud.environment(ACCOUNTS[account], REGION)
        else:
            env |= {
                "AWS_CONFIG_FILE": str(self._config),
                "AWS_SHARED_CREDENTIALS_FILE": str(self._config),
                "AWS_ENDPOINT_URL": self._cloud.endpoint,
                "AWS_ENDPOINT_URL_S3": self._cloud.endpoint,
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        return env

    def run(self, command: list[str], *, env: Mapping[str, str] | None = None) -> str:
        """Run a command in the clone and return what it printed.

        Raises
        ------
        RehearsalError
            Where it fails, with the last line that it printed.
        """
        code, text = self.attempt(command, env=env)
        if code:
            raise RehearsalError(f"{' '.join(command)} failed with exit code {code}: {last_line(text)}")
        return text

    def attempt(self, command: list[str], *, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run a command in the clone and return its exit code and what it printed."""
        self._commands += 1
        log = self._work / "logs" / f"{self._commands:02}-{Path(command[0]).name}-{_as_name(command[1:])}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        code = Group.run(command, env=self.environment() if env is None else env, folder=self.folder, log=log)
        return code, log.read_text(errors="replace")

    def make(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """Run make in the clone and return what it printed."""
        return self.run(["make", "--no-print-directory", *words], env=env)

    def cdk(self, *arguments: str, account: str = "registry") -> str:
        """Run the CDK CLI in the clone with the credentials of an account, and return what it printed.

        Raises
        ------
        RehearsalError
            Where it fails.
        """
        code, text = self.cdk_attempt(*arguments, account=account)
        if code:
            raise RehearsalError(f"cdk {' '.join(arguments)} failed with exit code {code}: {last_line(text)}")
        return text

    def cdk_attempt(self, *arguments: str, account: str = "registry") -> tuple[int, str]:
        """Run the CDK CLI as `cdk` does; return its exit code and what it printed."""
        node, cli = self.folder / ".venv/bin/node", self.folder / "node_modules/aws-cdk/bin/cdk"
        credentials = {
            name: value for name, value in self.environment(account).items() if name.startswith("AWS_")
        }
        env = {
            name: value
            for name, value in cdk.environment(credentials).items()
            if name in credentials or not name.startswith(_FOREIGN) or name.startswith("CDK_")
        }
        return self.attempt([str(node), str(cli), *arguments], env=env)


def _as_name(words: Sequence[str]) -> str:
    """Return what a file's name can say of a command's words."""
    shown = [word for word in words if not word.startswith(("-", "/"))]
    return re.sub(r"[^A-Za-z0-9=.]+", "-", "-".join(shown))[:60].strip("-")


def last_line(text: str) -> str:
    """Return the last line that says something; what make adds says nothing."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("make")]
    return lines[-1] if lines else ""
