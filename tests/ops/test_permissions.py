"""`make permissions`: what it prints, how it ends, and what becomes of the approval beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest

from ops import deployed, permissions
from ops.approval import Approval
from ops.errors import CommandError
from stacks.installation import Settings
from stacks.settings import load
from tests.ops.iam_templates import READ, role

ACTION = "mlops-delivery/Prod/ConfirmPermissions"
NARROW = {"Resources": {"Role": role(READ, RoleName="worker")}}
WIDE = {"Resources": {"Role": role(READ | {"Action": "s3:*"}, RoleName="worker")}}
LINE = "ProdStack: role worker may now do s3:* on arn:aws:s3:::data/a/*"


def error(code: str, message: str = "no") -> botocore.exceptions.ClientError:
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@dataclass
class Aws:
    """The calls that the command makes, answered from memory."""

    template: Any = None
    status: str = "UPDATE_COMPLETE"
    states: list[dict[str, str]] = field(default_factory=list)  # of the approval, one a look
    refuse: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)
    mails: list[dict[str, str]] = field(default_factory=list)

    class exceptions:  # noqa: N801 - as boto3 names it
        ClientError = botocore.exceptions.ClientError

    def client(self, name: str) -> Aws:
        return self

    def describe_stacks(self, **request: str) -> dict[str, Any]:
        if self.template is None:
            raise error("ValidationError", f"Stack with id {request['StackName']} does not exist")
        return {"Stacks": [{"StackStatus": self.status}]}

    def get_template(self, **request: str) -> dict[str, Any]:
        assert request["TemplateStage"] == "Original"
        return {"TemplateBody": self.template}

    def get_pipeline_state(self, name: str) -> dict[str, Any]:
        latest = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        action = {"actionName": "ConfirmPermissions", **({"latestExecution": latest} if latest else {})}
        return {"stageStates": [{"stageName": "Source"}, {"stageName": "Prod", "actionStates": [action]}]}

    def put_approval_result(self, **request: Any) -> None:
        if self.refuse:
            raise error(self.refuse)
        self.results.append(request)

    def publish(self, **request: str) -> None:
        self.mails.append(request)


@dataclass
class Desk:
    """The command with everything around it."""

    aws: Aws
    folder: Path
    settings: Settings
    said: list[str] = field(default_factory=list)

    def run(self, stages: str = "prod", approval: str | None = None) -> int:
        return permissions.run(
            self.settings,
            stages,
            self.folder,
            approval,
            say=self.said.append,
            wait_seconds=0.05,
            poll_seconds=0.01,
        )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    aws = Aws(template=NARROW)
    monkeypatch.setattr(deployed, "look_up", lambda settings, name: aws)
    monkeypatch.setattr(boto3, "Session", lambda **_: aws)
    monkeypatch.setenv("ALERTS_TOPIC_ARN", "arn:aws:sns:us-east-1:333333333333:mlops-delivery-alerts")
    desk = Desk(aws, tmp_path, load({"models": [{"folder": "mammography"}]}))
    write(desk, NARROW)
    return desk


def write(desk: Desk, template: Any, environment: str = "aws://222222222222/us-east-1") -> None:
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": environment,
        "properties": {"templateFile": "t.json", "stackName": "ProdStack"},
    }
    inner = desk.folder / "assembly-DeliveryStack-Prod"
    inner.mkdir(exist_ok=True)
    (inner / "t.json").write_text(json.dumps(template))
    (inner / "manifest.json").write_text(
        json.dumps({"version": "1", "artifacts": {"DeliveryStackProd": stack}})
    )
    nested = {"type": "cdk:cloud-assembly", "properties": {"directoryName": inner.name}}
    (desk.folder / "manifest.json").write_text(json.dumps({"version": "1", "artifacts": {"x": nested}}))


# --- without an approval


def test_nothing_widens_and_it_ends_with_0(desk: Desk) -> None:
    assert desk.run() == 0
    assert desk.said == ["prod: nothing widens"]


def test_what_widens_is_one_line_and_it_ends_with_3(desk: Desk) -> None:
    write(desk, WIDE)
    assert desk.run() == 3
    assert desk.said == [LINE]


@pytest.mark.parametrize("status", ["REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"])
def test_a_stack_that_exists_by_name_only_is_not_deployed(desk: Desk, status: str) -> None:
    desk.aws.status = status
    assert desk.run() == 3
    assert "is not deployed yet" in desk.said[0]


def test_a_stack_that_does_not_exist_is_all_new(desk: Desk) -> None:
    desk.aws.template = None
    assert desk.run() == 3


def test_fails_while_the_stack_changes(desk: Desk) -> None:
    desk.aws.status = "UPDATE_IN_PROGRESS"
    with pytest.raises(CommandError, match="ProdStack is UPDATE_IN_PROGRESS"):
        desk.run()


def test_a_template_that_comes_as_text_is_read(desk: Desk) -> None:
    desk.aws.template = json.dumps(NARROW)
    assert desk.run() == 0


def test_fails_where_the_deployed_template_is_no_json(desk: Desk) -> None:
    desk.aws.template = "Resources: {}"
    with pytest.raises(CommandError, match="not JSON"):
        desk.run()


def test_fails_where_the_assembly_is_of_another_account(desk: Desk) -> None:
    write(desk, NARROW, environment="aws://999999999999/us-east-1")
    with pytest.raises(
        CommandError, match="is for aws://999999999999/us-east-1, the settings say aws://222222222222"
    ):
        desk.run()


@pytest.mark.parametrize("stages", ["", "prod stagin"])
def test_fails_where_stages_names_no_account(desk: Desk, stages: str) -> None:
    with pytest.raises(CommandError, match="STAGES must name some of: registry dev prod"):
        desk.run(stages)


@pytest.mark.parametrize("text", ["a/b", "a/b/", "a/b/c/d"])
def test_fails_where_approval_names_no_action(desk: Desk, text: str) -> None:
    with pytest.raises(CommandError, match="APPROVAL must be pipeline/stage/action"):
        desk.run(approval=text)


# --- with an approval


def test_where_nothing_widens_it_waits_until_it_is_asked_and_approves(desk: Desk) -> None:
    desk.aws.states = [{}, {"status": "Succeeded", "token": "old"}, {"status": "InProgress", "token": "new"}]
    assert desk.run(approval=ACTION) == 0
    (result,) = desk.aws.results
    assert (result["token"], result["actionName"]) == ("new", "ConfirmPermissions")
    assert result["result"]["status"] == "Approved"
    assert "nothing widens in prod" in result["result"]["summary"]
    assert len(result["result"]["summary"]) <= 512
    assert desk.aws.mails == []


def test_where_something_widens_it_approves_nothing_and_tells_people(desk: Desk) -> None:
    write(desk, WIDE)
    desk.aws.states = [{"status": "InProgress", "token": "new"}]
    assert desk.run(approval=ACTION) == 0
    assert desk.aws.results == []
    (mail,) = desk.aws.mails
    assert mail["Subject"] == "[delivery] mlops-delivery: 1 permission widens in Prod"
    headings = ("What happened", "Why", "What was done by itself", "What to do next")
    assert [line for line in mail["Message"].splitlines() if line in headings] == list(headings)
    assert f"- {LINE}" in mail["Message"]


def test_fails_where_something_widens_and_nobody_could_be_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALERTS_TOPIC_ARN")
    write(desk, WIDE)
    desk.aws.states = [{"status": "InProgress", "token": "new"}]
    with pytest.raises(CommandError, match="nobody can be told"):
        desk.run(approval=ACTION)
    assert rejected(desk).endswith("ALERTS_TOPIC_ARN is not set, so nobody can be told what widens")


def rejected(desk: Desk) -> str:
    """Return why the approval was rejected."""
    (result,) = desk.aws.results
    assert (result["token"], result["result"]["status"]) == ("new", "Rejected")
    assert f"{ACTION} is rejected" in desk.said
    return str(result["result"]["summary"])


@pytest.mark.parametrize(
    ("stages", "broken", "told"),
    [
        ("prod", "UPDATE_IN_PROGRESS", "is UPDATE_IN_PROGRESS"),
        ("production", "UPDATE_COMPLETE", "STAGES must name some of"),
    ],
)
def test_where_it_cannot_tell_the_approval_is_rejected_with_the_reason(
    desk: Desk, stages: str, broken: str, told: str
) -> None:
    desk.aws.status = broken
    desk.aws.states = [{}, {"status": "InProgress", "token": "new"}]
    with pytest.raises(CommandError, match=told):
        desk.run(stages, approval=ACTION)
    assert told in rejected(desk)
    assert desk.aws.mails == []


def test_a_fault_of_the_program_rejects_it_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("Resources")

    monkeypatch.setattr(permissions, "pairs", broken)
    desk.aws.states = [{"status": "InProgress", "token": "new"}]
    with pytest.raises(KeyError):
        desk.run(approval=ACTION)
    assert rejected(desk) == "Rejected by make permissions, which broke: 'Resources'"


def test_where_it_cannot_be_rejected_either_the_first_reason_is_told(desk: Desk) -> None:
    desk.aws.states = [{}]
    with pytest.raises(CommandError, match="STAGES must name some of"):
        desk.run("production", approval=ACTION)
    assert desk.said == [
        f"{ACTION} could not be rejected either: {ACTION} didn't ask for an approval within 0.05 s; if it does, a"
        " person must answer"
    ]


def test_without_an_approval_nothing_is_rejected(desk: Desk) -> None:
    with pytest.raises(CommandError, match="STAGES must name some of"):
        desk.run("production")
    assert desk.aws.results == []


def test_a_person_who_was_faster_is_no_failure(desk: Desk) -> None:
    desk.aws.states = [{"status": "InProgress", "token": "new"}]
    desk.aws.refuse = "ApprovalAlreadyCompletedException"
    assert desk.run(approval=ACTION) == 0
    assert "somebody else" in desk.said[-1]
    desk.aws.states = [{"status": "Succeeded"}]
    assert desk.run(approval=ACTION) == 0


def test_an_answer_that_is_refused_is_a_failure(desk: Desk) -> None:
    desk.aws.states = [{"status": "InProgress", "token": "new"}]
    desk.aws.refuse = "AccessDeniedException"
    with pytest.raises(botocore.exceptions.ClientError):
        desk.run(approval=ACTION)


def test_fails_where_it_is_never_asked(desk: Desk) -> None:
    desk.aws.states = [{}]
    with pytest.raises(CommandError, match="didn't ask for an approval"):
        desk.run(approval=ACTION)


def test_fails_where_the_pipeline_has_no_such_action(desk: Desk) -> None:
    desk.aws.states = [{}]
    with pytest.raises(CommandError, match="the pipeline has no such action"):
        desk.run(approval="mlops-delivery/Prod/Confirm")


def test_a_message_stays_within_what_a_topic_takes() -> None:
    lines = [f"ProdStack: role {number} may now do {'x' * 500}" for number in range(2000)]
    subject, body = permissions.message(Approval.parse(ACTION), ["prod"], "c", lines)
    assert len(subject) <= 100
    assert len(body.encode()) < 256 * 1024
    assert "- and more" in body
