"""Model package groups and the model package versions in them."""

from __future__ import annotations

import json
import time
from typing import Any

from local_cloud.sagemaker.arns import Reference, Scope, reference
from local_cloud.sagemaker.errors import conflict, invalid
from local_cloud.sagemaker.events import Events
from local_cloud.sagemaker.paging import created_within, page
from local_cloud.sagemaker.signer import user_context
from local_cloud.sagemaker.store import Record, Store
from local_cloud.sagemaker.tags import Tags

GROUP, PACKAGE = "model-package-group", "model-package"
POLICY_LIMIT = 20_480
_NOT_KEPT = ("ClientToken", "Tags", "ModelPackageGroupName")


class Registry:
    """The operations on groups and packages; `caller` is the scope of the request."""

    def __init__(self, store: Store, tags: Tags, events: Events) -> None:
        self._store = store
        self._tags = tags
        self._events = events

    def group(self, text: str, caller: Scope) -> tuple[Reference, Record]:
        """Return the group that a name or ARN means."""
        found = reference(text, GROUP, caller)
        record = self._store.get(found)
        if record is None:
            raise invalid(f"ModelPackageGroup {found.arn} does not exist.")
        return found, record

    def package(self, text: str, caller: Scope) -> tuple[Reference, Record]:
        """Return the package that a name or ARN means."""
        found = reference(text, PACKAGE, caller)
        record = self._store.get(found)
        if record is None:
            raise invalid(f"ModelPackage {found.arn} does not exist.")
        return found, record

    def versions(self, group: Reference) -> list[Record]:
        """Return the versions of a group, oldest first."""
        records = self._store.records(PACKAGE, group.scope)
        return [item for item in records if item["ModelPackageGroupName"] == group.name]

    def resource_policy(self, found: Reference) -> str | None:
        """Return the policy that guards a group or a package of it."""
        name = found.name.split("/")[0]
        record = self._store.get(Reference(found.scope, GROUP, name))
        return record.get("_Policy") if record else None

    # Groups

    def create_group(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """CreateModelPackageGroup."""
        made = Reference(caller, GROUP, request["ModelPackageGroupName"])
        with self._store.lock:
            if self._store.get(made):
                raise invalid(f"Model Package Group already exists: {made.arn}")
            record: Record = {
                "ModelPackageGroupName": made.name,
                "ModelPackageGroupArn": made.arn,
                "ModelPackageGroupDescription": request.get("ModelPackageGroupDescription"),
                "CreationTime": time.time(),
                "CreatedBy": {},
                "ModelPackageGroupStatus": "Completed",
                "_NextVersion": 1,
            }
            self._store.put(made, record)
        self._tags.put(made.arn, request.get("Tags") or [])
        return record

    def describe_group(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """DescribeModelPackageGroup."""
        return self.group(request["ModelPackageGroupName"], caller)[1]

    def list_groups(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """ListModelPackageGroups."""
        wanted = [
            item
            for item in self._store.records(GROUP, caller)
            if request.get("NameContains", "") in item["ModelPackageGroupName"]
            and created_within(item, request)
        ]
        shown, more = page(
            wanted,
            request,
            sort_keys={
                "Name": lambda r: r["ModelPackageGroupName"],
                "CreationTime": lambda r: r["CreationTime"],
            },
            default_key="CreationTime",
            default_order="Ascending",
        )
        return {"ModelPackageGroupSummaryList": shown, **more}

    def delete_group(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """DeleteModelPackageGroup; refused while it holds versions."""
        with self._store.lock:
            found, _ = self.group(request["ModelPackageGroupName"], caller)
            if self.versions(found):
                raise conflict(
                    f"Model Package Group {found.arn} cannot be deleted: it still contains Model Packages."
                )
            self._store.remove(found)
        self._tags.forget(found.arn)
        return {}

    def put_policy(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """PutModelPackageGroupPolicy."""
        _, record = self.group(request["ModelPackageGroupName"], caller)
        policy = request["ResourcePolicy"]
        try:
            document = json.loads(policy)
        except ValueError as error:
            raise invalid(f"Invalid resource policy: not JSON: {error}") from None
        if not isinstance(document, dict) or not document.get("Statement"):
            raise invalid("Invalid resource policy: it has no Statement")
        if len(policy) > POLICY_LIMIT:
            raise invalid(
                f"Invalid resource policy: {len(policy)} characters, at most {POLICY_LIMIT} are allowed"
            )
        record["_Policy"] = policy
        return record

    def get_policy(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """GetModelPackageGroupPolicy."""
        found, record = self.group(request["ModelPackageGroupName"], caller)
        if not record.get("_Policy"):
            raise invalid(f"Cannot find resource policy for the model package group {found.arn}")
        return {"ResourcePolicy": record["_Policy"]}

    def delete_policy(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """DeleteModelPackageGroupPolicy."""
        self.group(request["ModelPackageGroupName"], caller)[1].pop("_Policy", None)
        return {}

    # Packages

    def create_package(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """CreateModelPackage: a new version of a group, which may be another account's."""
        if "ModelPackageGroupName" not in request:
            raise invalid("Only versioned model packages are emulated: give ModelPackageGroupName")
        if "InferenceSpecification" not in request and "SourceAlgorithmSpecification" not in request:
            raise invalid("Either InferenceSpecification or SourceAlgorithmSpecification must be given")
        with self._store.lock:
            found, group = self.group(request["ModelPackageGroupName"], caller)
            token = request.get("ClientToken")
            for item in self.versions(found):
                if token and item["_ClientToken"] == token:
                    return item
            version = group["_NextVersion"]
            group["_NextVersion"] = version + 1  # never given twice, also after a version was deleted
            made = Reference(found.scope, PACKAGE, f"{found.name}/{version}")
            now = time.time()
            record = {
                **{name: value for name, value in request.items() if name not in _NOT_KEPT},
                "ModelPackageGroupName": found.name,
                "ModelPackageVersion": version,
                "ModelPackageArn": made.arn,
                "CreationTime": now,
                "CreatedBy": user_context(),
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": []},
                "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
                "CertifyForMarketplace": False,
                "_ClientToken": token,
            }
            self._store.put(made, record)
        self._tags.put(made.arn, request.get("Tags") or [])
        self._events.package_changed(found.scope, record)
        return record

    def describe_package(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """DescribeModelPackage."""
        return self.package(request["ModelPackageName"], caller)[1]

    def list_packages(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """ListModelPackages of a group, which may be another account's, or of the caller's account."""
        if request.get("ModelPackageGroupName"):
            packages = self.versions(self.group(request["ModelPackageGroupName"], caller)[0])
        else:
            # Without a group AWS lists packages without versions unless asked for others; all of ours have one.
            versioned = request.get("ModelPackageType", "Unversioned") in ("Versioned", "Both")
            packages = self._store.records(PACKAGE, caller) if versioned else []
        status = request.get("ModelApprovalStatus")
        wanted = [
            item
            for item in packages
            if (status is None or item["ModelApprovalStatus"] == status)
            and request.get("NameContains", "") in item["ModelPackageGroupName"]
            and created_within(item, request)
        ]
        shown, more = page(
            wanted,
            request,
            sort_keys={
                "Name": lambda r: (r["ModelPackageGroupName"], r["ModelPackageVersion"]),
                "CreationTime": lambda r: r["CreationTime"],
            },
            default_key="CreationTime",
            default_order="Ascending",
        )
        return {"ModelPackageSummaryList": shown, **more}

    def update_package(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """UpdateModelPackage: approve or reject, describe, change customer metadata."""
        with self._store.lock:
            found, record = self.package(request["ModelPackageArn"], caller)
            changes = {
                name: value
                for name, value in request.items()
                if name not in ("ModelPackageArn", "ClientToken")
            }
            removed = changes.pop("CustomerMetadataPropertiesToRemove", [])
            added = changes.pop("CustomerMetadataProperties", {})
            if added or removed:
                kept = {
                    k: v
                    for k, v in (record.get("CustomerMetadataProperties") or {}).items()
                    if k not in removed
                }
                record["CustomerMetadataProperties"] = {**kept, **added}
            record.update(changes, LastModifiedTime=time.time(), LastModifiedBy=user_context())
        self._events.package_changed(found.scope, record)
        return record

    def delete_package(self, request: dict[str, Any], caller: Scope) -> dict[str, Any]:
        """DeleteModelPackage."""
        found, _ = self.package(request["ModelPackageName"], caller)
        self._store.remove(found)
        self._tags.forget(found.arn)
        return {}
