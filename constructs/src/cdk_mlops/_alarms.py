"""Alarms on what nobody looks at: functions that fail, and dead-letter queues that hold something."""

from __future__ import annotations

import re

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

_PERIOD = Duration.minutes(5)


def queue_alarm(
    scope: Construct, construct_id: str, *, stage: str, queue: sqs.IQueue, topic: sns.ITopic
) -> cloudwatch.Alarm:
    """Return an alarm that rings when a dead-letter queue holds anything."""
    return _alarm(
        scope,
        construct_id,
        stage,
        queue.metric_approximate_number_of_messages_visible(period=_PERIOD, statistic="Maximum"),
        topic,
        "An event or a scheduled start was not handled. It lies in the dead-letter queue: read it, mend the "
        "cause, send it again.",
    )


def function_alarm(
    scope: Construct, construct_id: str, *, stage: str, function: lambda_.IFunction, topic: sns.ITopic
) -> cloudwatch.Alarm:
    """Return an alarm that rings when a function fails."""
    return _alarm(
        scope,
        construct_id,
        stage,
        function.metric_errors(period=_PERIOD),
        topic,
        "A function failed. Its log group says why; what it failed on three times lies in its dead-letter queue.",
    )


def _alarm(
    scope: Construct,
    construct_id: str,
    stage: str,
    metric: cloudwatch.Metric,
    topic: sns.ITopic,
    text: str,
) -> cloudwatch.Alarm:
    alarm = cloudwatch.Alarm(
        scope,
        construct_id,
        alarm_name=f"mlops-{stage}-{_kebab(construct_id)}",
        alarm_description=f"[{stage}] {text}",
        metric=metric,
        threshold=1,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=1,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )
    alarm.add_alarm_action(cloudwatch_actions.SnsAction(topic))
    return alarm


def _kebab(name: str) -> str:
    """Return ``NotifierErrors`` as ``notifier-errors``: what an alarm's mail is headed with."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
