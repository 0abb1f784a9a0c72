"""The accounts are bootstrapped by the project's own scripts, at the same time."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from rehearsal import aws_cli
from rehearsal.accounts import side_by_side
from rehearsal.borrowed import EDITABLE, write_script
from rehearsal.errors import RehearsalError


def bash(program: str, folder: Path) -> int:
    return subprocess.run(["bash", "-c", program], cwd=folder, check=False).returncode


def test_commands_side_by_side_all_end(tmp_path: Path) -> None:
    assert bash(side_by_side(["touch a", "touch b"]), tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_one_that_fails_fails_them_all_once_they_have_ended(tmp_path: Path) -> None:
    assert bash(side_by_side(["false", "sleep 0.1; touch b"]), tmp_path) == 1
    assert (tmp_path / "b").exists()


def test_the_parameters_of_a_command_become_those_of_the_operation(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text("{}")
    words = [
        "--policy-arn",
        "arn:x",
        "--set-as-default",
        "--policy-document",
        f"file://{tmp_path}/policy.json",
    ]
    assert aws_cli.parameters(words) == {"PolicyArn": "arn:x", "SetAsDefault": True, "PolicyDocument": "{}"}


def test_a_call_prints_its_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Any] = []

    class Client:
        def create_policy(self, **given: Any) -> dict[str, Any]:
            calls.append(given)
            return {"Policy": {"Arn": "arn:x"}, "ResponseMetadata": {}}

    class Session:
        def __init__(self, profile_name: str | None) -> None:
            calls.append(profile_name)

        def client(self, service: str) -> Client:
            calls.append(service)
            return Client()

    monkeypatch.setattr("boto3.Session", Session)
    assert aws_cli.main(["iam", "create-policy", "--policy-name", "a", "--profile", "mlops-dev"]) == 0
    assert calls == ["mlops-dev", "iam", {"PolicyName": "a"}]
    assert "arn:x" in capsys.readouterr().out


def test_a_call_without_an_operation_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert aws_cli.main(["--version"]) == 2
    assert "usage: aws SERVICE OPERATION" in capsys.readouterr().err


# --- borrowed environments


@pytest.fixture
def lender(tmp_path: Path) -> Path:
    folder = tmp_path / "lender"
    packages = folder / ".venv" / "lib" / "python3.12" / "site-packages"
    for path in (packages / "boto3", folder / ".venv" / "bin", folder / "node_modules" / "aws-cdk"):
        path.mkdir(parents=True)
    (packages / EDITABLE).write_text(f"{folder}/constructs/src")
    (folder / ".venv" / "pyvenv.cfg").touch()
    (folder / ".venv" / "bin" / "python").touch()
    inputs(folder)
    return folder


def inputs(folder: Path, requirements: str = "boto3==1\n") -> None:
    (folder / "constructs").mkdir(parents=True)
    (folder / "requirements.txt").write_text(requirements)
    (folder / "constructs" / "pyproject.toml").touch()
    (folder / "package-lock.json").touch()


def test_a_borrowed_environment_has_the_lenders_packages_and_the_commits_own_library(
    tmp_path: Path, lender: Path
) -> None:
    script, clone = write_script(lender, tmp_path / "borrow"), tmp_path / "clone"
    inputs(clone)
    assert bash(str(script), clone) == 0
    packages = clone / ".venv" / "lib" / "python3.12" / "site-packages"
    assert (packages / "boto3").resolve() == lender / ".venv/lib/python3.12/site-packages/boto3"
    assert (packages / EDITABLE).read_text().strip() == str(clone / "constructs" / "src")
    assert (
        lender / ".venv/lib/python3.12/site-packages" / EDITABLE
    ).read_text() == f"{lender}/constructs/src"
    assert (clone / "node_modules" / "aws-cdk").is_dir()
    assert (clone / ".venv" / ".ready").exists()


def test_a_commit_with_other_requirements_cannot_borrow(tmp_path: Path, lender: Path) -> None:
    script, clone = write_script(lender, tmp_path / "borrow"), tmp_path / "clone"
    inputs(clone, "boto3==2\n")
    assert bash(str(script), clone) == 1
    assert not (clone / ".venv").exists()


def test_a_lender_without_an_environment_is_told(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="run: make setup"):
        write_script(tmp_path, tmp_path / "borrow")
