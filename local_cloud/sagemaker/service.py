"""The door to the SageMaker service: what the engine calls."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ministack.core.responses import (
    error_response_json,
    get_account_id,
    get_region,
    json_response,
    request_scope,
)

from local_cloud.engine_services import EngineServices
from local_cloud.runner import processing, training, transform
from local_cloud.runner.jobs import JobPool
from local_cloud.sagemaker import signer
from local_cloud.sagemaker.access import Access, Check, Context
from local_cloud.sagemaker.arns import Scope, parse_arn
from local_cloud.sagemaker.errors import ServiceError
from local_cloud.sagemaker.events import Events
from local_cloud.sagemaker.executions import Executions
from local_cloud.sagemaker.jobs import KINDS, Jobs
from local_cloud.sagemaker.models import Models
from local_cloud.sagemaker.pipelines import Pipelines
from local_cloud.sagemaker.registry import Registry
from local_cloud.sagemaker.roles import Roles
from local_cloud.sagemaker.shapes import check_request, shape_answer
from local_cloud.sagemaker.store import Store
from local_cloud.sagemaker.tags import Tags

Operation = Callable[[dict[str, Any], Scope], dict[str, Any]]
Response = tuple[int, dict[str, str], bytes]

logger = logging.getLogger(__name__)


class SageMaker:
    """The service with all that it remembers.

    Parameters
    ----------
    services
        What the engine gives.
    """

    def __init__(self, services: EngineServices) -> None:
        self.store = Store()
        self.tags = Tags(self.store)
        self.access = Access(self.tags)
        roles, events = Roles(services.issue_session), Events(services.put_event)
        programs = {"processing": processing.run, "training": training.run, "transform": transform.run}
        self.pool = JobPool(services.work_dir, programs)
        self.registry = Registry(self.store, self.tags, events)
        self.models = Models(self.store, self.tags, self.registry, roles)
        self.pipelines = Pipelines(self.store, self.tags, roles)
        self.executions = Executions(self.store, self.pipelines, roles, events, self.pool)
        self.jobs = {k.api_name: Jobs(k, self.store, self.tags, self.models, roles, self.pool) for k in KINDS}
        self.operations = self._operations()
        # Operations may call back into the engine, so they must not hold its event loop or its own threads.
        self.threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="sagemaker")

    def _operations(self) -> Mapping[str, Operation]:
        registry, models, pipelines, executions = self.registry, self.models, self.pipelines, self.executions
        operations: dict[str, Operation] = {
            "CreateModelPackageGroup": registry.create_group,
            "DescribeModelPackageGroup": registry.describe_group,
            "ListModelPackageGroups": registry.list_groups,
            "DeleteModelPackageGroup": registry.delete_group,
            "PutModelPackageGroupPolicy": registry.put_policy,
            "GetModelPackageGroupPolicy": registry.get_policy,
            "DeleteModelPackageGroupPolicy": registry.delete_policy,
            "CreateModelPackage": registry.create_package,
            "DescribeModelPackage": registry.describe_package,
            "ListModelPackages": registry.list_packages,
            "UpdateModelPackage": registry.update_package,
            "DeleteModelPackage": registry.delete_package,
            "CreateModel": models.create,
            "DescribeModel": models.describe,
            "ListModels": models.list,
            "DeleteModel": models.delete,
            "CreatePipeline": pipelines.create,
            "UpdatePipeline": pipelines.update,
            "DescribePipeline": pipelines.describe,
            "ListPipelines": pipelines.list,
            "DeletePipeline": pipelines.delete,
            "StartPipelineExecution": executions.start,
            "StopPipelineExecution": executions.stop,
            "DescribePipelineExecution": executions.describe,
            "DescribePipelineDefinitionForExecution": executions.definition,
            "ListPipelineExecutions": executions.list,
            "ListPipelineExecutionSteps": executions.list_steps,
            "ListPipelineParametersForExecution": executions.list_parameters,
            "AddTags": self.tags.add_tags,
            "ListTags": self.tags.list_tags,
            "DeleteTags": self.tags.delete_tags,
        }
        for name, jobs in self.jobs.items():
            operations |= {
                f"Create{name}Job": jobs.create,
                f"Describe{name}Job": jobs.describe,
                f"Stop{name}Job": jobs.stop,
                f"List{name}Jobs": jobs.list,
            }
        return operations

    def perform(self, operation: str, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """Perform an operation that IAM has allowed.

        Raises
        ------
        ServiceError
            It is refused.
        """
        method = self.operations.get(operation)
        if method is None:
            raise ServiceError(
                "UnknownOperationException", f"The embedded cloud doesn't emulate sagemaker:{operation}"
            )
        check_request(operation, request)
        return shape_answer(operation, method(request, caller))

    def close(self) -> None:
        """End everything that runs."""
        self.executions.stop_all()
        self.pool.close()
        self.threads.shutdown(wait=False, cancel_futures=True)


_service: SageMaker | None = None
_services: EngineServices | None = None


def configure(services: EngineServices) -> None:
    """Set the service up; called once, before the first request."""
    global _service, _services
    if _service is not None:
        _service.close()
    _services = services
    services.work_dir.mkdir(parents=True, exist_ok=True)
    _service = SageMaker(services)


def _running() -> SageMaker:
    if _service is None:
        raise RuntimeError("local_cloud.sagemaker.service.configure() must be called before any request")
    return _service


def _caller() -> Scope:
    return Scope(get_account_id(), get_region())


async def handle_request(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Mapping[str, Any]
) -> Response:
    """Answer a request of SageMaker's JSON protocol; the account and region are those of the request scope."""
    operation = next((v for k, v in headers.items() if k.lower() == "x-amz-target"), "").rsplit(".", 1)[-1]
    if _services is not None:
        signer.note(operation, headers, _services.caller)
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    answer: Response = await loop.run_in_executor(_running().threads, context.run, _respond, operation, body)
    return answer


