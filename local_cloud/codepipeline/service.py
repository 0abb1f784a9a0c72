"""The door to CodePipeline: what the engine calls."""

from __future__ import annotations

import functools
import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
from botocore.validate import ParamValidator
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response

from local_cloud.codepipeline.approval import ApprovalAction
from local_cloud.codepipeline.artifacts import Artifacts
from local_cloud.codepipeline.build import BuildAction, Replacements
from local_cloud.codepipeline.declarations import from_template
from local_cloud.codepipeline.deploy import CloudFormationAction
from local_cloud.codepipeline.errors import ServiceError, invalid
from local_cloud.codepipeline.events import Events
from local_cloud.codepipeline.model import Scope
from local_cloud.codepipeline.pipelines import Operation, Pipelines
from local_cloud.codepipeline.runs import Program, Runs
from local_cloud.codepipeline.source import Repositories, SourceAction
from local_cloud.codepipeline.views import Views
from local_cloud.engine_services import DeliveryServices
from local_cloud.sagemaker.shapes import constraint_problems

Response = tuple[int, dict[str, str], bytes]
Check = tuple[str, str, dict[str, Any]]
_PRINCIPAL = "codepipeline.amazonaws.com"
_CLOUDFORMATION = "cloudformation.amazonaws.com"
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")

logger = logging.getLogger(__name__)


class CodePipeline:
    """The service with all that it remembers.

    Parameters
    ----------
    services
        What the engine gives.
    """

    def __init__(self, services: DeliveryServices) -> None:
        work_dir = services.engine.work_dir
        work_dir.mkdir(parents=True, exist_ok=True)
        self.caller_of = services.caller
        self.repositories, self.replacements = Repositories(), Replacements()
        artifacts, approvals = Artifacts(work_dir / "artifacts"), ApprovalAction()
        self.builds = BuildAction(services, artifacts, self.replacements, dict(os.environ))
        programs: dict[str, Program] = {
            "CodeStarSourceConnection": SourceAction(self.repositories, artifacts, services.denial),
            "CodeBuild": self.builds,
            "CloudFormation": CloudFormationAction(services.keep_template),
            "Manual": approvals,
        }
        events = Events(services.engine.put_event)
        runs = Runs(programs, services.engine.issue_session, events, work_dir / "actions")
        self.pipelines = Pipelines(runs, approvals)
        views = Views(self.pipelines, runs)
        self.operations: Mapping[str, Operation] = {
            "CreatePipeline": self.pipelines.create,
            "UpdatePipeline": self.pipelines.update,
            "DeletePipeline": self.pipelines.delete,
            "GetPipeline": self.pipelines.get,
            "ListPipelines": self.pipelines.list_all,
            "StartPipelineExecution": self.pipelines.start,
            "StopPipelineExecution": self.pipelines.stop,
            "RetryStageExecution": self.pipelines.retry,
            "PutApprovalResult": self.pipelines.approve,
            "GetPipelineState": views.state,
            "GetPipelineExecution": views.execution,
            "ListPipelineExecutions": views.executions,
            "ListActionExecutions": views.actions,
        }

    def perform(self, operation: str, request: dict[str, Any], scope: Scope, caller: str) -> dict[str, Any]:
        """Perform an operation that IAM has allowed.

        Raises
        ------
        ServiceError
            It is refused.
        """
        method = self.operations.get(operation)
        if method is None:
            raise ServiceError(
                "UnknownOperationException", f"The embedded cloud doesn't emulate codepipeline:{operation}"
            )
        _check_request(operation, request)
        return method(request, scope, caller)

    def close(self) -> None:
        """End everything that runs."""
        self.pipelines.close()
        self.builds.close()


@functools.cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("codepipeline")


def _check_request(operation: str, request: dict[str, Any]) -> None:
    shape = _model().operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape).generate_report()
    problems = [line for line in report.splitlines() if line] + constraint_problems(request, shape)
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise invalid(count + "; ".join(problems))


_service: CodePipeline | None = None
_services: DeliveryServices | None = None


def configure(services: DeliveryServices) -> None:
    """Set the service up; called once, before the first request."""
    global _service, _services
    if _service is not None:
        _service.close()
    _services = services
    _service = CodePipeline(services)


