from __future__ import annotations

import json
from typing import Any

import pytest

from run_recorder.handler import handle, record
from run_recorder.recorder import (
    BadRequest,
    EventRefused,
    FileMissing,
    PredictionsMissing,
    Recorder,
    Settings,
)
from run_recorder.verdicts import BadVerdict
from shared import aws
from shared.artifacts import FILES, ModelArtifactChanged
from shared.objects import ObjectStore, UnreadableObject
from tests.handlers.fake_aws import NOW, FakeCloudWatch, FakeEvents, FakeS3, refusal

DATA = "data"
FOLDER = "model/inference/run1/data-quality"
VERDICT = {
    "verdict": "drift",
    "action": "withhold_drift",
    "message": "Age drifted",
    "rows": 48,
    "features": [
        {"name": "Age", "distance": 0.5512, "threshold": 0.1, "drifted": True},
        {"name": "Margin", "distance": 0.21, "threshold": 0.1, "drifted": True},
        {"name": "Shape", "distance": 0.02, "threshold": 0.1, "drifted": False},
    ],
    "violations": [],
}


class World:
    def __init__(self) -> None:
        self.s3, self.events, self.cloudwatch = FakeS3(DATA, "artifacts"), FakeEvents(), FakeCloudWatch()
        for file in FILES:
            self.s3.put("artifacts", f"model/{file}")
            self.s3.version_ids[f"model/{file}"] = f"{file}-1"
        self.recorder = Recorder(
            Settings("prod", "model", DATA, "cdk-mlops"),
            lambda bucket: ObjectStore(self.s3, bucket),
            self.events,
            self.cloudwatch,
            lambda: NOW,
        )

    def do(self, action: str, **inputs: str) -> dict[str, str]:
        return record(self.recorder, {"action": action, **inputs})

    def announce(self, verdict: dict[str, Any] | None = None, **more: str) -> str:
        self.s3.put(DATA, f"{FOLDER}/verdict.json", VERDICT if verdict is None else verdict)
        inputs = {
            "finding": "drift",
            "verdict_uri": f"s3://{DATA}/{FOLDER}/verdict.json",
            "delivered": "false",
            "pipeline_name": "mammo-severity-inference-pipeline",
            "execution_id": "run1",
            "batch_uri": "s3://data/batch.csv",
            "model_version": "1",
        }
        return self.do("announce_finding", **{**inputs, **more})["message"]

    def predictions(self, **more: str) -> dict[str, str]:
        inputs = {
            "batch_uri": "s3://data/batch.csv",
            "batch_digest": "d1",
            "model_version": "1",
            "predictions_uri": f"s3://{DATA}/model/inference/run1/predictions",
            "rows": "48",
            "execution_id": "run1",
            "code_uri": "s3://data/model/scripts/abc",
            "git_commit": "1234567",
            "definition_sha256": "def",
            **{f"{file}_uri": f"s3://artifacts/model/{file}" for file in FILES},
            "file_versions": " ".join(f"{file}-1" for file in FILES),
        }
        return self.do("record_predictions", **{**inputs, **more})

    def violations(
        self, *found: dict[str, str], on_drift: str = "withhold", rows: int = 48
    ) -> dict[str, str]:
        self.s3.put(DATA, f"{FOLDER}/constraint_violations.json", {"violations": list(found)})
        self.s3.put(DATA, f"{FOLDER}/statistics.json", {"dataset": {"item_count": rows}})
        return self.do("read_violations", report_uri=f"s3://{DATA}/{FOLDER}", predictions_on_drift=on_drift)


@pytest.fixture
def world() -> World:
    return World()


def drift(name: str, distance: float) -> dict[str, str]:
    description = f"Baseline drift distance: {distance} exceeds threshold: 0.1"
    return {"feature_name": name, "constraint_check_type": "baseline_drift_check", "description": description}


BROKEN = {
    "feature_name": "Age",
    "constraint_check_type": "data_type_check",
    "description": "Data type match requirement is not met.\nExpected data type: Integral",
}


