"""What chance does: how likely a difference is where batch and baseline are draws from one population.

Exact laws where the samples are small, limits for large ones; decision 12 has the measured numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .profile import Floats, Points

# Distinct values, and multiplications, up to which the permutation law is computed: 10 ms at most.
EXACT_VALUES, EXACT_WORK = 1_000, 5_000_000
# Differences that are equal but for rounding.
EQUAL = 1e-9
# Below it, 1 less what stays inside has lost its digits; the limit law goes on.
SMALLEST_EXACT = 1e-10


def kolmogorov_smirnov(first: Points, second: Points, distance: float) -> float:
    """Return the p-value of a largest difference of two cumulative distributions.

    Conditional on the values of both samples together, ties included: the permutation law. Where that is too
    much work, or a side isn't known exactly, the limit law of untied samples, which never is too small.
    """
    limit = kolmogorov(distance, first.total, second.total)
    known_in_part = first.edges or second.edges or first.error or second.error
    if known_in_part or max(len(first.values), len(second.values)) > EXACT_VALUES:
        return limit
    together = _together(first, second)
    if not _is_small(together, first.total, second.total):
        return limit
    return _permuted(together, first.total, second.total, distance, limit, cumulative=True)


def largest_difference(
    first: Counter[str],
    second: Counter[str],
    distance: float,
    others: tuple[float, float] = (0.0, 0.0),
) -> float:
    """Return the p-value of a largest difference of a value's share (LInfinity): exact, or a bound.

    Parameters
    ----------
    others
        Items of each side whose values aren't told.
    """
    n, m = first.total() + others[0], second.total() + others[1]
    together = np.array([first[value] + second[value] for value in first.keys() | second.keys()], dtype=float)
    limit = _union_bound(together, n, m, distance)
    if any(others) or not _is_small(together, n, m):
        return limit
    return _permuted(together, n, m, distance, limit, cumulative=False)


def kolmogorov(distance: float, n: float, m: float) -> float:
    """Return the limit law's p-value of a largest difference between samples of `n` and `m` items."""
    if not n or not m:
        return 1.0
    z = distance * math.sqrt(n * m / (n + m))
    if z < 0.2:
        return 1.0
    total = sum(math.exp(-2 * k * k * z * z) * (1 if k % 2 else -1) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * total))


def critical_factor(chance: float) -> float:
    """Return the multiple of the noise that a largest difference exceeds with this chance (Robust's 1.8 is 0.3 %)."""
    return math.sqrt(-math.log(chance / 2) / 2)


def chi_squared(
    first: Counter[str], second: Counter[str], others: tuple[float, float] = (0.0, 0.0)
) -> tuple[float, int]:
    """Return the p-value that both have the same shares, by Pearson's test of homogeneity, and its degrees of freedom.

    Values that both together hold too rarely for the test's limit law (fewer than 5 expected in a sample) are
    counted as one, and so are values that one side doesn't tell; with a single value left nothing can differ.
    """
    from scipy.special import chdtrc  # not at the start of every step: 0.1 s, for a method few choose

    n, m = first.total() + others[0], second.total() + others[1]
    if not n or not m:
        return 1.0, 0
    told = first.keys() & second.keys() if any(others) else first.keys() | second.keys()
    rows = [(float(first[value]), float(second[value])) for value in told]
    untold = n - sum(now for now, _ in rows), m - sum(then for _, then in rows)
    table = _grouped([*rows, untold] if sum(untold) else rows, 5.0 * (n + m) / min(n, m))
    if len(table) < 2:
        return 1.0, 0
    expected = table.sum(axis=1, keepdims=True) * np.array([[n, m]]) / (n + m)
    statistic = float(((table - expected) ** 2 / expected).sum())
    freedom = len(table) - 1
    return float(chdtrc(freedom, statistic)), freedom


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
        yes, no = math.log(expected), math.log1p(-expected)
        return _tail(missing, cells, lambda k: k * yes + (cells - k) * no)
    a, b = expected * seen + 0.5, (1 - expected) * seen + 0.5
    whole = _log_beta(a, b)
    return _tail(missing, cells, lambda k: _log_beta(k + a, cells - k + b) - whole)


