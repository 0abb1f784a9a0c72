"""The repository that the delivery pipeline watches: this one's HEAD, and the commits that the rehearsal makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rehearsal.errors import RehearsalError

BRANCH = "main"
CONFIGURATION = Path(__file__).resolve().parent / "gitconfig"
AUTHOR = ("Rehearsal", "rehearsal@example.com")
Edit = Callable[[Path], None]


class Origin:
    """A repository of its own in the work folder; its main branch is what the pipeline's source reads.

    Nothing of the user's git counts: neither configuration nor hooks, identity or signing.

    Parameters
    ----------
    folder
        Where the repository is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def cloned_from(cls, source: Path, folder: Path) -> Origin:
        """Make one whose main branch is the last commit of another repository.

        Raises
        ------
        RehearsalError
            Where ``source`` is no git repository with a commit.
        """
        folder.mkdir(parents=True)
        origin = cls(folder)
        origin.git("init", "--quiet", f"--initial-branch={BRANCH}")
        try:
            # Only the last commit: of a clone that has no more (as CI makes them), that is all there is.
            origin.git("fetch", "--quiet", "--depth=1", "--no-tags", str(source), "HEAD")
        except RehearsalError as error:
            raise RehearsalError(
                f"there is no commit to rehearse in {source.name}: it must be a git clone ({error})"
            ) from None
        origin.git("checkout", "--quiet", "-B", BRANCH, "FETCH_HEAD")
        return origin

    def git(self, *arguments: str) -> str:
        """Run git in the repository and return what it printed.

        Raises
        ------
        RehearsalError
            With git's last line, where it failed.
        """
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
            raise RehearsalError(f"git {arguments[0]}: {said[-1]}")
        return done.stdout.strip()

    @property
    def head(self) -> str:
        """Return the commit that main is at."""
        return self.git("rev-parse", BRANCH)

    @property
    def subject(self) -> str:
        """Return the first line of the last commit's message."""
        return self.git("log", "-1", "--format=%s", BRANCH)

    def commit(self, message: str, edit: Edit) -> str:
        """Change files on main and commit them; return the commit.

        Parameters
        ----------
        message
            One line.
        edit
            Gets the repository's folder.

        Raises
        ------
        RehearsalError
            Where the edit changed nothing.
        """
        edit(self.folder)
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={message}")
        return self.head

    def reset(self, commit: str) -> None:
        """Set main back to a commit, as a force-push would."""
        self.git("checkout", "--quiet", "-B", BRANCH, commit)
        self.git("clean", "--quiet", "--force", "-d")

    def clone(self, folder: Path) -> None:
        """Clone main into a new folder, as a person would."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.git("clone", "--quiet", f"--branch={BRANCH}", str(self.folder), str(folder))


def environment() -> dict[str, str]:
    """Return the environment of git commands: an identity of its own, no configuration of the user or the machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    name, email = AUTHOR
    return {
        **kept,
        "GIT_CONFIG_GLOBAL": str(CONFIGURATION),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
        "GIT_TERMINAL_PROMPT": "0",
    }


def uncommitted(repository: Path) -> list[str]:
    """Return the files of a repository that differ from its last commit; new ones too, ignored ones not."""
    done = subprocess.run(
        ["git", "status", "--porcelain"],
        cwd=repository,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return [line[3:] for line in done.stdout.splitlines()] if done.returncode == 0 else []


def set_settings(folder: Path, values: Mapping[str, Any]) -> None:
    """Replace the settings under ``mlops`` in the cdk.json of a clone: a user's own stay out of the rehearsal."""
    path = folder / "cdk.json"
    content = json.loads(path.read_text())
    content["context"]["mlops"] = dict(values)
    path.write_text(json.dumps(content, indent=2) + "\n")


def settings_of(folder: Path) -> dict[str, Any]:
    """Return the settings of a clone."""
    return dict(json.loads((folder / "cdk.json").read_text())["context"]["mlops"])


def change_settings(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the settings of a clone in place."""
    values = settings_of(folder)
    change(values)
    set_settings(folder, values)


def replace_text(path: Path, old: str, new: str) -> None:
    """Replace a text that a file holds exactly once.

    Raises
    ------
    RehearsalError
        Where it doesn't: the file has changed since this was written.
    """
    text = path.read_text()
    if text.count(old) != 1:
        raise RehearsalError(
            f"{path.name} holds {text.count(old)} times what the rehearsal changes there: {old!r}"
        )
    path.write_text(text.replace(old, new))
