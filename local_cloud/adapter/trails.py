"""CloudFormation: trails, which ministack knows but can't deploy. Nothing is ever written to their bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local_cloud.adapter import hooks

Properties = dict[str, Any]
TYPE = "AWS::CloudTrail::Trail"
# Where CloudFormation's name differs from the API's.
_RENAMED = {"TrailName": "Name", "KMSKeyId": "KmsKeyId", "EnableLogFileValidation": "EnableLogFileValidation"}
_ALIKE = ("S3BucketName", "S3KeyPrefix", "IncludeGlobalServiceEvents", "IsMultiRegionTrail")


def _call(operation: str, request: Properties) -> Properties:
    status, _, body = getattr(hooks.module("services.cloudtrail"), operation)(request)
    answer: Properties = json.loads(body or b"{}")
    if status >= 400:
        raise ValueError(answer.get("message") or f"{operation} failed")
    return answer


def _request(props: Properties) -> Properties:
    renamed = {api: props[name] for name, api in _RENAMED.items() if name in props}
    return renamed | {name: props[name] for name in _ALIKE if name in props}


def _finish(name: str, arn: str, props: Properties) -> tuple[str, Properties]:
    if selectors := props.get("AdvancedEventSelectors"):
        _call("_put_event_selectors", {"TrailName": name, "AdvancedEventSelectors": selectors})
    logging = str(props.get("IsLogging", "")).lower() == "true"
    _call("_start_logging" if logging else "_stop_logging", {"Name": name})
    return name, {"Arn": arn}


def handlers() -> dict[str, Callable[..., Any]]:
    """Return what creates, updates and deletes a trail."""

    def create(_logical_id: str, props: Properties, _stack: str) -> tuple[str, Properties]:
        arn = _call("_create_trail", _request(props))["TrailARN"]
        return _finish(props["TrailName"], arn, props)

    def update(physical_id: str, _old: Properties, new: Properties, _stack: str) -> tuple[str, Properties]:
        arn = _call("_update_trail", {**_request(new), "Name": physical_id})["TrailARN"]
        return _finish(physical_id, arn, new)

    def delete(physical_id: str, _props: Properties) -> None:
        _call("_delete_trail", {"Name": physical_id})

    return {"create": create, "update": update, "delete": delete}
