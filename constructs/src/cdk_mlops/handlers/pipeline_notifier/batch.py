"""Which batch a run was about: from its finding, from what ResolveModel answered, or from why that stopped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# How the resolver names the batch: as what its sentence is about, or at the sentence's end.
_SUBJECT = re.compile(
    r"^(s3://.+?) (?:does not exist|is empty|can't be listed|names a whole bucket|is an object|was scored by)"
)
_END = re.compile(r"\bBatch: (s3://.+)$")


@dataclass(frozen=True)
class Batch:
    """A batch, and the version that scores it.

    Parameters
    ----------
    uri, version
        Empty where they aren't known.
    """

    uri: str = ""
    version: str = ""


def find_batch(finding: dict[str, Any] | None, steps: Iterable[dict[str, Any]], message: str) -> Batch:
    """Find the batch of a run.

    Parameters
    ----------
    finding
        Detail of the `Batch Finding` event.
    steps
        Items of ListPipelineExecutionSteps.
    message
        Why the run ended.
    """
    if finding and finding.get("batchUri"):
        return Batch(str(finding["batchUri"]), str(finding.get("modelVersion") or ""))
    for step in steps:
        answered = _outputs(step)
        if answered.get("batch_uri"):
            return Batch(answered["batch_uri"], answered.get("model_version", ""))
    match = _SUBJECT.search(message) or _END.search(message)
    # a message that was cut may have cut the address
    return Batch(match.group(1)) if match and not match.group(1).endswith("...") else Batch()


def answer(steps: Iterable[dict[str, Any]], name: str) -> str:
    """Return what a function answered under a name; empty where none did, or there was nothing to answer."""
    found = (_outputs(step).get(name, "") for step in steps)
    return next((value for value in found if value and value != "none"), "")


def _outputs(step: dict[str, Any]) -> dict[str, str]:
    function = (step.get("Metadata") or {}).get("Lambda") or {}
    return {str(one.get("Name")): str(one.get("Value", "")) for one in function.get("OutputParameters") or []}
