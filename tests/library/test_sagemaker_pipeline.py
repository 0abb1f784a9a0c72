"""The custom resource: what it is given, and what its function may do."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from cdk_mlops import SageMakerPipeline, SageMakerPipelineProvider, StageDataBucket
from tests.library.library_app import (
    PROD,
    code_folder,
    definition_file,
    new_stack,
    only,
    resources,
    stage_template,
    template_of,
)

RESOURCE = "Custom::SageMakerPipeline"


def pipeline(stack: cdk.Stack, name: str = "a-pipeline", **props: Any) -> SageMakerPipeline:
    role = iam.Role.from_role_arn(stack, f"{name}Role", f"arn:aws:iam::{PROD}:role/jobs")
    function = lambda_.Function.from_function_arn(
        stack, f"{name}Function", f"arn:aws:lambda:eu-west-1:{PROD}:function:resolver"
    )
    given = {
        "pipeline_name": name,
        "stage": "prod",
        "definition": definition_file(),
        "role": role,
        "parameter_defaults": {"RunUri": "s3://b/r", "CodeUri": "s3://b/c"},
        "functions": {"ModelResolver": function},
    }
    return SageMakerPipeline(stack, name, **{**given, **props})


def policy() -> dict[str, Any]:
    document = only(stage_template(), "AWS::IAM::Policy", "TrainProviderPolicy")["PolicyDocument"]
    return {one["Sid"]: one for one in document["Statement"]}


def test_the_resource_is_given_what_its_function_reads() -> None:
    given = only(stage_template(), RESOURCE, "Train")
    assert given["PipelineName"] == "mammo-severity-train-pipeline"
    assert given["CodeDestinationPrefix"] == "mammography-severity-model/scripts"
    assert given["CodeDestinationBucket"] == f"sagemaker-mlops-prod-{PROD}-eu-west-1"
    assert given["CodeParameter"] == "CodeUri"
    assert given["CodeKey"] == f"{given['CodeHash']}.zip"
    assert list(given["Functions"]) == ["ModelResolver"]
    assert given["AdoptExisting"] == "false"
    assert given["ServiceTimeout"] == "960"


def test_the_tags_say_stage_model_kind_definition_and_code() -> None:
    given = only(stage_template(), RESOURCE, "Train")
    assert given["Tags"]["mlops:stage"] == "prod"
    assert given["Tags"]["mlops:model"] == "mammography-severity-model"
    assert given["Tags"]["mlops:kind"] == "train"
    assert given["Tags"]["mlops:code"] == given["CodeHash"]
    assert len(given["Tags"]["mlops:definition"]) == 64


def test_cloudformation_calls_the_function_directly_for_up_to_15_minutes() -> None:
    given = only(stage_template(), RESOURCE, "Train")
    name = given["ServiceToken"]["Fn::GetAtt"][0]
    function = stage_template()["Resources"][name]["Properties"]
    assert (function["Handler"], function["Timeout"]) == ("sagemaker_pipeline.handler.handle", 900)
    assert function["FunctionName"] == "mammo-severity-prod-pipeline-provider"


def test_nothing_is_unpacked_before_bucket_and_key_are_there() -> None:
    (resource,) = [one for name, one in resources(stage_template(), RESOURCE).items() if "Train" in name]
    waits_for = [stage_template()["Resources"][name]["Type"] for name in resource["DependsOn"]]
    assert {"AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::KMS::Key", "AWS::KMS::Alias"} <= set(waits_for)
    assert "AWS::IAM::Policy" in waits_for


def test_the_function_manages_this_pipeline_only() -> None:
    found = policy()
    assert found["ThisPipeline"]["Resource"]["Fn::Join"][1][-1].endswith(
        ":pipeline/mammo-severity-train-pipeline"
    )
    executions = found["ItsExecutions"]["Resource"]["Fn::Join"][1][-1]
    assert executions.endswith(":pipeline/mammo-severity-train-pipeline/execution/*")


def test_the_function_passes_this_pipelines_role_only_and_only_to_sagemaker() -> None:
    statement = policy()["PassItsRole"]
    assert "TrainRole" in statement["Resource"]["Fn::GetAtt"][0]
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_the_function_reads_this_code_and_writes_below_its_prefix_only() -> None:
    found = policy()
    code_key = only(stage_template(), RESOURCE, "Train")["CodeKey"]
    assert json.dumps(found["ReadCode"]["Resource"]).count(f"/{code_key}") == 1
    writing = [sid for sid, one in found.items() if "s3:PutObject" in one["Action"]]
    assert writing == ["Unpack"]
    assert found["Unpack"]["Resource"]["Fn::Join"][1][-1].endswith("/mammography-severity-model/scripts/*")


def test_a_pipeline_taken_out_of_a_stack_takes_its_own_policy_with_it() -> None:
    policies = [name for name in resources(stage_template(), "AWS::IAM::Policy") if "ProviderPolicy" in name]
    assert len(policies) == len(resources(stage_template(), RESOURCE))


def test_a_pipeline_without_code_has_no_code_properties() -> None:
    stack = new_stack()
    made = pipeline(stack)
    given = only(template_of(stack), RESOURCE)
    assert not [key for key in given if key.startswith("Code")]
    assert (made.code_uri, made.code_hash) == (None, None)


def test_byte_code_doesnt_change_the_code_hash() -> None:
    hashes = []
    for dirty in (False, True):
        cache = code_folder() / "__pycache__"
        if dirty:
            cache.mkdir()
            (cache / "step.pyc").write_bytes(b"byte code")
        stack = new_stack()
        data = StageDataBucket(stack, "Data", stage="dev")
        made = pipeline(
            stack,
            code=code_folder(),
            code_bucket=data,
            code_prefix="m/scripts",
            parameter_defaults={"RunUri": "r"},
        )
        hashes.append(made.code_hash)
    assert hashes[0] == hashes[1]


def test_grants_name_this_pipeline_only() -> None:
    stack = new_stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    SageMakerPipeline.from_pipeline_name(stack, "Pipeline", "Any-Pipeline").grant_start(role)
    (statement,) = only(template_of(stack), "AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    assert statement["Action"] == "sagemaker:StartPipelineExecution"
    # SageMaker writes ARNs of pipelines in lower case
    assert statement["Resource"]["Fn::Join"][1][-1].endswith(":pipeline/any-pipeline")


def test_metrics_are_those_of_the_pipeline() -> None:
    made = SageMakerPipeline.from_pipeline_name(new_stack(), "Pipeline", "a-pipeline")
    metric = made.metric_failed()
    assert (metric.namespace, metric.metric_name) == (
        "AWS/Sagemaker/ModelBuildingPipeline",
        "ExecutionFailed",
    )
    assert metric.dimensions == {"PipelineName": "a-pipeline"}


def test_pipelines_of_a_stack_share_one_function() -> None:
    stack = new_stack()
    for number in range(4):
        pipeline(stack, f"pipeline-{number}")
    assert len(resources(template_of(stack), "AWS::Lambda::Function")) == 1


def test_fails_for_a_fifth_pipeline_of_one_provider() -> None:
    stack = new_stack()
    for number in range(4):
        pipeline(stack, f"pipeline-{number}")
    with pytest.raises(ValueError, match="give each model a SageMakerPipelineProvider of its own"):
        pipeline(stack, "pipeline-4")


def test_a_provider_of_its_own_takes_more_pipelines() -> None:
    stack = new_stack()
    for number in range(5):
        provider = SageMakerPipelineProvider(
            stack, f"Provider{number}", stage="prod", prefix=f"model-{number}"
        )
        pipeline(stack, f"pipeline-{number}", provider=provider)
    assert len(resources(template_of(stack), "AWS::Lambda::Function")) == 5


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"pipeline_name": "a_pipeline"}, "pipeline_name must be 1 to 256 letters"),
        ({"stage": "Prod"}, "stage must be 2 to 16 lower-case letters"),
        ({"parameter_defaults": {"CodeUri": "c"}}, "parameter_defaults must give 'RunUri'"),
        ({"functions": {}}, "functions must give 'ModelResolver'"),
        ({"code_prefix": "m/scripts"}, "code must be given where code_bucket or code_prefix is"),
        (
            {"code": "no-such-folder", "parameter_defaults": {"RunUri": "r"}},
            "code must be a folder, got 'no-such-folder'",
        ),
    ],
)
def test_fails_for_props_that_cant_be(props: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pipeline(new_stack(), **props)


@pytest.mark.parametrize("prefix", ["/m/scripts", "m/scripts/", "", "m//scripts"])
def test_fails_for_a_code_prefix_with_slashes_at_its_ends(prefix: str) -> None:
    stack = new_stack()
    data = StageDataBucket(stack, "Data", stage="dev")
    with pytest.raises(ValueError, match="code_prefix must be a key prefix"):
        pipeline(
            stack,
            code=code_folder(),
            code_bucket=data,
            code_prefix=prefix,
            parameter_defaults={"RunUri": "r"},
        )


def test_fails_for_code_without_a_place() -> None:
    with pytest.raises(ValueError, match="code_bucket and code_prefix must say where the code is unpacked"):
        pipeline(new_stack(), code=code_folder(), parameter_defaults={"RunUri": "r"})
