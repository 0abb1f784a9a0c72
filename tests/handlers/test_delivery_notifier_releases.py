"""What people are told of a version that was approved, on its way to prod."""

from __future__ import annotations

from typing import Any

import pytest

from delivery_notifier.events import read_outcome
from delivery_notifier.facts import FactFinder
from delivery_notifier.handler import handle
from delivery_notifier.notifier import Notifier
from delivery_notifier.route import Route
from shared import aws
from shared.claims import Claims
from shared.objects import ObjectStore
from tests.handlers.delivery_world import BUCKET, LOG, PERSON, PIPELINE, RUN, TOPIC, World, acts, ends
from tests.handlers.fake_aws import REGION, Context, refusal

VERSIONS = "mlops-versions"
ROUTE = Route(VERSIONS, (("Release", "prod"),), ("ReleaseToProd",), REGION, releases=True)


def world() -> World:
    made = World()
    made.codepipeline.execution["variables"] = [
        {"name": "MODEL", "resolvedValue": "mammography"},
        {"name": "VERSION", "resolvedValue": "3"},
    ]
    return made


def tell(made: World, event: dict[str, Any]) -> str:
    event["detail"]["pipeline"] = VERSIONS
    outcome = read_outcome(event, ROUTE)
    assert outcome is not None
    finder = FactFinder(made.codepipeline, made.clock.sleep)
    claims = Claims(ObjectStore(made.s3, BUCKET), made.clock.now)
    return str(Notifier(ROUTE, TOPIC, finder, claims, made.sns).tell(outcome, "one")["notice"])


def test_a_version_that_waits_is_told_with_the_command_that_traces_it() -> None:
    made = world()
    made.runs("Staging", "Check")
    made.runs("Approve", "ReleaseToProd", "InProgress")
    assert tell(made, acts("Approve", "ReleaseToProd")) == "sent"
    assert made.subject == "[delivery] mlops-versions: version 3 of mammography waits for its release to prod"
    assert "make trace VERSION=3 MODEL=mammography" in made.under("What to do next")
    assert f"pipelines/{VERSIONS}/view" in made.under("What to do next")


def test_a_release_is_told_with_the_way_back() -> None:
    made = world()
    made.runs("Approve", "ReleaseToProd", by=PERSON, reason="good")
    made.runs("Release", "Release")
    tell(made, ends("SUCCEEDED"))
    assert made.subject.endswith("version 3 of mammography is released to prod")
    assert f"approved by {PERSON}: good." in made.under("Why")
    assert "make reject VERSION=3 MODEL=mammography" in made.under("What to do next")


def test_a_failed_check_leaves_prod_with_the_version_that_it_uses() -> None:
    made = world()
    made.runs("Staging", "Check", "Failed", reason="scores differ by 0.2")
    tell(made, ends("FAILED"))
    assert made.subject.endswith("version 3 of mammography was not released")
    assert "scores differ by 0.2" in made.under("Why")
    assert "prod goes on with the version that it uses" in made.under("What was done by itself")
    assert LOG in made.under("What to do next")


def test_a_refused_release_names_who_refused_it() -> None:
    made = world()
    made.runs("Approve", "ReleaseToProd", "Failed", by=PERSON, reason="not in the audit week")
    tell(made, ends("FAILED"))
    assert made.subject.endswith("was refused before prod")
    assert f"Refused by {PERSON}: not in the audit week" in made.under("Why")


@pytest.mark.parametrize("state", ["STOPPED", "SUPERSEDED"])
def test_a_stopped_release_changes_nothing(state: str) -> None:
    made = world()
    made.runs("Staging", "Check", "Abandoned")
    tell(made, ends(state))
    assert "execution was stopped" in made.subject
    assert "Nothing changed" in made.under("What was done by itself")


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED"])
def test_where_codepipeline_cannot_be_read_the_outcome_is_told_all_the_same(state: str) -> None:
    made = world()
    made.codepipeline.fail("ListActionExecutions", refusal("AccessDeniedException", "not allowed"))
    assert tell(made, ends(state)) == "sent"
    assert "a version" in made.subject
    assert "not allowed" in made.under("Why")


def test_the_handler_knows_the_two_pipelines_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world()
    clients = {"s3": made.s3, "sns": made.sns, "codepipeline": made.codepipeline}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    for name, value in {
        "PIPELINE_NAME": PIPELINE,
        "STAGES": "RegistryAndDev=dev,Prod=prod",
        "APPROVALS": "PromoteToProd",
        "GATES": "Permissions",
        "RELEASES_PIPELINE_NAME": VERSIONS,
        "RELEASE_APPROVALS": "ReleaseToProd",
        "STATE_BUCKET": BUCKET,
        "TOPIC_ARN": TOPIC,
    }.items():
        monkeypatch.setenv(name, value)
    made.runs("Release", "Release")
    handle(ends("SUCCEEDED", pipeline=VERSIONS), Context())
    handle(ends("SUCCEEDED"), Context())
    subjects = [message["Subject"] for message in made.sns.published]
    assert subjects[0].endswith("version 3 of mammography is released to prod")
    assert subjects[1].startswith("[delivery] mlops-delivery: commit")
    assert made.s3.json(BUCKET, f"state/notices/{VERSIONS}/{RUN}-1-succeeded.json")["state"] == "sent"
    assert handle(ends("FAILED", pipeline="theirs"), Context())["notice"] == "ignored"
