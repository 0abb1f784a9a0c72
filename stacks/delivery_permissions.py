"""What the delivery's own roles may do: written by hand, since CDK Pipelines' own policies reach further."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import IConstruct

from stacks.installation import Delivery, Settings, bootstrap_role_arn

PIPELINE = "mlops-delivery"
BUILD_PATH = "/mlops/delivery/build/"
Json = dict[str, Any]


def allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], conditions: Mapping[str, Any] | None = None
) -> Json:
    """Return one statement."""
    statement: Json = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement | ({} if conditions is None else {"Condition": conditions})


def assume(sid: str, role_arns: Iterable[str]) -> Json:
    """Return the permission to assume these roles."""
    return allow(sid, ["sts:AssumeRole"], sorted(set(role_arns)))


def policy(statements: Sequence[Json]) -> iam.PolicyDocument:
    """Return a policy document of these statements."""
    return iam.PolicyDocument.from_json({"Version": "2012-10-17", "Statement": list(statements)})


class Permissions:
    """Names and statements of one delivery: its accounts, its artifacts, its projects."""

    def __init__(
        self, settings: Settings, delivery: Delivery, *, artifacts: s3.IBucket, key: kms.IKey
    ) -> None:
        self.settings, self.delivery = settings, delivery
        self._artifacts, self._key = artifacts, key

    @property
    def pipeline_arn(self) -> str:
        """Return the pipeline's ARN, made from its name."""
        return self._arn("codepipeline", PIPELINE)

    def bootstrap_roles(self, purpose: str, accounts: Iterable[str]) -> list[str]:
        """Return the bootstrap's role of that purpose in each of these accounts, given by name."""
        return [
            bootstrap_role_arn(
                self.settings.partition, self.settings.accounts[account], self.settings.region, purpose
            )
            for account in accounts
        ]

    def pipeline_statements(self, projects: Sequence[str], deployed: Sequence[str]) -> list[Json]:
        """Return what the pipeline itself may do: fetch, start its builds, deploy to the installation's accounts."""
        bucket = self._artifacts.bucket_arn
        reads = ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"]
        return [
            # CDK grants only the old name of the two.
            allow(
                "Connection",
                ["codeconnections:UseConnection", "codestar-connections:UseConnection"],
                [self.delivery.connection_arn],
            ),
            allow(
                "Builds",
                ["codebuild:BatchGetBuilds", "codebuild:StartBuild"],
                [self._arn("codebuild", f"project/{name}") for name in projects],
            ),
            *([assume("Deploy", self.bootstrap_roles("deploy", deployed))] if deployed else []),
            allow("ArtifactsBucket", reads, [bucket]),
            allow("Artifacts", ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], [f"{bucket}/*"]),
            # The source action writes with an ACL, which must be allowed though the bucket knows none.
            allow("ArtifactsAcl", ["s3:PutObjectAcl"], [f"{bucket}/*"]),
            allow("ArtifactsKey", _CARRY, [self._key.key_arn]),
        ]

    def build_statements(self, projects: Sequence[str], *, writes: bool = False) -> list[Json]:
        """Return what every build may do: write its log, read the artifacts, with ``writes`` leave one."""
        bucket = self._artifacts.bucket_arn
        streams = [self._arn("logs", f"log-group:{log_group_name(name)}:*") for name in projects]
        objects = ["s3:GetObject", "s3:GetObjectVersion", *(["s3:PutObject"] if writes else [])]
        return [
            allow("OwnLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], streams),
            allow("ArtifactsBucket", ["s3:GetBucketAcl", "s3:GetBucketLocation"], [bucket]),
            allow("Artifacts", objects, [f"{bucket}/*"]),
            allow("ArtifactsKey", _CARRY if writes else ["kms:Decrypt"], [self._key.key_arn]),
        ]

    def self_mutation_statements(self, project: str) -> list[Json]:
        """Return what the build that updates the pipeline may do: deploy to its own account."""
        account, settings = self.delivery.account, self.settings
        roles = [
            bootstrap_role_arn(settings.partition, account, settings.region, purpose)
            for purpose in ("deploy", "file-publishing")
        ]
        return [*self.build_statements([project]), assume("DeployItself", roles)]

    def asset_statements(self, project: str, accounts: Sequence[str]) -> list[Json]:
        """Return what the build that publishes files may do: that, and see how the accounts are bootstrapped."""
        return [
            *self.build_statements([project]),
            assume("PublishFiles", self.bootstrap_roles("file-publishing", accounts)),
            assume("Lookup", self.bootstrap_roles("lookup", accounts)),
        ]

    def build_trust(self) -> iam.PrincipalBase:
        """Return CodeBuild, for projects of this account only."""
        return iam.ServicePrincipal("codebuild.amazonaws.com").with_conditions(
            {"StringEquals": {"aws:SourceAccount": self.delivery.account}}
        )

    def _arn(self, service: str, resource: str) -> str:
        settings = self.settings
        return f"arn:{settings.partition}:{service}:{settings.region}:{self.delivery.account}:{resource}"


# What CodeBuild and CodePipeline ask for where they encrypt what they leave:
# https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-kms.html
_CARRY = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


def log_group_name(project: str) -> str:
    """Return the log group that CodeBuild writes to by default."""
    return f"/aws/codebuild/{project}"


def rewrite_role(role: IConstruct, *, name: str, statements: Sequence[Json], account: str) -> None:
    """Give a role that CDK Pipelines made, and lets nobody replace, our name, path, trust and policy."""
    resource = cast(iam.CfnRole, role.node.default_child)
    resource.role_name, resource.path = name, BUILD_PATH
    resource.add_property_override(
        "AssumeRolePolicyDocument.Statement",
        [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "codebuild.amazonaws.com"},
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ],
    )
    own = cast(iam.CfnPolicy, role.node.find_child("DefaultPolicy").node.default_child)
    own.policy_document = policy(statements)


