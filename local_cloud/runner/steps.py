"""What SageMaker does for a step: calls as the pipeline's role, waits for jobs, passes on why they failed."""

from __future__ import annotations

import base64
import json
import re
import secrets
import string
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError, ReadTimeoutError

from local_cloud.runner.clients import RoleClients
from local_cloud.runner.execution import Attempt, StepFailed, StepHandler, StepStopped
from local_cloud.runner.resolve import StepOutcome, as_text
from local_cloud.runner.retry import SERVICE_FAULT, exception_type_of_call, exception_type_of_job

MAX_NAME = 63
MAX_OUTPUT = 1024
_GENERAL_ERROR = "Runtime.HandlerError"
_ALPHABET = string.ascii_letters + string.digits
_OUTPUT_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (float, int),
    "Boolean": (bool,),
}


@dataclass(frozen=True)
class StepContext:
    """What the handlers of one run need.

    Attributes
    ----------
    clients
        Clients under the pipeline's role.
    execution_id
        Id of the run.
    wait_for_job
        Waits until the job of an ARN has ended or the event is set; returns whether it has ended.
    """

    clients: RoleClients
    execution_id: str
    wait_for_job: Callable[[str, threading.Event], bool]


@dataclass(frozen=True)
class JobCalls:
    """The names of a kind of job in the API."""

    kind: str

    @property
    def name_field(self) -> str:
        """The member that holds the job's name."""
        return f"{self.kind}JobName"

    @property
    def arn_field(self) -> str:
        """The member that holds the job's ARN."""
        return f"{self.kind}JobArn"

    @property
    def status_field(self) -> str:
        """The member that holds the job's status."""
        return f"{self.kind}JobStatus"


