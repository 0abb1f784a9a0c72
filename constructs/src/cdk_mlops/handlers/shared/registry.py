"""The central model registry, seen from any account: a package group is always named by its ARN."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.aws import Arn, pages
from shared.text import parse_time

APPROVED = "Approved"
PENDING = "PendingManualApproval"
REJECTED = "Rejected"
# What a release to prod writes into a version: Stage and StageStatus of its ModelLifeCycle.
RELEASED = ("prod", "released")


@dataclass(frozen=True)
class Version:
    """One model version as ListModelPackages shows it."""

    number: int
    arn: str
    approval: str
    created: datetime | None


def list_versions(sagemaker: Any, group: str, approval: str | None = None) -> list[Version]:
    """All usable versions of a group, newest first, through every page.

    Parameters
    ----------
    group
        ARN of the package group (a name works in its own account).
    approval
        Only versions of this approval status.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListModelPackages.html
    """
    arguments = {
        "ModelPackageGroupName": group,
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
        "MaxResults": 100,
    }
    if approval is not None:
        arguments["ModelApprovalStatus"] = approval
    found = []
    for item in pages(sagemaker.list_model_packages, "ModelPackageSummaryList", **arguments):
        if item.get("ModelPackageStatus", "Completed") != "Completed" or "ModelPackageVersion" not in item:
            continue
        if approval is not None and item.get("ModelApprovalStatus") != approval:
            continue
        found.append(
            Version(
                number=int(item["ModelPackageVersion"]),
                arn=item["ModelPackageArn"],
                approval=str(item.get("ModelApprovalStatus", "")),
                created=parse_time(item.get("CreationTime")),
            )
        )
    return sorted(found, key=lambda version: version.number, reverse=True)


def newest_number(versions: Iterable[Version]) -> int:
    """Number of the newest version, 0 where there is none."""
    return max((version.number for version in versions), default=0)


def group_name(group: str) -> str:
    """Name of a package group that is given by ARN or by name."""
    return Arn.parse(group).resource.partition("/")[2] if group.startswith("arn:") else group


def is_released(package: dict[str, Any]) -> bool:
    """Whether a version, as DescribeModelPackage shows it, is released to prod.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ModelLifeCycle.html
    """
    life = package.get("ModelLifeCycle") or {}
    return (life.get("Stage"), life.get("StageStatus")) == RELEASED
