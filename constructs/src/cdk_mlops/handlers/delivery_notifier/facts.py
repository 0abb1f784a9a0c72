"""What CodePipeline knows of an execution: its commit, its actions, their reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from delivery_notifier.events import FAILED, UNANSWERED, WAITING, Outcome
from shared import log
from shared.aws import AwsError, error_text
from shared.text import one_line

# The history of actions may lag behind the event by seconds.
ATTEMPTS, PAUSE_SECONDS = 4, 3.0
MOST_PAGES = 10


@dataclass(frozen=True)
class Action:
    """The latest run of one action in an execution."""

    stage: str
    name: str
    status: str
    category: str
    reason: str
    by: str
    link: str
    stack: str
    variables: dict[str, str]
    shown: dict[str, str]

    @property
    def is_approval(self) -> bool:
        """Whether a person answers it."""
        return self.category == "Approval"


@dataclass(frozen=True)
class Facts:
    """All that a message can tell.

    Parameters
    ----------
    actions
        Latest run of each action, in the order that they started.
    variables
        Of the execution, such as the version that is released.
    trouble
        Why something could not be read; empty where all could.
    """

    outcome: Outcome
    commit: str = ""
    summary: str = ""
    status: str = ""
    actions: list[Action] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def failed(self) -> list[Action]:
        """Actions that failed; a build that broke stands before the approval that it answered."""
        return sorted(
            (one for one in self.actions if one.status == "Failed"), key=lambda one: one.is_approval
        )

    @property
    def last(self) -> Action | None:
        """Action that started last."""
        return self.actions[-1] if self.actions else None

    def answered(self, stage: str) -> bool:
        """Whether an approval of a stage has got its answer: it waits no longer."""
        return any(
            one.stage == stage and one.is_approval and one.status != "InProgress" for one in self.actions
        )

    def variable(self, stage: str, name: str) -> str:
        """Value of a variable that an action of a stage has exported, or empty."""
        return next(
            (one.variables[name] for one in self.actions if one.stage == stage and name in one.variables), ""
        )


class FactFinder:
    """Asks CodePipeline about an execution."""

    def __init__(self, codepipeline: Any, sleep: Callable[[float], None]) -> None:
        self._codepipeline, self._sleep = codepipeline, sleep

    def gather(self, pipeline: str, outcome: Outcome) -> Facts:
        """Find out what can be found out: a message without reasons is better than none."""
        try:
            actions = self._awaited_actions(pipeline, outcome)
            execution = self._codepipeline.get_pipeline_execution(
                pipelineName=pipeline, pipelineExecutionId=outcome.execution_id
            )["pipelineExecution"]
        except AwsError as error:
            log.error(
                "the execution could not be read", execution=outcome.execution_id, error=error_text(error)
            )
            return Facts(outcome, trouble=error_text(error))
        revision = (execution.get("artifactRevisions") or [{}])[0]
        source = next((one.variables for one in actions if "CommitId" in one.variables), {})
        return Facts(
            outcome,
            commit=source.get("CommitId") or str(revision.get("revisionId", "")),
            summary=one_line(source.get("CommitMessage", "")),
            status=one_line(execution.get("statusSummary", "")),
            actions=actions,
            variables={one["name"]: one["resolvedValue"] for one in execution.get("variables", [])},
        )

    def _awaited_actions(self, pipeline: str, outcome: Outcome) -> list[Action]:
        for _ in range(ATTEMPTS - 1):
            actions = self._actions(pipeline, outcome.execution_id)
            if _tells(actions, outcome):
                return actions
            self._sleep(PAUSE_SECONDS)
        return self._actions(pipeline, outcome.execution_id)

    def _actions(self, pipeline: str, execution_id: str) -> list[Action]:
        details: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            page = self._codepipeline.list_action_executions(
                pipelineName=pipeline, filter={"pipelineExecutionId": execution_id}, **token
            )
            details += page.get("actionExecutionDetails", [])
            if not page.get("nextToken"):
                break
            token = {"nextToken": page["nextToken"]}
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        for one in sorted(details, key=lambda one: one["startTime"]):
            latest[(one["stageName"], one["actionName"])] = one  # a retried action is there twice
        return [_action(one) for one in sorted(latest.values(), key=lambda one: one["startTime"])]


def _tells(actions: list[Action], outcome: Outcome) -> bool:
    if outcome.state == FAILED:
        return any(one.status == "Failed" for one in actions)
    if outcome.state == UNANSWERED:
        return any(
            (one.stage, one.name, one.status) == (outcome.stage, outcome.action, "Failed") for one in actions
        )
    if outcome.state == WAITING:
        return any((one.stage, one.name) == (outcome.stage, outcome.action) for one in actions)
    return bool(actions)


def _action(detail: dict[str, Any]) -> Action:
    given, output = detail.get("input") or {}, detail.get("output") or {}
    shown = {**(given.get("configuration") or {}), **(given.get("resolvedConfiguration") or {})}
    result = output.get("executionResult") or {}
    error = result.get("errorDetails") or {}
    parts = [
        one_line(text) for text in (result.get("externalExecutionSummary"), error.get("message")) if text
    ]
    return Action(
        stage=str(detail["stageName"]),
        name=str(detail["actionName"]),
        status=str(detail.get("status", "")),
        category=str((given.get("actionTypeId") or {}).get("category", "")),
        reason=" ".join(dict.fromkeys(parts)),
        by=str(detail.get("updatedBy") or ""),
        link=str(result.get("externalExecutionUrl") or ""),
        stack=str(shown.get("StackName", "")),
        variables={str(key): str(value) for key, value in (output.get("outputVariables") or {}).items()},
        shown={str(key): str(value) for key, value in shown.items()},
    )
