"""What ground truth said about a version: a record a judgement, and a note of each try that has no record yet.

The keys say what was judged, so that one listing tells what waits. Docs: docs/architecture.md, "Ground truth".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.objects import ObjectSummary

_TRIES, _RECORD = ".tries.json", ".json"


@dataclass(frozen=True)
class Judged:
    """What was judged, or is tried: these labels of this batch, scored by this version.

    Parameters
    ----------
    batch_digest, ground_truth_digest
        SHA-256 of keys, sizes and ETags of the objects of either.
    version
        Number of the version that scored the batch.
    """

    batch_digest: str
    ground_truth_digest: str
    version: str


def folder(model_name: str) -> str:
    """Key prefix of a model's records."""
    return f"{model_name}/state/quality/"


def record_key(model_name: str, judged: Judged) -> str:
    """Where it is written what was found."""
    return f"{_stem(model_name, judged)}{_RECORD}"


def tries_key(model_name: str, judged: Judged) -> str:
    """Where it is written how often a run has begun to judge it."""
    return f"{_stem(model_name, judged)}{_TRIES}"


def _stem(model_name: str, judged: Judged) -> str:
    return f"{folder(model_name)}{judged.batch_digest}/{judged.ground_truth_digest}-{judged.version}"


def read_keys(
    model_name: str, objects: list[ObjectSummary]
) -> tuple[dict[Judged, datetime | None], set[Judged]]:
    """Read a listing of the records.

    Returns
    -------
    tuple
        What was judged, with the time of its record; and what was tried.
    """
    records: dict[Judged, datetime | None] = {}
    tried: set[Judged] = set()
    for item in objects:
        batch_digest, _, name = item.key.removeprefix(folder(model_name)).partition("/")
        end = _TRIES if name.endswith(_TRIES) else _RECORD
        ground_truth_digest, dash, version = name.removesuffix(end).partition("-")
        if not dash or not name.endswith(end):
            continue  # nothing of ours
        judged = Judged(batch_digest, ground_truth_digest, version)
        if end == _TRIES:
            tried.add(judged)
        else:
            records[judged] = item.modified
    return records, tried
