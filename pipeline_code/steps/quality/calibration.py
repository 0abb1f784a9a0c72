"""Whether scores are what they say: of the rows scored 0.8, are eight of ten positive?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = 10
ROWS_IN_A_BIN = 20


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How the scores of rows compare with the share of them that is positive.

    Attributes
    ----------
    bins
        Reliability: rows of like scores, their mean score and their share of positives.
    error
        Expected calibration error: the mean difference of the two over the bins, weighted by rows.
    error_by_chance
        What it would be on average, of so many rows, were every score right.
    excess
        Calibration-in-the-large: the share of positives less the mean score; above 0 more are positive than the
        scores say.
    excess_error
        Its standard error.
    """

    bins: tuple[dict[str, float], ...]
    error: float
    error_by_chance: float
    excess: float
    excess_error: float

    def as_json(self) -> dict[str, Any]:
        """Return what evaluation.json and model-quality.json hold."""
        return {
            "in_the_large": {
                "value": round(self.excess, 6),
                "standard_deviation": round(self.excess_error, 6),
            },
            "expected_error": round(self.error, 6),
            "expected_error_by_chance": round(self.error_by_chance, 6),
            "bins": [{key: round(value, 6) for key, value in row.items()} for row in self.bins],
        }


def calibration(labels: Floats, scores: Floats) -> Calibration | None:
    """Return the calibration of scores; nothing where they are no probabilities.

    Parameters
    ----------
    labels
        1 for positive rows, 0 for the others.
    scores
        One a row.
    """
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        return None
    wanted = max(1, min(BINS, len(scores) // ROWS_IN_A_BIN))
    # rows with the same score stay together
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, wanted + 1)[1:-1]))
    where = np.searchsorted(edges, scores, side="right")
    rows = np.bincount(where, minlength=len(edges) + 1)
    held = rows > 0
    rows = rows[held]
    shares, means, chances = (
        np.bincount(where, weights=of, minlength=len(held))[held] / rows
        for of in (labels, scores, scores * (1 - scores))
    )
    residuals = labels - scores
    # what the scores promise, or what is seen: whichever varies more
    spread = max(float((scores * (1 - scores)).mean()), float(residuals.var()))
    weights = rows / len(scores)
    return Calibration(
        bins=tuple(
            {"rows": float(number), "score": score, "positive": share}
            for number, score, share in zip(rows.tolist(), means.tolist(), shares.tolist(), strict=True)
        ),
        error=float((weights * np.abs(shares - means)).sum()),
        error_by_chance=float((weights * np.sqrt(2 / math.pi * chances / rows)).sum()),
        excess=float(residuals.mean()),
        excess_error=math.sqrt(spread / len(scores)),
    )
