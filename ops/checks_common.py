"""What every check of a stage has at hand: clients, the model, and one way to fail."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import botocore.exceptions

from ops.errors import CommandError
from stacks.installation import Model, Settings, Stage

DEFAULT_LEAD_SECONDS = 60
_ABSENT = ("NoSuchKey", "404", "NotFound", "AccessDenied", "403")


class CheckError(CommandError):
    """A check that failed: one line that says where, what was expected, what was found, and what to do."""


@dataclass(frozen=True)
class Access:
    """What a check reaches.

    Parameters
    ----------
    sagemaker, s3, scheduler
        Clients of the stage's account.
    versions, artifacts
        Clients, of SageMaker and S3, that may read the central registry.
    poll_seconds
        How long it waits between two looks.
    """

    sagemaker: Any
    s3: Any
    scheduler: Any
    versions: Any
    artifacts: Any
    poll_seconds: float

    @classmethod
    def of(cls, stage_session: Any, registry_session: Any, *, poll_seconds: float) -> Access:
        """Return the clients of two sessions."""
        return cls(
            sagemaker=stage_session.client("sagemaker"),
            s3=stage_session.client("s3"),
            scheduler=stage_session.client("scheduler"),
            versions=registry_session.client("sagemaker"),
            artifacts=registry_session.client("s3"),
            poll_seconds=poll_seconds,
        )


@dataclass(frozen=True)
class Check:
    """The check of one model in one stage."""

    settings: Settings
    stage: Stage
    model: Model
    access: Access
    say: Callable[[str], None]

    def fail(self, expected: str, found: str, fix: str) -> NoReturn:
        """End the check with its one line."""
        raise CheckError(f"{self.stage.name}: expected {expected}; found {found}; {fix}")

    @property
    def bucket(self) -> str:
        """Return the stage's data bucket."""
        return self.stage.data_bucket_name

    @property
    def home(self) -> str:
        """Return what the keys of the model's objects begin with."""
        return self.model.model_name

    @property
    def group_arn(self) -> str:
        """Return the model package group, which may lie in another account."""
        account = self.settings.accounts["registry"]
        place = f"{self.settings.partition}:sagemaker:{self.settings.region}:{account}"
        return f"arn:{place}:model-package-group/{self.model.model_package_group}"

    @property
    def only_model(self) -> str:
        """Return how a command names this model: not at all where there is no other."""
        return "" if len(self.settings.models) == 1 else f" MODEL={self.model.folder}"

    def keys(self, prefix: str) -> dict[str, str]:
        """Return the ETags of the data bucket's objects by key, below a prefix of the model's."""
        return keys_below(self.access.s3, self.bucket, f"{self.home}/{prefix}")

    def read_json(self, key: str) -> dict[str, Any] | None:
        """Return a JSON object below the model's prefix; None where there is none."""
        body = read(self.access.s3, f"s3://{self.bucket}/{self.home}/{key}")
        return None if body is None else dict(json.loads(body))


def keys_below(s3: Any, bucket: str, prefix: str) -> dict[str, str]:
    """Return the ETags of a bucket's objects by key, below a prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}


def read(s3: Any, uri: str) -> bytes | None:
    """Return an object; None where it isn't there, which a reader who may not list can't tell from a denial."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise


def lead_seconds() -> int:
    """Return how far ahead a one-off schedule is set: ``CHECK_LEAD_SECONDS``, 60 by default.

    Raises
    ------
    CommandError
        Where it isn't a whole number of seconds from 1 to 3600.
    """
    text = os.environ.get("CHECK_LEAD_SECONDS") or str(DEFAULT_LEAD_SECONDS)
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 3600:
        raise CommandError(f"CHECK_LEAD_SECONDS must be a whole number from 1 to 3600, got {text[:40]!r}")
    return int(text)
