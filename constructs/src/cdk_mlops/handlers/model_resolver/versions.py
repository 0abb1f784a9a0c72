"""The model version of a run: the newest approved one of the central registry, or the one that was asked for."""

from __future__ import annotations

from typing import Any

from shared.artifacts import FILES, MODEL, uris_of
from shared.aws import Arn, AwsError, is_missing
from shared.registry import APPROVED, REJECTED, Version, group_name, is_released, list_versions
from shared.text import is_version

NEWEST_APPROVED, NEWEST = "newest_approved", "newest"
_UNRELEASED = "waits for its release to prod: a check in staging and an approval (pipeline mlops-versions)"


class NoApprovedModel(Exception):
    """The package group has no approved version."""


class VersionNotFound(Exception):
    """The version that was asked for doesn't exist."""


class VersionNotApproved(Exception):
    """The version that was asked for isn't approved, or not released yet, and this stage uses no other."""


class BadVersion(Exception):
    """What was asked for names no version."""


class IncompleteVersion(Exception):
    """A version lacks what a run needs of it."""


def newest_approved(
    sagemaker: Any, group: str, *, only_released: bool = False
) -> tuple[Version, dict[str, Any]] | None:
    """Find the newest approved version and describe it; None where there is none.

    A version whose approval was withdrawn after the listing was made is passed over, and with `only_released` one
    that waits for its release.
    """
    for version in list_versions(sagemaker, group, APPROVED):
        try:
            package = sagemaker.describe_model_package(ModelPackageName=version.arn)
        except AwsError as error:
            if is_missing(error):
                continue
            raise
        approved = package.get("ModelApprovalStatus", APPROVED) == APPROVED
        if approved and (not only_released or is_released(package)):
            return version, package
    return None


def require_approved(
    sagemaker: Any, group: str, *, only_released: bool = False
) -> tuple[Version, dict[str, Any]]:
    """Find the newest approved version, which must be released too with `only_released`.

    Raises
    ------
    NoApprovedModel
        There is none.
    """
    found = newest_approved(sagemaker, group, only_released=only_released)
    if found is not None:
        return found
    if only_released and (waiting := list_versions(sagemaker, group, APPROVED)):
        raise NoApprovedModel(
            f"{_named(group)} has no released version: version {waiting[0].number} is approved and {_UNRELEASED}"
        )
    raise NoApprovedModel(f"{_named(group)} has no approved version: train one, then approve it")


def find_version(
    sagemaker: Any, group: str, wanted: str, *, only_approved: bool, only_released: bool = False
) -> tuple[Version, dict[str, Any]]:
    """Find the version that a run asks for, and describe it.

    Parameters
    ----------
    wanted
        ``newest_approved``, ``newest`` (that isn't rejected), or a version's number.
    only_approved
        Whether one that isn't approved is refused.
    only_released
        Whether one that isn't released to prod is refused as well.

    Raises
    ------
    NoApprovedModel, VersionNotFound, VersionNotApproved, BadVersion
        There is none to use, by whichever of these rules.
    """
    if wanted in ("", NEWEST_APPROVED):
        return require_approved(sagemaker, group, only_released=only_released)
    if wanted != NEWEST and not is_version(wanted):
        raise BadVersion(
            f"the parameter ModelVersion must be {NEWEST_APPROVED}, {NEWEST} or a version's number, got '{wanted}'"
        )
    version = _listed(list_versions(sagemaker, group), group, wanted)
    try:
        package = dict(sagemaker.describe_model_package(ModelPackageName=version.arn))
    except AwsError as error:
        if is_missing(error):
            raise VersionNotFound(f"version {version.number} of {_named(group)} was just deleted") from error
        raise
    status = str(package.get("ModelApprovalStatus", version.approval))
    if only_approved and status != APPROVED:
        raise VersionNotApproved(
            f"version {version.number} of {_named(group)} is {status}, and this stage uses approved versions only: "
            f"approve it (make approve VERSION={version.number}), or try it in another stage"
        )
    if only_released and not is_released(package):
        raise VersionNotApproved(f"version {version.number} of {_named(group)} is approved and {_UNRELEASED}")
    return version, package


def _listed(versions: list[Version], group: str, wanted: str) -> Version:
    if wanted == NEWEST:
        usable = [version for version in versions if version.approval != REJECTED]
        if not usable:
            raise VersionNotFound(f"{_named(group)} has no version that isn't rejected: train one")
        return usable[0]
    for version in versions:
        if version.number == int(wanted):
            return version
    there = f"its newest is {versions[0].number}" if versions else "it has none"
    raise VersionNotFound(
        f"version {int(wanted)} of {_named(group)} does not exist; {there}: see make versions"
    )


def _named(group: str) -> str:
    where = f" in account {Arn.parse(group).account}" if group.startswith("arn:") else ""
    return f"the package group {group_name(group)}{where}"


def files_of(package: dict[str, Any]) -> dict[str, str]:
    """URIs of a version's model artifact and baseline, by their names.

    Raises
    ------
    IncompleteVersion
        It was registered without one of them.
    """
    uris = uris_of(package)
    artifact_uri(package)
    if len(uris) < len(FILES):
        raise IncompleteVersion(
            f"{package.get('ModelPackageArn')} has no data-quality baseline: register it with DriftCheckBaselines."
            "ModelDataQuality statistics and constraints, or approve a version that has them"
        )
    return uris


def image_uri(package: dict[str, Any]) -> str:
    """Image that a version was trained and is served with.

    Raises
    ------
    IncompleteVersion
        It names none.
    """
    for container in package.get("InferenceSpecification", {}).get("Containers", []):
        if container.get("Image"):
            return str(container["Image"])
    raise IncompleteVersion(f"{package.get('ModelPackageArn')} names no image")


def artifact_uri(package: dict[str, Any]) -> str:
    """URI of a version's model.tar.gz.

    Raises
    ------
    IncompleteVersion
        It names none.
    """
    uris = uris_of(package)
    if MODEL not in uris:
        raise IncompleteVersion(f"{package.get('ModelPackageArn')} names no model artifact")
    return uris[MODEL]


def evaluation_uri(package: dict[str, Any]) -> str:
    """URI of a version's evaluation.json.

    Raises
    ------
    IncompleteVersion
        It was registered without one.
    """
    quality = package.get("ModelMetrics", {}).get("ModelQuality", {})
    uri = quality.get("Statistics", {}).get("S3Uri")
    if not uri:
        raise IncompleteVersion(
            f"{package.get('ModelPackageArn')} has no evaluation: register versions with ModelMetrics.ModelQuality"
            " statistics"
        )
    return str(uri)
