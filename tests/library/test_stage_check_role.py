"""The role of the delivery pipeline's checks: named builds only, nothing deleted, nothing but what a check needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
import pytest

import cdk_mlops as mlops
from tests.library.library_app import (
    DEV,
    MAMMO,
    REGION,
    REGISTRY,
    new_stack,
    only,
    resources,
    statements,
    template_of,
)
from tests.library.policy_audit import findings, identity_statements

BUILD = f"arn:aws:iam::{REGISTRY}:role/mlops/delivery/build/mlops-delivery-check-staging"
GITHUB = "arn:aws:iam::444444444444:role/mlops/delivery/build/mlops-delivery-github"


def stage_with_role(**props: Any) -> dict[str, Any]:
    stack = new_stack("Staging")
    data = mlops.StageDataBucket(stack, "Data", stage="staging")
    registry = mlops.CrossAccountModelRegistry.from_attributes(
        stack, "Registry", account=REGISTRY, region=REGION
    )
    role = mlops.StageCheckRole(
        stack,
        "Checker",
        **{
            "stage": "staging",
            "principals": [BUILD],
            "data_bucket": data,
            "registry": registry,
            **props,
        },
    )
    named = mlops.SageMakerPipeline.from_pipeline_name
    train = named(stack, "Train", "mammo-severity-train-pipeline")
    inference = named(stack, "Inference", "mammo-severity-inference-pipeline")
    scheduled = mlops.ScheduledInferencePipeline(
        stack,
        "Schedule",
        model=MAMMO,
        stage="staging",
        pipeline=inference,
        schedule=mlops.BatchSchedule.cron("0 23 * * ? *"),
        enabled=False,
    )
    role.allow(MAMMO, starts=inference, looks_at=[train], scheduled=scheduled)
    return template_of(stack)


def checker(template: dict[str, Any]) -> dict[str, Any]:
    return only(template, "AWS::IAM::Role", "Checker")


def allowed(template: dict[str, Any]) -> list[Mapping[str, Any]]:
    """Return what the checker may do, of its role and of what `allow` added."""
    found: list[Mapping[str, Any]] = list(statements(checker(template)).values())
    for policy in resources(template, "AWS::IAM::Policy").values():
        if "Checker" in json.dumps(policy["Properties"]["Roles"]):
            found += identity_statements("AWS::IAM::Policy", policy["Properties"])
    return found


def resources_of(template: dict[str, Any], action: str) -> list[str]:
    """Return what an action is allowed on, as it stands behind bucket or account."""
    found = []
    for statement in allowed(template):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if action in actions:
            named = statement["Resource"]
            found += named if isinstance(named, list) else [named]
    return sorted(
        one["Fn::Join"][1][-1] if isinstance(one, dict) and "Fn::Join" in one else json.dumps(one)
        for one in found
    )


def test_only_the_named_build_roles_assume_it_through_their_accounts_root() -> None:
    (trust,) = checker(stage_with_role())["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"]["AWS"]["Fn::Join"][1][-1] == f":iam::{REGISTRY}:root"
    assert trust["Condition"] == {"ArnEquals": {"aws:PrincipalArn": [BUILD]}}


def test_build_roles_of_two_accounts_are_each_named_with_their_own_account() -> None:
    trust = checker(stage_with_role(principals=[BUILD, GITHUB]))["AssumeRolePolicyDocument"]["Statement"]
    named = {
        one["Principal"]["AWS"]["Fn::Join"][1][-1]: one["Condition"]["ArnEquals"]["aws:PrincipalArn"]
        for one in trust
    }
    assert named == {f":iam::{REGISTRY}:root": [BUILD], ":iam::444444444444:root": [GITHUB]}


def test_its_name_and_path_are_those_the_registry_admits() -> None:
    role = checker(stage_with_role())
    assert (role["Path"], role["RoleName"]) == ("/mlops/staging/checker/", "mlops-staging-checker")


def test_it_starts_one_pipeline_and_looks_at_both() -> None:
    template = stage_with_role()
    started = resources_of(template, "sagemaker:StartPipelineExecution")
    assert started == [f":sagemaker:{REGION}:{DEV}:pipeline/mammo-severity-inference-pipeline"]
    looked_at = resources_of(template, "sagemaker:ListTags")
    assert [one.rsplit("/", 1)[-1] for one in looked_at] == [
        "mammo-severity-inference-pipeline",
        "mammo-severity-train-pipeline",
    ]


def test_it_writes_checks_and_promotions_only_and_deletes_nothing() -> None:
    template = stage_with_role()
    written = resources_of(template, "s3:PutObject")
    assert [one.split("/", 1)[1] for one in written] == [
        "_promotions/*",
        "mammography-severity-model/checks/*",
    ]
    text = json.dumps(allowed(template))
    assert "s3:Delete" not in text
    assert "UpdateModelPackage" not in text
    assert "UpdatePipeline" not in text


def test_it_reads_neither_rows_nor_predictions_nor_model_artifacts() -> None:
    read = sorted(one.split("/", 1)[1] for one in resources_of(stage_with_role(), "s3:GetObject"))
    assert read == [
        "_promotions/*",
        "mammography-severity-model/*/evaluation/*",
        "mammography-severity-model/checks/*",
        "mammography-severity-model/state/alerts/*",
        "mammography-severity-model/state/retraining/*",
        "mammography-severity-model/state/scored/*",
    ]


def test_it_makes_and_deletes_only_the_stages_own_check_schedules() -> None:
    template = stage_with_role()
    own = f":scheduler:{REGION}:{DEV}:schedule/default/mlops-check-staging-*"
    assert resources_of(template, "scheduler:CreateSchedule") == [own]
    assert resources_of(template, "scheduler:DeleteSchedule") == [own]
    assert resources_of(template, "scheduler:GetSchedule") == [
        f":scheduler:{REGION}:{DEV}:schedule/default/mammo-severity-staging-inference"
    ]


def test_it_passes_the_schedules_role_to_scheduler_and_no_other_role() -> None:
    (passing,) = [one for one in allowed(stage_with_role()) if "iam:PassRole" in json.dumps(one["Action"])]
    assert "ScheduleRole" in json.dumps(passing["Resource"])
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


def test_its_policies_are_narrow() -> None:
    assert findings(stage_with_role()) == []


def test_the_audit_finds_a_checker_whose_trust_names_an_account_as_a_whole() -> None:
    role = {
        "Path": "/mlops/dev/checker/",
        "AssumeRolePolicyDocument": {"Statement": [{"Principal": {"AWS": "arn:aws:iam::1:root"}}]},
    }
    assert len(findings({"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": role}}})) == 1


@pytest.mark.parametrize(
    ("principals", "message"),
    [
        ([], "principals must name the roles that check the stage, got none"),
        (["arn:aws:iam::111111111111:root"], "principals must be ARNs of roles"),
        (["mlops-delivery-check-dev"], "principals must be ARNs of roles"),
        ([cdk.Aws.ACCOUNT_ID], "principals must be written out, not tokens"),
    ],
)
def test_fails_for_principals_that_are_no_roles(principals: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stage_with_role(principals=principals)
