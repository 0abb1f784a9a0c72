"""The files that an approval is about: a version's model artifact and its data-quality baseline.

On approval a function of the registry writes onto the version which S3 versions of these files were approved, as
CustomerMetadataProperties `approved_<file>_version_id` and `approved_<file>_sha256`. An S3 version's bytes never
change, so comparing its id is comparing the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from shared.aws import split_uri
from shared.objects import ObjectStore, ObjectVersion

MODEL, STATISTICS, CONSTRAINTS = FILES = ("model", "statistics", "constraints")
OpenBucket = Callable[[str], ObjectStore]


class ModelArtifactChanged(Exception):
    """A version's files aren't those that were registered or approved."""


def uris_of(package: Mapping[str, Any]) -> dict[str, str]:
    """URIs of a version's files by their names; what it was registered without is left out.

    Parameters
    ----------
    package
        What DescribeModelPackage answers.
    """
    found: dict[str, str | None] = {MODEL: None}
    for container in package.get("InferenceSpecification", {}).get("Containers", []):
        source = container.get("ModelDataSource", {}).get("S3DataSource", {})
        found[MODEL] = found[MODEL] or container.get("ModelDataUrl") or source.get("S3Uri")
    drift = package.get("DriftCheckBaselines", {}).get("ModelDataQuality", {})
    metrics = package.get("ModelMetrics", {}).get("ModelDataQuality", {})
    for name in (STATISTICS, CONSTRAINTS):
        part = name.title()
        found[name] = drift.get(part, {}).get("S3Uri") or metrics.get(part, {}).get("S3Uri")
    return {name: str(uri) for name, uri in found.items() if uri}


def approved_ids(package: Mapping[str, Any]) -> dict[str, str] | None:
    """Ids of the S3 versions that were approved, by file; None where they aren't recorded for all files."""
    known = package.get("CustomerMetadataProperties") or {}
    ids = {name: known.get(f"approved_{name}_version_id") for name in uris_of(package)}
    found = {name: str(value) for name, value in ids.items() if value}
    return found if found and len(found) == len(ids) else None


def look_at(open_bucket: OpenBucket, uris: Iterable[str]) -> dict[str, ObjectVersion | None]:
    """Current version of each file by its URI; None where it is gone."""
    found = {}
    for uri in uris:
        bucket, key = split_uri(uri)
        found[uri] = open_bucket(bucket).current_version(key)
    return found


def refuse_changed(
    number: int,
    created: datetime | None,
    uris: Mapping[str, str],
    current: Mapping[str, ObjectVersion | None],
    approved: Mapping[str, str] | None,
) -> None:
    """Refuse a version whose files were written after it was registered, or aren't the S3 versions that were approved.

    Whoever trains may write artifacts, so an approval would be worth nothing if it outlived the files that people
    looked at. Both rules count: the first needs no record, the second sees an older version that was uncovered.

    Parameters
    ----------
    number, created
        The version, and when it was registered. SageMaker writes its files before that.
    uris, current
        Its files by name, and what lies there now, by URI.
    approved
        Ids of the S3 versions that were approved, by name. None: nothing is recorded.

    Raises
    ------
    ModelArtifactChanged
        It names the file, and the S3 version that lies there now.
    """
    for name, uri in uris.items():
        found = current[uri]
        if found is None:
            raise ModelArtifactChanged(
                f"{uri} of version {number} is gone: restore it, or reject the version"
            )
        wanted = found.version_id if approved is None else approved.get(name)
        if created and found.modified > created:
            told = f"after the version was registered at {_moment(created)}"
        elif found.version_id != wanted:
            told = f"not {wanted}, which was approved"
        else:
            continue
        raise ModelArtifactChanged(
            f"{in_words(found, number)}, {told}: reject the version, or delete the S3 versions that came later, "
            "and find out who wrote them"
        )


def in_words(found: ObjectVersion, number: int | str) -> str:
    """Which S3 version lies there now, as all messages begin."""
    return f"{found.uri} of version {number} is S3 version {found.version_id}, written at {_moment(found.modified)}"


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"
