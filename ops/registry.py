"""The model versions of the central registry: list, approve, reject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import botocore.exceptions

from ops.errors import CommandError


@dataclass(frozen=True)
class Version:
    """One version of a model package group."""

    version: int
    arn: str
    status: str
    created: str
    metrics: dict[str, str]
    model_data_url: str

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
    """Approve or reject a version.

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
    try:
        sagemaker.update_model_package(
            ModelPackageArn=match.arn, ModelApprovalStatus=status, ApprovalDescription=note
        )
    except botocore.exceptions.ClientError as error:
        raise CommandError(
            f"version {version} was not changed: {error.response['Error']['Message']}"
        ) from None
    return _describe(sagemaker, match.arn)


def table(rows: list[Version]) -> str:
    """Return the versions as lines for a person."""
    if not rows:
        return "no version has been registered yet; train one: make run PIPELINE=train STAGE=dev"
    lines = [
        f"{'version':>7}  {'status':<22} {'trained in':<13} {'cv AUC':>7} {'hold-out':>8}  {'rows':>6}  created"
    ]
    for row in rows:
        metric = row.metrics.get
        lines.append(
            f"{row.version:>7}  {row.status:<22} {row.trained_in:<13} {metric('cv_auc', '-')[:6]:>7}"
            f" {metric('holdout_auc', '-')[:6]:>8}  {metric('data_rows', '-'):>6}  {row.created}"
        )
    return "\n".join(lines)


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
    )
