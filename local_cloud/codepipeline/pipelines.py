"""Pipelines and what happens to them: created, changed, started, stopped, approved, retried."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from local_cloud.codepipeline.approval import ApprovalAction
from local_cloud.codepipeline.declarations import check
from local_cloud.codepipeline.errors import ServiceError, invalid
from local_cloud.codepipeline.model import ActionRun, Declaration, Execution, Pipeline, Scope
from local_cloud.codepipeline.runs import Runs

Request = dict[str, Any]
_STARTED = "StartPipelineExecution"


class Pipelines:
    """The pipelines of all accounts.

    Parameters
    ----------
    runs
        Runs their executions.
    approvals
        Take answers.
    """

    def __init__(self, runs: Runs, approvals: ApprovalAction) -> None:
        self._runs, self._approvals = runs, approvals
        self._pipelines: dict[tuple[Scope, str], Pipeline] = {}
        self._executions: dict[str, list[Execution]] = {}
        self._tokens: dict[tuple[str, str], str] = {}

    # Pipelines

    def create(self, request: Request, scope: Scope, caller: str) -> Request:
        """Create a pipeline and start it, as AWS does; not where its variables need values."""
        declaration = dict(request["pipeline"])
        check(declaration)
        with self._runs.lock:
            if (scope, declaration["name"]) in self._pipelines:
                raise ServiceError(
                    "PipelineNameInUseException",
                    f"A pipeline with the name {declaration['name']} already exists",
                )
            pipeline = Pipeline(scope, declaration)
            self._pipelines[scope, pipeline.name] = pipeline
            self._executions[pipeline.arn] = []
            if all("defaultValue" in one for one in declaration.get("variables") or []):
                # Nobody is there yet who could give values to variables without default.
                self._start(pipeline, {"triggerType": "CreatePipeline", "triggerDetail": caller}, {}, {})
        return {"pipeline": _told(pipeline)}

    def update(self, request: Request, scope: Scope, caller: str) -> Request:
        """Change a pipeline: what is on its way ends as cancelled."""
        declaration = dict(request["pipeline"])
        check(declaration)
        with self._runs.lock:
            pipeline = self.pipeline(scope, declaration["name"])
            pipeline.declaration = declaration
            pipeline.version += 1
            pipeline.updated = time.time()
            going = [one for one in self._executions[pipeline.arn] if not one.ended]
        for execution in going:
            self._runs.cancel(execution)
        return {"pipeline": _told(pipeline)}

    def delete(self, request: Request, scope: Scope, caller: str) -> Request:
        """Delete a pipeline; what is on its way is abandoned."""
        with self._runs.lock:
            pipeline = self._pipelines.pop((scope, request["name"]), None)
            going = self._executions.pop(pipeline.arn, []) if pipeline else []
        for execution in going:
            if not execution.ended:
                self._runs.stop(execution, "The pipeline was deleted.", abandon=True)
        return {}

    def get(self, request: Request, scope: Scope, caller: str) -> Request:
        """Return a pipeline as it is declared."""
        pipeline = self.pipeline(scope, request["name"])
        if request.get("version") not in (None, pipeline.version):
            raise ServiceError(
                "PipelineVersionNotFoundException",
                f"The embedded cloud keeps the newest version only, which is {pipeline.version}",
            )
        metadata = {
            "pipelineArn": pipeline.arn,
            "created": pipeline.created,
            "updated": pipeline.updated,
        }
        return {"pipeline": _told(pipeline), "metadata": metadata}

    def list_all(self, request: Request, scope: Scope, caller: str) -> Request:
        """Return all pipelines of an account and region."""
        with self._runs.lock:
            found = [one for (owner, _), one in self._pipelines.items() if owner == scope]
        return {
            "pipelines": [
                {
                    "name": one.name,
                    "version": one.version,
                    "pipelineType": one.declaration.get("pipelineType", "V1"),
                    "executionMode": one.mode,
                    "created": one.created,
                    "updated": one.updated,
                }
                for one in found
            ]
        }

    # Executions

    def start(self, request: Request, scope: Scope, caller: str) -> Request:
        """Start an execution; a second start with the same token starts nothing."""
        with self._runs.lock:
            pipeline = self.pipeline(scope, request["name"])
            token = request.get("clientRequestToken")
            if token and (pipeline.arn, token) in self._tokens:
                return {"pipelineExecutionId": self._tokens[pipeline.arn, token]}
            revisions = {
                one["actionName"]: one["revisionValue"] for one in request.get("sourceRevisions") or []
            }
            given = {one["name"]: one["value"] for one in request.get("variables") or []}
            trigger = {"triggerType": _STARTED, "triggerDetail": caller}
            execution = self._start(pipeline, trigger, given, revisions)
            if token:
                self._tokens[pipeline.arn, token] = execution.execution_id
        return {"pipelineExecutionId": execution.execution_id}

    def _start(
        self, pipeline: Pipeline, trigger: dict[str, str], given: dict[str, str], revisions: dict[str, str]
    ) -> Execution:
        execution = Execution(
            pipeline,
            pipeline.declaration,
            pipeline.version,
            trigger,
            variables=_variables(pipeline.declaration, given),
            revisions_wanted=revisions,
        )
        self._executions[pipeline.arn].append(execution)
        self._runs.start(execution)
        return execution

    def stop(self, request: Request, scope: Scope, caller: str) -> Request:
        """Stop an execution: after its running actions, or abandoning them."""
        execution = self.execution(scope, request["pipelineName"], request["pipelineExecutionId"])
        abandon = bool(request.get("abandon"))
        with self._runs.lock:
            if execution.ended:
                raise ServiceError(
                    "PipelineExecutionNotStoppableException",
                    f"Pipeline execution {execution.execution_id} has already ended: {execution.status}",
                )
            if execution.status == "Stopping" and not abandon:
                raise ServiceError(
                    "DuplicatedStopRequestException", "The pipeline execution is already in a Stopping state."
                )
        self._runs.stop(execution, str(request.get("reason") or ""), abandon=abandon)
        return {"pipelineExecutionId": execution.execution_id}

    def retry(self, request: Request, scope: Scope, caller: str) -> Request:
        """Run a failed stage again."""
        stage = request["stageName"]
        pipeline = self.pipeline(scope, request["pipelineName"])
        _stage(pipeline, stage)
        execution = self.execution(scope, pipeline.name, request["pipelineExecutionId"])
        with self._runs.lock:
            newest = self.latest_in_stage(pipeline, stage)
            if execution.status != "Failed" or execution.stages.get(stage) != "Failed":
                raise ServiceError(
                    "StageNotRetryableException", f"Stage {stage} has not failed in {execution.execution_id}"
                )
            if newest is not execution:
                raise ServiceError(
                    "NotLatestPipelineExecutionException",
                    "A newer execution has entered the stage: only the latest can be retried",
                )
            if execution.version != pipeline.version:
                raise ServiceError(
                    "StageNotRetryableException",
                    "The pipeline has changed since: start it again instead",
                )
            failed = {run.name for run in self.latest_runs(execution, stage) if run.status != "Succeeded"}
        everything = request["retryMode"] == "ALL_ACTIONS"
        self._runs.retry(execution, stage, None if everything else failed)
        return {"pipelineExecutionId": execution.execution_id}

    def approve(self, request: Request, scope: Scope, caller: str) -> Request:
        """Take somebody's answer to an approval."""
        pipeline = self.pipeline(scope, request["pipelineName"])
        stage = _stage(pipeline, request["stageName"])
        if request["actionName"] not in [one["name"] for one in stage["actions"]]:
            raise ServiceError("ActionNotFoundException", f"There is no action {request['actionName']}")
        with self._runs.lock:
            run = self.latest_run(pipeline, request["stageName"], request["actionName"])
        result = request["result"]
        at = self._approvals.answer(run, request["token"], result["status"], result["summary"], caller)
        return {"approvedAt": at}

    # Look-ups

    def pipeline(self, scope: Scope, name: str) -> Pipeline:
        """Return a pipeline.

        Raises
        ------
        ServiceError
            There is none of that name.
        """
        with self._runs.lock:
            found = self._pipelines.get((scope, name))
        if found is None:
            raise ServiceError(
                "PipelineNotFoundException",
                f"Account '{scope.account}' does not have a pipeline with name '{name}'",
            )
        return found

    def executions(self, pipeline: Pipeline) -> list[Execution]:
        """Return the executions of a pipeline, newest first."""
        with self._runs.lock:
            return self._executions[pipeline.arn][::-1]

    def execution(self, scope: Scope, name: str, execution_id: str) -> Execution:
        """Return an execution.

        Raises
        ------
        ServiceError
            There is none with that id.
        """
        for one in self.executions(self.pipeline(scope, name)):
            if one.execution_id == execution_id:
                return one
        raise ServiceError(
            "PipelineExecutionNotFoundException",
            f"The pipeline {name} does not have an execution with id {execution_id}",
        )

    def latest_in_stage(self, pipeline: Pipeline, stage: str) -> Execution | None:
        """Return the execution that has entered a stage last."""
        found = [one for one in self.executions(pipeline) if stage in one.stages]
        return found[0] if found else None

    def latest_run(self, pipeline: Pipeline, stage: str, action: str) -> ActionRun | None:
        """Return the newest run of an action, of whichever execution."""
        with self._runs.lock:
            found = [
                run
                for execution in self._executions[pipeline.arn]
                for run in execution.runs
                if run.stage == stage and run.name == action
            ]
        return max(found, key=lambda run: run.started, default=None)

    @staticmethod
    def latest_runs(execution: Execution, stage: str) -> list[ActionRun]:
        """Return the newest run of each action of a stage in an execution."""
        found = {run.name: run for run in execution.runs if run.stage == stage}
        return [*found.values()]

    def close(self) -> None:
        """End everything."""
        self._runs.close()


Operation = Callable[[Request, Scope, str], Request]


def _told(pipeline: Pipeline) -> Declaration:
    return {**pipeline.declaration, "version": pipeline.version}


def _stage(pipeline: Pipeline, name: str) -> Declaration:
    for stage in pipeline.stages:
        if stage["name"] == name:
            return stage
    raise ServiceError("StageNotFoundException", f"The pipeline {pipeline.name} has no stage {name}")


def _variables(declaration: Declaration, given: dict[str, str]) -> dict[str, str]:
    declared = {one["name"]: one.get("defaultValue") for one in declaration.get("variables") or []}
    if unknown := sorted(given.keys() - declared.keys()):
        raise invalid(f"The pipeline has no variables named {', '.join(unknown)}")
    values = {**declared, **given}
    if missing := sorted(name for name, value in values.items() if value is None):
        raise invalid(f"Variables without default need a value: {', '.join(missing)}")
    return {name: str(value) for name, value in values.items()}
