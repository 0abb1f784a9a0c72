"""The self-mutating delivery pipeline: tests, registry and dev, a person's approval, prod."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import pipelines
from constructs import Construct

from stacks.installation import Delivery, Settings

CLI_VERSION = "2.1148.1"  # the one of package.json; a test compares them
ASSETS_VERSION = "4.7.3"  # cdk-assets, which publishes what synth made; else the newest of the day would
PYTHON_VERSION = "3.12"


class DeliveryStage(cdk.Stage):
    """One stack as the delivery pipeline deploys it, with the name and logical ids of a direct deployment."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: cdk.Environment,
        build: Callable[[Construct], object],
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        build(self)


class DeliveryStack(cdk.Stack):
    """Carries a reviewed commit from the main branch to prod by itself.

    Source (CodeConnections) -> synth, which runs the whole test suite -> self-mutation -> registry and dev -> a
    person's approval -> prod. https://docs.aws.amazon.com/cdk/v2/guide/cdk_pipeline.html

    Parameters
    ----------
    settings
        The installation.
    delivery
        Repository, branch and connection of the source, and the account that the pipeline runs in.
    registry, dev, staging, prod
        Build the stack of an account below the scope that they are given.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        delivery: Delivery,
        registry: Callable[[Construct], object],
        dev: Callable[[Construct], object],
        prod: Callable[[Construct], object],
        staging: Callable[[Construct], object] | None = None,
    ) -> None:
        super().__init__(
            scope, construct_id, env=cdk.Environment(account=delivery.account, region=settings.region)
        )
        source = pipelines.CodePipelineSource.connection(
            delivery.repository, delivery.branch, connection_arn=delivery.connection_arn
        )
        self.pipeline = pipelines.CodePipeline(
            self,
            "Pipeline",
            pipeline_name="mlops-delivery",
            synth=pipelines.ShellStep(
                "Synth",
                input=source,
                commands=["make check test", "make synth"],
                primary_output_directory="cdk.out",
            ),
            cli_version=CLI_VERSION,
            cdk_assets_cli_version=ASSETS_VERSION,
            cross_account_keys=True,
            enable_key_rotation=True,
            code_build_defaults=pipelines.CodeBuildOptions(
                build_environment=codebuild.BuildEnvironment(
                    build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                    compute_type=codebuild.ComputeType.MEDIUM,
                )
            ),
            synth_code_build_defaults=pipelines.CodeBuildOptions(
                partial_build_spec=codebuild.BuildSpec.from_object(
                    {"phases": {"install": {"runtime-versions": {"python": PYTHON_VERSION}}}}
                )
            ),
        )

        def stage(name: str, account: str, build: Callable[[Construct], object]) -> DeliveryStage:
            environment = cdk.Environment(account=settings.accounts[account], region=settings.region)
            return DeliveryStage(self, name, env=environment, build=build)

        first = self.pipeline.add_wave("RegistryAndDev")
        first.add_stage(stage("Registry", "registry", registry))
        first.add_stage(stage("Dev", "dev", dev))
        if staging is not None:
            self.pipeline.add_stage(stage("Staging", "staging", staging))
        self.pipeline.add_stage(
            stage("Prod", "prod", prod),
            pre=[
                pipelines.ManualApprovalStep(
                    "PromoteToProd",
                    comment="Dev runs this commit. Look at its runs and versions, then let it into prod.",
                )
            ],
        )
        self.pipeline.build_pipeline()
        self._admit_both_names_of_connections(delivery.connection_arn)

    def _admit_both_names_of_connections(self, connection_arn: str) -> None:
        """Let the source action use the connection under its new name too: CDK grants only the old one."""
        for child in self.pipeline.pipeline.node.find_all():
            if isinstance(child, iam.Role) and "/Source/" in child.node.path:
                child.add_to_principal_policy(
                    iam.PolicyStatement(actions=["codeconnections:UseConnection"], resources=[connection_arn])
                )
