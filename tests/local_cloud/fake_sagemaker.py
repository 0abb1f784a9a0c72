"""A SageMaker service that only keeps groups and starts: enough to test the engine without the real one."""

from __future__ import annotations

import json
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region, json_response

from local_cloud.engine_services import EngineServices

_groups: Any = AccountRegionScopedDict()
_started: list[dict[str, Any]] = []
services: EngineServices | None = None


def configure(given: EngineServices) -> None:
    global services
    services = given


def reset() -> None:
    _groups.clear()
    _started.clear()


def get_state() -> dict[str, Any]:
    return {}


def load_persisted_state(_data: dict[str, Any]) -> None:
    pass


def shutdown() -> None:
    pass


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind}/{name}"


def resource_arn_for(operation: str, body: dict[str, Any]) -> str:
    name = str(body.get("ModelPackageGroupName") or body.get("PipelineName") or "*")
    if name.startswith("arn:"):
        return name
    return _arn("pipeline" if "Pipeline" in operation else "model-package-group", name)


def condition_context_for(_operation: str, body: dict[str, Any]) -> dict[str, Any]:
    status = body.get("ModelApprovalStatus")
    return {"sagemaker:ModelApprovalStatus": status} if status else {}


def actions_for(operation: str, body: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    checks: list[tuple[str, str, dict[str, Any]]] = [
        (f"sagemaker:{operation}", resource_arn_for(operation, body), condition_context_for(operation, body))
    ]
    if operation == "CreatePipeline":
        checks.append(("iam:PassRole", body["RoleArn"], {"iam:PassedToService": "sagemaker.amazonaws.com"}))
    return checks


def resource_policy_for(arn: str) -> tuple[str | None, str]:
    _, _, _, region, account, resource = arn.split(":", 5)
    group = _groups.get_scoped(account, region, resource.split("/")[-1]) or {}
    return group.get("Policy"), account


def start_pipeline(
    account: str, region: str, pipeline_arn: str, parameters: Any, client_token: str | None
) -> str:
    if "missing" in pipeline_arn:
        raise LookupError(f"Pipeline {pipeline_arn} does not exist.")
    _started.append({"arn": pipeline_arn, "parameters": parameters, "account": account})
    return f"{pipeline_arn}/execution/1"


async def handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
    operation, request = headers["x-amz-target"].rpartition(".")[2], json.loads(body or b"{}")
    name = str(request.get("ModelPackageGroupName", "")).rpartition("/")[2]
    if operation == "ListPipelines":
        return json_response({"PipelineSummaries": [{"PipelineName": json.dumps(item)} for item in _started]})
    if operation == "CreateModelPackageGroup":
        _groups[name] = dict(request)
        return json_response({"ModelPackageGroupArn": _arn("model-package-group", name)})
    if name and name not in _groups:
        return json_response(
            {"__type": "ValidationException", "message": f"group {name} does not exist."}, 400
        )
    if operation == "PutModelPackageGroupPolicy":
        _groups[name]["Policy"] = request["ResourcePolicy"]
    elif operation == "GetModelPackageGroupPolicy":
        return json_response({"ResourcePolicy": _groups[name]["Policy"]})
    elif operation == "DeleteModelPackageGroup":
        if name.startswith("full"):
            return json_response({"__type": "ConflictException", "message": "group has versions."}, 400)
        del _groups[name]
    return json_response({"ModelPackageGroupArn": _arn("model-package-group", name), "CreationTime": 0})
