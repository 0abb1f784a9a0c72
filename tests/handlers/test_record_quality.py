"""What the recorder makes of ground truth: metrics, a record, and a finding where the model has lost."""

from __future__ import annotations

from typing import Any

import pytest

from run_recorder.handler import record
from run_recorder.recorder import BadRequest, EventRefused, FileMissing, Recorder, Settings
from run_recorder.verdicts import BadVerdict
from shared.objects import ObjectStore
from tests.handlers.fake_aws import NOW, FakeCloudWatch, FakeEvents, FakeS3

REPORT = "model/quality/run1/model-quality/model-quality.json"
KEY = "model/state/quality/b1/g1-3.json"
AUC: dict[str, Any] = {
    "value": 0.71,
    "standard_deviation": 0.04,
    "at_training": 0.91,
    "standard_deviation_at_training": 0.02,
    "drop": 0.2,
    "p_value": 0.0001,
    "lost": True,
    "margin": 0.05,
    "detectable": 0.15,
}
LOST: dict[str, Any] = {
    "verdict": "loss",
    "action": "announce_and_retrain",
    "message": "AUC 0.710 of 96 labelled rows against 0.910 at training.",
    "rows": {"predictions": 100, "ground_truth": 96, "joined": 96, "positives": 40, "negatives": 56},
    "auc": AUC,
    "calibration": {
        "in_the_large": {"value": 0.11, "standard_deviation": 0.1},
        "at_training": 0.01,
        "lost": False,
    },
    "segments": [
        {"feature": "Age", "segment": "up to 45", "rows": 20, "auc": AUC},
        {"feature": "Age", "segment": "above 66", "rows": 20, "auc": {**AUC, "lost": False}},
        {"feature": "Shape", "segment": "1", "rows": 2, "auc": None},
    ],
}
FINE = {**LOST, "verdict": "ok", "action": "none", "auc": {**AUC, "lost": False}, "segments": []}
FEW = {**LOST, "verdict": "not_enough", "action": "wait", "auc": None, "calibration": None, "segments": []}


class World:
    def __init__(self) -> None:
        self.s3, self.events, self.cloudwatch = FakeS3("data"), FakeEvents(), FakeCloudWatch()

    def judge(self, document: dict[str, Any] | None, run: str = "run1", **more: str) -> str:
        if document is not None:
            self.s3.put("data", REPORT, document)
        settings = Settings("prod", "model", "data", "cdk-mlops")
        recorder = Recorder(
            settings, lambda bucket: ObjectStore(self.s3, bucket), self.events, self.cloudwatch, lambda: NOW
        )
        event = {
            "action": "record_quality",
            "report_uri": f"s3://data/{REPORT}",
            "batch_uri": "s3://data/batch.csv",
            "batch_digest": "b1",
            "ground_truth_uri": "s3://data/truth.csv",
            "ground_truth_digest": "g1",
            "model_version": "3",
            "pipeline_name": "mammo-severity-quality-pipeline",
            "execution_id": run,
            "git_commit": "1234567",
        }
        return record(recorder, {**event, **more})["message"]

    @property
    def kept(self) -> dict[str, Any]:
        return self.s3.json("data", KEY)


@pytest.fixture
def world() -> World:
    return World()


def test_a_loss_is_announced_with_its_numbers_and_kept(world: World) -> None:
    assert world.judge(LOST) == LOST["message"]
    (detail,) = world.events.details()
    assert detail == {
        "finding": "model_quality",
        "retrain": True,
        "stage": "prod",
        "model": "model",
        "pipelineName": "mammo-severity-quality-pipeline",
        "pipelineExecutionId": "run1",
        "batchUri": "s3://data/batch.csv",
        "groundTruthUri": "s3://data/truth.csv",
        "modelVersion": "3",
        "delivered": True,
        "reportUri": f"s3://data/{REPORT}",
        "check": False,
        "message": LOST["message"],
        "labels": 96,
        "auc": {"value": 0.71, "at_training": 0.91, "drop": 0.2, "margin": 0.05, "lost": True},
        "calibration": {"value": 0.11, "at_training": 0.01, "lost": False},
        "segments": [
            {"feature": "Age", "segment": "up to 45", "rows": 20, "value": 0.71, "at_training": 0.91}
        ],
    }
    entry = world.events.called("PutEvents")[0]["Entries"][0]
    assert (entry["Source"], entry["DetailType"]) == ("cdk-mlops", "Batch Finding")
    assert world.cloudwatch.values() == {
        "RowsLabelled": 96,
        "AucByGroundTruth": 0.71,
        "AucAtTraining": 0.91,
        "ModelQualityLost": 1,
    }
    (call,) = world.cloudwatch.called("PutMetricData")
    assert {one["MetricName"]: one["Unit"] for one in call["MetricData"]}["AucByGroundTruth"] == "None"
    expected = {"verdict": "loss", "action": "announce_and_retrain", "labels": 96, "execution_id": "run1"}
    assert expected.items() <= world.kept.items()
    assert (world.kept["ground_truth_digest"], world.kept["git_commit"]) == ("g1", "1234567")


def test_what_only_people_decide_about_is_announced_without_a_retraining(world: World) -> None:
    world.judge({**LOST, "action": "announce", "auc": {**AUC, "lost": False}})
    (detail,) = world.events.details()
    assert (detail["retrain"], detail["auc"]["lost"]) == (False, False)
    assert world.cloudwatch.values()["ModelQualityLost"] == 1


@pytest.mark.parametrize(
    ("document", "metrics"),
    [
        (FINE, {"RowsLabelled": 96, "AucByGroundTruth": 0.71, "AucAtTraining": 0.91, "ModelQualityLost": 0}),
        (FEW, {"RowsLabelled": 96}),
    ],
)
def test_without_a_loss_there_are_numbers_and_a_record_only(
    world: World, document: dict[str, Any], metrics: dict[str, float]
) -> None:
    world.judge(document)
    assert world.events.called("PutEvents") == []
    assert world.cloudwatch.values() == metrics
    assert world.kept["verdict"] == document["verdict"]


def test_the_same_labels_are_announced_once(world: World) -> None:
    world.judge(LOST)
    world.judge(LOST, run="run2")
    assert len(world.events.details()) == 1
    assert len(world.cloudwatch.called("PutMetricData")) == 1
    assert world.kept["execution_id"] == "run1"
    # other labels, and the same ones of another version's predictions, are news
    world.judge(LOST, run="run3", ground_truth_digest="g2")
    world.judge(LOST, run="run4", model_version="4")
    assert len(world.events.details()) == 3


def test_a_step_that_is_tried_again_tells_again_what_may_not_have_been_told(world: World) -> None:
    world.judge(LOST)
    world.judge(LOST)
    assert len(world.events.details()) == 2


def test_a_refused_event_leaves_no_record_so_that_the_next_run_judges_anew(world: World) -> None:
    world.events.refuse = True
    with pytest.raises(EventRefused):
        world.judge(LOST)
    assert KEY not in world.s3.objects["data"]
    world.events.refuse = False
    world.judge(LOST, run="run2")
    assert world.kept["execution_id"] == "run2"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action": "retrain"}, "'action' must be one of none, wait, announce, announce_and_retrain"),
        ({"rows": None}, "'rows.joined' must be a whole number, got None"),
        ({"auc": {**AUC, "value": "0.7"}}, "'auc' must have the numbers value, at_training, drop, margin"),
        ({"auc": {"value": 1}}, "'auc' must have the numbers value, at_training, drop, margin"),
        ({"auc": None}, "'auc' must be there where 'action' is announce_and_retrain"),
    ],
)
def test_a_report_of_another_shape_is_one_line(world: World, change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadVerdict) as caught:
        world.judge({**LOST, **change})
    assert said in str(caught.value)
    assert world.events.called("PutEvents") == []


def test_a_report_or_input_that_is_missing_is_said(world: World) -> None:
    with pytest.raises(FileMissing):
        world.judge(None)
    with pytest.raises(BadRequest, match="'ground_truth_digest' is missing"):
        world.judge(LOST, ground_truth_digest="")
