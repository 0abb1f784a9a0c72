"""A topic whose messages people read: encrypted with a key of its own, TLS only, with an e-mail subscription."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from cdk_mlops._statements import Statement, place_of
from cdk_mlops._validation import check_email, check_stage
from cdk_mlops.kms_shared_key import KmsSharedKey, SharedKey


class TopicForAlerts(Construct):
    """A topic, made here or elsewhere, and its key if it has one."""

    def __init__(
        self, scope: Construct, construct_id: str, *, topic: sns.ITopic, key: SharedKey | None
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = topic
        self.alerts_key = key

    def publish_statements(self) -> list[Statement]:
        """Return the permissions a role needs to publish, encryption included."""
        publish = Statement("PublishAlerts", ["sns:Publish"], [self.topic.topic_arn])
        key = self.alerts_key
        return [publish] if key is None else [publish, *key.statements("encrypt_decrypt", sid="AlertsKey")]


class AlertTopic(TopicForAlerts):
    """An SNS topic for alerts and the key that encrypts it.

    The key admits EventBridge and CloudWatch, which send no source condition, and so encrypts nothing but
    alerts; the default key ``alias/aws/sns`` admits neither.

    Parameters
    ----------
    stage
        Names the key: ``alias/mlops-<stage>-alerts``.
    topic_name
        Default: ``mlops-<stage>-alerts``.
    email
        Address that is asked to confirm a subscription. Default: none; subscribe whatever you like to `topic`.
    removal
        Of the key. Default: it stays. Destroying needs the context flag ``cdk-mlops:allow-destroy`` too.

    Raises
    ------
    ValueError
        If the stage or the e-mail address can't be one.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        topic_name: str | None = None,
        email: str | None = None,
        removal: RemovalPolicy | None = None,
    ) -> None:
        check_stage("stage", stage)
        if email is not None:
            check_email("email", email)
        key = KmsSharedKey(
            scope,
            f"{construct_id}Key",
            alias_name=f"alias/mlops-{stage}-alerts",
            description=f"Encrypts the alerts of stage {stage}, and nothing else",
            removal=removal,
        )
        key.allow_service("events.amazonaws.com")
        key.allow_service("cloudwatch.amazonaws.com")
        topic = sns.Topic(
            scope,
            f"{construct_id}Topic",
            topic_name=f"mlops-{stage}-alerts" if topic_name is None else topic_name,
            master_key=key.key,
            enforce_ssl=True,
        )
        # The first statement of a topic's policy replaces the default one, by which alarms could publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OwnAlarmsPublish",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": place_of(scope).account}},
            )
        )
        if email is not None:
            topic.add_subscription(subscriptions.EmailSubscription(email))

        super().__init__(scope, construct_id, topic=topic, key=key)

    @staticmethod
    def from_topic_arn(
        scope: Construct, construct_id: str, *, topic_arn: str, key_alias_arn: str | None = None
    ) -> TopicForAlerts:
        """Use a topic that exists. Its policy, key and subscriptions can't be changed here.

        Its policy must let CloudWatch publish alarms, and its key's policy CloudWatch use it.

        Parameters
        ----------
        topic_arn
            Where alerts go.
        key_alias_arn
            Alias ARN of the customer-managed key that encrypts it. Default: the topic isn't encrypted with one.
        """
        key = (
            None
            if key_alias_arn is None
            else KmsSharedKey.from_alias_arn(scope, f"{construct_id}Key", key_alias_arn)
        )
        topic = sns.Topic.from_topic_arn(scope, f"{construct_id}Topic", topic_arn)
        return TopicForAlerts(scope, construct_id, topic=topic, key=key)
