"""The pipeline by which an approved version is tried in staging and released to prod."""

from __future__ import annotations

import json

import pytest

from cdk_mlops import AlertTopic, StartOnApproval
from tests.library.library_app import new_stack
from tests.library.policy_audit import as_list
from tests.stacks.delivery_kit import buildspec, pipeline_named, project, role, stages
from tests.stacks.installations import resources, template

VERSIONS = "mlops-versions"
GROUP = "arn:aws:sagemaker:us-east-1:333333333333:model-package/mammo-severity-model-package/*"


def test_there_is_none_unless_the_settings_ask_for_it() -> None:
    with pytest.raises(ValueError, match="expected 1"):
        pipeline_named(VERSIONS, "full")


def test_a_version_is_tried_in_staging_then_approved_by_a_person_then_released() -> None:
    found = stages("versions", VERSIONS)
    assert [(stage, [one["Name"] for one in actions]) for stage, actions in found.items()] == [
        ("Source", ["Source"]),
        ("Staging", ["Check"]),
        ("Approve", ["ReleaseToProd"]),
        ("Release", ["Release"]),
    ]
    assert found["Approve"][0]["ActionTypeId"]["Category"] == "Approval"


def test_versions_take_turns_and_no_push_starts_a_release() -> None:
    pipeline = pipeline_named(VERSIONS, "versions")
    assert (pipeline["PipelineType"], pipeline["ExecutionMode"]) == ("V2", "QUEUED")
    assert [one["Name"] for one in pipeline["Variables"]] == ["MODEL", "VERSION"]
    (source,) = stages("versions", VERSIONS)["Source"]
    assert source["Configuration"]["DetectChanges"] is False


@pytest.mark.parametrize(("stage", "step"), [("Staging", "check-version"), ("Release", "release")])
def test_builds_get_the_version_as_variables_that_the_shell_quotes(stage: str, step: str) -> None:
    (action,) = stages("versions", VERSIONS)[stage]
    given = {one["name"]: one["value"] for one in json.loads(action["Configuration"]["EnvironmentVariables"])}
    assert given == {
        "MODEL": "#{variables.MODEL}",
        "VERSION": "#{variables.VERSION}",
        "GIT_COMMIT": "#{Source.CommitId}",
        "MLOPS_BUILD": "true",
    }
    assert 'VERSION="$VERSION" MODEL="$MODEL"' in json.dumps(
        buildspec(f"mlops-delivery-{step}", "versions")
    ).replace('\\"', '"')


def test_the_commands_are_make_targets() -> None:
    check = buildspec("mlops-delivery-check-version", "versions")["phases"]["build"]["commands"]
    assert [command.split(" VERSION=")[0] for command in check] == [
        "make synth",
        "make check-stage STAGE=staging",
    ]
    (release,) = buildspec("mlops-delivery-release", "versions")["phases"]["build"]["commands"]
    assert release.startswith("make release ")


def test_the_check_runs_with_the_role_that_stagings_checker_trusts() -> None:
    roles = {
        project(f"mlops-delivery-{step}", "versions")["ServiceRole"]["Fn::GetAtt"][0]
        for step in ("check-version", "check-staging")
    }
    assert len(roles) == 1


def test_a_release_may_write_that_one_life_cycle_and_approve_nothing() -> None:
    (policy,) = role("mlops-delivery-release", "versions")["Policies"]
    statements = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
    release = statements["Release"]
    assert as_list(release["Action"]) == ["sagemaker:UpdateModelPackage"]
    assert as_list(release["Resource"]) == [GROUP]
    assert release["Condition"] == {
        "StringEquals": {
            "sagemaker:ModelLifeCycle:stage": "prod",
            "sagemaker:ModelLifeCycle:stageStatus": "released",
        },
        "Null": {"sagemaker:ModelApprovalStatus": "true"},
    }


def test_the_pipeline_deploys_nothing() -> None:
    (policy,) = role("mlops-versions-pipeline", "versions")["Policies"]
    statements = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
    assert "Deploy" not in statements
    assert sorted(one.rsplit("/")[-1] for one in statements["Builds"]["Resource"]) == [
        "mlops-delivery-check-version",
        "mlops-delivery-release",
    ]


