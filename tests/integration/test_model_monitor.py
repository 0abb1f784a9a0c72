"""An installation whose batches Model Monitor checks, with a small Model Monitor in its container's place."""

from __future__ import annotations

import json
import re
import shlex
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.lookout import Run
from local_cloud.runner.quality_check import ANALYZER_VARIABLE
from tests.integration.loop import Loop, words
from tests.integration.test_drift import folder_of, measured
from tests.stacks.installations import SETTINGS
from tests.steps import model_monitor
from tests.steps.monitor_kit import as_batch, judged, lines, put
from tests.steps.steps_kit import Workbench, shipped_json

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-b")]


SIMPLE = {
    "monitoring_config": {
        "distribution_constraints": {"comparison_method": "Simple", "comparison_threshold": 0.25}
    },
    "overrides": {
        "_c1": {"datatype_check_threshold": 0.9},
        "_c3": {"distribution_constraints": {"perform_comparison": "Disabled"}},
    },
}


@contextmanager
def installed(files: Path, *edited: dict[str, Any]) -> Iterator[Loop]:
    """Version 1 is trained in dev with Model Monitor's baseline, and approved; prod has no training data."""
    command = [sys.executable, str(Path(model_monitor.__file__)), *map(json.dumps, edited)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ANALYZER_VARIABLE, shlex.join(command))
        with Loop.installed(SETTINGS["model-monitor"], files) as loop:
            loop.upload("dev")
            loop.train_and_approve()
            yield loop


@pytest.fixture(scope="module")
def watched(files: Path) -> Iterator[Loop]:
    """Model Monitor's own baseline: Robust."""
    with installed(files) as loop:
        yield loop


@pytest.fixture(scope="module")
def batches(files: Path) -> dict[str, bytes]:
    """Batches that fit, have drifted, and are broken as Model Monitor sees and as it overlooks."""
    rows = lines({path.name: path for path in files.iterdir()})
    return {
        "fits": as_batch(rows),
        "drift": as_batch(put(3, "5", slice(0, None))([list(row) for row in rows])),
        "type": as_batch(put(4, "low")([list(row) for row in rows])),
        "unknown-value": as_batch(put(2, "9")([list(row) for row in rows])),
    }


@pytest.fixture(scope="module")
def scored(watched: Loop, batches: dict[str, bytes]) -> dict[str, Run]:
    """A run on each batch, one after the other."""
    return {name: score(watched, name, content) for name, content in batches.items()}


def score(loop: Loop, name: str, content: bytes) -> Run:
    """Score a batch under a name of its own."""
    return loop.score(
        "prod", loop.put("prod", f"data/batch-dataset/{uuid.uuid4().hex[:8]}/{name}.csv", content)
    )


def home_of(watched: Loop, run: Run) -> str:
    return f"s3://{watched.stage('prod').data_bucket_name}/{folder_of(watched, run)}"


def our_verdict(loop: Loop, bench: Path, name: str, batch: bytes) -> dict[str, Any]:
    """Return what our own check says of a batch, held against the version's baseline."""
    packages = loop.client("registry", "sagemaker")
    package = packages.describe_model_package(ModelPackageName=f"{loop.package_arn}/1")
    baseline = bench / f"baseline-{name}"
    baseline.mkdir()
    for kind in ("Statistics", "Constraints"):
        uri = package["DriftCheckBaselines"]["ModelDataQuality"][kind]["S3Uri"]
        (baseline / f"{kind.lower()}.json").write_bytes(loop.read(uri))
    (bench / "model.json").write_text(json.dumps(shipped_json()))
    return Workbench(bench, bench / "model.json").check(name, baseline, batch)