def test_a_drift_is_announced_with_features_and_distances(world: World) -> None:
    message = world.announce()
    assert message == "drifted from the training baseline: Age 0.551 (limit 0.1), Margin 0.21 (limit 0.1)"
    (detail,) = world.events.details()
    assert [feature["name"] for feature in detail["features"]] == ["Age", "Margin"]
    expected = {
        "finding": "drift",
        "stage": "prod",
        "model": "model",
        "pipelineName": "mammo-severity-inference-pipeline",
        "pipelineExecutionId": "run1",
        "batchUri": "s3://data/batch.csv",
        "modelVersion": "1",
        "delivered": False,
        "reportUri": f"s3://{DATA}/{FOLDER}/verdict.json",
        "message": message,
    }
    assert expected.items() <= detail.items()
    entry = world.events.called("PutEvents")[0]["Entries"][0]
    assert (entry["Source"], entry["DetailType"]) == ("cdk-mlops", "Batch Finding")


def test_a_drift_that_was_delivered_says_so(world: World) -> None:
    world.announce(delivered="true")
    assert world.events.details()[0]["delivered"] is True


def test_a_violation_is_announced_with_its_checks_in_one_line(world: World) -> None:
    verdict = {**VERDICT, "verdict": "violation", "violations": [BROKEN]}
    message = world.announce(verdict, finding="violation")
    assert message.startswith("failed checks: Age: data_type_check, Data type match")
    assert "\n" not in message
    assert world.cloudwatch.values()["ViolationDetected"] == 1


def test_a_finding_is_counted_for_its_stage_and_model(world: World) -> None:
    world.announce()
    assert world.cloudwatch.values() == {
        **{"DriftDetected": 1, "DriftedInARow": 1},
        **{"FeaturesDrifted": 2, "LargestDistance": 0.5512},
    }
    (request,) = world.cloudwatch.called("PutMetricData")
    assert request["Namespace"] == "cdk-mlops"
    dimensions = {one["Name"]: one["Value"] for one in request["MetricData"][0]["Dimensions"]}
    assert dimensions == {"Stage": "prod", "Model": "model"}


def test_an_event_that_is_not_taken_fails_the_step(world: World) -> None:
    world.events.refuse = True
    with pytest.raises(EventRefused, match="ThrottlingException: Rate exceeded"):
        world.announce()
    assert world.cloudwatch.values() == {}


def test_metrics_that_are_refused_do_not_undo_an_announcement(world: World) -> None:
    world.cloudwatch.fail("PutMetricData", refusal("AccessDenied"))
    assert world.announce()
    assert len(world.events.details()) == 1


def test_a_missing_verdict_is_named(world: World) -> None:
    with pytest.raises(FileMissing, match=r"s3://data/none/verdict\.json"):
        world.announce(verdict_uri="s3://data/none/verdict.json")


def test_a_verdict_that_is_no_json_is_named(world: World) -> None:
    world.s3.put(DATA, "broken.json", b"{")
    with pytest.raises(UnreadableObject, match=r"s3://data/broken\.json"):
        world.announce(verdict_uri="s3://data/broken.json")


@pytest.mark.parametrize("part", ["features", "violations"])
def test_a_verdict_of_another_shape_is_named(world: World, part: str) -> None:
    with pytest.raises(BadVerdict, match=f"'{part}' must be a list"):
        world.announce({**VERDICT, part: {"Age": 1}})


@pytest.mark.parametrize("finding", ["drift", "violation"])
def test_a_message_has_at_most_1024_characters_and_counts_the_rest(world: World, finding: str) -> None:
    wide = {
        **VERDICT,
        "features": [{**VERDICT["features"][0], "name": f"feature_{one}" * 3} for one in range(500)],  # type: ignore[index]
        "violations": [
            {**BROKEN, "feature_name": f"f{one}", "description": "x" * 100_000} for one in range(500)
        ],
    }
    message = world.announce(wide, finding=finding)
    assert len(message) <= 1024
    assert message.endswith(" more")
    (detail,) = world.events.details()
    assert (len(detail["features"]), len(detail["violations"])) == (20, 20)
    assert len(json.dumps(detail)) < 256 * 1024


def test_a_finding_that_is_neither_is_refused(world: World) -> None:
    with pytest.raises(BadRequest, match="'mood'"):
        world.announce(finding="mood")


