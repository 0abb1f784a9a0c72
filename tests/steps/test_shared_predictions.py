"""The predictions of a batch that instances share: compared as on one instance, whoever scored which rows."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline_code.mammography import dataset
from pipeline_code.steps import archive
from pipeline_code.steps.archive import load_boosters
from pipeline_code.steps.program import UsageError
from pipeline_code.steps.quality import pooled as pooling
from pipeline_code.steps.quality.pooled import pooled
from pipeline_code.steps.quality.predictions import Floats, Scored, attributed, score_points
from pipeline_code.steps.quality.state_file import read_states
from tests.steps.shard_kit import Checks, in_files, near, same
from tests.steps.steps_kit import Workbench, shipped_model, write_archive

PREDICTIONS = ["(attributions)", "(prediction)"]
EITHER = "the states hold scores of {} of {} rows: give each instance the input 'model', or none"


@pytest.fixture
def checks(bench: Workbench, evaluated: Path, first_model: Path) -> Checks:
    return Checks(bench.root / "checks", bench.model_path, evaluated, first_model)


@pytest.fixture
def loaded(first_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load the model once: each load is tried in a process of its own."""
    boosters = load_boosters([first_model])
    monkeypatch.setattr(archive, "load_boosters", lambda archives: boosters)


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def rearranged(training: Path) -> list[str]:
    """Return rows with each feature as at training, but not together: high with low."""
    columns = [list(column) for column in zip(*map(str.split, _cells(training)), strict=True)][:5]
    columns[0].sort()
    for place in (2, 3):
        columns[place].sort(reverse=True)
    lines = [",".join(cells).replace("?", "") + "\n" for cells in zip(*columns, strict=True)]
    random.Random(7).shuffle(lines)
    return lines


def _cells(training: Path) -> list[str]:
    return [" ".join(cell or "?" for cell in line.strip().split(",")) for line in lines_of(training)[1:]]


def drifted(verdict: dict[str, Any]) -> list[str]:
    return sorted(feature["name"] for feature in verdict["features"] if feature["drifted"])


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(("instances", "seed"), [(1, None), (2, 1), (3, 2), (8, None), (8, 3)])
@pytest.mark.parametrize("source", [dataset.BATCH, dataset.OUTLIERS, dataset.BROKEN, dataset.PART1])
def test_predictions_of_instances_are_compared_as_those_of_one(
    checks: Checks, files: dict[str, Path], source: str, instances: int, seed: int | None
) -> None:
    lines = rearranged(files[source]) if source == dataset.PART1 else lines_of(files[source])
    batch = in_files(lines, 6)

    whole, shared = checks.alone(batch), checks.shared(batch, instances, seed=seed)

    same(whole, shared)
    names = {feature["name"] for feature in shared.verdict["features"]}
    if source == dataset.BROKEN:
        assert shared.verdict["verdict"] == "violation"
        assert not names & set(PREDICTIONS)
        assert "attributions" not in shared.verdict
        return
    assert names >= set(PREDICTIONS)
    assert shared.verdict["attributions"]["rows"] == len(lines)
    assert shared.statistics["features"][-1]["name"] == "(prediction)"
    assert shared.metrics["metrics"][0]["MetricName"] == "feature_data_(prediction)"
    assert '<section id="attributions">' in shared.page
    if source == dataset.PART1:
        assert shared.verdict["action"] == "withhold_drift"
        assert "(prediction)" in drifted(shared.verdict)
        assert set(drifted(shared.verdict)) <= set(PREDICTIONS)
    else:
        assert shared.verdict["verdict"] == ("ok" if source == dataset.BATCH else "drift")


@pytest.mark.usefixtures("loaded")
def test_the_threshold_of_drift_is_that_of_the_scores_too(checks: Checks, files: dict[str, Path]) -> None:
    batch = in_files(lines_of(files[dataset.BATCH]), 3)
    more = ("--drift-threshold", "0.01")

    whole, shared = checks.alone(batch, *more), checks.shared(batch, 2, *more)

    same(whole, shared)
    (found,) = (one for one in shared.verdict["features"] if one["name"] == "(prediction)")
    assert found["threshold"] == 0.01


@pytest.mark.usefixtures("loaded")
def test_what_is_broken_on_one_instance_is_found_and_the_scores_of_others_are_ignored(
    checks: Checks, files: dict[str, Path]
) -> None:
    batch = in_files(lines_of(files[dataset.BATCH]), 4)
    batch["part/1.csv"] += b"5,60\n"

    whole, shared = checks.alone(batch), checks.shared(batch, 2)

    same(whole, shared)
    assert shared.verdict["action"] == "withhold_violation"
    states = read_states(checks.root / "verdict" / "in" / "states", shipped_model().columns)
    assert sorted(len(state.scored) for state in states) == [0, 1]


@pytest.mark.usefixtures("loaded")
def test_a_baseline_without_scores_is_told_as_by_one_instance(
    checks: Checks, part1: Path, files: dict[str, Path]
) -> None:
    checks.baseline = part1 / "baseline"
    batch = in_files(lines_of(files[dataset.BATCH]), 3)

    whole, shared = checks.alone(batch), checks.shared(batch, 2)

    same(whole, shared)
    assert (shared.verdict["verdict"], shared.verdict["not_compared"]) == ("ok", ["(prediction)"])
    assert "the baseline holds no distribution of (prediction)" in shared.verdict["message"]


