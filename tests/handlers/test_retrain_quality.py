"""A loss that ground truth shows retrains at once and once, unless the version is out of use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from retrain.decisions import Retrainer
from retrain.handler import decide
from retrain.triggers import BadEvent, read_trigger
from shared.objects import ObjectStore
from tests.handlers.fake_aws import NOW
from tests.handlers.test_retrain import DATA, GROUP, PREFIX, World, finding

PIPELINE = "mammo-severity-quality-pipeline"
MESSAGE = "AUC 0.710 of 96 labelled rows against 0.910 at training"


def loss(run: str = "run1", event_id: str = "d" * 36, **more: Any) -> dict[str, Any]:
    detail = {"retrain": True, "pipelineName": PIPELINE, "modelVersion": "1", "message": MESSAGE, **more}
    return finding(run, "model_quality", event_id, **detail)


@pytest.mark.parametrize("retrain_on", ["drift", "violation", "any_failure"])
def test_a_lost_auc_retrains_whatever_the_model_retrains_on(retrain_on: str) -> None:
    world = World(retrain_on)
    decision = world.decide(loss())
    assert (decision["decision"], decision["cause"]) == ("started", "model_quality")
    assert decision["reason"] == (
        f"run run1 of {PIPELINE}: ground truth shows that the version has lost AUC since its training: {MESSAGE}"
    )
    assert world.started == 1


def test_it_does_not_wait_for_other_batches() -> None:
    world = World()
    settings = replace(world.retrainer.settings, drifted=3, of=5)
    retrainer = Retrainer(settings, ObjectStore(world.s3, DATA), world.sagemaker, world.clock.now)
    assert decide(retrainer, loss())["decision"] == "started"
    assert decide(retrainer, finding("run2", modelVersion="1"))["decision"] == "not_started"


@pytest.mark.parametrize("retrain", [False, None, "true", 1])
def test_what_people_decide_about_is_ignored_and_leaves_no_trace(retrain: Any) -> None:
    world = World()
    assert world.decide(loss(retrain=retrain))["decision"] == "ignored"
    assert world.started == 0
    assert world.s3.called("PutObject") == []


def test_the_same_event_and_more_labels_start_nothing_twice() -> None:
    world = World()
    first = world.decide(loss())
    assert world.decide(loss()) == first
    running = world.decide(loss("run2", "e" * 36))
    assert running["decision"] == "not_started"
    assert "the train pipeline is running already" in running["reason"]
    world.finish_training()
    world.sagemaker.add_version(GROUP, "PendingManualApproval")
    waits = world.decide(loss("run3", "f" * 36))
    assert waits["waiting_version"] == 2
    assert "version 2 of severity-package in account 111111111111 waits for approval" in waits["reason"]
    world.sagemaker.packages[-1]["ModelApprovalStatus"] = "Rejected"
    same = world.decide(loss("run4", "0" * 36))
    assert "are the same as at the last retraining" in same["reason"]
    assert world.started == 1


def test_a_version_that_was_replaced_since_retrains_nothing() -> None:
    world = World()
    world.sagemaker.add_version(GROUP, "Approved")
    world.s3.put(DATA, f"{PREFIX}/part2.csv", b"2")
    decision = world.decide(loss())
    assert decision["decision"] == "not_started"
    assert decision["reason"].startswith("the finding is about version 1, and version 2 was approved since")
    assert world.decide(loss("run2", "e" * 36, modelVersion="2"))["decision"] == "started"
    # a drift isn't about a version alone: the batch has changed
    world.finish_training()
    world.s3.put(DATA, f"{PREFIX}/part3.csv", b"3")
    assert world.decide(finding("run3", modelVersion="1", event_id="1" * 36))["decision"] == "started"
    assert world.started == 2
    assert world.clock.now() == NOW


def test_another_models_loss_is_ignored_and_another_finding_refused() -> None:
    world = World()
    assert world.decide(loss(model="model2"))["decision"] == "ignored"
    with pytest.raises(BadEvent, match="must say drift, violation or model_quality, got 'quality'"):
        read_trigger(finding(kind="quality"))
