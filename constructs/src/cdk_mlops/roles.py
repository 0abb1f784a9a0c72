"""The roles of a model's pipelines: each is its pipeline's role and that of the pipeline's jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_mlops._job_safeguards import JobSafeguards
from cdk_mlops._roles import role_name, role_path, service_role
from cdk_mlops._statements import NO_RESOURCE, Statement, arn, iam_arn, place_of
from cdk_mlops._validation import check_pattern, check_stage
from cdk_mlops.job_network import JobNetwork
from cdk_mlops.model_names import ModelNames
from cdk_mlops.model_registry import ModelRegistry
from cdk_mlops.run_recorder import CHECKS, QUALITY
from cdk_mlops.stage_data_bucket import DataBucket

SAGEMAKER = "sagemaker.amazonaws.com"
_REPOSITORY = re.compile(r"arn:[a-z-]+:ecr:[a-z0-9-]+:\d{12}:repository/[a-z0-9._/*-]+")


class _JobRole(Construct):
    """What both roles have in common: their jobs, logs, images, and passing themselves on to their jobs."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: ModelNames,
        stage: str,
        purpose: str,
        jobs: Sequence[str],
        folders: Sequence[str],
        data_bucket: DataBucket,
        functions: Sequence[lambda_.IFunction],
        image_repository_arns: Sequence[str],
        network: JobNetwork | None,
        safeguards: JobSafeguards,
        description: str,
        statements: Sequence[Statement],
    ) -> None:
        check_stage("stage", stage)
        for repository in image_repository_arns:
            check_pattern("image_repository_arns", repository, _REPOSITORY, "be ARNs of ECR repositories")
        super().__init__(scope, construct_id)
        own = f"{model.jobs}-{purpose}-*"
        name = role_name(stage, purpose, model.prefix)
        self.role_arn = iam_arn(self, f"role{role_path(stage, purpose)}{name}")
        key = data_bucket.key
        runs = [f"{model.model_name}/{folder}/*" for folder in folders]
        readable = (f"{model.data}/*", f"{model.model_name}/scripts/*", *runs)
        self.role = service_role(
            self,
            "Resource",
            stage=stage,
            purpose=purpose,
            prefix=model.prefix,
            service=SAGEMAKER,
            description=description,
            trust_conditions={
                "StringEquals": {"aws:SourceAccount": place_of(self).account},
                "ArnLike": {"aws:SourceArn": arn(self, "sagemaker", "*")},
            },
            statements=[
                *safeguards.statements(self, jobs, own),
                # A pipeline passes its role on to its jobs.
                Statement(
                    "PassItself",
                    ["iam:PassRole"],
                    [self.role_arn],
                    {"StringEquals": {"iam:PassedToService": SAGEMAKER}},
                ),
                *(
                    [
                        Statement(
                            "RunSteps", ["lambda:InvokeFunction"], [one.function_arn for one in functions]
                        )
                    ]
                    if functions
                    else []
                ),
                *data_bucket.read_statements("Data", *readable),
                *data_bucket.write_statements("Run", *runs, in_parts=True),
                *key.statements("encrypt_decrypt", job_outputs=True, volumes=True, sid="DataKey"),
                *_image_statements(image_repository_arns),
                *_log_statements(self, jobs, own),
                *([] if network is None else network.statements(self)),
                *statements,
            ],
        )


