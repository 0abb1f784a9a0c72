"""The self-mutating delivery pipeline: tests, registry and dev, staging, a person's approval, prod."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import pipelines
from constructs import Construct

from cdk_mlops import AccessLogsBucket, AlertTopic, DeliveryAlerts, StageDataBucket
from stacks.delivery_builds import ENVIRONMENT, Builds, project_name
from stacks.delivery_permissions import (
    PIPELINE,
    Permissions,
    acknowledge_roles_by_arn,
    name_project,
    policy,
    publish_by_cli,
    rewrite_role,
)
from stacks.delivery_steps import PROMOTE, WAVES, Steps
from stacks.delivery_versions import APPROVAL, CHECK, VERSIONS, VersionReleases
from stacks.installation import Delivery, Settings
from stacks.model_pipelines import removal_of

CLI_VERSION = "2.1148.1"  # the one of package.json; a test compares them
SELF_UPDATE, ASSETS = "selfupdate", "assets"
ARTIFACTS_ALIAS = "alias/mlops-delivery-artifacts"
Build = Callable[[Construct], object]


class DeliveryStage(cdk.Stage):
    """One stack as the delivery pipeline deploys it, with the name and logical ids of a direct deployment."""

    def __init__(self, scope: Construct, construct_id: str, *, env: cdk.Environment, build: Build) -> None:
        super().__init__(scope, construct_id, env=env)
        build(self)


class DeliveryStack(cdk.Stack):
    """Carries a reviewed commit from the main branch to prod by itself.

    Source (CodeConnections) -> synth, which runs the whole test suite -> self-mutation -> registry and dev ->
    staging, where there is one -> a person's approval -> prod. Each stage begins with the permissions gate and
    ends with a check. https://docs.aws.amazon.com/cdk/v2/guide/cdk_pipeline.html

    Parameters
    ----------
    settings
        The installation.
    delivery
        Repository, branch and connection of the source, and the account that the pipeline runs in.
    registry, dev, staging, prod
        Build the stack of an account below the scope that they are given. ``staging`` may be left out.

    Attributes
    ----------
    pipeline
        The `pipelines.CodePipeline`.
    reviews
        The bucket for reviews, and for the claims of messages.
    topic, alerts
        Where the delivery's messages go, and what writes them.
    releases
        The pipeline for versions, where ``delivery.approve_versions`` is set; else None.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        delivery: Delivery,
        registry: Build,
        dev: Build,
        prod: Build,
        staging: Build | None = None,
    ) -> None:
        super().__init__(
            scope, construct_id, env=cdk.Environment(account=delivery.account, region=settings.region)
        )
        self._settings = settings
        self.topic = AlertTopic(
            self, "Topic", stage="delivery", email=settings.email, removal=removal_of(settings)
        )
        logs = AccessLogsBucket(
            self,
            "AccessLogs",
            stage="delivery",
            keep_days=settings.audit.keep_days,
            removal=removal_of(settings),
        )
        self.reviews = StageDataBucket(
            self, "Data", stage="delivery", access_logs=logs, removal=removal_of(settings)
        )
        self.reviews.bucket.add_lifecycle_rule(id="a-year", expiration=cdk.Duration.days(365))
        artifacts, key = self._artifacts()
        logs.collect(artifacts, "artifacts")
        self.permissions = Permissions(settings, delivery, artifacts=artifacts, key=key)
        source = pipelines.CodePipelineSource.connection(
            delivery.repository, delivery.branch, connection_arn=delivery.connection_arn
        )
        self.builds = Builds(
            self, "Builds", source=source, permissions=self.permissions, log_key=self.reviews.key
        )
        synth = self.builds.synth()
        stages = [("dev", dev), *([] if staging is None else [("staging", staging)]), ("prod", prod)]
        steps = Steps(
            self.builds,
            assembly=synth,
            settings=settings,
            permissions=self.permissions,
            topic=self.topic,
            reviews=self.reviews,
            stages=[name for name, _ in stages],
        )
        accounts = ["registry", *(name for name, _ in stages)]
        role = self._pipeline_role(steps, accounts)
        self.pipeline = pipelines.CodePipeline(
            self,
            "Pipeline",
            pipeline_name=PIPELINE,
            pipeline_type=codepipeline.PipelineType.V2,
            role=role,
            use_pipeline_role_for_actions=True,
            artifact_bucket=artifacts,
            synth=synth,
            cli_version=CLI_VERSION,
            publish_assets_in_parallel=False,
            code_build_defaults=pipelines.CodeBuildOptions(
                build_environment=ENVIRONMENT, timeout=cdk.Duration.minutes(30)
            ),
        )
        first = self.pipeline.add_wave(WAVES["dev"], pre=steps.gate(["registry", "dev"]))
        first.add_stage(self._stage("registry", registry))
        first.add_stage(self._stage("dev", dev))
        first.add_post(steps.check("dev"))
        if staging is not None:
            self.pipeline.add_stage(
                self._stage("staging", staging),
                pre=steps.gate(["staging"]),
                post=[steps.check("staging", also=[CHECK] if delivery.approve_versions else [])],
            )
        self.pipeline.add_stage(
            self._stage("prod", prod), pre=steps.promotion("prod"), post=[steps.check("prod")]
        )
        self.pipeline.build_pipeline()
        self._own_what_cdk_made(accounts)
        self.releases: VersionReleases | None = None
        if delivery.approve_versions:
            self.releases = VersionReleases(
                self,
                "Versions",
                settings=settings,
                permissions=self.permissions,
                builds=self.builds,
                artifacts=artifacts,
                checker=steps.checkers["staging"],
                delivered_stage=WAVES["prod"],
                alerts=self.topic,
                log_key=self.reviews.key,
            )
        self.alerts = DeliveryAlerts(
            self,
            "Alerts",
            pipeline_name=PIPELINE,
            stages={WAVES[name]: name for name, _ in stages},
            approvals=[PROMOTE],
            state_bucket=self.reviews,
            alerts=self.topic,
            releases_pipeline_name=VERSIONS if delivery.approve_versions else None,
            release_approvals=[APPROVAL],
        )

    def _stage(self, account: str, build: Build) -> DeliveryStage:
        environment = cdk.Environment(account=self._settings.accounts[account], region=self._settings.region)
        return DeliveryStage(self, account.title(), env=environment, build=build)

    def _artifacts(self) -> tuple[s3.Bucket, kms.Key]:
        """Return where actions leave what the next ones take: of use while a commit is on its way.

        A bucket that holds something can't be deleted, so both stay when the stack goes; by their names `make adopt`
        finds them again.
        """
        key = kms.Key(
            self,
            "ArtifactsKey",
            description=f"Encrypts the artifacts of {PIPELINE}",
            enable_key_rotation=True,
            removal_policy=removal_of(self._settings),
        )
        alias = kms.Alias(self, "ArtifactsKeyAlias", alias_name=ARTIFACTS_ALIAS, target_key=key)
        alias.apply_removal_policy(removal_of(self._settings) or cdk.RemovalPolicy.RETAIN)
        bucket = s3.Bucket(
            self,
            "Artifacts",
            bucket_name=f"sagemaker-mlops-delivery-artifacts-{self.account}-{self.region}",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            enforce_ssl=True,
            versioned=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            removal_policy=removal_of(self._settings),
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="on-their-way",
                    expiration=cdk.Duration.days(90),
                    noncurrent_version_expiration=cdk.Duration.days(7),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                )
            ],
        )
        return bucket, key

    def _pipeline_role(self, steps: Steps, accounts: Sequence[str]) -> iam.IRole:
        projects = [*steps.projects(), project_name(SELF_UPDATE), project_name(ASSETS)]
        role = iam.Role(
            self,
            "PipelineRole",
            role_name=f"{PIPELINE}-pipeline",
            path="/mlops/delivery/pipeline/",
            description=f"What the actions of {PIPELINE} run with",
            assumed_by=iam.ServicePrincipal("codepipeline.amazonaws.com"),
            inline_policies={"Policy": policy(self.permissions.pipeline_statements(projects, accounts))},
        )
        return role.without_policy_updates()

    def _own_what_cdk_made(self, accounts: Sequence[str]) -> None:
        """Narrow the two roles that CDK Pipelines makes itself, and give their projects names and log groups."""
        account = self.permissions.delivery.account
        update, assets = project_name(SELF_UPDATE), project_name(ASSETS)
        rewrite_role(
            cast(iam.Role, self.pipeline.self_mutation_project.role),
            name=update,
            statements=self.permissions.self_mutation_statements(update),
            account=account,
        )
        publishing = self.pipeline.node.find_child("Assets")
        name_project(publishing, assets)
        publish_by_cli(publishing, version=CLI_VERSION, stacks=f"{self.node.id}/**")
        rewrite_role(
            publishing.node.find_child("FileRole"),
            name=assets,
            statements=self.permissions.asset_statements(assets, accounts),
            account=account,
        )
        acknowledge_roles_by_arn(self.pipeline)
        for step in (SELF_UPDATE, ASSETS):
            self.builds.log_group(step)