def _respond(operation: str, body: bytes) -> Response:
    code, message, status = "SerializationException", "the request must be a JSON object", 400
    try:
        request = json.loads(body or b"{}")
        if isinstance(request, dict):
            answer: Response = json_response(_running().perform(operation, request, _caller()))
            return answer
    except ServiceError as error:
        code, message, status = error.code, error.message, error.status
    except json.JSONDecodeError as error:
        message = f"the request isn't JSON: {error}"
    except Exception as error:
        logger.exception("sagemaker:%s", operation)
        code, message, status = "InternalFailure", f"{type(error).__name__}: {error}", 500
    refusal: Response = error_response_json(code, message, status)
    return refusal


def resource_arn_for(operation: str, body: dict[str, Any]) -> str:
    """Return the ARN of the resource that a request is about, ``*`` where there is none."""
    return _running().access.resource(operation, body, _caller())


def condition_context_for(operation: str, body: dict[str, Any]) -> Context:
    """Return the values of the condition keys of a request's main action."""
    return _running().access.context(operation, body, _caller())


def actions_for(operation: str, body: dict[str, Any]) -> list[Check]:
    """Return all that IAM must allow for a request, as (action, resource ARN, condition context)."""
    return _running().access.checks(operation, body, _caller())


def resource_policy_for(arn: str) -> tuple[str | None, str]:
    """Return the policy on a resource, None where it has none, and the account that owns the resource."""
    try:
        found = parse_arn(arn)
    except ServiceError:
        return None, get_account_id()
    if found.kind in ("model-package-group", "model-package"):
        return _running().registry.resource_policy(found), found.scope.account
    return None, found.scope.account


def start_pipeline(
    account: str, region: str, pipeline_arn: str, parameters: list[dict[str, str]], client_token: str
) -> str:
    """Start a pipeline for a rule or a schedule that IAM has allowed to; may be called from any thread.

    Parameters
    ----------
    account, region
        Of the rule or schedule.
    pipeline_arn
        The pipeline.
    parameters
        ``{"Name": ..., "Value": ...}`` each.
    client_token
        A second start with the same token starts nothing.

    Returns
    -------
    str
        ARN of the execution.

    Raises
    ------
    ServiceError
        SageMaker refuses the start.
    """
    token = client_token if len(client_token) >= 32 else client_token.ljust(32, "-")
    request = {"PipelineName": pipeline_arn, "PipelineParameters": parameters, "ClientRequestToken": token}
    with request_scope(account, region):
        answer = _running().perform("StartPipelineExecution", request, Scope(account, region))
    return str(answer["PipelineExecutionArn"])


def shutdown() -> None:
    """End all executions, jobs and processes."""
    if _service is not None:
        _service.close()


def reset() -> None:
    """End everything and forget everything."""
    if _services is not None:
        configure(_services)


def get_state() -> dict[str, Any]:
    """Return a copy of everything that is remembered."""
    return _running().store.snapshot()


def load_persisted_state(state: dict[str, Any]) -> None:
    """Take up what `get_state` has returned; what was running then is marked as stopped."""
    service = _running()
    service.store.restore(state)
    service.executions.end_orphans()
