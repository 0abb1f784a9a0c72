"""The central model registry across accounts, with IAM and resource policies enforced."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.cloud import LocalCloud
from tests.local_cloud.engine_kit import (
    DEV,
    REGISTRY,
    allow,
    as_role,
    denied,
    eventually,
    make_role,
    queue,
    received,
    unique,
)
from tests.local_cloud_sagemaker.definitions import (
    get,
    inference,
    model,
    pipeline,
    register,
    training,
    transform,
)
from tests.local_cloud_sagemaker.stage import ROLE, Stage, package_group

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("sagemaker")]

VERSION: dict[str, Any] = {"InferenceSpecification": inference("s3://bucket/model.tar.gz")}


def packages_of(group: str) -> str:
    return group.replace(":model-package-group/", ":model-package/") + "/*"


def admit(role: str, group: str, *actions: str) -> dict[str, Any]:
    return {
        "Principal": {"AWS": f"arn:aws:iam::{DEV}:root"},
        **allow(*actions, on=[group, packages_of(group)]),
        "Condition": {"ArnEquals": {"aws:PrincipalArn": role}},
    }


def put_policy(cloud: LocalCloud, group: str, statement: dict[str, Any]) -> None:
    cloud.session(REGISTRY).client("sagemaker").put_model_package_group_policy(
        ModelPackageGroupName=group.rsplit("/", 1)[-1],
        ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def test_versions_come_in_pages(cloud: LocalCloud) -> None:
    sagemaker, group = cloud.session(REGISTRY).client("sagemaker"), package_group(cloud)
    for _ in range(12):
        sagemaker.create_model_package(ModelPackageGroupName=group, **VERSION)
    first = sagemaker.list_model_packages(ModelPackageGroupName=group, SortOrder="Descending")
    assert [item["ModelPackageVersion"] for item in first["ModelPackageSummaryList"]] == list(
        range(12, 2, -1)
    )
    rest = sagemaker.list_model_packages(
        ModelPackageGroupName=group, SortOrder="Descending", NextToken=first["NextToken"]
    )
    assert [item["ModelPackageVersion"] for item in rest["ModelPackageSummaryList"]] == [2, 1]
    assert "NextToken" not in rest


def test_a_foreign_role_registers_only_where_both_accounts_allow(cloud: LocalCloud) -> None:
    group = package_group(cloud)
    role = make_role(cloud, DEV, allow("sagemaker:CreateModelPackage", on=packages_of(group)))
    sagemaker = cloud.assume(role, session_name="test").client("sagemaker")
    assert "CreateModelPackage" in denied(
        sagemaker.create_model_package, ModelPackageGroupName=group, **VERSION
    )
    put_policy(cloud, group, admit(role, group, "sagemaker:CreateModelPackage"))
    arn = sagemaker.create_model_package(ModelPackageGroupName=group, **VERSION)["ModelPackageArn"]
    assert arn == packages_of(group).replace("*", "1")
    stranger = as_role(cloud, DEV, allow("sagemaker:CreateModelPackage", on=packages_of(group)))
    denied(stranger.client("sagemaker").create_model_package, ModelPackageGroupName=group, **VERSION)


def test_the_approval_status_can_be_held_to_pending(cloud: LocalCloud) -> None:
    group = package_group(cloud)
    pending = {"StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}}
    everything = ("sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage")
    session = as_role(cloud, REGISTRY, allow(*everything, on=packages_of(group), when=pending))
    sagemaker = session.client("sagemaker")
    arn = sagemaker.create_model_package(ModelPackageGroupName=group, **VERSION)["ModelPackageArn"]
    denied(
        sagemaker.create_model_package, ModelPackageGroupName=group, ModelApprovalStatus="Approved", **VERSION
    )
    denied(sagemaker.update_model_package, ModelPackageArn=arn, ModelApprovalStatus="Approved")


def test_a_life_cycle_is_kept_and_can_be_the_only_thing_that_a_role_writes(cloud: LocalCloud) -> None:
    group = package_group(cloud)
    root = cloud.session(REGISTRY).client("sagemaker")
    arn = root.create_model_package(ModelPackageGroupName=group, **VERSION)["ModelPackageArn"]
    released = {"Stage": "prod", "StageStatus": "released", "StageDescription": "tried in staging"}
    only = {
        "StringEquals": {
            "sagemaker:ModelLifeCycle:stage": "prod",
            "sagemaker:ModelLifeCycle:stageStatus": "released",
        },
        "Null": {"sagemaker:ModelApprovalStatus": "true"},
    }
    role = as_role(cloud, REGISTRY, allow("sagemaker:UpdateModelPackage", on=packages_of(group), when=only))
    update = role.client("sagemaker").update_model_package
    denied(update, ModelPackageArn=arn, ModelApprovalStatus="Approved")
    denied(update, ModelPackageArn=arn, ModelApprovalStatus="Approved", ModelLifeCycle=released)
    denied(update, ModelPackageArn=arn, ModelLifeCycle={**released, "Stage": "staging"})
    denied(update, ModelPackageArn=arn, ModelLifeCycle={**released, "StageStatus": "withdrawn"})
    update(ModelPackageArn=arn, ModelLifeCycle=released)
    assert root.describe_model_package(ModelPackageName=arn)["ModelLifeCycle"] == released
    (listed,) = root.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert listed["ModelLifeCycle"] == released


def test_a_version_can_be_kept_from_being_registered_with_a_life_cycle(cloud: LocalCloud) -> None:
    group = package_group(cloud)
    without = {"Null": {"sagemaker:ModelLifeCycle:stage": "true"}}
    role = as_role(
        cloud, REGISTRY, allow("sagemaker:CreateModelPackage", on=packages_of(group), when=without)
    )
    create = role.client("sagemaker").create_model_package
    life = {"Stage": "prod", "StageStatus": "released"}
    denied(create, ModelPackageGroupName=group, ModelLifeCycle=life, **VERSION)
    assert create(ModelPackageGroupName=group, **VERSION)["ModelPackageArn"]


def test_a_version_tells_who_registered_and_who_decided_about_it(cloud: LocalCloud) -> None:
    group = package_group(cloud)
    everything = ("sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage")
    registrar = as_role(cloud, REGISTRY, allow(*everything, on=packages_of(group)))
    root = cloud.session(REGISTRY).client("sagemaker")
    arn = registrar.client("sagemaker").create_model_package(ModelPackageGroupName=group, **VERSION)[
        "ModelPackageArn"
    ]
    root.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    found = root.describe_model_package(ModelPackageName=arn)
    who = registrar.client("sts").get_caller_identity()["Arn"]
    assert found["CreatedBy"]["IamIdentity"]["Arn"] == who
    assert found["LastModifiedBy"]["IamIdentity"]["Arn"] == f"arn:aws:iam::{REGISTRY}:root"


def test_listing_versions_needs_both_resources(cloud: LocalCloud) -> None:
    group = package_group(cloud)
    half = as_role(cloud, REGISTRY, allow("sagemaker:ListModelPackages", on=group)).client("sagemaker")
    denied(half.list_model_packages, ModelPackageGroupName=group)
    both = allow("sagemaker:ListModelPackages", on=[group, packages_of(group)])
    whole = as_role(cloud, REGISTRY, both).client("sagemaker")
    assert whole.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"] == []


def test_a_version_that_changes_is_told_in_the_registry_account(cloud: LocalCloud) -> None:
    url, arn = queue(cloud, REGISTRY, "events.amazonaws.com")
    events, rule = cloud.session(REGISTRY).client("events"), unique("rule")
    group = package_group(cloud)
    name = group.rsplit("/", 1)[-1]
    pattern = {
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [name]},
    }
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    sagemaker = cloud.session(REGISTRY).client("sagemaker")
    version = sagemaker.create_model_package(ModelPackageGroupName=group, **VERSION)["ModelPackageArn"]
    sagemaker.update_model_package(
        ModelPackageArn=version, ModelApprovalStatus="Approved", ApprovalDescription="fine"
    )
    life = {"Stage": "prod", "StageStatus": "released"}
    sagemaker.update_model_package(ModelPackageArn=version, ModelLifeCycle=life)
    told: list[dict[str, Any]] = []

    def all_told() -> bool:
        told.extend(json.loads(message["Body"])["detail"] for message in received(cloud, REGISTRY, url))
        return len(told) >= 3

    eventually(all_told)
    assert [item["ModelApprovalStatus"] for item in told] == ["PendingManualApproval", "Approved", "Approved"]
    assert [item.get("ModelLifeCycle") for item in told] == [None, None, life]
    assert (told[1]["ModelPackageVersion"], told[1]["ModelPackageArn"]) == (1, version)


def test_a_group_with_versions_is_not_deleted(cloud: LocalCloud) -> None:
    sagemaker, group = cloud.session(REGISTRY).client("sagemaker"), package_group(cloud)
    version = sagemaker.create_model_package(ModelPackageGroupName=group, **VERSION)["ModelPackageArn"]
    with pytest.raises(ClientError, match="ConflictException"):
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    sagemaker.delete_model_package(ModelPackageName=version)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName=group)


def test_a_model_goes_from_training_in_one_account_through_the_registry_to_its_scores(
    cloud: LocalCloud,
) -> None:
    stage = Stage(cloud)
    group = package_group(cloud)
    actions = [f"sagemaker:{name}" for name in ("CreateModelPackage", "DescribeModelPackage", "CreateModel")]
    stage.role = stage.make_role(allow(*actions, on=packages_of(group)))
    put_policy(cloud, group, admit(stage.role, group, *actions))
    stage.put("train/a.csv", "\n".join(f"{i % 2},{i % 2 * 4 + i % 3},{i % 5}" for i in range(60)))
    artifact = get("Steps.Train.ModelArtifacts.S3ModelArtifacts")
    trained = stage.run(
        pipeline(
            training("Train", stage.uri("train"), stage.uri("models"), eval_metric="auc"),
            register("Register", group, artifact, CustomerMetadataProperties={"data_rows": "60"}),
            parameters=[ROLE],
        )
    )
    assert trained.status == "Succeeded", trained.steps
    version = trained.steps["Register"]["Metadata"]["RegisterModel"]["Arn"]
    stage.put("batch/b.csv", "id1,0,1\nid2,5,\n")
    scoring = pipeline(
        model("CreateModel", version),
        transform(
            "Score",
            get("Steps.CreateModel.ModelName"),
            stage.uri("batch"),
            stage.uri("predictions"),
            DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
        ),
        parameters=[ROLE],
    )
    refused = stage.run(scoring)
    assert "must be Approved" in refused.reason("CreateModel")
    cloud.session(REGISTRY).client("sagemaker").update_model_package(
        ModelPackageArn=version, ModelApprovalStatus="Approved"
    )
    scored = stage.run(scoring)
    assert scored.status == "Succeeded", scored.steps
    assert stage.keys("predictions/") == ["predictions/b.csv.out"]
    lines = [line.split(",") for line in stage.read("predictions/b.csv.out").splitlines()]
    assert [cells[0] for cells in lines] == ["id1", "id2"]
    assert float(lines[0][1]) < 0.5 < float(lines[1][1])


def test_a_header_in_the_batch_fails_the_transform(cloud: LocalCloud) -> None:
    stage = Stage(cloud)
    stage.put("train/a.csv", "\n".join(f"{i % 2},{i % 2 * 4 + i % 3},{i % 5}" for i in range(60)))
    trained = stage.run(
        pipeline(training("Train", stage.uri("train"), stage.uri("models")), parameters=[ROLE])
    )
    job = trained.steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[-1]
    artifact = next(key for key in stage.keys("models/") if job in key.lower())
    container = inference(stage.uri(artifact))["Containers"][0]
    stage.put("batch/b.csv", "BIRADS,Age\n5,67\n")
    create = model("CreateModel", "unused")
    create["Arguments"]["PrimaryContainer"] = container
    score = transform("Score", get("Steps.CreateModel.ModelName"), stage.uri("batch"), stage.uri("out"))
    run = stage.run(pipeline(create, score, parameters=[ROLE]))
    assert "415" in run.reason("Score")
    assert "'BIRADS' isn't a number" in run.reason("Score")
