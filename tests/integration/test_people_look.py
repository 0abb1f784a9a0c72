"""What people look at before they decide: pipelines and runs as Studio shows them, a version's evaluation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stacks.installation import PIPELINE_KINDS, PipelineKind, StageName
from tests.integration.loop import Loop
from tests.integration.processes import programs_of

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]

SCIENTIST = "arn:aws:iam::111111111111:role/mlops/dev/data-scientist/mlops-dev-data-scientist"
OPERATOR = "arn:aws:iam::222222222222:role/mlops/prod/operator/mlops-prod-operator"


def person(loop: Loop, account_name: str, name: str, role: str) -> Any:
    """Return a session of somebody who has taken a role with a second factor."""
    # Other tests of the same installation may have made the user: a second key is theirs as well.
    iam = loop.client(account_name, "iam")
    if name not in {user["UserName"] for user in iam.list_users()["Users"]}:
        user = loop.user(account_name, name, role)
    else:
        key = iam.create_access_key(UserName=name)["AccessKey"]
        user = loop.cloud.session(loop.settings.accounts[account_name], loop.region, credentials=key)
    return loop.cloud.assume(role, session_name=name, by=user, mfa=True)


@pytest.fixture(scope="module")
def ada(loop: Loop) -> Any:
    """The data scientist in their role."""
    return person(loop, "dev", "ada", SCIENTIST)


@pytest.fixture(scope="module")
def grace(loop: Loop) -> Any:
    """The operator in their role."""
    return person(loop, "prod", "grace", OPERATOR)


@pytest.fixture(scope="module")
def alice(loop: Loop) -> Any:
    """The approver in their role."""
    return person(loop, "registry", "alice", loop.settings.approver_role_arn)


def looked_at(session: Any, loop: Loop, stage: StageName, kind: PipelineKind, arn: str) -> dict[str, Any]:
    """Return what Studio shows of a pipeline and of one of its executions."""
    sagemaker, name = session.client("sagemaker"), loop.stage(stage).pipeline_name(loop.model, kind)
    pipeline = sagemaker.describe_pipeline(PipelineName=name)
    runs = sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    ran = sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    return {
        "kind": {
            tag["Key"]: tag["Value"]
            for tag in sagemaker.list_tags(ResourceArn=pipeline["PipelineArn"])["Tags"]
        }["mlops:kind"],
        "listed": arn in [one["PipelineExecutionArn"] for one in runs],
        "as deployed": ran["PipelineDefinition"] == pipeline["PipelineDefinition"],
        "parameters": {
            one["Name"]
            for page in sagemaker.get_paginator("list_pipeline_parameters_for_execution").paginate(
                PipelineExecutionArn=arn
            )
            for one in page["PipelineParameters"]
        },
        "status": sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"],
        "steps": len(
            sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
        ),
    }


@pytest.mark.parametrize("kind", PIPELINE_KINDS)
def test_a_data_scientist_sees_a_pipeline_and_what_ran(loop: Loop, ada: Any, kind: PipelineKind) -> None:
    arn = loop.start("dev", kind, {"transform_input": loop.put_batch("dev")} if kind == "inference" else {})
    loop.client("dev", "sagemaker").stop_pipeline_execution(PipelineExecutionArn=arn)
    loop.follow(kind, "dev", arn)
    shown = looked_at(ada, loop, "dev", kind, arn)
    assert (shown["kind"], shown["listed"], shown["as deployed"]) == (kind, True, True)
    assert "RunUri" in shown["parameters"]


def test_an_operator_stops_a_run_and_sees_what_became_of_it(loop: Loop, grace: Any) -> None:
    arn = loop.start("prod", "inference", {"transform_input": loop.put_batch("prod")})
    loop.wait_for("a job of it", lambda: programs_of(loop.cloud, "steps.check_batch"))
    grace.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=arn)
    loop.follow("inference", "prod", arn)
    shown = looked_at(grace, loop, "prod", "inference", arn)
    assert (shown["kind"], shown["status"], shown["listed"]) == ("inference", "Stopped", True)


def test_people_list_what_they_may_read(loop: Loop, ada: Any, grace: Any) -> None:
    model = loop.model.model_name

    def listed(session: Any, stage: StageName, prefix: str) -> int:
        bucket = loop.stage(stage).data_bucket_name
        return int(
            session.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{model}/{prefix}")["KeyCount"]
        )

    assert listed(ada, "dev", "data/train-dataset/") > 0
    assert listed(grace, "prod", "state/scored/") >= 0


def test_an_approver_reads_the_evaluation_before_the_decision(loop: Loop, alice: Any) -> None:
    bucket, folder = loop.evaluation_folder(1).removeprefix("s3://").split("/", 1)
    s3 = alice.client("s3")
    names = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix=f"{folder}/")["Contents"]]
    assert f"{folder}/evaluation.json" in names
    evaluation = json.loads(s3.get_object(Bucket=bucket, Key=f"{folder}/evaluation.json")["Body"].read())
    assert evaluation["gate"]["cv_auc"] > 0.85


def test_approvers_are_told_where_something_of_the_registry_breaks(loop: Loop) -> None:
    cloudwatch = loop.client("registry", "cloudwatch")
    names = sorted(one["AlarmName"] for one in cloudwatch.describe_alarms()["MetricAlarms"])
    assert "mlops-registry-notifier-errors" in names
    for name in names:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="tried")
    told = [one["subject"] + one["body"] for one in loop.messages("registry")]
    assert [name for name in names if not any(name in text for text in told)] == []


def test_approvers_are_not_reminded_of_a_version_that_waits_since_today(loop: Loop) -> None:
    with loop.unannounced():
        waiting = loop.copy_version()
    answer = loop.client("registry", "lambda").invoke(
        FunctionName="mlops-registry-approval-notifier", Payload=json.dumps({"action": "remind"}).encode()
    )
    said = json.loads(answer["Payload"].read())
    loop.set_status(waiting, "Rejected")
    assert said == {"notice": "none", "reason": "no version waits for 7 days or more"}
