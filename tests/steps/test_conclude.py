"""What follows Model Monitor's check: the final verdict, the page, the metrics, and rows to score."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.mammography import dataset
from pipeline_code.steps import conclude
from tests.steps.model_monitor import analyze
from tests.steps.monitor_kit import as_batch, concluded, judged, lines, monitored, put, rebased
from tests.steps.steps_kit import Workbench, shipped_json

Json = dict[str, Any]


@pytest.fixture
def baseline(bench: Workbench, part1: Path) -> Path:
    return rebased(part1 / "baseline", bench.root / "baseline", "Robust")


def report_of(bench: Workbench, name: str = "run") -> Path:
    return bench.root / name / "out" / "report"


def page_of(bench: Workbench, name: str = "run") -> str:
    return (report_of(bench, name) / "report.html").read_text()


def seen(page: str) -> str:
    """Return the words of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)).split())


def metrics_of(bench: Workbench, name: str = "run") -> dict[str, Json]:
    lines = json.loads((report_of(bench, name) / "metrics.json").read_text())["metrics"]
    return {line["MetricName"]: line for line in lines}


# --- what AWS publishes, written by hand
# https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-violations.html

PUBLISHED = {
    "violations": [
        {
            "feature_name": "_c1",
            "constraint_check_type": "baseline_drift_check",
            "description": "Baseline drift distance: 0.3135593220338983 exceeds threshold: 0.1",
        },
        {
            "feature_name": "_c3",
            "constraint_check_type": "baseline_drift_check",
            "description": "Baseline drift distance: 1.5E-1 exceeds threshold: 0.1",
        },
    ]
}
TYPE = {
    "feature_name": "_c2",
    "constraint_check_type": "data_type_check",
    "description": "Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%."
    " Observed: Only 99.0% of data is Integral.",
}
EXTRA = {
    "feature_name": "Extra columns",
    "constraint_check_type": "extra_column_check",
    "description": "There are extra columns in current dataset. Number of columns in current dataset: 6,"
    " Number of columns in baseline constraints: 5",
}


def statistics(rows: int = 48, columns: int = 5) -> Json:
    """Return a statistics.json in the published shape; Model Monitor's sketch and buckets of one value."""
    kll = {
        "buckets": [{"lower_bound": 3.0, "upper_bound": 3.0, "count": float(rows)}],
        "sketch": {"parameters": {"c": 0.64, "k": 2048.0}, "data": [[3.0] * rows]},
    }
    numbers = {
        "common": {"num_present": rows, "num_missing": 0},
        "mean": 3.0,
        "sum": 3.0 * rows,
        "std_dev": 0.0,
        "min": 3.0,
        "max": 3.0,
        "distribution": {"kll": kll},
    }
    features = [
        {"name": f"_c{at}", "inferred_type": "Integral", "numerical_statistics": numbers}
        for at in range(columns)
    ]
    return {"version": 0.0, "dataset": {"item_count": rows}, "features": features}


def given(
    bench: Workbench, baseline: Path, batch: bytes, report: Json, described: Json, **more: Json
) -> Path:
    """Lay out what the program finds after Model Monitor; return the folder of inputs."""
    inputs = bench.batch_inputs("run", baseline, batch)
    files = {"constraint_violations": report, "statistics": described}
    (inputs / "report").mkdir()
    for name, content in {**files, **more}.items():
        (inputs / "report" / f"{name}.json").write_text(json.dumps(content))
    return inputs


def test_a_published_violations_file_gives_our_verdict_in_the_models_names(
    bench: Workbench, baseline: Path, files: dict[str, Path]
) -> None:
    inputs = given(bench, baseline, as_batch(lines(files)), PUBLISHED, statistics())

    verdict = concluded(bench, "run", inputs)

    assert judged(verdict) == ("drift", "withhold_drift", {"Age", "Margin"}, set())
    assert [item["distance"] for item in verdict["features"][:2]] == [0.3135593220338983, 0.15]
    assert {item["threshold"] for item in verdict["features"][:2]} == {0.1}
    expected = "drifted from the training baseline: Age 0.314 (limit 0.1), Margin 0.15 (limit 0.1)"
    assert verdict["message"] == expected
    assert bench.prepared("run") == {"NOT_PREPARED": expected + "\n"}
    assert bench.message == f"Completed: nothing is prepared. {expected}"


