"""Models: a container and an artifact, often those of a model package version."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.runner.clients import RoleClients
from local_cloud.runner.transfer import TransferError, split_uri
from local_cloud.sagemaker.arns import Reference, Scope
from local_cloud.sagemaker.errors import invalid
from local_cloud.sagemaker.paging import created_within, page
from local_cloud.sagemaker.registry import Registry
from local_cloud.sagemaker.roles import Roles
from local_cloud.sagemaker.store import Record, Store
from local_cloud.sagemaker.tags import Tags

MODEL = "model"


class Models:
    """The operations on models."""

    def __init__(self, store: Store, tags: Tags, registry: Registry, roles: Roles) -> None:
        self._store = store
        self._tags = tags
        self._registry = registry
        self._roles = roles

    def model(self, name: str, caller: Scope) -> Record:
        """Return a model's record; ``_Image`` and ``_ModelDataUrl`` say what it serves."""
        found = Reference(caller, MODEL, name)
        record = self._store.get(found)
        if record is None:
            raise invalid(f'Could not find model "{found.arn}".')
        return record

    def create(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """CreateModel; the container may be given as a model package, also one of another account."""
        made = Reference(caller, MODEL, request["ModelName"])
        containers = request.get("Containers") or [request.get("PrimaryContainer")]
        if containers == [None] or ("Containers" in request and "PrimaryContainer" in request):
            raise invalid("Give either PrimaryContainer or Containers")
        if "ExecutionRoleArn" not in request:
            raise invalid("ExecutionRoleArn must be given: only models in S3 are emulated")
        served = [self._served(container, caller) for container in containers]
        session = self._roles.session(request["ExecutionRoleArn"], made.arn)
        for _, uri in served:
            _check_access(session, uri, request["ExecutionRoleArn"])
        record = {
            **{name: value for name, value in request.items() if name != "Tags"},
            "ModelArn": made.arn,
            "CreationTime": time.time(),
            "_Image": served[0][0],
            "_ModelDataUrl": served[0][1],
        }
        with self._store.lock:
            if self._store.get(made):
                raise invalid(f'Cannot create already existing model "{made.arn}".')
            self._store.put(made, record)
        self._tags.put(made.arn, request.get("Tags") or [])
        return record

    def _served(self, container: dict[str, Any], caller: Scope) -> tuple[str, str]:
        if "ModelPackageName" in container:
            found, package = self._registry.package(container["ModelPackageName"], caller)
            if package["ModelApprovalStatus"] != "Approved":
                raise invalid(
                    f"ModelPackage {found.arn} has ModelApprovalStatus {package['ModelApprovalStatus']}: it must be "
                    "Approved to deploy the model"
                )
            container = package["InferenceSpecification"]["Containers"][0]
        if not container.get("Image") or not container.get("ModelDataUrl"):
            raise invalid("A container needs Image and ModelDataUrl, or ModelPackageName")
        return container["Image"], container["ModelDataUrl"]

    def describe(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """DescribeModel."""
        return self.model(request["ModelName"], caller)

    def list(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """ListModels."""
        wanted = [
            item
            for item in self._store.records(MODEL, caller)
            if request.get("NameContains", "") in item["ModelName"] and created_within(item, request)
        ]
        shown, more = page(
            wanted,
            request,
            sort_keys={"Name": lambda r: r["ModelName"], "CreationTime": lambda r: r["CreationTime"]},
            default_key="CreationTime",
            default_order="Descending",
        )
        return {"Models": shown, **more}

    def delete(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """DeleteModel."""
        arn = self.model(request["ModelName"], caller)["ModelArn"]
        self._store.remove(Reference(caller, MODEL, request["ModelName"]))
        self._tags.forget(arn)
        return {}


def _check_access(session: dict[str, str], uri: str, role_arn: str) -> None:
    try:
        bucket, key = split_uri(uri)
        RoleClients(session).client("s3").head_object(Bucket=bucket, Key=key)
    except (ClientError, BotoCoreError, TransferError):
        raise invalid(
            f'Could not access model data at {uri}. Please ensure that the role "{role_arn}" exists and that its trust '
            'relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object '
            f"is located in {session['AWS_REGION']}."
        ) from None
