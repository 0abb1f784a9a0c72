"""The drift check: how far each feature's distribution is from the baseline's, and whether chance explains it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from . import power
from .chance import chi_squared, kolmogorov_smirnov, largest_difference
from .constraints import Config
from .distance import categorical_distance, robust, simple_distance
from .profile import ColumnProfile, Points

# Largest share of a text that a summary of very many may leave out (`texts.KEPT`).
UNTOLD = 1 / 16_384


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How far a feature's distribution is from the baseline's.

    Attributes
    ----------
    distance
        By the feature's method; sorts features.
    simple
        The plain largest difference.
    threshold
        What the distance, or with ChiSquared the p-value, is held against.
    method
        ``Robust`` or ``Simple``, of texts ``Robust LInfinity``, ``Simple LInfinity`` or ``ChiSquared``.
    p_value
        How likely so large a difference is where nothing has changed; of this feature alone.
    drifted
        Whether the feature has.
    low_power
        Whether these samples are too small to show a shift of a stated size (`power`); False where drifted.
    before, after
        Means of a numeric feature.
    """

    name: str
    distance: float
    simple: float
    threshold: float
    method: str
    p_value: float
    drifted: bool
    low_power: bool
    before: float | None = None
    after: float | None = None


def compare(
    pairs: Sequence[tuple[ColumnProfile, ColumnProfile, Config]], *, confidence: float, others: int = 0
) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    """Return the comparisons, most drifted first, and the names of features that can't be compared.

    Parameters
    ----------
    pairs
        Each feature now and in the baseline, and its configuration.
    confidence
        How sure to be, over all features together, that a Robust distance is no chance: the more features are
        looked at, the less likely by chance each must be.
    others
        What else is compared with the same confidence.
    """
    measured = [(column, before, config, _sides(column, before)) for column, before, config in pairs]
    compared = sum(found is not None for *_, found in measured)
    each = (1 - confidence) / max(compared + others, 1)
    comparisons = [
        _judge(column, before, config, found, each)
        for column, before, config, found in measured
        if found is not None
    ]
    comparisons.sort(key=lambda found: (not found.drifted, -found.distance, -found.simple, found.name))
    return tuple(comparisons), tuple(column.name for column, *_, found in measured if found is None)


@dataclass(frozen=True, kw_only=True)
class _Numbers:
    """Two distributions of a number, the batch's first."""

    now: Points
    then: Points

    @property
    def sizes(self) -> tuple[float, float]:
        return self.now.total, self.then.total

    @property
    def error(self) -> float:
        return self.now.error + self.then.error

    @property
    def blind(self) -> bool:
        """Whether a bucket, inside of which nothing is known, holds most items: a shift may stay within it."""
        sides = [side for side in (self.now, self.then) if side.edges and side.total]
        return any(float(side.counts.max()) > side.total / 2 for side in sides)

    @property
    def simple(self) -> float:
        return simple_distance(self.now, self.then)

    def chance(self, simple: float) -> float:
        return kolmogorov_smirnov(self.now, self.then, max(0.0, simple - self.error))


@dataclass(frozen=True, kw_only=True)
class _Texts:
    """Two distributions over texts, the batch's first, and how many items' texts are too many to be told."""

    now: Counter[str]
    then: Counter[str]
    others: tuple[float, float]
    blind = False

    @property
    def sizes(self) -> tuple[float, float]:
        return self.now.total() + self.others[0], self.then.total() + self.others[1]

    @property
    def error(self) -> float:
        """By how much a share may be off: a text that isn't told is rarer than all that are, or than `UNTOLD`."""
        return sum(
            max(UNTOLD, min(counts.values(), default=0) / size)
            for counts, size, others in zip((self.now, self.then), self.sizes, self.others, strict=True)
            if others
        )

    @property
    def simple(self) -> float:
        return categorical_distance(self.now, self.then, self.others)

    def chance(self, simple: float) -> float:
        return largest_difference(self.now, self.then, max(0.0, simple - self.error), self.others)


def _sides(column: ColumnProfile, before: ColumnProfile) -> _Numbers | _Texts | None:
    """Return what is to be compared, or nothing where a side's distribution isn't known."""
    if column.points is not None and before.points is not None:
        return _Numbers(now=column.points, then=before.points)
    now, then = column.as_categories(), before.as_categories()
    if now is None or then is None:
        return None
    return _Texts(now=now, then=then, others=(float(column.others), float(before.others)))


def _judge(
    column: ColumnProfile, before: ColumnProfile, config: Config, found: _Numbers | _Texts, each: float
) -> Comparison:
    numeric = isinstance(found, _Numbers)
    sizes, simple = found.sizes, found.simple
    distance = robust(simple, *sizes, error=found.error) if config.robust else simple
    threshold = config.threshold if numeric else config.categorical_threshold
    method = ("Robust" if config.robust else "Simple") + ("" if numeric else " LInfinity")
    if isinstance(found, _Texts) and config.chi_squared:
        method = "ChiSquared"
        p_value, freedom = chi_squared(found.now, found.then, found.others)
        drifted = p_value < threshold
        able = power.of_chi_squared(*sizes, threshold, freedom)
    else:
        p_value = found.chance(simple)
        drifted = distance > threshold and (not config.robust or p_value <= each)
        able = power.of_distance(*sizes, threshold, each if config.robust else None, found.error)
    known = numeric and bool(sizes[0])
    return Comparison(
        name=column.name,
        distance=distance,
        simple=simple,
        threshold=threshold,
        method=method,
        p_value=p_value,
        drifted=drifted,
        low_power=not drifted and (able < power.ENOUGH or found.blind),
        before=before.mean if known else None,
        after=column.mean if known else None,
    )
