"""Check runs: inference executions that score a batch of their own and leave no other trace."""

from __future__ import annotations

import contextlib
import csv
import io
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.exceptions

from ops import runs
from ops.checks_common import Check, lead_seconds, read
from ops.checks_scores import TOLERANCE, ScoresError, largest_difference, parse
from ops.checks_versions import OwnBatch

# Scheduler starts within a minute of the time, and tries again where the start failed.
LATE_SECONDS = 180


@dataclass(frozen=True)
class Schedule:
    """The stage's own schedule of a model's inference: what a one-off one is made like."""

    name: str
    target: dict[str, Any]


def new_check_id() -> str:
    """Return an id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def put_batch(check: Check, check_id: str, name: str, text: str) -> str:
    """Put a batch where check runs read theirs, and return its URI."""
    key = f"{check.home}/checks/batches/{check_id}/{name}"
    check.access.s3.put_object(Bucket=check.bucket, Key=key, Body=text.encode())
    return f"s3://{check.bucket}/{key}"


def parameters(check: Check, batch_uri: str, version: int, **more: str) -> dict[str, str]:
    """Return the start parameters that make an inference execution a check run."""
    return {
        "RunUri": f"s3://{check.bucket}/{check.home}/checks",
        "transform_input": batch_uri,
        "ModelVersion": str(version),
        "Rescore": "true",
        **more,
    }


def pipeline_of(check: Check) -> str:
    """Return the name of the stage's inference pipeline."""
    return check.stage.pipeline_name(check.model, "inference")


def start(check: Check, given: dict[str, str]) -> runs.Outcome:
    """Start a check run, follow it to its end and return how it ended."""
    arn = runs.start(check.access.sagemaker, pipeline_of(check), given)
    return follow(check, arn)


def follow(check: Check, execution_arn: str) -> runs.Outcome:
    """Follow an execution to its end."""
    return runs.follow(
        check.access.sagemaker, execution_arn, say=check.say, poll_seconds=check.access.poll_seconds
    )


def own_schedule(check: Check) -> Schedule:
    """Return the stage's own schedule, which must start the inference pipeline by a role."""
    name = f"{check.model.prefix}-{check.stage.name}-inference"
    stack = "StagingStack" if check.stage.name == "staging" else "ProdStack"
    try:
        found = check.access.scheduler.get_schedule(Name=name)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        check.fail(f"the schedule {name}", "none", f"deploy {stack}")
    target, wanted = found["Target"], f":pipeline/{pipeline_of(check).lower()}"
    if not target["Arn"].endswith(wanted) or not target.get("RoleArn"):
        check.fail(f"the schedule {name} to start {wanted[1:]}", target["Arn"], f"deploy {stack}")
    return Schedule(name, target)


def start_by_schedule(check: Check, own: Schedule, check_id: str, given: dict[str, str]) -> runs.Outcome:
    """Let a one-off schedule like the stage's own start a check run, and follow it to its end."""
    lead = lead_seconds()
    name = f"mlops-check-{check.stage.name}-{check_id}"
    target: dict[str, Any] = {
        key: own.target[key] for key in ("Arn", "RoleArn", "DeadLetterConfig") if key in own.target
    }
    target["RetryPolicy"] = {"MaximumEventAgeInSeconds": 120, "MaximumRetryAttempts": 2}
    target["SageMakerPipelineParameters"] = {
        "PipelineParameterList": [{"Name": key, "Value": value} for key, value in given.items()]
    }
    moment = datetime.now(UTC) + timedelta(seconds=lead)
    with _schedule(check, name, moment, target):
        check.say(f"  {name} starts it at {moment:%H:%M:%S} UTC")
        arn = _wait_for_start(check, given["transform_input"], lead + LATE_SECONDS)
        if arn is None:
            queue = own.target.get("DeadLetterConfig", {}).get("Arn", "none")
            check.fail(
                f"{name} to start {pipeline_of(check)} at {moment:%H:%M:%S} UTC",
                f"no execution {LATE_SECONDS} s later",
                f"look into the dead-letter queue {queue.rsplit(':', 1)[-1]} and at the role of {own.name}",
            )
        return follow(check, arn)


