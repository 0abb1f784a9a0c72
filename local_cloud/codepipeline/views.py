"""What CodePipeline tells of the state of pipelines, executions and actions."""

from __future__ import annotations

from typing import Any

from local_cloud.codepipeline.model import ActionRun, Artifact, Execution, Pipeline, Revision, Scope
from local_cloud.codepipeline.pipelines import Pipelines, Request
from local_cloud.codepipeline.runs import Runs

_PAGE = 100


class Views:
    """Answers the operations that only read.

    Parameters
    ----------
    pipelines, runs
        What there is.
    """

    def __init__(self, pipelines: Pipelines, runs: Runs) -> None:
        self._pipelines, self._runs = pipelines, runs

    def state(self, request: Request, scope: Scope, caller: str) -> Request:
        """Return the state of each stage and action of a pipeline."""
        pipeline = self._pipelines.pipeline(scope, request["name"])
        with self._runs.lock:
            stages = [self._stage(pipeline, stage) for stage in pipeline.stages]
        return {
            "pipelineName": pipeline.name,
            "pipelineVersion": pipeline.version,
            "stageStates": stages,
            "created": pipeline.created,
            "updated": pipeline.updated,
        }

    def _stage(self, pipeline: Pipeline, stage: dict[str, Any]) -> dict[str, Any]:
        name = stage["name"]
        found: dict[str, Any] = {
            "stageName": name,
            "inboundTransitionState": {"enabled": True},
            "actionStates": [self._action(pipeline, name, action) for action in stage["actions"]],
        }
        waiting = [
            {"pipelineExecutionId": one.execution_id, "status": "InProgress"}
            for one in self._runs.inbound(pipeline.arn, name)
        ]
        if waiting:
            found |= {"inboundExecution": waiting[0], "inboundExecutions": waiting}
        if latest := self._pipelines.latest_in_stage(pipeline, name):
            found["latestExecution"] = {
                "pipelineExecutionId": latest.execution_id,
                "status": latest.stages[name],
                "type": "STANDARD",
            }
        return found

    def _action(self, pipeline: Pipeline, stage: str, action: dict[str, Any]) -> dict[str, Any]:
        run = self._pipelines.latest_run(pipeline, stage, action["name"])
        found: dict[str, Any] = {"actionName": action["name"]}
        if run is None:
            return found
        found["latestExecution"] = _present(
            {
                "actionExecutionId": run.run_id,
                "status": run.status,
                "summary": run.summary,
                "lastStatusChange": run.updated,
                "token": run.token,
                "lastUpdatedBy": run.updated_by,
                "externalExecutionId": run.external_id,
                "externalExecutionUrl": run.external_url,
                "errorDetails": run.error,
            }
        )
        if run.revision:
            revision = run.revision
            found["currentRevision"] = {
                "revisionId": revision.commit,
                "revisionChangeId": revision.commit,
                "created": run.started,
            }
            found["revisionUrl"] = revision.url
        return found

    def execution(self, request: Request, scope: Scope, caller: str) -> Request:
        """Return an execution with the commits that it carries."""
        one = self._pipelines.execution(scope, request["pipelineName"], request["pipelineExecutionId"])
        revisions = [
            _present(
                {
                    "name": artifact.name,
                    "revisionId": revision.commit,
                    "revisionSummary": revision.message,
                    "created": run.started,
                    "revisionUrl": revision.url,
                }
            )
            for run, revision in one.revisions
            for artifact in run.outputs
        ]
        told = {
            "pipelineName": one.pipeline.name,
            "pipelineVersion": one.version,
            "pipelineExecutionId": one.execution_id,
            "status": one.status,
            "statusSummary": one.summary,
            "artifactRevisions": revisions,
            "variables": [{"name": name, "resolvedValue": value} for name, value in one.variables.items()],
            "trigger": one.trigger,
            "executionMode": one.pipeline.mode,
            "executionType": "STANDARD",
        }
        return {"pipelineExecution": _present(told)}

    def executions(self, request: Request, scope: Scope, caller: str) -> Request:
        """Return the executions of a pipeline, newest first."""
        pipeline = self._pipelines.pipeline(scope, request["pipelineName"])
        passed = ((request.get("filter") or {}).get("succeededInStage") or {}).get("stageName")
        with self._runs.lock:
            told = [
                _summary(one)
                for one in self._pipelines.executions(pipeline)
                if passed is None or one.stages.get(passed) == "Succeeded"
            ]
        shown, more = _page(told, request)
        return {"pipelineExecutionSummaries": shown, **more}

    def actions(self, request: Request, scope: Scope, caller: str) -> Request:
        """Return the runs of actions, newest first."""
        pipeline = self._pipelines.pipeline(scope, request["pipelineName"])
        wanted = (request.get("filter") or {}).get("pipelineExecutionId")
        latest = (request.get("filter") or {}).get("latestInPipelineExecution") or {}
        wanted = wanted or latest.get("pipelineExecutionId")
        with self._runs.lock:
            found = [
                (run, one)
                for one in self._pipelines.executions(pipeline)
                for run in one.runs
                if wanted in (None, one.execution_id)
            ]
            found.sort(key=lambda pair: pair[0].started, reverse=True)
            told = [_action_detail(run, one) for run, one in found]
        shown, more = _page(told, request)
        return {"actionExecutionDetails": shown, **more}


