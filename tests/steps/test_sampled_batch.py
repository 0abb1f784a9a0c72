"""The batch that a version is tried with: like the training data to the monitor, nobody's rows, scored as trained."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local_cloud.runner.xgboost_container import serve
from pipeline_code.model_config import load_model
from pipeline_code.steps import check_batch
from pipeline_code.steps.archive import load_boosters
from pipeline_code.steps.model import Model
from pipeline_code.steps.program import UsageError
from pipeline_code.steps.sampled_batch import ROWS, drawn, put_together, write_check_files
from tests.fixtures.trees import SECOND
from tests.fixtures.wine_data import training_rows, write_training_file
from tests.steps.steps_kit import Workbench, shipped_json, shipped_model, train

NAN = float("nan")


@dataclass
class Version:
    """An evaluated version of one of the two models."""

    bench: Workbench
    model: Model
    archive: Path
    prepared: Path

    def evaluation(self, name: str = "evaluated") -> Path:
        """The folder of outputs that the version's own files lie in."""
        folder = self.bench.root / name / "out" / "evaluation"
        if not folder.exists():
            self.bench.evaluate(name, self.prepared, self.archive)
        return folder


@pytest.fixture(scope="module")
def mammography(part1: Path, first_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Version:
    quick = {"evaluation": {"folds": 2, "repeats": 1, "seed": 200}}
    root = tmp_path_factory.mktemp("mammography")
    return _version(root, shipped_json() | quick, first_model, part1)


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """The second model: an id column, a text column, a header row."""
    root = tmp_path_factory.mktemp("wine")
    described = dict(json.loads(json.dumps(load_model(str(SECOND / "wine")).as_json())))
    version = _version(root, described, root / "model.tar.gz", root)
    version.prepared = version.bench.preprocess("prepared", write_training_file(root / "files"))
    train(version.prepared / "train" / "train.csv", version.model.hyperparameters, version.archive)
    return version


def _version(root: Path, described: dict[str, Any], archive: Path, prepared: Path) -> Version:
    (root / "model.json").write_text(json.dumps(described))
    return Version(Workbench(root, root / "model.json"), Model.from_json(described), archive, prepared)


@pytest.fixture(params=["mammography", "wine"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Version:
    found: Version = request.getfixturevalue(request.param)
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(found.bench.root))
    return found


def test_the_monitor_sees_nothing_in_the_batch(version: Version) -> None:
    batch = version.evaluation() / "check_batch.csv"
    verdict = version.bench.check("checked", version.evaluation().parent / "baseline", batch)
    assert (verdict["verdict"], verdict["action"], verdict["rows"]) == ("ok", "deliver", ROWS)
    # not even Model Monitor's own limit without the allowance for chance
    assert max(feature["simple"] for feature in verdict["features"]) < 0.1


def test_the_monitor_sees_nothing_in_its_scores_either(mammography: Version) -> None:
    bench, folder = mammography.bench, mammography.evaluation()
    inputs = bench.batch_inputs("predicted", folder.parent / "baseline", folder / "check_batch.csv")
    (inputs / "model").mkdir()
    shutil.copy(mammography.archive, inputs / "model" / "model.tar.gz")
    assert bench.run(check_batch.main, inputs, bench.root / "predicted" / "out") == 0
    verdict = json.loads((bench.root / "predicted" / "out" / "report" / "verdict.json").read_text())
    assert verdict["verdict"] == "ok"
    scores = next(feature for feature in verdict["features"] if feature["name"] == "(prediction)")
    # 0.18 is what samples of these sizes may differ by; put together at random it was 0.20
    assert scores["simple"] < 0.15
    assert verdict["attributions"]["moved"] < 0.05


def test_whoever_scores_the_batch_gets_the_scores_beside_it(version: Version) -> None:
    folder = version.evaluation()
    version.bench.check("scored", folder.parent / "baseline", folder / "check_batch.csv")
    (prepared,) = version.bench.prepared("scored").values()
    ids, rows = zip(*(line.split(",", 1) for line in prepared.splitlines()), strict=True)
    scores = serve.score(load_boosters([version.archive])[0], list(rows))
    assert len(set(scores)) > 10
    expected = "".join(f"{row_id},{value}\n" for row_id, value in zip(ids, scores, strict=True))
    assert (folder / "check_scores.csv").read_text() == expected


def test_the_same_training_rows_give_the_same_bytes_in_whatever_order(version: Version) -> None:
    rows = np.genfromtxt(version.prepared / "train" / "train.csv", delimiter=",")[:, 1:]
    first, second = version.bench.root / "first", version.bench.root / "second"
    for folder, given in ((first, rows), (second, rows[::-1])):
        folder.mkdir()
        write_check_files(version.model, given, lambda seen: seen[:, 0], folder)
    written = (first / "check_batch.csv").read_bytes()
    assert written == (second / "check_batch.csv").read_bytes()
    assert written == (version.evaluation() / "check_batch.csv").read_bytes()


def test_a_batch_without_ids_counts_its_rows_as_predictions_do(mammography: Version) -> None:
    lines = (mammography.evaluation() / "check_batch.csv").read_text().splitlines()
    assert len(lines) == ROWS
    assert {line.count(",") for line in lines} == {len(mammography.model.columns) - 1}
    ids = [line.split(",")[0] for line in (mammography.evaluation() / "check_scores.csv").open()]
    assert ids == [str(number) for number in range(1, ROWS + 1)]


def test_a_batch_with_ids_and_a_header_has_both_and_no_id_of_the_data(wine: Version) -> None:
    with (wine.evaluation() / "check_batch.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["Bottle", "Alcohol", "Acidity", "Kind"]
    assert [row[0] for row in rows] == [f"check-{number}" for number in range(1, ROWS + 1)]
    assert {row[3] for row in rows} == {"red", "white", "rose"}


def test_a_row_of_the_batch_equals_one_of_the_data_by_chance_only(wine: Version) -> None:
    with (wine.evaluation() / "check_batch.csv").open(newline="") as file:
        rows = {tuple(row[1:]) for row in csv.reader(file)}
    # 200 rows among 21,000 that can be made of these values, 400 of which are in the data: 4 are to be expected
    assert len(rows & {row[1:4] for row in training_rows()}) <= 10


def test_as_many_values_are_missing_as_in_the_training_rows(mammography: Version) -> None:
    rows = np.genfromtxt(mammography.prepared / "train" / "train.csv", delimiter=",")[:, 1:]
    lines = [line.split(",") for line in (mammography.evaluation() / "check_batch.csv").read_text().split()]
    for place, share in enumerate(np.isnan(rows).mean(axis=0)):
        assert sum(line[place] == "" for line in lines) == round(ROWS * share)


def test_a_missing_value_is_written_as_the_model_s_files_write_it(tmp_path: Path) -> None:
    model = shipped_model(missing=["?"])
    rows = np.array([[4, 50, 1, 1, NAN], [5, 60, 4, 5, 3]])
    write_check_files(model, rows, lambda seen: seen[:, 1], tmp_path)
    cells = [line.split(",")[4] for line in (tmp_path / "check_batch.csv").read_text().splitlines()]
    assert {cell: cells.count(cell) for cell in cells} == {"?": ROWS // 2, "3": ROWS // 2}


def test_fails_when_the_training_rows_hold_what_model_json_refuses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'9' is not one of 1, 2, 3, 4"):
        write_check_files(shipped_model(), np.array([[4, 50, 9, 1, 1.0]]), lambda seen: seen[:, 1], tmp_path)


# one feature


def test_a_drawn_feature_has_the_distribution_of_its_values() -> None:
    values = np.random.default_rng(1).normal(size=5000)
    found = np.sort(np.array(drawn("x", values), dtype=float))
    below = np.searchsorted(np.sort(values), found, side="right") / len(values)
    assert np.abs(below - np.arange(1, ROWS + 1) / ROWS).max() <= 1 / ROWS + 1e-9


def test_features_are_drawn_independently() -> None:
    values = np.arange(1000.0)
    first, second = drawn("first", values), drawn("second", values)
    assert abs(np.corrcoef(np.array(first, float), np.array(second, float))[0, 1]) < 0.2


def test_features_go_together_as_they_do_in_the_rows() -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(size=3000)
    rows = np.column_stack([first, first + rng.normal(size=3000), rng.integers(0, 3, 3000)])
    rows[rng.random(3000) < 0.1, 2] = NAN
    columns = [drawn(str(place), rows[:, place]) for place in range(3)]

    found = put_together(columns, rows)

    assert [sorted(map(str, column)) for column in found] == [sorted(map(str, column)) for column in columns]
    together = np.corrcoef(np.array(found[:2], float))[0, 1]
    assert together == pytest.approx(np.sqrt(0.5), abs=0.1)
    known = [place for place, cell in enumerate(found[2]) if cell is not None]
    assert abs(np.corrcoef(np.array(found, float)[:, known])[0, 2]) < 0.2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], {3.0: 200}),
        ([1.0, 2.0], {1.0: 100, 2.0: 100}),
        ([NAN], {None: 200}),
        ([NAN, NAN, NAN, 7.0], {None: 150, 7.0: 50}),
        ([NAN] + [7.0] * 999, {7.0: 200}),
    ],
)
def test_few_values_are_repeated_in_their_shares(
    values: list[float], expected: dict[float | None, int]
) -> None:
    found = drawn("x", np.array(values))
    assert {value: found.count(value) for value in set(found)} == expected
