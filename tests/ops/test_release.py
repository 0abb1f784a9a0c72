"""`make release`: which versions it lets prod use, by whom, and the one line where it doesn't."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from ops import __main__ as ops
from ops import registry
from ops.assembly import COMMIT, DEFINITION, StackAssembly
from ops.checks_common import CheckError
from ops.checks_deployed import compare
from stacks.settings import load
from tests.stacks.installations import CONNECTION

GROUP = "mammo-severity-model-package"
ARN = f"arn:aws:sagemaker:us-east-1:333333333333:model-package/{GROUP}/2"
SETTINGS: dict[str, Any] = {
    "models": [{"folder": "mammography"}],
    "accounts": {"staging": "444444444444"},
    "delivery": {"repository": "example/it", "connection_arn": CONNECTION, "approve_versions": True},
}


def error(code: str, message: str) -> botocore.exceptions.ClientError:
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@dataclass
class Registry:
    """The central registry with one version, whoever looks at it."""

    status: str = "Approved"
    life: dict[str, str] = field(default_factory=dict)
    refuse: str = ""
    updates: list[dict[str, Any]] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)

    def client(self, name: str) -> Registry:
        return self

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803
        if self.refuse == "DescribeModelPackage":
            raise error("AccessDeniedException", "you may not look")
        if ModelPackageName != ARN:
            raise error("ValidationException", f"ModelPackage {ModelPackageName} does not exist.")
        return {
            "ModelPackageVersion": 2,
            "ModelPackageArn": ARN,
            "ModelApprovalStatus": self.status,
            "CreationTime": _Moment(),
            "ModelLifeCycle": self.life,
        }

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_model_packages"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        return [{"ModelPackageSummaryList": [{"ModelPackageArn": ARN}]}]

    def update_model_package(self, **request: Any) -> None:
        if self.refuse == "UpdateModelPackage":
            raise error("AccessDeniedException", "you may not")
        self.updates.append(request)
        self.life = request.get("ModelLifeCycle", self.life)
        self.status = request.get("ModelApprovalStatus", self.status)


class _Moment:
    def __format__(self, form: str) -> str:
        return "2026-11-21 08:00"


@dataclass
class Desk:
    """The command with a registry behind it."""

    registry: Registry
    settings: Path
    capsys: pytest.CaptureFixture[str]

    def release(self, *options: str, version: str = "2") -> tuple[int, str]:
        code = ops.main(["release", "--version", version, *options])
        said = self.capsys.readouterr()
        (line,) = (said.out + said.err).splitlines()
        return code, line


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    made = Desk(Registry(), tmp_path / "settings.json", capsys)
    made.settings.write_text(json.dumps(SETTINGS))
    for name in ("VERSION", "MODEL", "BRANCH", "NOTE", "STAGE", "MLOPS_BUILD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLOPS_SETTINGS", str(made.settings))
    monkeypatch.setenv("GIT_COMMIT", "1a2b3c4d5e6f" + "0" * 28)
    monkeypatch.setattr(ops, "session_for", lambda name, account, region: made.registry)

    def assume(session: Any, role_arn: str, region: str, *, name: str) -> Registry:
        made.registry.assumed.append(role_arn)
        return made.registry

    monkeypatch.setattr(ops, "assume", assume)
    return made


def test_an_approver_releases_an_approved_version_by_hand(desk: Desk) -> None:
    assert desk.release("--note", "looks good,\nAda") == (
        0,
        f"{GROUP} version 2 is released to prod: its next run may use it",
    )
    (update,) = desk.registry.updates
    assert "ModelApprovalStatus" not in update
    life = update["ModelLifeCycle"]
    assert (life["Stage"], life["StageStatus"]) == ("prod", "released")
    assert life["StageDescription"].endswith("Z looks good, Ada")
    assert desk.registry.assumed == [
        "arn:aws:iam::333333333333:role/mlops/registry/approver/mlops-registry-approver"
    ]


def test_the_build_releases_by_its_own_role(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_BUILD", "true")
    assert desk.release()[0] == 0
    assert desk.registry.assumed == []
    assert "by mlops-versions with commit 1a2b3c4d5e6f" in desk.registry.life["StageDescription"]


def test_a_version_that_is_released_stays_as_it_is(desk: Desk) -> None:
    desk.registry.life = dict(registry.RELEASED)
    assert desk.release() == (0, f"{GROUP} version 2 was released to prod already")
    assert desk.registry.updates == []


@pytest.mark.parametrize("status", ["Rejected", "PendingManualApproval"])
def test_fails_where_the_version_is_not_approved(desk: Desk, status: str) -> None:
    desk.registry.status = status
    code, line = desk.release()
    assert code == 1
    assert line == (
        f"release: version 2 of {GROUP} is {status}, and only an approved version can be released:"
        " make approve VERSION=2"
    )
    assert desk.registry.updates == []


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("9", f"{GROUP} has no version 9; see them with: make versions"),
        ("newest", "VERSION must be a number, got 'newest'"),
        ("", "VERSION is missing; see the numbers with: make versions"),
    ],
)
def test_fails_where_there_is_no_such_version(desk: Desk, version: str, told: str) -> None:
    assert desk.release(version=version) == (1, f"release: {told}")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("DescribeModelPackage", "can't be looked at: you may not look"),
        ("UpdateModelPackage", "was not released: you may not; the build Release of mlops-versions may"),
    ],
)
def test_fails_where_the_caller_may_not(desk: Desk, call: str, told: str) -> None:
    desk.registry.refuse = call
    code, line = desk.release()
    assert code == 1
    assert line.startswith(f"release: version 2 of {GROUP} {told}")


def test_fails_where_prod_asks_for_no_release(desk: Desk) -> None:
    delivery = {**SETTINGS["delivery"], "approve_versions": False}
    desk.settings.write_text(json.dumps({**SETTINGS, "delivery": delivery}))
    code, line = desk.release()
    assert code == 1
    assert line.startswith("release: mlops.delivery.approve_versions is off in cdk.json")


def test_fails_on_a_branch_which_never_gets_to_prod(desk: Desk) -> None:
    code, line = desk.release("--branch", "feature/x")
    assert code == 1
    assert line.startswith("release: BRANCH is for ")


def test_a_version_that_is_rejected_loses_its_release_in_the_same_call() -> None:
    made = Registry(life=dict(registry.RELEASED))
    decided = registry.decide(made, GROUP, "2", "Rejected", "too old")
    (update,) = made.updates
    assert update["ModelApprovalStatus"] == "Rejected"
    assert (update["ModelLifeCycle"]["Stage"], update["ModelLifeCycle"]["StageStatus"]) == (
        "prod",
        "withdrawn",
    )
    assert update["ModelLifeCycle"]["StageDescription"].endswith("rejected: too old")
    assert not decided.released


@pytest.mark.parametrize(("life", "status"), [({}, "Rejected"), (dict(registry.RELEASED), "Approved")])
def test_other_decisions_leave_the_life_cycle_alone(life: dict[str, str], status: str) -> None:
    made = Registry(life=life)
    registry.decide(made, GROUP, "2", status, "because")
    (update,) = made.updates
    assert "ModelLifeCycle" not in update


def test_the_table_says_which_versions_are_released() -> None:
    made = Registry(life={**registry.RELEASED, "StageDescription": "by Ada"})
    assert "Approved, released" in registry.table(registry.versions(made, GROUP))
    made.status = "Rejected"
    assert "released" not in registry.table(registry.versions(made, GROUP))


@dataclass
class Tags:
    """Pipelines by name with their tags."""

    known: dict[str, dict[str, str]]

    def list_tags(self, *, ResourceArn: str) -> dict[str, Any]:  # noqa: N803
        name = ResourceArn.rsplit("/", 1)[-1]
        if name not in self.known:
            raise error("ResourceNotFound", "none")
        return {"Tags": [{"Key": key, "Value": value} for key, value in self.known[name].items()]}


def compared(known: dict[str, dict[str, str]], *, may_differ: bool) -> list[str]:
    settings = load(SETTINGS)
    expected = StackAssembly("StagingStack", Path("cdk.out"), {}, {})
    expected.__dict__["pipelines"] = {"mammo": {DEFINITION: "d1", COMMIT: "c1"}}
    expected.__dict__["commit"] = "c1"
    said: list[str] = []
    compare(
        settings, settings.stage("staging"), Tags(known), expected, may_differ=may_differ, say=said.append
    )
    return said


def test_a_version_may_be_tried_in_a_stage_that_is_ahead_of_prods_commit() -> None:
    ahead = {"mammo": {DEFINITION: "d2", COMMIT: "c2"}}
    with pytest.raises(CheckError, match="expected mammo to have the definition d1"):
        compared(ahead, may_differ=False)
    said = compared(ahead, may_differ=True)
    assert [line.split(", not")[0] for line in said] == [
        "staging: mammo has the definition d2",
        "staging: mammo has the commit c2",
    ]


def test_a_version_cannot_be_tried_where_there_is_no_pipeline() -> None:
    with pytest.raises(CheckError, match="expected the pipeline mammo; found none"):
        compared({}, may_differ=True)


def test_what_agrees_is_said_in_one_line() -> None:
    (line,) = compared({"mammo": {DEFINITION: "d1", COMMIT: "c1"}}, may_differ=True)
    assert line == "staging: 1 pipelines have the definitions and code of commit c1"
