"""Distributions as the levels of a KLL sketch, in which an item of level i stands for 2^i items.

Columns with few distinct values are written exactly: a count's binary digits say on which levels the value
stands. Others are thinned to evenly spaced ranks. See https://arxiv.org/abs/1603.05346 for the sketch itself.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .profile import Points

K = 2048
C = 0.64
BUCKETS = 10
LEVELS = 64


def levels(points: Points) -> list[list[float]]:
    """Return the levels that hold a distribution; exact where `K` distinct values suffice.

    Where they don't, a rank read back from the levels is off by at most 1/`K` of the items.
    """
    result: list[list[float]] = [[]]

    def put(level: int, value: float) -> None:
        while len(result) <= level:
            result.append([])
        result[level].append(value)

    if len(points.values) <= K:
        for value, count in zip(points.values, points.counts.astype(np.int64), strict=True):
            for level in range(int(count).bit_length()):
                if int(count) >> level & 1:
                    put(level, float(value))
        return result
    up_to = np.cumsum(points.counts).astype(np.int64)
    total = int(up_to[-1])
    step = 1
    while total // step > K:
        step *= 2
    starts = [*range(0, total - step + 1, step)]
    chunks = [(start, step) for start in starts]
    at = len(starts) * step
    for level in reversed(range(step.bit_length())):
        if (total - at) >> level & 1:
            chunks.append((at, 1 << level))
            at += 1 << level
    for start, size in chunks:
        value = points.values[np.searchsorted(up_to, start + size // 2, side="right")]
        put(size.bit_length() - 1, float(value))
    return result


def kll(points: Points) -> dict[str, Any]:
    """Return a numeric distribution as Model Monitor writes it; nothing present gives no buckets."""
    return {
        "buckets": _buckets(points),
        "sketch": {"parameters": {"c": C, "k": float(K)}, "data": levels(points)},
    }


def _buckets(points: Points) -> list[dict[str, float]]:
    """Return ten buckets of equal width; each lower bound is inside, the last upper bound too."""
    if not len(points.values):
        return []
    # by halves: the whole width of a column may be more than a number can hold
    edges = 2 * np.linspace(points.values[0] / 2, points.values[-1] / 2, BUCKETS + 1)
    edges[0], edges[-1] = points.values[0], points.values[-1]
    below = [float(points.counts[points.values < edge].sum()) for edge in edges]
    below[-1] = points.total
    return [
        {"lower_bound": float(low), "upper_bound": float(high), "count": more - less}
        for (low, high), (less, more) in zip(pairwise(edges), pairwise(below), strict=True)
    ]


def points_of(distribution: dict[str, Any]) -> Points | None:
    """Return the distribution that a KLL description holds: its sketch, else its buckets, else nothing.

    Raises
    ------
    KeyError, TypeError, ValueError
        It isn't such a description.
    """
    sketch = distribution.get("sketch", {}).get("data") or []
    if len(sketch) > LEVELS:
        raise ValueError(f"a sketch has at most {LEVELS} levels, got {len(sketch)}")
    items = [(float(value), float(2**level)) for level, held in enumerate(sketch) for value in held]
    if items:
        numbers, weights = np.array(items).T
        _refuse_unless(bool(np.isfinite(numbers).all()), "an item of a sketch must be a number")
        values, where = np.unique(numbers, return_inverse=True)
        return Points(values, np.bincount(where, weights=weights).astype(np.float64))
    buckets = distribution.get("buckets") or []
    if buckets:
        edges = np.array([float(bucket["upper_bound"]) for bucket in buckets])
        counts = np.array([float(bucket["count"]) for bucket in buckets])
        _refuse_unless(
            bool(np.isfinite(edges).all() and (np.diff(edges) >= 0).all()),
            "buckets must have ascending bounds",
        )
        _refuse_unless(bool(np.isfinite(counts).all() and (counts >= 0).all()), "a count must be at least 0")
        return Points(edges, counts, edges=True)
    return None


def _refuse_unless(fine: bool, rule: str) -> None:
    if not fine:
        raise ValueError(rule)
