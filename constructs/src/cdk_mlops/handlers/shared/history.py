"""What was found about the last batches of a model: a record a batch, written when its run ends, read by later ones.

Docs: docs/architecture.md, "History".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from shared import log
from shared.aws import AwsError, error_text
from shared.objects import ObjectStore, UnreadableObject
from shared.text import one_line, parse_time, shorten

MOST_BATCHES = 20
# The farthest ones of a batch: what a person follows, in records that stay small.
MOST_FEATURES = 200
_MESSAGE = 1024


def folder(model_name: str) -> str:
    """Key prefix of a model's records."""
    return f"{model_name}/state/batches/"


def record_key(model_name: str, started_at: datetime, execution_id: str) -> str:
    """Where a run's record lies: keys in the order in which the runs were started."""
    return f"{folder(model_name)}{started_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{execution_id}.json"


def record_batch(
    store: ObjectStore,
    model_name: str,
    verdict: dict[str, Any],
    *,
    started_at: str,
    execution_id: str,
    model_version: str,
    batch_uri: str,
    batch_digest: str,
    now: datetime,
) -> None:
    """Write the record of a batch that was checked; a refusal is logged and raises nothing.

    What was found stands, and a run must not fail for its bookkeeping. Writing again gives the same record: a drift
    that is delivered is announced, and its predictions are recorded.
    """
    key = record_key(model_name, parse_time(started_at) or now, execution_id)
    record = {
        "verdict": str(verdict.get("verdict", "")),
        "message": shorten(one_line(verdict.get("message", "")), _MESSAGE),
        "rows": verdict.get("rows"),
        "model_version": model_version,
        "batch_uri": batch_uri,
        "batch_digest": batch_digest,
        "execution_id": execution_id,
        "checked_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "features": _distances(verdict.get("features")),
    }
    try:
        store.write_json(key, record)
    except AwsError as error:
        log.error("the batch is missing in the history", key=key, error=error_text(error))


def _distances(features: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for feature in features if isinstance(features, list) else ():
        distance = feature.get("distance") if isinstance(feature, dict) else None
        if isinstance(distance, int | float) and math.isfinite(distance) and len(found) < MOST_FEATURES:
            found[str(feature.get("name"))] = float(distance)
    return found


def last_batches(store: ObjectStore, model_name: str, most: int = MOST_BATCHES) -> list[dict[str, Any]]:
    """Read the newest records, oldest first; what can't be read is logged and left out."""
    return list(_newest_first(store, model_name, most))[::-1]


def drifted_in_a_row(store: ObjectStore, model_name: str, most: int = MOST_BATCHES) -> int:
    """How many of the newest batches drifted one after the other; a broken one says nothing and is passed over.

    A batch that was run again is one batch.
    """
    drifted: set[str] = set()
    for record in _newest_first(store, model_name, most):
        if record.get("verdict") == "ok":
            break
        if record.get("verdict") == "drift":
            drifted.add(batch_of(record))
    return len(drifted)


def batch_of(record: dict[str, Any]) -> str:
    """What tells a record's batch from others: its digest; records from before there was one stand for themselves."""
    return str(record.get("batch_digest") or record.get("execution_id"))


def _newest_first(store: ObjectStore, model_name: str, most: int) -> Iterator[dict[str, Any]]:
    try:
        keys = [item.key for item in store.listing(folder(model_name)) if item.key.endswith(".json")]
    except AwsError as error:
        log.error("the history could not be listed", model=model_name, error=error_text(error))
        return
    for key in keys[: -most - 1 : -1]:
        try:
            document = store.read_json(key)
        except (*AwsError, UnreadableObject) as error:
            log.error("a record of the history could not be read", key=key, error=error_text(error))
            continue
        if document is not None:
            yield document.value
