from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pipeline_code.mammography import dataset
from pipeline_code.steps import data_quality, preprocess
from tests.steps.steps_kit import Workbench, shipped_json


def _rows(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def test_every_row_goes_to_one_side_with_its_label_first_and_no_header(
    part1: Path, files: dict[str, Path]
) -> None:
    train, holdout = _rows(part1 / "train" / "train.csv"), _rows(part1 / "holdout" / "holdout.csv")

    given = _rows(files[dataset.PART1])[1:]
    wanted = sorted([row[-1], *(cell.replace("?", "") for cell in row[:-1])] for row in given)
    repaired = sorted([row[0], "5" if row[1] == "55" else row[1], *row[2:]] for row in wanted)
    assert sorted(train + holdout) == repaired
    assert 0.15 < len(holdout) / len(given) < 0.25


def test_no_features_are_on_both_sides(both_parts: Path) -> None:
    train = {tuple(row[1:]) for row in _rows(both_parts / "train" / "train.csv")}
    holdout = {tuple(row[1:]) for row in _rows(both_parts / "holdout" / "holdout.csv")}

    assert not train & holdout


def test_no_training_row_moves_to_the_holdout_as_data_grow(part1: Path, both_parts: Path) -> None:
    before = {tuple(row) for row in _rows(part1 / "train" / "train.csv")}
    after = {tuple(row) for row in _rows(both_parts / "holdout" / "holdout.csv")}
    held_before = {tuple(row) for row in _rows(part1 / "holdout" / "holdout.csv")}

    assert not before & after
    assert held_before <= after


def test_the_typing_error_55_is_read_as_5_and_told(both_parts: Path) -> None:
    rows = _rows(both_parts / "train" / "train.csv") + _rows(both_parts / "holdout" / "holdout.csv")
    summary = json.loads((both_parts / "summary" / "summary.json").read_text())

    assert "55" not in {row[1] for row in rows}
    assert {"0", "6"} <= {row[1] for row in rows}
    assert summary["repairs"] == [{"column": "BIRADS", "from": 55, "to": 5, "rows": 1}]


def test_the_baseline_describes_the_raw_features_of_all_rows(
    both_parts: Path, files: dict[str, Path]
) -> None:
    statistics = json.loads((both_parts / "baseline" / "statistics.json").read_text())
    given = _rows(files[dataset.PART1])[1:] + _rows(files[dataset.PART2])[1:]

    birads = statistics["features"][0]
    assert statistics["dataset"]["item_count"] == len(given)
    assert [feature["name"] for feature in statistics["features"]] == dataset.FEATURES
    assert birads["numerical_statistics"]["max"] == 55.0
    missing = sum(row[0] == "?" for row in given)
    assert birads["numerical_statistics"]["common"] == {
        "num_present": len(given) - missing,
        "num_missing": missing,
    }


def test_the_summary_counts_rows_and_names_the_files(part1: Path, files: dict[str, Path]) -> None:
    summary = json.loads((part1 / "summary" / "summary.json").read_text())

    digest = hashlib.sha256(files[dataset.PART1].read_bytes()).hexdigest()
    assert summary["rows"] == summary["train_rows"] + summary["holdout_rows"] == summary["files"][0]["rows"]
    assert summary["files"][0]["sha256"] == digest
    assert summary["sha256"] == hashlib.sha256(f"{digest}  {dataset.PART1}\n".encode()).hexdigest()


def test_the_same_rows_with_names_for_a_header_or_none_give_the_same_output(
    bench: Workbench, files: dict[str, Path], part1: Path
) -> None:
    lines = files[dataset.PART1].read_text().splitlines()[1:]
    turned = [",".join(reversed(line.split(","))) for line in lines]
    bare, named = bench.root / "bare.csv", bench.root / "named.csv"
    bare.write_text("\r\n".join(lines) + "\r\n")
    named.write_text("\n".join([",".join(reversed(dataset.COLUMNS)).upper(), *turned]))

    for name, file in (("bare", bare), ("named", named)):
        output = bench.preprocess(f"run-{name}", file)
        for part in ("train/train.csv", "holdout/holdout.csv", "baseline/statistics.json"):
            assert (output / part).read_bytes() == (part1 / part).read_bytes()


def test_the_raw_features_lie_ready_for_a_monitor_of_another_make(
    part1: Path, files: dict[str, Path]
) -> None:
    rows = _rows(part1 / "features" / "features.csv")
    given = [
        line.replace("?", "").rsplit(",", 1)[0] for line in files[dataset.PART1].read_text().splitlines()[1:]
    ]

    assert [",".join(row) for row in rows] == given


def test_data_quality_baseline_writes_what_preprocess_writes(
    bench: Workbench, files: dict[str, Path], part1: Path
) -> None:
    (bench.root / "in" / "data").mkdir(parents=True)
    (bench.root / "in" / "data" / dataset.PART1).write_bytes(files[dataset.PART1].read_bytes())

    arguments = ["--model", str(bench.model_path), "--input", str(bench.root / "in")]
    code = data_quality.main(["baseline", *arguments, "--output", str(bench.root / "out")])

    assert code == 0
    for name in ("statistics.json", "constraints.json"):
        assert (bench.root / "out/baseline" / name).read_bytes() == (part1 / "baseline" / name).read_bytes()


GOOD = "5,67,3,5,3,1\n4,43,1,1,?,0\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "data.csv: the file is empty; expected BIRADS, Age, Shape, Margin, Density, Severity"),
        (b"BIRADS,Age,Shape,Margin,Density,Severity\n", "data.csv: the file holds no rows"),
        (
            b"5,67,3,5,3\n",
            "data.csv, line 1: has 5 cells; expected 6: BIRADS,Age,Shape,Margin,Density,Severity",
        ),
        (GOOD.encode() + b"5,67,3,5,3,1,9\n", "data.csv, line 3: has 7 cells; expected 6"),
        (GOOD.encode() + b"5,old,3,5,3,1\n", "data.csv, line 3, column Age: 'old' is not a number"),
        (GOOD.encode() + b"5.5,67,3,5,3,1\n", "data.csv, line 3, column BIRADS: '5.5' is not an integer"),
        (
            GOOD.encode() + b"5,NaN,3,5,3,1\n",
            "column Age: 'NaN' is not a number; a missing value is '' or '?'",
        ),
        (GOOD.encode() + b"5,inf,3,5,3,1\n", "column Age: 'inf' is not a number"),
        (GOOD.encode() + b"5,1_0,3,5,3,1\n", "column Age: '1_0' is not a number"),
        (GOOD.encode() + b"5,200,3,5,3,1\n", "column Age: '200' is above 120"),
        (GOOD.encode() + b"7,60,3,5,3,1\n", "column BIRADS: '7' is above 6"),
        (GOOD.encode() + b"5,60,9,5,3,1\n", "column Shape: '9' is not one of 1, 2, 3, 4"),
        (GOOD.encode() + b"5,60,3,5,3,?\n", "column Severity: is missing, and model.yaml requires it"),
        (GOOD.encode() + b"5,60,3,5,3,2\n", "column Severity: '2' is not one of 0, 1"),
        (b"BIRADS,Age,Shape,Margin,Severity\n5,67,3,5,1\n", "line 1, column Density: is not in the header"),
        (
            b"BIRADS,Age,Shape,Margin,Density,Severity,Height\n5,67,3,5,3,1,170\n",
            "line 1, column Height: is not a column of model.yaml",
        ),
        (
            b"Age,BIRADS,Age,Shape,Margin,Density,Severity\n6,5,67,3,5,3,1\n",
            "line 1, column Age: is in the header twice",
        ),
        (GOOD.encode("utf-16"), "byte 1 is 0xff: the file is not UTF-8"),
        (b"5,67,\0,5,3,1\n", "the file holds NUL bytes: it is not a CSV file"),
        (b'5,67,3,5,3,1\n"5,67,3,5,3,1\n', "data.csv, line 2: is not CSV"),
    ],
)
def test_bad_data_give_one_line_that_names_file_line_and_value(
    bench: Workbench, content: bytes, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.root / "in" / "data").mkdir(parents=True)
    (bench.root / "in" / "data" / "data.csv").write_bytes(content)

    assert bench.run(preprocess.main, bench.root / "in", bench.root / "out") == 1
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert bench.message == said.strip()


