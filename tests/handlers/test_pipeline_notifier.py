from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from pipeline_notifier.causes import find_cause, plain_reason, read_step
from pipeline_notifier.compose import Place
from pipeline_notifier.events import BadEvent, read_run
from pipeline_notifier.facts import FactFinder
from pipeline_notifier.handler import handle
from pipeline_notifier.notifier import Notifier
from shared import aws
from shared.claims import ClaimedElsewhere, Claims
from shared.objects import ObjectStore
from tests.handlers.fake_aws import (
    ACCOUNT,
    REGION,
    Clock,
    Context,
    FakeS3,
    FakeSageMaker,
    FakeSns,
    pipeline_arn,
    refusal,
)

DATA, RUN = "data", "run1"
INFERENCE, TRAIN = "mammo-severity-inference-pipeline", "mammo-severity-train-pipeline"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:mammography-model-notification"
ALERT_KEY = f"model/state/alerts/{RUN}.json"
DECISION_KEY = f"model/state/retraining/{RUN}.json"
DRIFT_MESSAGE = "drifted from the training baseline: Age 0.551 (limit 0.100)"


def lambda_error(kind: str, message: str) -> str:
    body = {
        "errorMessage": message,
        "errorType": kind,
        "requestId": "r",
        "stackTrace": ['  File "x.py", line 1\n'],
    }
    return "ClientError: The Lambda function returned an error: " + json.dumps(body)


class World:
    def __init__(self, retrain_on: str = "drift", kind: str = "inference") -> None:
        self.s3, self.sagemaker, self.sns, self.clock = FakeS3(DATA), FakeSageMaker(), FakeSns(), Clock()
        self.pipeline = INFERENCE if kind == "inference" else TRAIN
        tags = {
            "mlops:stage": "prod",
            "mlops:model": "model",
            "mlops:kind": kind,
            "mlops:retrain-on": retrain_on,
        }
        self.sagemaker.make_pipeline(self.pipeline, **tags)

    @property
    def notifier(self) -> Notifier:
        store = ObjectStore(self.s3, DATA)
        finder = FactFinder(self.sagemaker, store, self.clock.sleep, self.clock.monotonic)
        claims = Claims(store, self.clock.now)
        return Notifier(Place("prod", DATA, "111111111111"), TOPIC, finder, store, claims, self.sns)

    def fails(self, step: str, reason: str, **metadata: Any) -> None:
        failed = {"StepName": step, "StepStatus": "Failed", "FailureReason": reason, "Metadata": metadata}
        self.sagemaker.steps = [
            {"StepName": "Mammo-First", "StepStatus": "Succeeded"},
            {"StepName": "Mammo-Second", "StepStatus": "Succeeded"},
            failed,
        ]

    def event(self, status: str = "Failed", run: str = RUN) -> dict[str, Any]:
        detail = {
            "pipelineArn": pipeline_arn(self.pipeline),
            "pipelineExecutionArn": f"{pipeline_arn(self.pipeline)}/execution/{run}",
            "currentPipelineExecutionStatus": status,
        }
        kind = "SageMaker Model Building Pipeline Execution Status Change"
        return {"id": "e1", "detail-type": kind, "time": "2026-11-20T23:05:00Z", "detail": detail}

    def finding(self, **more: Any) -> dict[str, Any]:
        detail = {
            "finding": "drift",
            "stage": "prod",
            "model": "model",
            "pipelineName": self.pipeline,
            "pipelineExecutionId": RUN,
            "batchUri": "s3://data/batch.csv",
            "modelVersion": "1",
            "delivered": True,
            "message": DRIFT_MESSAGE,
            "features": [{"name": "Age", "distance": 0.551, "threshold": 0.1, "drifted": True}],
            **more,
        }
        where = {"account": ACCOUNT, "region": REGION, "time": "2026-11-20T23:05:00Z"}
        return {"id": "e2", "detail-type": "Batch Finding", **where, "detail": detail}

    def notify(
        self, event: dict[str, Any] | None = None, request_id: str = "one", seconds: float = 120
    ) -> Any:
        run = read_run(event or self.event(), "prod", "aws")
        return None if run is None else self.notifier.notify(run, request_id, seconds)["alert"]

    def decides(self, **decision: Any) -> None:
        self.s3.put(DATA, DECISION_KEY, decision)

    def verdict(self, **more: Any) -> None:
        verdict = {
            "features": [
                {"name": "Age", "distance": 0.551, "threshold": 0.1, "drifted": True},
                {"name": "Shape", "distance": 0.01, "threshold": 0.1, "drifted": False},
            ],
            "violations": [],
            **more,
        }
        self.s3.put(DATA, f"model/inference/{RUN}/data-quality/verdict.json", verdict)

    def drifts(self) -> None:
        self.verdict()
        self.fails("Mammo-DriftFail", f"DataDriftDetected: {DRIFT_MESSAGE}")

    @property
    def subject(self) -> str:
        (message,) = self.sns.published
        return message["Subject"]

    @property
    def body(self) -> str:
        (message,) = self.sns.published
        return message["Message"]


