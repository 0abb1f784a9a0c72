from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline_notifier.causes import find_cause, plain_reason, read_step
from tests.handlers.fake_aws import ACCOUNT, REGION, pipeline_arn
from tests.handlers.notifier_world import (
    DATA,
    DECISION_KEY,
    INFERENCE,
    RUN,
    TRAIN,
    World,
    lambda_error,
)

RUN_BATCH = "make run PIPELINE=inference STAGE=prod MODEL=model INPUT=s3://data/batch.csv"


@pytest.fixture
def world() -> World:
    return World()


def test_no_approved_model_is_told_with_what_to_do(world: World) -> None:
    message = "NoApprovedModel: the package group g has no approved version"
    world.fails("Mammo-ResolveModel", lambda_error("NoApprovedModel", message))
    world.notify()
    assert world.subject == "[prod] model: nothing scored, no approved model version"
    assert "NoApprovedModel: the package group g has no approved version" in world.body
    assert "make approve VERSION=<number> MODEL=model" in world.body
    assert "make run PIPELINE=train STAGE=dev MODEL=model" in world.body
    assert "registry account 111111111111" in world.body
    assert "What was done by itself\n  Nothing.\n" in world.body
    assert "stackTrace" not in world.body


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "NoApprovedModel",
            "group g has no released version: version 4 is approved and waits for its release",
        ),
        ("VersionNotApproved", "version 4 of the package group g is approved and waits for its release"),
    ],
)
def test_a_version_that_waits_for_its_release_is_told_with_who_releases_it(
    world: World, word: str, message: str
) -> None:
    world.fails("Mammo-ResolveModel", lambda_error(word, f"{word}: {message} to prod: a check in staging"))
    world.notify()
    assert world.subject == "[prod] model: nothing scored, the model version is not released"
    assert f"{word}: {message} to prod" in world.body
    assert "make release VERSION=4 MODEL=model" in world.body
    assert "make approve" not in world.body
    assert "Then score the batch: make run PIPELINE=inference STAGE=prod" in world.body


@pytest.mark.parametrize("times", [1, 2, 3])
def test_the_name_of_an_error_is_said_once_however_often_it_was_put_before(world: World, times: int) -> None:
    world.fails("Mammo-ResolveModel", "NoApprovedModel: " * times + "the group has none")
    world.notify()
    assert world.body.count("NoApprovedModel") == 1


def test_a_decision_that_nobody_expected_is_told(world: World) -> None:
    world.fails("QualityCheck", "violations found")
    world.decides(decision="started", train_execution_arn="x/train7", train_pipeline=TRAIN)
    world.notify()
    assert "A retraining was started: execution train7" in world.body
    assert world.clock.seconds == 0


def test_a_missing_batch_is_told_with_its_uri(world: World) -> None:
    message = "BatchNotFound: s3://data/batch.csv does not exist: deliver it there"
    world.fails("Mammo-ResolveModel", lambda_error("BatchNotFound", message))
    world.notify()
    assert world.subject == "[prod] model: nothing scored, the batch is missing"
    assert "s3://data/batch.csv" in world.body
    assert f"Then: {RUN_BATCH}\n" in world.body
    assert "What was done by itself\n  Nothing.\n" in world.body


def test_an_ambiguous_batch_is_told(world: World) -> None:
    world.fails(
        "Mammo-ResolveModel",
        lambda_error("BatchAmbiguous", "BatchAmbiguous: s3://data/b also s3://data/b.bak"),
    )
    world.notify()
    assert "ambiguous" in world.subject
    assert "s3://data/b.bak" in world.body


def test_a_batch_scored_twice_is_told_with_the_command_that_scores_it_again(world: World) -> None:
    message = "BatchAlreadyScored: s3://data/batch.csv was scored by version 1"
    world.fails("Mammo-ResolveModel", lambda_error("BatchAlreadyScored", message))
    world.notify()
    assert "scored already" in world.subject
    assert f"To score this one again: {RUN_BATCH} RESCORE=true" in world.body


