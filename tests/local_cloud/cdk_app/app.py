"""A CDK application of two accounts with a bit of everything that our stacks use."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as functions
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from constructs import Construct

HERE = Path(__file__).parent
DEV, REGISTRY = "111111111111", "333333333333"


class RegistryStack(cdk.Stack):
    """A shared key, a bucket under it, a package group with a policy."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id, env=cdk.Environment(account=REGISTRY, region="us-east-1"))
        key = kms.Key(self, "Key", alias="alias/engine-shared", removal_policy=cdk.RemovalPolicy.RETAIN)
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.AccountPrincipal(DEV)],
                actions=["kms:Decrypt", "kms:Encrypt"],
                resources=["*"],
            )
        )
        s3.Bucket(
            self,
            "Bucket",
            bucket_name=f"engine-test-artifacts-{REGISTRY}",
            encryption_key=key,
            enforce_ssl=True,
            versioned=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[s3.LifecycleRule(noncurrent_version_expiration=cdk.Duration.days(30))],
        )
        group = sagemaker.CfnModelPackageGroup(
            self,
            "Group",
            model_package_group_name="engine-test-group",
            model_package_group_policy={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:aws:iam::{DEV}:root"},
                        "Action": "sagemaker:DescribeModelPackageGroup",
                        "Resource": f"arn:aws:sagemaker:us-east-1:{REGISTRY}:model-package-group/engine-test-group",
                    }
                ],
            },
        )
        cdk.CfnOutput(self, "GroupArn", value=group.attr_model_package_group_arn)
        events.CfnEventBusPolicy(
            self,
            "BusPolicy",
            statement_id="dev",
            statement={
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{DEV}:root"},
                "Action": "events:PutEvents",
                "Resource": f"arn:aws:events:us-east-1:{REGISTRY}:event-bus/default",
            },
        )


class DevStack(cdk.Stack):
    """A function from an asset, a custom resource behind it, a schedule, an encrypted topic."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id, env=cdk.Environment(account=DEV, region="us-east-1"))
        provider = functions.Function(
            self,
            "Provider",
            runtime=functions.Runtime.PYTHON_3_12,
            handler="provider.handler",
            code=functions.Code.from_asset(str(HERE / "provider")),
            timeout=cdk.Duration.minutes(15),
        )
        custom = cdk.CustomResource(
            self,
            "Custom",
            service_token=provider.function_arn,
            resource_type="Custom::Echo",
            properties={"Value": self.node.try_get_context("value") or "one"},
        )
        cdk.CfnOutput(self, "Value", value=custom.get_att_string("Value"))
        key = kms.Key(self, "AlertsKey", removal_policy=cdk.RemovalPolicy.DESTROY)
        sns.Topic(self, "Alerts", master_key=key)
        role = iam.Role(self, "Scheduler", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
        provider.grant_invoke(role)
        scheduler.CfnSchedule(
            self,
            "Schedule",
            schedule_expression="cron(0 23 * * ? *)",
            schedule_expression_timezone="Europe/Berlin",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(arn=provider.function_arn, role_arn=role.role_arn),
        )


app = cdk.App()
registry = RegistryStack(app, "EngineRegistry")
dev = DevStack(app, "EngineDev")
dev.add_dependency(registry)
app.synth()
