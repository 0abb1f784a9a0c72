"""Check runs, as each function meets them: known by their RunUri, they leave no trace but their alert and decision."""

from __future__ import annotations

from typing import Any

import pytest

from run_recorder.recorder import PredictionsMissing
from shared.checks import is_check
from tests.handlers import test_retrain as retrain
from tests.handlers import test_run_recorder as recorder
from tests.handlers.fake_aws import refusal
from tests.handlers.notifier_world import DATA, RUN, World

CHECKS = "s3://data/model/checks"
FOLDER = f"model/checks/{RUN}/data-quality"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (CHECKS, True),
        (f"{CHECKS}/", True),
        (f"{CHECKS}/run1/predictions", True),
        ("s3://data/model/inference", False),
        ("s3://data/model/checks-of-mine/run1", False),
        ("s3://data/other/checks", False),
        ("s3://elsewhere/model/checks", False),
        ("", False),
    ],
)
def test_a_check_is_known_by_where_it_writes(uri: str, expected: bool) -> None:
    assert is_check(uri, "data", "model") is expected


# the recorder


def test_a_finding_of_a_check_says_so_and_puts_no_metric() -> None:
    world = recorder.World()
    world.s3.put(DATA, f"{FOLDER}/verdict.json", recorder.VERDICT)
    world.announce(verdict_uri=f"s3://{DATA}/{FOLDER}/verdict.json")
    (detail,) = world.events.details()
    assert detail["check"] is True
    assert world.cloudwatch.values() == {}


def test_predictions_of_a_check_are_not_recorded() -> None:
    world = recorder.World()
    world.s3.put(DATA, f"model/checks/{RUN}/predictions/batch.csv.out", b"1,0.5\n")
    uri = f"{CHECKS}/{RUN}/predictions"
    assert world.predictions(predictions_uri=uri) == {"predictions_uri": uri}
    assert [
        one["Key"] for one in world.s3.list_objects_v2(Bucket=DATA, Prefix="model/").get("Contents", [])
    ] == [f"model/checks/{RUN}/predictions/batch.csv.out"]
    assert world.cloudwatch.values() == {}


def test_a_check_without_predictions_fails_as_a_batch_does() -> None:
    with pytest.raises(PredictionsMissing):
        recorder.World().predictions(predictions_uri=f"{CHECKS}/{RUN}/predictions")


# the retrain function


def test_a_drift_of_a_check_starts_no_training() -> None:
    world = retrain.World()
    decision = world.decide(retrain.finding(check=True))
    assert (decision["decision"], decision["reason"]) == (
        "not_started",
        "the run was a check, and a check never retrains",
    )
    assert world.decision() == decision
    assert world.started == 0
    assert world.sagemaker.called("ListPipelineParametersForExecution") == []


@pytest.mark.parametrize("event", [retrain.failure(), retrain.step_failure()])
def test_a_failed_run_is_asked_whether_it_was_a_check(event: dict[str, Any]) -> None:
    world = retrain.World("any_failure")
    world.sagemaker.parameters = {"RunUri": CHECKS}
    assert world.decide(event)["reason"] == "the run was a check, and a check never retrains"
    assert world.started == 0
    (request,) = world.sagemaker.called("ListPipelineParametersForExecution")
    assert request["PipelineExecutionArn"] == event["detail"]["pipelineExecutionArn"]


@pytest.mark.parametrize("parameters", [{}, {"RunUri": "s3://data/model/inference"}])
def test_a_failed_batch_retrains_whether_or_not_defaults_are_listed(parameters: dict[str, str]) -> None:
    world = retrain.World("any_failure")
    world.sagemaker.parameters = parameters
    assert world.decide(retrain.failure())["decision"] == "started"


# the notifier


def drifted_check(world: World) -> None:
    features = [{"name": "Age", "distance": 0.551, "threshold": 0.1, "drifted": True}]
    world.s3.put(DATA, f"{FOLDER}/verdict.json", {"features": features})
    world.fails("Mammo-DriftFail", "DataDriftDetected: Age moved")
    world.sagemaker.parameters = {"RunUri": CHECKS, "transform_input": f"{CHECKS}/batches/c1/check_batch.csv"}


def test_an_alert_about_a_check_says_so_and_what_to_do() -> None:
    world = World()
    drifted_check(world)
    world.decides(decision="not_started", reason="the run was a check, and a check never retrains")
    world.notify()
    assert world.subject == "[prod] model: check: data drift in Age 0.551"
    assert "- Age: distance 0.551 (limit 0.1)" in world.body
    assert "No retraining was started: the run was a check, and a check never retrains." in world.body
    assert "Where it passed, there is nothing to do." in world.body
    assert "make check-stage STAGE=prod" in world.body
    assert "make run" not in world.body
    assert f"prefix=model/checks/{RUN}/" in world.body


def test_a_check_of_a_model_that_retrains_on_nothing_waits_for_no_decision() -> None:
    world = World("none")
    drifted_check(world)
    world.notify()
    assert world.clock.seconds == 0
    assert "No retraining was started: the run was a check, and a check never retrains." in world.body


def test_a_drift_that_a_check_delivered_says_that_it_was_a_check() -> None:
    world = World()
    world.decides(decision="not_started", reason="the run was a check, and a check never retrains")
    world.notify(world.finding(check=True))
    assert world.subject == "[prod] model: check: data drift in Age 0.551"
    assert world.sagemaker.called("ListPipelineParametersForExecution") == []


def test_an_alert_goes_out_where_the_parameters_could_not_be_listed() -> None:
    world = World("none")
    world.drifts()
    world.sagemaker.fail("ListPipelineParametersForExecution", refusal("AccessDeniedException"))
    world.notify()
    assert world.subject == "[prod] model: data drift in Age 0.551"
    assert "Not known: the run's parameters could not be listed (AccessDeniedException)." in world.body


def test_a_train_run_is_not_asked_whether_it_was_a_check() -> None:
    world = World(kind="train")
    world.fails("Mammo-Train", "out of memory")
    world.notify()
    assert world.sagemaker.called("ListPipelineParametersForExecution") == []