@contextlib.contextmanager
def _schedule(check: Check, name: str, moment: datetime, target: dict[str, Any]) -> Iterator[None]:
    scheduler = check.access.scheduler
    scheduler.create_schedule(
        Name=name,
        Description=f"Checks {pipeline_of(check)} once",
        ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})",
        ScheduleExpressionTimezone="UTC",
        FlexibleTimeWindow={"Mode": "OFF"},
        # Goes by itself too, should this program be ended before it deletes it.
        ActionAfterCompletion="DELETE",
        Target=target,
    )
    try:
        yield
    finally:
        try:
            scheduler.delete_schedule(Name=name)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise


def _wait_for_start(check: Check, batch_uri: str, seconds: float) -> str | None:
    """Return the execution that scores a batch, as soon as there is one."""
    others: set[str] = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = check.access.sagemaker.list_pipeline_executions(
            PipelineName=pipeline_of(check), SortBy="CreationTime", SortOrder="Descending", MaxResults=20
        )
        for one in answer["PipelineExecutionSummaries"]:
            arn = str(one["PipelineExecutionArn"])
            if (
                arn not in others
                and parameters_of(check.access.sagemaker, arn).get("transform_input") == batch_uri
            ):
                return arn
            others.add(arn)
        time.sleep(check.access.poll_seconds)
    return None


def parameters_of(sagemaker: Any, execution_arn: str) -> dict[str, str]:
    """Return the parameters of an execution by name."""
    pages = sagemaker.get_paginator("list_pipeline_parameters_for_execution").paginate(
        PipelineExecutionArn=execution_arn
    )
    return {one["Name"]: one["Value"] for page in pages for one in page["PipelineParameters"]}


def compare_scores(check: Check, outcome: runs.Outcome, tested: OwnBatch) -> str:
    """Compare what a check run predicted with what the model was measured to score; return it in words."""
    prefix = f"checks/{outcome.execution_id}/predictions/"
    bodies = [read(check.access.s3, f"s3://{check.bucket}/{key}") for key in sorted(check.keys(prefix))]
    text = "".join((body or b"").decode() for body in bodies)
    where = f"s3://{check.bucket}/{check.home}/{prefix}"
    expected = f"the scores that version {tested.version} was registered with, to within {TOLERANCE}"
    fix = "serving differs from training: compare image and definition of both pipelines"
    try:
        wanted = parse(tested.scores, "check_scores.csv")
        difference = largest_difference(parse(text, where), wanted)
    except ScoresError as error:
        check.fail(expected, str(error), fix)
    if difference > TOLERANCE:
        check.fail(expected, f"a difference of {difference:.4f} in {where}", fix)
    return f"{len(wanted)} scores as registered (largest difference {difference:.6f})"


def rows_of(text: str) -> int:
    """Return how many lines a CSV text has."""
    return sum(1 for row in csv.reader(io.StringIO(text)) if row)


class Traces:
    """What must be as before after a check run: the state of what was scored, and the batches' own predictions."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._before = check.keys("state/scored/")

    def none_of(self, outcome: runs.Outcome) -> None:
        """Fail where the run left a trace; runs of the schedule may have come meanwhile, they may leave theirs."""
        check, execution = self._check, outcome.execution_id
        left = list(check.keys(f"inference/{execution}/"))
        for key, etag in check.keys("state/scored/").items():
            if self._before.get(key) == etag:
                continue
            scored = check.read_json(key.removeprefix(f"{check.home}/"))
            if scored and scored.get("execution_id") == execution:
                left.append(key)
        if left:
            check.fail(
                f"the check run {execution} to leave no trace beside checks/",
                f"s3://{check.bucket}/{left[0]}",
                "remove it, and see why its RunUri was not taken for a check's",
            )
