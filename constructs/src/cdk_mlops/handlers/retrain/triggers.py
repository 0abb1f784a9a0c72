"""Events that may ask for a retraining, read into one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.aws import Arn
from shared.text import is_name

RETRAIN_ON = ("drift", "violation", "any_failure")
MODEL_QUALITY = "model_quality"
# a wider setting covers what a narrower one does, and all of them a loss that labels have shown
COVERED = {
    "drift": ("drift", MODEL_QUALITY),
    "violation": ("drift", "violation", MODEL_QUALITY),
    "any_failure": ("drift", "violation", "failure", MODEL_QUALITY),
}


class BadEvent(Exception):
    """An event that isn't what its detail-type promises."""


@dataclass(frozen=True)
class Trigger:
    """What happened to which run.

    Parameters
    ----------
    cause
        `drift`, `violation`, `model_quality` (ground truth shows a loss), `failure` (a run failed) or `step` (a named
        step failed: the rule chose it).
    model
        Name of the model where the event says it.
    execution_arn
        ARN of the run, where the event doesn't say whether it was a check and the run has to be asked.
    check
        Whether the event says that it was one.
    model_version
        Number of the version that the finding is about; empty where the event doesn't say it.
    """

    event_id: str
    cause: str
    execution_id: str
    pipeline: str
    model: str | None = None
    message: str = ""
    execution_arn: str = ""
    check: bool = False
    model_version: str = ""

    def covered(self, retrain_on: str) -> bool:
        """Whether the model's setting retrains on this cause."""
        return self.cause == "step" or self.cause in COVERED[retrain_on]


def read_trigger(event: dict[str, Any]) -> Trigger | None:
    """Read an event; None where it tells of nothing that a retraining may mend.

    Raises
    ------
    BadEvent
        A part is missing, so that it can't be told which run is meant.
    """
    kind, detail, event_id = event.get("detail-type"), event.get("detail"), event.get("id")
    if not isinstance(detail, dict) or not isinstance(event_id, str) or not event_id:
        raise BadEvent(f"expected an EventBridge event with id and detail, got detail-type '{kind}'")
    if kind == "Batch Finding":
        finding = detail.get("finding")
        if finding not in ("drift", "violation", MODEL_QUALITY):
            raise BadEvent(f"a Batch Finding must say drift, violation or {MODEL_QUALITY}, got '{finding}'")
        if finding == MODEL_QUALITY and detail.get("retrain") is not True:
            return None  # calibration, or a segment: people decide
        run, pipeline = _name(detail, "pipelineExecutionId"), _name(detail, "pipelineName")
        return Trigger(
            event_id,
            finding,
            run,
            pipeline,
            detail.get("model"),
            str(detail.get("message", "")),
            check=detail.get("check") is True,
            model_version=str(detail.get("modelVersion") or ""),
        )
    if kind == "SageMaker Model Building Pipeline Execution Status Change":
        if detail.get("currentPipelineExecutionStatus") != "Failed":
            return None
        arn = _needed(detail, "pipelineExecutionArn")
        run, pipeline = _split(arn)
        return Trigger(event_id, "failure", run, pipeline, execution_arn=arn)
    if kind == "SageMaker Model Building Pipeline Execution Step Status Change":
        if detail.get("currentStepStatus") != "Failed":
            return None
        arn = _needed(detail, "pipelineExecutionArn")
        run, pipeline = _split(arn)
        message = f"step {detail.get('stepName')} failed"
        return Trigger(event_id, "step", run, pipeline, message=message, execution_arn=arn)
    raise BadEvent(f"no retraining is known for events of the detail-type '{kind}'")


def _needed(detail: dict[str, Any], name: str) -> str:
    value = detail.get(name)
    if not isinstance(value, str) or not value:
        raise BadEvent(f"the event's detail has no '{name}'")
    return value


def _name(detail: dict[str, Any], name: str) -> str:
    value = _needed(detail, name)
    if not is_name(value):
        raise BadEvent(f"the event's '{name}' must be letters, digits and hyphens, got {value[:80]!a}")
    return value


def _split(arn: str) -> tuple[str, str]:
    parts = Arn.parse(arn).resource.split("/")
    if len(parts) != 4 or (parts[0], parts[2]) != ("pipeline", "execution") or not all(map(is_name, parts)):
        raise BadEvent(f"expected the ARN of a pipeline execution, got '{arn}'")
    return parts[3], parts[1]