@pytest.fixture
def world() -> World:
    return World()


# which runs


def test_a_pipeline_of_another_stage_is_ignored(world: World) -> None:
    world.sagemaker.tags[pipeline_arn(INFERENCE)]["mlops:stage"] = "dev"
    assert world.notify() == "ignored"
    assert world.sns.published == []


def test_a_pipeline_without_our_tags_is_ignored(world: World) -> None:
    world.sagemaker.tags[pipeline_arn(INFERENCE)].clear()
    assert world.notify() == "ignored"


@pytest.mark.parametrize("status", ["Executing", "Stopping", "Succeeded"])
def test_a_run_that_did_not_end_badly_needs_no_alert(world: World, status: str) -> None:
    assert world.notify(world.event(status)) is None


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"detail-type": "Something Else", "detail": {}},
        {
            "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
            "detail": {"currentPipelineExecutionStatus": "Failed"},
        },
        {
            "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
            "detail": {"currentPipelineExecutionStatus": "Failed", "pipelineExecutionArn": "no arn"},
        },
        {"detail-type": "Batch Finding", "detail": {"delivered": True, "stage": "prod"}},
    ],
)
def test_a_malformed_event_is_an_error_and_ends_in_the_dead_letter_queue(event: dict[str, Any]) -> None:
    with pytest.raises(BadEvent):
        read_run(event, "prod", "aws")


# what is said


def test_no_approved_model_is_told_with_what_to_do(world: World) -> None:
    message = "NoApprovedModel: the package group g has no approved version"
    world.fails("Mammo-ResolveModel", lambda_error("NoApprovedModel", message))
    world.notify()
    assert world.subject == "[prod] model: nothing scored, no approved model version"
    assert "NoApprovedModel: the package group g has no approved version" in world.body
    assert "make approve VERSION=<number>" in world.body
    assert "registry account 111111111111" in world.body
    assert "No retraining was started: this model retrains on drift only." in world.body
    assert "stackTrace" not in world.body


def test_a_missing_batch_is_told_with_its_uri(world: World) -> None:
    message = "BatchNotFound: s3://data/batch.csv does not exist"
    world.fails("Mammo-ResolveModel", lambda_error("BatchNotFound", message))
    world.notify()
    assert world.subject == "[prod] model: nothing scored, the batch is missing"
    assert "s3://data/batch.csv" in world.body
    assert "make upload STAGE=prod" in world.body


def test_an_ambiguous_batch_is_told(world: World) -> None:
    world.fails(
        "Mammo-ResolveModel",
        lambda_error("BatchAmbiguous", "BatchAmbiguous: s3://data/b also s3://data/b.bak"),
    )
    world.notify()
    assert "ambiguous" in world.subject
    assert "s3://data/b.bak" in world.body


def test_a_batch_scored_twice_is_told_with_the_command_that_scores_it_again(world: World) -> None:
    world.fails(
        "Mammo-ResolveModel", lambda_error("BatchAlreadyScored", "BatchAlreadyScored: scored by version 1")
    )
    world.notify()
    assert "scored already" in world.subject
    assert (
        f"--region {REGION} --pipeline-name {INFERENCE} --pipeline-parameters Name=Rescore,Value=true"
        in world.body
    )


def test_a_drift_names_features_distances_and_the_retraining_it_started(world: World) -> None:
    world.drifts()
    arn = f"{pipeline_arn(TRAIN)}/execution/train7"
    world.decides(decision="started", train_execution_arn=arn, train_pipeline=TRAIN)
    world.notify()
    assert world.subject == "[prod] model: data drift in Age 0.55"
    assert "- Age: distance 0.551, limit 0.100" in world.body
    assert "Shape" not in world.body
    assert f"A retraining was started: execution train7 of {TRAIN}." in world.body
    assert "The batch was withheld" in world.body


def test_a_drift_that_starts_nothing_says_why(world: World) -> None:
    world.drifts()
    world.decides(decision="not_started", reason="version 2 waits for approval", waiting_version=2)
    world.notify()
    assert "No retraining was started: version 2 waits for approval." in world.body
    assert "make approve or make reject VERSION=2" in world.body


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
    assert world.subject == "[prod] model: data drift in Age 0.55"
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


# never lost


@pytest.mark.parametrize("operation", ["DescribePipelineExecution", "ListPipelineExecutionSteps"])
def test_what_can_not_be_described_is_told_all_the_same(world: World, operation: str) -> None:
    world.sagemaker.fail(operation, refusal("ThrottlingException"))
    assert world.notify() == "sent"
    assert "Not known: the" in world.body
    assert "(ThrottlingException)" in world.body


