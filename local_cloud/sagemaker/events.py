"""The events that SageMaker puts on the default bus of the account of a resource."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from local_cloud.engine_services import PutEvent
from local_cloud.runner.execution import StepProgress
from local_cloud.sagemaker.arns import Scope
from local_cloud.sagemaker.store import Record

logger = logging.getLogger(__name__)

SOURCE = "aws.sagemaker"
EXECUTION_CHANGE = "SageMaker Model Building Pipeline Execution Status Change"
STEP_CHANGE = "SageMaker Model Building Pipeline Execution Step Status Change"
PACKAGE_CHANGE = "SageMaker Model Package State Change"

_PACKAGE_MEMBERS = (
    "ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageDescription",
    "InferenceSpecification", "ModelPackageStatus", "ModelPackageStatusDetails", "ModelApprovalStatus",
    "ApprovalDescription", "MetadataProperties", "CustomerMetadataProperties", "ModelMetrics",
    "ModelLifeCycle",
)  # fmt: skip


class Events:
    """Sends events, in the order in which things happen."""

    def __init__(self, put_event: PutEvent) -> None:
        self._put_event = put_event

    def _send(self, scope: Scope, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        try:
            self._put_event(scope.account, scope.region, SOURCE, detail_type, detail, resources)
        except Exception:  # an event that can't be sent must not break what it tells of
            logger.exception("event %r for %s", detail_type, resources)

    def package_changed(self, scope: Scope, package: Record) -> None:
        """Tell the registry's account of a model package's new state."""
        detail = {name: package[name] for name in _PACKAGE_MEMBERS if package.get(name) is not None}
        detail["CreationTime"] = timestamp(package["CreationTime"])
        detail["LastModifiedTime"] = timestamp(package.get("LastModifiedTime") or package["CreationTime"])
        self._send(scope, PACKAGE_CHANGE, detail, [package["ModelPackageArn"]])

    def execution_changed(self, scope: Scope, execution: Record, previous: str | None) -> None:
        """Tell of an execution's new status."""
        detail = {
            "pipelineArn": execution["PipelineArn"],
            "pipelineExecutionArn": execution["PipelineExecutionArn"],
            "pipelineExecutionDisplayName": execution["PipelineExecutionDisplayName"],
            "pipelineExecutionDescription": execution.get("PipelineExecutionDescription", ""),
            "currentPipelineExecutionStatus": execution["PipelineExecutionStatus"],
            "executionStartTime": timestamp(execution["CreationTime"]),
        }
        if previous:
            detail["previousPipelineExecutionStatus"] = previous
        if execution["PipelineExecutionStatus"] in ("Succeeded", "Failed", "Stopped"):
            detail["executionEndTime"] = timestamp(execution["LastModifiedTime"])
        resources = [execution["PipelineArn"], execution["PipelineExecutionArn"]]
        self._send(scope, EXECUTION_CHANGE, detail, resources)

    def step_changed(
        self, scope: Scope, execution: Record, progress: StepProgress, previous: str | None
    ) -> None:
        """Tell of a step's new status."""
        detail: dict[str, Any] = {
            "pipelineArn": execution["PipelineArn"],
            "pipelineExecutionArn": execution["PipelineExecutionArn"],
            "stepName": progress.name,
            "stepType": progress.type,
            "metadata": {_lower(kind): _lowered(value) for kind, value in progress.metadata.items()},
            "stepStartTime": timestamp(progress.start_time),
            "currentStepStatus": progress.status,
        }
        if previous:
            detail["previousStepStatus"] = previous
        if progress.end_time is not None:
            detail["stepEndTime"] = timestamp(progress.end_time)
        if progress.failure_reason:
            detail["failureReason"] = progress.failure_reason
        resources = [execution["PipelineArn"], execution["PipelineExecutionArn"]]
        self._send(scope, STEP_CHANGE, detail, resources)


def timestamp(seconds: float) -> str:
    """Return a time as events write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {_lower(name): _lowered(item) for name, item in value.items()}
    return [_lowered(item) for item in value] if isinstance(value, list) else value
