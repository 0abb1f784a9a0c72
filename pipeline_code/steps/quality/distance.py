"""How far two distributions are apart."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from .profile import Floats, Points

# Model Monitor's factor: untied samples of one population exceed it with a chance of 0.3 %.
ROBUST = 1.8


def simple_distance(first: Points, second: Points) -> float:
    """Return max |CDF1 - CDF2| over all values of both: the two-sample Kolmogorov-Smirnov statistic.

    Each CDF steps once at a value, however many items are tied there. Where a side is known by buckets only,
    the distance is taken at their edges.
    """
    if not first.total or not second.total:
        return 0.0
    if first.edges or second.edges:
        grid = (first if first.edges else second).values.copy()
        grid[-1] = np.nextafter(grid[-1], np.inf)  # the last bucket includes its upper edge
        difference = _share_below(first, grid) - _share_below(second, grid)
    else:
        grid = np.union1d(first.values, second.values)
        difference = _share_up_to(first, grid) - _share_up_to(second, grid)
    return float(np.abs(difference).max(initial=0.0))


def _share_up_to(points: Points, grid: Floats) -> Floats:
    return _cumulated(points)[np.searchsorted(points.values, grid, side="right")]


def _share_below(points: Points, grid: Floats) -> Floats:
    # an edge's count lies below it, a value's count at it
    return _cumulated(points)[np.searchsorted(points.values, grid, side="right" if points.edges else "left")]


def _cumulated(points: Points) -> Floats:
    return np.concatenate(([0.0], np.cumsum(points.counts))) / points.total


def categorical_distance(
    first: Counter[str], second: Counter[str], others: tuple[float, float] = (0.0, 0.0)
) -> float:
    """Return the largest difference of a value's share (LInfinity).

    Parameters
    ----------
    others
        Items of each side whose values aren't told: they have a part in the whole, but are compared with nothing.
    """
    n, m = first.total() + others[0], second.total() + others[1]
    if not n or not m:
        return 0.0
    both = first.keys() | second.keys()
    return max((abs(first[value] / n - second[value] / m) for value in both), default=0.0)


def robust(distance: float, n: float, m: float, *, error: float = 0.0) -> float:
    """Return a distance less what samples of `n` and `m` items may show by chance; 0 within that noise.

    Parameters
    ----------
    error
        By which the distance may be off, where a distribution isn't known exactly.
    """
    if not n or not m:
        return 0.0
    return max(0.0, distance - error - ROBUST * math.sqrt((n + m) / (n * m)))
