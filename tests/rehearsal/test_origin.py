"""The origin repository: this one's last commit, and commits that need nothing of the user's git."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from rehearsal.errors import RehearsalError
from rehearsal.origin import (
    BRANCH,
    Origin,
    change_settings,
    environment,
    replace_text,
    set_settings,
    settings_of,
    uncommitted,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository with two commits on a branch of another name."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "cdk.json").write_text(
        json.dumps({"app": "a", "context": {"mlops": {"email": "mine@b.c"}, "x": 1}})
    )
    subprocess.run(["git", "init", "--quiet", "--initial-branch=trunk"], cwd=folder, check=True)
    for message in ("first", "second"):
        (folder / "file").write_text(message)
        subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
        subprocess.run(["git", "commit", "--quiet", "-m", message], cwd=folder, env=environment(), check=True)
    return folder


def test_main_is_the_last_commit_of_whatever_branch_is_checked_out(source: Path, tmp_path: Path) -> None:
    origin = Origin.cloned_from(source, tmp_path / "origin")
    assert (origin.subject, origin.git("branch", "--show-current")) == ("second", BRANCH)


def test_a_commit_needs_no_configuration_of_the_user(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[commit]\n\tgpgsign = true\n[user]\n\tuseConfigOnly = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    origin = Origin.cloned_from(source, tmp_path / "origin")
    commit = origin.commit("third", lambda folder: replace_text(folder / "file", "second", "third"))
    assert origin.head == commit
    assert origin.git("log", "-1", "--format=%an") == "Rehearsal"


def test_a_commit_that_changes_nothing_is_told(source: Path, tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="git commit: "):
        Origin.cloned_from(source, tmp_path / "origin").commit("nothing", lambda folder: None)


def test_main_goes_back_to_a_commit_and_new_files_are_gone(source: Path, tmp_path: Path) -> None:
    origin = Origin.cloned_from(source, tmp_path / "origin")
    good = origin.head
    origin.commit("bad", lambda folder: (folder / "new").touch())
    origin.reset(good)
    assert origin.head == good
    assert not (origin.folder / "new").exists()


def test_a_persons_clone_has_the_newest_commit(source: Path, tmp_path: Path) -> None:
    origin = Origin.cloned_from(source, tmp_path / "origin")
    origin.clone(tmp_path / "desk")
    origin.commit("third", lambda folder: (folder / "new").touch())
    origin.clone(tmp_path / "desk")
    assert (tmp_path / "desk" / "new").exists()


def test_a_folder_without_a_commit_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(RehearsalError, match="no commit to rehearse in plain"):
        Origin.cloned_from(tmp_path / "plain", tmp_path / "origin")


def test_uncommitted_files_are_listed(source: Path) -> None:
    (source / "new").touch()
    (source / "file").write_text("changed")
    assert sorted(uncommitted(source)) == ["file", "new"]


def test_a_users_settings_stay_out_and_the_rest_of_cdk_json_stays(source: Path) -> None:
    set_settings(source, {"email": "ml-team@example.com"})
    change_settings(source, lambda values: values.update(region="eu-west-1"))
    assert settings_of(source) == {"email": "ml-team@example.com", "region": "eu-west-1"}
    assert json.loads((source / "cdk.json").read_text())["context"]["x"] == 1


@pytest.mark.parametrize("text", ["none of it", "eta eta"])
def test_a_text_that_is_not_there_once_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(RehearsalError, match=r"model\.yaml holds [02] times"):
        replace_text(tmp_path / "model.yaml", "eta", "gamma")
