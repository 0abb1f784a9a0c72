"""What a throw-away model leaves behind goes with its stack."""

from __future__ import annotations

from aws_cdk import CustomResource, Duration, RemovalPolicy
from constructs import Construct

from cdk_mlops._functions import METRIC_NAMESPACE, HandlerFunction
from cdk_mlops._statements import NO_RESOURCE, Statement, arn
from cdk_mlops._validation import check_stage
from cdk_mlops.model_names import ModelNames
from cdk_mlops.stage_data_bucket import DataBucket

RESOURCE_TYPE = "Custom::ModelCleanup"


class ModelCleanup(Construct):
    """Deletes a model's versions, SageMaker models, objects and job logs when its stack is deleted.

    For models that are tried and thrown away, such as a feature branch's: CloudFormation can't delete a package
    group that has versions, nor objects below a prefix. What is deleted is gone for good, all versions of each
    object included. It reaches no other model's.

    Order: let the package group be made before this construct, and all that runs or writes after it
    (``pipelines.node.add_dependency(cleanup)``), so that deletion goes the other way round.

    Parameters
    ----------
    model, stage
        Whose, and where. The objects are those below ``<model_name>/``.
    data_bucket
        Where the objects are, artifacts included.

    Attributes
    ----------
    function, role
        The `lambda.Function` and its `iam.Role`.

    Raises
    ------
    ValueError
        If the stage can't be one.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-delete-model-group.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, model: ModelNames, stage: str, data_bucket: DataBucket
    ) -> None:
        check_stage("stage", stage)
        super().__init__(scope, construct_id)
        handler = HandlerFunction(
            self,
            "Function",
            handler="model_cleanup",
            name="model-cleanup",
            prefix=model.prefix,
            stage=stage,
            purpose="cleanup",
            description=f"Deletes what {model.model_name} has left when its stack goes",
            statements=_statements(self, model, data_bucket),
            environment={"METRIC_NAMESPACE": METRIC_NAMESPACE},
            timeout=Duration.minutes(15),
            log_key=data_bucket.key,
        )
        self.function, self.role = handler.function, handler.role
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type=RESOURCE_TYPE,
            service_token=self.function.function_arn,
            service_timeout=Duration.minutes(16),
            properties={
                "Bucket": data_bucket.bucket_name,
                "Prefix": f"{model.model_name}/",
                "ModelPackageGroupName": model.package_group,
                "JobPrefix": model.jobs,
            },
            removal_policy=RemovalPolicy.DESTROY,
        )
        # Its log group too, so that there is one to write to while it works.
        self.resource.node.add_dependency(handler)


def _statements(scope: Construct, model: ModelNames, data: DataBucket) -> list[Statement]:
    group, below = model.package_group, f"{model.model_name}/*"
    versions = arn(scope, "sagemaker", f"model-package/{group}/*")
    groups = [arn(scope, "logs", f"log-group:/aws/sagemaker/{kind}Jobs") for kind in _JOBS]
    own = [f"{model.jobs}-{kind}-*" for kind in ("train", "inference")]
    return [
        Statement(
            "ListVersions",
            ["sagemaker:ListModelPackages"],
            [arn(scope, "sagemaker", f"model-package-group/{group}"), versions],
        ),
        Statement("DeleteVersions", ["sagemaker:DeleteModelPackage"], [versions]),
        Statement(f"ListModels{NO_RESOURCE}", ["sagemaker:ListModels"], ["*"]),
        Statement(
            "DeleteModels",
            ["sagemaker:DeleteModel"],
            [arn(scope, "sagemaker", f"model/{name}") for name in own],
        ),
        Statement(
            "ListObjects",
            ["s3:ListBucketVersions"],
            [data.bucket_arn],
            {"StringLike": {"s3:prefix": [below]}},
        ),
        Statement(
            "DeleteObjects", ["s3:DeleteObject", "s3:DeleteObjectVersion"], [f"{data.bucket_arn}/{below}"]
        ),
        Statement(
            "ListLogStreams",
            ["logs:DescribeLogStreams"],
            [f"{one}{end}" for one in groups for end in ("", ":*")],
        ),
        Statement(
            "DeleteLogStreams",
            ["logs:DeleteLogStream"],
            [f"{one}:log-stream:{name}" for one in groups for name in own],
        ),
    ]


_JOBS = ("Processing", "Training", "Transform")
