"""What instances that share a batch have scored, put together as if one had done it.

Each scores its own rows, at most as many as one instance would of a whole batch. Where nobody left out rows, scores
and contributions are those of one instance (decision 17).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..program import UsageError
from .predictions import SCORED, Attributed, Floats, Scored
from .profile import Points


def pooled(parts: Sequence[Scored], rows: int) -> Scored:
    """Return what was scored of a batch.

    Parameters
    ----------
    parts
        Of each instance that has rows, always in the same order.
    rows
        Of the batch.

    Raises
    ------
    UsageError
        Rows belong to no part: an instance had no model.
    """
    of_parts = sum(part.rows for part in parts)
    if of_parts != rows:
        raise UsageError(
            f"the states hold scores of {of_parts} of {rows} rows: give each instance the input 'model', or none"
        )
    return Scored(rows=rows, points=_points(parts, rows), attributed=_attributed(parts))


def _points(parts: Sequence[Scored], rows: int) -> Points:
    """Return the distribution of the scores that one instance would have scored, about `SCORED` of all rows.

    An instance with fewer rows than the batch has scored a larger share of them. So each keeps as many of its scores
    at random as make the share that of the batch: each score then stands for as many rows as any other.
    """
    held = list(_thinned(parts, min(1.0, SCORED / max(rows, 1))))
    values, places = np.unique(np.concatenate([values for values, _ in held]), return_inverse=True)
    weights = np.concatenate([counts for _, counts in held])
    counts = np.bincount(places, weights=weights, minlength=len(values)).astype(np.float64)
    return Points(values[counts > 0], counts[counts > 0])


def _thinned(parts: Sequence[Scored], share: float) -> Iterator[tuple[Floats, Floats]]:
    rng = np.random.default_rng(0)
    for part in parts:
        kept = share / min(1.0, SCORED / max(part.rows, 1))
        counts = part.points.counts
        if kept < 1:
            counts = rng.binomial(counts.astype(np.int64), kept).astype(np.float64)
        yield part.points.values, counts


def _attributed(parts: Sequence[Scored]) -> Attributed:
    """Return the attributions of all parts, each with the weight of the rows that it stands for.

    Where weights differ, the mean is as uncertain as that of fewer rows (Kish): so many are told.
    """
    explained = [part for part in parts if part.attributed.rows]
    if not explained:
        return parts[0].attributed
    shares = np.array([part.rows for part in explained], np.float64)
    numbers = np.array([part.attributed.rows for part in explained], np.float64)
    means = np.array([part.attributed.means for part in explained])
    mean = shares @ means / shares.sum()
    squares = np.zeros((len(mean), len(mean)))
    for part, share, number in zip(explained, shares, numbers, strict=True):
        apart = part.attributed.means - mean
        within = part.attributed.spread
        squares += share * np.outer(apart, apart)
        if within is not None:
            squares += within * ((number - 1) * share / number)
    worth = float(shares.sum() ** 2 / (shares**2 / numbers).sum())
    spread = squares / shares.sum() * (worth / (worth - 1)) if worth > 1 else None
    return Attributed(rows=round(worth), means=mean, spread=spread)
