"""The central model registry as other accounts know it: by names, and what each of their roles may do there."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_mlops._statements import (
    Statement,
    arn,
    deny,
    grant,
    list_bucket,
    place_of,
    read_objects,
    write_objects,
)
from cdk_mlops._validation import check_stage
from cdk_mlops.kms_shared_key import SharedKey
from cdk_mlops.model_names import ModelNames

WAITING = "PendingManualApproval"
# How the train roles may register a version: neither approved nor released.
REGISTERED_AS = {
    "StringEquals": {"sagemaker:ModelApprovalStatus": WAITING},
    "Null": {"sagemaker:ModelLifeCycle:stage": "true"},
}
# A role's policy is split between statements when it grows beyond what one policy holds.
_MODELS_A_STATEMENT = 15


class ModelRegistry(Construct):
    """Model package groups, the artifacts bucket and its key, of this or another account.

    Everything is named, nothing referenced, so that stacks of other accounts never depend on the registry's
    stack. Grants add the identity side. Across accounts the registry's own policies must admit the grantee
    too: they do so by the role path ``/mlops/<stage>/`` of the stages that the registry was made with.

    With ``stage`` its versions are of that stage only, and nothing else below ``<model_name>/`` is taken for their
    artifacts: they may lie in the bucket of the stage's data. Default: of all stages.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        account: str,
        region: str,
        artifacts_bucket_name: str,
        key: SharedKey,
        stage: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self.account = account
        self.registry_region = region
        self.artifacts_bucket_name = artifacts_bucket_name
        self.artifacts_bucket_arn = f"arn:{place_of(self).partition}:s3:::{artifacts_bucket_name}"
        self.key = key

    def package_group_arn(self, model: ModelNames) -> str:
        """Return the ARN of a model's package group."""
        return self._arn(f"model-package-group/{model.package_group}")

    def group_resources(self, model: ModelNames) -> list[str]:
        """Return the group as a policy names it."""
        return [self._arn(f"model-package-group/{name}") for name in _cases(model.package_group)]

    def version_resources(self, model: ModelNames) -> list[str]:
        """Return all versions of a model as a policy names them."""
        return [self._arn(f"model-package/{name}/*") for name in _cases(model.package_group)]

    def find_statements(self, model: ModelNames) -> list[Statement]:
        """Return the permissions to list and describe a model's versions, without their artifacts."""
        group, versions = self.group_resources(model), self.version_resources(model)
        return [
            # AWS's pages disagree on which of the two ARNs listing is checked against.
            Statement("ListVersions", ["sagemaker:ListModelPackages"], [*group, *versions]),
            self.describe_statement(model),
        ]

    def describe_statement(self, model: ModelNames) -> Statement:
        """Return the permission to describe a model's versions, but not to find them."""
        return Statement(
            "DescribeVersions", ["sagemaker:DescribeModelPackage"], self.version_resources(model)
        )

    def list_artifacts_statement(self, model: ModelNames) -> Statement:
        """Return the permission to list a model's artifacts, without reading them."""
        return list_bucket("ArtifactsList", self.artifacts_bucket_arn, [self._artifacts(model)])

    def compare_artifacts_statement(self, model: ModelNames) -> Statement:
        """Return the permission to see which S3 versions of a model's artifacts there are, without reading them."""
        return self._list_versions("ArtifactVersions", [self._artifacts(model)])

    def read_statements(self, model: ModelNames) -> list[Statement]:
        """Return the permissions to find a model's versions, read their artifacts and make SageMaker models of them."""
        return [
            *self.find_statements(model),
            Statement("DescribeGroup", ["sagemaker:DescribeModelPackageGroup"], self.group_resources(model)),
            # Checked against the package as well as against the model that is made of it.
            Statement("CreateModelOfVersion", ["sagemaker:CreateModel"], self.version_resources(model)),
            *self.read_artifacts_statements(model),
        ]

    def register_statements(self, model: ModelNames, stage: str) -> list[Statement]:
        """Return the permissions to write a stage's artifacts and register versions, but only as waiting."""
        check_stage("stage", stage)
        own = f"{model.model_name}/{stage}/*"
        return [
            self.describe_statement(model),  # has it become of use?
            Statement(
                "RegisterAsWaiting",
                ["sagemaker:CreateModelPackage"],
                self.version_resources(model),
                REGISTERED_AS,
            ),
            self.list_artifacts_statement(model),
            read_objects("ArtifactsRead", self.artifacts_bucket_arn, [self._artifacts(model)]),
            write_objects("ArtifactsWrite", self.artifacts_bucket_arn, [own], in_parts=True),
            *self.key.statements("encrypt_decrypt", job_outputs=True, sid="ArtifactsKey"),
        ]

    def approve_statements(self, model: ModelNames, *, artifacts: bool = True) -> list[Statement]:
        """Return the permissions to look at a model's versions with their artifacts, and to approve or reject them."""
        return [
            *self.find_statements(model),
            Statement("ApproveOrReject", ["sagemaker:UpdateModelPackage"], self.version_resources(model)),
            *(self.read_artifacts_statements(model) if artifacts else []),
        ]

    def approve_all_statements(self, models: Sequence[ModelNames]) -> list[Statement]:
        """Return what `approve_statements` does for every model of the registry, short enough for hundreds of them."""
        of_group = ["sagemaker:ListModelPackages"]
        of_version = [
            "sagemaker:ListModelPackages",
            "sagemaker:DescribeModelPackage",
            "sagemaker:UpdateModelPackage",
        ]
        statements = [
            list_bucket("ArtifactsList", self.artifacts_bucket_arn, ["*"]),
            read_objects("ArtifactsRead", self.artifacts_bucket_arn, ["*"]),
            *self.key.statements("decrypt", sid="ArtifactsKey"),
        ]
        for start in range(0, len(models), _MODELS_A_STATEMENT):
            some = models[start : start + _MODELS_A_STATEMENT]
            number = start // _MODELS_A_STATEMENT + 1
            groups = [arn for model in some for arn in self.group_resources(model)]
            versions = [arn for model in some for arn in self.version_resources(model)]
            statements += [
                Statement(f"LookUp{number}", of_group, groups),
                Statement(f"ApproveOrReject{number}", of_version, versions),
            ]
        return statements

    def record_statements(self, models: Sequence[ModelNames]) -> list[Statement]:
        """Return the permissions to read the models' artifacts and write properties onto their versions.

        A request that names an approval status or a life cycle is not covered, whichever it is.
        """
        no_status = {
            "Null": {"sagemaker:ModelApprovalStatus": "true", "sagemaker:ModelLifeCycle:stage": "true"}
        }
        statements = []
        for start in range(0, len(models), _MODELS_A_STATEMENT):
            some, number = models[start : start + _MODELS_A_STATEMENT], start // _MODELS_A_STATEMENT + 1
            versions = [arn for model in some for arn in self.version_resources(model)]
            below = [f"{model.model_name}/*" for model in some]
            statements += [
                Statement(f"Record{number}", ["sagemaker:UpdateModelPackage"], versions, no_status),
                self._list_versions(f"ArtifactVersions{number}", below),
                read_objects(f"ArtifactsRead{number}", self.artifacts_bucket_arn, below),
            ]
        return statements

    @staticmethod
    def never_approve() -> Statement:
        """Return the explicit denial of changing any version's status."""
        return deny("NeverApprove", ["sagemaker:UpdateModelPackage"])

    @staticmethod
    def never_register() -> Statement:
        """Return the explicit denial of registering or changing any version."""
        return deny("NeverRegister", ["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"])

    def grant_register(self, grantee: iam.IGrantable, model: ModelNames, *, stage: str) -> iam.Grant:
        """Let the grantee register versions, waiting for approval, with artifacts under the stage's prefix."""
        return grant(grantee, self.register_statements(model, stage))

    def grant_read_approved(self, grantee: iam.IGrantable, model: ModelNames) -> iam.Grant:
        """Let the grantee use the model's versions.

        IAM can't tell approved versions from others when reading: which one is used is for the reader
        (`ModelResolver`) to decide.
        """
        return grant(grantee, self.read_statements(model))

    def grant_approve(
        self, grantee: iam.IGrantable, model: ModelNames, *, artifacts: bool = True
    ) -> iam.Grant:
        """Let the grantee look at the model's versions and change their approval status. People only.

        With ``artifacts=False`` their artifacts are left out, for who reads these already.
        """
        return grant(grantee, self.approve_statements(model, artifacts=artifacts))

    def read_artifacts_statements(self, model: ModelNames) -> list[Statement]:
        """Return the permissions to read a model's artifacts, whose URIs somebody else has found."""
        return [
            self.list_artifacts_statement(model),
            read_objects("ArtifactsRead", self.artifacts_bucket_arn, [self._artifacts(model)]),
            *self.key.statements("decrypt", sid="ArtifactsKey"),
        ]

    def _artifacts(self, model: ModelNames) -> str:
        """Return the pattern of the keys of a model's artifacts."""
        return f"{model.model_name}/*" if self._stage is None else f"{model.model_name}/{self._stage}/*"

    def _list_versions(self, sid: str, prefixes: Sequence[str]) -> Statement:
        prefix = {"StringLike": {"s3:prefix": list(prefixes)}}
        return Statement(sid, ["s3:ListBucketVersions"], [self.artifacts_bucket_arn], prefix)

    def _arn(self, resource: str) -> str:
        return arn(self, "sagemaker", resource, account=self.account, region=self.registry_region)


def _cases(name: str) -> list[str]:
    # SageMaker writes some ARNs in lower case whatever the name's case is; a group that exists already may
    # have either.
    return list(dict.fromkeys([name, name.lower()]))