def explain(world: World, **more: str) -> str:
    inputs = {"cv_auc": "0.90", "threshold": "0.85", "gain_over_champion": "0.01", "min_gain": "-0.02"}
    return world.do("explain_rejection", **{**inputs, "champion_version": "3", **more})["message"]


def test_a_rejection_by_the_threshold_gives_both_numbers(world: World) -> None:
    message = explain(world, cv_auc="0.5123")
    assert "0.5123 is below the threshold 0.8500" in message
    assert "champion" not in message


def test_a_rejection_by_the_champion_names_its_version(world: World) -> None:
    message = explain(world, gain_over_champion="-0.05")
    assert "version 3, the champion, is -0.0500, below the least gain -0.0200" in message
    assert "threshold" not in message


def test_a_rejection_by_both_names_both(world: World) -> None:
    message = explain(world, cv_auc="0.5", gain_over_champion="-0.05")
    assert "threshold" in message
    assert "champion" in message


def test_a_passed_gate_needs_no_explanation(world: World) -> None:
    with pytest.raises(BadRequest, match="nothing to explain"):
        explain(world, cv_auc="0.85", gain_over_champion="-0.02")


def test_a_number_that_is_none_is_named(world: World) -> None:
    with pytest.raises(BadRequest, match="'much'"):
        explain(world, cv_auc="much")


def test_predictions_are_recorded_for_the_batch_and_counted(world: World) -> None:
    world.s3.put(DATA, "model/inference/run1/predictions/batch.csv.out", b"1,0.5\n")
    assert world.predictions() == {"predictions_uri": f"s3://{DATA}/model/inference/run1/predictions"}
    scored = world.s3.json(DATA, "model/state/scored/d1.json")
    assert scored["model_version"] == "1"
    assert scored["rows"] == 48
    assert scored["scored_at"] == "2026-11-20T23:00:00+00:00"
    origin = (scored["code_uri"], scored["git_commit"], scored["definition_sha256"])
    assert origin == ("s3://data/model/scripts/abc", "1234567", "def")
    assert scored["predictions_uri"].endswith("/run1/predictions")
    assert world.cloudwatch.values() == {"BatchScored": 1, "RowsScored": 48}


def test_the_last_scoring_of_a_batch_is_the_one_that_is_kept(world: World) -> None:
    world.s3.put(DATA, "model/inference/run1/predictions/a.out")
    world.predictions()
    world.predictions(model_version="2")
    assert world.s3.json(DATA, "model/state/scored/d1.json")["model_version"] == "2"


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("folder", ["inference", "checks"])
def test_predictions_of_a_version_whose_file_was_written_meanwhile_are_not_recorded(
    world: World, file: str, folder: str
) -> None:
    key = f"model/{folder}/run1/predictions"
    world.s3.put(DATA, f"{key}/batch.csv.out", b"1,0.5\n")
    world.s3.version_ids[f"model/{file}"] = "forged"
    with pytest.raises(ModelArtifactChanged) as caught:
        world.predictions(predictions_uri=f"s3://{DATA}/{key}")
    message = str(caught.value)
    assert message.startswith(f"s3://artifacts/model/{file} of version 1 is S3 version forged, written at ")
    assert f"while the run used S3 version {file}-1" in message
    assert message.endswith(f"the predictions in s3://{DATA}/{key} must not be used")
    assert "model/state/scored/d1.json" not in world.s3.objects[DATA]
    assert world.cloudwatch.values() == {}


def test_predictions_of_a_version_whose_file_is_gone_are_not_recorded(world: World) -> None:
    world.s3.put(DATA, "model/inference/run1/predictions/batch.csv.out", b"1,0.5\n")
    del world.s3.objects["artifacts"]["model/statistics"]
    with pytest.raises(
        ModelArtifactChanged, match="statistics of version 1 was deleted while the run used it"
    ):
        world.predictions()


@pytest.mark.parametrize("given", ["", "model-1", "model-1 statistics-1 constraints-1 more"])
def test_without_the_s3_versions_that_the_run_used_nothing_is_recorded(world: World, given: str) -> None:
    world.s3.put(DATA, "model/inference/run1/predictions/batch.csv.out", b"1,0.5\n")
    with pytest.raises(BadRequest, match="'file_versions'"):
        world.predictions(file_versions=given)
    assert "model/state/scored/d1.json" not in world.s3.objects[DATA]


