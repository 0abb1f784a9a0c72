"""Findings, reports and records of ground truth that are mangled: ignored, or a named error; nothing else is started.

`tests.fuzz.fuzzing` says how to run more examples.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from tests.fuzz.fuzzing import LINE_LIMIT, fuzz
from tests.fuzz.test_events import Event, mangled, outcome
from tests.handlers import notifier_world
from tests.handlers import test_ground_truth as resolving
from tests.handlers import test_pipeline_notifier_quality as alerts
from tests.handlers import test_record_quality as recording
from tests.handlers import test_retrain as retrain
from tests.handlers import test_retrain_quality as losses


@fuzz(200)
@given(mangled(losses.loss()))
def test_a_retraining_is_started_by_a_loss_that_retrains_only(event: Event) -> None:
    world = retrain.World()
    outcome(lambda: world.decide(event))

    if world.started:
        detail = event["detail"]
        assert detail["finding"] in ("drift", "model_quality")
        assert detail["finding"] == "drift" or detail["retrain"] is True
        assert detail.get("model") in (None, "model")
    assert all(key.startswith("model/") for key in world.s3.objects[retrain.DATA])


@fuzz(200)
@given(mangled(alerts.loss(notifier_world.World(kind="quality"))))
def test_a_loss_is_one_message_or_none(event: Event) -> None:
    world = notifier_world.World(kind="quality")
    answer = outcome(lambda: world.notify(event))

    assert len(world.sns.published) == (1 if answer == "sent" else 0)
    assert not any(".." in key.split("/") for key in world.s3.objects[notifier_world.DATA])


@fuzz(250)
@given(mangled(recording.LOST, recording.FINE, recording.FEW))
def test_whatever_a_report_says_what_is_recorded_and_announced_holds(document: Any) -> None:
    world = recording.World()
    message = outcome(lambda: world.judge(document))

    details = world.events.details()
    assert message is None or len(message) <= LINE_LIMIT
    for detail in details:
        assert detail["retrain"] is (document["action"] == "announce_and_retrain")
        assert len(json.dumps(detail)) < 200_000
    if message is None:
        assert recording.KEY not in world.s3.objects["data"]
    else:
        assert bool(details) is (document["action"] in ("announce", "announce_and_retrain"))


@fuzz(200)
@given(
    mangled({"uri": resolving.EVERYTHING, "scored": {"model_version": "1", "predictions_uri": "s3://data/p"}})
)
def test_the_resolver_finds_ground_truth_or_nothing_or_says_why(event: Event) -> None:
    world = resolving.World()
    scored = world.batch("nov.csv")
    world.labels("nov.csv")
    world.s3.put(resolving.DATA, f"model/state/scored/{scored}.json", json.dumps(event.get("scored")))
    uri = event.get("uri")
    answer = outcome(lambda: world.resolve(uri if isinstance(uri, str) else ""))

    for value in (answer or {}).values():
        assert isinstance(value, str)
        assert len(value) <= LINE_LIMIT
    if answer and answer["found"] == "true":
        assert answer["model_version"] in ("1", "7")
