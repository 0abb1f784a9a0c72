"""How good scores are: AUC, ROC and the usual numbers, from scores, ties counted as halves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROC_POINTS = 201
CUT = 0.5


def _midranks(numbers: Floats) -> Floats:
    _, where, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[where]
    return ranks


def auc_with_error(labels: Floats, scores: Floats) -> tuple[float, float]:
    """Return the area under the ROC curve and its standard error (DeLong).

    Parameters
    ----------
    labels
        1 for positive rows, 0 for the others; both must occur.
    scores
        One a row; only their order counts.
    """
    positive = labels > 0
    m, n = int(positive.sum()), int((~positive).sum())
    ranks = _midranks(scores)
    beaten = (ranks[positive] - _midranks(scores[positive])) / n
    beating = 1 - (ranks[~positive] - _midranks(scores[~positive])) / m
    variance = sum(
        float(part.var(ddof=1)) / len(part) if len(part) > 1 else 0.25 for part in (beaten, beating)
    )
    return float(beaten.mean()), math.sqrt(variance)


def roc(labels: Floats, scores: Floats) -> tuple[list[float], list[float]]:
    """Return the false and true positive rates of the ROC curve: from (0, 0) to (1, 1), at most `ROC_POINTS`."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(labels[order])[last_of_tie]
    alarms = np.cumsum(1 - labels[order])[last_of_tie]
    true_rates = np.concatenate(([0.0], hits / hits[-1]))
    false_rates = np.concatenate(([0.0], alarms / alarms[-1]))
    if len(true_rates) > ROC_POINTS:
        kept = np.unique(np.linspace(0, len(true_rates) - 1, ROC_POINTS).round().astype(int))
        true_rates, false_rates = true_rates[kept], false_rates[kept]
    return [round(float(x), 6) for x in false_rates], [round(float(x), 6) for x in true_rates]


def classification_metrics(labels: Floats, scores: Floats) -> dict[str, Any]:
    """Return binary_classification_metrics as SageMaker's model quality reports name them.

    Rates are taken at a score of `CUT`; the standard deviation of a rate is that of a binomial share.
    """
    auc, error = auc_with_error(labels, scores)
    called, positive = scores >= CUT, labels > 0
    hits, alarms = int((called & positive).sum()), int((called & ~positive).sum())
    misses, passes = int((~called & positive).sum()), int((~called & ~positive).sum())
    false_rates, true_rates = roc(labels, scores)
    precision, recall = _share(hits, hits + alarms), _share(hits, hits + misses)
    both = precision["value"] + recall["value"]
    return {
        "auc": {"value": round(auc, 6), "standard_deviation": round(error, 6)},
        "accuracy": _share(hits + passes, len(labels)),
        "precision": precision,
        "recall": recall,
        "f1": {"value": round(2 * precision["value"] * recall["value"] / both, 6) if both else 0.0},
        "true_negative_rate": _share(passes, passes + alarms),
        "confusion_matrix": {"0": {"0": passes, "1": alarms}, "1": {"0": misses, "1": hits}},
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": false_rates,
            "true_positive_rates": true_rates,
        },
    }


def _share(part: int, whole: int) -> dict[str, float]:
    share = part / whole if whole else 0.0
    deviation = math.sqrt(share * (1 - share) / whole) if whole else 0.0
    return {"value": round(share, 6), "standard_deviation": round(deviation, 6)}
