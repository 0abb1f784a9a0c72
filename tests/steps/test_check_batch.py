from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline_code.mammography import dataset
from pipeline_code.steps import check_batch, data_quality, prepare
from pipeline_code.steps.quality.profile import Points
from pipeline_code.steps.quality.sketch import kll
from tests.steps.steps_kit import Workbench, shipped_json


def _batch(files: dict[str, Path], name: str = dataset.BATCH) -> list[str]:
    return files[name].read_text().splitlines()


def _bytes(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _types(verdict: dict[str, Any]) -> set[tuple[str, str]]:
    return {(found["feature_name"], found["constraint_check_type"]) for found in verdict["violations"]}


def test_the_clean_batch_is_delivered_with_ids_and_repaired_features(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    verdict = bench.check("run", part1 / "baseline", files[dataset.BATCH])

    rows = len(_batch(files))
    assert (verdict["verdict"], verdict["action"], verdict["rows"]) == ("ok", "deliver", rows)
    assert bench.message == "Completed: Job completed successfully with no violations."
    prepared = bench.prepared("run")[dataset.BATCH].splitlines()
    assert [line.split(",")[0] for line in prepared] == [str(number) for number in range(1, rows + 1)]
    first = [float(cell) for cell in prepared[0].split(",")[1:]]
    assert first == [float(cell) for cell in _batch(files)[0].split(",")]


def test_the_clean_batch_with_its_missing_values_left_is_delivered_too(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    unimputed = _batch(files, dataset.BROKEN)[1:]

    verdict = bench.check("run", part1 / "baseline", _bytes(unimputed))

    assert verdict["action"] == "deliver"
    assert bench.prepared("run")["batch.csv"].splitlines()[0] == f"1,{unimputed[0]}"


def test_question_marks_and_typing_errors_are_prepared_as_in_training(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    lines = ["55,60,?,4,3", *_batch(files)[1:]]

    verdict = bench.check("run", part1 / "baseline", _bytes(lines))

    assert verdict["verdict"] == "ok"
    assert bench.prepared("run")["batch.csv"].splitlines()[0] == "1,5,60,,4,3"


@pytest.mark.parametrize("version", ["part1", "both_parts"])
def test_the_older_population_is_a_drift_that_names_age_and_its_distance(
    bench: Workbench, files: dict[str, Path], version: str, request: pytest.FixtureRequest
) -> None:
    baseline = request.getfixturevalue(version) / "baseline"

    verdict = bench.check("run", baseline, files[dataset.OUTLIERS])

    assert (verdict["verdict"], verdict["action"], verdict["violations"]) == ("drift", "withhold_drift", [])
    drifted = {found["name"]: found for found in verdict["features"] if found["drifted"]}
    assert set(drifted) == {"Age", "Margin"}
    age = drifted["Age"]
    means = f"mean {age['before']:.2f} before and {age['after']:.2f} now"
    assert f"Age (distance {age['distance']:.3f} above 0, {means})" in verdict["message"]
    assert age["after"] - age["before"] > 5
    distances = [found["distance"] for found in verdict["features"]]
    assert distances == sorted(distances, reverse=True)


def test_a_batch_that_drifted_is_not_prepared_and_the_folder_says_why(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    verdict = bench.check("run", part1 / "baseline", files[dataset.OUTLIERS])

    assert bench.prepared("run") == {"NOT_PREPARED": verdict["message"] + "\n"}
    assert bench.message.startswith("CompletedWithViolations: Job completed successfully with 2 violations.")


def test_a_batch_that_drifted_is_prepared_where_predictions_are_to_be_delivered(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    verdict = bench.check(
        "run", part1 / "baseline", files[dataset.OUTLIERS], "--predictions-on-drift", "deliver"
    )

    assert (verdict["verdict"], verdict["action"]) == ("drift", "announce_and_deliver")
    assert list(bench.prepared("run")) == [dataset.OUTLIERS]


def test_a_higher_threshold_lets_a_drift_pass(bench: Workbench, part1: Path, files: dict[str, Path]) -> None:
    verdict = bench.check("run", part1 / "baseline", files[dataset.OUTLIERS], "--drift-threshold", "0.9")

    assert verdict["verdict"] == "ok"
    assert {found["threshold"] for found in verdict["features"]} == {0.9}


def test_the_blogs_broken_file_is_a_violation_because_of_its_header(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    verdict = bench.check("run", part1 / "baseline", files[dataset.BROKEN])

    assert (verdict["verdict"], verdict["action"]) == ("violation", "withhold_violation")
    assert _types(verdict) == {("Header row", "data_type_check")}
    assert "line 1: 'BIRADS,Age,Shape,Margin,Density' is a header row" in verdict["message"]
    assert list(bench.prepared("run")) == ["NOT_PREPARED"]


def test_where_batches_have_headers_the_same_file_is_fine_and_one_without_is_not(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    bench.model_path.write_text(json.dumps(shipped_json() | {"batch_header": True}))

    named = bench.check("named", part1 / "baseline", files[dataset.BROKEN])
    bare = bench.check("bare", part1 / "baseline", files[dataset.BATCH])

    assert named["verdict"] == "ok"
    assert _types(bare) == {("Header row", "data_type_check")}
    assert "expected the header BIRADS,Age,Shape,Margin,Density" in bare["message"]


@pytest.mark.parametrize(
    ("line", "expected", "told"),
    [
        ("5,old,3,5,3", ("Age", "data_type_check"), "'old' is not a number"),
        ("5,inf,3,5,3", ("Age", "data_type_check"), "'inf' is not a number"),
        ("5,nan,3,5,3", ("Age", "data_type_check"), "'nan' is not a number; a missing value is '' or '?'"),
        ("5,60,2.5,5,3", ("Shape", "data_type_check"), "'2.5' is not an integer"),
        ("5,60,9,5,3", ("Shape", "categorical_values_check"), "'9' is not one of 1, 2, 3, 4"),
        ("5,-3,3,5,3", ("Age", "categorical_values_check"), "'-3' is below 0"),
        ("5,60,3,5,3,1", ("Extra columns", "extra_column_check"), "has 6 cells; expected 5"),
        ("5,60,3,5", ("Missing columns", "missing_column_check"), "has 4 cells; expected 5"),
    ],
)
def test_one_bad_row_is_a_violation_that_names_its_line(
    bench: Workbench,
    part1: Path,
    files: dict[str, Path],
    line: str,
    expected: tuple[str, str],
    told: str,
) -> None:
    lines = _batch(files)
    lines[6] = line

    verdict = bench.check("run", part1 / "baseline", _bytes(lines))

    assert verdict["verdict"] == "violation"
    assert _types(verdict) == {expected}
    assert "batch.csv, line 7" in verdict["message"]
    assert told in verdict["message"]
    assert verdict["rows"] == len(lines)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ("Missing columns", "missing_column_check")),
        ("5,60,3,5,3\n".encode("utf-16"), ("Unreadable file", "data_type_check")),
        (b"5,60,3,\0,3\n", ("Unreadable file", "data_type_check")),
        (b"BIRADS,Age,Shape,Margin\n5,60,3,5\n", ("Density", "missing_column_check")),
        (b"BIRADS,Age,Shape,Margin,Density,Size\n5,60,3,5,3,1\n", ("Size", "extra_column_check")),
        (b"0,1,2,3,4\n5,60,3,5,3\n", ("Header row", "data_type_check")),
    ],
)
def test_a_broken_file_is_a_violation_not_a_failure(
    bench: Workbench, part1: Path, content: bytes, expected: tuple[str, str]
) -> None:
    verdict = bench.check("run", part1 / "baseline", content)

    assert verdict["verdict"] == "violation"
    assert expected in _types(verdict)


def test_a_column_that_is_suddenly_empty_is_a_completeness_violation_and_no_drift(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    emptied = [",".join([*line.split(",")[:4], ""]) for line in _batch(files)]

    verdict = bench.check("run", part1 / "baseline", _bytes(emptied))

    assert _types(verdict) == {("Density", "completeness_check")}
    assert "0.0% of the values are there" in verdict["message"]


def test_a_violation_outranks_a_drift(bench: Workbench, part1: Path, files: dict[str, Path]) -> None:
    lines = _batch(files, dataset.OUTLIERS)
    lines[0] = "x" + lines[0]

    verdict = bench.check("run", part1 / "baseline", _bytes(lines), "--predictions-on-drift", "deliver")

    assert (verdict["verdict"], verdict["action"]) == ("violation", "withhold_violation")
    violations = json.loads((bench.root / "run/out/report/constraint_violations.json").read_text())
    kinds = {found["constraint_check_type"] for found in violations["violations"]}
    assert kinds == {"data_type_check", "baseline_drift_check"}
    assert _types(verdict) == {("BIRADS", "data_type_check")}


def test_a_message_with_many_violations_fits_a_lambda_output(bench: Workbench, part1: Path) -> None:
    lines = [f"{'x' * 200}{row},y,z,u,v" for row in range(50)]

    verdict = bench.check("run", part1 / "baseline", _bytes(lines))

    assert len(verdict["violations"]) >= 5
    assert len(verdict["message"]) < 1_024


def test_metrics_are_json_lines_with_model_monitors_names(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    bench.check("run", part1 / "baseline", files[dataset.OUTLIERS])

    path = bench.root / "output" / "metrics" / "cloudwatch" / "data_quality.jsonl"
    metrics = {line["MetricName"]: line for line in map(json.loads, path.read_text().splitlines())}
    assert metrics["feature_baseline_drift_Age"]["Value"] > 0
    assert metrics["feature_baseline_drift_BIRADS"]["Value"] == 0
    assert metrics["feature_non_null_Age"]["Value"] == 1.0
    assert metrics["feature_data_Age"]["StatisticValues"]["SampleCount"] == len(_batch(files))
    assert metrics["feature_data_Age"]["Timestamp"].endswith("Z")


def test_several_files_of_a_batch_are_checked_together_and_prepared_apart(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    lines = _batch(files)
    inputs = bench.batch_inputs("run", part1 / "baseline", _bytes(lines[:20]))
    (inputs / "batch" / "deeper").mkdir()
    (inputs / "batch" / "deeper" / "second.txt").write_bytes(_bytes(lines[20:]))

    assert bench.run(check_batch.main, inputs, bench.root / "run" / "out") == 0

    prepared = bench.root / "run" / "out" / "prepared"
    assert len((prepared / "batch.csv").read_text().splitlines()) == 20
    assert (prepared / "deeper" / "second.csv").read_text().startswith("1,")


def test_an_id_column_comes_first_and_identifies_the_predictions(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    bench.model_path.write_text(json.dumps(shipped_json() | {"id_column": "patient"}))
    lines = [f"P-{row},{line}" for row, line in enumerate(_batch(files))]

    verdict = bench.check("run", part1 / "baseline", _bytes(lines))

    assert verdict["verdict"] == "ok"
    assert bench.prepared("run")["batch.csv"].splitlines()[1].startswith("P-1,")


@pytest.mark.parametrize(
    ("row_id", "kind", "told"),
    [
        ("", "completeness_check", "every row needs an id"),
        ('"P,1"', "data_type_check", "'P,1' holds a comma, quote or line break"),
        ("P-0", "categorical_values_check", "'P-0' is the id of an earlier row too"),
    ],
)
def test_an_id_that_identifies_no_row_is_a_violation(
    bench: Workbench, part1: Path, files: dict[str, Path], row_id: str, kind: str, told: str
) -> None:
    bench.model_path.write_text(json.dumps(shipped_json() | {"id_column": "patient"}))
    lines = [f"P-{row},{line}" for row, line in enumerate(_batch(files))]
    lines[1] = f"{row_id},{_batch(files)[1]}"

    verdict = bench.check("run", part1 / "baseline", _bytes(lines))

    assert _types(verdict) == {("patient", kind)}
    assert f"batch.csv, line 2, column patient: {told}" in verdict["message"]


def test_string_columns_are_checked_against_their_values_and_scored_by_place(bench: Workbench) -> None:
    described = shipped_json()
    described["columns"].append({"name": "Site", "type": "string", "values": ["left", "right"]})
    bench.model_path.write_text(json.dumps(described))
    rows = [
        f"{3 + n % 3},{40 + n % 30},{1 + n % 4},{1 + n % 5},3,{('left', 'right')[n % 2]}" for n in range(200)
    ]
    training = bench.root / "training.csv"
    training.write_bytes(_bytes([f"{row},{n % 3 % 2}" for n, row in enumerate(rows)]))
    baseline = bench.preprocess("train", training) / "baseline"

    fine = bench.check("fine", baseline, _bytes(rows[:60]))
    one_sided = bench.check("drift", baseline, _bytes([row.replace("right", "left") for row in rows[:60]]))
    unknown = bench.check("unknown", baseline, _bytes([*rows[:59], "3,40,1,1,3,middle"]))

    assert fine["verdict"] == "ok"
    assert bench.prepared("fine")["batch.csv"].splitlines()[:2] == ["1,3,40,1,1,3,0", "2,4,41,2,2,3,1"]
    assert [found["name"] for found in one_sided["features"] if found["drifted"]] == ["Site"]
    assert _types(unknown) == {("Site", "categorical_values_check")}


def test_the_three_files_of_a_check_can_serve_as_a_baseline(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    bench.check("first", part1 / "baseline", files[dataset.BATCH])

    verdict = bench.check("second", bench.root / "first" / "out" / "report", files[dataset.BATCH])

    assert verdict["verdict"] == "ok"
    assert {found["simple"] for found in verdict["features"]} == {0.0}


def _model_monitor_baseline(folder: Path, part1: Path) -> Path:
    """Write a baseline as Model Monitor does for a headerless CSV: columns _c0.., its own settings and spelling."""
    statistics = json.loads((part1 / "baseline" / "statistics.json").read_text())
    constraints = json.loads((part1 / "baseline" / "constraints.json").read_text())
    for described in (statistics, constraints):
        for place, feature in enumerate(described["features"]):
            feature["name"] = f"_c{place}"
    constraints["features"][1]["monitoring_config_overrides"] = {
        "distribution_constraints": {"perform_comparison": "Disabled"}
    }
    constraints["monitoring_config"]["distribution_constraints"] = {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.05,
        "comparison_method": "Robust",
    }
    folder.mkdir()
    (folder / "statistics.json").write_text(json.dumps(statistics))
    (folder / "constraints.json").write_text(json.dumps(constraints))
    return folder


def test_a_baseline_of_model_monitor_is_read_with_its_overrides(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    baseline = _model_monitor_baseline(bench.root / "theirs", part1)

    verdict = bench.check("run", baseline, files[dataset.OUTLIERS])

    assert {found["name"] for found in verdict["features"]} == {"BIRADS", "Shape", "Margin", "Density"}
    assert {found["threshold"] for found in verdict["features"]} == {0.05}
    assert [found["name"] for found in verdict["features"] if found["drifted"]] == ["Margin"]


def test_a_features_own_threshold_is_kept_when_the_batch_is_given_another(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    baseline = bench.root / "own"
    baseline.mkdir()
    constraints = json.loads((part1 / "baseline" / "constraints.json").read_text())
    constraints["features"][1]["monitoringConfigOverrides"] = {
        "distribution_constraints": {"comparison_threshold": 0.5}
    }
    (baseline / "constraints.json").write_text(json.dumps(constraints))
    (baseline / "statistics.json").write_bytes((part1 / "baseline" / "statistics.json").read_bytes())

    verdict = bench.check("run", baseline, files[dataset.OUTLIERS], "--drift-threshold", "0.01")

    assert {found["name"]: found["threshold"] for found in verdict["features"]} == {
        "BIRADS": 0.01,
        "Age": 0.5,
        "Shape": 0.01,
        "Margin": 0.01,
        "Density": 0.01,
    }


def test_the_columns_of_a_baseline_that_a_batch_lacks_are_named(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    baseline = bench.root / "wider"
    baseline.mkdir()
    for name in ("statistics", "constraints"):
        described = json.loads((part1 / "baseline" / f"{name}.json").read_text())
        described["features"].append(described["features"][0] | {"name": "Severity"})
        (baseline / f"{name}.json").write_text(json.dumps(described))

    verdict = bench.check("run", baseline, files[dataset.BATCH])

    assert _types(verdict) == {("Severity", "missing_column_check")}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("not json", "constraints.json of the baseline is not JSON"),
        ("[]", "constraints.json of the baseline is not an object"),
        ("{}", "the baseline lists no features as Model Monitor does: 'features'"),
        (
            json.dumps(
                {
                    "features": [],
                    "monitoring_config": {"distribution_constraints": {"categorical_drift_method": "Cosine"}},
                }
            ),
            "categorical_drift_method must be ChiSquared or LInfinity, got 'Cosine'",
        ),
        (
            json.dumps({"features": [], "monitoring_config": {"evaluate_constraints": "yes"}}),
            "evaluate_constraints must be Enabled or Disabled, got 'yes'",
        ),
    ],
)
def test_a_baseline_that_cannot_be_read_is_named(
    bench: Workbench, part1: Path, files: dict[str, Path], change: str, told: str
) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", files[dataset.BATCH])
    (inputs / "constraints" / "constraints.json").write_text(change)

    assert bench.run(check_batch.main, inputs, bench.root / "out") == 2
    assert told in bench.message


def test_data_quality_check_gives_the_verdict_without_preparing(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", files[dataset.OUTLIERS])
    (inputs / "batch").rename(inputs / "data")

    arguments = [
        "--model",
        str(bench.model_path),
        "--input",
        str(inputs),
        "--output",
        str(bench.root / "out"),
    ]
    assert data_quality.main(["check", *arguments]) == 0

    assert bench.message == "CompletedWithViolations: Job completed successfully with 2 violations."
    assert sorted(path.name for path in (bench.root / "out").iterdir()) == ["report"]


def test_prepare_alone_writes_what_check_batch_writes(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    bench.check("run", part1 / "baseline", files[dataset.BATCH])
    inputs = bench.root / "run" / "in"

    assert bench.run(prepare.main, inputs, bench.root / "alone" / "out") == 0
    assert bench.prepared("alone") == bench.prepared("run")


def test_prepare_alone_refuses_a_row_that_does_not_fit(bench: Workbench) -> None:
    (bench.root / "in" / "batch").mkdir(parents=True)
    (bench.root / "in" / "batch" / "b.csv").write_text("5,old,3,5,3\n")

    assert bench.run(prepare.main, bench.root / "in", bench.root / "out") == 1
    assert bench.message == "b.csv, line 1, column Age: 'old' is not a number"


def test_two_files_that_would_become_one_are_named(bench: Workbench) -> None:
    (bench.root / "in" / "batch").mkdir(parents=True)
    for name in ("b.csv", "b.txt"):
        (bench.root / "in" / "batch" / name).write_text("5,60,3,5,3\n")

    assert bench.run(prepare.main, bench.root / "in", bench.root / "out") == 1
    assert bench.message == "two files of the batch would both become b.csv: rename b.txt"


def test_an_empty_batch_folder_is_bad_data(bench: Workbench, part1: Path) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", b"x")
    (inputs / "batch" / "batch.csv").unlink()

    assert bench.run(check_batch.main, inputs, bench.root / "out") == 1
    assert bench.message == "no data file in the input folder 'batch'"


def test_nothing_present_gives_a_description_without_buckets() -> None:
    assert kll(Points(np.array([]), np.array([])))["buckets"] == []