def test_an_empty_folder_is_named(bench: Workbench) -> None:
    (bench.root / "in" / "data").mkdir(parents=True)
    (bench.root / "in" / "data" / "notes.txt").write_text("hello")

    assert bench.run(preprocess.main, bench.root / "in", bench.root / "out") == 1
    assert bench.message == "no .csv file in the input folder 'data'; there is notes.txt"


def test_too_few_rows_for_both_sides_are_refused(bench: Workbench) -> None:
    (bench.root / "in" / "data").mkdir(parents=True)
    (bench.root / "in" / "data" / "data.csv").write_text(GOOD)

    assert bench.run(preprocess.main, bench.root / "in", bench.root / "out") == 1
    assert "the data are too few" in bench.message


def test_a_missing_model_json_is_not_called_bad_data(bench: Workbench) -> None:
    bench.model_path.unlink()

    assert bench.run(preprocess.main, bench.root / "in", bench.root / "out") == 2
    assert bench.message == "no model.json beside the steps; name it with --model"


def test_a_damaged_model_json_is_named(bench: Workbench) -> None:
    bench.model_path.write_text(json.dumps({key: v for key, v in shipped_json().items() if key != "columns"}))

    assert bench.run(preprocess.main, bench.root / "in", bench.root / "out") == 2
    assert (
        "model.json is not a compiled model description ('columns'); run `make definitions`" in bench.message
    )
