"""The second pipeline: an approved version runs in staging, and prod uses it after a second approval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_mlops import SharedKey, StartOnApproval, TopicForAlerts
from stacks.delivery_builds import ENVIRONMENT, PYTHON, Builds, project_name
from stacks.delivery_permissions import (
    PIPELINE,
    Json,
    Permissions,
    acknowledge_roles_by_arn,
    allow,
    policy,
)
from stacks.installation import Settings

VERSIONS = "mlops-versions"
CHECK, RELEASE = "check-version", "release"
APPROVAL, RELEASED_TO = "ReleaseToProd", "prod"
SOURCE = "Source"


class VersionReleases(Construct):
    """The pipeline `mlops-versions`: source -> check in staging -> a person's approval -> release.

    It is started for every version that is approved, by the commit that prod runs, one version after the other.

    Parameters
    ----------
    settings, permissions, builds
        Of the delivery.
    artifacts
        Where its actions leave what the next ones take.
    checker
        The role of builds that check staging.
    delivered_stage
        Stage of the delivery pipeline that a commit must have passed.
    alerts
        Where alarms ring.
    log_key
        Encrypts what its function says.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        permissions: Permissions,
        builds: Builds,
        artifacts: s3.IBucket,
        checker: iam.IRole,
        delivered_stage: str,
        alerts: TopicForAlerts,
        log_key: SharedKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self._permissions, self._builds = permissions, builds
        delivery = permissions.delivery
        source = codepipeline.Artifact(SOURCE)
        releaser = builds.role(
            RELEASE,
            description=f"Marks approved versions as released to {RELEASED_TO}",
            statements=self._release_statements(settings),
        )
        which = {name: codepipeline.Variable(variable_name=name) for name in ("MODEL", "VERSION")}
        chosen = {name: variable.reference() for name, variable in which.items()}
        self.pipeline = codepipeline.Pipeline(
            self,
            "Resource",
            pipeline_name=VERSIONS,
            pipeline_type=codepipeline.PipelineType.V2,
            # a version must not overtake one of another model
            execution_mode=codepipeline.ExecutionMode.QUEUED,
            artifact_bucket=artifacts,
            role=self._role(),
            use_pipeline_role_for_actions=True,
            variables=list(which.values()),
        )
        fetch = actions.CodeStarConnectionsSourceAction(
            action_name=SOURCE,
            connection_arn=delivery.connection_arn,
            owner=delivery.repository.split("/")[0],
            repo=delivery.repository.split("/")[1],
            branch=delivery.branch,
            output=source,
            trigger_on_push=False,
            variables_namespace=SOURCE,
        )
        environment = {**chosen, "GIT_COMMIT": f"#{{{SOURCE}.CommitId}}", "MLOPS_BUILD": "true"}
        which_version = 'VERSION="$VERSION" MODEL="$MODEL"'
        check = ["make synth", f"make check-stage STAGE=staging {which_version}"]
        steps: list[tuple[str, codepipeline.IAction]] = [
            ("Source", fetch),
            ("Staging", self._build("Check", CHECK, checker, check, source, environment, Duration.hours(3))),
            ("Approve", self._approval()),
            (
                "Release",
                self._build(
                    "Release",
                    RELEASE,
                    releaser,
                    [f"make release {which_version}"],
                    source,
                    environment,
                    Duration.minutes(30),
                ),
            ),
        ]
        for name, action in steps:
            self.pipeline.add_stage(stage_name=name, actions=[action])
        acknowledge_roles_by_arn(self)
        self.starter = StartOnApproval(
            self,
            "Starter",
            pipeline_name=VERSIONS,
            source_action=SOURCE,
            delivery_pipeline_name=PIPELINE,
            delivered_stage=delivered_stage,
            models={model.model_package_group: model.folder for model in settings.models},
            alerts=alerts,
            log_key=log_key,
        )

    def _role(self) -> iam.IRole:
        projects = [project_name(CHECK), project_name(RELEASE)]
        return iam.Role(
            self,
            "Role",
            role_name=f"{VERSIONS}-pipeline",
            path="/mlops/delivery/pipeline/",
            description=f"What the actions of {VERSIONS} run with",
            assumed_by=iam.ServicePrincipal("codepipeline.amazonaws.com"),
            inline_policies={"Policy": policy(self._permissions.pipeline_statements(projects, []))},
        ).without_policy_updates()

    def _build(
        self,
        action: str,
        step: str,
        role: iam.IRole,
        commands: Sequence[str],
        source: codepipeline.Artifact,
        environment: Mapping[str, str],
        timeout: Duration,
    ) -> codepipeline.IAction:
        self._builds.log_group(step)
        spec = {"version": "0.2", "phases": {**PYTHON["phases"], "build": {"commands": list(commands)}}}
        project = codebuild.PipelineProject(
            self,
            f"{action}Project",
            project_name=project_name(step),
            build_spec=codebuild.BuildSpec.from_object(spec),
            environment=ENVIRONMENT,
            role=role,
            timeout=timeout,
        )
        variables = {
            name: codebuild.BuildEnvironmentVariable(value=value) for name, value in environment.items()
        }
        return actions.CodeBuildAction(
            action_name=action, project=project, input=source, environment_variables=variables
        )

    def _approval(self) -> codepipeline.IAction:
        return actions.ManualApprovalAction(
            action_name=APPROVAL,
            additional_information="It has run in staging. Once approved, prod's next run may use it.",
        )

    def _release_statements(self, settings: Settings) -> list[Json]:
        """Return what a release does: write one life cycle into versions, and no approval."""
        start = f"arn:{settings.partition}:sagemaker:{settings.region}:{settings.accounts['registry']}:"
        groups = [model.model_package_group for model in settings.models]
        # SageMaker writes some ARNs in lower case whatever the group's case is.
        names = dict.fromkeys(name for group in groups for name in (group, group.lower()))
        versions = [f"{start}model-package/{name}/*" for name in names]
        released = {
            "StringEquals": {
                "sagemaker:ModelLifeCycle:stage": RELEASED_TO,
                "sagemaker:ModelLifeCycle:stageStatus": "released",
            },
            "Null": {"sagemaker:ModelApprovalStatus": "true"},
        }
        return [
            allow("Versions", ["sagemaker:DescribeModelPackage"], versions),
            allow("Release", ["sagemaker:UpdateModelPackage"], versions, released),
        ]
