"""What must hold of the repository as a whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        return unpacked()
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines()]


def unpacked() -> list[Path]:
    """Return the files of a commit that came without its history, as the delivery pipeline hands it to builds."""
    lines = [line for line in (ROOT / ".gitignore").read_text().splitlines() if line]
    anywhere = [line.strip("/") for line in lines if not line.startswith("/")]
    at_the_root = [".git", *(line.strip("/") for line in lines if line.startswith("/"))]
    found = []
    for folder, folders, files in os.walk(ROOT):
        ignored = anywhere + (at_the_root if Path(folder) == ROOT else [])
        folders[:] = [name for name in folders if not any(fnmatch(name, one) for one in ignored)]
        found += [Path(folder, name) for name in files if not any(fnmatch(name, one) for one in ignored)]
    return found


@pytest.mark.parametrize("folder", ["constructs", "tests", "tests/constructs"])
def test_no_folder_shadows_the_package_constructs(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_the_data_set_is_not_committed() -> None:
    names = [path.name for path in tracked()]
    assert not [name for name in names if name.endswith(".data") or name.startswith("mammo-")]


def test_the_users_packages_are_named_and_pinned() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {line.split("==")[0].strip() for line in lines if "==" in line}
    wanted = {
        "aws-cdk-lib",
        "constructs",
        "boto3",
        "scikit-learn",
        "pandas",
        "pytest",
        "xgboost",
        "xgboost-cpu",
    }
    assert wanted <= pinned
    assert lines[-1] == "-e ./constructs"
    assert "requirements-authoring.txt" in (ROOT / "requirements.txt").read_text()
    assert re.search(
        r"^sagemaker==3\.", (ROOT / "pipeline_code/requirements-authoring.txt").read_text(), re.M
    )


def test_the_delivery_pipeline_uses_the_pinned_command_line() -> None:
    pinned = json.loads((ROOT / "package.json").read_text())["devDependencies"]["aws-cdk"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]["node_modules/aws-cdk"][
        "version"
    ]
    text = (ROOT / "stacks/delivery_stack.py").read_text()
    assert pinned == locked
    assert f'CLI_VERSION = "{pinned}"' in text


def test_every_code_file_can_be_held_by_one_reader() -> None:
    # A table of cases may be a little longer than code.
    long = {
        str(path.relative_to(ROOT)): count
        for path in tracked()
        if path.suffix == ".py"
        and (count := len(path.read_text().splitlines())) > (500 if "tests" in path.parts else 450)
    }
    assert long == {}


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"make ([a-z][a-z-]+)", (ROOT / "README.md").read_text()))
    named |= set(re.findall(r"`make ([a-z][a-z-]+)", (ROOT / "docs/runbook.md").read_text()))
    assert named <= targets


def test_the_files_of_a_commit_are_told_without_git_too() -> None:
    there = {path for path in unpacked() if path.is_file()}
    assert {path for path in tracked() if path.is_file()} <= there
    assert not [path for path in there if ".venv" in path.parts or "node_modules" in path.parts]
