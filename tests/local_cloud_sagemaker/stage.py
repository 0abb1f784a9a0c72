"""A stage on the embedded cloud for tests: a bucket, a job role, and runs of small pipelines."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from local_cloud.cloud import LocalCloud
from tests.local_cloud.engine_kit import DEV, REGISTRY, allow, document, make_role, unique
from tests.local_cloud_sagemaker.definitions import parameter

SAGEMAKER = {"Service": "sagemaker.amazonaws.com"}
ENDED = ("Succeeded", "Failed", "Stopped")


@dataclass
class Run:
    """A pipeline execution that has ended."""

    arn: str
    status: str
    steps: dict[str, dict[str, Any]]

    def reason(self, step: str) -> str:
        return str(self.steps[step].get("FailureReason", ""))


class Stage:
    """One account with what a pipeline needs; its role may do everything in its bucket and make jobs."""

    def __init__(self, cloud: LocalCloud, *statements: dict[str, Any], account: str = DEV) -> None:
        self.cloud = cloud
        self.account = account
        self.session = cloud.session(account)
        self.sagemaker = self.session.client("sagemaker")
        self.s3 = self.session.client("s3")
        self.bucket = unique("sagemaker-data")
        self.s3.create_bucket(Bucket=self.bucket)
        self.role = self.make_role(*statements)

    def make_role(self, *statements: dict[str, Any], pass_itself: bool = True) -> str:
        bucket = f"arn:aws:s3:::{self.bucket}"
        role = make_role(
            self.cloud,
            self.account,
            allow("s3:GetObject", "s3:PutObject", "s3:ListBucket", on=[bucket, f"{bucket}/*"]),
            allow(
                "sagemaker:*Job",
                "sagemaker:CreateModel",
                "sagemaker:DescribeModel",
                on="arn:aws:sagemaker:*:*:*",
            ),
            allow("lambda:InvokeFunction", on="arn:aws:lambda:*:*:function:*"),
            *statements,
            principal=SAGEMAKER,
        )
        if pass_itself:
            self.session.client("iam").put_role_policy(
                RoleName=role.rsplit("/", 1)[-1],
                PolicyName="pass",
                PolicyDocument=document(allow("iam:PassRole", on=role)),
            )
        return role

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, text: str) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())
        return self.uri(key)

    def program(self, code: str) -> str:
        """Upload a program for a processing step; it finds its folders under `root`."""
        prelude = "import json, os, pathlib, sys, time\nroot = pathlib.Path(sys.argv[1])\n"
        return self.put(f"{unique('code')}/program.py", prelude + code)

    def read(self, key: str) -> str:
        return str(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode())

    def keys(self, prefix: str) -> list[str]:
        return [
            item["Key"]
            for item in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        ]

    def create(self, definition: str, role: str | None = None) -> str:
        name = unique("pipeline")
        self.sagemaker.create_pipeline(
            PipelineName=name,
            PipelineDefinition=definition,
            RoleArn=role or self.role,
            ClientRequestToken=uuid.uuid4().hex,
        )
        return name

    def start(self, name: str, token: str | None = None, **parameters: str) -> str:
        return str(
            self.sagemaker.start_pipeline_execution(
                PipelineName=name,
                ClientRequestToken=token or uuid.uuid4().hex,
                PipelineParameters=[{"Name": n, "Value": v} for n, v in parameters.items()],
            )["PipelineExecutionArn"]
        )

    def finish(self, arn: str, seconds: float = 60) -> Run:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)[
                "PipelineExecutionStatus"
            ]
            if status in ENDED:
                return Run(arn, status, self.steps(arn))
            time.sleep(0.05)
        raise AssertionError(f"{arn} has not ended: {self.steps(arn)}")

    def steps(self, arn: str) -> dict[str, dict[str, Any]]:
        found = self.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, MaxResults=100)
        return {step["StepName"]: step for step in found["PipelineExecutionSteps"]}

    def run(self, definition: str, **parameters: str) -> Run:
        return self.finish(self.start(self.create(definition), **{"RoleArn": self.role, **parameters}))


ROLE = parameter("RoleArn")


def package_group(cloud: LocalCloud, policy: dict[str, Any] | None = None, account: str = REGISTRY) -> str:
    """A package group of the registry account; its ARN."""
    sagemaker, name = cloud.session(account).client("sagemaker"), unique("group")
    arn = str(sagemaker.create_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupArn"])
    if policy:
        sagemaker.put_model_package_group_policy(ModelPackageGroupName=name, ResourcePolicy=document(policy))
    return arn