def test_an_approval_of_one_of_the_installations_models_starts_it() -> None:
    found = template("versions", "DeliveryStack")
    (rule,) = [
        one
        for one in resources(found, "AWS::Events::Rule").values()
        if one["EventPattern"]["source"] == ["aws.sagemaker"]
    ]
    assert rule["EventPattern"]["detail"] == {
        "ModelPackageGroupName": ["mammo-severity-model-package"],
        "ModelApprovalStatus": ["Approved", "Rejected"],
    }
    (function,) = [
        one
        for one in resources(found, "AWS::Lambda::Function").values()
        if one["Handler"] == "approval_starter.handler.handle"
    ]
    assert function["Environment"]["Variables"] == {
        "PIPELINE_NAME": VERSIONS,
        "SOURCE_ACTION": "Source",
        "DELIVERY_PIPELINE_NAME": "mlops-delivery",
        "DELIVERED_STAGE": "Prod",
        "MODELS": "mammo-severity-model-package=mammography",
    }
    assert "Prod" in stages("versions")


@pytest.mark.parametrize(
    ("stack", "used"), [("DevStack", "any"), ("StagingStack", "any"), ("ProdStack", "released")]
)
def test_only_prod_waits_for_a_release(stack: str, used: str) -> None:
    functions = resources(template("versions", stack), "AWS::Lambda::Function").values()
    (resolver,) = [one for one in functions if one["Handler"] == "model_resolver.handler.handle"]
    assert resolver["Environment"]["Variables"]["VERSIONS"] == used


def test_nobody_who_trains_may_register_a_version_as_released() -> None:
    roles = resources(template("versions", "ProdStack"), "AWS::IAM::Role").values()
    (trainer,) = [one for one in roles if one.get("RoleName") == "mammo-severity-prod-train"]
    (policy,) = trainer["Policies"]
    statements = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
    registering = statements["RegisterAsWaiting"]["Condition"]
    (group,) = resources(template("versions", "RegistryStack"), "AWS::SageMaker::ModelPackageGroup").values()
    (admitted,) = [
        one for one in group["ModelPackageGroupPolicy"]["Statement"] if one["Sid"] == "TrainRolesRegister"
    ]
    for condition in (registering, admitted["Condition"]):
        assert condition["Null"] == {"sagemaker:ModelLifeCycle:stage": "true"}
        assert condition["StringEquals"] == {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}


def test_the_starter_withdraws_releases_and_can_give_none() -> None:
    (policy,) = role("mlops-delivery-starter", "versions")["Policies"]
    statements = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
    writing = [
        sid for sid, one in statements.items() if "sagemaker:UpdateModelPackage" in as_list(one["Action"])
    ]
    assert writing == ["Withdraw"]
    assert statements["Withdraw"]["Condition"] == {
        "StringEquals": {
            "sagemaker:ModelLifeCycle:stage": "prod",
            "sagemaker:ModelLifeCycle:stageStatus": "withdrawn",
        },
        "Null": {"sagemaker:ModelApprovalStatus": "true"},
    }
    assert as_list(statements["Withdraw"]["Resource"]) == [GROUP]


def test_the_starter_starts_this_pipeline_and_reads_the_other() -> None:
    (policy,) = role("mlops-delivery-starter", "versions")["Policies"]
    statements = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
    assert statements["Start"]["Resource"] == f"arn:aws:codepipeline:us-east-1:333333333333:{VERSIONS}"
    assert statements["Delivered"]["Resource"] == "arn:aws:codepipeline:us-east-1:333333333333:mlops-delivery"
    assert as_list(statements["Versions"]["Resource"]) == [GROUP]


def test_its_outcomes_are_told_too() -> None:
    found = template("versions", "DeliveryStack")
    patterns = [one["EventPattern"] for one in resources(found, "AWS::Events::Rule").values()]
    told = [one["detail"] for one in patterns if one["source"] == ["aws.codepipeline"]]
    assert all(detail["pipeline"] == ["mlops-delivery", VERSIONS] for detail in told)
    (waiting,) = [detail["action"] for detail in told if detail["state"] == ["STARTED"]]
    assert waiting == ["PromoteToProd", "ReleaseToProd"]


def test_fails_without_a_model() -> None:
    stack = new_stack()
    with pytest.raises(ValueError, match="models must name at least one package group"):
        StartOnApproval(
            stack,
            "Starter",
            pipeline_name="p",
            source_action="Source",
            delivery_pipeline_name="d",
            delivered_stage="Prod",
            models={},
            alerts=AlertTopic(stack, "Topic", stage="delivery"),
        )
