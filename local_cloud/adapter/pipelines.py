"""Pipelines and builds: their CloudFormation types, and what CodePipeline needs of the engine's CodeBuild."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

from local_cloud.adapter import authorization, hooks
from local_cloud.engine_services import DeliveryServices, EngineServices

Properties = dict[str, Any]
_PIPELINE = "AWS::CodePipeline::Pipeline"
_KEPT = "https://kept.local-cloud/"


def caller_arn(access_key: str) -> str:
    """ARN of the principal that signs with an access key id; empty where nobody does."""
    evaluator = hooks.module("core.iam_evaluator")
    found = evaluator.resolve_principal(access_key, hooks.module("core.responses").get_account_id())
    return "" if isinstance(found, evaluator.AuthError) else str(found.arn)


def project(account: str, region: str, name: str) -> dict[str, Any] | None:
    """See `local_cloud.engine_services.DeliveryServices`."""
    with hooks.module("core.responses").request_scope(account, region):
        found: dict[str, Any] | None = hooks.module("services.codebuild")._projects.get(name)
        return copy.deepcopy(found)


def record_build(account: str, region: str, build: dict[str, Any]) -> None:
    """See `local_cloud.engine_services.DeliveryServices`."""
    with hooks.module("core.responses").request_scope(account, region):
        hooks.module("services.codebuild")._builds[build["id"]] = build


class Templates:
    """Templates that are too large for a request, by a URL that only this engine knows."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    def keep(self, template: str) -> str:
        """Keep a template and return its URL."""
        url = f"{_KEPT}{uuid.uuid4()}"
        self._kept[url] = template
        return url

    def reading(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Let CloudFormation find what was kept."""

        def resolve(params: Any, body_key: str, url_key: str, label: str) -> Any:
            url = hooks.module("services.cloudformation.helpers")._p(params, url_key)
            if url.startswith(_KEPT) and url in self._kept:
                return self._kept[url], None
            return original(params, body_key, url_key, label)

        return resolve


def _handlers(service: ModuleType) -> dict[str, Callable[..., Any]]:
    def create(logical_id: str, props: Properties, stack: str) -> tuple[str, Properties]:
        physical_name = hooks.module("services.cloudformation.provisioners")._physical_name
        name = props.get("Name") or physical_name(stack, logical_id, max_len=100)
        return name, {"Version": str(service.create_from_template(props, name))}

    def update(physical_id: str, _old: Properties, new: Properties, _stack: str) -> tuple[str, Properties]:
        return physical_id, {"Version": str(service.update_from_template(new, physical_id))}

    def delete(physical_id: str, _props: Properties) -> None:
        service.delete_for_template(physical_id)

    return {"create": create, "update": update, "delete": delete}


def _only_by_pipelines(original: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse StartBuild: ministack would call a build succeeded that nobody has run."""

    def start(data: dict[str, Any]) -> Any:
        if data.get("projectName") not in hooks.module("services.codebuild")._projects:
            return original(data)
        message = "The embedded cloud runs builds for CodePipeline only: start the pipeline instead"
        body = json.dumps({"__type": "InvalidInputException", "message": message}).encode()
        return 400, {"Content-Type": "application/x-amz-json-1.1"}, body

    return start


def _whole_update(original: Callable[..., Any]) -> Callable[..., Any]:
    """Update what ministack leaves as it was: the key, and what a template no longer says."""

    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> Any:
        found = hooks.module("services.codebuild")._projects.get(physical_id)
        result = original(physical_id, old, new, stack)
        if found is not None and result[0] == physical_id:
            found["encryptionKey"] = new.get("EncryptionKey") or found.get("encryptionKey")
            found["description"] = new.get("Description", "")
            found["timeoutInMinutes"] = int(new.get("TimeoutInMinutes", 60))
        return result

    return update


def install(service: ModuleType, engine: EngineServices) -> DeliveryServices:
    """Teach CloudFormation about pipelines, and return what CodePipeline needs.

    Parameters
    ----------
    service
        The CodePipeline service's module.
    engine
        What it shares with the other services.
    """
    provisioners = hooks.module("services.cloudformation.provisioners")
    provisioners._RESOURCE_HANDLERS[_PIPELINE] = _handlers(service)
    provisioners._REPLACING_PROPERTIES[_PIPELINE] = ("Name",)
    projects = provisioners._RESOURCE_HANDLERS["AWS::CodeBuild::Project"]
    provisioners._RESOURCE_HANDLERS["AWS::CodeBuild::Project"] = {
        **projects,
        "update": _whole_update(projects["update"]),
    }
    hooks.wrap("services.codebuild", "_start_build", _only_by_pipelines)
    templates = Templates()
    hooks.wrap("services.cloudformation.helpers", "_resolve_document", templates.reading)
    return DeliveryServices(
        engine=engine,
        denial=authorization.denial,
        project=project,
        record_build=record_build,
        keep_template=templates.keep,
        caller=caller_arn,
    )