def _summary(one: Execution) -> dict[str, Any]:
    revisions = [
        _present(
            {
                "actionName": run.name,
                "revisionId": revision.commit,
                "revisionSummary": _summary_of(revision),
                "revisionUrl": revision.url,
            }
        )
        for run, revision in one.revisions
    ]
    told: dict[str, Any] = {
        "pipelineExecutionId": one.execution_id,
        "status": one.status,
        "statusSummary": one.summary,
        "startTime": one.started,
        "lastUpdateTime": one.updated,
        "sourceRevisions": revisions,
        "trigger": one.trigger,
        "executionMode": one.pipeline.mode,
        "executionType": "STANDARD",
    }
    if one.stopped_because is not None:
        told["stopTrigger"] = {"reason": one.stopped_because}
    return _present(told)


def _summary_of(revision: Revision) -> str:
    return revision.message.partition("\n")[0]


def _action_detail(run: ActionRun, execution: Execution) -> dict[str, Any]:
    declaration = run.declaration
    result = {
        "externalExecutionId": run.external_id,
        "externalExecutionSummary": run.summary,
        "externalExecutionUrl": run.external_url,
        "errorDetails": run.error,
    }
    told = {
        "pipelineExecutionId": execution.execution_id,
        "actionExecutionId": run.run_id,
        "pipelineVersion": execution.version,
        "stageName": run.stage,
        "actionName": run.name,
        "startTime": run.started,
        "lastUpdateTime": run.updated,
        "updatedBy": run.updated_by,
        "status": run.status,
        "input": _present(
            {
                "actionTypeId": declaration["actionTypeId"],
                "configuration": declaration.get("configuration"),
                "resolvedConfiguration": run.resolved,
                "roleArn": declaration.get("roleArn"),
                "region": declaration.get("region") or execution.pipeline.scope.region,
                "inputArtifacts": [_artifact(one) for one in run.inputs],
                "namespace": declaration.get("namespace"),
            }
        ),
        "output": {
            "outputArtifacts": [_artifact(one) for one in run.outputs],
            "executionResult": _present(result),
            "outputVariables": run.variables,
        },
    }
    return _present(told)


def _artifact(artifact: Artifact) -> dict[str, Any]:
    return {"name": artifact.name, "s3location": {"bucket": artifact.bucket, "key": artifact.key}}


def _present(told: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is empty: AWS tells no empty texts."""
    return {key: value for key, value in told.items() if value not in (None, "")}


def _page(told: list[dict[str, Any]], request: Request) -> tuple[list[dict[str, Any]], Request]:
    start, size = int(request.get("nextToken") or 0), int(request.get("maxResults") or _PAGE)
    more = {"nextToken": str(start + size)} if start + size < len(told) else {}
    return told[start : start + size], more