def _tail(start: int, cells: int, log_law: Callable[[float], float]) -> float:
    """Return the sum of a law's terms from `start` on; `log_law` is the logarithm of one but for the binomial.

    The first 400 are added one by one, later ones in blocks as wide as a two-hundredth of the way, by their middle:
    there may be millions, and neighbours hardly differ then.
    """
    total, k = 0.0, start
    while k <= cells:
        width = min(max(1, (k - start) // 200), cells - k + 1)
        middle = k + (width - 1) / 2
        log_choose = math.lgamma(cells + 1) - math.lgamma(middle + 1) - math.lgamma(cells - middle + 1)
        term = width * math.exp(log_choose + log_law(middle))
        total += term
        if term <= total * 1e-9:
            break
        k += width
    return min(1.0, total)


def _grouped(rows: list[tuple[float, float]], enough: float) -> Floats:
    """Return the rows of both samples' counts, those with fewer than `enough` items as one, which has enough."""
    rows = sorted(rows, key=sum)
    now = then = 0.0
    merged = 0
    while merged < len(rows) and (0 < now + then < enough or sum(rows[merged]) < enough):
        now, then, merged = now + rows[merged][0], then + rows[merged][1], merged + 1
    return np.array([*([(now, then)] if merged else []), *rows[merged:]], dtype=np.float64)


def _together(first: Points, second: Points) -> Floats:
    """Return how many items each distinct value has in both samples together, values ascending."""
    _, where = np.unique(np.concatenate((first.values, second.values)), return_inverse=True)
    counts = np.bincount(where, weights=np.concatenate((first.counts, second.counts)))
    return counts.astype(np.float64)


def _is_small(together: Floats, n: float, m: float) -> bool:
    size = min(n, m) + 1
    work = max(n, m) + size * float(np.minimum(together + 1, size).sum())
    return len(together) <= EXACT_VALUES and work <= EXACT_WORK


def _permuted(
    together: Floats, n: float, m: float, distance: float, limit: float, *, cumulative: bool
) -> float:
    """Return how many of all ways to deal the items of both samples show at least this distance.

    Parameters
    ----------
    together
        Items a value, of both samples.
    limit
        The limit law's p-value, which stands where the exact one is lost among rounding errors.
    cumulative
        Whether the difference is that of cumulative shares, or of each value's own.

    Notes
    -----
    Dealt at random, the smaller sample gets of each value a binomial number, given that all add up to its size:
    the values are gone through in order, keeping the chance of each sum that never left the band.
    """
    size, other = int(min(n, m)), int(max(n, m))
    if not size or distance <= 0:
        return 1.0
    share = size / (size + other)
    log_factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, size + other + 1)))))
    items = together.astype(np.int64)
    inside = np.zeros(size + 1)
    inside[0] = 1.0
    low, high = _band(np.cumsum(items) if cumulative else items, size, other, distance)
    known: dict[int, Floats] = {}
    for number, least, most in zip(items.tolist(), low, high, strict=True):
        if number not in known:
            known[number] = _binomial(number, min(number, size), share, log_factorials)
            if not cumulative:
                _keep(known[number], least, most)
        inside = np.convolve(inside, known[number])[: size + 1]
        if cumulative:
            _keep(inside, least, most)
    chance = 1 - float(inside[size]) / float(_binomial(size + other, size, share, log_factorials)[size])
    return min(limit, SMALLEST_EXACT) if chance < SMALLEST_EXACT else min(1.0, chance)


def _band(items: NDArray[np.int64], size: int, other: int, distance: float) -> tuple[list[int], list[int]]:
    """Return, of so many items, the least and most that the smaller sample has where shares differ by less."""
    middle, scale = items / other, 1 / size + 1 / other
    low = np.floor((middle - distance + EQUAL) / scale) + 1
    high = np.ceil((middle + distance - EQUAL) / scale) - 1
    return np.maximum(low, 0).astype(int).tolist(), np.maximum(high, -1).astype(int).tolist()


def _keep(law: Floats, least: int, most: int) -> None:
    law[:least] = 0.0
    law[most + 1 :] = 0.0


def _binomial(items: int, most: int, share: float, log_factorials: Floats) -> Floats:
    """Return the chances of 0 to `most` of so many items."""
    taken = np.arange(most + 1)
    left = items - taken
    ways = log_factorials[items] - log_factorials[taken] - log_factorials[left]
    law: Floats = np.exp(ways + taken * math.log(share) + left * math.log1p(-share))
    return law


def _union_bound(together: Floats, n: float, m: float, distance: float) -> float:
    """Return at most what the chance is that some value's shares differ so, each by its normal limit."""
    if not n or not m or distance <= 0:
        return 1.0
    shares = together / (n + m)
    spread = np.sqrt(shares * (1 - shares) * (n + m) / (n * m))
    return min(1.0, sum(math.erfc(distance / s / math.sqrt(2)) for s in spread.tolist() if s))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