def test_a_drift_names_features_distances_and_the_retraining_it_started(world: World) -> None:
    world.drifts()
    arn = f"{pipeline_arn(TRAIN)}/execution/train7"
    world.decides(decision="started", train_execution_arn=arn, train_pipeline=TRAIN)
    world.notify()
    assert world.subject == "[prod] model: data drift in Age 0.551"
    assert "- Age: distance 0.551 (limit 0.1)" in world.body
    assert "Shape" not in world.body
    assert f"A retraining was started: execution train7 of {TRAIN}." in world.body
    assert "The batch was withheld" in world.body


def test_a_drift_that_starts_nothing_says_why(world: World) -> None:
    world.drifts()
    world.decides(decision="not_started", reason="version 2 waits for approval", waiting_version=2)
    world.notify()
    assert "No retraining was started: version 2 waits for approval." in world.body
    assert "make approve VERSION=2 MODEL=model or make reject VERSION=2 MODEL=model" in world.body


def test_a_decision_that_comes_late_is_waited_for(world: World) -> None:
    world.drifts()
    world.decides(decision="starting")
    sleep = world.clock.sleep

    def decided_meanwhile(seconds: float) -> None:
        sleep(seconds)
        if world.clock.seconds > 20:
            world.decides(decision="not_started", reason="the data are the same")

    world.clock.sleep = decided_meanwhile  # type: ignore[method-assign]
    world.notify()
    assert "the data are the same" in world.body
    assert 20 < world.clock.seconds < 30


def test_a_decision_that_never_comes_delays_the_alert_by_a_minute_at_most(world: World) -> None:
    world.drifts()
    assert world.notify() == "sent"
    assert 50 < world.clock.seconds <= 60
    assert (
        f"not decided yet when this was sent; it will be written to s3://{DATA}/{DECISION_KEY}" in world.body
    )


def test_the_wait_ends_in_time_for_the_alert_to_go_out(world: World) -> None:
    world.drifts()
    assert world.notify(seconds=30) == "sent"
    assert world.clock.seconds <= 10


@pytest.mark.parametrize(
    ("retrain_on", "reason", "waits"),
    [
        ("none", "DataDriftDetected: x", False),
        ("drift", "DataDriftDetected: x", True),
        ("drift", "DataQualityViolated: x", False),
        ("violation", "DataQualityViolated: x", True),
        ("violation", "disk full", False),
        ("any_failure", "disk full", True),
    ],
)
def test_a_decision_is_waited_for_only_where_one_will_come(retrain_on: str, reason: str, waits: bool) -> None:
    world = World(retrain_on)
    world.fails("Mammo-Step", reason)
    world.notify()
    assert (world.clock.seconds > 0) is waits


def test_a_broken_batch_names_the_checks_and_that_nothing_was_retrained(world: World) -> None:
    violation = {
        "feature_name": "Age",
        "constraint_check_type": "data_type_check",
        "description": "not\nintegral",
    }
    world.verdict(violations=[violation], features=[])
    world.fails("Mammo-ViolationFail", "DataQualityViolated: failed checks: Age")
    world.notify()
    assert world.subject == "[prod] model: broken batch, data_type_check"
    assert "- Age: data_type_check, not integral" in world.body
    assert "failed checks: Age" not in world.body
    assert "No retraining was started: this model retrains on drift only." in world.body


def test_a_rejected_model_is_told_with_the_numbers() -> None:
    world = World(kind="train")
    world.fails("Mammo-AUCFail", "ModelRejected: its cross-validated AUC 0.51 is below the threshold 0.85")
    world.notify()
    assert world.subject == "[prod] model: the new model was rejected by the gate"
    assert "0.51 is below the threshold 0.85" in world.body
    assert "the approved version stays in use" in world.body


def test_any_other_failure_names_step_reason_and_log(world: World) -> None:
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/mammo-severity-inference-abc"
    world.fails("Mammo-DataQualityCheck", "AlgorithmError: exit 137", ProcessingJob={"Arn": arn})
    world.notify()
    assert world.subject == "[prod] model: the inference run failed in step Mammo-DataQualityCheck"
    assert "AlgorithmError: exit 137" in world.body
    assert "Logs of the job mammo-severity-inference-abc" in world.body
    assert "#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FProcessingJobs" in world.body


