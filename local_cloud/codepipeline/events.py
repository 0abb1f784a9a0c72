"""The events that CodePipeline puts on the default bus of the pipeline's account.

See https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any

from local_cloud.codepipeline.model import ActionRun, Execution
from local_cloud.engine_services import PutEvent

logger = logging.getLogger(__name__)

SOURCE = "aws.codepipeline"
EXECUTION = "CodePipeline Pipeline Execution State Change"
STAGE = "CodePipeline Stage Execution State Change"
ACTION = "CodePipeline Action Execution State Change"
_STATES = {"InProgress": "STARTED", "Cancelled": "CANCELED"}


class Events:
    """Sends events, in the order in which things happen."""

    def __init__(self, put_event: PutEvent) -> None:
        self._put_event = put_event

    def _send(self, execution: Execution, detail_type: str, detail: dict[str, Any]) -> None:
        pipeline = execution.pipeline
        whole = {
            "pipeline": pipeline.name,
            "execution-id": execution.execution_id,
            "start-time": _timestamp(execution.started),
            **detail,
            "version": float(execution.version),
            "pipeline-execution-attempt": float(execution.attempt),
        }
        scope = pipeline.scope
        try:
            self._put_event(scope.account, scope.region, SOURCE, detail_type, whole, [pipeline.arn])
        except Exception:  # an event that can't be sent must not break what it tells of
            logger.exception("event %r for %s", detail_type, pipeline.arn)

    def execution_changed(self, execution: Execution, state: str | None = None) -> None:
        """Tell of an execution's new state. Default: its status."""
        told = state or _state(execution.status)
        detail: dict[str, Any] = {"execution-trigger": _trigger(execution), "state": told}
        if told in ("STOPPING", "STOPPED") and execution.stopped_because:
            detail["stop-execution-comments"] = execution.stopped_because
        self._send(execution, EXECUTION, detail)

    def stage_changed(self, execution: Execution, stage: str, state: str | None = None) -> None:
        """Tell of a stage's new state. Default: its status in the execution."""
        detail: dict[str, Any] = {"stage": stage, "state": state or _state(execution.stages[stage])}
        self._send(execution, STAGE, detail)

    def action_changed(self, execution: Execution, run: ActionRun) -> None:
        """Tell of an action's new state."""
        kind = run.declaration["actionTypeId"]
        detail: dict[str, Any] = {
            "stage": run.stage,
            "action": run.name,
            "action-execution-id": run.run_id,
            "state": _state(run.status),
            "region": run.declaration.get("region") or execution.pipeline.scope.region,
            "type": {key: kind[key] for key in ("owner", "provider", "category", "version")},
            "start-time": _timestamp(run.started),
        }
        if run.status != "InProgress":
            result = {"external-execution-summary": run.summary, "external-execution-id": run.external_id}
            result["external-execution-url"] = run.external_url
            found = {key: value for key, value in result.items() if value}
            if run.error:
                found["error-code"] = run.error["code"]
            if found:
                detail["execution-result"] = found
        self._send(execution, ACTION, detail)


def _state(status: str) -> str:
    return _STATES.get(status, status.upper())


def _trigger(execution: Execution) -> dict[str, str]:
    names = {"triggerType": "trigger-type", "triggerDetail": "trigger-detail"}
    return {names[key]: value for key, value in execution.trigger.items()}


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds or time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