def _running() -> CodePipeline:
    if _service is None:
        raise RuntimeError("local_cloud.codepipeline.service.configure() must be called before any request")
    return _service


def _scope() -> Scope:
    return Scope(get_account_id(), get_region())


async def handle_request(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Mapping[str, Any]
) -> Response:
    """Answer a request of CodePipeline's JSON protocol; the account and region are those of the request scope."""
    found = {key.lower(): value for key, value in headers.items()}
    operation = found.get("x-amz-target", "").rsplit(".", 1)[-1]
    signed = _CREDENTIAL.search(found.get("authorization", ""))
    service = _running()
    code, message, status = "SerializationException", "the request must be a JSON object", 400
    try:
        request = json.loads(body or b"{}")
        if isinstance(request, dict):
            caller = service.caller_of(signed[1]) if signed else ""
            # No operation waits for anything: executions run on threads of their own.
            answer: Response = json_response(service.perform(operation, request, _scope(), caller))
            return answer
    except ServiceError as error:
        code, message, status = error.code, error.message, error.status
    except json.JSONDecodeError as error:
        message = f"the request isn't JSON: {error}"
    except Exception as error:
        logger.exception("codepipeline:%s", operation)
        code, message, status = "InternalFailure", f"{type(error).__name__}: {error}", 500
    refusal: Response = error_response_json(code, message, status)
    return refusal


def actions_for(operation: str, body: dict[str, Any]) -> list[Check]:
    """Return all that IAM must allow for a request, as (action, resource ARN, condition context).

    See https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodepipeline.html
    """
    scope = _scope()
    declared = body.get("pipeline") or {}
    names = [body.get("pipelineName") or body.get("name") or declared.get("name")]
    names += [body.get("stageName"), body.get("actionName")]
    given = [str(name) for name in names if name]
    resource = scope.arn(*given) if given else scope.arn("*") if operation == "ListPipelines" else "*"
    checks: list[Check] = [(f"codepipeline:{operation}", resource, {})]
    if role := declared.get("roleArn"):
        checks.append(("iam:PassRole", str(role), {"iam:PassedToService": _PRINCIPAL}))
    return checks


def connect_repository(name: str, path: str) -> None:
    """See `local_cloud.cloud.LocalCloud.connect_repository`."""
    _running().repositories.connect(name, Path(path))


def replace_command(command: str, replacement: str) -> None:
    """See `local_cloud.cloud.LocalCloud.replace_build_command`."""
    _running().replacements.set(command, replacement)


def restore_commands() -> None:
    """See `local_cloud.cloud.LocalCloud.restore_build_commands`."""
    _running().replacements.clear()


def create_from_template(properties: dict[str, Any], name: str) -> int:
    """Create a pipeline for CloudFormation in the scope of the request; returns its version."""
    return _perform_for_template("CreatePipeline", properties, name)


def update_from_template(properties: dict[str, Any], name: str) -> int:
    """Change a pipeline for CloudFormation, start it again where it says so, and return its version."""
    version = _perform_for_template("UpdatePipeline", properties, name)
    if str(properties.get("RestartExecutionOnUpdate", "")).lower() == "true":
        _running().perform("StartPipelineExecution", {"name": name}, _scope(), _CLOUDFORMATION)
    return version


def _perform_for_template(operation: str, properties: dict[str, Any], name: str) -> int:
    request = {"pipeline": from_template(properties, name)}
    try:
        answer = _running().perform(operation, request, _scope(), _CLOUDFORMATION)
    except ServiceError as error:
        raise ValueError(error.message) from None
    return int(answer["pipeline"]["version"])


def delete_for_template(name: str) -> None:
    """Delete a pipeline for CloudFormation."""
    _running().perform("DeletePipeline", {"name": name}, _scope(), _CLOUDFORMATION)


def shutdown() -> None:
    """End all executions and builds."""
    if _service is not None:
        _service.close()


def reset() -> None:
    """End everything and forget everything."""
    if _services is not None:
        configure(_services)


def get_state() -> dict[str, Any]:
    """Return nothing: pipelines are not kept beyond the server's end."""
    return {}


def load_persisted_state(state: dict[str, Any]) -> None:
    """Do nothing: see `get_state`."""
