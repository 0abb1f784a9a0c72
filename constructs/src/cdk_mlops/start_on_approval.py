"""Starts a release when somebody has approved a version."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_events as events
from constructs import Construct

from cdk_mlops._alarms import function_alarm, queue_alarm
from cdk_mlops._functions import HandlerFunction
from cdk_mlops._statements import Statement, arn
from cdk_mlops.alert_topic import TopicForAlerts
from cdk_mlops.kms_shared_key import SharedKey

_STAGE = "delivery"


class StartOnApproval(Construct):
    """Starts a CodePipeline for every version that is approved in the registry of this account.

    The pipeline must be of type V2, with the variables ``MODEL`` and ``VERSION``. It runs the commit that the last
    stage of the delivery runs. A version whose ModelLifeCycle says ``prod``, ``released`` starts nothing any more;
    when it is rejected, that becomes ``withdrawn``, so that an approval starts its release again.

    Parameters
    ----------
    pipeline_name, source_action
        What is started, and its action that fetches the commit.
    delivery_pipeline_name, delivered_stage
        The pipeline that delivers commits, and the stage of it that the commit has passed.
    models
        By the name of its package group, each model as the pipeline's commands know it.
    alerts
        Where alarms ring.
    log_key
        Encrypts the function's log group, where it is a key of the same stack. Default: CloudWatch Logs' own key.

    Attributes
    ----------
    function, dead_letter_queue
        The starter, and where events lie that it failed on.

    Raises
    ------
    ValueError
        If there is no model.

    See https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_StartPipelineExecution.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        pipeline_name: str,
        source_action: str,
        delivery_pipeline_name: str,
        delivered_stage: str,
        models: Mapping[str, str],
        alerts: TopicForAlerts,
        log_key: SharedKey | None = None,
    ) -> None:
        if not models:
            raise ValueError("models must name at least one package group, got none")
        super().__init__(scope, construct_id)
        # SageMaker writes some ARNs in lower case whatever the group's case is.
        groups = dict.fromkeys(name for group in models for name in (group, group.lower()))
        versions = [arn(self, "sagemaker", f"model-package/{group}/*") for group in groups]
        delivery, started = (
            arn(self, "codepipeline", name) for name in (delivery_pipeline_name, pipeline_name)
        )
        withdraw = {
            "StringEquals": {
                "sagemaker:ModelLifeCycle:stage": "prod",
                "sagemaker:ModelLifeCycle:stageStatus": "withdrawn",
            },
            "Null": {"sagemaker:ModelApprovalStatus": "true"},
        }
        self.handler = HandlerFunction(
            self,
            "Function",
            handler="approval_starter",
            name="approval-starter",
            prefix="mlops",
            stage=_STAGE,
            purpose="starter",
            description=f"Starts {pipeline_name} for versions that were approved",
            statements=[
                Statement("Versions", ["sagemaker:DescribeModelPackage"], versions),
                Statement("Withdraw", ["sagemaker:UpdateModelPackage"], versions, withdraw),
                Statement("Delivered", ["codepipeline:ListPipelineExecutions"], [delivery]),
                Statement(
                    "Start",
                    [
                        "codepipeline:StartPipelineExecution",
                        "codepipeline:ListPipelineExecutions",
                        "codepipeline:GetPipelineExecution",
                    ],
                    [started],
                ),
            ],
            environment={
                "PIPELINE_NAME": pipeline_name,
                "SOURCE_ACTION": source_action,
                "DELIVERY_PIPELINE_NAME": delivery_pipeline_name,
                "DELIVERED_STAGE": delivered_stage,
                "MODELS": ",".join(f"{group}={model}" for group, model in models.items()),
            },
            timeout=Duration.seconds(60),
            log_key=log_key,
            started_by_events=True,
        )
        self.function, self.role = self.handler.function, self.handler.role
        self.dead_letter_queue = self.handler.dead_letter_queue
        self.rule = events.Rule(
            self,
            "Approved",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Model Package State Change"],
                detail={
                    "ModelPackageGroupName": list(models),
                    "ModelApprovalStatus": ["Approved", "Rejected"],
                },
            ),
            targets=[self.handler.as_target()],
        )
        function_alarm(self, "StarterErrors", stage=_STAGE, function=self.function, topic=alerts.topic)
        if self.dead_letter_queue is not None:
            queue_alarm(
                self, "StarterDeadLetters", stage=_STAGE, queue=self.dead_letter_queue, topic=alerts.topic
            )
