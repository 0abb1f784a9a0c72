"""model-quality.json: what ground truth says about a version, in numbers and in a sentence."""

from __future__ import annotations

from typing import Any

from ..model import ModelQuality
from ..program import one_line
from .auc import ENOUGH
from .ground_truth import Joined, Tally
from .model_quality import AtTraining, InSegment, Quality

MESSAGE_LENGTH = 900  # a Lambda output of a pipeline holds 1,024 characters
_NAMED = 3


def as_json(
    found: Quality, then: AtTraining, joined: Joined, limits: ModelQuality, absent: Tally | None
) -> dict[str, Any]:
    """Return model-quality.json.

    Parameters
    ----------
    absent
        Labelled rows that the batch lacks; nothing without a batch.
    """
    kinds = _kinds(joined, absent)
    return {
        "verdict": found.verdict,
        "action": found.action,
        "message": message(found, then, joined, absent),
        "rows": {
            "predictions": joined.predictions.lines,
            "ground_truth": joined.truths.lines,
            "joined": len(joined.ids),
            "positives": found.positives,
            "negatives": found.negatives,
        },
        "needed": {"positives": ENOUGH, "negatives": ENOUGH},
        "ids": {kind: {"count": tally.count, "first": tally.first} for kind, _, tally in kinds},
        "auc": None
        if found.auc is None
        else found.auc.as_json()
        | {"margin": limits.auc_margin, "detectable": round(found.detectable or 0.0, 6)},
        "calibration": _calibration(found, then, limits),
        "segments": [_segment(one) for one in found.segments],
        "confidence": limits.confidence,
    }


def _kinds(joined: Joined, absent: Tally | None) -> list[tuple[str, str, Tally]]:
    """Return each kind of id that isn't simply on both sides: its key, what is said of it, and how many there are."""
    kinds = [
        ("missing", "predictions have no ground truth", joined.missing),
        ("unknown", "ids of ground truth have no prediction", joined.unknown),
        ("unlabelled", "have no label yet", joined.truths.unlabelled),
        ("duplicate_predictions", "predictions are repeated and count once", joined.predictions.repeated),
        (
            "conflicting_predictions",
            "ids have different predictions and don't count",
            joined.predictions.conflicting,
        ),
        ("duplicate_labels", "labels are repeated and count once", joined.truths.repeated),
        ("conflicting_labels", "ids have different labels and don't count", joined.truths.conflicting),
    ]
    if absent is not None:
        kinds.append(("without_features", "labelled rows are not in the batch", absent))
    return kinds


def _calibration(found: Quality, then: AtTraining, limits: ModelQuality) -> dict[str, Any] | None:
    if found.calibration is None:
        return None
    excess = then.excess or (None, None)
    return found.calibration.as_json() | {
        "at_training": excess[0],
        "standard_deviation_at_training": excess[1],
        "expected_error_at_training": then.error,
        "margin": limits.calibration_margin,
        "lost": found.moved,
    }


def _segment(one: InSegment) -> dict[str, Any]:
    return {
        "feature": one.segment.feature,
        "segment": one.segment.label,
        "rows": one.rows,
        "rows_at_training": one.segment.rows,
        "auc": None if one.drop is None else one.drop.as_json(),
    }


def message(found: Quality, then: AtTraining, joined: Joined, absent: Tally | None) -> str:
    """Return what was found in a sentence or two, with the ids that didn't join."""
    said = [_finding(found, then, len(joined.ids))]
    said += [
        f"{tally.count} {what}: {_named(tally)}." for _, what, tally in _kinds(joined, absent) if tally.count
    ]
    text = one_line(" ".join(said))
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 3] + "..."


def _named(tally: Tally) -> str:
    names = [f"'{name[:40]}'" for name in tally.first[:_NAMED]]
    return ", ".join(names) + (", ..." if tally.count > len(names) else "")


def _finding(found: Quality, then: AtTraining, rows: int) -> str:
    if found.auc is None:
        return (
            f"{rows} labelled rows, {found.positives} positive and {found.negatives} negative, are too few to judge:"
            f" {ENOUGH} of each class are needed."
        )
    auc = found.auc
    against = f"AUC {auc.now.value:.3f} of {rows} labelled rows against {then.area.value:.3f} at training"
    if found.verdict == "ok":
        shows = f"so many labels show a drop of {found.detectable or 0:.2f} or more in 8 of 10 cases"
        within = "" if auc.drop <= 0 else f", a drop of {auc.drop:.3f} within margin or noise"
        return f"{against}{within}; {shows}."
    told = [_lost(auc.drop, auc.chance, against)] if auc.lost else []
    if found.moved and found.calibration is not None and then.excess is not None:
        told.append(
            f"the share of positives is {found.calibration.excess:+.3f} beside the scores, {then.excess[0]:+.3f} at"
            " training"
        )
    lost = found.lost_segments
    told += [
        f"where {one.segment.feature} is {one.segment.label} the AUC is {one.drop.now.value:.3f}, and was"
        f" {one.drop.then.value:.3f} at training ({one.rows} rows)"
        for one in lost[:_NAMED]
        if one.drop is not None
    ]
    if len(lost) > _NAMED:
        told.append(f"and in {len(lost) - _NAMED} more segments")
    return "; ".join(told if auc.lost else [against, *told]) + "."


def _lost(drop: float, chance: float, against: str) -> str:
    return f"{against}: a drop of {drop:.3f}, which chance alone brings with a probability of {chance:.2g}"
