"""The service's operations and what IAM is asked about them, without an engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ministack.core.responses import request_scope

from local_cloud.sagemaker import service
from tests.local_cloud_sagemaker.definitions import fail, get, inference, parameter, pipeline
from tests.local_cloud_sagemaker.service_kit import (
    DEV,
    REGION,
    REGISTRY,
    ROLE,
    Engine,
    RefusedError,
    call,
    configure,
)

TOKEN = "t" * 32
VERSION: dict[str, Any] = {"InferenceSpecification": inference("s3://b/model.tar.gz")}
GROUP = f"arn:aws:sagemaker:{REGION}:{REGISTRY}:model-package-group/group"
PACKAGES = f"arn:aws:sagemaker:{REGION}:{REGISTRY}:model-package/group"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    yield configure(tmp_path)
    service.shutdown()


@pytest.fixture
def group(engine: Engine) -> str:
    return str(
        call("CreateModelPackageGroup", REGISTRY, ModelPackageGroupName="group")["ModelPackageGroupArn"]
    )


def create(name: str = "Train-Pipeline", definition: str | None = None, **more: Any) -> str:
    body = definition or pipeline(
        fail("End", get("Parameters.Why")), parameters=[parameter("Why", default="x")]
    )
    request = {
        "PipelineName": name,
        "PipelineDefinition": body,
        "RoleArn": ROLE,
        "ClientRequestToken": TOKEN,
        **more,
    }
    return str(call("CreatePipeline", **request)["PipelineArn"])


def ended(arn: str) -> dict[str, Any]:
    for _ in range(250):
        found = call("DescribePipelineExecution", PipelineExecutionArn=arn)
        if found["PipelineExecutionStatus"] in ("Succeeded", "Failed", "Stopped"):
            return found
        time.sleep(0.02)
    raise AssertionError("it has not ended")


def register(**more: Any) -> str:
    return str(
        call("CreateModelPackage", ModelPackageGroupName=GROUP, **{**VERSION, **more})["ModelPackageArn"]
    )


# Registry


def test_versions_are_numbered_and_numbers_never_used_again(group: str) -> None:
    assert [register(), register()] == [f"{PACKAGES}/1", f"{PACKAGES}/2"]
    call("DeleteModelPackage", REGISTRY, ModelPackageName=f"{PACKAGES}/2")
    assert register() == f"{PACKAGES}/3"


def test_a_version_keeps_what_it_was_registered_with(group: str) -> None:
    metrics = {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://b/e.json"}}}
    baselines = {
        "ModelDataQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://b/s.json"}}
    }
    properties = {"cv_auc": "0.9"}
    arn = register(ModelMetrics=metrics, DriftCheckBaselines=baselines, CustomerMetadataProperties=properties)
    found = call("DescribeModelPackage", ModelPackageName=arn)
    assert found["ModelMetrics"] == metrics
    assert found["DriftCheckBaselines"] == baselines
    assert found["CustomerMetadataProperties"] == properties
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert found["CreationTime"] == pytest.approx(time.time(), abs=5)


def test_an_update_changes_the_status_and_tells_why(group: str, engine: Engine) -> None:
    arn = register(CustomerMetadataProperties={"a": "1", "b": "2"})
    call(
        "UpdateModelPackage", REGISTRY, ModelPackageArn=arn, ModelApprovalStatus="Rejected", ApprovalDescription="no",
        CustomerMetadataProperties={"c": "3"}, CustomerMetadataPropertiesToRemove=["a"],
    )  # fmt: skip
    found = call("DescribeModelPackage", REGISTRY, ModelPackageName=arn)
    assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == ("Rejected", "no")
    assert found["CustomerMetadataProperties"] == {"b": "2", "c": "3"}
    account, detail_type, detail = engine.events[-1]
    assert (account, detail_type) == (REGISTRY, "SageMaker Model Package State Change")
    assert (detail["ModelApprovalStatus"], detail["ModelPackageVersion"]) == ("Rejected", 1)


def test_a_repeated_client_token_registers_nothing_twice(group: str) -> None:
    assert register(ClientToken=TOKEN) == register(ClientToken=TOKEN)
    assert len(call("ListModelPackages", ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]) == 1


def test_versions_are_listed_by_status(group: str) -> None:
    register()
    call("UpdateModelPackage", REGISTRY, ModelPackageArn=register(), ModelApprovalStatus="Approved")
    listed = call("ListModelPackages", ModelPackageGroupName=GROUP, ModelApprovalStatus="Approved")
    assert [item["ModelPackageVersion"] for item in listed["ModelPackageSummaryList"]] == [2]


@pytest.mark.parametrize(("size", "good"), [(1, True), (100, True), (101, False), (0, False)])
def test_a_page_has_1_to_100_versions(group: str, size: int, good: bool) -> None:
    if good:
        call("ListModelPackages", ModelPackageGroupName=GROUP, MaxResults=size)
    else:
        with pytest.raises(RefusedError, match="ValidationException"):
            call("ListModelPackages", ModelPackageGroupName=GROUP, MaxResults=size)


def test_a_token_of_another_request_is_refused(group: str) -> None:
    for _ in range(2):
        register()
    token = call("ListModelPackages", ModelPackageGroupName=GROUP, MaxResults=1)["NextToken"]
    with pytest.raises(RefusedError, match="NextToken"):
        call("ListModelPackages", ModelPackageGroupName=GROUP, SortOrder="Descending", NextToken=token)
    with pytest.raises(RefusedError, match="NextToken"):
        call("ListModelPackages", ModelPackageGroupName=GROUP, NextToken="nonsense")


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("CreateModelPackageGroup", {"ModelPackageGroupName": "group"}, "already exists"),
        ("DescribeModelPackageGroup", {"ModelPackageGroupName": "other"}, "does not exist"),
        ("GetModelPackageGroupPolicy", {"ModelPackageGroupName": "group"}, "Cannot find resource policy"),
        ("PutModelPackageGroupPolicy", {"ModelPackageGroupName": "group", "ResourcePolicy": "{"}, "not JSON"),
        ("DescribeModelPackage", {"ModelPackageName": f"{PACKAGES}/9"}, "does not exist"),
        (
            "UpdateModelPackage",
            {"ModelPackageArn": f"{PACKAGES}/1", "ModelApprovalStatus": "Maybe"},
            "enum value set",
        ),
        ("CreateModelPackage", {"ModelPackageGroupName": "group"}, "InferenceSpecification"),
        ("CreateModelPackageGroup", {"ModelPackageGroupName": "a b"}, "regular expression"),
        ("CreateModelPackageGroup", {}, "ModelPackageGroupName"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    group: str, operation: str, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(RefusedError, match=message) as caught:
        call(operation, REGISTRY, **request_)
    assert caught.value.code == "ValidationException"


def test_an_operation_that_is_not_emulated_says_so(engine: Engine) -> None:
    with pytest.raises(RefusedError, match="doesn't emulate sagemaker:CreateEndpoint"):
        call("CreateEndpoint")


# Pipelines


def test_every_definition_is_a_version(engine: Engine) -> None:
    create()
    newer = pipeline(fail("Other"))
    answer = call("UpdatePipeline", PipelineName="Train-Pipeline", PipelineDefinition=newer)
    assert answer["PipelineVersionId"] == 2
    assert call("DescribePipeline", PipelineName="Train-Pipeline")["PipelineDefinition"] == newer
    first = call("DescribePipeline", PipelineName="Train-Pipeline", PipelineVersionId=1)
    assert '"End"' in first["PipelineDefinition"]
    with pytest.raises(RefusedError, match="ResourceNotFound"):
        call("DescribePipeline", PipelineName="Train-Pipeline", PipelineVersionId=3)


def test_a_refused_definition_leaves_the_pipeline_as_it_was(engine: Engine) -> None:
    create()
    before = call("DescribePipeline", PipelineName="Train-Pipeline")
    with pytest.raises(RefusedError, match="undefined parameter"):
        call(
            "UpdatePipeline",
            PipelineName="Train-Pipeline",
            PipelineDefinition=pipeline(fail("E", get("Parameters.X"))),
        )
    assert call("DescribePipeline", PipelineName="Train-Pipeline") == before


def test_names_are_unique_whatever_their_case_and_lower_in_arns(engine: Engine) -> None:
    assert create() == f"arn:aws:sagemaker:{REGION}:{DEV}:pipeline/train-pipeline"
    with pytest.raises(RefusedError, match="must be unique"):
        create("train-pipeline", ClientRequestToken="u" * 32)
    assert create() == f"arn:aws:sagemaker:{REGION}:{DEV}:pipeline/train-pipeline"  # the same token


def test_a_deleted_pipeline_is_gone(engine: Engine) -> None:
    create()
    call("DeletePipeline", PipelineName="Train-Pipeline", ClientRequestToken=TOKEN)
    for operation, more in (("DescribePipeline", {}), ("DeletePipeline", {"ClientRequestToken": TOKEN})):
        with pytest.raises(RefusedError, match="ResourceNotFound"):
            call(operation, PipelineName="Train-Pipeline", **more)


def test_an_execution_remembers_definition_and_parameters(engine: Engine) -> None:
    create()
    arn = call(
        "StartPipelineExecution", PipelineName="Train-Pipeline", ClientRequestToken=TOKEN,
        PipelineParameters=[{"Name": "Why", "Value": "y"}],
    )["PipelineExecutionArn"]  # fmt: skip
    assert ended(arn)["PipelineExecutionStatus"] == "Failed"
    call("UpdatePipeline", PipelineName="Train-Pipeline", PipelineDefinition=pipeline(fail("Other")))
    assert (
        '"End"'
        in call("DescribePipelineDefinitionForExecution", PipelineExecutionArn=arn)["PipelineDefinition"]
    )
    listed = call("ListPipelineParametersForExecution", PipelineExecutionArn=arn)["PipelineParameters"]
    assert listed == [{"Name": "Why", "Value": "y"}]
    step = call("ListPipelineExecutionSteps", PipelineExecutionArn=arn)["PipelineExecutionSteps"][0]
    assert (step["StepName"], step["FailureReason"], step["Metadata"]) == (
        "End",
        "y",
        {"Fail": {"ErrorMessage": "y"}},
    )
    with pytest.raises(RefusedError, match="ConflictException"):
        call("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=TOKEN)


def test_a_rule_starts_a_pipeline_once_for_a_token(engine: Engine) -> None:
    arn = create()
    given = [{"Name": "Why", "Value": "drift"}]
    first = service.start_pipeline(DEV, REGION, arn, given, "short-token")
    assert service.start_pipeline(DEV, REGION, arn, given, "short-token") == first
    ended(first)


def test_a_role_that_cannot_be_assumed_starts_nothing(engine: Engine) -> None:
    create(RoleArn=f"arn:aws:iam::{DEV}:role/refused")
    with pytest.raises(RefusedError, match="Could not assume role"):
        call("StartPipelineExecution", PipelineName="Train-Pipeline", ClientRequestToken=TOKEN)
    assert call("ListPipelineExecutions", PipelineName="Train-Pipeline")["PipelineExecutionSummaries"] == []


def test_tags_are_added_listed_and_removed(engine: Engine) -> None:
    arn = create(Tags=[{"Key": "mlops:stage", "Value": "dev"}])
    call("AddTags", ResourceArn=arn, Tags=[{"Key": "mlops:kind", "Value": "train"}])
    call("DeleteTags", ResourceArn=arn, TagKeys=["mlops:stage"])
    assert call("ListTags", ResourceArn=arn)["Tags"] == [{"Key": "mlops:kind", "Value": "train"}]
    with pytest.raises(RefusedError, match="Could not find resource"):
        call("ListTags", ResourceArn=arn + "x")


def test_a_saved_state_is_taken_up_again(group: str, tmp_path: Path) -> None:
    register()
    state = service.get_state()
    service.reset()
    with pytest.raises(RefusedError, match="does not exist"):
        call("DescribeModelPackageGroup", REGISTRY, ModelPackageGroupName="group")
    service.load_persisted_state(state)
    assert call("DescribeModelPackage", ModelPackageName=f"{PACKAGES}/1")["ModelPackageVersion"] == 1


# What IAM is asked


def asked(operation: str, **body: Any) -> dict[tuple[str, str], dict[str, Any]]:
    with request_scope(DEV, REGION):
        return {
            (action, resource): context for action, resource, context in service.actions_for(operation, body)
        }


def own(kind: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{DEV}:{kind}"


@pytest.mark.parametrize(
    ("operation", "body", "resource"),
    [
        ("CreateModelPackageGroup", {"ModelPackageGroupName": "g"}, own("model-package-group/g")),
        ("DescribeModelPackageGroup", {"ModelPackageGroupName": GROUP}, GROUP),
        ("CreateModelPackage", {"ModelPackageGroupName": GROUP}, f"{PACKAGES}/*"),
        ("DescribeModelPackage", {"ModelPackageName": f"{PACKAGES}/1"}, f"{PACKAGES}/1"),
        ("UpdateModelPackage", {"ModelPackageArn": f"{PACKAGES}/1"}, f"{PACKAGES}/1"),
        ("ListModelPackageGroups", {}, "*"),
        ("DescribePipeline", {"PipelineName": "P"}, own("pipeline/p")),
        ("StartPipelineExecution", {"PipelineName": own("pipeline/p")}, own("pipeline/p")),
        ("ListPipelineExecutions", {"PipelineName": "P"}, own("pipeline/p")),
        ("ListPipelines", {}, "*"),
        (
            "ListPipelineExecutionSteps",
            {"PipelineExecutionArn": own("pipeline/p/execution/x")},
            own("pipeline/p/execution/x"),
        ),
        ("DescribeProcessingJob", {"ProcessingJobName": "J"}, own("processing-job/j")),
        ("StopTrainingJob", {"TrainingJobName": "J"}, own("training-job/j")),
        ("CreateTransformJob", {"TransformJobName": "J", "ModelName": "m"}, own("transform-job/j")),
        ("DeleteModel", {"ModelName": "m"}, own("model/m")),
        ("ListTags", {"ResourceArn": own("pipeline/p")}, own("pipeline/p")),
        ("DescribePipeline", {"PipelineName": "arn:aws:s3:::x"}, "*"),
    ],
)
def test_a_request_is_about_its_resource(
    engine: Engine, operation: str, body: dict[str, Any], resource: str
) -> None:
    assert list(asked(operation, **body)) == [(f"sagemaker:{operation}", resource)]


def test_listing_versions_asks_for_group_and_packages(engine: Engine) -> None:
    assert set(asked("ListModelPackages", ModelPackageGroupName=GROUP)) == {
        ("sagemaker:ListModelPackages", GROUP),
        ("sagemaker:ListModelPackages", f"{PACKAGES}/*"),
    }


def test_a_model_of_a_foreign_package_asks_for_the_package_too(engine: Engine) -> None:
    wanted = asked(
        "CreateModel",
        ModelName="m",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"ModelPackageName": f"{PACKAGES}/1"},
    )
    assert set(wanted) == {
        ("sagemaker:CreateModel", own("model/m")),
        ("sagemaker:CreateModel", f"{PACKAGES}/1"),
        ("iam:PassRole", ROLE),
    }
    assert wanted[("iam:PassRole", ROLE)]["iam:PassedToService"] == "sagemaker.amazonaws.com"


def test_the_approval_status_is_a_condition_key_with_its_default(engine: Engine) -> None:
    key = "sagemaker:ModelApprovalStatus"
    with request_scope(DEV, REGION):
        said = {"ModelPackageArn": f"{PACKAGES}/1", "ModelApprovalStatus": "Approved"}
        assert service.condition_context_for("UpdateModelPackage", said)[key] == "Approved"
        silent = service.condition_context_for("CreateModelPackage", {"ModelPackageGroupName": GROUP})
        assert silent[key] == "PendingManualApproval"
        described = service.condition_context_for("UpdateModelPackage", {"ModelPackageArn": f"{PACKAGES}/1"})
        assert key not in described


def test_tags_are_condition_keys_of_request_and_resource(engine: Engine) -> None:
    tags = [{"Key": "mlops:stage", "Value": "dev"}]
    wanted = asked("CreatePipeline", PipelineName="p", RoleArn=ROLE, Tags=tags)
    context = wanted[("sagemaker:CreatePipeline", own("pipeline/p"))]
    assert (context["aws:RequestTag/mlops:stage"], context["aws:TagKeys"]) == ("dev", ["mlops:stage"])
    assert ("sagemaker:AddTags", own("pipeline/p")) in wanted
    arn = create("p", Tags=tags)
    for operation, body in (
        ("StartPipelineExecution", {"PipelineName": arn}),
        ("StopPipelineExecution", {"PipelineExecutionArn": f"{arn}/execution/x"}),
    ):
        (context,) = asked(operation, **body).values()
        assert context["aws:ResourceTag/mlops:stage"] == "dev"


def test_jobs_can_be_narrowed_by_key_and_instance_type(engine: Engine) -> None:
    body = {
        "TrainingJobName": "j",
        "RoleArn": ROLE,
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "VolumeKmsKeyId": "v"},
        "OutputDataConfig": {"KmsKeyId": "k"},
        "VpcConfig": {"Subnets": ["s"], "SecurityGroupIds": ["g"]},
    }
    context = asked("CreateTrainingJob", **body)[("sagemaker:CreateTrainingJob", own("training-job/j"))]
    assert context["sagemaker:InstanceTypes"] == ["ml.m5.xlarge"]
    for suffix in ("", "Arn"):  # the older name and the one that replaced it
        assert context[f"sagemaker:OutputKmsKey{suffix}"] == "k"
        assert context[f"sagemaker:VolumeKmsKey{suffix}"] == "v"
    assert context["sagemaker:VpcSubnets"] == ["s"]


def test_the_policy_of_a_group_guards_its_packages(group: str) -> None:
    policy = '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}'
    call("PutModelPackageGroupPolicy", REGISTRY, ModelPackageGroupName="group", ResourcePolicy=policy)
    assert service.resource_policy_for(f"{PACKAGES}/1") == (policy, REGISTRY)
    assert service.resource_policy_for(GROUP) == (policy, REGISTRY)
    assert service.resource_policy_for(own("pipeline/p")) == (None, DEV)
