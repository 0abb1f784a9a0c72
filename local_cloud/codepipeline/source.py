"""The source action CodeStarSourceConnection, on repositories of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from local_cloud.codepipeline.artifacts import Artifacts
from local_cloud.codepipeline.errors import ActionFailed
from local_cloud.codepipeline.model import Revision, Work
from local_cloud.engine_services import Role

_ACTIONS = ("codeconnections:UseConnection", "codestar-connections:UseConnection")
_CONFIGURATION = Path(__file__).with_name("gitconfig")
_KEEPS_HISTORY = "CODEBUILD_CLONE_REF"


class Repositories:
    """Repositories by the name that a connection knows them by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: dict[str, Path] = {}

    def connect(self, name: str, path: Path) -> None:
        """Let a repository's name mean a git repository of this machine.

        Raises
        ------
        LookupError
            The folder is none.
        """
        try:
            _git(path, "rev-parse", "--git-dir")
        except (ActionFailed, OSError):
            raise LookupError(f"{path} is no git repository") from None
        with self._lock:
            self._paths[name] = path

    def path(self, name: str) -> Path:
        """Return where a repository is.

        Raises
        ------
        ActionFailed
            Nobody has connected it.
        """
        with self._lock:
            if name in self._paths:
                return self._paths[name]
            known = ", ".join(sorted(self._paths)) or "none"
        raise ActionFailed(
            f"Unable to use Connection: the repository {name} isn't connected to the embedded cloud;"
            f" connect it with LocalCloud.connect_repository (connected: {known})",
            code="ConnectionNotAvailable",
        )


class SourceAction:
    """Takes the head of a branch as the output artifact.

    Parameters
    ----------
    repositories, artifacts
        Where to take it from and where to put it.
    denial
        See `local_cloud.engine_services.DeliveryServices`.
    """

    def __init__(
        self, repositories: Repositories, artifacts: Artifacts, denial: Callable[[Role, str, str], str | None]
    ) -> None:
        self._repositories, self._artifacts, self._denial = repositories, artifacts, denial

    def run(self, work: Work) -> None:
        """Clone, and put the files into the artifact."""
        given = work.configuration
        connection, name, branch = (
            given["ConnectionArn"],
            given["FullRepositoryId"],
            given.get("BranchName", "main"),
        )
        denials = [self._denial(work.role, action, connection) for action in _ACTIONS]
        if all(denials):
            # AWS is moving from one name to the other: either will do.
            raise ActionFailed(
                f"Unable to use Connection: {connection}. The provided role does not have sufficient permissions."
                f" ({denials[0]})",
                code="PermissionError",
            )
        path = self._repositories.path(name)
        clone = work.folder / "source"
        wanted = work.execution.revisions_wanted.get(work.run.name)
        try:
            _git(work.folder, "clone", "--quiet", "--no-checkout", str(path), str(clone))
            _git(clone, "checkout", "--quiet", "--detach", wanted or f"origin/{branch}")
        except ActionFailed as error:
            what = f"commit {wanted}" if wanted else f"branch {branch}"
            raise ActionFailed(
                f"The {what} of {name} can't be taken: {error}", code="ConfigurationError"
            ) from None
        commit = _git(clone, "rev-parse", "HEAD")
        message = _git(clone, "log", "-1", "--format=%B")
        author, email, date = _git(clone, "log", "-1", "--format=%an%n%ae%n%aI").split("\n")
        if given.get("OutputArtifactFormat") != _KEEPS_HISTORY:
            shutil.rmtree(clone / ".git")
        revision = Revision(commit, message, f"file://{path}")
        work.run.revision = revision
        work.run.external_id = commit
        work.run.summary = message.partition("\n")[0]
        work.run.variables = {
            "AuthorDate": date,
            "AuthorDisplayName": author,
            "AuthorEmail": email,
            "BranchName": branch,
            "CommitId": commit,
            "CommitMessage": message,
            "ConnectionArn": connection,
            "FullRepositoryName": name,
            "ProviderType": "GitHub",
        }
        for output in work.outputs:
            work.run.outputs.append(
                self._artifacts.put(
                    work.execution, output, clone, work.role, region=work.region, revision=revision
                )
            )

    def abandon(self, work: Work) -> None:
        """Do nothing: a clone takes a moment."""


def _git(folder: Path, *arguments: str) -> str:
    """Run git without what the environment or the machine's configuration would change."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {
        "GIT_CEILING_DIRECTORIES": str(folder.resolve().parent),  # a folder inside a repository is none
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(_CONFIGURATION),
    }
    command = ["git", *arguments]
    with contextlib.suppress(FileNotFoundError):
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ActionFailed((done.stderr.strip() or "git failed").splitlines()[-1])
        return done.stdout.strip()
    raise ActionFailed("git isn't installed, or the folder isn't there")
