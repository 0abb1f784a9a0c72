"""Follow an execution of the delivery pipeline: tell each action at its end, and answer the approvals that wait."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal.approver import Answer, Approver
from rehearsal.errors import RehearsalError
from rehearsal.path import Record, Row, shortened

POLL_SECONDS = 0.5
_COUNTS = re.compile(r"\d+ (failed|error)")
_BUILD_FOLDER = re.compile(r"/\S+/actions/[^/\s]+/[^/\s]+/src/[^/\s]+/")
GOING_ON = ("InProgress", "Stopping")


@dataclass(frozen=True)
class Ended:
    """How an execution ended.

    ``failed`` is the row of the action that stopped it.
    """

    execution_id: str
    status: str
    rows: list[Row] = field(default_factory=list)
    failed: Row | None = None

    @property
    def line(self) -> str:
        """Return where and why it was stopped, in one line."""
        if self.failed is None:
            return f"the execution is {self.status}"
        return f"{self.failed.stage}/{self.failed.action}: {shortened(self.failed.said, 400)}"


@dataclass
class Seen:
    """Ids of the actions that were told, and of the approvals that were answered, by whatever followed before."""

    told: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)


class Follower:
    """Follows executions of one pipeline.

    Parameters
    ----------
    client
        CodePipeline's, of the account that the pipeline is in.
    pipeline
        Its name.
    record
        Where rows are told.
    approver
        Who answers.
    on_action
        Gets each action that has ended, as ListActionExecutions tells it.
    seen
        What others have told already. Default: nothing.
    """

    def __init__(
        self,
        client: Any,
        pipeline: str,
        record: Record,
        approver: Approver,
        *,
        on_action: Callable[[Mapping[str, Any]], None] | None = None,
        seen: Seen | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._client, self._pipeline = client, pipeline
        self._record, self._approver = record, approver
        self._on_action, self._poll = on_action, poll_seconds
        self._seen = Seen() if seen is None else seen

    def start(self) -> str:
        """Start an execution, as a push to main does, and return its id."""
        return str(self._client.start_pipeline_execution(name=self._pipeline)["pipelineExecutionId"])

    def of_creation(self) -> Ended:
        """Follow the execution that a new pipeline begins with."""
        summaries = self._client.list_pipeline_executions(pipelineName=self._pipeline)[
            "pipelineExecutionSummaries"
        ]
        if not summaries:
            raise RehearsalError(f"the pipeline {self._pipeline} did not start when it was created")
        return self._to_the_end(str(summaries[-1]["pipelineExecutionId"]))

    def deliver(self) -> Ended:
        """Start an execution and follow it to its end; where the pipeline updates itself, the one that follows it."""
        return self._to_the_end(self.start())

    def _to_the_end(self, execution: str) -> Ended:
        while True:
            ended = self.follow(execution)
            following = self._started_after(execution)
            if following is None or ended.status in ("Succeeded", "Failed"):
                return ended
            self._record.note("the pipeline has changed itself and begins again, in its new form")
            execution = following

    def follow(self, execution: str) -> Ended:
        """Tell the actions of an execution until it has ended."""
        rows: list[Row] = []
        while True:
            # First the state, then the actions: what ends between the two is told.
            status = self._status(execution)
            actions = self._actions(execution)
            for action in actions:
                if action["status"] != "InProgress" and action["actionExecutionId"] not in self._seen.told:
                    self._seen.told.add(action["actionExecutionId"])
                    rows.append(row_of(action))
                    self._record.row(rows[-1])
                    if self._on_action:
                        self._on_action(action)
            if status not in GOING_ON and not any(a["status"] == "InProgress" for a in actions):
                failed = next((row for row in rows if row.result in ("Failed", "Rejected")), None)
                return Ended(execution, status, rows, failed)
            waiting = waiting_approval(actions, self._seen.answered)
            if waiting is not None:
                self._answer(waiting)
            else:
                time.sleep(self._poll)

    def retry(self, ended: Ended) -> Ended:
        """Retry the stage that an execution stopped in, from the action that failed."""
        if ended.failed is None:
            raise RehearsalError("there is nothing to retry: no action has failed")
        self._client.retry_stage_execution(
            pipelineName=self._pipeline,
            stageName=ended.failed.stage,
            pipelineExecutionId=ended.execution_id,
            retryMode="FAILED_ACTIONS",
        )
        return self.follow(ended.execution_id)

    def _status(self, execution: str) -> str:
        found = self._client.get_pipeline_execution(
            pipelineName=self._pipeline, pipelineExecutionId=execution
        )["pipelineExecution"]
        return str(found["status"])

    def _actions(self, execution: str) -> list[dict[str, Any]]:
        """Return the actions of an execution, in the order in which they started."""
        pages = self._client.get_paginator("list_action_executions").paginate(
            pipelineName=self._pipeline, filter={"pipelineExecutionId": execution}
        )
        found = [action for page in pages for action in page["actionExecutionDetails"]]
        return sorted(found, key=lambda action: action["startTime"])

    def _started_after(self, execution: str) -> str | None:
        """Return the execution that was started next after one."""
        newer = None
        for one in self._client.list_pipeline_executions(pipelineName=self._pipeline)[
            "pipelineExecutionSummaries"
        ]:
            if one["pipelineExecutionId"] == execution:
                return newer
            newer = str(one["pipelineExecutionId"])
        return None

    def _answer(self, action: Mapping[str, Any]) -> None:
        stage, name = str(action["stageName"]), str(action["actionName"])
        if self._token(stage, name) is None:
            time.sleep(self._poll)  # it has only just begun, or has just ended
            return
        self._seen.answered.add(str(action["actionExecutionId"]))
        configuration = action.get("input", {}).get("resolvedConfiguration") or {}
        for line in str(configuration.get("CustomData") or "").splitlines():
            self._record.note(f"  {line}")
        if link := configuration.get("ExternalEntityLink"):
            self._record.note(f"  see {link}")
        answer = self._approver.answer(name, f"{stage}/{name} waits.")
        token = self._token(stage, name)
        if token is None:
            return  # somebody else was faster: the gate itself approves where nothing widens
        self._put(stage, name, token, answer)

    def _put(self, stage: str, action: str, token: str, answer: Answer) -> None:
        self._client.put_approval_result(
            pipelineName=self._pipeline,
            stageName=stage,
            actionName=action,
            token=token,
            result={"status": "Approved" if answer.approved else "Rejected", "summary": answer.note},
        )

    def _token(self, stage: str, action: str) -> str | None:
        state = self._client.get_pipeline_state(name=self._pipeline)
        for one in state["stageStates"]:
            for inner in one.get("actionStates", []) if one["stageName"] == stage else []:
                if inner["actionName"] == action:
                    token = inner.get("latestExecution", {}).get("token")
                    return str(token) if token else None
        return None


def waiting_approval(actions: list[dict[str, Any]], answered: set[str]) -> dict[str, Any] | None:
    """Return the approval that a person has to answer now.

    That is one beside which nothing else runs any more: the permissions gate answers its own where nothing widens.
    """
    running = [action for action in actions if action["status"] == "InProgress"]
    if any(not is_approval(action) for action in running):
        return None
    return next((action for action in running if action["actionExecutionId"] not in answered), None)


def is_approval(action: Mapping[str, Any]) -> bool:
    """Return whether an action is a manual approval."""
    return bool(action.get("input", {}).get("actionTypeId", {}).get("category") == "Approval")


def row_of(action: Mapping[str, Any]) -> Row:
    """Return an action that has ended as a row of the table."""
    output = action.get("output", {})
    result = output.get("executionResult", {})
    error = result.get("errorDetails", {})
    status = str(action["status"])
    said = str(result.get("externalExecutionSummary") or error.get("message") or "")
    if is_approval(action):
        rejected = status == "Failed" or error.get("code") == "Rejected"
        status = "Rejected" if rejected else "Approved" if status == "Succeeded" else status
    began, ended = action["startTime"], action["lastUpdateTime"]
    return Row(
        stage=str(action["stageName"]),
        action=str(action["actionName"]),
        result=status,
        seconds=round((ended - began).total_seconds(), 1),
        said=said_by(said),
    )


def said_by(summary: str) -> str:
    """Return the line of a summary that says most: of a build its last, which is its verdict.

    Where that only counts failed tests, the one before it names the last of them.
    """
    lines = [line.strip() for line in summary.splitlines() if line.strip()]
    if len(lines) > 1 and _COUNTS.match(lines[-1]):
        lines.append(f"{lines[-2]} ({lines[-1]})")
    # Files are named as seen from the build's own folder.
    return _BUILD_FOLDER.sub("", lines[-1]) if lines else ""
