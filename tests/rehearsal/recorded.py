"""Recorded answers of CodePipeline, played back one look at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

BEGAN = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def action(
    stage: str,
    name: str,
    status: str = "Succeeded",
    *,
    said: str = "",
    category: str = "Build",
    at: int = 0,
    seconds: int = 1,
    configuration: dict[str, str] | None = None,
    code: str = "",
    execution: int = 1,
) -> dict[str, Any]:
    """Return an action as ListActionExecutions tells it."""
    result: dict[str, Any] = {"externalExecutionSummary": said}
    if code:
        result["errorDetails"] = {"code": code, "message": said}
    began = BEGAN + timedelta(seconds=at)
    return {
        "actionExecutionId": f"{stage}/{name}/{execution}",
        "stageName": stage,
        "actionName": name,
        "status": status,
        "startTime": began,
        "lastUpdateTime": began + timedelta(seconds=seconds),
        "input": {"actionTypeId": {"category": category}, "resolvedConfiguration": configuration or {}},
        "output": {"executionResult": result},
    }


class RecordedPipeline:
    """CodePipeline's client for a pipeline whose executions go through looks: each a status and its actions.

    The look moves on whenever the actions are listed; an answered approval is kept in ``answers``.
    """

    def __init__(self, *executions: tuple[str, list[tuple[str, list[dict[str, Any]]]]]) -> None:
        self._looks = dict(executions)
        self._place = dict.fromkeys(self._looks, 0)
        self._started: list[str] = []
        self._waiting = list(self._looks)
        self.answers: list[dict[str, Any]] = []
        self.retried: list[dict[str, Any]] = []
        self.tokens: dict[tuple[str, str], str] = {}

    def _look(self, execution: str) -> tuple[str, list[dict[str, Any]]]:
        looks = self._looks[execution]
        return looks[min(self._place[execution], len(looks) - 1)]

    def start_pipeline_execution(self, *, name: str) -> dict[str, str]:
        self._started.append(self._waiting.pop(0))
        return {"pipelineExecutionId": self._started[-1]}

    def restart(self) -> None:
        """Start the next execution, as a pipeline does that has changed itself."""
        self._started.append(self._waiting.pop(0))

    def list_pipeline_executions(self, **_: Any) -> dict[str, Any]:
        return {
            "pipelineExecutionSummaries": [{"pipelineExecutionId": one} for one in reversed(self._started)]
        }

    def get_pipeline_execution(self, **given: Any) -> dict[str, Any]:
        return {"pipelineExecution": {"status": self._look(given["pipelineExecutionId"])[0]}}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_action_executions"
        return self

    def paginate(self, **given: Any) -> list[dict[str, Any]]:
        execution = given["filter"]["pipelineExecutionId"]
        actions = self._look(execution)[1]
        self._place[execution] += 1
        return [{"actionExecutionDetails": list(reversed(actions))}]

    def get_pipeline_state(self, **_: Any) -> dict[str, Any]:
        states: dict[str, list[dict[str, Any]]] = {}
        for (stage, name), token in self.tokens.items():
            states.setdefault(stage, []).append({"actionName": name, "latestExecution": {"token": token}})
        return {"stageStates": [{"stageName": stage, "actionStates": one} for stage, one in states.items()]}

    def put_approval_result(self, **given: Any) -> None:
        self.answers.append(given)

    def retry_stage_execution(self, **given: Any) -> None:
        self.retried.append(given)
