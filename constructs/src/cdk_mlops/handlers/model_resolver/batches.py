"""The batch of a run: which objects it is, and whether they were scored already."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC

from shared import log
from shared.aws import AwsError, Malformed, error_code, split_uri
from shared.objects import ObjectStore, ObjectSummary, UnreadableObject, digest
from shared.text import parse_time

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NO_SUCH_PLACE = (
    "NoSuchBucket",
    "AccessDenied",
    "AllAccessDisabled",
    "PermanentRedirect",
    "InvalidBucketName",
    "403",
)
_FORMATS = {"date": "%Y-%m-%d", "year": "%Y", "month": "%m", "day": "%d"}


class BatchNotFound(Exception):
    """There is no batch where the run was told to look."""


class BatchAmbiguous(Exception):
    """SageMaker would read more objects than the one that was named."""


class BatchAlreadyScored(Exception):
    """The last scoring of this very batch was by this very version."""


@dataclass(frozen=True)
class Batch:
    """What a run scores.

    Parameters
    ----------
    uri
        An object's URI, or a folder's with a slash at its end: SageMaker reads every object whose key begins with it.
    digest
        SHA-256 of keys, sizes and ETags.
    """

    uri: str
    digest: str


def fill_date(template: str, started_at: str) -> str:
    """Fill `{date}`, `{year}`, `{month}`, `{day}` with the run's start in UTC.

    Raises
    ------
    Malformed
        Another placeholder, or a start that is no time.
    """
    if not _PLACEHOLDER.search(template):
        return template
    moment = parse_time(started_at)
    if moment is None:
        raise Malformed(
            f"started_at must be a time such as 2026-11-20T23:00:00Z to fill '{template}', got '{started_at}'"
        )

    def fill(match: re.Match[str]) -> str:
        form = _FORMATS.get(match.group(1))
        if form is None:
            known = ", ".join(f"{{{name}}}" for name in _FORMATS)
            raise Malformed(
                f"transform_input knows the placeholders {known}, got '{match.group(0)}' in '{template}'"
            )
        return moment.astimezone(UTC).strftime(form)

    return _PLACEHOLDER.sub(fill, template)


def find_batch(open_bucket: Callable[[str], ObjectStore], uri: str) -> Batch:
    """Find the object or the folder that `uri` names.

    Raises
    ------
    BatchNotFound
        Nothing is there, it holds no bytes, or it may not be listed.
    BatchAmbiguous
        It names an object, and other keys begin with that object's key.
    """
    try:
        bucket, key = split_uri(uri)
    except ValueError as error:
        raise BatchNotFound(f"transform_input is no S3 URI: {error}") from error
    key = key.rstrip("/") if key else key
    if not key:
        raise BatchNotFound(
            f"{uri} names a whole bucket: name an object or a folder, such as s3://{bucket}/folder/batch.csv"
        )
    store = open_bucket(bucket)
    try:
        near = store.listing(key)
    except AwsError as error:
        if error_code(error) not in _NO_SUCH_PLACE:
            raise
        raise BatchNotFound(
            f"{uri} can't be listed ({error_code(error)}): check the bucket's name and permissions"
        ) from error
    exact = [item for item in near if item.key == key and not uri.endswith("/")]
    inside = [item for item in near if item.key.startswith(f"{key}/")]
    if exact:
        _refuse_neighbours(store, exact[0], near)
        return _batch(uri, exact, uri)
    return _batch(f"s3://{bucket}/{key}/", inside, uri)


def _refuse_neighbours(store: ObjectStore, named: ObjectSummary, near: list[ObjectSummary]) -> None:
    others = [item.key for item in near if item.key != named.key and item.size]
    if others:
        raise BatchAmbiguous(
            f"{store.uri(named.key)} is an object, but SageMaker reads every object whose key begins like that, also "
            f"{store.uri(others[0])}: rename one of them, or give the batch a folder of its own"
        )


def _batch(uri: str, objects: list[ObjectSummary], asked: str) -> Batch:
    # consoles make empty objects that stand for folders
    rows = [item for item in objects if item.size > 0]
    if not rows:
        state = "is empty" if objects else "does not exist"
        raise BatchNotFound(
            f"{asked} {state}: deliver it there, or name another with INPUT=<address> (the parameter transform_input)"
        )
    return Batch(uri, digest(rows))


def scored_folder(model_name: str) -> str:
    """Key prefix of the records of scored batches."""
    return f"{model_name}/state/scored/"


def scored_key(model_name: str, batch_digest: str) -> str:
    """Where it is written which version scored a batch last."""
    return f"{scored_folder(model_name)}{batch_digest}.json"


def refuse_scored(store: ObjectStore, model_name: str, batch: Batch, version: int) -> None:
    """Stop a run that would score the same batch with the same version again.

    Only the last scoring counts: a new version scores again, and so does the former one after a roll-back.

    Raises
    ------
    BatchAlreadyScored
        It says by which version, when, where the predictions are, and how to score again.
    """
    try:
        last = store.read_json(scored_key(model_name, batch.digest))
    except UnreadableObject as error:
        # scoring twice costs a run; not scoring could lose predictions
        log.warning("the record of the last scoring is unreadable; the batch is scored", error=str(error))
        return
    if last is None or str(last.value.get("model_version")) != str(version):
        return
    when, where = (
        last.value.get("scored_at", "an unknown time"),
        last.value.get("predictions_uri", "an unknown place"),
    )
    raise BatchAlreadyScored(
        f"{batch.uri} was scored by version {version} at {when}; the predictions are in {where}. "
        "To score it again add RESCORE=true (the parameter Rescore)"
    )
