"""The function that writes onto an approved version which files were approved."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_events as events
from constructs import Construct

from cdk_mlops._alarms import function_alarm, queue_alarm
from cdk_mlops._functions import HandlerFunction
from cdk_mlops._roles import role_name
from cdk_mlops._statements import Statement, arn, grant, list_bucket, read_objects, write_objects
from cdk_mlops.alert_topic import AlertTopic
from cdk_mlops.model_names import ModelNames
from cdk_mlops.model_registry import ModelRegistry

_STAGE, _PURPOSE = "registry", "recorder"
_APPROVED = "Approved"


class ApprovalRecorder(Construct):
    """Records on each approved version the S3 versions and checksums of its artifact and baselines.

    Whoever trains may write artifacts, also after an approval, and S3 can refuse nobody to write a key again. So
    stages use an approved version only while its files are the recorded ones (`ModelResolver`). What was written after
    the version was registered is not recorded; approvers are told. Once an hour all approved versions are looked at:
    those that have no record yet get one, and a file that was changed is told of before a run meets it.

    Its role may change a version only in requests that name no approval status: it can't approve. It reads artifacts
    and can't write any.

    Parameters
    ----------
    registry
        Where versions and artifacts are; in this stack.
    models
        Whose approvals are recorded.
    alerts
        Where approvers are told, and alarms ring.

    Attributes
    ----------
    handler, function, role
        The function with its role; the dead-letter queue is the handler's.

    See https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        registry: ModelRegistry,
        models: Sequence[ModelNames],
        alerts: AlertTopic,
    ) -> None:
        super().__init__(scope, construct_id)
        bucket, claims = registry.artifacts_bucket_arn, "_state/records/*"
        groups, versions = (
            arn(self, "sagemaker", "model-package-group/*"),
            arn(self, "sagemaker", "model-package/*"),
        )
        self.handler = HandlerFunction(
            self,
            "Function",
            handler="approval_recorder",
            name="approval-recorder",
            prefix="mlops",
            stage=_STAGE,
            purpose=_PURPOSE,
            description="Records which files of a model version were approved",
            # Metadata of all groups: a list of them would outgrow the role's policy with the models.
            statements=[
                Statement("ListVersions", ["sagemaker:ListModelPackages"], [groups, versions]),
                Statement("ReadVersions", ["sagemaker:DescribeModelPackage"], [versions]),
                list_bucket("ClaimsList", bucket, [claims]),
                read_objects("ClaimsRead", bucket, [claims]),
                write_objects("ClaimsWrite", bucket, [claims]),
                *registry.key.statements("encrypt_decrypt", sid="ArtifactsKey"),
                *alerts.publish_statements(),
            ],
            environment={
                "TOPIC_ARN": alerts.topic.topic_arn,
                "ARTIFACTS_BUCKET": registry.artifacts_bucket_name,
                "GROUP_NAMES": ",".join(model.package_group for model in models),
                "ROLE_NAME": role_name(_STAGE, _PURPOSE),
            },
            # It reads whole artifacts for their checksums, 100 MB in some seconds.
            timeout=Duration.minutes(10),
            memory_size_mib=1024,
            log_key=registry.key,
            started_by_events=True,
        )
        self.function, self.role = self.handler.function, self.handler.role
        grant(self.role, registry.record_statements(models))
        events.Rule(
            self,
            "Approved",
            description="Model versions that were approved: which files are recorded",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Model Package State Change"],
                detail={"ModelApprovalStatus": [_APPROVED]},
            ),
            targets=[self.handler.as_target()],
        )
        events.Rule(
            self,
            "Sweep",
            description="Once an hour: are approved versions recorded, and their files unchanged?",
            schedule=events.Schedule.rate(Duration.hours(1)),
            targets=[self.handler.as_target(message=events.RuleTargetInput.from_object({"action": "sweep"}))],
        )
        function_alarm(self, "RecorderErrors", stage=_STAGE, function=self.function, topic=alerts.topic)
        if self.handler.dead_letter_queue is not None:
            queue = self.handler.dead_letter_queue
            queue_alarm(self, "RecorderDeadLetters", stage=_STAGE, queue=queue, topic=alerts.topic)