class TrainRole(_JobRole):
    """The role of a model's train pipeline and its jobs: it registers versions, but only as waiting for approval.

    It runs jobs named ``<job prefix>-train-*``, reads the model's data and code, writes below its own run and
    artifact prefixes, and is explicitly denied to change any version's status. A job that isn't isolated from the
    network, doesn't encrypt what goes between its containers, or has no key for its volume or outputs is refused.

    Parameters
    ----------
    model, stage
        Make the role's name ``<prefix>-<stage>-train`` and its path ``/mlops/<stage>/train/``, by which the
        registry admits it.
    data_bucket, registry
        Where it reads and writes.
    functions
        The functions its Lambda steps call. Default: none.
    image_repository_arns
        ECR repositories of the images. Default: none, for images that need no permission.
    network
        Where all jobs must run. Default: they run outside of any VPC.
    isolated_processing
        Whether processing jobs must be isolated from the network (default). Model Monitor's container hasn't been
        tried so; training is always isolated.

    Attributes
    ----------
    role
        The `iam.Role`.
    role_arn
        Its ARN, made from its name.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-access.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: ModelNames,
        stage: str,
        data_bucket: DataBucket,
        registry: ModelRegistry,
        functions: Sequence[lambda_.IFunction] = (),
        image_repository_arns: Sequence[str] = (),
        network: JobNetwork | None = None,
        isolated_processing: bool = True,
    ) -> None:
        check_stage("stage", stage)
        super().__init__(
            scope,
            construct_id,
            model=model,
            stage=stage,
            purpose="train",
            jobs=("Processing", "Training"),
            folders=["train"],
            data_bucket=data_bucket,
            functions=functions,
            image_repository_arns=image_repository_arns,
            network=network,
            safeguards=JobSafeguards([data_bucket.key, registry.key], network, isolated_processing),
            description=f"Trains {model.model_name} and registers versions that wait for approval",
            statements=[*registry.register_statements(model, stage), registry.never_approve()],
        )


class InferenceRole(_JobRole):
    """The role of a model's inference and quality pipelines and their jobs: it neither registers nor approves versions.

    Parameters as of `TrainRole`; its jobs and models are named ``<job prefix>-inference-*`` and refused for the same
    reasons. Check runs write below ``<model_name>/checks/``, quality runs below ``<model_name>/quality/``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: ModelNames,
        stage: str,
        data_bucket: DataBucket,
        registry: ModelRegistry,
        functions: Sequence[lambda_.IFunction] = (),
        image_repository_arns: Sequence[str] = (),
        network: JobNetwork | None = None,
        isolated_processing: bool = True,
    ) -> None:
        check_stage("stage", stage)
        safeguards = JobSafeguards([data_bucket.key], network, isolated_processing)
        models = arn(scope, "sagemaker", f"model/{model.jobs}-inference-*")
        super().__init__(
            scope,
            construct_id,
            model=model,
            stage=stage,
            purpose="inference",
            jobs=("Processing", "Transform"),
            folders=["inference", CHECKS, QUALITY],
            data_bucket=data_bucket,
            functions=functions,
            image_repository_arns=image_repository_arns,
            network=network,
            safeguards=safeguards,
            description=f"Scores batches with versions of {model.model_name}, and judges them by ground truth",
            statements=[
                Statement("CreateModels", ["sagemaker:CreateModel"], [models], safeguards.of_models()),
                Statement("OwnModels", ["sagemaker:DescribeModel", "sagemaker:AddTags"], [models]),
                *registry.read_artifacts_statements(model),
                registry.never_register(),
            ],
        )


def _image_statements(repositories: Sequence[str]) -> list[Statement]:
    if not repositories:
        return []
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
    return [
        Statement(f"ImageLogin{NO_RESOURCE}", ["ecr:GetAuthorizationToken"], ["*"]),
        Statement("PullImages", pull, repositories),
    ]


def _log_statements(scope: Construct, jobs: Sequence[str], own: str) -> list[Statement]:
    groups = [f"log-group:/aws/sagemaker/{kind}Jobs" for kind in jobs]
    own_group: Mapping[str, Mapping[str, object]] = {
        "StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*"]}
    }
    return [
        Statement(
            "LogGroups",
            ["logs:CreateLogGroup", "logs:DescribeLogStreams"],
            [arn(scope, "logs", f"{group}{end}") for group in groups for end in ("", ":*")],
        ),
        Statement(
            "OwnLogStreams",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [arn(scope, "logs", f"{group}:log-stream:{own}") for group in groups],
        ),
        Statement(f"Metrics{NO_RESOURCE}", ["cloudwatch:PutMetricData"], ["*"], own_group),
    ]