def test_tags_that_can_not_be_read_make_an_alert(world: World) -> None:
    world.sagemaker.fail("ListTags", refusal("AccessDeniedException"))
    world.drifts()
    assert world.notify() == "sent"
    assert world.subject.startswith(f"[prod] {INFERENCE}: data drift")
    assert "the pipeline's tags could not be read" in world.body
    assert world.s3.json(DATA, f"_unknown/state/alerts/{RUN}.json")["state"] == "sent"


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_a_verdict_that_can_not_be_read_is_told(world: World, body: bytes) -> None:
    world.drifts()
    world.s3.put(DATA, f"model/inference/{RUN}/data-quality/verdict.json", body)
    world.decides(decision="started")
    assert world.notify() == "sent"
    assert "verdict.json could not be read" in world.body
    assert DRIFT_MESSAGE in world.body


def test_a_verdict_of_a_shape_that_nobody_thought_of_still_makes_an_alert(world: World) -> None:
    world.drifts()
    world.s3.put(DATA, f"model/inference/{RUN}/data-quality/verdict.json", {"features": 7})
    world.decides(decision="started")
    assert world.notify() == "sent"
    assert world.subject == f"[prod] model: pipeline {INFERENCE}: Failed"
    assert DRIFT_MESSAGE in world.body


def test_values_of_any_size_make_a_message_that_sns_takes(world: World) -> None:
    names = [f"feature {one} ü" * 20 for one in range(900)]
    features = [{"name": name, "distance": 0.5, "threshold": 0.1, "drifted": True} for name in names]
    world.verdict(features=features)
    world.fails("Mammo-DriftFail", "DataDriftDetected: " + "x" * 3000)
    world.decides(decision="not_started", reason="y" * 500_000)
    assert world.notify() == "sent"
    assert len(world.body) < 30_000
    assert "and 880 more" in world.body


# exactly one


def test_a_run_told_twice_is_alerted_once(world: World) -> None:
    assert world.notify(request_id="one") == "sent"
    assert world.notify(request_id="two") == "sent before"
    assert len(world.sns.published) == 1


def test_an_alert_that_was_sent_is_not_composed_again(world: World) -> None:
    world.drifts()
    world.notify(request_id="one")
    waited = world.clock.seconds
    world.notify(request_id="two")
    assert world.clock.seconds == waited


def test_a_failed_and_a_stopped_event_of_one_run_are_one_alert(world: World) -> None:
    world.notify(world.event("Stopped"), "one")
    assert world.notify(world.event("Failed"), "two") == "sent before"


def test_events_that_come_at_the_same_moment_are_one_alert(world: World) -> None:
    start = threading.Barrier(6, timeout=5)
    outcomes: list[str] = []

    def run(name: str) -> None:
        start.wait()
        try:
            outcomes.append(world.notify(request_id=name))
        except ClaimedElsewhere:
            outcomes.append("later")

    threads = [threading.Thread(target=run, args=(f"request-{one}",)) for one in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.sns.published) == 1
    assert outcomes.count("sent") == 1
    assert len(outcomes) == 6


def test_a_refused_publication_is_sent_by_the_retry_of_the_same_invocation(world: World) -> None:
    world.sns.fail("Publish", refusal("ThrottlingException"))
    with pytest.raises(Exception, match="ThrottlingException"):
        world.notify(request_id="one")
    with pytest.raises(ClaimedElsewhere):
        world.notify(request_id="two")
    assert world.notify(request_id="one") == "sent"
    assert len(world.sns.published) == 1


def test_the_alert_of_an_invocation_that_died_is_sent_by_another_one(world: World) -> None:
    world.sns.fail("Publish", refusal("InternalError"))
    with pytest.raises(Exception, match="InternalError"):
        world.notify(request_id="one")
    world.clock.sleep(180)
    assert world.notify(request_id="two") == "sent"
    assert world.s3.json(DATA, ALERT_KEY)["request_id"] == "two"


def test_the_record_of_an_alert_says_what_was_sent(world: World) -> None:
    world.drifts()
    world.decides(decision="started")
    world.notify()
    record = world.s3.json(DATA, ALERT_KEY)
    assert record["state"] == "sent"
    assert record["subject"] == world.subject
    assert record["cause"] == "DataDriftDetected"
    assert record["message_id"] == "message-1"


# parts


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


def test_the_function_reads_environment_and_context(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    clients = {"s3": world.s3, "sagemaker": world.sagemaker, "sns": world.sns}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    for name, value in (("STAGE", "prod"), ("DATA_BUCKET", DATA), ("TOPIC_ARN", TOPIC)):
        monkeypatch.setenv(name, value)
    assert handle(world.event("Executing"), Context())["alert"] == "ignored"
    assert handle(world.event("Stopped"), Context(request_id="r7"))["alert"] == "sent"
    assert world.s3.json(DATA, ALERT_KEY)["request_id"] == "r7"
    assert world.sns.published[0]["TopicArn"] == TOPIC
