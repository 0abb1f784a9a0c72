"""Model Monitor's and Deequ's files: read as they write them, ours read back as they were, words taken exactly."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_code.steps.model import Column, Monitor
from pipeline_code.steps.quality.checks import check
from pipeline_code.steps.quality.constraints import OVERRIDES, Config, read_constraints, suggest
from pipeline_code.steps.quality.profile import (
    INFERRED,
    ColumnProfile,
    Points,
    Profile,
    with_numbers,
)
from pipeline_code.steps.quality.sketch import points_of
from pipeline_code.steps.quality.statistics import describe, read_statistics
from tests.steps.steps_kit import Workbench, shipped_json

TYPES = {"data_type_check", "completeness_check", "baseline_drift_check", "missing_column_check"}
TYPES |= {"extra_column_check", "categorical_values_check"}

numbers = st.lists(
    st.one_of(st.integers(-5, 9).map(float), st.floats(-1e12, 1e12, allow_subnormal=False)), max_size=50
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def columns(draw: st.DrawFn, name: str) -> ColumnProfile:
    missing = draw(st.integers(0, 10**9))
    if draw(st.booleans()):
        values = np.array(draw(numbers)) + 0.0
        whole = "integer" if (values == values.round()).all() else "number"
        kind = INFERRED[whole] if len(values) else "Unknown"
        empty = ColumnProfile(name=name, inferred_type=kind, present=len(values), missing=missing)
        return with_numbers(empty, values)
    counts = Counter(draw(st.dictionaries(texts, st.integers(1, 2**40), max_size=12)))
    others = draw(st.integers(0, 2**40)) if counts else 0
    return ColumnProfile(
        name=name,
        inferred_type="String" if counts else "Unknown",
        present=counts.total() + others,
        missing=missing,
        categories=counts,
        others=others,
        distinct=len(counts) + draw(st.integers(1, 10**6)) if others else None,
    )


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    names = draw(st.lists(texts.filter(bool), min_size=1, max_size=4, unique=True))
    held = tuple(draw(columns(name)) for name in names)
    return Profile(rows=draw(st.integers(0, 10**12)), columns=held)


def _plain(profile: Profile) -> list[Any]:
    return [
        [
            *(
                getattr(column, key)
                for key in ("name", "inferred_type", "present", "missing", "others", "distinct")
            ),
            *(
                getattr(column, key)
                for key in ("mean", "std_dev", "total", "minimum", "maximum", "categories")
            ),
            *([column.points.values.tolist(), column.points.counts.tolist()] if column.points else [None]),
        ]
        for column in profile.columns
    ]


@settings(deadline=None)
@given(profile=profiles())
def test_statistics_come_back_as_they_were_written(profile: Profile) -> None:
    back = read_statistics(json.loads(json.dumps(describe(profile), allow_nan=False)))

    assert back.rows == profile.rows
    assert _plain(back) == _plain(profile)


@settings(deadline=None)
@given(profile=profiles(), method=st.sampled_from(["Robust", "Simple"]))
def test_a_data_set_fits_the_baseline_that_was_made_of_it(profile: Profile, method: Any) -> None:
    described = [
        Column(name=column.name, type="string" if column.categories is not None else "number")
        for column in profile.columns
    ]
    monitor = Monitor(comparison_method=method)
    constraints = read_constraints(json.loads(json.dumps(suggest(profile, described, monitor))))
    known = read_statistics(json.loads(json.dumps(describe(profile))))

    found = check(replace(profile, rows=max(1, profile.rows)), known, constraints)

    assert found.violations == ()
    assert {comparison.distance for comparison in found.comparisons} <= {0.0}


shares = st.floats(0.01, 1)
configs = st.fixed_dictionaries(
    {},
    optional={
        "evaluate_constraints": st.sampled_from(["Enabled", "Disabled"]),
        "emit_metrics": st.sampled_from(["Enabled", "Disabled"]),
        "datatype_check_threshold": shares,
        "domain_content_threshold": shares,
        "distribution_constraints": st.fixed_dictionaries(
            {},
            optional={
                "perform_comparison": st.sampled_from(["Enabled", "Disabled"]),
                "comparison_threshold": shares,
                "comparison_method": st.sampled_from(["Robust", "Simple"]),
                "categorical_comparison_threshold": shares,
                "categorical_drift_method": st.sampled_from(["LInfinity", "ChiSquared"]),
            },
        ),
    },
)


@settings(deadline=None)
@given(whole=configs, own=configs, spelling=st.sampled_from(OVERRIDES))
def test_a_features_overrides_win_word_by_word_in_either_spelling(
    whole: dict[str, Any], own: dict[str, Any], spelling: str
) -> None:
    described = {
        "features": [
            {"name": "a", "inferred_type": "String", "completeness": 1.0, spelling: own},
            {"name": "b", "inferred_type": "String", "completeness": 1.0},
        ],
        "monitoring_config": whole,
    }
    merged = whole | own
    merged["distribution_constraints"] = whole.get("distribution_constraints", {}) | own.get(
        "distribution_constraints", {}
    )

    constraints = read_constraints(described)

    assert constraints["a"].config == Config().updated(merged)
    assert constraints["b"].config == Config().updated(whole)


def test_without_a_monitoring_config_model_monitors_defaults_hold() -> None:
    config = read_constraints({"features": [{"name": "a", "inferred_type": "Integral"}]})["a"].config

    assert (config.threshold, config.categorical_threshold, config.robust) == (0.1, 0.1, True)
    assert (config.chi_squared, config.compare, config.evaluate) == (False, True, True)


def test_a_drift_threshold_of_the_run_is_a_distance_and_no_p_value() -> None:
    own = {"distribution_constraints": {"categorical_drift_method": "ChiSquared"}}
    described = {
        "features": [
            {"name": "a", "inferred_type": "String", OVERRIDES[0]: own},
            {"name": "b", "inferred_type": "String"},
        ],
        "monitoring_config": {"distribution_constraints": {"categorical_comparison_threshold": 0.05}},
    }

    constraints = read_constraints(described, drift_threshold=0.0)

    assert constraints["a"].config.categorical_threshold == 0.05
    assert constraints["b"].config.categorical_threshold == 0.0


def test_a_p_value_below_which_nothing_drifts_is_refused() -> None:
    own = {"categorical_drift_method": "ChiSquared", "categorical_comparison_threshold": 0.0}
    described = {
        "features": [{"name": "a", "inferred_type": "String"}],
        "monitoring_config": {"distribution_constraints": own},
    }

    with pytest.raises(ValueError, match="p-value below which 'a' has drifted, and must be above 0"):
        read_constraints(described)


def _texts(counts: dict[str, int]) -> Profile:
    column = ColumnProfile(
        name="a",
        inferred_type="String",
        present=sum(counts.values()),
        missing=0,
        categories=Counter(counts),
    )
    return Profile(rows=column.present, columns=(column,))


@pytest.mark.parametrize(("method", "drifted"), [("ChiSquared", True), ("LInfinity", False)])
def test_chi_squared_flags_small_p_values_and_linfinity_large_distances(method: str, drifted: bool) -> None:
    own = {"categorical_drift_method": method, "categorical_comparison_threshold": 0.05}
    described = {
        "features": [{"name": "a", "inferred_type": "String"}],
        "monitoring_config": {"distribution_constraints": own},
    }
    before = _texts({"x": 500, "y": 400, "z": 100})

    same = check(_texts({"x": 50, "y": 40, "z": 10}), before, read_constraints(described))
    moved = check(_texts({"x": 50, "y": 25, "z": 25}), before, read_constraints(described))

    assert same.violations == ()
    assert same.comparisons[0].p_value > 0.9
    assert [comparison.drifted for comparison in moved.comparisons] == [drifted]
    assert moved.comparisons[0].p_value < 0.01
    assert [v.constraint_check_type for v in moved.violations] == ["baseline_drift_check"] * drifted


THEIRS: dict[str, Any] = {
    "version": 0.0,
    "dataset": {"item_count": 4},
    "features": [
        {
            "name": "_c0",
            "inferred_type": "Integral",
            "numerical_statistics": {
                "common": {"num_present": 4, "num_missing": 0},
                "mean": 4.0,
                "sum": 16.0,
                "std_dev": 0.7,
                "min": 3.0,
                "max": 5.0,
                "distribution": {
                    "kll": {
                        "buckets": [{"lower_bound": 3.0, "upper_bound": 5.0, "count": 4.0}],
                        "sketch": {"parameters": {"c": 0.64, "k": 2048.0}, "data": [[3.0, 5.0], [4.0]]},
                    }
                },
            },
        },
        {
            "name": "_c1",
            "inferred_type": "String",
            "string_statistics": {
                "common": {"num_present": 4, "num_missing": 0},
                "distinct_count": 2.0,
                "distribution": {
                    "categorical": {"buckets": [{"value": "a", "count": 3}, {"value": "b", "count": 1}]}
                },
            },
        },
        {
            "name": "_c2",
            "inferred_type": "String",
            "string_statistics": {"common": {"num_present": 4, "num_missing": 0}, "distinct_count": 4.0},
        },
        {"name": "_c3", "inferred_type": "Unknown"},
        {
            "name": "_c4",
            "inferred_type": "Unknown",
            "numerical_statistics": {"common": {"num_present": 0, "num_missing": 4}, "mean": "NaN"},
        },
    ],
}


def test_what_model_monitor_writes_is_read_and_what_it_leaves_out_is_unknown() -> None:
    whole, listed, free, unknown, empty = read_statistics(THEIRS).columns

    assert whole.points is not None
    assert dict(zip(whole.points.values, whole.points.counts, strict=True)) == {3.0: 1.0, 4.0: 2.0, 5.0: 1.0}
    assert listed.categories == Counter(a=3, b=1)
    assert free.categories is None
    assert (unknown.points, unknown.categories) == (None, None)
    assert (empty.present, empty.missing, empty.mean) == (0, 4, 0.0)


def test_deequs_own_spelling_of_a_sketch_is_read() -> None:
    buckets = [{"low_value": 0.0, "high_value": 1.0, "count": 3, "ratio": 0.75}]
    buckets += [{"low_value": 1.0, "high_value": 2.0, "count": 1, "ratio": 0.25}]
    sketch = {"parameters": {"c": 0.64, "k": 2048.0}, "data": "[[0.5,2.0],[1.0]]"}

    whole, rough = points_of({"buckets": buckets, "sketch": sketch}), points_of({"buckets": buckets})

    assert whole is not None
    assert (whole.values.tolist(), whole.counts.tolist()) == ([0.5, 1.0, 2.0], [1.0, 2.0, 1.0])
    assert rough is not None
    assert (rough.values.tolist(), rough.counts.tolist(), rough.edges) == ([1.0, 2.0], [3.0, 1.0], True)


@pytest.mark.parametrize(
    "kll",
    [
        {"sketch": {"data": "[[1"}},
        {"sketch": {"data": [["x"]]}},
        {"sketch": {"data": [[1.0]] * 65}},
        {"sketch": {"data": [[1.0], [2.0]], "parameters": {"k": 0}}},
        {"sketch": {"data": [[1.0]]}, "rank_error": 2},
        {"buckets": [{"upper_bound": 2, "count": 1}, {"upper_bound": 1, "count": 1}]},
        {"buckets": [{"upper_bound": 2, "count": -1}]},
        {"buckets": [{"count": 1}]},
    ],
)
def test_a_sketch_that_is_none_is_refused(kll: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        points_of(kll)


def test_a_baseline_without_a_distribution_is_no_proof_that_nothing_moved(bench: Workbench) -> None:
    described = shipped_json()
    described["columns"] = [
        *described["columns"][:1],
        {"name": "Site", "type": "string", "values": ["l", "r"]},
    ]
    bench.model_path.write_text(json.dumps(described))
    lines = [f"{3 + n % 3},{'lr'[n % 2]}" for n in range(400)]
    training = bench.root / "training.csv"
    training.write_text("\n".join(f"{line},{n % 2}" for n, line in enumerate(lines)) + "\n")
    baseline = bench.preprocess("train", training) / "baseline"
    _without_buckets(baseline / "statistics.json")

    verdict = bench.check("run", baseline, ("\n".join(lines[:300]) + "\n").encode())

    assert (verdict["verdict"], verdict["not_compared"], verdict["low_power"]) == ("ok", ["Site"], [])
    assert verdict["message"] == "300 rows fit the baseline; the baseline holds no distribution of Site."
    written = json.loads((bench.root / "run/out/report/constraint_violations.json").read_text())
    assert written == {"violations": []}


def _without_buckets(path: Path) -> None:
    statistics = json.loads(path.read_text())
    del statistics["features"][1]["string_statistics"]["distribution"]
    path.write_text(json.dumps(statistics))


def test_violations_carry_model_monitors_three_keys_and_one_of_its_six_types(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    batch = b"5,old,3,5,3\n5,60,9,5,3\n5,60,3,5\n,60,3,5,3,1\n" * 3

    bench.check("run", part1 / "baseline", batch)

    written = json.loads((bench.root / "run/out/report/constraint_violations.json").read_text())
    assert list(written) == ["violations"]
    assert {tuple(found) for found in written["violations"]} == {
        ("feature_name", "constraint_check_type", "description")
    }
    assert {found["constraint_check_type"] for found in written["violations"]} < TYPES


@pytest.mark.parametrize(("counts", "blind"), [([300.0, 400.0, 300.0], False), ([990.0, 5.0, 5.0], True)])
def test_a_baseline_of_buckets_that_holds_nearly_all_in_one_cannot_show_a_shift(
    counts: list[float], blind: bool
) -> None:
    buckets = Points(np.array([10.0, 20.0, 30.0]), np.array(counts), edges=True)
    known = ColumnProfile(name="a", inferred_type="Fractional", present=1_000, missing=0, points=buckets)
    values = np.repeat([5.0, 15.0, 25.0], np.array(counts, dtype=int))
    batch = with_numbers(replace(known, points=None), values)
    constraints = read_constraints({"features": [{"name": "a", "inferred_type": "Fractional"}]})

    found = check(Profile(rows=1_000, columns=(batch,)), Profile(rows=1_000, columns=(known,)), constraints)

    assert [(one.drifted, one.low_power) for one in found.comparisons] == [(False, blind)]


def test_points_known_in_part_need_a_larger_difference() -> None:
    exact = Points(np.arange(100.0), np.full(100, 1e6))
    moved = Points(np.arange(100.0) + 0.5, np.full(100, 1e6))

    def distance(error: float) -> float:
        columns = [
            ColumnProfile(
                name="a",
                inferred_type="Fractional",
                present=10**8,
                missing=0,
                points=replace(side, error=error),
            )
            for side in (moved, exact)
        ]
        batch, before = (Profile(rows=10**8, columns=(column,)) for column in columns)
        constraints = read_constraints(
            {
                "features": [{"name": "a", "inferred_type": "Fractional"}],
                "monitoring_config": {"distribution_constraints": {"comparison_threshold": 0.0}},
            }
        )
        return check(batch, before, constraints).comparisons[0].distance

    assert distance(0.0) == pytest.approx(0.01 - 1.8 * (2 / 1e8) ** 0.5)
    assert distance(0.001) == pytest.approx(distance(0.0) - 0.002)
    assert distance(0.006) == 0.0
