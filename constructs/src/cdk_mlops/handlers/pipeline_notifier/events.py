"""The events that may ask for an alert, read into one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.aws import Arn
from shared.text import is_name

ENDED_BADLY = ("Failed", "Stopped")
DELIVERED = "DriftDelivered"
QUALITY_LOST = "ModelQualityLost"
_OF_FINDING = {"model_quality": QUALITY_LOST}
_CLAIMS = {DELIVERED: "-drift-delivered", QUALITY_LOST: "-model-quality"}


class BadEvent(Exception):
    """An event that isn't what its detail-type promises."""


@dataclass(frozen=True)
class Run:
    """One pipeline execution, as its event names it.

    Parameters
    ----------
    status
        `Failed`, `Stopped`, or what a finding was that let the run go on: `DriftDelivered`, `ModelQualityLost`.
    finding
        Detail of the `Batch Finding` event, where that is what happened.
    """

    pipeline_arn: Arn
    pipeline: str
    execution_id: str
    status: str
    time: str
    finding: dict[str, Any] | None = None

    @property
    def execution_arn(self) -> str:
        """ARN of the execution."""
        return f"{self.pipeline_arn}/execution/{self.execution_id}"

    @property
    def claim_name(self) -> str:
        """Name of the alert's claim: a finding that let the run go on has one of its own."""
        return f"{self.execution_id}{_CLAIMS.get(self.status, '')}"


def read_run(event: dict[str, Any], stage: str, partition: str) -> Run | None:
    """Read an event; None where it asks for no alert.

    Raises
    ------
    BadEvent
        A part is missing, so that it can't be told which run is meant.
    """
    kind, detail = event.get("detail-type"), event.get("detail")
    if not isinstance(detail, dict):
        raise BadEvent(f"expected an EventBridge event with a detail, got detail-type '{kind}'")
    time = str(event.get("time", ""))
    if kind == "Batch Finding":
        if detail.get("delivered") is not True or detail.get("stage") != stage:
            return None
        if detail.get("model") is not None:
            _name(detail, "model")
        name, execution_id = _name(detail, "pipelineName"), _name(detail, "pipelineExecutionId")
        arn = Arn(
            partition, "sagemaker", _needed(event, "region"), _needed(event, "account"), f"pipeline/{name}"
        )
        found = _OF_FINDING.get(str(detail.get("finding")), DELIVERED)
        return Run(arn, name, execution_id, found, time, detail)
    if kind != "SageMaker Model Building Pipeline Execution Status Change":
        raise BadEvent(f"no alert is known for events of the detail-type '{kind}'")
    status = detail.get("currentPipelineExecutionStatus")
    if status not in ENDED_BADLY:
        return None
    whole = _needed(detail, "pipelineExecutionArn")
    try:
        arn = Arn.parse(whole)
    except ValueError as error:
        raise BadEvent(str(error)) from error
    parts = arn.resource.split("/")
    if len(parts) != 4 or (parts[0], parts[2]) != ("pipeline", "execution") or not all(map(is_name, parts)):
        raise BadEvent(f"expected the ARN of a pipeline execution, got '{whole}'")
    pipeline_arn = Arn(arn.partition, arn.service, arn.region, arn.account, f"pipeline/{parts[1]}")
    return Run(pipeline_arn, parts[1], parts[3], str(status), time)


def _name(source: dict[str, Any], name: str) -> str:
    value = _needed(source, name)
    if not is_name(value):
        raise BadEvent(f"the event's '{name}' must be letters, digits and hyphens, got {value[:80]!a}")
    return value


def _needed(source: dict[str, Any], name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str) or not value:
        raise BadEvent(f"the event has no '{name}'")
    return value
