"""The delivery's notifier against pipelines that really run: its events, its permissions, one message an outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

import cdk_mlops as mlops
from local_cloud.cloud import LocalCloud
from local_cloud.deployer import deploy
from tests.local_cloud_delivery.world import (
    ACCOUNT,
    REGION,
    Repository,
    World,
    approval,
    stage,
    wait_for,
)

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("messages")]

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:mlops-delivery-alerts"
NAME = "messages-delivers"


@pytest.fixture(scope="module")
def told(cloud: LocalCloud, repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A stack with the notifier of a pipeline, and a world that makes that pipeline."""
    folder: Path = tmp_path_factory.mktemp("assembly")
    app = cdk.App(outdir=str(folder), analytics_reporting=False)
    stack = cdk.Stack(app, "Messages", env=cdk.Environment(account=ACCOUNT, region=REGION))
    mlops.DeliveryAlerts(
        stack,
        "Alerts",
        pipeline_name=NAME,
        stages={"Dev": "dev", "Prod": "prod"},
        state_bucket=mlops.StageDataBucket(stack, "Data", stage="delivery"),
        alerts=mlops.AlertTopic(stack, "Topic", stage="delivery"),
    )
    app.synth()
    deploy(cloud, folder)
    return World(cloud, repository, "messages")


def message(world: World, ending: str) -> Any:
    """Wait for the message whose subject ends so."""
    return wait_for(
        lambda: next((one for one in world.cloud.messages(TOPIC) if one.subject.endswith(ending)), None)
    )


def test_a_commit_is_told_while_it_waits_when_refused_when_it_fails_and_when_it_arrives(
    told: World, tmp_path: Path
) -> None:
    review = told.project(
        "review",
        spec={
            "version": "0.2",
            "env": {"exported-variables": ["SUMMARY", "REVIEW_URL"]},
            "phases": {"build": {"commands": ["export SUMMARY='version 3' REVIEW_URL=https://review"]}},
        },
    )
    broken = tmp_path / "broken"
    check = told.project("check", f'test ! -e "{broken}" || {{ echo "scores differ"; exit 1; }}')
    shown = {"CustomData": "#{Seen.SUMMARY}", "ExternalEntityLink": "#{Seen.REVIEW_URL}"}
    pipeline = told.create(
        "delivers",
        stage("Dev", told.build("Check", check)),
        stage(
            "Prod",
            told.build("Review", review, namespace="Seen", runOrder=1),
            approval("PromoteToProd", configuration=shown, runOrder=2),
        ),
    )
    assert pipeline.name == NAME
    waiting = message(told, "waits for approval before prod")
    assert "version 3" in waiting.body
    assert "https://review" in waiting.body
    pipeline.answer("Prod", "PromoteToProd", "Approved", "looks right")
    arrived = message(told, "is in prod")
    assert "looks right" in arrived.body
    assert "Say hello" in arrived.body

    pipeline.start()
    pipeline.answer("Prod", "PromoteToProd", "Rejected", "not today")
    refused = message(told, "was refused before prod")
    assert "not today" in refused.body
    assert "Nothing was deployed to prod." in refused.body

    broken.touch()
    pipeline.start()
    failed = message(told, "did not reach dev: Check failed")
    assert "prod is untouched." in failed.body
    subjects = [one.subject for one in told.cloud.messages(TOPIC)]
    assert len(subjects) == len(set(subjects)) + 1  # the second commit waited too


def test_an_event_that_comes_again_tells_nobody_twice(told: World) -> None:
    before = told.cloud.messages(TOPIC)
    (ended,) = [
        one
        for one in told.codepipeline.list_pipeline_executions(pipelineName=NAME)["pipelineExecutionSummaries"]
        if one["status"] == "Succeeded"
    ]
    detail = {"pipeline": NAME, "execution-id": ended["pipelineExecutionId"], "state": "SUCCEEDED"}
    event = {
        "source": "aws.codepipeline",
        "detail-type": "CodePipeline Pipeline Execution State Change",
        "time": "2026-11-21T08:00:00Z",
        "detail": detail,
    }
    answer = (
        told.cloud.session(ACCOUNT, REGION)
        .client("lambda")
        .invoke(FunctionName="mlops-delivery-notifier", Payload=json.dumps(event).encode())
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert told.cloud.messages(TOPIC) == before


def test_an_alarm_of_the_delivery_reaches_its_people(told: World) -> None:
    cloudwatch = told.cloud.session(ACCOUNT, REGION).client("cloudwatch")
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    (name,) = [one["AlarmName"] for one in alarms if one["AlarmName"].endswith("dead-letters")]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="tried")
    assert wait_for(lambda: [one for one in told.cloud.messages(TOPIC) if name in one.subject + one.body])
