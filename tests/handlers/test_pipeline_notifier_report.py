"""An alert about a batch leads to its page: on a phone through the console, at a desk by a command."""

from __future__ import annotations

import pytest

from shared.objects import ObjectStore
from tests.handlers.fake_aws import REGION, refusal
from tests.handlers.notifier_world import DATA, RUN, World

KEY = f"model/inference/{RUN}/data-quality/report.html"
URI = f"s3://{DATA}/{KEY}"
COMMAND = (
    f"aws s3 cp --profile mlops-prod --region {REGION} {URI} report.html"
    ' && python3 -m webbrowser -t "file://$PWD/report.html"'
)


@pytest.fixture
def world() -> World:
    made = World()
    made.s3.put(DATA, KEY, b"<!doctype html>")
    return made


def test_a_drift_leads_to_the_page_of_its_batch(world: World) -> None:
    world.drifts()
    world.notify()

    todo = world.body.split("What to do next")[1]
    assert f"Look at the batch beside the training data: {URI}" in todo
    assert f"s3/object/{DATA}?region={REGION}&prefix={KEY}" in todo
    assert f"Or at your desk: {COMMAND}" in todo
    assert todo.index(URI) < todo.index("Find out whether the world changed")


def test_a_violation_leads_to_the_page_too(world: World) -> None:
    world.fails("Mammo-ViolationFail", "DataQualityViolated: failed checks: Age")
    world.notify()

    assert URI in world.body


def test_a_drift_that_was_delivered_leads_to_the_page_too(world: World) -> None:
    world.notify(world.finding())

    assert URI in world.body


def test_without_a_page_no_address_is_named() -> None:
    world = World()
    world.drifts()
    world.notify()

    assert "report.html" not in world.body
    assert "Find out whether the world changed" in world.body


def test_a_failed_step_is_no_matter_of_the_page(world: World) -> None:
    world.fails("Mammo-Transform", "out of memory")
    world.notify()

    assert "report.html" not in world.body


def test_a_page_that_can_not_be_looked_for_holds_no_alert_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists = ObjectStore.exists

    def refused(store: ObjectStore, key: str) -> bool:
        if key == KEY:
            raise refusal("SlowDown")
        return exists(store, key)

    monkeypatch.setattr(ObjectStore, "exists", refused)
    world.drifts()
    world.notify()

    assert "report.html" not in world.body
    assert "data drift in Age" in world.subject
