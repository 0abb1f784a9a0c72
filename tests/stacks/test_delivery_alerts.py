"""What starts the delivery's notifier, and that it may do what it does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cdk_mlops import AlertTopic, DeliveryAlerts, StageDataBucket
from tests.library.library_app import new_stack
from tests.stacks.delivery_kit import BOTH, role, stages
from tests.stacks.installations import resources, template


def function(installation: str = "full") -> dict[str, Any]:
    functions = resources(template(installation, "DeliveryStack"), "AWS::Lambda::Function").values()
    (found,) = [one for one in functions if one["FunctionName"] == "mlops-delivery-notifier"]
    return found


def patterns(kind: str) -> list[dict[str, Any]]:
    rules = resources(template("full", "DeliveryStack"), "AWS::Events::Rule").values()
    found = [one["EventPattern"] for one in rules if one["EventPattern"]["source"] == ["aws.codepipeline"]]
    return [
        one["detail"]
        for one in found
        if one["detail-type"] == [f"CodePipeline {kind} Execution State Change"]
    ]


def test_every_end_of_an_execution_is_told() -> None:
    assert patterns("Pipeline") == [
        {"pipeline": ["mlops-delivery"], "state": ["SUCCEEDED", "FAILED", "STOPPED", "SUPERSEDED"]}
    ]


def test_of_the_actions_a_promotion_that_waits_is_told_and_a_gate_that_broke() -> None:
    waits = {"state": ["STARTED"], "action": ["PromoteToProd"], "type": {"category": ["Approval"]}}
    broke = {"state": ["FAILED"], "action": ["Permissions"]}
    ours = {"pipeline": ["mlops-delivery"]}
    found = sorted(patterns("Action"), key=lambda detail: detail["state"], reverse=True)
    assert found == [ours | waits, ours | broke]


@pytest.mark.parametrize("installation", BOTH)
def test_the_notifier_knows_which_stage_of_the_pipeline_deploys_what(installation: str) -> None:
    pairs = function(installation)["Environment"]["Variables"]["STAGES"].split(",")
    names = [pair.split("=")[0] for pair in pairs]
    assert names == [name for name in stages(installation) if name in names]
    assert [pair.split("=")[1] for pair in pairs] == [
        stage for stage in ("dev", "staging", "prod") if stage != "staging" or installation == "full"
    ]


def test_the_notifier_reads_its_pipeline_and_writes_claims_alone() -> None:
    (policy,) = role("mlops-delivery-notifier")["Policies"]
    statements = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
    assert (
        statements["Executions"]["Resource"] == "arn:aws:codepipeline:us-east-1:333333333333:mlops-delivery"
    )
    assert statements["Claim"]["Resource"].endswith("/state/notices/*")
    written = [one for one in statements.values() if "s3:PutObject" in one["Action"]]
    assert len(written) == 1


def test_people_are_asked_to_subscribe_and_alarms_ring_on_the_same_topic() -> None:
    found = template("full", "DeliveryStack")
    (topic,) = resources(found, "AWS::SNS::Topic").values()
    assert topic["TopicName"] == "mlops-delivery-alerts"
    (subscription,) = resources(found, "AWS::SNS::Subscription").values()
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ml-team@example.com")
    alarms = {one["AlarmName"]: one for one in resources(found, "AWS::CloudWatch::Alarm").values()}
    assert set(alarms) == {"mlops-delivery-notifier-errors", "mlops-delivery-notifier-dead-letters"}
    assert all(one["AlarmActions"] == [subscription["TopicArn"]] for one in alarms.values())


def test_events_that_fail_end_in_a_queue() -> None:
    found = template("full", "DeliveryStack")
    (queue,) = resources(found, "AWS::SQS::Queue")
    assert queue in json.dumps(function()["DeadLetterConfig"])
    for rule in resources(found, "AWS::Events::Rule").values():
        assert queue in json.dumps(rule["Targets"][0]["DeadLetterConfig"])


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"pipeline_name": "no name"}, "pipeline_name must be 1 to 100"),
        ({"stages": {}}, "must each hold at least one name"),
        ({"stages": {"Prod": "PROD"}}, "stages must be 2 to 16 lower-case"),
        ({"approvals": ["say yes"]}, "approvals must be 1 to 100"),
        ({"approvals": []}, "must each hold at least one name"),
        ({"gates": ["a b"]}, "gates must be 1 to 100"),
        ({"releases_pipeline_name": "a b"}, "releases_pipeline_name must be 1 to 100"),
        ({"releases_pipeline_name": "r", "release_approvals": ["a b"]}, "release_approvals must be 1 to 100"),
    ],
)
def test_fails_on_names_that_cannot_be(props: dict[str, Any], message: str) -> None:
    stack = new_stack()
    with pytest.raises(ValueError, match=message):
        DeliveryAlerts(
            stack,
            "Alerts",
            **{
                "pipeline_name": "p",
                "stages": {"Prod": "prod"},
                "state_bucket": StageDataBucket(stack, "Data", stage="delivery"),
                "alerts": AlertTopic(stack, "Topic", stage="delivery"),
                **props,
            },
        )
