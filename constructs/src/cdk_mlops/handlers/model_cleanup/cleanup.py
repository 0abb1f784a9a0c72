"""What CloudFormation leaves of a throw-away model: its versions, SageMaker models, objects and job logs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared import log
from shared.aws import AwsError, error_code, is_missing, pages

# Everything below one folder of a bucket, never a bucket, nor all that begins alike.
_PREFIX = re.compile(r"[\w.=+-]+(/[\w.=+-]+)*/")
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
LOG_GROUPS = tuple(f"/aws/sagemaker/{kind}Jobs" for kind in ("Processing", "Training", "Transform"))
_OBJECTS_A_CALL = 1000
_POLL_SECONDS = 2.0


class BadProperties(Exception):
    """A property of the resource is missing or malformed."""


class NoBucket(Exception):
    """There is nothing to write to: the stack that owns the bucket isn't there."""


class NotGone(Exception):
    """Something could not be deleted."""


@dataclass(frozen=True)
class Left:
    """What is to go.

    Parameters
    ----------
    bucket, prefix
        Where its objects are; the prefix ends with a slash.
    group
        Its model package group, whose versions go; the group itself is its stack's.
    job_prefix
        What the names of its jobs and SageMaker models begin with, before ``-train-`` or ``-inference-``.
    """

    bucket: str
    prefix: str
    group: str
    job_prefix: str

    @classmethod
    def parse(cls, properties: Mapping[str, Any]) -> Left:
        """Read the properties.

        Raises
        ------
        BadProperties
            One is missing, or so short that more than one model's would go.
        """

        def text(name: str, pattern: re.Pattern[str] = _NAME) -> str:
            value = properties.get(name)
            if not isinstance(value, str) or not pattern.fullmatch(value):
                raise BadProperties(f"the property {name} must match {pattern.pattern}, got {value!r}")
            return value

        return cls(
            bucket=text("Bucket", re.compile(r"[a-z0-9.-]+")),
            prefix=text("Prefix", _PREFIX),
            group=text("ModelPackageGroupName"),
            job_prefix=text("JobPrefix"),
        )

    @property
    def job_names(self) -> tuple[str, ...]:
        """What the names of its jobs begin with."""
        return tuple(f"{self.job_prefix}-{kind}-" for kind in ("train", "inference"))

    @property
    def physical_id(self) -> str:
        """Another one makes CloudFormation delete what the former stood for."""
        return f"{self.bucket}/{self.prefix}:{self.group}:{self.job_prefix}"


def check_bucket(left: Left, s3: Any) -> None:
    """Look whether the bucket is there, which belongs to another stack.

    Raises
    ------
    NoBucket
        It is not.
    """
    try:
        s3.list_object_versions(Bucket=left.bucket, Prefix=left.prefix, MaxKeys=1)
    except AwsError as error:
        if error_code(error) == "NoSuchBucket":
            raise NoBucket(
                f"the bucket {left.bucket} does not exist: deploy the stack that it belongs to first"
            ) from error
        # a permission that is so new may not count yet; nothing hangs on it


@dataclass(frozen=True)
class Services:
    """Clients of what is deleted from."""

    s3: Any
    sagemaker: Any
    logs: Any


def clean_up(
    left: Left, services: Services, sleep: Callable[[float], None], abandoned: Callable[[], bool]
) -> None:
    """Delete it all; what is gone already is fine.

    Parameters
    ----------
    abandoned
        Whether CloudFormation was told meanwhile that it failed: then nothing more is deleted.

    Raises
    ------
    NotGone
        S3 kept an object.
    """
    deleted = {
        "versions": _delete_versions(left, services.sagemaker, sleep, abandoned),
        "models": _delete_models(left, services.sagemaker, abandoned),
        "objects": _delete_objects(left, services.s3, abandoned),
        "log streams": _delete_log_streams(left, services.logs, abandoned),
    }
    log.info("cleaned up", bucket=left.bucket, prefix=left.prefix, group=left.group, deleted=deleted)


def _delete_versions(
    left: Left, sagemaker: Any, sleep: Callable[[float], None], abandoned: Callable[[], bool]
) -> int:
    """Delete the group's versions and wait until none is listed: the group can't be deleted before."""
    deleted: set[str] = set()
    while (found := _versions(left, sagemaker)) and not abandoned():
        if deleted.issuperset(found):
            sleep(_POLL_SECONDS)
        for arn in found:
            if arn not in deleted and not abandoned():
                _unless_missing(partial(sagemaker.delete_model_package, ModelPackageName=arn))
                deleted.add(arn)
    return len(deleted)


def _versions(left: Left, sagemaker: Any) -> list[str]:
    try:
        found = pages(
            sagemaker.list_model_packages,
            "ModelPackageSummaryList",
            ModelPackageGroupName=left.group,
            MaxResults=100,
        )
    except AwsError as error:
        if is_missing(error):
            return []
        raise
    return [version["ModelPackageArn"] for version in found]


def _delete_models(left: Left, sagemaker: Any, abandoned: Callable[[], bool]) -> int:
    listed = pages(sagemaker.list_models, "Models", NameContains=f"{left.job_prefix}-", MaxResults=100)
    # NameContains finds it anywhere in a name
    names = [model["ModelName"] for model in listed if model["ModelName"].startswith(left.job_names)]
    for name in names:
        if abandoned():
            break
        _unless_missing(partial(sagemaker.delete_model, ModelName=name))
    return len(names)


def _delete_objects(left: Left, s3: Any, abandoned: Callable[[], bool]) -> int:
    """Delete all versions and markers; ask again until nothing is listed, since a late job may still write."""
    count = 0
    while (found := _first_objects(left, s3)) and not abandoned():
        answer = s3.delete_objects(Bucket=left.bucket, Delete={"Objects": found, "Quiet": True})
        for refused in answer.get("Errors", []):
            raise NotGone(
                f"s3://{left.bucket}/{refused.get('Key')} could not be deleted: {refused.get('Code')}:"
                f" {refused.get('Message')}"
            )
        count += len(found)
    return count


def _first_objects(left: Left, s3: Any) -> list[dict[str, str]]:
    try:
        page = s3.list_object_versions(Bucket=left.bucket, Prefix=left.prefix, MaxKeys=_OBJECTS_A_CALL)
    except AwsError as error:
        if error_code(error) == "NoSuchBucket":
            return []
        raise
    return [
        {"Key": item["Key"], "VersionId": item["VersionId"]}
        for kind in ("Versions", "DeleteMarkers")
        for item in page.get(kind, [])
    ]


def _delete_log_streams(left: Left, logs: Any, abandoned: Callable[[], bool]) -> int:
    count = 0
    for group in LOG_GROUPS:
        names = [name for begins in left.job_names for name in _streams(logs, group, begins)]
        for name in names:
            if abandoned():
                return count
            _unless_missing(partial(logs.delete_log_stream, logGroupName=group, logStreamName=name))
            count += 1
    return count


def _streams(logs: Any, group: str, begins: str) -> Iterator[str]:
    token: dict[str, str] = {}
    while True:
        try:
            page = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=begins, **token)
        except AwsError as error:
            if is_missing(error):
                return
            raise
        yield from (stream["logStreamName"] for stream in page.get("logStreams", []))
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}


def _unless_missing(delete: Callable[[], object]) -> None:
    try:
        delete()
    except AwsError as error:
        if not is_missing(error):
            raise