@pytest.mark.parametrize("without", ["algo-1", "algo-2"])
def test_states_with_and_without_scores_do_not_mix(
    checks: Checks, files: dict[str, Path], without: str
) -> None:
    lines = lines_of(files[dataset.BATCH])
    batch = {"a.csv": "".join(lines[:30]).encode(), "b.csv": "".join(lines[30:]).encode()}

    shared = checks.shared(batch, 2, without_model=without)

    scored = len(lines) - 30 if without == "algo-1" else 30
    assert (shared.code, shared.message) == (2, EITHER.format(scored, len(lines)))


def test_an_instance_without_files_needs_no_model(checks: Checks, files: dict[str, Path]) -> None:
    batch = {"a.csv": files[dataset.BATCH].read_bytes()}

    whole, shared = checks.alone(batch), checks.shared(batch, 2, without_model="algo-2")

    same(whole, shared)
    assert {feature["name"] for feature in shared.verdict["features"]} >= set(PREDICTIONS)


def test_a_model_that_cannot_be_read_ends_the_check_of_an_instance(
    checks: Checks, files: dict[str, Path]
) -> None:
    checks.archive = write_archive(checks.root.parent / "bad.tar.gz", {"xgboost-model": b"{}"})

    shared = checks.shared({"a.csv": files[dataset.BATCH].read_bytes()}, 2)

    assert shared.code == 2
    assert shared.message.startswith("XGBoost can't read xgboost-model in model.tar.gz")
    assert not [path for path in (checks.root / "algo-1" / "out").rglob("*") if path.is_file()]


RNG = np.random.default_rng(3)


def scored(scores: Floats, contributions: Floats, rows: int | None = None) -> Scored:
    return Scored(
        rows=len(scores) if rows is None else rows,
        points=score_points(scores),
        attributed=attributed(contributions),
    )


@pytest.mark.parametrize("sizes", [[500], [250, 250], [1, 0, 499], [2, 1, 1, 0, 200, 96, 100, 100]])
def test_parts_of_which_all_was_scored_give_exactly_what_the_whole_gives(sizes: list[int]) -> None:
    scores, found = RNG.random(500), RNG.random((500, 3)) @ RNG.random((3, 3)) + [1e3, 0, 0]
    ends = np.cumsum(sizes)[:-1]
    dealt = zip(np.split(scores, ends), np.split(found, ends), strict=True)

    whole, parts = scored(scores, found), [scored(*part) for part in dealt]

    for order in (parts, parts[::-1]):
        together = pooled(order, 500)
        assert together.points.values.tolist() == whole.points.values.tolist()
        assert together.points.counts.tolist() == whole.points.counts.tolist()
        assert together.attributed.rows == 500
        assert near(together.attributed.means.tolist(), whole.attributed.means.tolist())
        assert together.attributed.spread is not None
        assert whole.attributed.spread is not None
        np.testing.assert_allclose(together.attributed.spread, whole.attributed.spread, rtol=1e-9)


def test_one_row_has_no_covariance() -> None:
    alone = scored(np.array([0.3]), np.array([[1.0, 2.0]]))

    assert pooled([alone], 1).attributed.spread is None
    nothing = scored(np.empty(0), np.empty((0, 2)))
    together = pooled([nothing, alone], 1)
    assert (together.attributed.rows, together.attributed.means.tolist()) == (1, [1.0, 2.0])
    assert pooled([nothing], 0).attributed.rows == 0


def test_an_instance_that_scored_a_larger_share_of_its_rows_keeps_fewer_of_its_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pooling, "SCORED", 10_000)
    some = scored(np.full(10_000, 0.25), np.ones((1, 1)), rows=90_000)
    every = scored(np.full(10_000, 0.75), np.ones((1, 1)), rows=10_000)

    points = pooled([some, every], 100_000).points

    assert points.values.tolist() == [0.25, 0.75]
    # a tenth of all rows, wherever they were: one instance would have scored about so many of each
    assert points.counts.tolist() == pytest.approx([9_000, 1_000], abs=160)
    assert points.counts[0] != 10_000


def test_contributions_weigh_as_the_rows_that_they_stand_for() -> None:
    some, every = RNG.random((90, 2)), RNG.random((100, 2)) + 1
    parts = [scored(np.ones(90), some, rows=900), scored(np.ones(100), every)]

    together = pooled(parts, 1_000).attributed

    rows = np.vstack([np.repeat(some, 10, axis=0), every])
    assert together.rows == 110  # 1,000 squared by 900 squared / 90 + 100 squared / 100
    np.testing.assert_allclose(together.means, rows.mean(axis=0))
    assert together.spread is not None
    worth = 1_000**2 / (900**2 / 90 + 100**2 / 100)
    np.testing.assert_allclose(
        together.spread, np.cov(rows, rowvar=False, ddof=0) * worth / (worth - 1), rtol=1e-9
    )


def test_rows_that_no_part_scored_are_an_error() -> None:
    with pytest.raises(UsageError, match=EITHER.format(3, 5)):
        pooled([scored(np.ones(3), np.ones((3, 1)))], 5)


def test_a_state_tells_what_was_scored_and_none_of_the_rows(checks: Checks, files: dict[str, Path]) -> None:
    checks.shared({"a.csv": files[dataset.BATCH].read_bytes()}, 2)

    states = read_states(checks.root / "verdict" / "in" / "states", shipped_model().columns)
    empty, full = sorted(states, key=lambda state: state.rows)
    (found,) = full.scored
    assert (empty.scored, found.rows, found.attributed.rows) == ([], full.rows, full.rows)
    assert found.points.total == full.rows
    verdict = json.loads((checks.root / "verdict" / "out" / "report" / "verdict.json").read_text())
    assert verdict["rows"] == full.rows
