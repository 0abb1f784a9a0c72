"""Runs executions: stages in order, actions by run order, and what happens where executions meet."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from local_cloud.codepipeline.errors import ActionAbandoned, ActionFailed
from local_cloud.codepipeline.events import Events
from local_cloud.codepipeline.model import PARALLEL, SUPERSEDED, ActionRun, Artifact, Execution, Work
from local_cloud.codepipeline.variables import fill
from local_cloud.engine_services import IssueSession, Role
from local_cloud.runner.clients import RoleClients

_SERVICE = "codepipeline.amazonaws.com"
logger = logging.getLogger(__name__)
_Place = tuple[str, str]


class Program(Protocol):
    """What runs the actions of a provider."""

    def run(self, work: Work) -> None:
        """Run to the end; raises `ActionFailed` or `ActionAbandoned`."""
        ...

    def abandon(self, work: Work) -> None:
        """Let `run` end soon; may be called from any thread."""
        ...


class Runs:
    """Runs executions, each on a thread of its own.

    Parameters
    ----------
    programs
        By provider.
    issue_session
        Assumes the pipeline's role.
    events
        Tells what happens.
    work_dir
        Folder for what actions leave.

    Attributes
    ----------
    lock
        To be held by whoever reads or changes executions.
    """

    def __init__(
        self, programs: Mapping[str, Program], issue_session: IssueSession, events: Events, work_dir: Path
    ) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._programs, self._issue_session, self._events = programs, issue_session, events
        self._work_dir = work_dir
        self._occupants: dict[_Place, str] = {}
        self._waiting: dict[_Place, list[Execution]] = {}
        self._active: dict[str, Work] = {}
        self._closed = False

    def start(self, execution: Execution) -> None:
        """Run an execution from its first stage."""
        self._events.execution_changed(execution)
        self._begin(execution, 0, None)

    def retry(self, execution: Execution, stage: str, actions: set[str] | None) -> None:
        """Run a failed stage again, and what follows.

        Parameters
        ----------
        execution
            Which.
        stage
            Name of the stage.
        actions
            Names of its actions that are run again. Default: all.
        """
        with self.lock:
            execution.attempt += 1
            execution.status, execution.updated = "InProgress", time.time()
        self._events.execution_changed(execution, "RESUMED")
        names = [one["name"] for one in execution.declaration["stages"]]
        self._begin(execution, names.index(stage), actions)

    def _begin(self, execution: Execution, first: int, actions: set[str] | None) -> None:
        name = f"pipeline-{execution.execution_id[:8]}"
        threading.Thread(target=self._run, args=(execution, first, actions), name=name, daemon=True).start()

    def stop(self, execution: Execution, reason: str, *, abandon: bool) -> None:
        """End an execution: after its running actions, or at once."""
        with self.lock:
            if execution.status == "InProgress":
                execution.status, execution.stopped_because = "Stopping", reason
                execution.updated = time.time()
                self._events.execution_changed(execution)
            self._changed.notify_all()
            active = [work for work in self._active.values() if work.execution is execution]
        for work in active:
            # Nobody works on an approval: there is nothing to wait for.
            if abandon or work.run.declaration["actionTypeId"]["category"] == "Approval":
                self._program(work.run).abandon(work)

    def cancel(self, execution: Execution) -> None:
        """End an execution whose pipeline was changed: its running actions end by themselves, nothing follows."""
        with self.lock:
            if execution.ended:
                return
            execution.status, execution.updated = "Cancelled", time.time()
            execution.summary = (
                "The pipeline's definition was updated before the execution could be completed."
            )
            self._events.execution_changed(execution)
            self._changed.notify_all()
            active = [work for work in self._active.values() if work.execution is execution]
        for work in active:
            if work.run.declaration["actionTypeId"]["category"] == "Approval":
                self._program(work.run).abandon(work)

    def close(self) -> None:
        """End everything."""
        with self.lock:
            self._closed = True
            self._changed.notify_all()
            active = list(self._active.values())
        for work in active:
            self._program(work.run).abandon(work)

    def inbound(self, execution_pipeline: str, stage: str) -> list[Execution]:
        """Return the executions that wait before a stage."""
        with self.lock:
            return list(self._waiting.get((execution_pipeline, stage), []))

    # One execution

    def _run(self, execution: Execution, first: int, actions: set[str] | None) -> None:
        try:
            for stage in execution.declaration["stages"][first:]:
                if not self._enter(execution, stage["name"]):
                    break
                try:
                    succeeded = self._run_stage(execution, stage, actions)
                finally:
                    self._leave(execution, stage["name"])
                actions = None
                if not succeeded:
                    break
            else:
                self._finish(execution, "Succeeded")
                return
            self._finish(execution, "Failed")
        except Exception:
            logger.exception("execution %s", execution.execution_id)
            self._finish(execution, "Failed")

    def _finish(self, execution: Execution, status: str) -> None:
        with self.lock:
            if self._closed or execution.ended:
                return
            if execution.status == "Stopping":
                status = "Stopped"
            execution.status, execution.updated = status, time.time()
        self._events.execution_changed(execution)

    def _enter(self, execution: Execution, stage: str) -> bool:
        """Wait for the stage; False where the execution ends here."""
        place = (execution.pipeline.arn, stage)
        mode = execution.pipeline.mode
        if mode == PARALLEL:
            return not self._closed and execution.status == "InProgress"
        with self._changed:
            queue = self._waiting.setdefault(place, [])
            queue.append(execution)
            queue.sort(key=lambda one: one.started)
            if mode == SUPERSEDED:
                for older in queue[:-1]:
                    older.status, older.updated = "Superseded", time.time()
                    older.summary = f"Superseded by {queue[-1].execution_id}"
                    self._events.execution_changed(older)
                self._changed.notify_all()
            self._changed.wait_for(
                lambda: (
                    self._closed
                    or execution.status != "InProgress"
                    or (place not in self._occupants and queue[0] is execution)
                )
            )
            queue.remove(execution)
            self._changed.notify_all()
            if self._closed or execution.status != "InProgress":
                return False
            self._occupants[place] = execution.execution_id
            return True

    def _leave(self, execution: Execution, stage: str) -> None:
        with self._changed:
            self._occupants.pop((execution.pipeline.arn, stage), None)
            self._changed.notify_all()

    def _run_stage(self, execution: Execution, stage: dict[str, Any], only: set[str] | None) -> bool:
        name = stage["name"]
        self._set_stage(execution, name, "InProgress", "RESUMED" if only else None)
        orders = sorted({int(one.get("runOrder", 1)) for one in stage["actions"]})
        for order in orders:
            group = [one for one in stage["actions"] if int(one.get("runOrder", 1)) == order]
            group = [one for one in group if only is None or one["name"] in only]
            runs = [ActionRun(name, declaration) for declaration in group]
            threads = [
                threading.Thread(target=self._run_action, args=(execution, run), daemon=True) for run in runs
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if any(run.status != "Succeeded" for run in runs) or execution.status != "InProgress":
                break
            # What was left out of a retry are actions that have succeeded before; those that never ran come now.
            only = None if only is not None and order == max(_orders_of(stage, only)) else only
        else:
            self._set_stage(execution, name, "Succeeded")
            return True
        failed = any(run.status == "Failed" for run in runs)
        cut_short = {"Stopping": "Stopped", "Cancelled": "Cancelled"}.get(execution.status)
        whole = order == orders[-1] and all(run.status == "Succeeded" for run in runs)
        self._set_stage(
            execution, name, "Failed" if failed else "Succeeded" if whole else cut_short or "Failed"
        )
        return False

    def _set_stage(self, execution: Execution, stage: str, status: str, state: str | None = None) -> None:
        with self.lock:
            execution.stages[stage] = status
            execution.updated = time.time()
        self._events.stage_changed(execution, stage, state)

    # One action

    def _program(self, run: ActionRun) -> Program:
        return self._programs[run.declaration["actionTypeId"]["provider"]]

    def _run_action(self, execution: Execution, run: ActionRun) -> None:
        with self.lock:
            execution.runs.append(run)
        self._events.action_changed(execution, run)
        status, error = "Failed", None
        try:
            self._perform(execution, run)
            status = "Succeeded"
        except ActionFailed as failure:
            error = {"code": failure.code, "message": failure.message}
            run.summary = failure.summary
        except ActionAbandoned:
            status, run.summary = "Abandoned", execution.stopped_because or execution.summary
        except Exception as failure:
            logger.exception("action %s of stage %s", run.name, run.stage)
            error = {"code": "InternalError", "message": f"{type(failure).__name__}: {failure}"}
            run.summary = error["message"]
        with self.lock:
            self._active.pop(run.run_id, None)
            run.status, run.error, run.updated = status, error, time.time()
            execution.updated = run.updated
            if status == "Succeeded":
                execution.artifacts |= {artifact.name: artifact for artifact in run.outputs}
                if namespace := run.declaration.get("namespace"):
                    execution.namespaces[namespace] = dict(run.variables)
        self._events.action_changed(execution, run)

    def _perform(self, execution: Execution, run: ActionRun) -> None:
        spaces = {
            "variables": execution.variables,
            "codepipeline": {"PipelineExecutionId": execution.execution_id},
            **execution.namespaces,
        }
        run.resolved = fill(run.declaration.get("configuration") or {}, spaces)
        run.inputs = [
            _artifact(execution, one["name"]) for one in run.declaration.get("inputArtifacts") or []
        ]
        folder = self._work_dir / execution.execution_id / f"{run.stage}-{run.name}-{run.run_id[:8]}"
        folder.mkdir(parents=True)
        region = run.declaration.get("region") or execution.pipeline.scope.region
        work = Work(execution, run, self._role(execution, run, region), region, run.inputs, folder)
        with self.lock:
            if self._closed or execution.status not in ("InProgress", "Cancelled"):
                raise ActionAbandoned
            self._active[run.run_id] = work
        self._program(run).run(work)

    def _role(self, execution: Execution, run: ActionRun, region: str) -> Role:
        """The session of the action's role, which the pipeline's role assumes, or of the pipeline's itself."""
        pipeline_role = str(execution.declaration["roleArn"])
        try:
            session = self._issue_session(
                pipeline_role, _SERVICE, execution.execution_id, execution.pipeline.arn
            )
        except PermissionError as error:
            raise ActionFailed(
                f"CodePipeline is not authorized to perform AssumeRole on role {pipeline_role}: {error}",
                code="PermissionError",
            ) from None
        role = run.declaration.get("roleArn")
        if role:
            try:
                answer = (
                    RoleClients(session)
                    .client("sts")
                    .assume_role(RoleArn=role, RoleSessionName=execution.execution_id)
                )
            except ClientError as error:
                raise ActionFailed(
                    f"The role {pipeline_role} is not authorized to perform AssumeRole on role {role}:"
                    f" {error.response['Error']['Message']}",
                    code="PermissionError",
                ) from None
            found = answer["Credentials"]
            session = {
                **session,
                "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
                "AWS_SESSION_TOKEN": found["SessionToken"],
            }
        return {**session, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}


def _orders_of(stage: dict[str, Any], names: set[str]) -> list[int]:
    return [int(one.get("runOrder", 1)) for one in stage["actions"] if one["name"] in names]


def _artifact(execution: Execution, name: str) -> Artifact:
    if name not in execution.artifacts:
        raise ActionFailed(f"No earlier action has made the artifact {name}", code="ConfigurationError")
    return execution.artifacts[name]
