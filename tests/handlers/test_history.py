"""What a run leaves of a checked batch, for the next one and for CloudWatch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model_resolver.handler import resolve
from shared.history import MOST_BATCHES, MOST_FEATURES, last_batches
from shared.objects import ObjectStore
from tests.handlers.fake_aws import group_arn, refusal
from tests.handlers.test_model_resolver import BATCH, DATA, GROUP, metrics
from tests.handlers.test_model_resolver import World as Resolving
from tests.handlers.test_run_recorder import FOLDER, VERDICT
from tests.handlers.test_run_recorder import World as Recording

STARTED = "2026-11-20T22:58:30.123Z"
RECORD = "model/state/batches/20261120T225830Z-run1.json"
OWN = "data"
OK = {**VERDICT, "verdict": "ok", "action": "deliver", "features": [{"name": "Age", "distance": 0.0}]}
LINES = {
    "metrics": [
        {"MetricName": "feature_baseline_drift_Age", "Timestamp": "t", "Dimensions": [], "Value": 0.55},
        {
            "MetricName": "feature_data_Age",
            "StatisticValues": {"SampleCount": 48.0, "Sum": 3000.0, "Minimum": 30.0, "Maximum": 80.0},
        },
    ]
}


@pytest.fixture
def recording() -> Recording:
    made = Recording()
    made.s3.put(OWN, "model/inference/run1/predictions/a.out")
    return made


@pytest.fixture
def resolving() -> Resolving:
    made = Resolving()
    made.s3.put(DATA, BATCH, b"1,2,3\n")
    made.sagemaker.add_version(GROUP, "Approved", **metrics("one"))
    return made


def resolved(world: Resolving, kind: str = "inference") -> dict[str, str]:
    event = {
        "action": "resolve_model",
        "model_package_group_arn": group_arn(GROUP),
        "transform_input": f"s3://{DATA}/{BATCH}",
        "started_at": STARTED,
        "rescore": "false",
        "run_uri": f"s3://{DATA}/model/{kind}",
        "execution_id": "run9",
    }
    return resolve(world.resolver, event)


def laid(world: Resolving, kind: str = "inference") -> Any:
    return json.loads(world.s3.objects[DATA][f"model/{kind}/run9/history/history.json"])


def sent(world: Recording) -> dict[str, Any]:
    return {
        one["MetricName"]: one
        for call in world.cloudwatch.called("PutMetricData")
        for one in call["MetricData"]
    }


def test_a_finding_is_remembered_by_the_start_of_its_run(recording: Recording) -> None:
    recording.announce(started_at=STARTED, batch_digest="d1")

    assert recording.s3.json(OWN, RECORD) == {
        "verdict": "drift",
        "message": "Age drifted",
        "rows": 48,
        "model_version": "1",
        "batch_uri": "s3://data/batch.csv",
        "batch_digest": "d1",
        "execution_id": "run1",
        "checked_at": "2026-11-20T23:00:00+00:00",
        "features": {"Age": 0.5512, "Margin": 0.21, "Shape": 0.02},
    }


def test_a_finding_is_remembered_before_it_is_announced(recording: Recording) -> None:
    recording.events.refuse = True

    with pytest.raises(Exception, match="PutEvents failed"):
        recording.announce(started_at=STARTED)

    assert RECORD in recording.s3.objects[OWN]


def test_a_batch_that_was_scored_is_remembered(recording: Recording) -> None:
    recording.s3.put(OWN, f"{FOLDER}/verdict.json", OK)

    recording.predictions(started_at=STARTED)

    assert recording.s3.json(OWN, RECORD)["verdict"] == "ok"
    assert recording.s3.json(OWN, RECORD)["features"] == {"Age": 0.0}


def test_a_drift_that_is_delivered_is_remembered_once(recording: Recording) -> None:
    recording.announce(started_at=STARTED, delivered="true", batch_digest="d1")
    first = recording.s3.json(OWN, RECORD)

    recording.predictions(started_at=STARTED)

    records = [key for key in recording.s3.objects[OWN] if key.startswith("model/state/batches/")]
    assert records == [RECORD]
    assert recording.s3.json(OWN, RECORD) == first


def test_a_check_is_not_remembered_nor_measured(recording: Recording) -> None:
    recording.s3.put(OWN, "model/checks/run1/data-quality/verdict.json", VERDICT)
    recording.s3.put(OWN, "model/checks/run1/predictions/a.out")

    recording.announce(verdict_uri=f"s3://{OWN}/model/checks/run1/data-quality/verdict.json")
    recording.predictions(predictions_uri=f"s3://{OWN}/model/checks/run1/predictions")

    assert not [key for key in recording.s3.objects[OWN] if "/state/" in key]
    assert recording.cloudwatch.values() == {}


def test_a_record_that_can_not_be_written_fails_no_run(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    recording.s3.fail("PutObject", refusal("AccessDenied"))

    assert recording.announce(started_at=STARTED).startswith("drifted")

    assert "missing in the history" in capsys.readouterr().out
    assert len(recording.events.details()) == 1


def test_a_record_holds_the_farthest_features_only(recording: Recording) -> None:
    features = [{"name": f"f{place}", "distance": 1 - place / 1000, "drifted": True} for place in range(900)]

    recording.announce({**VERDICT, "features": features}, started_at=STARTED)

    held = recording.s3.json(OWN, RECORD)["features"]
    assert len(held) == MOST_FEATURES
    assert "f0" in held
    assert "f899" not in held


def test_the_next_run_gets_the_newest_batches_oldest_first(resolving: Resolving) -> None:
    for day in range(1, 26):
        resolving.s3.put(DATA, f"model/state/batches/202610{day:02}T080000Z-run.json", {"rows": day})

    assert resolved(resolving)["history_uri"] == f"s3://{DATA}/model/inference/run9/history/history.json"

    assert [batch["rows"] for batch in laid(resolving)] == list(range(26 - MOST_BATCHES, 26))


def test_the_first_run_gets_an_empty_history(resolving: Resolving) -> None:
    resolved(resolving)

    assert laid(resolving) == []


def test_a_check_gets_the_history_in_its_own_folder(resolving: Resolving) -> None:
    resolving.s3.put(DATA, "model/state/batches/20261001T080000Z-run.json", {"rows": 7})

    resolved(resolving, "checks")

    assert laid(resolving, "checks") == [{"rows": 7}]
    assert not [key for key in resolving.s3.objects[DATA] if key.startswith("model/inference/")]


def test_another_models_batches_are_not_read(resolving: Resolving) -> None:
    resolving.s3.put(DATA, "model--branch/state/batches/20261001T080000Z-run.json", {"rows": 7})

    resolved(resolving)

    assert laid(resolving) == []


def test_a_record_that_can_not_be_read_is_left_out(resolving: Resolving) -> None:
    resolving.s3.put(DATA, "model/state/batches/20261001T080000Z-a.json", b"{")
    resolving.s3.put(DATA, "model/state/batches/20261002T080000Z-b.json", {"rows": 2})

    resolved(resolving)

    assert laid(resolving) == [{"rows": 2}]


def test_a_history_that_can_not_be_listed_stops_no_run(resolving: Resolving) -> None:
    resolving.s3.fail("ListObjectsV2", refusal("AccessDenied"))

    assert last_batches(ObjectStore(resolving.s3, DATA), "model") == []


def test_a_definition_without_a_history_still_resolves(resolving: Resolving) -> None:
    assert "history_uri" not in resolving.resolve()


def test_the_metrics_of_a_drifted_batch_are_put_with_stage_and_model(recording: Recording) -> None:
    recording.s3.put(OWN, f"{FOLDER}/metrics.json", LINES)

    recording.announce()

    put = sent(recording)
    assert put["feature_baseline_drift_Age"]["Value"] == 0.55
    assert put["feature_data_Age"]["StatisticValues"]["SampleCount"] == 48
    stage_and_model = [{"Name": "Stage", "Value": "prod"}, {"Name": "Model", "Value": "model"}]
    assert all(datum["Dimensions"] == stage_and_model for datum in put.values())
    assert put["LargestDistance"]["Unit"] == "None"


def test_the_metrics_of_a_batch_are_put_once(recording: Recording) -> None:
    recording.s3.put(OWN, f"{FOLDER}/metrics.json", LINES)
    recording.announce(delivered="true")

    recording.predictions()

    names = [
        one["MetricName"]
        for call in recording.cloudwatch.called("PutMetricData")
        for one in call["MetricData"]
    ]
    assert len(names) == len(set(names))
    assert {"feature_data_Age", "BatchScored", "DriftDetected", "FeaturesDrifted"} <= set(names)


def test_a_batch_that_fits_is_measured_when_it_was_scored(recording: Recording) -> None:
    recording.s3.put(OWN, f"{FOLDER}/verdict.json", OK)
    recording.s3.put(OWN, f"{FOLDER}/metrics.json", LINES)

    recording.predictions()

    assert {"feature_baseline_drift_Age", "BatchScored", "LargestDistance"} <= set(sent(recording))


@pytest.mark.parametrize(
    "line",
    [
        {"MetricName": "feature_non_null_x", "Value": float("nan")},
        {"MetricName": "feature_non_null_x", "Value": "1"},
        {"MetricName": "", "Value": 1.0},
        {"MetricName": "x" * 256, "Value": 1.0},
        {"MetricName": "a\nb", "Value": 1.0},
        {"MetricName": "feature_data_x", "StatisticValues": {"Sum": 1.0}},
        {"MetricName": "feature_data_x"},
        "feature_data_x",
    ],
)
def test_a_metric_that_cloudwatch_refuses_does_not_take_the_others_with_it(
    recording: Recording, line: Any
) -> None:
    recording.s3.put(OWN, f"{FOLDER}/metrics.json", {"metrics": [line, *LINES["metrics"]]})

    recording.announce()

    names = [name for name in sent(recording) if name.startswith("feature_")]
    assert names == ["feature_baseline_drift_Age", "feature_data_Age"]


def test_what_cloudwatch_can_not_hold_is_put_as_what_it_can(recording: Recording) -> None:
    line = {"MetricName": "feature_non_null_größe", "Value": 1e308}
    recording.s3.put(OWN, f"{FOLDER}/metrics.json", {"metrics": [line]})

    recording.announce()

    assert sent(recording)["feature_non_null_gr\\xf6\\xdfe"]["Value"] == 2.0**360


def test_no_more_metrics_are_put_than_fifty_features_have(recording: Recording) -> None:
    lines = [{"MetricName": f"feature_non_null_{place}", "Value": 1.0} for place in range(1000)]
    recording.s3.put(OWN, f"{FOLDER}/metrics.json", {"metrics": lines})

    recording.announce()

    assert sum(1 for name in sent(recording) if name.startswith("feature_")) == 150


def test_refused_metrics_fail_no_run(recording: Recording) -> None:
    recording.s3.put(OWN, f"{FOLDER}/metrics.json", LINES)
    recording.cloudwatch.fail("PutMetricData", refusal("Throttling"), times=2)

    assert recording.announce().startswith("drifted")


def test_the_event_names_the_page_of_the_check_where_there_is_one(recording: Recording) -> None:
    recording.announce()
    recording.s3.put(OWN, f"{FOLDER}/report.html", b"<!doctype html>")
    recording.announce()

    without, with_page = recording.events.details()
    assert without["pageUri"] == ""
    assert with_page["pageUri"] == f"s3://{OWN}/{FOLDER}/report.html"


@pytest.mark.parametrize(
    ("before", "in_a_row"),
    [
        ("", 1),
        ("ok", 1),
        ("drift", 2),
        ("drift violation drift", 3),
        ("drift drift ok drift", 2),
        ("drift " * 30, 20),
    ],
)
def test_drift_that_goes_on_is_counted_and_a_broken_batch_is_passed_over(
    recording: Recording, before: str, in_a_row: int
) -> None:
    for day, kind in enumerate(before.split()):
        record = {"verdict": kind, "execution_id": f"run{day}"}
        recording.s3.put(OWN, f"model/state/batches/202610{day:02}T080000Z-run.json", record)

    recording.announce(started_at=STARTED)

    assert sent(recording)["DriftedInARow"]["Value"] == in_a_row


def test_a_batch_that_was_run_again_does_not_lengthen_the_row(recording: Recording) -> None:
    for day, digest in enumerate(("d0", "d1", "d1")):
        record = {"verdict": "drift", "execution_id": f"run{day}", "batch_digest": digest}
        recording.s3.put(OWN, f"model/state/batches/202610{day:02}T080000Z-run.json", record)

    recording.announce(started_at=STARTED, batch_digest="d1")

    assert sent(recording)["DriftedInARow"]["Value"] == 2


def test_a_batch_that_fits_ends_the_row(recording: Recording) -> None:
    recording.s3.put(OWN, "model/state/batches/20261001T080000Z-run.json", {"verdict": "drift"})
    recording.s3.put(OWN, f"{FOLDER}/verdict.json", OK)

    recording.predictions(started_at=STARTED)

    assert sent(recording)["DriftedInARow"]["Value"] == 0


def test_a_broken_batch_says_nothing_about_drift(recording: Recording) -> None:
    recording.announce({**VERDICT, "verdict": "violation"}, finding="violation", started_at=STARTED)

    assert "DriftedInARow" not in sent(recording)
