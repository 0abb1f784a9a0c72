"""Pipelines as SageMaker knows them; a refusal carries SageMaker's own message."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.aws import AwsError, error_code, error_text, is_missing, pages

RUNNING = ("Executing", "Stopping")
_BUSY = "ConflictException"


class Refused(Exception):
    """SageMaker refused a call."""


class StillRunning(Exception):
    """A pipeline can't be deleted yet: an execution is going on."""


@dataclass(frozen=True)
class Existing:
    """A pipeline that is there."""

    name: str
    arn: str
    status: str
    tags: dict[str, str]


def token(*parts: str) -> str:
    """A request token that the same request gives again: SageMaker wants 32 to 128 characters."""
    if len(parts) == 1 and 32 <= len(parts[0]) <= 128:
        return parts[0]
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


class Pipelines:
    """The calls that the resource makes."""

    def __init__(self, sagemaker: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sagemaker = sagemaker
        self._sleep = sleep

    def find(self, name: str) -> Existing | None:
        """Find a pipeline with its tags; None where there is none."""
        try:
            found = self._sagemaker.describe_pipeline(PipelineName=name)
            arn = found["PipelineArn"]
            tags = pages(self._sagemaker.list_tags, "Tags", ResourceArn=arn)
        except AwsError as error:
            if is_missing(error):
                return None
            raise _refused("DescribePipeline", name, error) from error
        status = str(found.get("PipelineStatus", "Active"))
        return Existing(name, arn, status, {tag["Key"]: tag["Value"] for tag in tags})

    def create(self, request: Mapping[str, str], tags: Mapping[str, str], request_token: str) -> str:
        """Create a pipeline and return its ARN."""
        return self._patiently(
            "CreatePipeline",
            request["PipelineName"],
            lambda: self._sagemaker.create_pipeline(
                **request, Tags=_tag_list(tags), ClientRequestToken=request_token
            ),
        )

    def update(self, request: Mapping[str, str]) -> str:
        """Give a pipeline another definition, role and description, and return its ARN."""
        name = request["PipelineName"]
        return self._patiently("UpdatePipeline", name, lambda: self._sagemaker.update_pipeline(**request))

    def delete(self, name: str, request_token: str) -> None:
        """Delete a pipeline; one that is gone already is fine.

        Raises
        ------
        StillRunning
            An execution is going on.
        """
        try:
            self._sagemaker.delete_pipeline(PipelineName=name, ClientRequestToken=request_token)
        except AwsError as error:
            if is_missing(error):
                return
            if error_code(error) == _BUSY:
                raise StillRunning(error_text(error)) from error
            raise _refused("DeletePipeline", name, error) from error

    def set_tags(self, existing: Existing, wanted: Mapping[str, str], unwanted: set[str]) -> None:
        """Write the tags that differ and remove those that are unwanted; all others stay."""
        changed = {key: value for key, value in wanted.items() if existing.tags.get(key) != value}
        removed = sorted(key for key in unwanted if key in existing.tags and key not in wanted)
        try:
            if changed:
                self._sagemaker.add_tags(ResourceArn=existing.arn, Tags=_tag_list(changed))
            if removed:
                self._sagemaker.delete_tags(ResourceArn=existing.arn, TagKeys=removed)
        except AwsError as error:
            raise _refused("AddTags or DeleteTags", existing.name, error) from error

    def running(self, name: str) -> list[str]:
        """ARNs of the executions that are going on."""
        try:
            summaries = pages(
                self._sagemaker.list_pipeline_executions,
                "PipelineExecutionSummaries",
                PipelineName=name,
                SortBy="CreationTime",
                SortOrder="Descending",
                MaxResults=100,
            )
        except AwsError as error:
            if is_missing(error):
                return []
            raise _refused("ListPipelineExecutions", name, error) from error
        return [
            one["PipelineExecutionArn"] for one in summaries if one.get("PipelineExecutionStatus") in RUNNING
        ]

    def stop(self, execution_arn: str, request_token: str) -> None:
        """Ask an execution to stop; one that has ended meanwhile is fine."""
        try:
            self._sagemaker.stop_pipeline_execution(
                PipelineExecutionArn=execution_arn, ClientRequestToken=request_token
            )
        except AwsError as error:
            if not is_missing(error) and error_code(error) not in (_BUSY, "ValidationException"):
                raise _refused("StopPipelineExecution", execution_arn, error) from error

    def _patiently(self, operation: str, name: str, call: Callable[[], Any]) -> str:
        # another update of the same pipeline takes a moment
        for pause in (2.0, 5.0, 10.0, None):
            try:
                return str(call()["PipelineArn"])
            except AwsError as error:
                busy = error_code(error) == _BUSY and "already exists" not in error_text(error)
                if not busy or pause is None:
                    raise _refused(operation, name, error) from error
                self._sleep(pause)
        raise AssertionError("unreachable")


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _refused(operation: str, name: str, error: BaseException) -> Refused:
    return Refused(f"SageMaker refused {operation} for '{name}': {error_code(error)}: {error_text(error)}")
