"""The model versions of the central registry: list, approve, reject, release to prod."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import botocore.exceptions

from ops.errors import CommandError

APPROVED, REJECTED = "Approved", "Rejected"
# What a release writes into a version's ModelLifeCycle, and what becomes of it when the version is rejected.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ModelLifeCycle.html
RELEASED = {"Stage": "prod", "StageStatus": "released"}
WITHDRAWN = {"Stage": "prod", "StageStatus": "withdrawn"}
_LONGEST_NOTE = 1024


@dataclass(frozen=True)
class Version:
    """One version of a model package group."""

    version: int
    arn: str
    status: str
    created: str
    metrics: dict[str, str]
    model_data_url: str
    life: dict[str, str] = field(default_factory=dict)  # its ModelLifeCycle

    @property
    def released(self) -> bool:
        """Return whether it was released to prod, where that is asked for; it must be approved as well."""
        return {**self.life, **RELEASED} == self.life

    @property
    def status_in_words(self) -> str:
        """Return its approval status, and whether it is released."""
        return f"{self.status}, released" if self.status == APPROVED and self.released else self.status

    @property
    def trained_in(self) -> str:
        """Return the account whose pipeline trained it, from the execution recorded on it."""
        parts = self.metrics.get("execution_arn", "").split(":")
        return parts[4] if len(parts) > 4 else "unknown"


def versions(sagemaker: Any, group: str) -> list[Version]:
    """Return all versions of a group, the newest first."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
    )
    try:
        arns = [package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]]
    except botocore.exceptions.ClientError as error:
        raise CommandError(
            f"the versions of {group} can't be listed: {error.response['Error']['Message']}"
        ) from None
    found = [_describe(sagemaker, arn) for arn in arns]
    return sorted(found, key=lambda version: -version.version)


def newest(sagemaker: Any, group: str, most: int, status: str | None = None) -> list[Version]:
    """Return the newest versions of a group, at most so many, the newest first; none where there is no group yet.

    Parameters
    ----------
    status
        Only those of this approval status. Default: all.
    """
    wanted = {"ModelApprovalStatus": status} if status else {}
    try:
        answer = sagemaker.list_model_packages(
            ModelPackageGroupName=group,
            SortBy="CreationTime",
            SortOrder="Descending",
            MaxResults=most,
            **wanted,
        )
    except botocore.exceptions.ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return []
        raise CommandError(
            f"the versions of {group} can't be listed: {error.response['Error']['Message']}"
        ) from None
    return [_describe(sagemaker, one["ModelPackageArn"]) for one in answer["ModelPackageSummaryList"]]


def decide(sagemaker: Any, group: str, version: str, status: str, note: str) -> Version:
    """Approve or reject a version; rejected, it loses its release too.

    Raises
    ------
    CommandError
        Where there is no such version, or the caller may not decide.
    """
    known = versions(sagemaker, group)
    match = next((v for v in known if str(v.version) == version), None)
    if match is None:
        numbers = ", ".join(str(v.version) for v in known) or "none yet"
        raise CommandError(f"{group} has no version '{version}'; it has {numbers}")
    withdrawn = status == REJECTED and match.released
    life = {"ModelLifeCycle": _life(WITHDRAWN, f"rejected: {note}")} if withdrawn else {}
    try:
        sagemaker.update_model_package(
            ModelPackageArn=match.arn, ModelApprovalStatus=status, ApprovalDescription=note, **life
        )
    except botocore.exceptions.ClientError as error:
        raise CommandError(
            f"version {version} was not changed: {error.response['Error']['Message']}"
        ) from None
    return _describe(sagemaker, match.arn)


def release(sagemaker: Any, package_arn: str, note: str) -> bool:
    """Let prod use an approved version, where the settings ask for a release beside the approval.

    Parameters
    ----------
    package_arn
        The version.
    note
        Why, or by whom; it is kept with the version.

    Returns
    -------
    bool
        False where the version was released before.

    Raises
    ------
    CommandError
        Where there is no such version, it isn't approved, or the caller may not release it.
    """
    group, version = package_arn.split("/")[-2:]
    try:
        found = _describe(sagemaker, package_arn)
    except botocore.exceptions.ClientError as error:
        message = error.response["Error"]["Message"]
        if "does not exist" in message:
            raise CommandError(f"{group} has no version {version}; see them with: make versions") from None
        raise CommandError(f"version {version} of {group} can't be looked at: {message}") from None
    if found.status != APPROVED:
        raise CommandError(
            f"version {version} of {group} is {found.status}, and only an approved version can be released:"
            f" make approve VERSION={version}"
        )
    if found.released:
        return False
    try:
        sagemaker.update_model_package(ModelPackageArn=package_arn, ModelLifeCycle=_life(RELEASED, note))
    except botocore.exceptions.ClientError as error:
        raise CommandError(
            f"version {version} of {group} was not released: {error.response['Error']['Message']}; the build Release"
            " of mlops-versions may, and people of mlops.people.approvers"
        ) from None
    return True


def _life(state: dict[str, str], note: str) -> dict[str, str]:
    said = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {' '.join(note.split())}"
    return {**state, "StageDescription": said[:_LONGEST_NOTE]}


def table(rows: list[Version]) -> str:
    """Return the versions as lines for a person."""
    if not rows:
        return "no version has been registered yet; train one: make run PIPELINE=train STAGE=dev"
    lines = [
        f"{'version':>7}  {'status':<22} {'trained in':<13} {'cv AUC':>7} {'hold-out':>8}  {'rows':>6}  created"
    ]
    for row in rows:
        cv_auc, holdout_auc = (_rounded(row.metrics.get(name, "-")) for name in ("cv_auc", "holdout_auc"))
        lines.append(
            f"{row.version:>7}  {row.status_in_words:<22} {row.trained_in:<13} {cv_auc:>7}"
            f" {holdout_auc:>8}  {row.metrics.get('data_rows', '-'):>6}  {row.created}"
        )
    return "\n".join(lines)


def _rounded(value: str) -> str:
    """Return a number with four digits after the point, as the alerts do; what isn't one as it is."""
    try:
        return f"{float(value):.4f}"
    except ValueError:
        return value[:6]


def _describe(sagemaker: Any, arn: str) -> Version:
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    containers = package.get("InferenceSpecification", {}).get("Containers", [{}])
    return Version(
        version=package["ModelPackageVersion"],
        arn=arn,
        status=package["ModelApprovalStatus"],
        created=f"{package['CreationTime']:%Y-%m-%d %H:%M}",
        metrics=dict(package.get("CustomerMetadataProperties", {})),
        model_data_url=containers[0].get("ModelDataUrl", ""),
        life=dict(package.get("ModelLifeCycle") or {}),
    )
