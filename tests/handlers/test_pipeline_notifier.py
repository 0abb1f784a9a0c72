from __future__ import annotations

import threading
from typing import Any

import pytest

from pipeline_notifier.events import BadEvent, read_run
from pipeline_notifier.handler import handle
from shared import aws
from shared.claims import ClaimedElsewhere
from tests.handlers.fake_aws import Context, pipeline_arn, refusal
from tests.handlers.notifier_world import (
    ALERT_KEY,
    DATA,
    DRIFT_MESSAGE,
    INFERENCE,
    RUN,
    TOPIC,
    World,
)


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


def test_the_function_reads_environment_and_context(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    clients = {"s3": world.s3, "sagemaker": world.sagemaker, "sns": world.sns}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    for name, value in (("STAGE", "prod"), ("DATA_BUCKET", DATA), ("TOPIC_ARN", TOPIC)):
        monkeypatch.setenv(name, value)
    assert handle(world.event("Executing"), Context())["alert"] == "ignored"
    assert handle(world.event("Stopped"), Context(request_id="r7"))["alert"] == "sent"
    assert world.s3.json(DATA, ALERT_KEY)["request_id"] == "r7"
    assert world.sns.published[0]["TopicArn"] == TOPIC
