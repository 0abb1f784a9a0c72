from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline_code.steps.quality.distance import categorical_distance, robust, simple_distance
from pipeline_code.steps.quality.profile import Points
from pipeline_code.steps.quality.sketch import ITEMS, kll, points_of


def _points(values: Sequence[float]) -> Points:
    distinct, counts = np.unique(np.array(values, dtype=np.float64), return_counts=True)
    return Points(distinct, counts.astype(np.float64))


samples = st.lists(
    st.one_of(st.integers(0, 6), st.floats(-1e6, 1e6, allow_nan=False)), min_size=1, max_size=60
)


@settings(deadline=None)
@given(first=samples, second=samples)
def test_the_simple_distance_is_the_two_sample_kolmogorov_smirnov_statistic(
    first: list[float], second: list[float]
) -> None:
    expected = stats.ks_2samp(first, second, method="asymp").statistic

    assert simple_distance(_points(first), _points(second)) == pytest.approx(expected, abs=1e-9)


def test_tied_values_keep_their_distance() -> None:
    # 60 % of 4 and 40 % of 5 against all 5: the distance is 0.6, whatever the order within ties
    mixed, fives = _points([4] * 60 + [5] * 40), _points([5] * 100)

    assert simple_distance(mixed, fives) == pytest.approx(0.6)
    assert robust(0.6, 100, 100) == pytest.approx(0.6 - 1.8 * math.sqrt(200 / 10_000))


def test_the_robust_distance_is_never_below_zero() -> None:
    assert robust(0.1, 48, 800) == 0.0


def test_an_empty_sample_has_no_distance() -> None:
    assert simple_distance(_points([]), _points([1])) == 0.0
    assert robust(0.5, 0, 5) == 0.0


@settings(deadline=None)
@given(values=samples)
def test_a_distribution_comes_back_from_its_levels(values: list[float]) -> None:
    points = _points(values)

    back = points_of(kll(points))

    assert back is not None
    assert back.values.tolist() == points.values.tolist()
    assert back.counts.tolist() == points.counts.tolist()


@pytest.mark.parametrize("size", [ITEMS + 1, 3 * ITEMS - 1, 100_000])
def test_many_distinct_values_are_thinned_within_the_error_that_is_told(size: int) -> None:
    points = _points(np.random.default_rng(1).normal(size=size).tolist())

    back = points_of(kll(points))

    assert back is not None
    assert back.total == size
    assert len(back.values) <= ITEMS + 64
    assert 0 < simple_distance(points, back) <= back.error + 1e-12
    assert back.error <= 1 / ITEMS


@settings(deadline=None)
@given(
    weighted=st.dictionaries(st.floats(-1e9, 1e9), st.integers(1, 2**45), min_size=1, max_size=80),
    error=st.floats(0, 0.01),
)
def test_a_summary_of_weighted_items_comes_back_with_its_error(
    weighted: dict[float, int], error: float
) -> None:
    values = np.array(sorted({value + 0.0 for value in weighted}))
    points = Points(values, np.array([float(weighted[value]) for value in values.tolist()]), error=error)

    back = points_of(json.loads(json.dumps(kll(points))))

    assert back is not None
    assert (back.values.tolist(), back.counts.tolist()) == (values.tolist(), points.counts.tolist())
    assert back.error == error


def test_a_foreign_sketch_of_several_levels_is_known_to_be_inexact() -> None:
    theirs = {"sketch": {"parameters": {"c": 0.64, "k": 2048.0}, "data": [[1.0, 2.0], [3.0]]}}
    single = {"sketch": {"parameters": {"c": 0.64, "k": 2048.0}, "data": [[1.0, 2.0]]}}

    assert points_of(theirs).error == pytest.approx(0.0014, abs=1e-4)  # type: ignore[union-attr]
    assert points_of(single).error == 0.0  # type: ignore[union-attr]


def test_the_buckets_count_every_value_once() -> None:
    buckets = kll(_points([1, 1, 2, 5, 11]))["buckets"]

    assert len(buckets) == 10
    assert [bucket["count"] for bucket in buckets] == [2, 1, 0, 0, 1, 0, 0, 0, 0, 1]
    assert (buckets[0]["lower_bound"], buckets[-1]["upper_bound"]) == (1.0, 11.0)


def test_a_baseline_known_by_buckets_alone_is_compared_at_their_edges() -> None:
    values = list(range(100))
    known = points_of({"buckets": kll(_points(values))["buckets"]})

    assert known is not None
    assert known.edges
    assert simple_distance(_points(values), known) == pytest.approx(0.0)
    assert simple_distance(_points([v / 2 for v in values]), known) == pytest.approx(0.5, abs=0.06)


def test_the_categorical_distance_is_the_largest_difference_of_shares() -> None:
    first, second = Counter(a=50, b=50), Counter(a=80, c=20)

    assert categorical_distance(first, second) == pytest.approx(0.5)
