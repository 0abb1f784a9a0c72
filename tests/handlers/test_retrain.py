from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from retrain.conditions import Settings
from retrain.decisions import Retrainer
from retrain.handler import decide, handle
from retrain.triggers import BadEvent
from shared import aws
from shared.environment import EnvironmentProblem
from shared.objects import ObjectStore
from tests.handlers.fake_aws import (
    ACCOUNT,
    REGION,
    Clock,
    FakeS3,
    FakeSageMaker,
    group_arn,
    pipeline_arn,
    refusal,
)

GROUP, TRAIN, INFERENCE = (
    "severity-package",
    "mammo-severity-train-pipeline",
    "mammo-severity-inference-pipeline",
)
DATA = "data"
PREFIX = "model/data/train-dataset"


class World:
    def __init__(self, retrain_on: str = "drift") -> None:
        self.s3, self.sagemaker, self.clock = FakeS3(DATA), FakeSageMaker(), Clock()
        self.s3.put(DATA, f"{PREFIX}/part1.csv", b"1")
        self.sagemaker.add_version(GROUP, "Approved", timedelta(days=9))
        self.retrain_on = retrain_on

    @property
    def retrainer(self) -> Retrainer:
        settings = Settings("prod", "model", DATA, TRAIN, group_arn(GROUP), PREFIX, self.retrain_on, 3)
        return Retrainer(settings, ObjectStore(self.s3, DATA), self.sagemaker, self.clock.now)

    def decide(self, event: dict[str, Any]) -> dict[str, Any]:
        return decide(self.retrainer, event)

    def decision(self, run: str = "run1") -> dict[str, Any]:
        return self.s3.json(DATA, f"model/state/retraining/{run}.json")

    @property
    def last(self) -> dict[str, Any]:
        return self.s3.json(DATA, "model/state/retraining/last.json")

    @property
    def started(self) -> int:
        return len(self.sagemaker.executions)

    def finish_training(self) -> None:
        for execution in self.sagemaker.executions:
            execution["PipelineExecutionStatus"] = "Succeeded"


def finding(run: str = "run1", kind: str = "drift", event_id: str = "a" * 36, **more: Any) -> dict[str, Any]:
    detail = {
        "finding": kind,
        "stage": "prod",
        "model": "model",
        "pipelineName": INFERENCE,
        "pipelineExecutionId": run,
        "message": "drifted: Age 0.55",
        **more,
    }
    return {"id": event_id, "source": "cdk-mlops", "detail-type": "Batch Finding", "detail": detail}


def failure(run: str = "run1", status: str = "Failed", pipeline: str = INFERENCE) -> dict[str, Any]:
    detail = {
        "pipelineExecutionArn": f"{pipeline_arn(pipeline)}/execution/{run}",
        "currentPipelineExecutionStatus": status,
    }
    kind = "SageMaker Model Building Pipeline Execution Status Change"
    return {"id": "b" * 36, "source": "aws.sagemaker", "detail-type": kind, "detail": detail}


def step_failure(run: str = "run1", status: str = "Failed") -> dict[str, Any]:
    detail = {
        "pipelineExecutionArn": f"{pipeline_arn(INFERENCE)}/execution/{run}",
        "stepName": "QualityCheck",
        "currentStepStatus": status,
    }
    kind = "SageMaker Model Building Pipeline Execution Step Status Change"
    return {"id": "c" * 36, "source": "aws.sagemaker", "detail-type": kind, "detail": detail}


@pytest.fixture
def world() -> World:
    return World()


def test_a_drift_starts_the_train_pipeline_with_the_events_id_as_token(world: World) -> None:
    decision = world.decide(finding())
    assert decision["decision"] == "started"
    (request,) = world.sagemaker.called("StartPipelineExecution")
    assert (request["PipelineName"], request["ClientRequestToken"]) == (TRAIN, "a" * 36)
    assert "run1" in request["PipelineExecutionDescription"]


