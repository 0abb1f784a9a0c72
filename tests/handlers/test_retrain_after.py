"""Retraining only after k of the last n batches drifted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from retrain.decisions import Retrainer
from retrain.handler import decide, load_settings
from shared.objects import UnreadableObject
from tests.handlers.test_retrain import DATA, World, failure, finding

BATCHES = "model/state/batches/"


def remember(world: World, *verdicts: str, version: str = "7", first: int = 1) -> None:
    """Write the records of earlier runs, a day apart."""
    for day, verdict in enumerate(verdicts, first):
        record = {"verdict": verdict, "model_version": version, "execution_id": f"early{day}"}
        world.s3.put(DATA, f"{BATCHES}202611{day:02}T080000Z-early{day}.json", record)


def drifts(
    world: World, drifted: int, of: int, run: str = "run1", batch_digest: str = "", **more: Any
) -> dict[str, Any]:
    """Tell of a drift, whose own record is there already, as RunRecorder writes it."""
    record = {"verdict": "drift", "model_version": "7", "execution_id": run, "batch_digest": batch_digest}
    world.s3.put(DATA, f"{BATCHES}20261128T080000Z-{run}.json", record)
    return told(world, drifted, of, finding(run, modelVersion="7", **more))


def told(world: World, drifted: int, of: int, event: dict[str, Any]) -> dict[str, Any]:
    usual = world.retrainer
    retrainer = Retrainer(
        replace(usual.settings, drifted=drifted, of=of), usual.store, usual.sagemaker, usual.now
    )
    return decide(retrainer, event)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("earlier", "drifted", "of", "starts"),
    [
        ([], 1, 1, True),
        (["ok", "ok", "ok"], 1, 3, True),
        ([], 2, 3, False),
        (["ok", "ok"], 2, 3, False),
        (["drift", "ok"], 2, 3, True),
        (["ok", "drift"], 2, 3, True),
        (["drift", "ok", "ok"], 2, 3, False),
        (["drift", "drift"], 3, 3, True),
        (["drift", "violation"], 3, 3, False),
        (["violation", "violation"], 2, 3, False),
        (["drift", "violation", "violation"], 2, 2, True),
        (["drift", "ok", "violation"], 2, 2, False),
        (["drift", "ok", "drift", "ok"], 3, 5, True),
        (["drift"] * 30, 20, 20, True),
    ],
)
def test_a_drift_retrains_once_enough_of_the_last_batches_drifted(
    world: World, earlier: list[str], drifted: int, of: int, starts: bool
) -> None:
    remember(world, *earlier[:27])

    decision = drifts(world, drifted, of)

    assert decision["decision"] == ("started" if starts else "not_started")
    assert world.started == starts


def test_a_batch_that_is_run_again_counts_once(world: World) -> None:
    for day, digest in enumerate(("b1", "b2", "b1"), 1):
        record = {"verdict": "drift", "model_version": "7", "execution_id": f"x{day}", "batch_digest": digest}
        world.s3.put(DATA, f"{BATCHES}202611{day:02}T080000Z-x{day}.json", record)

    decision = drifts(world, 4, 4, batch_digest="b3")

    assert decision["reason"].startswith("3 of the last 3 batches drifted")
    assert drifts(world, 3, 4, "run2", batch_digest="b2")["decision"] == "started"


def test_the_run_that_is_told_of_stands_for_its_batch(world: World) -> None:
    remember(world, "ok")
    again = {"verdict": "drift", "model_version": "7", "execution_id": "x", "batch_digest": "b1"}
    world.s3.put(DATA, f"{BATCHES}20261120T080000Z-x.json", again)

    assert drifts(world, 2, 2, batch_digest="b1")["reason"].startswith("1 of the last 2 batches drifted")


def test_the_reason_tells_the_count_and_the_rule(world: World) -> None:
    remember(world, "ok", "ok")

    decision = drifts(world, 2, 3)

    assert decision["reason"].startswith(
        "1 of the last 3 batches drifted, and this model retrains after 2 of 3 (monitor.retrain_after in model.yaml)"
    )
    assert world.decision()["decision"] == "not_started"


def test_the_first_batch_of_all_is_told_as_such(world: World) -> None:
    assert drifts(world, 2, 3)["reason"].startswith("this is the first batch that was compared")


def test_a_batch_whose_record_is_late_counts_itself(world: World) -> None:
    remember(world, "drift")

    assert told(world, 2, 3, finding(modelVersion="7"))["decision"] == "started"


def test_a_late_event_looks_at_the_batches_before_its_own_only(world: World) -> None:
    remember(world, "ok", "ok")
    remember(world, "drift", "drift", first=29)

    assert drifts(world, 2, 3)["decision"] == "not_started"


def test_drift_from_another_versions_baseline_does_not_count(world: World) -> None:
    remember(world, "drift", "drift", version="6")

    assert drifts(world, 2, 3)["decision"] == "not_started"


def test_another_models_batches_do_not_count(world: World) -> None:
    for day in (1, 2):
        world.s3.put(DATA, f"model2/state/batches/2026110{day}T080000Z-x.json", {"verdict": "drift"})

    assert drifts(world, 2, 3)["decision"] == "not_started"


def test_a_check_never_counts_nor_retrains(world: World) -> None:
    remember(world, "drift", "drift")

    decision = drifts(world, 2, 3, check=True)

    assert decision["decision"] == "not_started"
    assert "check" in decision["reason"]


def test_a_failure_that_is_to_retrain_waits_for_no_drift() -> None:
    world = World("any_failure")

    assert told(world, 3, 3, failure())["decision"] == "started"


def test_the_same_event_again_gets_the_same_decision_whatever_came_since(world: World) -> None:
    first = drifts(world, 2, 3)
    remember(world, "drift", first=27)

    assert drifts(world, 2, 3) == first
    assert world.started == 0


def test_a_record_that_cannot_be_read_is_raised_and_tried_again(world: World) -> None:
    world.s3.put(DATA, f"{BATCHES}20261101T080000Z-early.json", b"not json")

    with pytest.raises(UnreadableObject):
        drifts(world, 2, 3)
    assert world.started == 0


def test_the_rule_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STAGE", "MODEL_NAME", "DATA_BUCKET", "TRAIN_PIPELINE_NAME", "TRAIN_PREFIX"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("MODEL_PACKAGE_GROUP_ARN", "arn")
    assert (load_settings().drifted, load_settings().of) == (1, 1)

    monkeypatch.setenv("RETRAIN_AFTER_DRIFTED", "2")
    monkeypatch.setenv("RETRAIN_AFTER_OF", "3")

    assert (load_settings().drifted, load_settings().of) == (2, 3)