@pytest.mark.parametrize("key", ["predictions-of-someone-else/a.out", "predictions/"])
def test_missing_predictions_fail_the_run_and_record_nothing(world: World, key: str) -> None:
    world.s3.put(DATA, f"model/inference/run1/{key}", b"" if key.endswith("/") else b"1")
    with pytest.raises(PredictionsMissing, match="/run1/predictions"):
        world.predictions()
    assert "model/state/scored/d1.json" not in world.s3.objects[DATA]
    assert world.cloudwatch.values() == {}


@pytest.mark.parametrize("rows", ["", "None", "inf"])
def test_an_unknown_number_of_rows_still_counts_the_batch(world: World, rows: str) -> None:
    world.s3.put(DATA, "model/inference/run1/predictions/a.out")
    world.predictions(rows=rows)
    assert world.cloudwatch.values() == {"BatchScored": 1}


def test_rows_that_no_step_passes_on_are_those_of_the_verdict(world: World) -> None:
    world.s3.put(DATA, "model/inference/run1/predictions/a.out")
    world.violations(rows=7)
    world.predictions(rows="")
    assert world.cloudwatch.values() == {
        **{"BatchScored": 1, "RowsScored": 7},
        **{"FeaturesDrifted": 0, "DriftedInARow": 0},
    }
    assert world.s3.json(DATA, "model/state/scored/d1.json")["rows"] == 7


def test_a_verdict_that_can_not_be_read_does_not_lose_the_record(world: World) -> None:
    world.s3.put(DATA, "model/inference/run1/predictions/a.out")
    world.s3.put(DATA, f"{FOLDER}/verdict.json", b"{")
    world.predictions(rows="")
    assert world.s3.json(DATA, "model/state/scored/d1.json")["rows"] is None


def test_no_violation_delivers(world: World) -> None:
    assert world.violations() == {"action": "deliver", "message": "no violation"}
    verdict = world.s3.json(DATA, f"{FOLDER}/verdict.json")
    assert (verdict["verdict"], verdict["rows"]) == ("ok", 48)


def test_drift_alone_withholds_or_delivers_as_the_model_says(world: World) -> None:
    assert world.violations(drift("Age", 0.3))["action"] == "withhold_drift"
    assert world.violations(drift("Age", 0.3), on_drift="deliver")["action"] == "announce_and_deliver"


def test_a_violation_outranks_a_drift(world: World) -> None:
    answer = world.violations(drift("Age", 0.3), BROKEN, on_drift="deliver")
    assert answer["action"] == "withhold_violation"
    assert answer["message"].startswith("failed checks: Age: data_type_check")


def test_the_verdict_of_model_monitor_is_announced_like_our_own(world: World) -> None:
    world.violations(drift("Margin", 0.2), drift("Age", 0.31))
    verdict = world.s3.json(DATA, f"{FOLDER}/verdict.json")
    assert [feature["name"] for feature in verdict["features"]] == ["Age", "Margin"]
    assert "Age 0.31 (limit 0.1), Margin 0.2 (limit 0.1)" in world.announce(verdict)


def test_a_drift_whose_description_has_no_numbers_is_a_drift(world: World) -> None:
    answer = world.violations({**drift("Age", 0.3), "description": "it drifted"}, drift("Margin", 0.2))
    assert answer["action"] == "withhold_drift"
    assert "Age" in answer["message"]


@pytest.mark.parametrize("found", [[], [drift("Age", 0.3)]], ids=["nothing", "drift"])
def test_a_batch_without_rows_is_a_violation_that_model_monitor_overlooks(
    world: World, found: list[dict[str, str]]
) -> None:
    answer = world.violations(*found, rows=0)
    assert answer["action"] == "withhold_violation"
    assert answer["message"] == "failed checks: Missing rows: completeness_check, the batch holds no rows"


