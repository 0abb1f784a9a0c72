"""How far two distributions are apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from .profile import Floats, Points


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


def categorical_distance(first: Counter[str], second: Counter[str]) -> float:
    """Return the largest difference of a value's share (LInfinity)."""
    n, m = first.total(), second.total()
    if not n or not m:
        return 0.0
    return max(abs(first[value] / n - second[value] / m) for value in first.keys() | second.keys())


def robust(distance: float, n: float, m: float) -> float:
    """Return a distance less what samples of `n` and `m` items may show by chance; 0 within that noise."""
    if not n or not m:
        return 0.0
    return max(0.0, distance - 1.8 * math.sqrt((n + m) / (n * m)))


def more_missing_than_chance(missing: int, cells: int, expected: float, seen: float) -> float:
    """Return how likely at least so many missing cells are, were the batch like the baseline.

    Parameters
    ----------
    missing, cells
        Of the batch.
    expected
        Share of missing cells in the baseline.
    seen
        Cells that `expected` was measured on; infinite where it is a rule rather than a measurement.

    Notes
    -----
    With a measured share the count follows a beta-binomial law (Jeffreys' prior), with a rule a binomial one.
    """
    if missing <= 0 or missing <= cells * expected:
        return 1.0
    if math.isinf(seen):
        if expected <= 0:
            return 0.0
        odds = expected / (1 - expected)
        first = missing * math.log(expected) + (cells - missing) * math.log1p(-expected)
        return _tail(first, missing, cells, lambda k: odds)
    a, b = expected * seen + 0.5, (1 - expected) * seen + 0.5
    first = _log_beta(missing + a, cells - missing + b) - _log_beta(a, b)
    return _tail(first, missing, cells, lambda k: (k + a) / (cells - k - 1 + b))


def _tail(log_first: float, start: int, cells: int, ratio: Callable[[int], float]) -> float:
    """Return the sum of a law's terms from `start` on; `ratio` is that of two terms but for the binomial."""
    log_choose = math.lgamma(cells + 1) - math.lgamma(start + 1) - math.lgamma(cells - start + 1)
    term = math.exp(log_choose + log_first)
    total = term
    for k in range(start, cells):
        term *= (cells - k) / (k + 1) * ratio(k)
        total += term
        if term < total * 1e-9:
            break
    return min(1.0, total)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
