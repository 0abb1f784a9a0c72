"""Verdicts on a batch: verdict.json, and the same made from Model Monitor's violations file."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from shared.text import one_line, short_number, shorten

# SageMaker: at most 1,024 characters an output of a Lambda step.
MESSAGE_LIMIT = 1024
# EventBridge takes 256 KB an event: the rest of a long list stays in the report.
LISTED = 20
DRIFT_CHECK = "baseline_drift_check"
NO_ROWS = {
    "feature_name": "Missing rows",
    "constraint_check_type": "completeness_check",
    "description": "the batch holds no rows",
}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


class BadVerdict(Exception):
    """A verdict or a violations file is not what the contract says."""


@dataclass(frozen=True)
class Verdict:
    """What the check said about a batch.

    Parameters
    ----------
    features
        `{"name", "distance", "threshold", "drifted"}` each, sorted by distance, largest first.
    violations
        `{"feature_name", "constraint_check_type", "description"}` each.
    """

    action: str
    message: str
    features: list[dict[str, Any]]
    violations: list[dict[str, Any]]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Verdict:
        """Read verdict.json.

        Raises
        ------
        BadVerdict
            A part has another shape.
        """
        features, violations = document.get("features", []), document.get("violations", [])
        for name, value in (("features", features), ("violations", violations)):
            if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
                raise BadVerdict(f"verdict.json: '{name}' must be a list of objects")
        return cls(str(document.get("action", "")), str(document.get("message", "")), features, violations)

    @property
    def drifted(self) -> list[dict[str, Any]]:
        """Only the features that drifted."""
        return [feature for feature in self.features if feature.get("drifted")]

    def describe(self, finding: str) -> str:
        """Say in one line which features drifted how far, or which checks failed."""
        if finding == "drift":
            parts = [
                one_line(
                    f"{item.get('name')} {short_number(item.get('distance'))}"
                    f" (limit {short_number(item.get('threshold'))})"
                )
                for item in self.drifted
            ]
            return (
                _listed("drifted from the training baseline: ", parts)
                if parts
                else _or(self.message, "drift")
            )
        parts = [
            one_line(
                f"{item.get('feature_name')}: {item.get('constraint_check_type')}, {item.get('description', '')}"
            )
            for item in self.violations
        ]
        return (
            _listed("failed checks: ", parts, "; ") if parts else _or(self.message, "data-quality violation")
        )


def _or(message: str, default: str) -> str:
    return shorten(one_line(message) or default, MESSAGE_LIMIT)


def _listed(lead: str, parts: list[str], between: str = ", ") -> str:
    # room for the count of what is left out
    text, room = lead, MESSAGE_LIMIT - 40
    for done, part in enumerate(parts):
        piece = shorten(part, 300) + (between if done + 1 < len(parts) else "")
        if len(text) + len(piece) > room:
            return f"{text}and {len(parts) - done} more"
        text += piece
    return text


def from_violations(
    report: dict[str, Any], statistics: dict[str, Any], predictions_on_drift: str
) -> dict[str, Any]:
    """Turn Model Monitor's `constraint_violations.json` into a verdict document.

    A violation outranks a drift: a broken batch says nothing about the world. So does a batch without rows, in which
    Model Monitor finds nothing.

    Raises
    ------
    BadVerdict
        The report has another shape.
    """
    violations = report.get("violations", [])
    if not isinstance(violations, list) or not all(isinstance(item, dict) for item in violations):
        raise BadVerdict("constraint_violations.json: 'violations' must be a list of objects")
    drifts = [item for item in violations if item.get("constraint_check_type") == DRIFT_CHECK]
    others = [item for item in violations if item.get("constraint_check_type") != DRIFT_CHECK]
    rows = _count(statistics)
    if rows == 0 and not others:
        others = [NO_ROWS]
    features = sorted((_drifted(item) for item in drifts), key=_distance, reverse=True)
    if others:
        verdict, action = "violation", "withhold_violation"
    elif drifts:
        verdict = "drift"
        action = "announce_and_deliver" if predictions_on_drift == "deliver" else "withhold_drift"
    else:
        verdict, action = "ok", "deliver"
    document = {
        "verdict": verdict,
        "action": action,
        "rows": rows,
        "features": features,
        "violations": others,
        "message": "no violation",
    }
    if verdict != "ok":
        document["message"] = Verdict.parse(document).describe(verdict)
    return document


def _drifted(item: dict[str, Any]) -> dict[str, Any]:
    # "Baseline drift distance: 0.31 exceeds threshold: 0.1"
    numbers = map(float, _NUMBER.findall(str(item.get("description", ""))))
    found = [number for number in numbers if math.isfinite(number)]
    distance, threshold = found[:2] if len(found) >= 2 else (None, None)
    return {"name": item.get("feature_name"), "distance": distance, "threshold": threshold, "drifted": True}


def _count(statistics: dict[str, Any]) -> int | None:
    """How many rows the batch has, where its statistics tell."""
    dataset = statistics.get("dataset")
    count = dataset.get("item_count") if isinstance(dataset, dict) else None
    if isinstance(count, bool) or not isinstance(count, int | float) or not math.isfinite(count):
        return None
    return int(count)


def _distance(feature: dict[str, Any]) -> float:
    return float(feature["distance"]) if feature["distance"] is not None else -1.0
