"""What chance does, against scipy where it knows the law and against every way to deal the items where it doesn't."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from pipeline_code.steps.quality import power
from pipeline_code.steps.quality.chance import (
    chi_squared,
    critical_factor,
    kolmogorov,
    kolmogorov_smirnov,
    largest_difference,
    more_missing_than_chance,
)
from pipeline_code.steps.quality.distance import ROBUST, categorical_distance, robust, simple_distance
from pipeline_code.steps.quality.profile import Points


def _points(values: Sequence[float], error: float = 0.0) -> Points:
    distinct, counts = np.unique(np.array(values, dtype=np.float64), return_counts=True)
    return Points(distinct, counts.astype(np.float64), error=error)


def _texts(values: Sequence[int]) -> Counter[str]:
    return Counter(map(str, values))


def _counted(row: NDArray[np.int64]) -> Counter[str]:
    return Counter({str(n): int(x) for n, x in enumerate(row)})


def _dealt(first: list[int], second: list[int]) -> list[tuple[list[int], list[int]]]:
    """Return every way to deal the items of both samples."""
    items = first + second
    return [
        ([items[n] for n in taken], [items[n] for n in range(len(items)) if n not in taken])
        for taken in combinations(range(len(items)), len(first))
    ]


small = st.lists(st.integers(0, 3), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(first=small, second=small)
def test_p_values_of_tied_numbers_and_texts_are_the_shares_of_all_ways_to_deal_them(
    first: list[int], second: list[int]
) -> None:
    simple = simple_distance(_points(first), _points(second))
    largest = categorical_distance(_texts(first), _texts(second))
    ways = _dealt(first, second)
    as_far = sum(simple_distance(_points(a), _points(b)) >= simple - 1e-9 for a, b in ways)
    as_different = sum(categorical_distance(_texts(a), _texts(b)) >= largest - 1e-9 for a, b in ways)

    numbers = kolmogorov_smirnov(_points(first), _points(second), simple)
    texts = largest_difference(_texts(first), _texts(second), largest)

    assert numbers == pytest.approx(as_far / len(ways), abs=1e-9)
    assert texts == pytest.approx(as_different / len(ways), abs=1e-9)


@pytest.mark.parametrize(("n", "m", "moved"), [(5, 7, 0.5), (48, 913, 0.3), (192, 769, 0.1), (300, 40, 0.0)])
def test_p_values_of_untied_numbers_are_those_of_scipys_exact_test(n: int, m: int, moved: float) -> None:
    rng = np.random.default_rng(n)
    first, second = rng.normal(size=n), rng.normal(moved, size=m)

    p_value = kolmogorov_smirnov(
        _points(first.tolist()),
        _points(second.tolist()),
        simple_distance(_points(first.tolist()), _points(second.tolist())),
    )

    assert p_value == pytest.approx(stats.ks_2samp(first, second, method="exact").pvalue, rel=1e-7)


@settings(deadline=None)
@given(z=st.floats(0.2, 6))
def test_the_limit_law_is_kolmogorovs(z: float) -> None:
    assert kolmogorov(z * math.sqrt(2 / 50), 50, 50) == pytest.approx(
        stats.kstwobign.sf(z), rel=1e-6, abs=1e-15
    )


def test_a_large_sample_or_one_that_is_known_in_part_gets_the_limit_law() -> None:
    few, many = _points(range(50)), _points(range(3_000))
    summary = _points(range(60), error=0.001)

    assert kolmogorov_smirnov(few, many, 0.2) == kolmogorov(0.2, 50, 3_000)
    assert kolmogorov_smirnov(few, summary, 0.2) == kolmogorov(0.2, 50, 60)
    assert kolmogorov_smirnov(few, _points(range(60)), 0.2) < kolmogorov(0.2, 50, 60)


def test_a_difference_that_chance_never_shows_has_a_p_value_next_to_zero() -> None:
    assert kolmogorov_smirnov(_points([0] * 400), _points([1] * 400), 1.0) < 1e-100
    assert largest_difference(Counter(a=400), Counter(b=400), 1.0) < 1e-10


def test_robusts_factor_is_exceeded_by_chance_three_times_in_a_thousand() -> None:
    assert critical_factor(0.00307) == pytest.approx(ROBUST, abs=1e-3)
    assert kolmogorov(ROBUST * math.sqrt(2 / 1e6), 1e6, 1e6) == pytest.approx(0.00307, abs=1e-5)


@settings(deadline=None)
@given(
    first=st.lists(st.integers(20, 200), min_size=2, max_size=8),
    second=st.lists(st.integers(20, 200), min_size=8, max_size=8),
)
def test_chi_squared_is_scipys_test_of_homogeneity(first: list[int], second: list[int]) -> None:
    table = np.array([first, second[: len(first)]])

    p_value, freedom = chi_squared(_counted(table[0]), _counted(table[1]))

    expected = stats.chi2_contingency(table, correction=False)
    assert p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert freedom == expected.dof


def test_values_too_rare_for_chi_squared_count_as_one() -> None:
    common = {"a": 100, "b": 100}
    rare = {f"r{n}": 1 for n in range(30)}

    p_value, freedom = chi_squared(Counter(common | rare), Counter(common))

    assert freedom == 2
    assert p_value < 1e-4
    assert chi_squared(Counter(a=3), Counter(a=500, b=2)) == (1.0, 0)
    assert chi_squared(Counter(), Counter(a=5)) == (1.0, 0)


@pytest.mark.parametrize(("rows", "level"), [(48, 0.05), (48, 0.01), (192, 0.01)])
def test_chi_squared_keeps_its_level_in_small_batches(rows: int, level: float) -> None:
    rng = np.random.default_rng(3)
    shares = np.array([0.5, 0.3, 0.12, 0.05, 0.02, 0.01])
    batches = rng.multinomial(rows, shares, size=2_000)
    baselines = rng.multinomial(913, shares, size=2_000)

    p_values = [
        chi_squared(_counted(batch), _counted(baseline))[0]
        for batch, baseline in zip(batches, baselines, strict=True)
    ]

    assert float(np.mean(np.array(p_values) < level)) <= 1.5 * level


@settings(deadline=None)
@given(cells=st.integers(1, 200), share=st.floats(0.001, 0.5), data=st.data())
def test_the_chance_of_missing_cells_is_that_of_scipy(cells: int, share: float, data: st.DataObject) -> None:
    missing = data.draw(st.integers(0, cells))
    if missing <= cells * share:
        return

    rule = more_missing_than_chance(missing, cells, share, math.inf)
    measured = more_missing_than_chance(missing, cells, share, 500)

    assert rule == pytest.approx(stats.binom.sf(missing - 1, cells, share), rel=1e-6, abs=1e-12)
    a, b = share * 500 + 0.5, (1 - share) * 500 + 0.5
    assert measured == pytest.approx(stats.betabinom.sf(missing - 1, cells, a, b), rel=1e-4, abs=1e-10)


@pytest.mark.parametrize("seen", [math.inf, 1_000, 10_000_000])
@pytest.mark.parametrize("more", [0.0, 1.5, 4.0, 8.0, 500.0])
def test_the_chance_of_missing_cells_is_that_of_scipy_in_a_hundred_million_rows(
    seen: float, more: float
) -> None:
    cells, share = 100_000_000, 0.01
    a, b = share * seen + 0.5, (1 - share) * seen + 0.5
    spread = cells * math.sqrt(share * (1 - share) * (1 / cells + 1 / seen))
    missing = min(cells, int(cells * share + more * spread) + 1)

    chance = more_missing_than_chance(missing, cells, share, seen)

    if math.isinf(seen):
        assert chance == pytest.approx(stats.binom.sf(missing - 1, cells, share), rel=1e-3, abs=1e-15)
    else:
        # in so many cells the share of missing ones is the beta law's but for a normal error
        law = stats.beta(a, b)
        expected = law.sf(missing / cells)
        if seen < cells / 1_000:
            assert chance == pytest.approx(expected, rel=1e-2, abs=1e-12)
        else:
            assert chance >= expected


def test_a_rule_of_completeness_allows_nothing_to_be_missing() -> None:
    assert more_missing_than_chance(1, 48, 0.0, math.inf) == 0.0
    assert more_missing_than_chance(1, 48, 0.0, 800) > 0.01


@pytest.mark.parametrize("rows", [60, 100, 150, 250])
def test_the_stated_power_is_not_more_than_the_power_measured(rows: int) -> None:
    rng = np.random.default_rng(rows)
    noticed = []
    for _ in range(300):
        batch, training = rng.normal(0.5, size=rows).tolist(), rng.normal(size=800).tolist()
        simple = simple_distance(_points(batch), _points(training))
        noticed.append(robust(simple, rows, 800) > 0)

    assert power.of_distance(rows, 800, 0.0, 0.002) <= float(np.mean(noticed)) + 0.02


def test_the_power_grows_with_the_rows_and_falls_with_the_threshold() -> None:
    stated = [power.of_distance(rows, 900, 0.0, 0.002) for rows in (10, 48, 192, 800)]

    assert stated == sorted(stated)
    assert stated[1] < power.ENOUGH < stated[2]
    assert power.of_distance(192, 900, 0.1, 0.002) < power.ENOUGH
    assert power.of_distance(100_000, 900_000, 0.25, 0.002) < 1e-6
    assert power.of_distance(0, 900, 0.0, 0.002) == 0.0
    assert power.of_distance(48, 900, 0.1, None) > power.ENOUGH


def test_chi_squareds_power_grows_with_the_rows() -> None:
    stated = [power.of_chi_squared(rows, 900, 0.01, 3) for rows in (10, 48, 100, 192)]

    assert stated == sorted(stated)
    assert stated[0] < power.ENOUGH < stated[-1]
    assert power.of_chi_squared(100, 900, 0.01, 0) == 0.0
