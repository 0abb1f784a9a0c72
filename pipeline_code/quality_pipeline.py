"""The quality pipeline: is a version still as good as at training, by ground truth that came later?

    ResolveGroundTruth ── CheckGroundTruth ── ModelQualityCheck ── RecordModelQuality

It looks for labels of a batch that was scored and takes those that have waited longest. Where none wait, nothing is
done and the run ends well. A loss is a result, not a failure.
`make definitions` compiles it to JSON that is the same for every account. In a notebook, call `get_pipeline` with the
names of an account, and ``upsert`` what it returns.
"""

from typing import Any

from sagemaker.core.workflow.conditions import ConditionEquals
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.mlops.workflow.condition_step import ConditionStep

from pipeline_code.frame import begin
from pipeline_code.model_config import load_model
from pipeline_code.sdk import (
    MODEL_RESOLVER,
    RUN_RECORDER,
    joined,
    pipeline,
    run_folder,
)
from pipeline_code.variants import VARIANTS


def get_pipeline(
    *,
    folder: str = "mammography",
    variant: str = "default",
    region: str | None = None,
    role: str | None = None,
    default_bucket: str | None = None,
    model_artifacts_bucket: str | None = None,
    model_name: str | None = None,
    kms_key: str | None = None,
    model_package_group_name: str | None = None,
    pipeline_name: str | None = None,
    base_job_prefix: str | None = None,
    code_uri: str | None = None,
    model_resolver_arn: str = MODEL_RESOLVER,
    run_recorder_arn: str = RUN_RECORDER,
) -> Any:
    """Return the quality pipeline of a model.

    Without arguments it names no account: everything that differs between accounts is a parameter without a default.
    What is given becomes the default of its parameter; the steps stay the same.

    Parameters
    ----------
    folder
        Folder of the model under pipeline_code, or a path.
    variant
        One of `pipeline_code.variants.VARIANTS`; ground truth is judged by our own program in all of them.
    region
        Region to call; names the container image.
    role
        ARN of the role of the pipeline and its jobs: that of the inference pipeline, which reads the same.
    default_bucket
        Bucket of the stage's data, without ``s3://``.
    model_artifacts_bucket
        Taken for the sake of those who call all pipelines alike: a version says itself where its evaluation lies.
    model_name
        First part of every object key. Default: that of model.yaml.
    kms_key
        ARN of a key for volumes and reports.
    model_package_group_name
        Name of the model package group, or its ARN where it belongs to another account.
    pipeline_name
        Default: ``<prefix>-quality-pipeline``.
    base_job_prefix
        Before every job's name. Default: the prefix of model.yaml.
    code_uri
        S3 URI of what `pipeline_code.definitions.write_code` writes, without a slash at the end. Default: to be given
        when the pipeline starts; the stack's own is the ``CodeUri`` of its pipeline.
    model_resolver_arn, run_recorder_arn
        ARNs of the stage's functions. Default: the markers that the stack replaces.

    Returns
    -------
    sagemaker.mlops.workflow.pipeline.Pipeline
        Not created yet: call ``upsert(role_arn=...)``.

    Raises
    ------
    ValueError
        If the region has no container image.
    """
    model = load_model(folder)
    shape = VARIANTS[variant]

    # ---- parameters: first what the stack fills in, then what people may change
    frame = begin(
        "quality",
        model=model,
        shape=shape,
        region=region,
        # the jobs are the inference role's, which is narrowed to names that begin so
        jobs="inference",
        base_job_prefix=base_job_prefix,
        model_name=model_name,
        role=role,
        default_bucket=default_bucket,
        model_artifacts_bucket=model_artifacts_bucket,
        kms_key=kms_key,
        model_package_group_name=model_package_group_name,
        code_uri=code_uri,
    )
    p, steps = frame.parameters, frame.steps
    # the folder of all ground truth, of which a run takes what has waited longest; or that of one batch
    ground_truth_input = p.string("ground_truth_input")

    processing_type = p.string("ProcessingInstanceType", model.instance_types.processing)

    # ---- what to judge: labels, the predictions that they are about, and what their version was at training
    resolve = steps.function(
        "ResolveGroundTruth",
        model_resolver_arn,
        inputs={
            "action": "resolve_ground_truth",
            "model_package_group_arn": frame.model_package_group,
            "ground_truth_input": ground_truth_input,
            "execution_id": ExecutionVariables.PIPELINE_EXECUTION_ID,
        },
        outputs=[
            "found",
            "waiting",
            "ground_truth_uri",
            "ground_truth_digest",
            "batch_uri",
            "batch_digest",
            "predictions_uri",
            "model_version",
            "evaluation_uri",
        ],
    )
    resolved = resolve.properties.Outputs
    report_uri = run_folder(frame.run_uri, "model-quality")
    check = steps.program(
        "ModelQualityCheck",
        "steps.model_quality",
        mode="check",
        inputs={
            "predictions": resolved["predictions_uri"],
            "ground-truth": resolved["ground_truth_uri"],
            "evaluation": resolved["evaluation_uri"],
            # for the segments
            "batch": resolved["batch_uri"],
        },
        outputs={"report": report_uri},
        instance_type=processing_type,
        # labels and predictions are joined in memory
        instance_count=1,
        output_key=frame.data_key,
    )
    record = steps.function(
        "RecordModelQuality",
        run_recorder_arn,
        inputs={
            "action": "record_quality",
            "report_uri": joined(report_uri, "model-quality.json"),
            "ground_truth_uri": resolved["ground_truth_uri"],
            "ground_truth_digest": resolved["ground_truth_digest"],
            "batch_uri": resolved["batch_uri"],
            "batch_digest": resolved["batch_digest"],
            "model_version": resolved["model_version"],
            "pipeline_name": ExecutionVariables.PIPELINE_NAME,
            "execution_id": ExecutionVariables.PIPELINE_EXECUTION_ID,
            "code_uri": frame.code,
            "git_commit": frame.git_commit,
            "definition_sha256": frame.definition_sha256,
        },
        outputs=["message"],
        depends_on=[check],
    )
    decision = ConditionStep(
        name=steps.name("CheckGroundTruth"),
        conditions=[ConditionEquals(left=resolved["found"], right="true")],
        if_steps=[check, record],
    )

    return pipeline(
        name=f"{model.prefix}-quality-pipeline" if pipeline_name is None else pipeline_name,
        parameters=p.all,
        steps=[resolve, decision],
        session=frame.steps.session,
    )
