"""The contract of the built-in XGBoost container: hyperparameters, training files, archive, scoring, filters."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import xgboost

from local_cloud.runner.data_processing import FilterError, column_filter, filtered, joined, split_line
from local_cloud.runner.training import archive_of, final_metrics
from local_cloud.runner.xgboost_container.csv_data import CsvError, parse, read_channel
from local_cloud.runner.xgboost_container.hyperparameters import HyperparameterError, read_hyperparameters
from local_cloud.runner.xgboost_container.serve import RefusedError, load, score

ROOT = Path(__file__).resolve().parents[2]
LINES = [f"{i % 2},{i % 2 * 4 + i % 3},{'' if i % 4 == 0 else i % 5}" for i in range(80)]
BLOG = {
    "objective": "binary:logistic", "eval_metric": "auc", "num_round": "50", "max_depth": "5", "eta": "0.2",
    "gamma": "4", "min_child_weight": "6", "subsample": "0.7",
}  # fmt: skip


def job(
    folder: Path, hyperparameters: dict[str, str], **channels: list[str]
) -> subprocess.CompletedProcess[str]:
    """Run the training program on channels of CSV lines."""
    config = folder / "input" / "config"
    config.mkdir(parents=True)
    (folder / "model").mkdir()
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    for name, lines in channels.items():
        (folder / "input" / "data" / name).mkdir(parents=True)
        (folder / "input" / "data" / name / "part.csv").write_text("\n".join(lines) + "\n")
    return subprocess.run(
        [sys.executable, "-m", "local_cloud.runner.xgboost_container.train"],
        env={"PYTHONPATH": str(ROOT), "SAGEMAKER_BASE_DIR": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    done = job(folder, {**BLOG, "early_stopping_rounds": "40"}, train=LINES, validation=LINES[:20])
    assert done.returncode == 0, done.stderr
    (folder / "log").write_text(done.stdout)
    return folder


def test_the_model_folder_holds_only_a_ubjson_model(trained: Path) -> None:
    files = list((trained / "model").iterdir())
    assert [file.name for file in files] == ["xgboost-model"]
    assert files[0].read_bytes()[:1] == b"{"
    with pytest.raises(ValueError, match=r"utf-8|Expecting"):
        json.loads(files[0].read_bytes())


def test_a_plain_booster_scores_as_the_server_does(trained: Path) -> None:
    booster = xgboost.Booster()
    booster.load_model(bytearray((trained / "model" / "xgboost-model").read_bytes()))
    expected = booster.predict(xgboost.DMatrix(np.array([[0, 1], [4, np.nan]], dtype=np.float32)))
    assert score(load(trained / "model"), ["0,1", "4,"]) == [str(float(value)) for value in expected]
    assert expected[0] < 0.5 < expected[1]


def test_the_metrics_of_each_channel_are_logged(trained: Path) -> None:
    metrics = {item["MetricName"]: item["Value"] for item in final_metrics((trained / "log").read_text())}
    assert set(metrics) == {"train:auc", "validation:auc"}
    assert all(0.5 < value <= 1 for value in metrics.values())


def test_the_same_data_give_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    settings = {**BLOG, "early_stopping_rounds": "40"}
    assert job(tmp_path, settings, train=LINES, validation=LINES[:20]).returncode == 0
    assert archive_of(tmp_path / "model") == archive_of(trained / "model")


def test_the_archive_holds_the_model_at_its_root(trained: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive_of(trained / "model"))) as archive:
        assert archive.getnames() == ["xgboost-model"]


@pytest.mark.parametrize(
    ("hyperparameters", "lines", "message"),
    [
        ({**BLOG, "eta": "7"}, LINES, "Hyperparameter eta: value '7' isn't valid: must lie in [0, 1]"),
        (BLOG, ["Severity,Age", "1,5"], "part.csv, line 1: 'Severity' isn't a number"),
        (BLOG, ["1,2", ",3"], "row 2 has no label"),
        (BLOG, ["1", "0"], "the data have 1 columns"),
        (BLOG, ["1,2", "5,3"], "XGB train call failed"),
    ],
)
def test_bad_input_fails_training_with_one_line(
    tmp_path: Path, hyperparameters: dict[str, str], lines: list[str], message: str
) -> None:
    done = job(tmp_path, hyperparameters, train=lines)
    assert done.returncode == 1
    failure = (tmp_path / "output" / "failure").read_text()
    assert failure.startswith("ClientError: ")
    assert message in failure
    assert "Traceback" not in done.stderr


def test_hyperparameters_keep_their_meaning() -> None:
    found = read_hyperparameters(
        {
            **BLOG,
            "monotone_constraints": "(1,1,0)",
            "seed": "7",
            "early_stopping_rounds": "5",
            "eval_metric": "auc,logloss",
        }
    )
    assert (found.num_round, found.early_stopping_rounds) == (50, 5)
    assert found.booster["monotone_constraints"] == "(1,1,0)"
    assert found.booster["eval_metric"] == ["auc", "logloss"]
    assert found.booster["seed"] == 7
    assert "num_round" not in found.booster


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_round": "0"}, "num_round"),
        ({"learning_speed": "1"}, "Extraneous hyperparameter found: learning_speed"),
        ({"subsample": "0"}, r"subsample.*\(0, 1\]"),
        ({"subsample": "1.01"}, "subsample"),
        ({"eta": "nan"}, "eta"),
        ({"objective": "binary:magic"}, "objective"),
        ({"objective": "multi:softmax"}, "num_class"),
        ({"eval_metric": "auc,glory"}, "glory"),
        ({"monotone_constraints": "(1,2)"}, "monotone_constraints"),
        ({"max_depth": "deep"}, "max_depth"),
    ],
)
def test_a_wrong_hyperparameter_is_named(change: dict[str, str], message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        read_hyperparameters({**BLOG, **change})


def test_the_number_of_rounds_is_required() -> None:
    with pytest.raises(HyperparameterError, match="num_round"):
        read_hyperparameters({"objective": "binary:logistic"})


@pytest.mark.parametrize("value", ["0", "1"])
def test_both_ends_of_a_closed_range_are_allowed(value: str) -> None:
    assert read_hyperparameters({**BLOG, "eta": value}).booster["eta"] == float(value)


def test_an_empty_cell_is_missing() -> None:
    rows = parse(["1,,3", "4,5,"])
    assert np.isnan(rows[0, 1])
    assert np.isnan(rows[1, 2])
    assert rows.shape == (2, 3)


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(CsvError, match="line 2: 2 cells where the first line has 3"):
        parse(["1,2,3", "1,2"])


def test_all_files_of_a_channel_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b.csv").write_text("5,6\n")
    assert read_channel(tmp_path).tolist() == [[1, 2], [3, 4], [5, 6]]


def test_an_empty_channel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n")
    with pytest.raises(CsvError, match="No training data found"):
        read_channel(tmp_path)


@pytest.mark.parametrize(("line", "status"), [("Age,Shape", 415), ("1,2,3", 400), ("1", 400)])
def test_the_server_refuses_what_it_cannot_score(trained: Path, line: str, status: int) -> None:
    with pytest.raises(RefusedError) as caught:
        score(load(trained / "model"), [line])
    assert caught.value.status == status


def test_an_archive_with_other_files_is_not_served(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "xgboost-model").write_bytes((trained / "model" / "xgboost-model").read_bytes())
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(RefusedError, match="must hold one file"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (None, ["a", "b", "c"]),
        ("$", ["a", "b", "c"]),
        ("$[1:]", ["b", "c"]),
        ("$[:2]", ["a", "b"]),
        ("$[-1:]", ["c"]),
        ("$[0]", ["a"]),
        ("$[0,-1]", ["a", "c"]),
        ("$[2, 0]", ["c", "a"]),
    ],
)
def test_a_filter_keeps_its_columns(path: str | None, kept: list[str]) -> None:
    assert column_filter(path)(["a", "b", "c"]) == kept


@pytest.mark.parametrize("path", ["$.a", "$[a]", "[0]", "$[0:2:2]", ""])
def test_a_filter_of_another_form_is_refused(path: str) -> None:
    with pytest.raises(FilterError, match="isn't one of the forms"):
        column_filter(path)


def test_a_filter_for_a_missing_column_is_refused() -> None:
    with pytest.raises(FilterError, match="asks for column 3"):
        column_filter("$[0,3]")(["a", "b"])


def test_quoted_cells_survive_filters_and_joins() -> None:
    lines = ['"a,1",2', "b,"]
    assert [split_line(line) for line in filtered(lines, column_filter("$"))] == [["a,1", "2"], ["b", ""]]
    assert joined(lines, ["0.5", "0.25"]) == ['"a,1",2,0.5', "b,,0.25"]