def call(client: Any, service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Call an API operation; a refusal fails the step as it does on SageMaker."""
    method = getattr(client, re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower())
    try:
        answer: dict[str, Any] = method(**request)
    except ClientError as error:
        detail = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        raise StepFailed(
            f"ClientError: Failed to invoke {service}:{operation}. Error Details: {detail.get('Message') or error}",
            exception_type_of_call(str(detail.get("Code", "")), status),
        ) from error
    except ParamValidationError as error:
        raise StepFailed(
            f"ClientError: Failed to invoke {service}:{operation}. Error Details: {error}"
        ) from error
    except ReadTimeoutError as error:
        raise StepFailed(f"ClientError: {service}:{operation} took longer than a step may") from error
    except BotoCoreError as error:
        raise StepFailed(f"InternalServerError: {service}:{operation}: {error}", SERVICE_FAULT) from error
    answer.pop("ResponseMetadata", None)
    return answer


def random_suffix(length: int = 10) -> str:
    """Return random letters and digits, as SageMaker appends them to names."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def resource_name(prefix: str | None, execution_id: str, step_name: str) -> str:
    """Return the name of a job or model that a step makes.

    Parameters
    ----------
    prefix
        The custom job prefix of the definition. Default: ``pipelines`` with the step's name.
    """
    suffix = random_suffix()
    if prefix:
        return f"{prefix[: MAX_NAME - len(execution_id) - len(suffix) - 2]}-{execution_id}-{suffix}"
    room = MAX_NAME - len(f"pipelines-{execution_id}--{suffix}")
    return f"pipelines-{execution_id}-{step_name[:room].rstrip('-')}-{suffix}"


def without_nulls(value: Any) -> Any:
    """Return a JSON value without the members that are null: the SDK writes them for what isn't set."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Return an API answer with times as text, so that it can be joined and written as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


class StepHandlers:
    """Runs the steps of one execution that make something or call a function."""

    def __init__(self, context: StepContext) -> None:
        self._context = context

    def by_type(self) -> dict[str, StepHandler]:
        """Return the handlers by step type."""
        return {
            "Processing": self._processing,
            "Training": lambda attempt: StepOutcome(
                self.run_job(attempt, "Training", self.arguments(attempt))
            ),
            "Transform": lambda attempt: StepOutcome(
                self.run_job(attempt, "Transform", self.arguments(attempt))
            ),
            "Model": self._model,
            "RegisterModel": self._register,
            "Lambda": self._lambda,
        }

    @property
    def clients(self) -> RoleClients:
        """Clients under the pipeline's role."""
        return self._context.clients

    def arguments(self, attempt: Attempt) -> dict[str, Any]:
        """Return a step's arguments with all expressions replaced."""
        arguments: dict[str, Any] = without_nulls(attempt.resolve(attempt.step.arguments))
        return arguments

    def run_job(
        self,
        attempt: Attempt,
        kind: str,
        request: dict[str, Any],
        metadata_of: Callable[[str], Any] | None = None,
    ) -> dict[str, Any]:
        """Create a job, wait for its end, and return its description.

        Raises
        ------
        StepFailed, StepStopped
            It was refused or failed, or the execution was stopped.
        """
        calls, client = JobCalls(kind), self.clients.client("sagemaker")
        name = resource_name(
            request.pop(calls.name_field, None), self._context.execution_id, attempt.step.name
        )
        arn = call(client, "sagemaker", f"Create{kind}Job", {**request, calls.name_field: name})[
            calls.arn_field
        ]
        attempt.report({f"{kind}Job": {"Arn": arn}} if metadata_of is None else metadata_of(arn))
        if not self._context.wait_for_job(arn, attempt.stop):
            call(client, "sagemaker", f"Stop{kind}Job", {calls.name_field: name})
            self._context.wait_for_job(arn, threading.Event())
        description = call(client, "sagemaker", f"Describe{kind}Job", {calls.name_field: name})
        status, reason = description[calls.status_field], description.get("FailureReason", "")
        if status == "Completed":
            described: dict[str, Any] = plain(description)
            return described
        if attempt.stop.is_set():
            raise StepStopped
        if status == "Stopped":
            raise StepFailed(reason or f"ClientError: {kind.lower()} job {name} was stopped")
        raise StepFailed(reason, exception_type_of_job(reason))

    def _processing(self, attempt: Attempt) -> StepOutcome:
        description = self.run_job(attempt, "Processing", self.arguments(attempt))
        outputs = {
            item["OutputName"]: item["S3Output"]["S3Uri"]
            for item in (description.get("ProcessingOutputConfig") or {}).get("Outputs", [])
        }
        files = {
            item["PropertyFileName"]: f"{outputs[item['OutputName']].rstrip('/')}/{item['FilePath']}"
            for item in attempt.step.body.get("PropertyFiles") or []
        }
        return StepOutcome(description, files)

    def _model(self, attempt: Attempt) -> StepOutcome:
        request = self.arguments(attempt)
        name = resource_name(request.pop("ModelName", None), self._context.execution_id, attempt.step.name)
        request["ModelName"] = name
        arn = call(self.clients.client("sagemaker"), "sagemaker", "CreateModel", request)["ModelArn"]
        attempt.report({"Model": {"Arn": arn}})
        return StepOutcome(
            self._described("DescribeModel", {"ModelName": name}, {**request, "ModelArn": arn})
        )

    def _register(self, attempt: Attempt) -> StepOutcome:
        request = self.arguments(attempt)
        arn = call(self.clients.client("sagemaker"), "sagemaker", "CreateModelPackage", request)[
            "ModelPackageArn"
        ]
        attempt.report({"RegisterModel": {"Arn": arn}})
        known = {**request, "ModelPackageArn": arn}
        return StepOutcome(self._described("DescribeModelPackage", {"ModelPackageName": arn}, known))

    def _described(self, operation: str, request: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        # The thing is made; a role that may not describe it must not fail the step, later steps get what is known.
        try:
            described: dict[str, Any] = plain(
                call(self.clients.client("sagemaker"), "sagemaker", operation, request)
            )
        except StepFailed:
            return known
        return described

    def _lambda(self, attempt: Attempt) -> StepOutcome:
        arn = attempt.resolve(attempt.step.body["FunctionArn"])
        payload = json.dumps(attempt.resolve(attempt.step.arguments)).encode()
        attempt.report({"Lambda": {"Arn": arn}})
        request = {"FunctionName": arn, "Payload": payload, "LogType": "Tail"}
        answer = call(self.clients.client("lambda"), "lambda", "Invoke", request)
        body = answer["Payload"].read()
        result = json.loads(body) if body else None
        if answer.get("FunctionError"):
            log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
            raise StepFailed(function_error(result, log))
        if attempt.stop.is_set():
            raise StepStopped
        outputs = lambda_outputs(attempt.step.body.get("OutputParameters") or [], result)
        shown = [{"Name": name, "Value": as_text(value)} for name, value in outputs.items()]
        attempt.report({"Lambda": {"Arn": arn, "OutputParameters": shown}})
        return StepOutcome({"OutputParameters": outputs})


def function_error(result: Any, log: str = "") -> str:
    """Return why a function failed, from what it answered.

    The emulated Lambda answers every exception with one general type; the end of its log holds the real one.
    """
    if not isinstance(result, dict) or "errorMessage" not in result:
        return f"the function failed: {json.dumps(result)}"
    message, kind = str(result["errorMessage"]), result.get("errorType")
    if kind == _GENERAL_ERROR:
        ending = f": {re.escape(message)}" if message else "$"
        raised = re.findall(rf"^([A-Za-z_][\w.]*){ending}", log, re.MULTILINE)
        kind = raised[-1].rsplit(".", 1)[-1] if raised else None
    # A function that names its error in the message already isn't made to name it twice.
    return message if not kind or message.startswith(f"{kind}:") else f"{kind}: {message}"


def lambda_outputs(declared: list[dict[str, str]], result: Any) -> dict[str, Any]:
    """Return the outputs of a Lambda step that its definition declares.

    Raises
    ------
    StepFailed
        The function's answer isn't a flat object that holds them, in their types and with at most 1,024 characters.
    """
    outputs: dict[str, Any] = {}
    for item in declared:
        name, kind = item["OutputName"], item["OutputType"]
        if not isinstance(result, dict) or name not in result:
            raise StepFailed(f"ClientError: the function's answer has no output {name!r}")
        value = result[name]
        right = isinstance(value, _OUTPUT_TYPES[kind]) and (kind == "Boolean" or not isinstance(value, bool))
        if not right:
            raise StepFailed(
                f"ClientError: the function's output {name!r} is {value!r}, which isn't of type {kind}"
            )
        if len(as_text(value)) > MAX_OUTPUT:
            raise StepFailed(
                f"ClientError: the function's output {name!r} is longer than {MAX_OUTPUT} characters"
            )
        outputs[name] = value
    return outputs