def name_project(scope: IConstruct, name: str) -> None:
    """Name the one CodeBuild project below a scope, where CDK Pipelines leaves that to CloudFormation."""
    (project,) = [one for one in scope.node.find_all() if isinstance(one, codebuild.CfnProject)]
    project.name = name


def publish_by_cli(scope: IConstruct, *, version: str, stacks: str) -> None:
    """Let the CDK CLI publish files, where CDK Pipelines would install `cdk-assets`.

    The newest of that, 4.7.3, refuses what this aws-cdk-lib writes ("schema version mismatch"). Whichever files a
    commit has, the project stays the same.

    Parameters
    ----------
    version
        Of the CLI.
    stacks
        Whose files, as the CLI selects stacks.
    """
    spec = {
        "version": "0.2",
        "phases": {
            "install": {"commands": [f"npm install -g aws-cdk@{version}"]},
            "build": {
                "commands": [
                    # To see how an account is bootstrapped the CLI takes the role that deploys; one that reads will do.
                    "find . -name manifest.json -exec sed -i.bak 's/-deploy-role-/-lookup-role-/' {} +",
                    f"cdk publish-assets --app . --unstable=publish-assets '{stacks}'",
                ]
            },
        },
    }
    (project,) = [one for one in scope.node.find_all() if isinstance(one, codebuild.CfnProject)]
    project.add_property_override("Source.BuildSpec", codebuild.BuildSpec.from_object(spec).to_build_spec())


def acknowledge_roles_by_arn(scope: IConstruct) -> None:
    """Quiet a check of templates that is wrong about projects whose roles have a path.

    It says that they name a role by ``Ref``, where they do by ``Fn::GetAtt`` of its ``Arn``; a test looks at them.
    """
    cdk.Validations.of(scope).acknowledge(
        cdk.Acknowledgment(id="CloudFormation-Validate::E3050", reason="projects name their roles by ARN")
    )