def test_a_distance_that_is_no_number_is_not_known(world: World) -> None:
    world.violations({**drift("Age", 0.3), "description": "distance: 1e999 exceeds threshold: 0.1"})
    (feature,) = world.s3.json(DATA, f"{FOLDER}/verdict.json")["features"]
    assert (feature["distance"], feature["drifted"]) == (None, True)


def test_what_model_monitor_finds_is_remembered_with_the_distances_that_it_tells(world: World) -> None:
    world.violations(drift("Age", 0.3), {**drift("Margin", 0.2), "description": "it drifted"})
    world.announce(world.s3.json(DATA, f"{FOLDER}/verdict.json"), started_at="2026-11-20T22:00:00Z")
    record = world.s3.json(DATA, "model/state/batches/20261120T220000Z-run1.json")
    assert (record["verdict"], record["rows"], record["features"]) == ("drift", 48, {"Age": 0.3})
    assert world.cloudwatch.values()["LargestDistance"] == 0.3
    assert world.cloudwatch.values()["FeaturesDrifted"] == 2


def test_statistics_without_a_violations_file_are_a_good_batch(world: World) -> None:
    world.s3.put(DATA, f"{FOLDER}/statistics.json", {"dataset": {"item_count": 5}})
    answer = world.do("read_violations", report_uri=f"s3://{DATA}/{FOLDER}/constraint_violations.json")
    assert answer["action"] == "deliver"


def test_a_report_that_is_not_there_is_no_good_batch(world: World) -> None:
    with pytest.raises(FileMissing, match=FOLDER):
        world.do("read_violations", report_uri=f"s3://{DATA}/{FOLDER}", predictions_on_drift="withhold")


def test_a_report_of_another_shape_is_named(world: World) -> None:
    world.s3.put(DATA, f"{FOLDER}/constraint_violations.json", {"violations": "many"})
    with pytest.raises(BadVerdict, match="must be a list"):
        world.do("read_violations", report_uri=f"s3://{DATA}/{FOLDER}", predictions_on_drift="withhold")


def test_every_action_goes_through_the_function(
    monkeypatch: pytest.MonkeyPatch, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    clients = {"s3": world.s3, "events": world.events, "cloudwatch": world.cloudwatch}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    for name, value in (("STAGE", "prod"), ("MODEL_NAME", "model"), ("DATA_BUCKET", DATA)):
        monkeypatch.setenv(name, value)
    world.s3.put(DATA, f"{FOLDER}/statistics.json", {})
    world.s3.put(DATA, f"{FOLDER}/verdict.json", VERDICT)
    finding = {"finding": "drift", "verdict_uri": f"s3://{DATA}/{FOLDER}/verdict.json", "pipeline_name": "p"}
    gate = {"cv_auc": "0.5", "threshold": "0.85", "gain_over_champion": "1.0", "min_gain": "0"}
    assert handle({"action": "announce_finding", "execution_id": "run1", **finding}, None)["message"]
    assert handle({"action": "explain_rejection", **gate}, None)["message"]
    assert (
        handle({"action": "read_violations", "report_uri": f"s3://{DATA}/{FOLDER}"}, None)["action"]
        == "deliver"
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["action"] for line in lines] == ["announce_finding", "explain_rejection", "read_violations"]


def test_the_function_says_the_name_of_what_went_wrong_first(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    clients = {"s3": world.s3, "events": world.events, "cloudwatch": world.cloudwatch}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    for name, value in (("STAGE", "prod"), ("MODEL_NAME", "model"), ("DATA_BUCKET", DATA)):
        monkeypatch.setenv(name, value)
    with pytest.raises(BadRequest, match=r"^BadRequest: the step's input 'action' must be one of"):
        handle({"action": "dance"}, None)
    world.s3.put(DATA, "model/inference/run1/predictions/a.out")
    answer = handle(
        {
            "action": "record_predictions",
            "batch_digest": "d",
            "model_version": "1",
            "predictions_uri": f"s3://{DATA}/model/inference/run1/predictions",
            "rows": "1",
            "execution_id": "run1",
            **{f"{file}_uri": f"s3://artifacts/model/{file}" for file in FILES},
            "file_versions": " ".join(f"{file}-1" for file in FILES),
        },
        None,
    )
    assert answer["predictions_uri"].endswith("/predictions")
