"""The function that finds the model version, and the batch or its ground truth, for a pipeline."""

from __future__ import annotations

from typing import Literal

from aws_cdk import Duration
from constructs import Construct

from cdk_mlops._functions import METRIC_NAMESPACE, HandlerFunction
from cdk_mlops._statements import list_bucket, read_objects, write_objects
from cdk_mlops._validation import check_choice, check_stage
from cdk_mlops.model_names import ModelNames
from cdk_mlops.model_registry import ModelRegistry
from cdk_mlops.run_recorder import CHECKS
from cdk_mlops.stage_data_bucket import DataBucket

Versions = Literal["approved", "released", "any"]
VERSIONS: tuple[Versions, ...] = ("approved", "released", "any")


class ModelResolver(Construct):
    """The Lambda steps ``ResolveModel`` and ``ResolveChampion``: newest approved version of the central group.

    A run of the inference pipeline may ask for another version by its parameter ``ModelVersion``. For
    ``ResolveGroundTruth`` it finds labels of a batch that was scored, and the version that scored it.

    Parameters
    ----------
    model, stage
        Make the names of function and role.
    data_bucket
        Where batches and their ground truth lie, and what was found about the last ones.
    registry
        Where versions are. The function reads their descriptions, and of their artifacts only which S3 versions
        there are: a version whose files are younger than itself, or aren't those that were approved, is refused.
    versions
        ``approved`` (default): a run that asks for a version that isn't approved is refused; ``released``: so is one
        that isn't released to prod, as its ModelLifeCycle says; ``any``: it may have it, so that a version can be
        tried before it is approved.
    approvals_recorded
        Whether the registry records what was approved, as `CrossAccountModelRegistry` does (default): an approved
        version is then refused until it has a record. Set False for a registry without an `ApprovalRecorder`.

    Attributes
    ----------
    function, role
        The `lambda.Function` and its `iam.Role`.

    Raises
    ------
    ValueError
        If a prop can't be right.
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
        versions: Versions = "approved",
        approvals_recorded: bool = True,
    ) -> None:
        check_stage("stage", stage)
        check_choice("versions", versions, VERSIONS)
        super().__init__(scope, construct_id)
        data, scored = f"{model.data}/*", f"{model.model_name}/state/scored/*"
        checks = f"{model.model_name}/{CHECKS}/batches/*"
        found = f"{model.model_name}/state/batches/*"
        judged = f"{model.model_name}/state/quality/*"
        # laid down for the check of the run's batch
        histories = [
            f"{model.model_name}/{folder}/*/history/history.json" for folder in ("inference", CHECKS)
        ]
        handler = HandlerFunction(
            self,
            "Function",
            handler="model_resolver",
            name="model-resolver",
            prefix=model.prefix,
            stage=stage,
            purpose="resolver",
            description=f"Finds the version of {model.model_name}",
            statements=[
                *registry.find_statements(model),
                registry.compare_artifacts_statement(model),
                list_bucket("ListBatches", data_bucket.bucket_arn, [data, checks, scored, found, judged]),
                read_objects("ReadRecords", data_bucket.bucket_arn, [scored, found, judged]),
                write_objects("LayDownHistory", data_bucket.bucket_arn, histories),
                # how often a run has begun to judge it; what was found is the recorder's to write
                write_objects("NoteTries", data_bucket.bucket_arn, [f"{judged}.tries.json"]),
                *data_bucket.key.statements("encrypt_decrypt", sid="DataKey"),
            ],
            environment={
                "STAGE": stage,
                "MODEL_NAME": model.model_name,
                "DATA_BUCKET": data_bucket.bucket_name,
                "METRIC_NAMESPACE": METRIC_NAMESPACE,
                "VERSIONS": versions,
                "APPROVALS": "recorded" if approvals_recorded else "unrecorded",
            },
            timeout=Duration.seconds(60),
            log_key=data_bucket.key,
        )
        self.function, self.role = handler.function, handler.role
