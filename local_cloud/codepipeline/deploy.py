"""The CloudFormation action: change sets and stacks, in any account whose role the pipeline may assume."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.codepipeline.artifacts import Artifacts
from local_cloud.codepipeline.errors import ActionAbandoned, ActionFailed
from local_cloud.codepipeline.model import Work
from local_cloud.runner.clients import RoleClients
from local_cloud.stack_state import DeploymentError, change_set_created, describe, event_ids, settled

_GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
_INLINE_BYTES = 51_200
_POLL_SECONDS = 0.2
MODES = ("CHANGE_SET_REPLACE", "CHANGE_SET_EXECUTE", "CREATE_UPDATE")


class CloudFormationAction:
    """Deploys stacks.

    Parameters
    ----------
    keep_template
        See `local_cloud.engine_services.DeliveryServices`.
    """

    def __init__(self, keep_template: Callable[[str], str]) -> None:
        self._keep_template = keep_template
        self._lock = threading.Lock()
        self._abandoned: set[str] = set()

    def run(self, work: Work) -> None:
        """Do what the action's mode says, and wait for its end.

        See https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CloudFormation.html
        """
        given = work.configuration
        mode, stack = given["ActionMode"], given["StackName"]
        client = RoleClients(work.role).client("cloudformation")
        try:
            if mode == "CHANGE_SET_REPLACE":
                self._replace_change_set(work, client, stack)
            elif mode == "CHANGE_SET_EXECUTE":
                self._execute_change_set(work, client, stack)
            else:
                self._create_or_update(work, client, stack)
        except DeploymentError as error:
            raise ActionFailed(str(error), code="JobFailed") from None
        except ClientError as error:
            denied = error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
            code = "PermissionError" if denied else "ConfigurationError"
            raise ActionFailed(f"{stack}: {error.response['Error']['Message']}", code=code) from None

    def abandon(self, work: Work) -> None:
        """Stop waiting; the stack goes on, as on AWS."""
        with self._lock:
            self._abandoned.add(work.run.run_id)

    def _is_abandoned(self, work: Work) -> bool:
        with self._lock:
            return work.run.run_id in self._abandoned

    def _replace_change_set(self, work: Work, client: Any, stack: str) -> None:
        name = work.configuration["ChangeSetName"]
        existing = describe(client, stack)
        new = existing is None or existing["StackStatus"] == "REVIEW_IN_PROGRESS"
        if existing is not None:
            _delete_change_set(client, stack, name)
        client.create_change_set(
            **self._request(work), ChangeSetName=name, ChangeSetType="CREATE" if new else "UPDATE"
        )
        changes = change_set_created(client, stack, name)
        work.run.external_id = client.describe_change_set(ChangeSetName=name, StackName=stack)["ChangeSetId"]
        work.run.summary = (
            f"Change set {name} was created." if changes else f"Change set {name} contains no changes."
        )

    def _execute_change_set(self, work: Work, client: Any, stack: str) -> None:
        name = work.configuration["ChangeSetName"]
        found = client.describe_change_set(ChangeSetName=name, StackName=stack)
        work.run.external_id = found["StackId"]
        if found["Status"] == "FAILED":
            # Only a change set without changes gets here: another failure fails the action that made it.
            _delete_change_set(client, stack, name)
            work.run.summary = f"{stack}: no changes."
            self._tell_outputs(work, describe(client, stack) or {})
            return
        seen = event_ids(client, stack)
        client.execute_change_set(ChangeSetName=name, StackName=stack)
        self._wait(work, client, stack, seen)

    def _create_or_update(self, work: Work, client: Any, stack: str) -> None:
        existing = describe(client, stack)
        seen = event_ids(client, stack) if existing else set()
        if existing is None or existing["StackStatus"] == "REVIEW_IN_PROGRESS":
            client.create_stack(**self._request(work))
        else:
            try:
                client.update_stack(**self._request(work))
            except ClientError as error:
                if "No updates" not in str(error):
                    raise
                work.run.summary = f"{stack}: no changes."
                self._tell_outputs(work, existing)
                return
        self._wait(work, client, stack, seen)

    def _wait(self, work: Work, client: Any, stack: str, seen: set[str]) -> None:
        found = settled(
            client,
            stack,
            seen,
            _GOOD,
            poll_seconds=_POLL_SECONDS,
            abandoned=lambda: self._is_abandoned(work),
        )
        if self._is_abandoned(work):
            raise ActionAbandoned
        work.run.external_id = found["StackId"]
        work.run.summary = f"{stack}: {found['StackStatus']}"
        self._tell_outputs(work, found)

    @staticmethod
    def _tell_outputs(work: Work, stack: dict[str, Any]) -> None:
        work.run.variables = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}

    def _request(self, work: Work) -> dict[str, Any]:
        given = work.configuration
        template = _read(work, given["TemplatePath"])
        configuration = (
            json.loads(_read(work, given["TemplateConfiguration"]))
            if given.get("TemplateConfiguration")
            else {}
        )
        parameters = {
            **configuration.get("Parameters", {}),
            **json.loads(given.get("ParameterOverrides") or "{}"),
        }
        request: dict[str, Any] = {
            "StackName": given["StackName"],
            "Capabilities": [one for one in (given.get("Capabilities") or "").split(",") if one],
            "Tags": [{"Key": key, "Value": value} for key, value in configuration.get("Tags", {}).items()],
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": str(value)} for key, value in parameters.items()
            ],
        }
        if given.get("RoleArn"):
            request["RoleARN"] = given["RoleArn"]
        if len(template.encode()) <= _INLINE_BYTES:
            return {**request, "TemplateBody": template}
        return {**request, "TemplateURL": self._keep_template(template)}


def _delete_change_set(client: Any, stack: str, name: str) -> None:
    try:
        client.delete_change_set(ChangeSetName=name, StackName=stack)
    except ClientError as error:
        if "NotFound" not in error.response["Error"]["Code"]:
            raise


def _read(work: Work, reference: str) -> str:
    """Read a file of an input artifact, named ``Artifact::path``."""
    name, _, path = reference.partition("::")
    artifact = next((one for one in work.artifacts if one.name == name), None)
    if artifact is None:
        raise ActionFailed(
            f"{reference}: {name} is no input artifact of the action", code="ConfigurationError"
        )
    file: Path = Artifacts.get(artifact, work.role) / path
    if not file.is_file():
        raise ActionFailed(f"The artifact {name} holds no file {path}", code="ConfigurationError")
    return file.read_text()
