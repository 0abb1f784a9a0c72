"""Clients and names of AWS: the one place where boto3 is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# What a call to AWS raises: a refusal of the service, or no answer at all.
AwsError = (ClientError, BotoCoreError)


@cache
def client(service: str) -> Any:
    """Make a client that retries throttling; warm invocations share it."""
    retries = {"mode": "standard", "total_max_attempts": 6}
    return boto3.client(service, config=Config(retries=retries, connect_timeout=5, read_timeout=30))


def error_code(error: BaseException) -> str:
    """AWS's code of an error, or the name of its class where no service answered."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error).__name__)


def error_text(error: BaseException) -> str:
    """AWS's own message of an error."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Message") or error)


def is_missing(error: BaseException) -> bool:
    """Whether SageMaker said that the thing asked for doesn't exist."""
    text = error_text(error).lower()
    gone = "does not exist" in text or "not found" in text or "could not find" in text
    return error_code(error) in ("ResourceNotFound", "ResourceNotFoundException") or (
        error_code(error) == "ValidationException" and gone
    )


class Malformed(ValueError):
    """A text isn't what it should be; the message says what was expected, and what came."""


@dataclass(frozen=True)
class Arn:
    """The parts of an ARN."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, value: str) -> Arn:
        """Split an ARN.

        Raises
        ------
        Malformed
            The value is none.
        """
        parts = value.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[5]:
            raise Malformed(f"expected an ARN, got '{value}'")
        return cls(*parts[1:])

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def split_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` into bucket and key; the key may be empty.

    Raises
    ------
    Malformed
        The value is no such URI.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise Malformed(f"expected a URI such as s3://bucket/key, got '{uri}'")
    return bucket, key


def console_host(region: str) -> str:
    """Host of the web console in the region's partition."""
    if region.startswith("cn-"):
        return "console.amazonaws.cn"
    if region.startswith("us-gov-"):
        return "console.amazonaws-us-gov.com"
    return f"{region}.console.aws.amazon.com"


def pages(call: Any, field: str, **arguments: object) -> list[dict[str, Any]]:
    """Call a SageMaker list operation through all its pages and return the items of `field`."""
    items: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        answer = call(**arguments, **({"NextToken": token} if token else {}))
        items.extend(answer.get(field, []))
        token = answer.get("NextToken")
        if not token:
            return items
