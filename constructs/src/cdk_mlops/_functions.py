"""How every function of the library is made: code, role, log group, and a dead-letter queue where events start it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import jsii
from aws_cdk import Duration, IgnoreMode, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk.interfaces.aws_events import IRuleRef
from constructs import Construct

from cdk_mlops._roles import service_role
from cdk_mlops._statements import Statement, arn
from cdk_mlops.kms_shared_key import KmsSharedKey, SharedKey

HANDLERS = Path(__file__).parent / "handlers"
METRIC_NAMESPACE = "cdk-mlops"


class HandlerFunction(Construct):
    """A Lambda function of the library, its role with the whole policy inline, and its log group.

    `dead_letter_queue` takes the events that the function failed on twice more; it is None for functions that
    something waits for (a pipeline step, CloudFormation).

    `log_key` encrypts the log group where it is a key of the same stack: a key known by its alias only can't be
    told to admit CloudWatch Logs, which then encrypts with a key of its own.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        name: str,
        prefix: str,
        stage: str,
        purpose: str,
        description: str,
        statements: Sequence[Statement],
        environment: Mapping[str, str],
        timeout: Duration,
        log_key: SharedKey | None,
        memory_size_mib: int = 256,
        started_by_events: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        function_name = f"{prefix}-{stage}-{name}"
        # Its own log group and no right to make one: a late call can't leave a group without retention behind.
        log_group_name = f"/aws/lambda/{function_name}"
        streams = arn(self, "logs", f"log-group:{log_group_name}:*")
        own = [Statement("OwnLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], [streams])]
        self.dead_letter_queue: sqs.Queue | None = None
        if started_by_events:
            self.dead_letter_queue = dead_letter_queue(self, "DeadLetters")
            own.append(Statement("OwnDeadLetters", ["sqs:SendMessage"], [self.dead_letter_queue.queue_arn]))
        self.role = service_role(
            self,
            "Role",
            stage=stage,
            purpose=purpose,
            prefix=prefix,
            service="lambda.amazonaws.com",
            description=description,
            statements=[*statements, *own],
        )
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=log_group_name,
            retention=logs.RetentionDays.THREE_MONTHS,
            encryption_key=log_group_key(self, log_key, "/aws/lambda/*"),
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.function = lambda_.Function(
            self,
            "Resource",
            function_name=function_name,
            description=description,
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"{handler}.handler.handle",
            code=lambda_.Code.from_asset(
                str(HANDLERS), exclude=["**/__pycache__", "**/*.pyc", "**/*.md"], ignore_mode=IgnoreMode.GLOB
            ),
            role=self.role,
            environment=dict(environment),
            timeout=timeout,
            memory_size=memory_size_mib,
            log_group=self.log_group,
        )
        if self.dead_letter_queue is not None:
            # Through the L1: CDK would add a second policy for the one permission that the role has already.
            resource = cast(lambda_.CfnFunction, self.function.node.default_child)
            resource.dead_letter_config = lambda_.CfnFunction.DeadLetterConfigProperty(
                target_arn=self.dead_letter_queue.queue_arn
            )

    def as_target(self, *, message: events.RuleTargetInput | None = None) -> events.IRuleTarget:
        """Return the function as a rule's target: two more tries within an hour, then the dead-letter queue."""
        return _RuleTarget(self.function, self.dead_letter_queue, message)


@jsii.implements(events.IRuleTarget)
class _RuleTarget:
    """A function as a rule's target, like CDK's own but for its names.

    CDK names the permission and the queue's statement after the path from the app, so that the same stack has other
    logical ids inside a `Stage`: going from a direct deployment to a delivery pipeline would replace them.
    """

    def __init__(
        self, function: lambda_.Function, queue: sqs.Queue | None, message: events.RuleTargetInput | None
    ) -> None:
        self._function, self._queue, self._message = function, queue, message

    def bind(self, rule: IRuleRef, id: str | None = None) -> events.RuleTargetConfig:  # noqa: A002 - CDK's name
        """Let the rule call the function and send to its queue."""
        name = f"AllowRule{rule.node.id}"
        self._function.add_permission(
            name, principal=iam.ServicePrincipal("events.amazonaws.com"), source_arn=rule.rule_ref.rule_arn
        )
        if self._queue is not None:
            self._queue.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=name,
                    principals=[iam.ServicePrincipal("events.amazonaws.com")],
                    actions=["sqs:SendMessage"],
                    resources=[self._queue.queue_arn],
                    conditions={"ArnEquals": {"aws:SourceArn": rule.rule_ref.rule_arn}},
                )
            )
        return events.RuleTargetConfig(
            arn=self._function.function_arn,
            input=self._message,
            target_resource=self._function,
            dead_letter_config=None
            if self._queue is None
            else events.CfnRule.DeadLetterConfigProperty(arn=self._queue.queue_arn),
            retry_policy=events.CfnRule.RetryPolicyProperty(
                maximum_retry_attempts=2, maximum_event_age_in_seconds=3600
            ),
        )


def log_group_key(scope: Construct, key: SharedKey | None, log_groups: str) -> kms.IKey | None:
    """Return the key for log groups of this pattern, if it is one that can be told to admit CloudWatch Logs."""
    if not isinstance(key, KmsSharedKey) or Stack.of(key) is not Stack.of(scope):
        return None
    key.allow_log_groups(log_groups)
    return key.key


def dead_letter_queue(scope: Construct, construct_id: str) -> sqs.Queue:
    """Return an encrypted queue, open over TLS only, that keeps what was not delivered for 14 days."""
    return sqs.Queue(
        scope,
        construct_id,
        # SQS's own key: EventBridge and Scheduler can send to it without a key policy.
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )
