"""Findings are acknowledged one by one, with reasons that are true, and no longer than they are found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sqs as sqs

from stacks.settings import load
from tests.compliance.acknowledgements import Acknowledgement, compare, read
from tests.compliance.findings import Finding, detail_of, findings, names_of, place_of
from tests.stacks.installations import SETTINGS, template

REASON = "This is long enough to say why that finding is nothing that anybody should change here."
LINK = "https://docs.aws.amazon.com/kms/latest/developerguide/overview.html"
ENTRY = f"""
- rules: [Pack-Rule]
  reason: {REASON}
  link: {LINK}
  at: ["Stack/Queue/Resource"]
"""
HERE = Finding("Pack-Rule", "Stack/Queue/Resource")


def test_a_finding_that_is_acknowledged_is_no_failure() -> None:
    assert compare({HERE}, read(ENTRY)) == []


def test_a_finding_elsewhere_is_not_acknowledged() -> None:
    elsewhere = Finding("Pack-Rule", "Stack/Other/Resource")
    assert compare({HERE, elsewhere}, read(ENTRY)) == [f"not acknowledged: {elsewhere}"]


def test_another_detail_of_the_same_rule_is_not_acknowledged() -> None:
    wider = Finding("Pack-Rule", "Stack/Queue/Resource", "s3:::*")
    assert compare({HERE, wider}, read(ENTRY)) == [f"not acknowledged: {wider}"]


def test_an_acknowledgement_that_nothing_needs_any_more_is_a_failure() -> None:
    assert compare(set(), read(ENTRY)) == [f"acknowledged, but not found any more: {HERE}"]


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"reason": "not needed"}, "at least 12 words"),
        ({"link": "https://example.com"}, "AWS's documentation"),
        ({"covers": frozenset({Finding("Pack-Rule", "*/Resource")})}, "named in full"),
        ({"covers": frozenset({Finding("Pack-*", "Stack/Queue")})}, "named in full"),
        ({"covers": frozenset()}, "for nothing"),
    ],
)
def test_fails_for_an_acknowledgement_that_cant_convince(wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        Acknowledgement(**{"reason": REASON, "link": LINK, "covers": frozenset({HERE}), **wrong})


def test_fails_for_a_finding_that_is_acknowledged_twice() -> None:
    with pytest.raises(ValueError, match="acknowledged twice"):
        read(ENTRY + ENTRY)


def test_the_packs_find_what_is_wrong_in_a_stack() -> None:
    app = cdk.App(analytics_reporting=False)
    stack = cdk.Stack(app, "ProdStack", env=cdk.Environment(account="1" * 12, region="eu-west-1"))
    sqs.Queue(stack, "Queue")
    found = set(findings(app, {}))
    assert Finding("AwsSolutions-SQS3", "<Stage>Stack/Queue/Resource") in found
    assert Finding("AwsSolutions-SQS4", "<Stage>Stack/Queue/Resource") in found


def test_stages_and_models_have_the_same_findings_and_resources_of_others_have_not() -> None:
    names = names_of(load(SETTINGS["default"]).models)
    for stage, account in (("Dev", "1" * 12), ("Prod", "2" * 12)):
        assert place_of(f"{stage}Stack/mammo-severity/Retrain/Resource", names) == (
            "<Stage>Stack/<prefix>/Retrain/Resource"
        )
        arn = f"arn:aws:s3:::sagemaker-mlops-{stage.lower()}-{account}-us-east-1/mammography-severity-model/data/*"
        assert detail_of(f"Resource::{arn}", names) == "s3:::sagemaker-mlops-<stage>/<model>/data/*"
    assert detail_of("Resource::arn:aws:s3:::sagemaker-mlops-dev-1/other-model/data/*", names) == (
        "s3:::sagemaker-mlops-<stage>-1/other-model/data/*"
    )


# --- what reasons in the reviewed file say


def roles_statements(stack: str) -> Iterator[dict[str, Any]]:
    for resource in template("versions", stack)["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Policy":
            yield from properties["PolicyDocument"]["Statement"]
        for policy in properties.get("Policies", []) if resource["Type"] == "AWS::IAM::Role" else []:
            yield from policy["PolicyDocument"]["Statement"]


STACKS = ("RegistryStack", "DevStack", "StagingStack", "ProdStack", "DeliveryStack")


@pytest.mark.parametrize("stack", STACKS)
def test_a_statement_on_all_keys_names_one_by_its_alias(stack: str) -> None:
    asked = 0
    for statement in roles_statements(stack):
        if ":key/*" in json.dumps(statement["Resource"]):
            asked += 1
            condition = statement["Condition"]["ForAnyValue:StringEquals"]["kms:ResourceAliases"]
            assert isinstance(condition, str)
            assert condition.startswith("alias/mlops-")
    assert asked


@pytest.mark.parametrize("stack", STACKS)
def test_a_role_writes_into_no_log_group_but_its_own_and_the_jobs_streams(stack: str) -> None:
    for statement in roles_statements(stack):
        resources = json.dumps(statement["Resource"])
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if "logs:PutLogEvents" in actions:
            assert "Jobs:*" not in resources
            assert set(actions) <= {"logs:CreateLogStream", "logs:PutLogEvents"}


def test_only_functions_that_something_waits_for_have_no_dead_letter_queue() -> None:
    waited_for = {"model-resolver", "run-recorder", "pipeline-provider", "model-cleanup"}
    for stack in STACKS:
        for resource in template("versions", stack)["Resources"].values():
            if (
                resource["Type"] == "AWS::Lambda::Function"
                and "DeadLetterConfig" not in resource["Properties"]
            ):
                name = resource["Properties"]["FunctionName"]
                assert any(name.endswith(one) for one in waited_for), name


def test_what_builds_run_comes_from_codepipeline_alone() -> None:
    for resource in template("versions", "DeliveryStack")["Resources"].values():
        if resource["Type"] == "AWS::CodeBuild::Project":
            assert resource["Properties"]["Source"]["Type"] == "CODEPIPELINE"


def test_the_reviewed_file_is_readable_and_covers_no_pack_but_the_three() -> None:
    packs = ("AwsSolutions-", "NIST.800.53.R5-", "HIPAA.Security-")
    assert all(finding.rule.startswith(packs) for one in read() for finding in one.covers)
