"""What `make deliver` accepts, and how it words what went wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ops import cdk, deliver
from ops.errors import CommandError
from stacks.settings import load
from tests.delivery_ci.installations import ACCOUNTS, STAGING

SETTINGS = load({"models": [{"folder": "mammography"}]})
WITH_STAGING = load({"accounts": {**ACCOUNTS, "staging": STAGING}})
ROW = "ProdStack | 51/8 | 7:28:25 AM | {:<23.23} | AWS::CloudFormation::Stack | ProdStack"


def assembly(folder: Path, account: str = ACCOUNTS["prod"]) -> Path:
    """Write an assembly with a stack of prod."""
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": f"aws://{account}/us-east-1",
        "properties": {"templateFile": "ProdStack.template.json"},
    }
    (folder / "ProdStack.template.json").write_text(json.dumps({"Resources": {}}))
    (folder / "manifest.json").write_text(
        json.dumps({"version": "54.0.0", "artifacts": {"ProdStack": stack}})
    )
    return folder


def failure(monkeypatch: pytest.MonkeyPatch, folder: Path, *lines: str) -> str:
    """Return what is said where the CLI fails with some last lines."""
    cli = folder / "cdk.py"
    cli.write_text(f"import sys\nfor line in {list(lines)!r}: print(line)\nsys.exit(1)\n")
    monkeypatch.setattr(cdk, "NODE", sys.executable)
    monkeypatch.setattr(cdk, "CLI", cli)
    with pytest.raises(CommandError) as failed:
        deliver.deliver(SETTINGS, ["prod"], assembly(folder), say=lambda line: None)
    return str(failed.value)


@pytest.mark.parametrize(
    ("named", "stages"),
    [
        ("registry dev", ["registry", "dev"]),
        ("dev registry", ["registry", "dev"]),
        ("dev,registry", ["registry", "dev"]),
        ("prod", ["prod"]),
        ("prod staging", ["staging", "prod"]),
    ],
)
def test_stages_are_taken_in_the_order_that_a_commit_passes_them(named: str, stages: list[str]) -> None:
    assert deliver.stages_of(WITH_STAGING, named) == stages


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (None, 'STAGES is missing: name some of registry, dev, prod, such as STAGES="registry dev"'),
        ("  ", "STAGES is missing"),
        ("prdo", "got 'prdo' (did you mean 'prod'?)"),
        ("dev staging", "there is no staging: name its account under mlops.accounts.staging"),
    ],
)
def test_a_stage_that_is_not_there_is_named(named: str | None, message: str) -> None:
    with pytest.raises(CommandError) as refused:
        deliver.stages_of(SETTINGS, named)
    assert message in str(refused.value)


def test_without_an_assembly_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        deliver.deliver(SETTINGS, ["prod"], tmp_path, say=lambda line: None)
    assert "make synth" in str(refused.value)


def test_an_assembly_of_other_accounts_is_refused_before_anything_is_deployed(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        deliver.deliver(SETTINGS, ["prod"], assembly(tmp_path, "999999999999"), say=lambda line: None)
    assert "ProdStack for aws://999999999999/us-east-1, the settings say aws://222222222222/us-east-1" in str(
        refused.value
    )


def test_the_command_line_gets_the_assembly_and_only_the_stacks_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = tmp_path / "cdk.py"
    cli.write_text("import json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    monkeypatch.setattr(cdk, "NODE", sys.executable)
    monkeypatch.setattr(cdk, "CLI", cli)
    said: list[str] = []
    deliver.deliver(SETTINGS, ["prod"], assembly(tmp_path), say=said.append)
    arguments: list[Any] = json.loads(said[-1])
    assert arguments[:5] == ["deploy", "ProdStack", "--app", str(tmp_path), "--exclusively"]
    assert arguments[arguments.index("--require-approval") + 1] == "never"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            "UPDATE_ROLLBACK_COMPLETE",
            "prod (ProdStack) failed and was rolled back (UPDATE_ROLLBACK_COMPLETE): it runs what",
        ),
        (
            "UPDATE_ROLLBACK_FAILED",
            "so did its rollback (UPDATE_ROLLBACK_FAILED): it may be half old, half new",
        ),
        (
            "ROLLBACK_COMPLETE",
            "failed the first time it was deployed (ROLLBACK_COMPLETE): nothing of it runs",
        ),
    ],
)
def test_what_a_failed_deployment_left_is_said_in_one_line(
    state: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = failure(monkeypatch, tmp_path, ROW.format(state), "❌  ProdStack failed to deploy")
    assert words in said
    assert "\n" not in said


def test_a_deployment_that_never_began_is_not_called_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = failure(monkeypatch, tmp_path, "❌  ProdStack failed: AccessDenied")
    assert said == "prod (ProdStack) was not deployed; the reason is above"


def test_a_failure_that_names_no_stack_is_told_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = failure(monkeypatch, tmp_path, "Segmentation fault")
    assert said == "cdk deploy ended with exit code 1; the reason is above"
