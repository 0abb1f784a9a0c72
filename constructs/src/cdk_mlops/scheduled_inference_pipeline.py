"""A pipeline that scores or judges batches on a schedule, and the alarm for when nothing is scored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from aws_cdk import Annotations, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_mlops._functions import dead_letter_queue
from cdk_mlops._roles import own_account, service_role
from cdk_mlops._statements import Statement
from cdk_mlops._validation import check_choice, check_range, check_stage
from cdk_mlops.batch_schedule import BatchSchedule, FlexibleWindow
from cdk_mlops.model_names import ModelNames
from cdk_mlops.pipeline import Pipeline
from cdk_mlops.run_recorder import model_metric

Kind = Literal["inference", "quality"]
KINDS: tuple[Kind, ...] = ("inference", "quality")
_DAY = 86_400
# CloudWatch evaluates at most seven days:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
_LONGEST_EVALUATION = 7 * _DAY


class ScheduledInferencePipeline(Construct):
    """A schedule that starts an inference pipeline, with retry and a dead-letter queue, and an alarm for silence.

    Or the quality pipeline of the same model, with ``kind="quality"``: ground truth that doesn't come is no silence.

    Parameters
    ----------
    model, stage
        Make the names of schedule and role, and the alarm's metric.
    pipeline
        Ours (`SageMakerPipeline`) or any (`SageMakerPipeline.from_pipeline_name`).
    kind
        ``inference`` (default) or ``quality``: ends the schedule's name, and tells the role from that of the other.
    schedule
        When it starts.
    window
        How much later it may start. Default: on time.
    parameters
        Start parameters. Default: the pipeline's own defaults.
    retries
        Tries after a start that failed, 0 to 185. Default: 3, within an hour.
    enabled
        Default: on. Where it is off there is no alarm for silence.
    silence_alarm
        Default: of inference, an alarm when no batch was scored within two periods of the schedule. Set False for
        pipelines that don't write the metric ``BatchScored``.
    alarm_topic
        Where the alarm goes. Default: nowhere.

    Attributes
    ----------
    dead_letter_queue
        Starts that could not be delivered.
    alarm
        The alarm for silence, or None.

    Raises
    ------
    ValueError
        If a prop can't be right.

    See https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: ModelNames,
        stage: str,
        pipeline: Pipeline,
        kind: Kind = "inference",
        schedule: BatchSchedule,
        window: FlexibleWindow | None = None,
        parameters: Mapping[str, str] | None = None,
        retries: int = 3,
        enabled: bool = True,
        silence_alarm: bool = True,
        alarm_topic: sns.ITopic | None = None,
    ) -> None:
        check_stage("stage", stage)
        check_choice("kind", kind, KINDS)
        check_range("retries", retries, 0, 185)
        window = FlexibleWindow.off() if window is None else window
        super().__init__(scope, construct_id)
        self.pipeline = pipeline
        self.dead_letter_queue = dead_letter_queue(self, "DeadLetters")
        self.role = service_role(
            self,
            "Role",
            stage=stage,
            purpose="scheduler" if kind == "inference" else f"{kind}-scheduler",
            prefix=model.prefix,
            service="scheduler.amazonaws.com",
            description=f"Starts {pipeline.pipeline_name} on schedule",
            trust_conditions=own_account(self),
            statements=[
                *pipeline.start_statements(),
                Statement("DeadLetters", ["sqs:SendMessage"], [self.dead_letter_queue.queue_arn]),
            ],
        )
        self.schedule = scheduler.CfnSchedule(
            self,
            "Resource",
            name=f"{model.prefix}-{stage}-{kind}",
            description=f"Starts {pipeline.pipeline_name}",
            schedule_expression=schedule.expression,
            schedule_expression_timezone=schedule.time_zone,
            state="ENABLED" if enabled else "DISABLED",
            flexible_time_window=_window(window),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=pipeline.pipeline_arn,
                role_arn=self.role.role_arn,
                sage_maker_pipeline_parameters=_parameters(parameters),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_retry_attempts=retries, maximum_event_age_in_seconds=3600
                ),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=self.dead_letter_queue.queue_arn
                ),
            ),
        )
        # The target need not exist for the schedule to be made, but a schedule that fires before it does
        # starts nothing.
        self.schedule.node.add_dependency(pipeline)
        silence = schedule.longest_silence
        self.alarm: cloudwatch.Alarm | None = None
        if kind == "inference" and silence_alarm and enabled and silence is not None:
            self.alarm = self._silence_alarm(model, stage, silence + timedelta(minutes=window.minutes))
            if alarm_topic is not None:
                self.alarm.add_alarm_action(cloudwatch_actions.SnsAction(alarm_topic))

    def _silence_alarm(self, model: ModelNames, stage: str, silence: timedelta) -> cloudwatch.Alarm:
        seconds = 2 * silence.total_seconds()
        if seconds > _LONGEST_EVALUATION:
            seconds = _LONGEST_EVALUATION
            Annotations.of(self).add_info(
                f"Two periods of {model.prefix}'s schedule are more than the seven days that CloudWatch can look "
                "back: the alarm for silence rings after seven days without a scored batch, so expect it between "
                "runs that are further apart."
            )
        # Periods of at most a day; together they cover the time, in whole minutes.
        periods = max(2, math.ceil(seconds / _DAY))
        period = math.ceil(seconds / periods / 60) * 60
        return cloudwatch.Alarm(
            self,
            "Silence",
            alarm_name=f"{model.prefix}-{stage}-silence",
            alarm_description=(
                f"[{stage}] {model.model_name}: no batch was scored within two periods of the schedule. Look for "
                f"failed executions of {self.pipeline.pipeline_name}, and whether batches still arrive."
            ),
            metric=model_metric("BatchScored", stage, model, Duration.seconds(period)),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=periods,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )


def _window(window: FlexibleWindow) -> scheduler.CfnSchedule.FlexibleTimeWindowProperty:
    if window.minutes == 0:
        return scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF")
    return scheduler.CfnSchedule.FlexibleTimeWindowProperty(
        mode="FLEXIBLE", maximum_window_in_minutes=window.minutes
    )


def _parameters(
    parameters: Mapping[str, str] | None,
) -> scheduler.CfnSchedule.SageMakerPipelineParametersProperty | None:
    if not parameters:
        return None
    return scheduler.CfnSchedule.SageMakerPipelineParametersProperty(
        pipeline_parameter_list=[
            scheduler.CfnSchedule.SageMakerPipelineParameterProperty(name=name, value=value)
            for name, value in parameters.items()
        ]
    )
