"""The schedule that starts an inference pipeline, and its alarm for silence."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Annotations, Match

from cdk_mlops import BatchSchedule, FlexibleWindow, SageMakerPipeline, ScheduledInferencePipeline
from tests.library.library_app import (
    MAMMO,
    new_stack,
    only,
    resources,
    stage_template,
    statements,
    template_of,
)


def scheduled(schedule: BatchSchedule, **props: Any) -> tuple[cdk.Stack, ScheduledInferencePipeline]:
    stack = new_stack()
    pipeline = SageMakerPipeline.from_pipeline_name(stack, "Pipeline", "any-pipeline")
    return stack, ScheduledInferencePipeline(
        stack, "Schedule", model=MAMMO, stage="prod", pipeline=pipeline, schedule=schedule, **props
    )


def alarm(schedule: BatchSchedule, **props: Any) -> dict[str, Any]:
    return only(template_of(scheduled(schedule, **props)[0]), "AWS::CloudWatch::Alarm")


def test_the_schedule_starts_the_pipeline_in_its_time_zone_with_retry_and_dead_letters() -> None:
    schedule = only(stage_template(), "AWS::Scheduler::Schedule")
    assert schedule["ScheduleExpression"] == "cron(0 23 * * ? *)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert schedule["State"] == "ENABLED"
    assert schedule["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 3}
    assert "DeadLetters" in schedule["Target"]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]


def test_the_schedulers_role_starts_this_pipeline_only_and_for_this_account_only() -> None:
    role = only(stage_template(), "AWS::IAM::Role", "ScheduleRole")
    trust = role["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "333333333333"}}
    start = statements(role)["StartPipeline"]
    assert start["Action"] == "sagemaker:StartPipelineExecution"
    assert start["Resource"]["Fn::Join"][1][-1].endswith(":pipeline/mammo-severity-inference-pipeline")


def test_start_parameters_and_a_flexible_window_are_passed_on() -> None:
    stack, _ = scheduled(
        BatchSchedule.every(1, "day"),
        parameters={"transform_input": "s3://b/{date}"},
        window=FlexibleWindow.up_to(15),
    )
    schedule = only(template_of(stack), "AWS::Scheduler::Schedule")
    assert schedule["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    parameters = schedule["Target"]["SageMakerPipelineParameters"]["PipelineParameterList"]
    assert parameters == [{"Name": "transform_input", "Value": "s3://b/{date}"}]


@pytest.mark.parametrize(
    ("schedule", "window", "period", "periods"),
    [
        (BatchSchedule.every(15, "minute"), 0, 900, 2),
        (BatchSchedule.every(15, "minute"), 5, 1200, 2),
        (BatchSchedule.cron("0 23 * * ? *"), 0, 86_400, 2),
        (BatchSchedule.cron("0 23 * * ? *"), 30, 58_800, 3),
        (BatchSchedule.cron("0 23 ? * MON-FRI *"), 0, 86_400, 6),
    ],
)
def test_the_alarm_covers_two_periods_of_the_schedule(
    schedule: BatchSchedule, window: int, period: int, periods: int
) -> None:
    found = alarm(schedule, window=FlexibleWindow(minutes=window))
    assert (found["Period"], found["EvaluationPeriods"]) == (period, periods)
    assert found["Period"] * found["EvaluationPeriods"] <= 7 * 86_400


def test_the_alarm_rings_when_no_batch_was_scored_and_when_nothing_is_known() -> None:
    found = alarm(BatchSchedule.every(1, "day"))
    assert (found["MetricName"], found["Namespace"], found["Statistic"]) == (
        "BatchScored",
        "cdk-mlops",
        "Sum",
    )
    assert (found["ComparisonOperator"], found["Threshold"]) == ("LessThanThreshold", 1)
    assert found["TreatMissingData"] == "breaching"
    assert {"Name": "Model", "Value": MAMMO.model_name} in found["Dimensions"]


def test_a_monthly_schedule_says_that_the_alarm_looks_back_seven_days_only() -> None:
    stack, _ = scheduled(BatchSchedule.cron("0 0 1 * ? *"))
    Annotations.from_stack(stack).has_info("*", Match.string_like_regexp("seven days"))
    found = only(template_of(stack), "AWS::CloudWatch::Alarm")
    assert (found["Period"], found["EvaluationPeriods"]) == (86_400, 7)


@pytest.mark.parametrize(
    ("schedule", "props"),
    [
        (BatchSchedule.once("2027-01-31T08:00:00"), {}),
        (BatchSchedule.every(1, "day"), {"enabled": False}),
        (BatchSchedule.every(1, "day"), {"silence_alarm": False}),
    ],
)
def test_there_is_no_alarm_where_silence_is_expected(schedule: BatchSchedule, props: dict[str, Any]) -> None:
    assert not resources(template_of(scheduled(schedule, **props)[0]), "AWS::CloudWatch::Alarm")


def test_fails_with_more_retries_than_scheduler_takes() -> None:
    assert scheduled(BatchSchedule.every(1, "day"), retries=185)
    with pytest.raises(ValueError, match="retries must be a whole number from 0 to 185, got 186"):
        scheduled(BatchSchedule.every(1, "day"), retries=186)


def test_a_quality_pipeline_gets_a_schedule_and_a_role_of_its_own_and_no_alarm_for_silence() -> None:
    stack, judged = scheduled(BatchSchedule.every(1, "day"), kind="quality")
    pipeline = SageMakerPipeline.from_pipeline_name(stack, "Scoring", "other-pipeline")
    ScheduledInferencePipeline(
        stack,
        "Scored",
        model=MAMMO,
        stage="prod",
        pipeline=pipeline,
        schedule=BatchSchedule.every(1, "day"),
        silence_alarm=False,
    )
    template = template_of(stack)
    assert judged.alarm is None
    assert not [one for one in template["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    found = {
        kind: sorted(one["Properties"][name] for one in template["Resources"].values() if one["Type"] == kind)
        for kind, name in (("AWS::Scheduler::Schedule", "Name"), ("AWS::IAM::Role", "RoleName"))
    }
    assert found == {
        "AWS::Scheduler::Schedule": ["mammo-severity-prod-inference", "mammo-severity-prod-quality"],
        "AWS::IAM::Role": ["mammo-severity-prod-quality-scheduler", "mammo-severity-prod-scheduler"],
    }


def test_fails_with_another_kind() -> None:
    with pytest.raises(ValueError, match=r"^kind must be one of inference, quality"):
        scheduled(BatchSchedule.every(1, "day"), kind="train")
