"""One readable message for each failed or stopped execution of a stage, and an alarm on every dead-letter queue."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_mlops._alarms import function_alarm, queue_alarm
from cdk_mlops._functions import METRIC_NAMESPACE, HandlerFunction
from cdk_mlops._statements import Statement, arn, deny, list_bucket, read_objects, write_objects
from cdk_mlops._validation import check_account, check_stage
from cdk_mlops.alert_topic import TopicForAlerts
from cdk_mlops.pipeline import status_pattern
from cdk_mlops.run_recorder import CHECKS, EVENT_SOURCE, FINDING
from cdk_mlops.stage_data_bucket import DataBucket


class PipelineAlerts(Construct):
    """What happened, why, what was done by itself, what to do next: exactly one message a failed or stopped execution.

    One a stage, whatever the number of models: the rules are shared, and the function tells a pipeline's stage
    and model by its tags.

    Parameters
    ----------
    stage
        Such as ``prod``.
    data_bucket
        Where runs leave verdicts and decisions, and the function its claims.
    alerts
        The topic: make one a stage with `AlertTopic`, or use one that exists.
    registry_account
        Named in the messages. Default: not named.
    ignored
        Patterns of pipeline names that nobody is told of, such as ``*--*``. Default: none.

    Attributes
    ----------
    function, dead_letter_queue
        The notifier, and where events lie that it failed on.

    Raises
    ------
    ValueError
        If the stage or the account can't be one.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        data_bucket: DataBucket,
        alerts: TopicForAlerts,
        registry_account: str | None = None,
        ignored: Sequence[str] = (),
    ) -> None:
        check_stage("stage", stage)
        if registry_account is not None:
            check_account("registry_account", registry_account)
        super().__init__(scope, construct_id)
        self.topic = alerts.topic
        self._stage = stage
        runs, state, claims = ["*/inference/*", f"*/{CHECKS}/*"], "*/state/*", "*/state/alerts/*"
        read = [*(f"{run}/data-quality/verdict.json" for run in runs), "*/state/retraining/*", claims]
        self.handler = HandlerFunction(
            self,
            "Function",
            handler="pipeline_notifier",
            name="pipeline-notifier",
            prefix="mlops",
            stage=stage,
            purpose="notifier",
            description=f"Tells people of failed and stopped executions in {stage}",
            statements=[
                Statement("PipelineTags", ["sagemaker:ListTags"], [arn(self, "sagemaker", "pipeline/*")]),
                Statement(
                    "Executions",
                    [
                        "sagemaker:DescribePipelineExecution",
                        "sagemaker:ListPipelineExecutionSteps",
                        "sagemaker:ListPipelineParametersForExecution",
                    ],
                    [arn(self, "sagemaker", "pipeline/*/execution/*")],
                ),
                list_bucket(
                    "ListReports", data_bucket.bucket_arn, [*runs, state], but=_deeper([*runs, state])
                ),
                read_objects("ReadReports", data_bucket.bucket_arn, read),
                write_objects("Claim", data_bucket.bucket_arn, [claims]),
                deny(
                    "NotDeeper",
                    ["s3:GetObject", "s3:PutObject"],
                    [f"{data_bucket.bucket_arn}/{pattern}" for pattern in _deeper(read)],
                ),
                *data_bucket.key.statements("encrypt_decrypt", sid="DataKey"),
                *alerts.publish_statements(),
            ],
            environment={
                "STAGE": stage,
                "DATA_BUCKET": data_bucket.bucket_name,
                "TOPIC_ARN": alerts.topic.topic_arn,
                "METRIC_NAMESPACE": METRIC_NAMESPACE,
                **({} if registry_account is None else {"REGISTRY_ACCOUNT": registry_account}),
            },
            timeout=Duration.seconds(120),
            log_key=data_bucket.key,
            started_by_events=True,
        )
        self.function, self.role = self.handler.function, self.handler.role
        self.dead_letter_queue = self.handler.dead_letter_queue
        delivered: dict[str, object] = {"stage": [stage], "delivered": [True]}
        ended = status_pattern(["Failed", "Stopped"])
        if ignored:
            names = list(ignored)
            delivered["pipelineName"] = [{"anything-but": {"wildcard": names}}]
            arns = [arn(self, "sagemaker", f"pipeline/{name}/execution/*") for name in names]
            ended = status_pattern(["Failed", "Stopped"], but_executions=arns)
        self.rules = [
            self._rule("EndedBadly", ended),
            self._rule(
                "Delivered",
                events.EventPattern(source=[EVENT_SOURCE], detail_type=[FINDING], detail=delivered),
            ),
        ]
        self.watch_function("NotifierErrors", self.function)
        if self.dead_letter_queue is not None:
            self.watch("NotifierDeadLetters", self.dead_letter_queue)

    def watch(self, construct_id: str, queue: sqs.IQueue) -> cloudwatch.Alarm:
        """Return an alarm that rings when a dead-letter queue holds anything."""
        return queue_alarm(self, construct_id, stage=self._stage, queue=queue, topic=self.topic)

    def watch_function(self, construct_id: str, function: lambda_.IFunction) -> cloudwatch.Alarm:
        """Return an alarm that rings when a function fails."""
        return function_alarm(self, construct_id, stage=self._stage, function=function, topic=self.topic)

    def _rule(self, construct_id: str, pattern: events.EventPattern) -> events.Rule:
        return events.Rule(self, construct_id, event_pattern=pattern, targets=[self.handler.as_target()])


def _deeper(patterns: Sequence[str]) -> list[str]:
    """Return what patterns that begin with any model's folder match further down, because a ``*`` crosses slashes.

    Without these being refused, ``<model_name>/data/state/alerts/x.csv`` would be a claim: training data.
    """
    return [f"*/{pattern}" for pattern in patterns]
