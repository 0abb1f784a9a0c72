"""The versions that checks try: which one, and the test batch that lies beside its evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.checks_common import Check, read

CHECK_BATCH, CHECK_SCORES, EVALUATION = "check_batch.csv", "check_scores.csv", "evaluation.json"


@dataclass(frozen=True)
class Summary:
    """A version as it is listed."""

    number: int
    arn: str
    status: str


@dataclass(frozen=True)
class OwnBatch:
    """What a stage that scores ``batch`` must get."""

    version: int
    batch: str
    scores: str


def versions(check: Check) -> Iterator[Summary]:
    """Yield a model's versions, the newest first."""
    pages = check.access.versions.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=check.group_arn, SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        for one in page["ModelPackageSummaryList"]:
            yield Summary(one["ModelPackageVersion"], one["ModelPackageArn"], one["ModelApprovalStatus"])


def newest(check: Check) -> Summary | None:
    """Return the newest version that isn't rejected."""
    return next((one for one in versions(check) if one.status != "Rejected"), None)


def in_use(check: Check) -> Summary | None:
    """Return the version that prod scores with: the newest that is approved, and released where that is asked for."""
    approved = (one for one in versions(check) if one.status == "Approved")
    delivery = check.settings.delivery
    if delivery is None or not delivery.approve_versions:
        return next(approved, None)
    return next((one for one in approved if _released(describe(check, one.arn))), None)


def _released(package: dict[str, Any]) -> bool:
    life = package.get("ModelLifeCycle", {})
    return bool(life.get("Stage") == "prod" and life.get("StageStatus") == "released")


def named(check: Check, number: str) -> Summary:
    """Return the version that a person named.

    Raises
    ------
    CheckError
        Where there is none of that number.
    """
    known = list(versions(check))
    found = next((one for one in known if str(one.number) == number), None)
    if found is None:
        numbers = ", ".join(str(one.number) for one in known) or "none"
        expected = f"version {number} of {check.model.model_package_group}"
        check.fail(expected, f"the versions {numbers}", "see: make versions")
    return found


def describe(check: Check, arn: str) -> dict[str, Any]:
    """Return all that the registry knows of a version."""
    return dict(check.access.versions.describe_model_package(ModelPackageName=arn))


def own_batch(check: Check, version: Summary) -> OwnBatch | None:
    """Return a version's own test batch; None for a version that was registered without one."""
    package = describe(check, version.arn)
    uri = package.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {}).get("S3Uri", "")
    folder = uri.rsplit("/", 1)[0]
    batch = read(check.access.artifacts, f"{folder}/{CHECK_BATCH}") if uri else None
    scores = read(check.access.artifacts, f"{folder}/{CHECK_SCORES}") if batch else None
    if batch is None or scores is None:
        return None
    return OwnBatch(version.number, batch.decode(), scores.decode())
