"""A stage and the registry in memory, as far as checks and traces ask."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import botocore.exceptions

from ops.checks_common import Access, Check
from stacks.installation import StageName
from stacks.settings import load

VALUES = {"models": [{"folder": "mammography"}], "accounts": {"staging": "444444444444"}}
HOME = "mammography-severity-model"
GROUP = "mammo-severity-model-package"
FOLDER = f"s3://artifacts/{HOME}/dev/run/evaluation"


def error(code: str, message: str = "no") -> botocore.exceptions.ClientError:
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@dataclass
class World:
    """All clients in one: what it holds, and what was asked of it."""

    objects: dict[str, bytes] = field(default_factory=dict)  # by URI
    versions: list[tuple[int, str]] = field(default_factory=list)  # number and status, the newest first
    released: set[int] = field(default_factory=set)  # versions that were released to prod
    metadata: dict[str, str] = field(default_factory=dict)
    schedules: dict[str, Any] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)  # schedules
    executions: list[dict[str, Any]] = field(default_factory=list)  # started, with status, step and reason
    outcome: tuple[str, str, str] = ("Succeeded", "", "")  # of the next execution: status, step, reason
    fires: bool = True
    modified_by: str = "arn:aws:sts::3:assumed-role/approver/approve-alice"

    def check(
        self, stage: StageName, say: Any = None, values: Mapping[str, Any] = MappingProxyType({})
    ) -> Check:
        settings = load({**VALUES, **values})
        access = Access(self, self, self, self, self, 0.001)
        return Check(settings, settings.stage(stage), settings.models[0], access, say or (lambda line: None))

    # --- S3

    def put_object(self, **request: Any) -> None:
        self.objects[f"s3://{request['Bucket']}/{request['Key']}"] = request["Body"]

    def get_object(self, **request: str) -> dict[str, Any]:
        uri = f"s3://{request['Bucket']}/{request['Key']}"
        if uri not in self.objects:
            raise error("NoSuchKey")
        return {"Body": io.BytesIO(self.objects[uri])}

    def put_json(self, uri: str, value: object) -> None:
        self.objects[uri] = json.dumps(value).encode()

    # --- SageMaker

    def get_paginator(self, operation: str) -> Any:
        return _Pages(getattr(self, f"_{operation}"))

    def _list_objects_v2(self, **request: str) -> dict[str, Any]:
        start = f"s3://{request['Bucket']}/"
        found = {uri.removeprefix(start): body for uri, body in self.objects.items() if uri.startswith(start)}
        listed = [
            {"Key": key, "ETag": str(hash(body))}
            for key, body in found.items()
            if key.startswith(request["Prefix"])
        ]
        return {"Contents": listed}

    def _list_model_packages(self, **request: str) -> dict[str, Any]:
        assert request["ModelPackageGroupName"].endswith(f":333333333333:model-package-group/{GROUP}")
        listed = [
            {"ModelPackageVersion": number, "ModelPackageArn": f"v{number}", "ModelApprovalStatus": status}
            for number, status in self.versions
        ]
        return {"ModelPackageSummaryList": listed}

    def describe_model_package(self, **request: str) -> dict[str, Any]:
        number = int(request["ModelPackageName"].rsplit("/", 1)[-1].removeprefix("v"))
        statuses = dict(self.versions)
        if number not in statuses:
            raise error("ValidationException", f"{number} does not exist")
        return {
            "ModelPackageVersion": number,
            "ModelPackageArn": request["ModelPackageName"],
            "ModelApprovalStatus": statuses[number],
            "CreationTime": datetime(2026, 11, 20, 8, tzinfo=UTC),
            "LastModifiedTime": datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
            "LastModifiedBy": {"IamIdentity": {"Arn": self.modified_by}},
            "ApprovalDescription": "as good as the last",
            "ModelMetrics": {"ModelQuality": {"Statistics": {"S3Uri": f"{FOLDER}/evaluation.json"}}},
            "CustomerMetadataProperties": self.metadata,
            "ModelLifeCycle": {"Stage": "prod", "StageStatus": "released"} if number in self.released else {},
        }

    def start_pipeline_execution(self, **request: Any) -> dict[str, str]:
        number = len(self.executions)
        arn = f"arn:aws:sagemaker:us-east-1:4:pipeline/{request['PipelineName']}/execution/run{number}"
        self.executions.append({"arn": arn, "parameters": request["PipelineParameters"]})
        return {"PipelineExecutionArn": arn}

    def describe_pipeline_execution(self, **request: str) -> dict[str, Any]:
        return {"PipelineExecutionStatus": self.outcome[0]}

    def _list_pipeline_execution_steps(self, **request: str) -> dict[str, Any]:
        _, step, reason = self.outcome
        failed = [{"StepName": step, "StepStatus": "Failed", "FailureReason": reason}] if step else []
        return {"PipelineExecutionSteps": failed}

    def list_pipeline_executions(self, **request: Any) -> dict[str, Any]:
        if self.fires and self.made and not self.executions:
            given = self.made[-1]["Target"]["SageMakerPipelineParameters"]["PipelineParameterList"]
            name = self.made[-1]["Target"]["Arn"].rsplit("/", 1)[-1]
            self.start_pipeline_execution(PipelineName=name, PipelineParameters=given)
        return {
            "PipelineExecutionSummaries": [{"PipelineExecutionArn": one["arn"]} for one in self.executions]
        }

    def _list_pipeline_parameters_for_execution(self, **request: str) -> dict[str, Any]:
        found = [one for one in self.executions if one["arn"] == request["PipelineExecutionArn"]]
        if not found:
            raise error("AccessDeniedException", "not yours")
        return {"PipelineParameters": found[0]["parameters"]}

    # --- Scheduler

    def get_schedule(self, *, Name: str) -> Any:  # noqa: N803
        if Name not in self.schedules:
            raise error("ResourceNotFoundException")
        return {"Target": self.schedules[Name]}

    def create_schedule(self, **request: Any) -> None:
        self.made.append(request)
        self.schedules[request["Name"]] = request["Target"]

    def delete_schedule(self, *, Name: str) -> None:  # noqa: N803
        if self.schedules.pop(Name, None) is None:
            raise error("ResourceNotFoundException")

    # --- a session is its own client

    def client(self, service: str) -> World:
        return self


@dataclass
class _Pages:
    page: Any

    def paginate(self, **request: Any) -> Iterator[Any]:
        yield self.page(**request)
