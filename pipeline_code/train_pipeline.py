"""The train pipeline: preprocess, train, evaluate against the champion, register what passes the gate.

    ResolveChampion ─┐
    PreProcessing ── Train ── Eval ── CheckAUCScore ─┬─ RegisterModel
                                                     └─ ExplainRejection ── AUCFail

`make definitions` compiles it to JSON that is the same for every account. In a notebook, call `get_pipeline` with the
names of an account, and ``upsert`` what it returns.
"""

from typing import Any

from sagemaker.core.model_monitor.dataset_format import DatasetFormat
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep

from pipeline_code.frame import begin
from pipeline_code.model_config import load_model
from pipeline_code.sdk import (
    MODEL_RESOLVER,
    RUN_RECORDER,
    joined,
    json_source,
    output_uri,
    pipeline,
    read,
    run_folder,
)
from pipeline_code.variants import VARIANTS

KEPT_HERE = ["train", "holdout", "baseline", "summary"]
INSTANCE_TYPES = ["ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.c5.xlarge", "ml.c5.2xlarge"]


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
    stage: str = "dev",
    code_uri: str | None = None,
    model_resolver_arn: str = MODEL_RESOLVER,
    run_recorder_arn: str = RUN_RECORDER,
) -> Any:
    """Return the train pipeline of a model.

    Without arguments it names no account: everything that differs between accounts is a parameter without a default.
    What is given becomes the default of its parameter; the steps stay the same.

    Parameters
    ----------
    folder
        Folder of the model under pipeline_code, or a path.
    variant
        One of `pipeline_code.variants.VARIANTS`.
    region
        Region to call; names the container images.
    role
        ARN of the role of the pipeline and its jobs.
    default_bucket
        Bucket of the stage's data, without ``s3://``.
    model_artifacts_bucket
        Bucket of the registry account's artifacts, without ``s3://``.
    model_name
        First part of every object key. Default: that of model.yaml.
    kms_key
        ARN of a key for volumes, rows and artifacts alike, as the blog has it; the stack uses two.
    model_package_group_name
        Name of the model package group, or its ARN where it belongs to another account.
    pipeline_name
        Default: ``<prefix>-train-pipeline``.
    base_job_prefix
        Before every job's name. Default: the prefix of model.yaml.
    stage
        Part of the artifacts' keys.
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
        "train",
        model=model,
        shape=shape,
        region=region,
        jobs="train",
        base_job_prefix=base_job_prefix,
        model_name=model_name,
        role=role,
        default_bucket=default_bucket,
        model_artifacts_bucket=model_artifacts_bucket,
        kms_key=kms_key,
        model_package_group_name=model_package_group_name,
        code_uri=code_uri,
        stage=stage,
    )
    p, steps = frame.parameters, frame.steps
    artifacts_uri = p.string("ArtifactsUri")
    artifacts_key = p.string("ArtifactsKeyArn")
    input_data = p.string("InputDataUrl")
    monitor_image = p.string("MonitorImageUri") if shape.model_monitor else None

    processing_type = p.string("ProcessingInstanceType", model.instance_types.processing)
    processing_count = p.integer("ProcessingInstanceCount", 1)
    training_type = p.string("TrainingInstanceType", model.instance_types.training)
    approval_status = p.string(
        "ModelApprovalStatus", "PendingManualApproval", ["PendingManualApproval", "Approved", "Rejected"]
    )
    auc_threshold = p.number("AucScoreThreshold", model.thresholds.auc)
    min_gain = p.number("MinGainOverChampion", -model.thresholds.champion_margin)
    machines = {"instance_type": processing_type, "instance_count": processing_count}

    # ---- the version to beat: the newest approved one
    resolve = steps.function(
        "ResolveChampion",
        model_resolver_arn,
        inputs={
            "action": "resolve_champion",
            "model_package_group_arn": frame.model_package_group,
            "none_uri": joined(frame.code, "no_champion"),
        },
        outputs=["champion_version", "champion_uri"],
    )
    champion = resolve.properties.Outputs

    # ---- rows to train on, rows held out, and what the training rows look like: they stay in this account
    monitored = ["features"] if shape.model_monitor else []
    preprocess = steps.program(
        "PreProcessing",
        "steps.preprocess",
        inputs={"data": input_data},
        outputs={name: run_folder(frame.run_uri, name) for name in [*KEPT_HERE, *monitored]},
        output_key=frame.data_key,
        **machines,
    )

    train = steps.train(
        "Train",
        channels={"train": output_uri(preprocess, "train")},
        hyperparameters=model.hyperparameters,
        instance_type=training_type,
        output=run_folder(artifacts_uri, "model"),
        output_key=artifacts_key,
    )
    artifact = train.properties.ModelArtifacts.S3ModelArtifacts

    # ---- cross-validated, and against the champion on rows that neither was trained on
    evaluation = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")
    # Model Monitor writes a baseline of its own, to the very place where ours would be.
    copied = [] if shape.model_monitor else ["baseline"]
    evaluate = steps.program(
        "Eval",
        "steps.evaluate",
        inputs={
            "model": artifact,
            "champion": champion["champion_uri"],
            **{name: output_uri(preprocess, name) for name in KEPT_HERE},
        },
        outputs={name: run_folder(artifacts_uri, name) for name in ["evaluation", *copied]},
        arguments=["--champion-version", champion["champion_version"]],
        output_key=artifacts_key,
        property_files=[evaluation],
        **machines,
    )

    def measured(path: str) -> Any:
        return read(evaluate, evaluation, path)

    # ---- the baseline that batches will be compared with
    baseline_steps = []
    if shape.model_monitor:
        check = steps.model_monitor(
            "DataQualityCheck",
            image=monitor_image,
            dataset=output_uri(preprocess, "features"),
            dataset_format=DatasetFormat.csv(header=model.batch_header),
            output=run_folder(artifacts_uri, "baseline"),
            output_key=artifacts_key,
            instance_type=processing_type,
            model_package_group=frame.model_package_group,
        )
        baseline_steps = [check]
        statistics = check.properties.CalculatedBaselineStatistics
        constraints = check.properties.CalculatedBaselineConstraints
    else:
        statistics = joined(output_uri(evaluate, "baseline"), "statistics.json")
        constraints = joined(output_uri(evaluate, "baseline"), "constraints.json")
    baseline = {"Statistics": json_source(statistics), "Constraints": json_source(constraints)}

    # ---- a version that waits for a person's approval
    register = steps.register(
        "RegisterModel",
        {
            "ModelPackageGroupName": frame.model_package_group,
            "ModelApprovalStatus": approval_status,
            "InferenceSpecification": {
                "Containers": [{"Image": frame.image, "ModelDataUrl": artifact}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
                "SupportedTransformInstanceTypes": INSTANCE_TYPES,
                "SupportedRealtimeInferenceInstanceTypes": INSTANCE_TYPES,
            },
            "ModelMetrics": {
                "ModelQuality": {
                    "Statistics": json_source(joined(output_uri(evaluate, "evaluation"), "evaluation.json"))
                },
                "ModelDataQuality": baseline,
            },
            "DriftCheckBaselines": {"ModelDataQuality": baseline},
            "CustomerMetadataProperties": {
                # The registry takes texts only.
                "cv_auc": measured("gate.cv_auc").to_string(),
                "holdout_auc": measured("gate.holdout_auc").to_string(),
                "gain_over_champion": measured("gate.gain_over_champion").to_string(),
                "champion_version": champion["champion_version"],
                "data_rows": measured("data.rows").to_string(),
                "data_sha256": measured("data.sha256"),
                "code_uri": frame.code,
                "git_commit": frame.git_commit,
                "definition_sha256": frame.definition_sha256,
                "auc_score_threshold": auc_threshold.to_string(),
                "min_gain_over_champion": min_gain.to_string(),
                "execution_arn": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            },
        },
    )

    # ---- or the reason, in numbers, why there is none
    explain = steps.function(
        "ExplainRejection",
        run_recorder_arn,
        inputs={
            "action": "explain_rejection",
            "cv_auc": measured("gate.cv_auc").to_string(),
            "threshold": auc_threshold.to_string(),
            "gain_over_champion": measured("gate.gain_over_champion").to_string(),
            "min_gain": min_gain.to_string(),
            "champion_version": champion["champion_version"],
        },
        outputs=["message"],
    )
    fail = FailStep(
        name=steps.name("AUCFail"),
        error_message=Join(on=": ", values=["ModelRejected", explain.properties.Outputs["message"]]),
    )

    gate = ConditionStep(
        name=steps.name("CheckAUCScore"),
        conditions=[
            ConditionGreaterThanOrEqualTo(left=measured("gate.cv_auc"), right=auc_threshold),
            ConditionGreaterThanOrEqualTo(left=measured("gate.gain_over_champion"), right=min_gain),
        ],
        if_steps=[*baseline_steps, register],
        else_steps=[explain, fail],
    )

    return pipeline(
        name=f"{model.prefix}-train-pipeline" if pipeline_name is None else pipeline_name,
        parameters=p.all,
        steps=[resolve, preprocess, train, evaluate, gate],
        session=frame.steps.session,
    )
