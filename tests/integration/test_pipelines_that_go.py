"""What becomes of a pipeline when its stack goes: one that was taken over stays, one of its own is stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

import cdk_mlops as mlops
from local_cloud.cloud import LocalCloud
from local_cloud.deployer import deploy, destroy
from stacks.installation import PIPELINE_KINDS

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-c")]

ACCOUNT, REGION = "111111111111", "us-east-1"
NAMES = tuple(f"mammo-severity-{kind}-pipeline" for kind in PIPELINE_KINDS)
DEFINITION = {
    "Version": "2020-12-01",
    "Parameters": [],
    "Steps": [
        {
            "Name": "Wait",
            "Type": "Lambda",
            "FunctionArn": "@function:Waiter@",
            "Arguments": {},
            "OutputParameters": [],
        },
    ],
}
WAITER = "import time\ndef handle(event, context):\n    time.sleep(4)\n    return {}\n"


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud.start(accounts=(ACCOUNT,)) as started:
        yield started


@pytest.fixture
def sagemaker(cloud: LocalCloud) -> Any:
    return cloud.session(ACCOUNT, REGION).client("sagemaker")


def assembly(folder: Path, *, adopt: bool) -> Path:
    """Write a stack with all pipelines, each of which waits for a few seconds."""
    definition = folder / "definition.json"
    definition.write_text(json.dumps(DEFINITION))
    app = cdk.App(outdir=str(folder / "cdk.out"), analytics_reporting=False)
    stack = cdk.Stack(app, "Pipelines", env=cdk.Environment(account=ACCOUNT, region=REGION))
    waiter = lambda_.Function(
        stack,
        "Waiter",
        runtime=lambda_.Runtime.PYTHON_3_12,
        handler="index.handle",
        code=lambda_.Code.from_inline(WAITER),
        timeout=cdk.Duration.seconds(30),
    )
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    waiter.grant_invoke(role)
    for name in NAMES:
        mlops.SageMakerPipeline(
            stack,
            name,
            pipeline_name=name,
            stage="dev",
            definition=definition,
            role=role,
            functions={"Waiter": waiter},
            adopt_existing=adopt,
        )
    app.synth()
    return folder / "cdk.out"


def test_a_pipeline_that_was_taken_over_stays_without_our_tags(
    cloud: LocalCloud, sagemaker: Any, tmp_path: Path
) -> None:
    theirs = json.dumps(DEFINITION).replace(
        "@function:Waiter@", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:x"
    )
    role = f"arn:aws:iam::{ACCOUNT}:role/somebodys"
    cloud.session(ACCOUNT, REGION).client("iam").create_role(
        RoleName="somebodys", AssumeRolePolicyDocument=json.dumps(_trust("sagemaker.amazonaws.com"))
    )
    for name in NAMES:
        sagemaker.create_pipeline(
            PipelineName=name, PipelineDefinition=theirs, RoleArn=role, ClientRequestToken="x" * 32
        )
    folder = assembly(tmp_path, adopt=True)
    deploy(cloud, folder)
    assert {"mlops:owner", "mlops:adopted"} <= tags(sagemaker, NAMES[0])
    destroy(cloud, folder)
    for name in NAMES:
        assert sagemaker.describe_pipeline(PipelineName=name)["PipelineStatus"] == "Active"
        assert not {"mlops:owner", "mlops:adopted"} & tags(sagemaker, name)
        sagemaker.delete_pipeline(PipelineName=name, ClientRequestToken="y" * 32)


def test_runs_are_stopped_before_their_pipelines_are_deleted(
    cloud: LocalCloud, sagemaker: Any, tmp_path: Path
) -> None:
    folder = assembly(tmp_path, adopt=False)
    deploy(cloud, folder)
    for name in NAMES[1:]:
        sagemaker.start_pipeline_execution(PipelineName=name)
    destroy(cloud, folder)
    assert sagemaker.list_pipelines()["PipelineSummaries"] == []


def tags(sagemaker: Any, name: str) -> set[str]:
    """Return the keys of a pipeline's tags."""
    arn = sagemaker.describe_pipeline(PipelineName=name)["PipelineArn"]
    return {one["Key"] for one in sagemaker.list_tags(ResourceArn=arn)["Tags"]}


def _trust(service: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}
