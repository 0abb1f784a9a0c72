"""``Custom::SageMakerPipeline``: a compiled, reviewed definition and its code become a pipeline of this account."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from aws_cdk import CustomResource, Duration, IgnoreMode, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from cdk_mlops._functions import METRIC_NAMESPACE, HandlerFunction
from cdk_mlops._statements import Statement, document, list_bucket, place_of, read_objects, write_objects
from cdk_mlops._validation import check_pattern, check_stage
from cdk_mlops.kms_shared_key import SharedKey
from cdk_mlops.pipeline import Pipeline
from cdk_mlops.pipeline_definition import PipelineDefinition
from cdk_mlops.stage_data_bucket import DataBucket

RESOURCE_TYPE = "Custom::SageMakerPipeline"
CODE_PARAMETER = "CodeUri"
_PIPELINE_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}")
_CODE_PREFIX = re.compile(r"[\w.=+-]+(/[\w.=+-]+)*")
_PROVIDER_ID = "SageMakerPipelineProvider"
# A role holds 10,240 characters of inline policies; one pipeline's take up to 2,000.
_MAX_PIPELINES = 4


class SageMakerPipelineProvider(Construct):
    """The function behind ``Custom::SageMakerPipeline`` and its role. CloudFormation calls it directly.

    By default a stack has one, for up to four pipelines. More need providers of their own, one a model: a
    resource can't change its provider later, so which one serves a pipeline must not depend on how many there
    are.

    Parameters
    ----------
    stage
        Such as ``dev``.
    prefix
        Begins the function's and the role's name. Default: ``mlops``.
    log_key
        Encrypts the function's log group, where it is a key of the same stack. Default: CloudWatch Logs' own key.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        prefix: str = "mlops",
        log_key: SharedKey | None = None,
    ) -> None:
        check_stage("stage", stage)
        super().__init__(scope, construct_id)
        self.stage = stage
        self.pipelines: list[str] = []
        self._function = HandlerFunction(
            self,
            "Function",
            handler="sagemaker_pipeline",
            name="pipeline-provider",
            prefix=prefix,
            stage=stage,
            purpose="provider",
            description="Creates, updates and deletes SageMaker pipelines for CloudFormation",
            statements=[],
            environment={"METRIC_NAMESPACE": METRIC_NAMESPACE},
            timeout=Duration.minutes(15),
            log_key=log_key,
            memory_size_mib=512,
        )
        self.role = self._function.role
        self.function = self._function.function

    @staticmethod
    def of_stack(
        scope: Construct, stage: str, *, log_key: SharedKey | None = None
    ) -> SageMakerPipelineProvider:
        """Return the stack's own provider, made when first asked for; only then `log_key` counts."""
        stack = Stack.of(scope)
        found = stack.node.try_find_child(_PROVIDER_ID)
        if isinstance(found, SageMakerPipelineProvider):
            return found
        return SageMakerPipelineProvider(stack, _PROVIDER_ID, stage=stage, log_key=log_key)

    def serve(self, pipeline_name: str) -> None:
        """Note one more pipeline.

        Raises
        ------
        ValueError
            If the provider has as many as its role's policies have room for.
        """
        if len(self.pipelines) >= _MAX_PIPELINES:
            raise ValueError(
                f"provider must serve at most {_MAX_PIPELINES} pipelines, got '{pipeline_name}' beside "
                f"{', '.join(self.pipelines)}; give each model a SageMakerPipelineProvider of its own"
            )
        self.pipelines.append(pipeline_name)