def test_published_violations_of_a_broken_batch_outrank_its_drift(
    bench: Workbench, baseline: Path, files: dict[str, Path]
) -> None:
    report = {"violations": [*PUBLISHED["violations"], TYPE]}
    inputs = given(bench, baseline, as_batch(lines(files)), report, statistics(rows=47))

    verdict = concluded(bench, "run", inputs, deliver=True)

    assert judged(verdict) == ("violation", "withhold_violation", {"Age", "Margin"}, {"Shape"})
    assert verdict["message"].startswith("failed checks: Shape: data_type_check, Data type match")
    assert verdict["rows"] == 47


def test_columns_that_nobody_can_name_keep_model_monitors_names(
    bench: Workbench, baseline: Path, files: dict[str, Path]
) -> None:
    batch = as_batch([[*row, "1"] for row in lines(files)])
    inputs = given(bench, baseline, batch, {"violations": [EXTRA, TYPE]}, statistics(columns=6))

    verdict = concluded(bench, "run", inputs)

    assert judged(verdict)[3] == {"Extra columns", "_c2"}
    words = seen(page_of(bench))
    assert "breaks 2 rules" in words
    assert EXTRA["description"] in words


def test_a_text_column_and_named_columns_are_judged_alike(bench: Workbench, files: dict[str, Path]) -> None:
    """Both read a baseline that Model Monitor made."""
    model = shipped_json()
    model["batch_header"] = True
    for column in model["columns"]:
        if column["name"] == "Shape":
            column |= {"type": "string", "values": []}
    bench.model_path.write_text(json.dumps(model))
    names = [column["name"] for column in model["columns"]]
    words = {"1": "round", "2": "oval", "3": "lobular", "4": "irregular"}
    rows = [[words[c] if at == 2 else c for at, c in enumerate(row)] for row in lines(files)]
    data = bench.root / "data"
    data.mkdir()
    (data / "features.csv").write_bytes(as_batch([names, *rows * 10]))
    form = json.dumps({"csv": {"header": True}})
    made = bench.root / "made"
    analyze({"dataset_source": str(data), "dataset_format": form, "output_path": str(made)})

    changes = {
        "same": (rows, names, "ok", set(), set()),
        "unknown-word": (
            [[*rows[0][:2], "square", *rows[0][3:]], *rows[1:]],
            names,
            "violation",
            set(),
            {"Shape"},
        ),
        "other-words": ([[*row[:2], "oval", *row[3:]] for row in rows], names, "drift", {"Shape"}, set()),
        "missing": ([row[:4] for row in rows], names[:4], "violation", set(), None),
        "extra": ([[*row, "1"] for row in rows], [*names, "Weight"], "violation", set(), None),
    }
    for case, (table, head, verdict, drifted, violated) in changes.items():
        batch = as_batch([head, *table])
        own = bench.check(f"own-{case}", made, batch)
        other = monitored(bench, f"theirs-{case}", made, batch, header=True)
        assert (case, *judged(other)[:3]) == (case, *judged(own)[:3])
        assert (other["verdict"], judged(other)[2]) == (verdict, drifted)
        if violated is not None:
            assert judged(other)[3] == judged(own)[3] == violated
        else:
            # ours names the column, Model Monitor says how many there are
            kind = {"missing": "missing_column_check", "extra": "extra_column_check"}[case]
            assert {kind} == {item["constraint_check_type"] for item in own["violations"]}
            assert {kind} == {item["constraint_check_type"] for item in other["violations"]}


# --- the page, the metrics, the history


