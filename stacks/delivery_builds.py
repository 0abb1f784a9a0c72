"""The builds of the delivery pipeline: each runs a make target, under a role of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, RemovalPolicy, pipelines
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_mlops import KmsSharedKey
from stacks.delivery_permissions import BUILD_PATH, PIPELINE, Json, Permissions, log_group_name, policy

PYTHON_VERSION = "3.12"
ASSEMBLY = "cdk.out"
REVIEW_EXPORTS = "./build/review-exports.sh"
ENVIRONMENT = codebuild.BuildEnvironment(
    build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
    compute_type=codebuild.ComputeType.MEDIUM,
    privileged=False,
)
PYTHON = {"phases": {"install": {"runtime-versions": {"python": PYTHON_VERSION}}}}


def project_name(step: str) -> str:
    """Return the CodeBuild project of a step, such as ``check-dev``."""
    return f"{PIPELINE}-{step}"


class Builds(Construct):
    """Makes the steps of the pipeline that are builds, with their roles and log groups.

    Parameters
    ----------
    source
        The commit.
    permissions
        What roles may do.
    log_key
        Encrypts what builds say.

    Attributes
    ----------
    projects
        Names of the CodeBuild projects made so far.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        source: pipelines.CodePipelineSource,
        permissions: Permissions,
        log_key: KmsSharedKey,
    ) -> None:
        super().__init__(scope, construct_id)
        log_key.allow_log_groups(log_group_name(project_name("*")))
        self._log_key = log_key.key
        self._source, self._permissions = source, permissions
        self._environment = {"MLOPS_BUILD": "true", "GIT_COMMIT": source.source_attribute("CommitId")}
        self.projects: list[str] = []

    def role(
        self,
        name: str,
        *,
        description: str,
        projects: Sequence[str] | None = None,
        statements: Sequence[Json] = (),
        writes: bool = False,
    ) -> iam.IRole:
        """Return the role of a step, for the projects that run it: by default one of the same name.

        CDK Pipelines can add nothing to it: what stands here is all that the builds may do.
        """
        own = [project_name(one) for one in ([name] if projects is None else projects)]
        role = iam.Role(
            self,
            f"{_title(name)}Role",
            role_name=project_name(name),
            path=BUILD_PATH,
            description=description,
            assumed_by=self._permissions.build_trust(),
            inline_policies={
                "Policy": policy([*self._permissions.build_statements(own, writes=writes), *statements])
            },
        )
        return role.without_policy_updates()

    def log_group(self, step: str) -> None:
        """Make the log group of a project, so that it has a retention and the build needn't make it."""
        self.projects.append(project_name(step))
        logs.LogGroup(
            self,
            f"{_title(step)}Logs",
            log_group_name=log_group_name(project_name(step)),
            retention=logs.RetentionDays.ONE_YEAR,
            encryption_key=self._log_key,
            removal_policy=RemovalPolicy.DESTROY,
        )

    def synth(self) -> pipelines.CodeBuildStep:
        """Return the build that tests the commit and writes the cloud assembly."""
        return self._step(
            "Synth",
            "synth",
            role=self.role("synth", description="Tests a commit and synthesizes it", writes=True),
            commands=["make check test", "make synth"],
            timeout=Duration.minutes(90),
            primary_output_directory=ASSEMBLY,
        )

    def step(
        self,
        step_id: str,
        name: str,
        *,
        assembly: pipelines.IFileSetProducer,
        role: iam.IRole,
        commands: Sequence[str],
        env: Mapping[str, str],
        timeout: Duration,
    ) -> pipelines.CodeBuildStep:
        """Return a build in the source with the cloud assembly at ``cdk.out``."""
        return self._step(
            step_id,
            name,
            role=role,
            commands=commands,
            env=env,
            timeout=timeout,
            additional_inputs={ASSEMBLY: assembly},
        )

    def _step(
        self,
        step_id: str,
        name: str,
        *,
        role: iam.IRole,
        commands: Sequence[str],
        timeout: Duration,
        env: Mapping[str, str] | None = None,
        **more: Any,
    ) -> pipelines.CodeBuildStep:
        self.log_group(name)
        return pipelines.CodeBuildStep(
            step_id,
            project_name=project_name(name),
            input=self._source,
            role=role,
            commands=list(commands),
            env={**self._environment, **({} if env is None else env)},
            timeout=timeout,
            build_environment=ENVIRONMENT,
            partial_build_spec=codebuild.BuildSpec.from_object(PYTHON),
            **more,
        )


def _title(name: str) -> str:
    return "".join(word.title() for word in name.split("-"))
