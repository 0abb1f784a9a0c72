"""What a model makes of a batch, against what it made of its hold-out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline_code.mammography import dataset
from pipeline_code.steps import check_batch
from pipeline_code.steps.archive import load_boosters
from pipeline_code.steps.program import UsageError
from pipeline_code.steps.quality import report
from pipeline_code.steps.quality.predictions import (
    Attributed,
    attributed,
    compare_attributions,
    known_attributions,
    ndcg,
    prediction_column,
    score_batch,
)
from tests.steps.steps_kit import Workbench, write_archive


@pytest.fixture
def baseline(evaluated: Path) -> Path:
    return evaluated


def _check(
    bench: Workbench, baseline: Path, batch: Path | bytes, model: Path | None, *more: str
) -> dict[str, Any]:
    inputs = bench.batch_inputs("run", baseline, batch)
    if model is not None:
        (inputs / "model").mkdir()
        shutil.copy(model, inputs / "model" / "model.tar.gz")
    assert bench.run(check_batch.main, inputs, bench.root / "run" / "out", *more) == 0, bench.message
    return dict(json.loads((bench.root / "run" / "out" / "report" / "verdict.json").read_text()))


def test_with_the_model_the_scores_are_one_more_feature_and_attributions_are_told(
    bench: Workbench, baseline: Path, first_model: Path, files: dict[str, Path]
) -> None:
    verdict = _check(bench, baseline, files[dataset.BATCH], first_model)

    found = {feature["name"]: feature for feature in verdict["features"]}
    assert verdict["verdict"] == "ok"
    assert set(found) == {*dataset.FEATURES, "(prediction)", "(attributions)"}
    assert (found["(prediction)"]["method"], found["(prediction)"]["drifted"]) == ("Robust", False)
    assert 0 < found["(prediction)"]["after"] < 1
    attributions = verdict["attributions"]
    assert attributions["rows"] == verdict["rows"]
    assert 0.9 < attributions["ndcg"] <= 1
    assert sum(feature["after"] for feature in attributions["features"]) == pytest.approx(1)
    assert attributions["features"][0]["name"] == "BIRADS"
    found_in = bench.root / "run" / "out" / "report"
    assert json.loads((found_in / "statistics.json").read_text())["features"][-1]["name"] == "(prediction)"
    assert len(json.loads((found_in / "constraints.json").read_text())["features"]) == len(dataset.FEATURES)
    page = (found_in / "report.html").read_text()
    assert "<h3><bdi>(prediction)</bdi></h3>" in page
    assert "<h3><bdi>(attributions)</bdi></h3>" not in page
    table = page[page.index('<section id="attributions">') :]
    assert table.index("BIRADS") < table.index("Density") < table.index("</section>")
    assert list(bench.prepared("run")) == [dataset.BATCH]


def test_without_the_model_nothing_is_scored_and_the_verdict_is_as_it_was(
    bench: Workbench, baseline: Path, part1: Path, files: dict[str, Path]
) -> None:
    verdict = _check(bench, baseline, files[dataset.BATCH], None)

    assert "attributions" not in verdict
    shutil.rmtree(bench.root / "run")
    assert verdict == bench.check("run", part1 / "baseline", files[dataset.BATCH])


def test_a_drifted_batch_leaves_none_of_the_rows_that_were_scored_for_the_check(
    bench: Workbench, baseline: Path, first_model: Path, files: dict[str, Path]
) -> None:
    verdict = _check(bench, baseline, files[dataset.OUTLIERS], first_model)

    assert verdict["action"] == "withhold_drift"
    assert "(prediction)" in {feature["name"] for feature in verdict["features"]}
    assert list(bench.prepared("run")) == ["NOT_PREPARED"]


def test_a_drifted_batch_that_is_delivered_keeps_its_rows(
    bench: Workbench, baseline: Path, first_model: Path, files: dict[str, Path]
) -> None:
    verdict = _check(
        bench, baseline, files[dataset.OUTLIERS], first_model, "--predictions-on-drift", "deliver"
    )

    assert verdict["action"] == "announce_and_deliver"
    assert list(bench.prepared("run")) == [dataset.OUTLIERS]


def test_a_broken_batch_is_not_scored(
    bench: Workbench, baseline: Path, first_model: Path, files: dict[str, Path]
) -> None:
    verdict = _check(bench, baseline, files[dataset.BROKEN], first_model)

    assert verdict["verdict"] == "violation"
    assert "attributions" not in verdict
    assert list(bench.prepared("run")) == ["NOT_PREPARED"]


def test_the_scores_are_measured_however_many_features_there_are(
    bench: Workbench,
    baseline: Path,
    first_model: Path,
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "MOST_MEASURED", 2)

    _check(bench, baseline, files[dataset.BATCH], first_model)

    written = json.loads((bench.root / "run" / "out" / "report" / "metrics.json").read_text())["metrics"]
    assert {line["MetricName"].removeprefix("feature_").rpartition("_")[2] for line in written} == {
        "(prediction)",
        "BIRADS",
    }


def test_a_baseline_without_scores_is_said_not_to_be_compared(
    bench: Workbench, part1: Path, first_model: Path, files: dict[str, Path]
) -> None:
    verdict = _check(bench, part1 / "baseline", files[dataset.BATCH], first_model)

    assert (verdict["verdict"], verdict["not_compared"]) == ("ok", ["(prediction)"])
    assert "the baseline holds no distribution of (prediction)" in verdict["message"]


def test_a_model_that_cannot_be_read_ends_the_check(
    bench: Workbench, baseline: Path, files: dict[str, Path]
) -> None:
    archive = write_archive(bench.root / "bad.tar.gz", {"xgboost-model": b"{}"})
    inputs = bench.batch_inputs("run", baseline, files[dataset.BATCH])
    (inputs / "model").mkdir()
    shutil.copy(archive, inputs / "model" / "model.tar.gz")

    assert bench.run(check_batch.main, inputs, bench.root / "out") == 2
    assert "XGBoost can't read xgboost-model in model.tar.gz" in bench.message
    assert not list((bench.root / "out").rglob("*.json"))


def test_attributions_of_other_features_are_named(
    bench: Workbench, baseline: Path, first_model: Path, files: dict[str, Path]
) -> None:
    inputs = bench.batch_inputs("run", baseline, files[dataset.BATCH])
    path = inputs / "statistics" / "statistics.json"
    path.write_text(path.read_text().replace('"BIRADS": ', '"Birads": '))
    (inputs / "model").mkdir()
    shutil.copy(first_model, inputs / "model" / "model.tar.gz")

    assert bench.run(check_batch.main, inputs, bench.root / "out") == 2
    assert bench.message == (
        "statistics.json of the baseline holds no attributions of the model's features: KeyError('BIRADS')"
    )


def test_scores_that_differ_in_their_last_digit_are_tied() -> None:
    column = prediction_column(np.array([0.1234567, 0.12345671, 0.0, 1e-9, -3.5, 0.98]))

    assert column.points is not None
    assert column.points.values.tolist() == [-3.5, 0.0, 1e-9, 0.12346, 0.98]
    assert column.points.counts.tolist() == [1, 1, 1, 2, 1]


def test_ndcg_is_that_of_the_definition() -> None:
    then = np.array([0.5, 0.3, 0.2])

    assert ndcg(np.array([5.0, 3.0, 2.0]), then) == 1
    swapped = (0.3 + 0.5 / np.log2(3) + 0.2 / 2) / (0.5 + 0.3 / np.log2(3) + 0.2 / 2)
    assert ndcg(np.array([1.0, 2.0, 0.5]), then) == pytest.approx(swapped)
    assert ndcg(np.array([1.0, 2.0]), np.zeros(2)) == 1


def test_attributions_that_were_never_written_are_none() -> None:
    assert known_attributions({"features": [{"name": "Age"}]}, ["Age"]) is None


@pytest.mark.parametrize(("rows", "drifted"), [(29, False), (30, True)])
def test_too_few_rows_show_nothing_about_attributions_and_that_is_said(rows: int, drifted: bool) -> None:
    then = attributed(np.tile([0.9, 0.1], (100, 1)))

    found = compare_attributions(["a", "b"], attributed(np.tile([0.1, 0.9], (rows, 1))), then, each=0.01)

    assert (found.drifted, found.comparison.low_power) == (drifted, not drifted)


def test_a_model_of_one_feature_never_moves_its_attributions() -> None:
    rng = np.random.default_rng(1)
    found = compare_attributions(
        ["Age"], attributed(rng.random((50, 1))), attributed(rng.random((90, 1)) + 5), each=0.01
    )

    assert (found.moved, found.chance, found.drifted) == (0.0, 1.0, False)


def test_the_last_digits_of_a_covariance_decide_nothing() -> None:
    then = Attributed(rows=100, means=np.array([1.0, 1.0, 1.0, 1.0]))
    means = np.array([1.2, 1.0, 0.9, 0.9])
    others = np.random.default_rng(4).normal(size=(4, 4)) * 1e-15
    whole, parts = (
        compare_attributions(
            ["a", "b", "c", "d"], Attributed(rows=100, means=means, spread=spread), then, each=0.01
        )
        for spread in (np.eye(4), np.eye(4) + others + others.T)
    )

    assert 0.01 < whole.chance < 0.99
    assert (parts.chance, parts.noise) == pytest.approx((whole.chance, whole.noise), rel=1e-9)


def test_a_batch_of_many_rows_is_scored_in_part(tmp_path: Path, first_model: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("".join(f"{number},{number % 5 + 1},50,1,,3\n" for number in range(30_000)))
    (booster,) = load_boosters([first_model])

    found = score_batch(booster, [path], 30_000, 5)

    assert (found.rows, found.points.total) == (30_000, 30_000)
    assert len(found.points.values) > 1
    assert 9_500 < found.attributed.rows < 10_500
    with pytest.raises(UsageError, match="the model expects 5 features"):
        score_batch(booster, [path], 30_000, 4)