def test_the_decision_and_the_last_retraining_are_written_down(world: World) -> None:
    world.decide(finding())
    arn = world.sagemaker.executions[0]["PipelineExecutionArn"]
    assert world.decision()["train_execution_arn"] == arn
    assert world.decision()["decision"] == "started"
    assert world.last["train_execution_arn"] == arn
    assert world.last["execution_id"] == "run1"


def test_an_event_delivered_twice_starts_one_training_and_tells_the_same(world: World) -> None:
    assert world.decide(finding()) == world.decide(finding())
    assert world.started == 1


def test_an_event_delivered_twice_at_the_same_moment_starts_one_training(world: World) -> None:
    meeting = threading.Barrier(2, timeout=5)
    seen = threading.local()

    def meet(bucket: str, key: str) -> None:
        # both have assessed the situation before either writes its decision
        if key.endswith("run1.json") and not hasattr(seen, "met"):
            seen.met = True
            meeting.wait()

    world.s3.before_put = meet
    decisions: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: decisions.append(world.decide(finding()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.started == 1
    assert [one["decision"] for one in decisions] == ["started", "started"]
    assert decisions[0]["train_execution_arn"] == decisions[1]["train_execution_arn"]


def test_a_finding_and_a_failure_of_one_run_at_the_same_moment_start_one_training() -> None:
    world = World("any_failure")
    meeting = threading.Barrier(2, timeout=5)
    seen = threading.local()

    def meet(bucket: str, key: str) -> None:
        if not hasattr(seen, "met"):
            seen.met = True
            meeting.wait()

    world.s3.before_put = meet
    decisions: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda event=event: decisions.append(world.decide(event)))
        for event in (finding(), failure())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.started == 1
    assert decisions[0]["event_id"] == decisions[1]["event_id"]


@pytest.mark.parametrize("where", ["run", "last.json"])
def test_two_runs_that_drift_at_the_same_moment_start_one_training(world: World, where: str) -> None:
    meeting = threading.Barrier(2, timeout=5)
    seen = threading.local()

    def meet(bucket: str, key: str) -> None:
        if where in key and not hasattr(seen, "met"):
            seen.met = True
            meeting.wait()

    world.s3.before_put = meet
    decisions: list[str] = []

    def run(name: str, event_id: str) -> None:
        decisions.append(world.decide(finding(name, event_id=event_id))["decision"])

    threads = [threading.Thread(target=run, args=(f"run{one}", str(one) * 36)) for one in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.started == 1
    assert sorted(decisions) == ["not_started", "started"]


def test_a_start_that_failed_is_made_up_for_by_the_retry(world: World) -> None:
    world.sagemaker.fail("StartPipelineExecution", refusal("ThrottlingException"))
    with pytest.raises(Exception, match="ThrottlingException"):
        world.decide(finding())
    assert world.decision()["decision"] == "starting"
    assert world.decide(finding())["decision"] == "started"
    assert world.started == 1


def test_a_start_whose_record_failed_is_not_repeated_by_the_retry(world: World) -> None:
    writes: list[str] = []

    def fail_after_the_start(bucket: str, key: str) -> None:
        writes.append(key)
        if world.sagemaker.executions and len(writes) < 5:
            raise refusal("InternalError")

    world.s3.before_put = fail_after_the_start
    with pytest.raises(Exception, match="InternalError"):
        world.decide(finding())
    world.s3.before_put = None
    assert world.started == 1
    decision = world.decide(finding())
    assert decision["decision"] == "started"
    assert decision["train_execution_arn"] == world.sagemaker.executions[0]["PipelineExecutionArn"]
    assert world.started == 1


def test_throttling_while_looking_is_raised_and_leaves_no_decision(world: World) -> None:
    world.sagemaker.fail("ListModelPackages", refusal("ThrottlingException"))
    with pytest.raises(Exception, match="ThrottlingException"):
        world.decide(finding())
    assert [key for key in world.s3.objects[DATA] if "state" in key] == []


@pytest.mark.parametrize("status", ["Executing", "Stopping"])
def test_nothing_starts_while_a_training_runs_and_people_are_told_which(world: World, status: str) -> None:
    for number in range(5):
        world.sagemaker.add_execution(TRAIN, f"new{number}", "Failed")
    world.sagemaker.executions.append({**world.sagemaker.executions[-1], "PipelineExecutionStatus": status})
    world.sagemaker.executions[-1]["PipelineExecutionArn"] = f"{pipeline_arn(TRAIN)}/execution/old"
    decision = world.decide(finding())
    assert decision["decision"] == "not_started"
    assert "running already (execution old)" in decision["reason"]
    assert world.decision() == decision


def test_nothing_starts_while_a_newer_version_waits_and_people_are_told_what_to_do(world: World) -> None:
    world.sagemaker.add_version(GROUP, "PendingManualApproval", timedelta(days=2, hours=23))
    decision = world.decide(finding())
    assert decision["decision"] == "not_started"
    assert "version 2 of severity-package in account 111111111111 waits for approval" in decision["reason"]
    assert "make approve VERSION=2 MODEL=model" in decision["reason"]
    assert (decision["waiting_version"], decision["reminder"]) == (2, False)
    assert world.started == 0


def test_a_version_that_has_waited_for_long_is_a_reminder(world: World) -> None:
    world.sagemaker.add_version(GROUP, "PendingManualApproval", timedelta(days=3))
    decision = world.decide(finding())
    assert decision["reminder"] is True
    assert decision["reason"].startswith("Reminder: ")
    assert "3 days" in decision["reason"]


def test_a_waiting_version_on_the_second_page_is_seen(world: World) -> None:
    for _ in range(3):
        world.sagemaker.add_version(GROUP, "PendingManualApproval")
    assert world.decide(finding())["waiting_version"] == 4


def test_a_version_older_than_the_approved_one_waits_for_nothing(world: World) -> None:
    world.sagemaker.packages[0]["ModelApprovalStatus"] = "PendingManualApproval"
    world.sagemaker.add_version(GROUP, "Approved")
    assert world.decide(finding())["decision"] == "started"


def test_a_rejected_version_blocks_nothing(world: World) -> None:
    world.sagemaker.add_version(GROUP, "Rejected")
    assert world.decide(finding())["decision"] == "started"


def test_the_same_data_are_not_trained_on_twice(world: World) -> None:
    world.decide(finding())
    world.finish_training()
    decision = world.decide(finding("run2", event_id="d" * 36))
    assert decision["decision"] == "not_started"
    assert "the same as at the last retraining (2026-11-20T23:00:00+00:00)" in decision["reason"]
    assert "upload newly labelled data" in decision["reason"]
    assert world.started == 1


def test_new_data_are_trained_on(world: World) -> None:
    world.decide(finding())
    world.finish_training()
    world.s3.put(DATA, f"{PREFIX}/part2.csv", b"2")
    assert world.decide(finding("run2", event_id="d" * 36))["decision"] == "started"
    assert world.started == 2
    assert world.last["execution_id"] == "run2"


@pytest.mark.parametrize("files", [{}, {f"{PREFIX}/": b""}, {f"{PREFIX}-old/part1.csv": b"1"}])
def test_without_training_data_nothing_starts(world: World, files: dict[str, bytes]) -> None:
    world.s3.objects[DATA] = files
    decision = world.decide(finding())
    assert decision["decision"] == "not_started"
    assert f"no training data below s3://data/{PREFIX}/" in decision["reason"]


def test_a_retraining_that_never_started_does_not_block_the_next_for_ever(world: World) -> None:
    world.sagemaker.fail("StartPipelineExecution", refusal("ResourceLimitExceeded"), times=3)
    for _ in range(3):
        with pytest.raises(Exception, match="ResourceLimitExceeded"):
            world.decide(finding())
    blocked = world.decide(finding("run2", event_id="d" * 36))
    assert "just being started because of run run1" in blocked["reason"]
    world.clock.sleep(31 * 60)
    assert world.decide(finding("run3", event_id="e" * 36))["decision"] == "started"
    assert world.started == 1


@pytest.mark.parametrize(
    ("retrain_on", "event", "expected"),
    [
        ("drift", finding(), "started"),
        ("drift", finding(kind="violation"), "ignored"),
        ("drift", failure(), "ignored"),
        ("violation", finding(), "started"),
        ("violation", finding(kind="violation"), "started"),
        ("violation", failure(), "ignored"),
        ("any_failure", finding(), "started"),
        ("any_failure", finding(kind="violation"), "started"),
        ("any_failure", failure(), "started"),
        ("any_failure", failure(status="Stopped"), "ignored"),
        ("any_failure", failure(status="Succeeded"), "ignored"),
        ("drift", step_failure(), "started"),
        ("drift", step_failure(status="Succeeded"), "ignored"),
    ],
)
def test_what_retrains_is_the_models_setting(retrain_on: str, event: dict[str, Any], expected: str) -> None:
    world = World(retrain_on)
    assert world.decide(event)["decision"] == expected
    assert world.started == (1 if expected == "started" else 0)


def test_what_is_ignored_leaves_no_decision(world: World) -> None:
    world.decide(failure())
    assert [key for key in world.s3.objects[DATA] if "state" in key] == []


def test_a_failure_whose_finding_was_decided_starts_nothing_more() -> None:
    world = World("any_failure")
    first = world.decide(finding())
    world.finish_training()
    assert world.decide(failure()) == first
    assert world.started == 1


def test_a_finding_whose_failure_was_decided_starts_nothing_more() -> None:
    world = World("any_failure")
    first = world.decide(failure())
    assert world.decide(finding()) == first
    assert world.started == 1


def test_a_train_pipeline_that_fails_does_not_start_itself() -> None:
    world = World("any_failure")
    assert world.decide(failure(pipeline=TRAIN))["decision"] == "ignored"
    assert world.started == 0


def test_a_finding_of_another_model_is_ignored(world: World) -> None:
    assert world.decide(finding(model="other"))["decision"] == "ignored"


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"id": "1", "detail-type": "Batch Finding", "detail": "text"},
        {"id": "", "detail-type": "Batch Finding", "detail": {}},
        {"id": "1", "detail-type": "Something Else", "detail": {}},
        finding(kind="mood"),
        finding(pipelineExecutionId=""),
        {**failure(), "detail": {"currentPipelineExecutionStatus": "Failed"}},
        {
            **failure(),
            "detail": {
                "currentPipelineExecutionStatus": "Failed",
                "pipelineExecutionArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/p",
            },
        },
    ],
)
def test_a_malformed_event_is_an_error_and_ends_in_the_dead_letter_queue(
    world: World, event: dict[str, Any]
) -> None:
    with pytest.raises(BadEvent):
        world.decide(event)
    assert world.started == 0


def test_the_name_of_the_execution_is_one_that_sagemaker_takes(world: World) -> None:
    world.decide(finding("-odd--" + "x" * 200))
    (request,) = world.sagemaker.called("StartPipelineExecution")
    name = request["PipelineExecutionDisplayName"]
    assert len(name) <= 82
    assert "--" not in name


def test_the_function_reads_its_environment(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(aws, "client", {"s3": world.s3, "sagemaker": world.sagemaker}.__getitem__)
    variables = {
        "STAGE": "prod",
        "MODEL_NAME": "model",
        "DATA_BUCKET": DATA,
        "TRAIN_PIPELINE_NAME": TRAIN,
        "MODEL_PACKAGE_GROUP_ARN": group_arn(GROUP),
        "RETRAIN_ON": "violation",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EnvironmentProblem, match="TRAIN_PREFIX is not set"):
        handle(finding(kind="violation"), None)
    monkeypatch.setenv("TRAIN_PREFIX", PREFIX)
    assert handle(finding(kind="violation"), None)["decision"] == "started"
