"""Distributions as the levels of a KLL sketch, in which an item of level i stands for 2^i items.

A distribution is written exactly where that takes few items: a count's binary digits say on which levels the value
stands. Others are thinned to evenly spaced ranks. How far a rank may be off is written along, as `rank_error`, which
Model Monitor doesn't know. See https://arxiv.org/abs/1603.05346 for the sketch itself.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .profile import Floats, Points

K = 2048
C = 0.64
BUCKETS = 10
LEVELS = 64
ITEMS = 8_192  # of a distribution that is written: 160 kB at most


def levels(points: Points) -> tuple[list[list[float]], float]:
    """Return the levels that hold a distribution, and by what share of the items a rank in them may be off.

    That is the distribution's own error where `ITEMS` suffice, so that the same comes back; else up to 1/`ITEMS` more.
    """
    # counts that are no whole numbers are rounded so that their sums are
    counts = np.diff(np.rint(np.cumsum(points.counts)), prepend=0.0).astype(np.int64)
    values = points.values
    error = points.error
    bits = int(counts.max(initial=0)).bit_length()
    if sum(int((counts >> level & 1).sum()) for level in range(bits)) > ITEMS:
        values, counts, step = _thinned(values, counts)
        error = error + step / 2 / points.total
        bits = int(counts.max()).bit_length()
    return [values[(counts >> level & 1) == 1].tolist() for level in range(max(bits, 1))], error


def _thinned(values: Floats, counts: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64], int]:
    """Return the values in the middle of chunks of equally many items, a power of two, and what is left over."""
    up_to = np.cumsum(counts)
    total = int(up_to[-1])
    step = 1
    while total // step > ITEMS:
        step *= 2
    sizes = [step] * (total // step)
    sizes += [1 << level for level in reversed(range(step.bit_length())) if total % step >> level & 1]
    chunks = np.array(sizes, dtype=np.int64)
    middles = np.cumsum(chunks) - chunks + chunks // 2
    return values[np.searchsorted(up_to, middles, side="right")], chunks, step


def kll(points: Points) -> dict[str, Any]:
    """Return a numeric distribution as Model Monitor writes it; nothing present gives no buckets."""
    data, error = levels(points)
    return {
        "buckets": _buckets(points),
        "sketch": {"parameters": {"c": C, "k": float(K)}, "data": data},
        "rank_error": error,
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

    Deequ's own spelling is read too: the sketch's data as a text, buckets with ``low_value`` and ``high_value``.

    Raises
    ------
    KeyError, TypeError, ValueError
        It isn't such a description.
    """
    sketch = (distribution.get("sketch") or {}).get("data") or []
    if isinstance(sketch, str):
        sketch = json.loads(sketch)
    if len(sketch) > LEVELS:
        raise ValueError(f"a sketch has at most {LEVELS} levels, got {len(sketch)}")
    numbers = np.array([float(value) for held in sketch for value in held])
    if len(numbers):
        _refuse_unless(bool(np.isfinite(numbers).all()), "an item of a sketch must be a number")
        weights = np.repeat(2.0 ** np.arange(len(sketch)), [len(held) for held in sketch])
        values, where = np.unique(numbers, return_inverse=True)
        counts = np.bincount(where, weights=weights).astype(np.float64)
        return Points(values, counts, error=_error(distribution, len(sketch)))
    buckets = distribution.get("buckets") or []
    if buckets:
        edges = np.array([float(_either(bucket, "upper_bound", "high_value")) for bucket in buckets])
        counts = np.array([float(bucket["count"]) for bucket in buckets])
        _refuse_unless(
            bool(np.isfinite(edges).all() and (np.diff(edges) >= 0).all()),
            "buckets must have ascending bounds",
        )
        _refuse_unless(bool(np.isfinite(counts).all() and (counts >= 0).all()), "a count must be at least 0")
        return Points(edges, counts, edges=True)
    return None


def _either(described: dict[str, Any], key: str, other: str) -> Any:
    return described[key] if key in described else described[other]


def _error(distribution: dict[str, Any], height: int) -> float:
    """Return by what share of the items a rank of a sketch may be off: as it says, else as a KLL sketch of its k.

    The constants are those that Apache DataSketches measured for a rank, which holds with a confidence of 99 %.
    """
    if "rank_error" in distribution:
        error = float(distribution["rank_error"])
    elif height == 1:
        error = 0.0
    else:
        k = float((distribution["sketch"].get("parameters") or {}).get("k", K))
        _refuse_unless(k >= 1, f"k of a sketch must be at least 1, got {k}")
        error = min(1.0, 2.296 / k**0.9723)
    _refuse_unless(0 <= error <= 1, f"rank_error must be from 0 to 1, got {error}")
    return error


def _refuse_unless(fine: bool, rule: str) -> None:
    if not fine:
        raise ValueError(rule)
