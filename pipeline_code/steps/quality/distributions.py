"""Two distributions of a feature side by side, read from statistics.json: what the report's page draws.

Only the standard library: a page can be made wherever the files are, without the monitor's own requirements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .page_text import finite, number

# Where a person can still tell bars apart on a phone.
MOST_VALUES = 12
LEAST_BINS, MOST_BINS = 8, 24
# What lies farther from the middle half than this many times its width is drawn in the outermost bin.
FENCE = 4.0
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


class Piece(NamedTuple):  # there may be thousands, which a data class takes three times as long to make
    """Items of a number's distribution: on a point, or spread over a bucket."""

    low: float
    high: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Shares of single values.

    Attributes
    ----------
    labels
        The values; the last may stand for all others.
    before, after
        Share of each in training and in the batch.
    numeric
        Whether the labels are numbers, in their order.
    """

    labels: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    numeric: bool


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Shares of a continuous number in bins of equal width.

    Attributes
    ----------
    edges
        One more than there are bins.
    cut_low, cut_high
        Whether the outermost bins hold what lies beyond their edges too.
    """

    edges: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    cut_low: bool
    cut_high: bool


def compare(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Bars | Histogram | None:
    """Return what to draw of a feature, or nothing where a side's distribution isn't known or can't be drawn.

    Parameters
    ----------
    before, after
        The feature in statistics.json of the baseline and of the batch.
    """
    if before is None or after is None:
        return None
    then, now = pieces(before), pieces(after)
    if then and now:
        exact = all(piece.low == piece.high for piece in (*then, *now))
        if exact and len({piece.low for piece in (*then, *now)}) <= MOST_VALUES:
            return _values(then, now)
        return _histogram(then, now)
    known, seen = categories(before), categories(after)
    return _categories(known, seen) if known and seen else None


def pieces(feature: dict[str, Any]) -> list[Piece]:
    """Return a number's distribution in ascending order: of its sketch, else of its buckets; empty where neither is."""
    statistics = feature.get("numerical_statistics")
    held = _at(statistics, "distribution", "kll")
    points: dict[float, float] = {}
    levels = _at(held, "sketch", "data")
    for level, items in enumerate(levels[:64] if isinstance(levels, list) else ()):
        weight = float(2**level)
        for item in items if isinstance(items, list) else ():
            value = item if type(item) is float and -math.inf < item < math.inf else finite(item)
            if value is not None:
                points[value] = points.get(value, 0.0) + weight
    if points:
        return [Piece(value, value, points[value]) for value in sorted(points)]
    found: dict[tuple[float, float], float] = {}
    buckets = _at(held, "buckets")
    for bucket in buckets if isinstance(buckets, list) else ():
        low, high, count = (finite(_at(bucket, key)) for key in ("lower_bound", "upper_bound", "count"))
        if low is not None and high is not None and count and count > 0 and low <= high:
            found[low, high] = found.get((low, high), 0.0) + count
    return [Piece(low, high, count) for (low, high), count in sorted(found.items())]


def categories(feature: dict[str, Any]) -> dict[str, float]:
    """Return a feature's values as texts, with their counts; empty where they aren't known."""
    buckets = _at(feature.get("string_statistics"), "distribution", "categorical", "buckets")
    if isinstance(buckets, list):
        found = {str(_at(bucket, "value")): finite(_at(bucket, "count")) for bucket in buckets}
        return {value: count for value, count in found.items() if count}
    return {number(piece.low): piece.weight for piece in pieces(feature) if piece.low == piece.high}


def missing_share(feature: dict[str, Any] | None) -> tuple[float, int] | None:
    """Return the share and the number of missing cells, or nothing where they aren't known."""
    for kind in ("numerical_statistics", "string_statistics"):
        common = _at(feature, kind, "common")
        present, missing = finite(_at(common, "num_present")), finite(_at(common, "num_missing"))
        if present is not None and missing is not None:
            cells = present + missing
            return (missing / cells if cells else 0.0), int(missing)
    return None


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _shares(counts: Sequence[float]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(count / total for count in counts)


def _values(then: list[Piece], now: list[Piece]) -> Bars:
    values = sorted({piece.low for piece in (*then, *now)})
    sides = []
    for side in (then, now):
        counts = {piece.low: piece.weight for piece in side}
        sides.append(_shares([counts.get(value, 0.0) for value in values]))
    return Bars(labels=tuple(map(number, values)), before=sides[0], after=sides[1], numeric=True)


def _categories(then: dict[str, float], now: dict[str, float]) -> Bars:
    before, after = sum(then.values()), sum(now.values())
    rows = [(value, then.get(value, 0.0) / before, now.get(value, 0.0) / after) for value in {**then, **now}]
    rows.sort(key=lambda row: (-max(row[1:]), row[0]))
    if len(rows) > MOST_VALUES:
        rest = rows[MOST_VALUES - 1 :]
        others = f"{len(rest):,} other values", sum(row[1] for row in rest), sum(row[2] for row in rest)
        rows = [*rows[: MOST_VALUES - 1], others]
    labels, old, new = zip(*rows, strict=True)
    return Bars(labels=labels, before=old, after=new, numeric=False)


def _histogram(then: list[Piece], now: list[Piece]) -> Histogram | None:
    low, high = _fences(then, now)
    span = high - low
    if not math.isfinite(span) or not math.isfinite(2 * max(abs(low), abs(high))):
        return None
    whole = all(piece.low.is_integer() and piece.high.is_integer() for piece in (*then, *now))
    fewest = min(sum(piece.weight for piece in side) for side in (then, now))
    bins = max(LEAST_BINS, min(MOST_BINS, round(2 * fewest ** (1 / 3))))
    width = _nice(span / bins, whole=whole)
    first = math.floor(low / width)
    count = max(1, math.floor(high / width) - first + 1)
    if not width or count > 4 * MOST_BINS or first * width + width == first * width:
        return None  # more digits than a number holds
    edges = tuple((first + place) * width for place in range(count + 1))
    return Histogram(
        edges=edges,
        before=_binned(then, edges),
        after=_binned(now, edges),
        cut_low=min(then[0].low, now[0].low) < edges[0],
        cut_high=max(piece.high for piece in (*then, *now)) > edges[-1],
    )


def _fences(then: list[Piece], now: list[Piece]) -> tuple[float, float]:
    """Return the range to draw: all of it, but for what lies far from the middle half of both sides."""
    lows, highs = [], []
    for side in (then, now):
        lower, upper = _quantile(side, 0.25), _quantile(side, 0.75)
        reach = FENCE * (upper - lower)
        if not reach:  # most items share one value
            lower, upper, reach = _quantile(side, 0.02), _quantile(side, 0.98), 0.0
        lows.append(max(side[0].low, lower - reach))
        highs.append(min(max(piece.high for piece in side), upper + reach))
    low, high = min(lows), max(highs)
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def _quantile(side: list[Piece], share: float) -> float:
    wanted, seen = share * sum(piece.weight for piece in side), 0.0
    for piece in side:
        seen += piece.weight
        if seen >= wanted:
            return piece.high
    return side[-1].high


def _nice(width: float, *, whole: bool) -> float:
    """Return the next width that people count in; a whole one for whole numbers."""
    if whole and width <= 1:
        return 1.0
    size = 10.0 ** math.floor(math.log10(width)) if width > 0 else 0.0
    for step in _NICE:
        if step * size >= width and not (whole and not (step * size).is_integer()):
            return step * size
    return 10 * size


def _binned(side: list[Piece], edges: tuple[float, ...]) -> tuple[float, ...]:
    counts = [0.0] * (len(edges) - 1)
    width, lowest, highest, outermost = edges[1] - edges[0], edges[0], edges[-1], len(edges) - 2

    def place(value: float) -> int:
        if value >= highest:
            return outermost
        return min(outermost, int((value - lowest) / width + 1e-9)) if value > lowest else 0

    for piece in side:
        first = place(piece.low)
        last = first if piece.high == piece.low else place(piece.high)
        if first == last:
            counts[first] += piece.weight
            continue
        low, high = max(piece.low, edges[0]), min(piece.high, edges[-1])
        for at in range(first, last + 1):
            overlap = min(high, edges[at + 1]) - max(low, edges[at])
            counts[at] += piece.weight * max(overlap, 0.0) / (high - low)
    return _shares(counts)