def test_the_page_shows_the_drifted_features_first_and_what_is_not_known(
    bench: Workbench, baseline: Path, files: dict[str, Path]
) -> None:
    monitored(bench, "run", baseline, as_batch(lines(files, dataset.OUTLIERS)))

    words = seen(page_of(bench))
    assert "Age and Margin have moved away from the training data; the batch was not scored." in words
    assert "2 of 5 features drifted" in words
    table = words[words.index("Features by distance") :]
    order = sorted(["BIRADS", "Age", "Shape", "Margin", "Density"], key=table.index)
    assert set(order[:2]) == {"Age", "Margin"}
    assert table.count("not known") >= 3
    assert "Checked by Model Monitor. It tells a distance only where a feature has drifted" in words
    assert "_c1" not in words
    assert dataset.OUTLIERS not in words  # the batch's own file is named
    assert "batch.csv" in words


@pytest.mark.parametrize(
    ("source", "change", "told"),
    [
        (dataset.BATCH, None, "looks like the training data."),
        (dataset.BATCH, put(2, "9"), "breaks 1 rule, so it was not scored."),
        (dataset.BATCH, put(1, "old"), "breaks 1 rule, so it was not scored."),
    ],
    ids=["clean", "overlooked", "violated"],
)
def test_there_is_a_page_whatever_the_verdict(
    bench: Workbench, baseline: Path, files: dict[str, Path], source: str, change: Any, told: str
) -> None:
    table = lines(files, source)
    monitored(bench, "run", baseline, as_batch(change(table) if change else table))
    assert told in seen(page_of(bench))
    assert "0 of 5 features drifted" in seen(page_of(bench))


def test_the_page_of_our_own_check_names_no_other(
    bench: Workbench, baseline: Path, files: dict[str, Path]
) -> None:
    bench.check("run", baseline, as_batch(lines(files)))
    assert "Checked by Model Monitor" not in page_of(bench)


def test_the_page_shows_the_last_batches(bench: Workbench, baseline: Path, files: dict[str, Path]) -> None:
    before = [
        {
            "verdict": "drift",
            "rows": 50,
            "checked_at": f"2026-11-{day}T08:00:00+00:00",
            "features": {"Age": 0.2},
        }
        for day in (18, 19)
    ]
    inputs = bench.root / "run" / "in"
    (inputs / "history").mkdir(parents=True)
    (inputs / "history" / "history.json").write_text(json.dumps(before))

    monitored(bench, "run", baseline, as_batch(lines(files, dataset.OUTLIERS)))

    words = seen(page_of(bench))
    assert (
        "Of the last 3 batches 3 drifted and 0 were broken. This is the 3rd drifted batch in a row." in words
    )
    assert re.search(
        r"Distance of Age in the last batches, oldest first: 0\.2, 0\.2, 0\.\d+\.", page_of(bench)
    )


def test_the_metrics_are_model_monitors_and_hold_what_is_known(
    bench: Workbench, baseline: Path, files: dict[str, Path]
) -> None:
    table = put(0, "", slice(0, 30))(lines(files, dataset.OUTLIERS))
    verdict = monitored(bench, "run", baseline, as_batch(table))
    bench.check("own", baseline, as_batch(table))

    metrics, ours = metrics_of(bench), metrics_of(bench, "own")
    distances = {
        item["name"]: item["distance"] for item in verdict["features"] if item["distance"] is not None
    }
    assert set(distances) == {"Age", "Margin"}
    unknown = {f"feature_baseline_drift_{name}" for name in ("BIRADS", "Shape", "Density")}
    assert set(metrics) == set(ours) - unknown
    for name, line in metrics.items():
        if name.startswith("feature_data_"):
            assert line["StatisticValues"] == pytest.approx(ours[name]["StatisticValues"])
        else:
            assert line["Value"] == pytest.approx(ours[name]["Value"])
    assert metrics["feature_non_null_BIRADS"]["Value"] == pytest.approx(1 - 30 / len(table))