class SageMakerPipeline(Pipeline):
    """A pipeline from any compiled definition, with its code under an immutable prefix named by content.

    The deployment unpacks the code, fills the parameters' defaults, replaces the markers ``@function:<name>@``
    and creates or updates the pipeline. A failed update leaves the old pipeline working; a stack that rolls
    back gets its previous definition back; a delete stops executions and waits for them at most 15 minutes.

    Parameters
    ----------
    pipeline_name
        1 to 256 letters, digits and inner hyphens. Another name makes a new pipeline and deletes the old one.
    stage
        Such as ``dev``.
    definition
        Path of the compiled JSON.
    role
        The pipeline's role, and that of its jobs.
    parameter_defaults
        Value of each parameter, as text; must hold those without a default in the definition. Default: none.
    functions
        Function of each marker in the definition. Default: none.
    code
        Folder or asset whose content the steps run. Default: none; then there is no ``CodeUri``.
    code_exclude
        Glob patterns of files to leave out of a folder. Default: byte code.
    code_bucket, code_prefix
        Where the code is unpacked: ``<code_prefix>/<sha256>/``. Needed with code.
    code_parameter
        The parameter that takes the URI of the unpacked code. Default: ``CodeUri``.
    rename_jobs
        What the names of jobs and SageMaker models begin with in the definition, and what with instead, such as
        ``{"my-model": "my-model--a1b2c3d4"}``. Default: they stay.
    tags
        Tags of the pipeline; ``mlops:stage``, ``mlops:definition`` and ``mlops:code`` are added.
    adopt_existing
        Default: an existing pipeline of the same name is refused, not overwritten.
    asset_key_arn
        Key of the bootstrap bucket where it has one of its own. Default: none.
    provider
        Default: the stack's own, which serves up to four pipelines.

    Attributes
    ----------
    code_uri
        URI of the unpacked code (a token), or None.
    definition_sha256
        Digest of the compiled definition.

    Raises
    ------
    ValueError
        If the definition can't be read, a parameter is unknown, left without a value or of the wrong type, or
        a marker has no function.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-overview.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        pipeline_name: str,
        stage: str,
        definition: str | PathLike[str],
        role: iam.IRole,
        parameter_defaults: Mapping[str, str] | None = None,
        functions: Mapping[str, lambda_.IFunction] | None = None,
        code: str | PathLike[str] | s3_assets.Asset | None = None,
        code_exclude: Sequence[str] = ("**/__pycache__", "**/*.pyc"),
        code_bucket: DataBucket | None = None,
        code_prefix: str | None = None,
        code_parameter: str = CODE_PARAMETER,
        rename_jobs: Mapping[str, str] | None = None,
        display_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        adopt_existing: bool = False,
        asset_key_arn: str | None = None,
        provider: SageMakerPipelineProvider | None = None,
    ) -> None:
        check_pattern(
            "pipeline_name", pipeline_name, _PIPELINE_NAME, "be 1 to 256 letters, digits and inner hyphens"
        )
        check_stage("stage", stage)
        defaults = {} if parameter_defaults is None else dict(parameter_defaults)
        functions = {} if functions is None else dict(functions)
        compiled = PipelineDefinition.read(definition)
        compiled.check_defaults(defaults, filled=() if code is None else (code_parameter,))
        compiled.check_functions(functions)
        code_place = _code_place(code, code_bucket, code_prefix)
        super().__init__(scope, construct_id, pipeline_name=pipeline_name)
        self.role = role
        self.definition_sha256 = compiled.sha256
        if provider is None:
            log_key = None if code_bucket is None else code_bucket.key
            provider = SageMakerPipelineProvider.of_stack(self, stage, log_key=log_key)
        self.provider = provider
        self.provider.serve(pipeline_name)

        # Absolute, because CDK's process keeps the working directory that it was started in.
        definition_asset = s3_assets.Asset(self, "Definition", path=str(compiled.path.resolve()))
        properties: dict[str, object] = {
            "PipelineName": pipeline_name,
            "DisplayName": pipeline_name if display_name is None else display_name,
            "Description": f"Deployed by {Stack.of(self).stack_name}" if description is None else description,
            "RoleArn": role.role_arn,
            "DefinitionBucket": definition_asset.s3_bucket_name,
            "DefinitionKey": definition_asset.s3_object_key,
            "ParameterDefaults": defaults,
            "Functions": {marker: function.function_arn for marker, function in functions.items()},
            "AdoptExisting": "true" if adopt_existing else "false",
            **({} if rename_jobs is None else {"RenameJobs": dict(rename_jobs)}),
        }
        own_tags = {"mlops:stage": stage, "mlops:definition": compiled.sha256}
        statements = self._provider_statements(definition_asset)
        self.code_hash: str | None = None
        if code_place is not None and code is not None:
            bucket, prefix = code_place
            code_asset = self._code_asset(code, code_exclude)
            self.code_hash = own_tags["mlops:code"] = code_asset.asset_hash
            properties |= {
                "CodeBucket": code_asset.s3_bucket_name,
                "CodeKey": code_asset.s3_object_key,
                "CodeDestinationBucket": bucket.bucket_name,
                "CodeDestinationPrefix": prefix,
                "CodeHash": code_asset.asset_hash,
                "CodeParameter": code_parameter,
            }
            statements += _code_statements(code_asset, bucket, prefix)
        if asset_key_arn is not None:
            statements.append(Statement("AssetKey", ["kms:Decrypt"], [asset_key_arn]))
        properties["Tags"] = {**({} if tags is None else tags), **own_tags}
        # A policy a pipeline: when one is taken out of the stack, its permissions outlive the call that
        # deletes it.
        permissions = iam.Policy(
            self, "ProviderPolicy", roles=[self.provider.role], document=document(statements)
        )
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type=RESOURCE_TYPE,
            service_token=self.provider.function.function_arn,
            service_timeout=Duration.minutes(16),
            properties=properties,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.resource.node.add_dependency(permissions)
        self.resource.node.add_dependency(role)
        if code_place is not None:
            # Bucket and key are named, not referenced; the key's alias carries the permission.
            self.resource.node.add_dependency(code_place[0], code_place[0].key)
        self.code_uri = None if self.code_hash is None else self.resource.get_att_string("CodeUri")

    @staticmethod
    def from_pipeline_name(scope: Construct, construct_id: str, pipeline_name: str) -> Pipeline:
        """Use a pipeline of this account and region that exists. Its definition and role can't be changed here."""
        check_pattern(
            "pipeline_name", pipeline_name, _PIPELINE_NAME, "be 1 to 256 letters, digits and inner hyphens"
        )
        return Pipeline(scope, construct_id, pipeline_name=pipeline_name)

    def _code_asset(
        self, code: str | PathLike[str] | s3_assets.Asset, exclude: Sequence[str]
    ) -> s3_assets.Asset:
        if isinstance(code, s3_assets.Asset):
            return code
        return s3_assets.Asset(
            self, "Code", path=str(Path(code).resolve()), exclude=list(exclude), ignore_mode=IgnoreMode.GLOB
        )

    def _provider_statements(self, definition: s3_assets.Asset) -> list[Statement]:
        manage = ("Create", "Update", "Describe", "Delete")
        return [
            Statement(
                "ThisPipeline",
                [
                    *(f"sagemaker:{verb}Pipeline" for verb in manage),
                    "sagemaker:ListPipelineExecutions",
                    "sagemaker:AddTags",
                    "sagemaker:ListTags",
                    "sagemaker:DeleteTags",
                ],
                [self.pipeline_arn],
            ),
            Statement("ItsExecutions", ["sagemaker:StopPipelineExecution"], [self.execution_arns]),
            Statement(
                "PassItsRole",
                ["iam:PassRole"],
                [self.role.role_arn],
                {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            # All definitions among the deployment's files, not this one only: a stack that rolls back asks for
            # the previous one, and may do so while this policy is already, or still, the other version's.
            read_objects("ReadDefinition", _bucket_arn(definition), ["*.json"]),
        ]


def _code_statements(asset: s3_assets.Asset, bucket: DataBucket, prefix: str) -> list[Statement]:
    below = f"{prefix}/*"
    return [
        read_objects("ReadCode", _bucket_arn(asset), [asset.s3_object_key]),
        list_bucket("ListUnpacked", bucket.bucket_arn, [below]),
        write_objects("Unpack", bucket.bucket_arn, [below]),
        *bucket.key.statements("encrypt", sid="DataKey"),
    ]


def _bucket_arn(asset: s3_assets.Asset) -> str:
    return f"arn:{place_of(asset).partition}:s3:::{asset.s3_bucket_name}"


def _code_place(code: object, bucket: DataBucket | None, prefix: str | None) -> tuple[DataBucket, str] | None:
    if code is None:
        if bucket is not None or prefix is not None:
            raise ValueError("code must be given where code_bucket or code_prefix is")
        return None
    if isinstance(code, str | PathLike) and not Path(code).is_dir():
        raise ValueError(f"code must be a folder, got '{code}', which is none")
    if bucket is None or prefix is None:
        raise ValueError("code_bucket and code_prefix must say where the code is unpacked, got none")
    check_pattern(
        "code_prefix",
        prefix,
        _CODE_PREFIX,
        "be a key prefix without slashes at its ends, such as model/scripts",
    )
    return bucket, prefix
