"""How good a version still is, by ground truth that came later, against what it was at training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from ..model import Column, ModelQuality
from ..program import UsageError
from ..scoring import Floats
from .auc import ENOUGH, Area, area, chance_of_drop, detectable, measured
from .calibration import Calibration, calibration
from .segments import Segment, read_segments, segments

# How the chance of a false alarm, 1 - confidence, is shared out among what is compared. The rest is kept back: with
# few labels the normal laws of these differences are limits only.
OF_AUC, OF_CALIBRATION, OF_SEGMENTS = 0.4, 0.1, 0.1
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)

Word = Literal["ok", "loss", "not_enough"]
Action = Literal["none", "wait", "announce", "announce_and_retrain"]


@dataclass(frozen=True, kw_only=True)
class AtTraining:
    """What the evaluation of a version says.

    Attributes
    ----------
    excess
        Share of positives less the mean score, and its standard error; nothing where scores are no probabilities, or
        the evaluation was written before it said so.
    """

    area: Area
    excess: tuple[float, float] | None
    error: float | None
    segments: tuple[Segment, ...]


def describe(columns: Sequence[Column], features: Floats, labels: Floats, scores: Floats) -> dict[str, Any]:
    """Return what evaluation.json says for later comparison: calibration and segments of the hold-out."""
    found = calibration(labels, scores)
    return {
        "calibration": None if found is None else found.as_json(),
        "segments": [segment.as_json() for segment in segments(columns, features, labels, scores)],
    }


def read_evaluation(described: Any) -> AtTraining:
    """Return what an evaluation.json says.

    Raises
    ------
    UsageError
        It isn't one.
    """
    try:
        metrics = described["binary_classification_metrics"]
        counted = metrics.get("confusion_matrix") or {}
        negatives, positives = (
            sum(int(number) for number in (counted.get(label) or {"0": ENOUGH}).values())
            for label in ("0", "1")
        )
        value, error = (float(metrics["auc"][key]) for key in ("value", "standard_deviation"))
        if not (0 <= value <= 1 and error >= 0):
            raise ValueError(f"an AUC of {value} with a standard deviation of {error}")
        held = described.get("calibration")
        large = held["in_the_large"] if held else None
        return AtTraining(
            area=area(value, error, positives, negatives),
            excess=(float(large["value"]), float(large["standard_deviation"])) if large else None,
            error=float(held["expected_error"]) if held else None,
            segments=tuple(read_segments(described.get("segments") or [])),
        )
    except _MALFORMED as error:
        raise UsageError(f"evaluation.json is not what evaluate writes: {error!r}") from None


@dataclass(frozen=True, kw_only=True)
class Drop:
    """An AUC against the one at training.

    Attributes
    ----------
    chance
        How likely so large a drop is where nothing has changed.
    lost
        Whether it is beyond the margin and no chance.
    """

    now: Area
    then: Area
    chance: float
    lost: bool

    @property
    def drop(self) -> float:
        """By how much less it is."""
        return self.then.value - self.now.value

    def as_json(self) -> dict[str, Any]:
        """Return what model-quality.json holds."""
        return {
            "value": round(self.now.value, 6),
            "standard_deviation": round(self.now.error, 6),
            "at_training": round(self.then.value, 6),
            "standard_deviation_at_training": round(self.then.error, 6),
            "drop": round(self.drop, 6),
            "p_value": self.chance,
            "lost": self.lost,
        }


@dataclass(frozen=True, kw_only=True)
class InSegment:
    """How the model does in a segment; nothing where too few rows are labelled, there or at training."""

    segment: Segment
    rows: int
    drop: Drop | None


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What ground truth says about a version.

    Attributes
    ----------
    auc
        Nothing where a class has too few labels.
    detectable
        The smallest drop of AUC that so many labels show in 8 of 10 cases.
    moved
        Whether calibration-in-the-large is off by more than the margin and more than chance, against training.
    segments
        Those that lost first, then by their drop.
    """

    positives: int
    negatives: int
    auc: Drop | None
    detectable: float | None
    calibration: Calibration | None
    moved: bool
    segments: tuple[InSegment, ...]

    @property
    def lost_segments(self) -> list[InSegment]:
        """Segments in which the model has lost."""
        return [found for found in self.segments if found.drop is not None and found.drop.lost]

    @property
    def verdict(self) -> Word:
        """What is to be said."""
        if self.auc is None:
            return "not_enough"
        return "loss" if self.auc.lost or self.moved or self.lost_segments else "ok"

    @property
    def action(self) -> Action:
        """What a pipeline does: a loss of AUC retrains; of calibration or in a segment it is told to people."""
        if self.auc is None:
            return "wait"
        if self.auc.lost:
            return "announce_and_retrain"
        return "announce" if self.verdict == "loss" else "none"


def assess(
    labels: Floats,
    scores: Floats,
    features: dict[str, Floats] | None,
    then: AtTraining,
    limits: ModelQuality,
) -> Quality:
    """Return what labelled rows say about a version.

    Parameters
    ----------
    labels, scores
        One a row; a label is 1 for the positive class.
    features
        Feature name to its values, as the model sees them; nothing where they aren't at hand.
    then
        What the version was at training.
    limits
        Margins and confidence of the model.
    """
    positives = int(labels.sum())
    negatives = len(labels) - positives
    level = 1 - limits.confidence
    now = measured(labels, scores)
    found = calibration(labels, scores)
    return Quality(
        positives=positives,
        negatives=negatives,
        auc=None if now is None else _drop(now, then.area, limits.auc_margin, level * OF_AUC),
        detectable=None
        if now is None
        else detectable(then.area, positives, negatives, margin=limits.auc_margin, level=level * OF_AUC),
        calibration=found,
        moved=now is not None and _moved(found, then, limits, level * OF_CALIBRATION),
        segments=()
        if now is None
        else _in_segments(labels, scores, features or {}, then, limits, level * OF_SEGMENTS),
    )


def _drop(now: Area, then: Area, margin: float, level: float) -> Drop:
    chance = chance_of_drop(now, then)
    return Drop(now=now, then=then, chance=chance, lost=then.value - now.value > margin and chance <= level)


def _moved(found: Calibration | None, then: AtTraining, limits: ModelQuality, level: float) -> bool:
    if found is None or then.excess is None:
        return False
    moved = abs(found.excess - then.excess[0])
    noise = float(np.hypot(found.excess_error, then.excess[1]))
    return moved > limits.calibration_margin and moved > noise * NormalDist().inv_cdf(1 - level / 2)


def _in_segments(
    labels: Floats,
    scores: Floats,
    features: dict[str, Floats],
    then: AtTraining,
    limits: ModelQuality,
    level: float,
) -> tuple[InSegment, ...]:
    rows = []
    for segment in then.segments:
        if segment.feature in features:
            inside = segment.holds(features[segment.feature])
            rows.append((segment, int(inside.sum()), measured(labels[inside], scores[inside])))
    compared = sum(now is not None and segment.area is not None for segment, _, now in rows)
    found = [
        InSegment(
            segment=segment,
            rows=number,
            drop=None
            if now is None or segment.area is None
            else _drop(now, segment.area, limits.auc_margin, level / compared),
        )
        for segment, number, now in rows
    ]
    found.sort(key=lambda one: (one.drop is None, one.drop is not None and not one.drop.lost, -_size(one)))
    return tuple(found)


def _size(found: InSegment) -> float:
    return 0.0 if found.drop is None else found.drop.drop
