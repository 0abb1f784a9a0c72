"""AUC now against AUC at training: what is a loss, and what so few labels may show by chance.

Differences are judged on the logit scale: an AUC near 1 that a sample shows by luck comes with too small a standard
error, and on the plain scale the next sample would seem to lose against it (decision 13 has the numbers).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from ..scoring import Floats, auc_with_error

ENOUGH = 10  # labels of each class below which a standard error means nothing
_NOTICED = NormalDist().inv_cdf(0.8)


@dataclass(frozen=True, kw_only=True)
class Area:
    """An AUC and what is known of its error."""

    value: float
    error: float

    @property
    def logit(self) -> float:
        """The AUC on a scale without ends."""
        return math.log(self.value / (1 - self.value))

    @property
    def logit_error(self) -> float:
        """The standard error there."""
        return self.error / (self.value * (1 - self.value))


def area(value: float, error: float, positives: float, negatives: float) -> Area:
    """Return an AUC from so many rows of each class; where all, or none, are in order, the nearest that isn't."""
    pairs = max(positives * negatives, 1.0)
    nearest = 1 / (2 * max(min(positives, negatives), 1.0))
    within = min(
        max(value, nearest if value <= 0 else 0.5 / pairs), 1 - (nearest if value >= 1 else 0.5 / pairs)
    )
    return Area(value=within, error=max(error, math.sqrt(within * (1 - within) / pairs)))


def measured(labels: Floats, scores: Floats) -> Area | None:
    """Return the AUC of rows; nothing where a class has fewer than `ENOUGH`."""
    positives = float(labels.sum())
    negatives = len(labels) - positives
    if min(positives, negatives) < ENOUGH:
        return None
    return area(*auc_with_error(labels, scores), positives, negatives)


def chance_of_drop(now: Area, then: Area) -> float:
    """Return how likely so much less is now where nothing has changed."""
    fallen = (then.logit - now.logit) / math.hypot(then.logit_error, now.logit_error)
    return NormalDist().cdf(-fallen)


def detectable(then: Area, positives: int, negatives: int, *, margin: float, level: float) -> float:
    """Return the smallest drop that so many labels show in 8 of 10 cases.

    Parameters
    ----------
    margin
        A drop counts beyond it only.
    level
        Largest chance that a drop may have.
    """
    needed = NormalDist().inv_cdf(1 - level) + _NOTICED
    low, high = 0.0, then.value - 0.01
    for _ in range(40):
        drop = (low + high) / 2
        value = then.value - drop
        now = Area(value=value, error=planned_error(value, positives, negatives))
        noticed = then.logit - now.logit >= needed * math.hypot(then.logit_error, now.logit_error)
        beyond = drop - margin >= _NOTICED * math.hypot(then.error, now.error)
        low, high = (low, drop) if noticed and beyond else (drop, high)
    return high


def planned_error(value: float, positives: int, negatives: int) -> float:
    """Return the standard error that an AUC from so many rows has about (Hanley and McNeil, 1982)."""
    first, second = value / (2 - value), 2 * value**2 / (1 + value)
    spread = value * (1 - value)
    spread += (positives - 1) * (first - value**2) + (negatives - 1) * (second - value**2)
    return math.sqrt(max(spread, 0.0) / (positives * negatives))