def test_a_feature_that_shall_emit_no_metrics_emits_none(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    silent = rebased(
        part1 / "baseline", bench.root / "silent", "Robust", {"Age": {"emit_metrics": "Disabled"}}
    )
    monitored(bench, "run", silent, as_batch(lines(files)))
    assert {name.rsplit("_", 1)[-1] for name in metrics_of(bench)} == {"BIRADS", "Shape", "Margin", "Density"}


# --- what is missing or broken


@pytest.mark.parametrize(
    "described",
    [{}, {"dataset": {"item_count": 48}, "features": "many"}, {"features": [{"name": 1}]}, [1]],
    ids=["empty", "text", "nameless", "list"],
)
def test_statistics_that_can_not_be_read_cost_pictures_and_metrics_only(
    bench: Workbench, baseline: Path, files: dict[str, Path], described: Any
) -> None:
    verdict = {
        "verdict": "ok",
        "action": "deliver",
        "features": [],
        "violations": [],
        "message": "no violation",
    }
    inputs = given(bench, baseline, as_batch(lines(files)), {}, described, verdict=verdict)

    assert bench.run(conclude.main, inputs, bench.root / "run" / "out") == 0, bench.message

    written = json.loads((report_of(bench) / "verdict.json").read_text())
    assert (written["action"], written["rows"]) == ("deliver", len(lines(files)))
    assert len(bench.prepared("run")["batch.csv"].splitlines()) == len(lines(files))
    assert "looks like the training data" in seen(page_of(bench))
    assert not (report_of(bench) / "metrics.json").exists()


def test_a_baseline_that_can_not_be_read_leaves_the_models_description(
    bench: Workbench, baseline: Path, files: dict[str, Path]
) -> None:
    for folder, batch, action in (
        ("good", lines(files), "deliver"),
        ("bad", put(2, "9")(lines(files)), "withhold_violation"),
    ):
        inputs = bench.batch_inputs(folder, baseline, as_batch(batch))
        (inputs / "constraints" / "constraints.json").write_text("{")
        (inputs / "report").mkdir()
        for name, content in (("constraint_violations", {}), ("statistics", statistics())):
            (inputs / "report" / f"{name}.json").write_text(json.dumps(content))
        assert concluded(bench, folder, inputs)["action"] == action


def test_a_page_that_can_not_be_made_stops_no_batch(
    bench: Workbench,
    baseline: Path,
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> str:
        raise ZeroDivisionError("no paper")

    monkeypatch.setattr("pipeline_code.steps.quality.page_files.render", broken)
    monkeypatch.setattr(conclude, "feature_metrics", broken)
    verdict = monitored(bench, "run", baseline, as_batch(lines(files)))
    assert verdict["action"] == "deliver"
    assert list(bench.prepared("run")) == ["batch.csv"]
    said = capsys.readouterr().err
    assert "no report.html: ZeroDivisionError: no paper" in said
    assert "no metrics.json: ZeroDivisionError: no paper" in said


@pytest.mark.parametrize("cell", ["9", "-5"])
def test_a_job_that_is_tried_again_says_the_same(
    bench: Workbench, baseline: Path, files: dict[str, Path], cell: str
) -> None:
    """Its first attempt has written into the folder that it reads."""
    at = {"9": 2, "-5": 1}[cell]
    first = monitored(bench, "run", baseline, as_batch(put(at, cell)(lines(files, dataset.OUTLIERS))))
    shutil.copytree(report_of(bench), bench.root / "run" / "in" / "report", dirs_exist_ok=True)

    assert bench.run(conclude.main, bench.root / "run" / "in", bench.root / "again") == 0

    assert json.loads((bench.root / "again" / "report" / "verdict.json").read_text()) == first
    assert first["verdict"] == "violation"


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        ("{", "verdict.json of Model Monitor's check can't be read"),
        ("[]", "lists no features and violations"),
        ('{"features": [], "violations": [1]}', "lists no features and violations"),
        (
            '{"features": [], "violations": [], "verdict": "fine"}',
            "must be ok, drift or violation, got 'fine'",
        ),
        (None, "verdict.json of Model Monitor's check can't be read"),
    ],
)
def test_a_verdict_that_is_none_scores_nothing(
    bench: Workbench, baseline: Path, files: dict[str, Path], verdict: str | None, told: str
) -> None:
    inputs = given(bench, baseline, as_batch(lines(files)), {}, statistics())
    if verdict is not None:
        (inputs / "report" / "verdict.json").write_text(verdict)
    assert bench.run(conclude.main, inputs, bench.root / "run" / "out") == 2
    assert told in bench.message
    assert list((bench.root / "run" / "out" / "prepared").iterdir()) == []
    assert not (report_of(bench) / "verdict.json").exists()
