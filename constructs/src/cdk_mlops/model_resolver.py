"""The function that finds the newest approved version, and the batch, for a pipeline."""

from __future__ import annotations

from aws_cdk import Duration
from constructs import Construct

from cdk_mlops._functions import METRIC_NAMESPACE, HandlerFunction
from cdk_mlops._statements import list_bucket, read_objects
from cdk_mlops._validation import check_stage
from cdk_mlops.model_names import ModelNames
from cdk_mlops.model_registry import ModelRegistry
from cdk_mlops.stage_data_bucket import DataBucket


class ModelResolver(Construct):
    """The Lambda steps ``ResolveModel`` and ``ResolveChampion``: newest approved version of the central group.

    Parameters
    ----------
    model, stage
        Make the names of function and role.
    data_bucket
        Where batches lie.
    registry
        Where versions are. The function reads their descriptions, and of their artifacts only when they were
        written: a version whose files are younger than itself is refused.

    Attributes
    ----------
    function, role
        The `lambda.Function` and its `iam.Role`.
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
    ) -> None:
        check_stage("stage", stage)
        super().__init__(scope, construct_id)
        data, scored = f"{model.model_name}/data/*", f"{model.model_name}/state/scored/*"
        handler = HandlerFunction(
            self,
            "Function",
            handler="model_resolver",
            name="model-resolver",
            prefix=model.prefix,
            stage=stage,
            purpose="resolver",
            description=f"Finds the newest approved version of {model.model_name}",
            statements=[
                *registry.find_statements(model),
                registry.list_artifacts_statement(model),
                list_bucket("ListBatches", data_bucket.bucket_arn, [data, scored]),
                read_objects("ReadScored", data_bucket.bucket_arn, [scored]),
                *data_bucket.key.statements("decrypt", sid="DataKey"),
            ],
            environment={
                "STAGE": stage,
                "MODEL_NAME": model.model_name,
                "DATA_BUCKET": data_bucket.bucket_name,
                "METRIC_NAMESPACE": METRIC_NAMESPACE,
            },
            timeout=Duration.seconds(60),
        )
        self.function, self.role = handler.function, handler.role
