"""Who signed the request being served: versions tell who registered and who approved them."""

from __future__ import annotations

import contextvars
import re
from collections.abc import Callable, Mapping
from typing import Any

# What SageMaker tells of; to find out costs more than most requests.
_RECORDED = ("CreateModelPackage", "UpdateModelPackage")
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")
_signer: contextvars.ContextVar[str] = contextvars.ContextVar("local_cloud_sagemaker_signer", default="")


def note(operation: str, headers: Mapping[str, str], caller: Callable[[str], str]) -> None:
    """Remember who signed a request, if its operation records that.

    Parameters
    ----------
    operation
        Name of the operation.
    headers
        Of the request.
    caller
        Returns the ARN of the principal that signs with an access key id.
    """
    if operation not in _RECORDED:
        return
    signature = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    found = _CREDENTIAL.search(signature)
    _signer.set(caller(found[1]) if found else "")


def user_context() -> dict[str, Any]:
    """Return the signer as SageMaker's UserContext; empty where nobody signed."""
    arn = _signer.get()
    return {"IamIdentity": {"Arn": arn}} if arn else {}
