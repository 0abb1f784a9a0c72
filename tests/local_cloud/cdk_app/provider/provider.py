"""Answers CloudFormation itself; refuses the value "bad"."""

from __future__ import annotations

import json
import urllib.request
from typing import Any


def handler(event: dict[str, Any], context: object) -> None:
    """Answer one request of CloudFormation."""
    value = event.get("ResourceProperties", {}).get("Value", "")
    if "ResponseURL" not in event:
        return
    answer = {
        "Status": "FAILED" if value == "bad" else "SUCCESS",
        "Reason": "the value bad is refused",
        "PhysicalResourceId": "echo",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Value": value},
    }
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")  # noqa: S310
    request.add_header("content-type", "")
    urllib.request.urlopen(request)  # noqa: S310
