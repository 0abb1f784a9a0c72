"""What ground truth said about a version: model-quality.json, and what becomes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from run_recorder.verdicts import LISTED, MESSAGE_LIMIT, BadVerdict
from shared.text import one_line, shorten

FINDING = "model_quality"
RETRAINS = "announce_and_retrain"
ACTIONS = ("none", "wait", "announce", RETRAINS)
_OF_AUC = ("value", "at_training", "drop", "margin")


@dataclass(frozen=True)
class Quality:
    """What the check said.

    Parameters
    ----------
    labels
        How many predictions have a label.
    auc
        `{"value", "at_training", "drop", "margin", "lost"}`, or None where too few are labelled.
    calibration
        `{"value", "at_training", "lost"}`: the share of positives less the mean score; None where it isn't known.
    segments
        Those in which the model has lost: `{"feature", "segment", "rows", "value", "at_training"}`.
    """

    verdict: str
    action: str
    message: str
    labels: int
    auc: dict[str, Any] | None
    calibration: dict[str, Any] | None
    segments: list[dict[str, Any]]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Quality:
        """Read model-quality.json.

        Raises
        ------
        BadVerdict
            A part has another shape.
        """
        action = document.get("action")
        if action not in ACTIONS:
            raise BadVerdict(
                f"model-quality.json: 'action' must be one of {', '.join(ACTIONS)}, got {action!r:.80}"
            )
        rows, auc = document.get("rows"), document.get("auc")
        labels = rows.get("joined") if isinstance(rows, dict) else None
        if isinstance(labels, bool) or not isinstance(labels, int):
            raise BadVerdict(f"model-quality.json: 'rows.joined' must be a whole number, got {labels!r:.80}")
        if auc is not None and not (
            isinstance(auc, dict) and all(_is_number(auc.get(one)) for one in _OF_AUC)
        ):
            raise BadVerdict(f"model-quality.json: 'auc' must have the numbers {', '.join(_OF_AUC)}")
        if auc is None and action == RETRAINS:
            raise BadVerdict(f"model-quality.json: 'auc' must be there where 'action' is {RETRAINS}")
        segments = document.get("segments")
        return cls(
            verdict=str(document.get("verdict", "")),
            action=str(action),
            message=shorten(one_line(document.get("message", "")), MESSAGE_LIMIT),
            labels=labels,
            auc=None
            if auc is None
            else {**{one: auc[one] for one in _OF_AUC}, "lost": bool(auc.get("lost"))},
            calibration=_calibration(document.get("calibration")),
            segments=[_segment(one) for one in segments if _lost(one)] if isinstance(segments, list) else [],
        )

    @property
    def announced(self) -> bool:
        """Whether people are told."""
        return self.action in ("announce", RETRAINS)

    @property
    def metrics(self) -> dict[str, float]:
        """It all in numbers; of too few labels only how many there are."""
        if self.auc is None:
            return {"RowsLabelled": self.labels}
        return {
            "RowsLabelled": self.labels,
            "AucByGroundTruth": self.auc["value"],
            "AucAtTraining": self.auc["at_training"],
            "ModelQualityLost": int(self.announced),
        }

    @property
    def detail(self) -> dict[str, Any]:
        """What the event says of it."""
        return {
            "finding": FINDING,
            "retrain": self.action == RETRAINS,
            "message": self.message,
            "labels": self.labels,
            "auc": self.auc,
            "calibration": self.calibration,
            "segments": self.segments[:LISTED],
        }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _lost(segment: Any) -> bool:
    auc = segment.get("auc") if isinstance(segment, dict) else None
    return isinstance(auc, dict) and bool(auc.get("lost"))


def _segment(segment: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: shorten(one_line(segment.get(name, "")), 200) for name in ("feature", "segment")},
        "rows": segment.get("rows"),
        **{name: segment["auc"].get(name) for name in ("value", "at_training")},
    }


def _calibration(document: Any) -> dict[str, Any] | None:
    if not isinstance(document, dict):
        return None
    large = document.get("in_the_large")
    return {
        "value": large.get("value") if isinstance(large, dict) else None,
        "at_training": document.get("at_training"),
        "lost": bool(document.get("lost")),
    }