def test_the_runs_give_the_verdicts_that_our_own_check_gives(
    watched: Loop,
    batches: dict[str, bytes],
    scored: dict[str, Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    for name, run in scored.items():
        own = our_verdict(watched, tmp_path, name, batches[name])
        assert (name, judged(watched.verdict(run))) == (name, judged(own))


def test_so_they_do_where_people_have_edited_the_baseline(
    files: Path, batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simple; Margin isn't compared, and one in ten of the ages may be no number."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    rows = [row.split(",") for row in batches["fits"].decode().splitlines()]
    more = {
        "older": as_batch(put(1, "90", slice(0, None))([list(row) for row in rows])),
        "one-mistyped": as_batch(put(1, "old")([list(row) for row in rows])),
    }
    expected = {
        **{"fits": "ok", "drift": "ok", "type": "violation", "unknown-value": "violation"},
        **{"older": "drift", "one-mistyped": "ok"},
    }
    with installed(files, SIMPLE) as loop:
        for name, content in {**batches, **more}.items():
            theirs = loop.verdict(score(loop, name, content))
            own = our_verdict(loop, tmp_path, name, content)
            assert (name, theirs["verdict"]) == (name, expected[name])
            assert (name, judged(theirs)) == (name, judged(own))


def test_a_batch_that_fits_is_scored_counted_and_shown(
    watched: Loop, scored: dict[str, Run], batches: dict[str, bytes]
) -> None:
    run, rows = scored["fits"], len(batches["fits"].splitlines())
    assert (run.outcome.status, run.rows_scored) == ("Succeeded", rows)
    verdict = watched.verdict(run)
    assert (verdict["action"], verdict["rows"], len(verdict["features"])) == ("deliver", rows, 5)
    (key,) = [
        key
        for key in watched.keys("prod", "state/scored/")
        if watched.read_json(f"s3://{watched.stage('prod').data_bucket_name}/{key}", "prod")["execution_id"]
        == run.outcome.execution_id
    ]
    record = watched.read_json(f"s3://{watched.stage('prod').data_bucket_name}/{key}", "prod")
    assert record["rows"] == rows
    page = watched.read(f"{home_of(watched, run)}/data-quality/report.html", "prod").decode()
    assert "looks like the training data." in page
    assert "fits.csv" in page
    # the first batch of all: Model Monitor's files are still there, beside the page
    folder = f"inference/{run.outcome.execution_id}/data-quality/"
    assert {key.rsplit("/", 1)[-1] for key in watched.keys("prod", folder)} == {
        *("statistics.json", "constraints.json", "constraint_violations.json"),
        *("verdict.json", "report.html", "metrics.json"),
    }


def test_a_drift_has_a_page_that_its_alert_leads_to_and_numbers_that_the_dashboard_draws(
    watched: Loop, scored: dict[str, Run]
) -> None:
    run = scored["drift"]
    assert words(run).startswith("DataDriftDetected: drifted from the training baseline: Margin ")
    home = home_of(watched, run)
    page = watched.read(f"{home}/data-quality/report.html", "prod").decode()
    assert "<bdi>Margin</bdi> has moved away from the training data" in page
    assert "Of the last 2 batches 1 drifted" in page
    (alert,) = watched.alerts(run)
    assert f"{home}/data-quality/report.html report.html && python3 -m webbrowser" in alert["body"]

    (margin,) = [item for item in watched.verdict(run)["features"] if item["drifted"]]
    for name, value in {
        "DriftDetected": 1,
        "FeaturesDrifted": 1,
        "LargestDistance": margin["distance"],
        "feature_baseline_drift_Margin": margin["distance"],
        "feature_non_null_Age": 1,
    }.items():
        assert value in measured(watched, name), name
    rows = sum(watched.verdict(one)["rows"] for one in scored.values())
    assert sum(measured(watched, "feature_data_Age", "SampleCount")) == rows
    drawn = dashboard_metrics(watched)
    assert {"LargestDistance", "feature_baseline_drift_Margin", "feature_non_null_Age"} <= drawn
    metrics = watched.read_json(f"{home}/data-quality/metrics.json", "prod")["metrics"]
    put_names = {line["MetricName"] for line in metrics if not line["MetricName"].startswith("feature_data_")}
    assert put_names <= drawn


def test_what_model_monitor_overlooks_is_a_violation_with_a_page(
    watched: Loop, scored: dict[str, Run]
) -> None:
    run = scored["unknown-value"]
    assert words(run).startswith("DataQualityViolated: failed checks: Shape: categorical_values_check")
    (alert,) = watched.alerts(run)
    assert "report.html" in alert["body"]
    page = watched.read(f"{home_of(watched, run)}/data-quality/report.html", "prod").decode()
    assert "breaks 1 rule, so it was not scored." in page
    assert watched.keys("prod", f"inference/{run.outcome.execution_id}/prepared/")[0].endswith("NOT_PREPARED")
    found = watched.read_json(f"{home_of(watched, run)}/data-quality/constraint_violations.json", "prod")
    assert found["violations"] == []


def test_the_history_holds_the_distances_that_are_known(watched: Loop, scored: dict[str, Run]) -> None:
    bucket = watched.stage("prod").data_bucket_name
    records = {
        record["execution_id"]: record
        for key in watched.keys("prod", "state/batches/")
        if (record := watched.read_json(f"s3://{bucket}/{key}", "prod"))
    }
    found = {name: records[run.outcome.execution_id] for name, run in scored.items()}
    assert {name: record["verdict"] for name, record in found.items()} == {
        **{"fits": "ok", "drift": "drift"},
        **{"type": "violation", "unknown-value": "violation"},
    }
    assert {name: set(record["features"]) for name, record in found.items()} == {
        **{"fits": set(), "drift": {"Margin"}},
        **{"type": set(), "unknown-value": set()},
    }


def dashboard_metrics(watched: Loop) -> set[str]:
    """Return the names of all metrics that the model's dashboard in prod draws."""
    cloudwatch = watched.client("prod", "cloudwatch")
    (board,) = cloudwatch.list_dashboards()["DashboardEntries"]
    body: Any = json.loads(cloudwatch.get_dashboard(DashboardName=board["DashboardName"])["DashboardBody"])
    return set(re.findall(r'"cdk-mlops", ?"([^"]+)"', json.dumps(body)))
