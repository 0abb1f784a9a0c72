"""Start a pipeline, follow its steps, and say in words how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions

from ops.errors import CommandError

RUNNING = ("Executing", "Stopping", "Starting")


@dataclass(frozen=True)
class Outcome:
    """How an execution ended."""

    pipeline: str
    execution_arn: str
    status: str
    seconds: float
    failed_step: str | None = None
    reason: str | None = None
    steps: Mapping[str, str] = field(default_factory=dict)
    result: str = ""  # what a run that succeeded came to, for a person

    @property
    def execution_id(self) -> str:
        """Return the last part of the execution's ARN, which its objects lie under."""
        return self.execution_arn.rsplit("/", 1)[-1]

    def in_words(self) -> str:
        """Return one line for a person."""
        if self.status == "Succeeded":
            return f"{self.pipeline} succeeded in {self.seconds:.0f} s"
        if self.reason and self.failed_step:
            return f"{self.pipeline} {self.status.lower()} at {self.failed_step}: {self.reason}"
        return f"{self.pipeline} {self.status.lower()}"


def start(sagemaker: Any, pipeline: str, parameters: Mapping[str, str]) -> str:
    """Start an execution and return its ARN.

    Raises
    ------
    CommandError
        Where the pipeline doesn't exist, or a parameter isn't one of its own.
    """
    try:
        answer = sagemaker.start_pipeline_execution(
            PipelineName=pipeline,
            PipelineParameters=[{"Name": name, "Value": value} for name, value in parameters.items()],
        )
    except botocore.exceptions.ClientError as error:
        raise CommandError(f"{pipeline} was not started: {error.response['Error']['Message']}") from None
    return str(answer["PipelineExecutionArn"])


def follow(
    sagemaker: Any, execution_arn: str, *, say: Callable[[str], None], poll_seconds: float = 2.0
) -> Outcome:
    """Wait for the end of an execution, saying each change of a step, and return the outcome."""
    pipeline = execution_arn.split(":pipeline/", 1)[1].split("/", 1)[0]
    began = time.monotonic()
    seen: dict[str, str] = {}
    while True:
        status = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution_arn)[
            "PipelineExecutionStatus"
        ]
        steps = steps_of(sagemaker, execution_arn)
        for step in steps:
            if seen.get(step["StepName"]) != step["StepStatus"]:
                seen[step["StepName"]] = step["StepStatus"]
                say(f"  {step['StepName']}: {step['StepStatus']}")
        if status not in RUNNING:
            return _outcome(sagemaker, pipeline, execution_arn, status, steps, time.monotonic() - began)
        time.sleep(poll_seconds)


def steps_of(sagemaker: Any, execution_arn: str) -> list[dict[str, Any]]:
    """Return all steps of an execution in the order they started."""
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=execution_arn, SortOrder="Ascending"
    )
    return [step for page in pages for step in page["PipelineExecutionSteps"]]


def _outcome(
    sagemaker: Any, pipeline: str, arn: str, status: str, steps: list[dict[str, Any]], seconds: float
) -> Outcome:
    failed = next((s for s in steps if s["StepStatus"] == "Failed"), None)
    described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    return Outcome(
        pipeline=pipeline,
        execution_arn=arn,
        status=status,
        seconds=_duration(described) or seconds,
        failed_step=failed["StepName"] if failed else None,
        reason=(failed or {}).get("FailureReason") or described.get("FailureReason"),
        steps={step["StepName"]: step["StepStatus"] for step in steps},
        result=result_of(steps) if status == "Succeeded" else "",
    )


def result_of(steps: Sequence[Mapping[str, Any]]) -> str:
    """Return what the steps of a run came to: a version, predictions, or what ground truth says; else nothing."""
    told: dict[str, str] = {}
    version = ""
    for step in steps:
        known = step.get("Metadata", {})
        told |= {
            one["Name"]: str(one["Value"]) for one in known.get("Lambda", {}).get("OutputParameters", [])
        }
        version = known.get("RegisterModel", {}).get("Arn", version).rsplit("/", 1)[-1]
    if version:
        return f"version {version} is registered and waits for approval: make versions"
    if told.get("found") == "false":
        return (
            "there was nothing new to judge: no labels that fit a scored batch, or none but those that were judged or"
            " tried three times; a batch's name judges it once more: INPUT=<name>"
        )
    if "found" in told:
        more = int(told.get("waiting", "0") or 0)
        return told.get("message", "") + (f" {more} more wait." if more else "")
    places = told.get("predictions_uri", "")
    return f"predictions by version {told.get('model_version', '?')} are in {places}" if places else ""


def _duration(described: Mapping[str, Any]) -> float | None:
    begin, end = described.get("CreationTime"), described.get("LastModifiedTime")
    return (end - begin).total_seconds() if begin and end else None
