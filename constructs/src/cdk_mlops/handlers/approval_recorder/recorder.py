"""Writes onto an approved version which S3 versions of its files were approved, and their SHA-256."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from approval_recorder.refusals import Refusals
from shared import log
from shared.artifacts import (
    MODEL,
    ModelArtifactChanged,
    OpenBucket,
    approved_ids,
    look_at,
    refuse_changed,
    uris_of,
)
from shared.aws import Arn, AwsError, error_text, split_uri
from shared.objects import ObjectVersion
from shared.registry import APPROVED, group_name, is_released, list_versions
from shared.text import is_version, parse_time, shorten

CHUNK = 1 << 20
# What SageMaker takes as a value of CustomerMetadataProperties.
_LONGEST = 256
_NOT_TAKEN = re.compile(r"[^\w\s.:/=+\-@]")


class BadEvent(Exception):
    """An event that isn't what its detail-type promises."""


class WrittenMeanwhile(Exception):
    """A file was written between looking at it and reading it; Lambda asks again."""


class SweepIncomplete(Exception):
    """Some versions could not be looked at."""


@dataclass(frozen=True)
class Recorder:
    """Everything that a record needs.

    Parameters
    ----------
    groups
        Names of the package groups whose approvals are recorded.
    role_name
        Name of this function's role: a change of its own is no approval.
    """

    groups: tuple[str, ...]
    role_name: str
    sagemaker: Any
    open_bucket: OpenBucket
    refusals: Refusals

    def answer(self, event: dict[str, Any]) -> dict[str, Any]:
        """Record what an event tells the approval of.

        Raises
        ------
        BadEvent
            The event names no version.
        """
        detail = event.get("detail")
        arn = str(detail.get("ModelPackageArn", "")) if isinstance(detail, dict) else ""
        try:
            parts = Arn.parse(arn).resource.split("/")
        except ValueError as error:
            raise BadEvent(str(error)) from error
        if len(parts) != 3 or parts[0] != "model-package" or not is_version(parts[2]):
            raise BadEvent(f"expected the ARN of a model version, got '{arn}'")
        # SageMaker writes some ARNs in lower case whatever the group's case is
        if group_name(parts[1]).lower() not in {group.lower() for group in self.groups}:
            return {"record": "ignored", "reason": f"{parts[1]} is no group of ours"}
        return self.record(arn)

    def sweep(self) -> dict[str, Any]:
        """Look at every approved version: record what has no record yet, and compare the others with theirs.

        Raises
        ------
        SweepIncomplete
            A version could not be looked at; the others were.
        """
        outcomes: dict[str, str] = {}
        failed = []
        for group in self.groups:
            for version in list_versions(self.sagemaker, group, APPROVED):
                name = f"{group}/{version.number}"
                try:
                    outcomes[name] = str(self.record(version.arn)["record"])
                except (*AwsError, WrittenMeanwhile) as error:
                    log.error("the version could not be looked at", version=name, error=error_text(error))
                    failed.append(f"{name} ({error_text(error)})")
        if failed:
            raise SweepIncomplete(f"{len(failed)} versions could not be looked at: {', '.join(failed)}")
        return {"versions": outcomes}

    def record(self, arn: str) -> dict[str, Any]:
        """Record what was approved of a version, once; approvers are told where its files aren't what they saw.

        A record is never changed: a version's files don't change, so others than the recorded ones are not what was
        approved, whoever approves the version again.

        Raises
        ------
        WrittenMeanwhile
            A file was written while it was read.
        """
        package = dict(self.sagemaker.describe_model_package(ModelPackageName=arn))
        status = package.get("ModelApprovalStatus")
        # the version itself says what it is: events come late, twice and out of order
        if status != APPROVED:
            return {"record": "ignored", "reason": f"the version is {status}"}
        number, group = int(package["ModelPackageVersion"]), str(package["ModelPackageGroupName"])
        uris, approved = uris_of(package), approved_ids(package)
        if MODEL not in uris:
            return {"record": "ignored", "reason": "the version names no model artifact"}
        current = look_at(self.open_bucket, uris.values())
        try:
            refuse_changed(number, parse_time(package.get("CreationTime")), uris, current, approved)
        except ModelArtifactChanged as error:
            return self.refusals.tell(
                group=group,
                model=_model(uris[MODEL]) or group,
                number=number,
                why=str(error),
                current=current,
                recorded=approved is not None,
            )
        known = dict(package.get("CustomerMetadataProperties") or {})
        wanted = {**known, **self._who(package)}
        if approved is None:
            wanted |= self._files(uris, current)
        if wanted == known:
            return {"record": "known"}
        # all of them: whether those that aren't named stay is not documented
        self.sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties=wanted)
        return {"record": "written" if approved is None else "approver", "version": number, "group": group}

    def _who(self, package: dict[str, Any]) -> dict[str, str]:
        """Who approved it, as the version said before this function changed it; a release changes it too."""
        by = package.get("LastModifiedBy") or package.get("CreatedBy") or {}
        identity = by.get("IamIdentity") or {}
        name = str(by.get("UserProfileName") or identity.get("Arn") or "")
        if not name or f":assumed-role/{self.role_name}/" in name or is_released(package):
            return {}
        moment = package.get("LastModifiedTime") or package.get("CreationTime")
        at = parse_time(moment)
        return {
            "approved_by": shorten(_NOT_TAKEN.sub("_", name), _LONGEST),
            **({"approved_at": at.isoformat(timespec="seconds")} if at else {}),
        }

    def _files(self, uris: Mapping[str, str], current: Mapping[str, ObjectVersion | None]) -> dict[str, str]:
        found = {}
        for name, uri in uris.items():
            seen = current[uri]
            version_id, digest = self._read(uri)
            if seen is None or version_id != seen.version_id:
                raise WrittenMeanwhile(f"{uri} was written while it was read")
            found[f"approved_{name}_version_id"] = version_id
            found[f"approved_{name}_sha256"] = digest
        return found

    def _read(self, uri: str) -> tuple[str, str]:
        bucket, key = split_uri(uri)
        answer = self.open_bucket(bucket).s3.get_object(Bucket=bucket, Key=key)
        digest = hashlib.sha256()
        while part := answer["Body"].read(CHUNK):
            digest.update(part)
        return str(answer.get("VersionId", "null")), digest.hexdigest()


def _model(artifact_uri: str) -> str:
    """Name of the model: the first part of its artifact's key."""
    _, key = split_uri(artifact_uri)
    return key.split("/")[0] if "/" in key else ""