def test_a_failed_function_names_its_log(world: World) -> None:
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:mammo-severity-recorder"
    world.fails("Mammo-RecordPredictions", "Task timed out", Lambda={"Arn": arn})
    world.notify()
    assert "Logs of the function mammo-severity-recorder" in world.body


def test_a_run_that_someone_stopped_is_told_as_that(world: World) -> None:
    world.sagemaker.execution = {"LastModifiedBy": {"UserProfileName": "eva"}}
    assert world.notify(world.event("Stopped")) == "sent"
    assert world.subject == "[prod] model: the inference run was stopped"
    assert "It was stopped by eva." in world.body
    assert world.clock.seconds == 0


def test_a_failed_execution_without_a_failed_step_tells_its_own_reason(world: World) -> None:
    world.sagemaker.execution = {"FailureReason": "The pipeline's role can't be assumed"}
    world.notify()
    assert "The pipeline's role can't be assumed" in world.body


def test_a_word_inside_of_a_log_is_not_taken_for_the_cause(world: World) -> None:
    world.fails("Mammo-DataQualityCheck", "Traceback: see class BatchNotFound in batches.py")
    world.notify()
    assert "failed in step" in world.subject


def test_the_reason_is_found_among_two_pages_of_steps(world: World) -> None:
    world.drifts()
    world.decides(decision="started")
    world.notify()
    assert len(world.sagemaker.called("ListPipelineExecutionSteps")) == 2
    assert "data drift" in world.subject


def test_drift_that_was_delivered_is_an_alert_of_its_own(world: World) -> None:
    world.decides(decision="started", train_execution_arn="x/train7", train_pipeline=TRAIN)
    assert world.notify(world.finding()) == "sent"
    assert world.subject == "[prod] model: data drift in Age 0.551"
    assert "The predictions were delivered." in world.body
    assert "s3://data/batch.csv" in world.body
    assert world.s3.json(DATA, f"model/state/alerts/{RUN}-drift-delivered.json")["state"] == "sent"


@pytest.mark.parametrize("more", [{"delivered": False}, {"delivered": "true"}, {"stage": "dev"}])
def test_a_finding_that_fails_its_run_or_is_not_ours_needs_no_alert_of_its_own(
    world: World, more: Any
) -> None:
    assert world.notify(world.finding(**more)) is None


def test_links_are_those_of_the_partition() -> None:
    world = World()
    event = json.loads(
        json.dumps(world.event()).replace("arn:aws:", "arn:aws-cn:").replace(REGION, "cn-north-1")
    )
    tags = world.sagemaker.tags
    tags[f"arn:aws-cn:sagemaker:cn-north-1:{ACCOUNT}:pipeline/{INFERENCE}"] = tags[pipeline_arn(INFERENCE)]
    world.notify(event)
    assert (
        "https://console.amazonaws.cn/s3/buckets/data?region=cn-north-1&prefix=model/inference/run1/"
        in world.body
    )


@pytest.mark.parametrize(
    ("reason", "plain"),
    [
        (lambda_error("BatchNotFound", "BatchNotFound: s3://b"), "BatchNotFound: s3://b"),
        (lambda_error("KeyError", "'a'"), "KeyError: 'a'"),
        ('error {"errorMessage": ', 'error {"errorMessage":'),
        ("two\nlines", "two lines"),
        ("", ""),
    ],
)
def test_a_reason_is_freed_from_json_and_stack_traces(reason: str, plain: str) -> None:
    assert plain_reason(reason) == plain


def test_a_fail_step_may_keep_its_message_in_the_metadata() -> None:
    step = read_step({"StepName": "Fail", "Metadata": {"Fail": {"ErrorMessage": "ModelRejected: no"}}})
    assert find_cause("Failed", [step], "").word == "ModelRejected"
