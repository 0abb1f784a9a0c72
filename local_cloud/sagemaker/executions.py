"""Executions of pipelines: started, watched, stopped."""

from __future__ import annotations

import json
import secrets
import string
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from local_cloud.runner.clients import RoleClients
from local_cloud.runner.definition import Definition, parse
from local_cloud.runner.execution import PipelineRun, StepProgress
from local_cloud.runner.jobs import JobPool
from local_cloud.runner.quality_step import run_quality_check
from local_cloud.runner.resolve import ExecutionIdentity, Resolver, as_text, parameter_values
from local_cloud.runner.steps import StepContext, StepHandlers
from local_cloud.runner.transfer import read_object
from local_cloud.sagemaker.arns import Reference, Scope, parse_arn
from local_cloud.sagemaker.errors import ServiceError, conflict, invalid, not_found
from local_cloud.sagemaker.events import Events
from local_cloud.sagemaker.paging import created_within, page
from local_cloud.sagemaker.pipelines import ENDED, EXECUTION, Pipelines
from local_cloud.sagemaker.roles import Roles
from local_cloud.sagemaker.store import Record, Store

_ALPHABET = string.ascii_lowercase + string.digits


class Executions:
    """The operations on executions."""

    def __init__(
        self, store: Store, pipelines: Pipelines, roles: Roles, events: Events, pool: JobPool
    ) -> None:
        self._store = store
        self._roles = roles
        self._events = events
        self._pool = pool
        self._pipelines = pipelines
        self._runs: dict[str, PipelineRun] = {}

    def start(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """StartPipelineExecution; a repeated ClientRequestToken gives the execution that was started with it."""
        with self._store.lock:
            found, pipeline = self._pipelines.pipeline(request["PipelineName"], caller)
            same = self._started_with(pipeline["PipelineArn"], request["ClientRequestToken"])
            given = {item["Name"]: item["Value"] for item in request.get("PipelineParameters") or []}
            if same is not None:
                if same["_Given"] != given:
                    raise conflict("ClientRequestToken was used before with other parameters")
                return same
            if "SelectiveExecutionConfig" in request:
                raise invalid("SelectiveExecutionConfig isn't emulated")
            version = self._pipelines.version(pipeline, request.get("PipelineVersionId"))
            definition = parse(json.loads(version["PipelineDefinition"]))
            try:
                values = parameter_values(definition.parameters, given)
            except ValueError as error:
                raise invalid(str(error)) from None
            execution = self._new_record(request, pipeline, version, values)
            self._store.put(_reference(execution["PipelineExecutionArn"]), execution)
        try:
            session = self._roles.session(pipeline["RoleArn"], execution["PipelineExecutionArn"])
        except ServiceError:
            self._store.remove(_reference(execution["PipelineExecutionArn"]))
            raise
        pipeline["LastRunTime"] = execution["CreationTime"]
        self._launch(found.scope, execution, definition, values, session)
        return execution

    def _started_with(self, pipeline_arn: str, token: str) -> Record | None:
        return next((e for e in self._pipelines.executions(pipeline_arn) if e["_Token"] == token), None)

    def _new_record(
        self, request: dict[str, Any], pipeline: Record, version: Record, values: dict[str, Any]
    ) -> Record:
        execution_id = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        now = time.time()
        parallelism = request.get("ParallelismConfiguration") or pipeline.get("ParallelismConfiguration")
        return {
            "PipelineArn": pipeline["PipelineArn"],
            "PipelineExecutionArn": f"{pipeline['PipelineArn']}/execution/{execution_id}",
            "PipelineExecutionDisplayName": request.get(
                "PipelineExecutionDisplayName", f"execution-{int(now * 1000)}"
            ),
            "PipelineExecutionDescription": request.get("PipelineExecutionDescription"),
            "PipelineExecutionStatus": "Executing",
            "CreationTime": now,
            "LastModifiedTime": now,
            "CreatedBy": {},
            "LastModifiedBy": {},
            "ParallelismConfiguration": parallelism,
            "PipelineVersionId": pipeline["_Versions"].index(version) + 1,
            "PipelineDefinition": version["PipelineDefinition"],
            "_PipelineName": pipeline["PipelineName"],
            "_Id": execution_id,
            "_Token": request["ClientRequestToken"],
            "_Given": {item["Name"]: item["Value"] for item in request.get("PipelineParameters") or []},
            "_Parameters": [{"Name": name, "Value": as_text(value)} for name, value in values.items()],
            "_Steps": {},
        }

    def _launch(
        self,
        scope: Scope,
        execution: Record,
        definition: Definition,
        values: dict[str, Any],
        session: dict[str, str],
    ) -> None:
        clients = RoleClients(session)
        identity = ExecutionIdentity(
            execution["_PipelineName"],
            execution["PipelineArn"],
            execution["_Id"],
            execution["PipelineExecutionArn"],
            datetime.fromtimestamp(execution["CreationTime"], UTC),
        )
        handlers = StepHandlers(StepContext(clients, execution["_Id"], self._pool.wait))
        run = PipelineRun(
            definition,
            Resolver(identity, values, lambda uri: read_object(clients.client("s3"), uri)),
            {**handlers.by_type(), "QualityCheck": partial(run_quality_check, handlers)},
            _Recorder(self, scope, execution),
            (execution["ParallelismConfiguration"] or {}).get("MaxParallelExecutionSteps"),
        )
        self._runs[execution["PipelineExecutionArn"]] = run
        self._events.execution_changed(scope, execution, None)
        threading.Thread(target=run.run, name=f"execution-{execution['_Id']}", daemon=True).start()

    def changed(
        self, scope: Scope, execution: Record, status: str, failure_reason: str | None = None
    ) -> None:
        """Give an execution a new status, and tell of it."""
        with self._store.lock:
            previous = execution["PipelineExecutionStatus"]
            execution.update(PipelineExecutionStatus=status, LastModifiedTime=time.time())
            if failure_reason:
                execution["FailureReason"] = failure_reason
            if status in ENDED:
                self._runs.pop(execution["PipelineExecutionArn"], None)
            told = dict(execution)
        self._events.execution_changed(scope, told, previous)

    def step_changed(
        self, scope: Scope, execution: Record, progress: StepProgress, previous: str | None
    ) -> None:
        """Note a step's progress, and tell of a new status."""
        with self._store.lock:
            execution["_Steps"][progress.name] = _step_record(progress)
        if previous != progress.status:
            self._events.step_changed(scope, execution, progress, previous)

    def execution(self, arn: str) -> Record:
        """Return an execution's record."""
        record = self._store.get(_reference(arn))
        if record is None:
            raise not_found(f"Pipeline execution '{arn}' does not exist.")
        return record

    def stop(self, request: dict[str, Any], _: Scope) -> dict[str, Any]:
        """StopPipelineExecution."""
        with self._store.lock:
            execution = self.execution(request["PipelineExecutionArn"])
            status = execution["PipelineExecutionStatus"]
            if status in ENDED:
                raise conflict(
                    f"Pipeline execution '{execution['PipelineExecutionArn']}' has status {status}: "
                    "only one that is executing can be stopped."
                )
            run = self._runs.get(execution["PipelineExecutionArn"])
            if status != "Stopping":
                self.changed(parse_arn(execution["PipelineArn"]).scope, execution, "Stopping")
        if run:
            run.stop()
        return execution

    def describe(self, request: dict[str, Any], _: Scope) -> dict[str, Any]:
        """DescribePipelineExecution."""
        return self.execution(request["PipelineExecutionArn"])

    def definition(self, request: dict[str, Any], _: Scope) -> dict[str, Any]:
        """DescribePipelineDefinitionForExecution."""
        return self.execution(request["PipelineExecutionArn"])

    def list(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """ListPipelineExecutions."""
        _, pipeline = self._pipelines.pipeline(request["PipelineName"], caller)
        wanted = [
            {
                **item,
                "StartTime": item["CreationTime"],
                "PipelineExecutionFailureReason": item.get("FailureReason"),
            }
            for item in self._pipelines.executions(pipeline["PipelineArn"])
            if created_within(item, request)
        ]
        shown, more = page(
            wanted,
            request,
            sort_keys={
                "CreationTime": lambda r: r["CreationTime"],
                "PipelineExecutionArn": lambda r: r["PipelineExecutionArn"],
            },
            default_key="CreationTime",
            default_order="Descending",
        )
        return {"PipelineExecutionSummaries": shown, **more}

    def list_steps(self, request: dict[str, Any], _: Scope) -> dict[str, Any]:
        """ListPipelineExecutionSteps: the steps that have been started."""
        if "PipelineExecutionArn" not in request:
            raise invalid("PipelineExecutionArn must be given")
        with self._store.lock:
            steps = list(self.execution(request["PipelineExecutionArn"])["_Steps"].values())
        shown, more = page(
            steps,
            request,
            sort_keys={"CreatedTime": lambda r: r["StartTime"]},
            default_key="CreatedTime",
            default_order="Descending",
        )
        return {"PipelineExecutionSteps": shown, **more}

    def list_parameters(self, request: dict[str, Any], _: Scope) -> dict[str, Any]:
        """ListPipelineParametersForExecution."""
        shown, more = page(
            self.execution(request["PipelineExecutionArn"])["_Parameters"],
            request,
            sort_keys={"Name": lambda r: r["Name"]},
            default_key="Name",
            default_order="Ascending",
        )
        return {"PipelineParameters": shown, **more}

    def end_orphans(self) -> None:
        """Mark as stopped what was running when a state was saved: nothing runs it any more."""
        for item in self._store.all_records(EXECUTION):
            if (
                item["PipelineExecutionStatus"] not in ENDED
                and item["PipelineExecutionArn"] not in self._runs
            ):
                item.update(PipelineExecutionStatus="Stopped", LastModifiedTime=time.time())

    def stop_all(self) -> None:
        """Stop all executions, without waiting for them."""
        for run in list(self._runs.values()):
            run.stop()


class _Recorder:
    """Takes note of what happens in one execution."""

    def __init__(self, executions: Executions, scope: Scope, execution: Record) -> None:
        self._executions = executions
        self._scope = scope
        self._execution = execution

    def step_changed(self, progress: StepProgress, previous_status: str | None) -> None:
        self._executions.step_changed(self._scope, self._execution, progress, previous_status)

    def run_ended(self, status: str, failure_reason: str | None) -> None:
        self._executions.changed(self._scope, self._execution, status, failure_reason)


def _reference(arn: str) -> Reference:
    found = parse_arn(arn)
    if found.kind != "pipeline" or "/execution/" not in found.name:
        raise invalid(f"'{arn}' isn't the ARN of a pipeline execution")
    return Reference(found.scope, EXECUTION, found.name)


def _step_record(progress: StepProgress) -> Record:
    return {
        "StepName": progress.name,
        "StepDisplayName": progress.display_name,
        "StepDescription": progress.description,
        "StepStatus": progress.status,
        "StartTime": progress.start_time,
        "EndTime": progress.end_time,
        "FailureReason": progress.failure_reason,
        "Metadata": progress.metadata,
        "AttemptCount": progress.attempt_count,
    }
