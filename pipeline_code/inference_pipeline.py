"""The inference pipeline: take a version (the newest approved), check the batch, score it or say why not.

    ResolveModel ── DataQualityCheck ─┬─ CheckDeliver ──────── CreateModel ── Transform ── RecordPredictions
                                      ├─ CheckDriftDelivered ─ AnnounceDriftDelivered
                                      ├─ CheckDrift ────────── AnnounceDrift ── DriftFail
                                      └─ CheckViolation ────── AnnounceViolation ── ViolationFail

The four conditions stand side by side, because SageMaker knows no condition within a condition.
Where model.yaml has ``monitor.instances`` above 1, so many instances share DataQualityCheck, each with some of the
batch's files, and DataQualityVerdict after it merges what they have found; the conditions ask that one.
`make definitions` compiles it to JSON that is the same for every account. In a notebook, call `get_pipeline` with the
names of an account, and ``upsert`` what it returns.
"""

from collections.abc import Callable
from typing import Any

from sagemaker.core.model_monitor.dataset_format import DatasetFormat
from sagemaker.core.workflow.conditions import ConditionEquals, ConditionIn
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep

from pipeline_code.definitions import not_for_model_monitor
from pipeline_code.frame import begin
from pipeline_code.jobs import Steps
from pipeline_code.model_config import load_model
from pipeline_code.sdk import (
    MODEL_RESOLVER,
    RUN_RECORDER,
    joined,
    output_uri,
    pipeline,
    read,
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
    batch_dataset_filename: str | None = None,
    code_uri: str | None = None,
    model_resolver_arn: str = MODEL_RESOLVER,
    run_recorder_arn: str = RUN_RECORDER,
) -> Any:
    """Return the inference pipeline of a model.

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
        Taken for the sake of those who call both pipelines alike: a version says itself where it lies.
    model_name
        First part of every object key. Default: that of model.yaml.
    kms_key
        ARN of a key for volumes and rows.
    model_package_group_name
        Name of the model package group, or its ARN where it belongs to another account.
    pipeline_name
        Default: ``<prefix>-inference-pipeline``.
    base_job_prefix
        Before every job's name. Default: the prefix of model.yaml.
    batch_dataset_filename
        Batch to score when none is named. Default: the first of model.yaml.
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
        If the region has no container image, or Model Monitor can't check such a model.
    """
    model = load_model(folder)
    shape = VARIANTS[variant]
    if shape.model_monitor and (reason := not_for_model_monitor(model.id_column, model.monitor.instances)):
        raise ValueError(f"'{model.folder}' can't be checked by Model Monitor, {reason}")

    # ---- parameters: first what the stack fills in, then what people may change
    frame = begin(
        "inference",
        model=model,
        shape=shape,
        region=region,
        jobs="inference",
        base_job_prefix=base_job_prefix,
        model_name=model_name,
        role=role,
        default_bucket=default_bucket,
        model_artifacts_bucket=model_artifacts_bucket,
        kms_key=kms_key,
        model_package_group_name=model_package_group_name,
        code_uri=code_uri,
        batch_file=batch_dataset_filename or next(iter(model.data_files.batches), None),
    )
    p, steps = frame.parameters, frame.steps
    transform_input = p.string("transform_input")
    monitor_image = p.string("MonitorImageUri") if shape.model_monitor else None

    processing_type = p.string("ProcessingInstanceType", model.instance_types.processing)
    processing_count = p.integer("ProcessingInstanceCount", model.monitor.instances)
    transform_type = p.string("TransformInstanceType", model.instance_types.transform)
    predictions_on_drift = p.string("PredictionsOnDrift", "withhold", ["withhold", "deliver"])
    rescore = p.string("Rescore", "false", ["true", "false"])
    model_version = p.string("ModelVersion", "newest_approved")
    machines = {"instance_type": processing_type, "instance_count": processing_count}

    # ---- the version to score with, and the batch to score
    resolve = steps.function(
        "ResolveModel",
        model_resolver_arn,
        inputs={
            "action": "resolve_model",
            "model_package_group_arn": frame.model_package_group,
            "transform_input": transform_input,
            "started_at": ExecutionVariables.START_DATETIME,
            "rescore": rescore,
            "model_version_wanted": model_version,
            # where it lays down what was found about the last batches
            "run_uri": frame.run_uri,
            "execution_id": ExecutionVariables.PIPELINE_EXECUTION_ID,
        },
        outputs=[
            "model_package_arn",
            "model_version",
            "image_uri",
            "model_uri",
            "statistics_uri",
            "constraints_uri",
            "file_versions",
            "batch_uri",
            "batch_digest",
            "history_uri",
        ],
    )
    resolved = resolve.properties.Outputs
    prepared_uri = run_folder(frame.run_uri, "prepared")
    report_uri = run_folder(frame.run_uri, "data-quality")

    # ---- is the batch like the training data? `action` says what is to be done about the answer
    if shape.model_monitor:
        check = steps.model_monitor(
            "DataQualityCheck",
            image=monitor_image,
            dataset=resolved["batch_uri"],
            dataset_format=DatasetFormat.csv(header=model.batch_header),
            output=report_uri,
            output_key=frame.data_key,
            instance_type=processing_type,
            model_package_group=frame.model_package_group,
            statistics=resolved["statistics_uri"],
            constraints=resolved["constraints_uri"],
        )
        violations = steps.function(
            "ReadViolations",
            run_recorder_arn,
            inputs={
                "action": "read_violations",
                "report_uri": report_uri,
                "predictions_on_drift": predictions_on_drift,
            },
            outputs=["action", "message"],
            depends_on=[check],
        )
        # What Model Monitor found, in our words, and the rows: whatever the verdict, so that an alert has its page.
        verdict = PropertyFile(name="Verdict", output_name="report", path="verdict.json")
        prepare = steps.program(
            "Prepare",
            "steps.conclude",
            inputs={
                "batch": resolved["batch_uri"],
                "report": report_uri,
                "statistics": resolved["statistics_uri"],
                "constraints": resolved["constraints_uri"],
                "history": resolved["history_uri"],
            },
            # a job's output is added to what lies there already
            outputs={"report": report_uri, "prepared": prepared_uri},
            output_key=frame.data_key,
            property_files=[verdict],
            depends_on=[violations],
            **machines,
        )
        check_steps = [check, violations, prepare]
        action, counted = (
            read(prepare, verdict, "action"),
            {"rows": read(prepare, verdict, "rows").to_string()},
        )
        prepared = output_uri(prepare, "prepared")
    else:
        drift_threshold = p.number("DriftThreshold", model.monitor.comparison_threshold)
        verdict = PropertyFile(name="Verdict", output_name="report", path="verdict.json")
        compared_with = {
            "statistics": resolved["statistics_uri"],
            "constraints": resolved["constraints_uri"],
            "history": resolved["history_uri"],
        }
        judging = [
            *["--predictions-on-drift", predictions_on_drift],
            *["--drift-threshold", drift_threshold.to_string()],
        ]
        if model.monitor.instances == 1:
            check = judged = steps.program(
                "DataQualityCheck",
                "steps.check_batch",
                inputs={
                    "batch": resolved["batch_uri"],
                    **compared_with,
                    # what it makes of the batch is compared with what it made of the hold-out
                    "model": resolved["model_uri"],
                },
                outputs={"report": report_uri, "prepared": prepared_uri},
                arguments=judging,
                output_key=frame.data_key,
                property_files=[verdict],
                **machines,
            )
            check_steps = [check]
        else:
            check = steps.program(
                "DataQualityCheck",
                "steps.check_shard",
                inputs={
                    "batch": resolved["batch_uri"],
                    # each instance scores its rows, and the verdict compares the scores of all
                    "model": resolved["model_uri"],
                },
                outputs={"state": run_folder(frame.run_uri, "states"), "prepared": prepared_uri},
                output_key=frame.data_key,
                sharded=["batch"],
                **machines,
            )
            judged = steps.program(
                "DataQualityVerdict",
                "steps.merge_checks",
                inputs={"states": output_uri(check, "state"), **compared_with},
                outputs={"report": report_uri},
                # so that a state that is missing is an error, never a verdict on a part of the batch
                arguments=["--instances", processing_count.to_string(), *judging],
                instance_type=processing_type,
                instance_count=1,
                output_key=frame.data_key,
                property_files=[verdict],
            )
            check_steps = [check, judged]
        action, counted = (
            read(judged, verdict, "action"),
            {"rows": read(judged, verdict, "rows").to_string()},
        )
        prepared = output_uri(check, "prepared")

    # ---- deliver: a score for every row
    # Of the version's parts, not of the version itself, which may not be approved yet: where it must be, the resolver
    # has seen to it.
    create_model = steps.model("CreateModel", image=resolved["image_uri"], artifact=resolved["model_uri"])
    transform = steps.transform(
        "Transform",
        model=create_model,
        rows=prepared,
        instance_type=transform_type,
        output=run_folder(frame.run_uri, "predictions"),
        output_key=frame.data_key,
    )
    record = steps.function(
        "RecordPredictions",
        run_recorder_arn,
        inputs={
            "action": "record_predictions",
            "batch_uri": resolved["batch_uri"],
            "batch_digest": resolved["batch_digest"],
            "model_version": resolved["model_version"],
            # Has any of them been written since ResolveModel looked at them?
            "model_uri": resolved["model_uri"],
            "statistics_uri": resolved["statistics_uri"],
            "constraints_uri": resolved["constraints_uri"],
            "file_versions": resolved["file_versions"],
            "predictions_uri": transform.properties.TransformOutput.S3OutputPath,
            **counted,
            "execution_id": ExecutionVariables.PIPELINE_EXECUTION_ID,
            "started_at": ExecutionVariables.START_DATETIME,
            "code_uri": frame.code,
            "git_commit": frame.git_commit,
            "definition_sha256": frame.definition_sha256,
        },
        outputs=["predictions_uri"],
    )

    # ---- or say what was found: people are alerted, and drift leads to retraining
    announce = _announcer(steps, run_recorder_arn, resolved, joined(report_uri, "verdict.json"))
    drift_delivered = announce("AnnounceDriftDelivered", "drift", "true")
    drift = announce("AnnounceDrift", "drift", "false")
    violation = announce("AnnounceViolation", "violation", "false")

    decisions = [
        ConditionStep(
            name=steps.name("CheckDeliver"),
            conditions=[ConditionIn(value=action, in_values=["deliver", "announce_and_deliver"])],
            if_steps=[create_model, transform, record],
        ),
        ConditionStep(
            name=steps.name("CheckDriftDelivered"),
            conditions=[ConditionEquals(left=action, right="announce_and_deliver")],
            if_steps=[drift_delivered],
        ),
        ConditionStep(
            name=steps.name("CheckDrift"),
            conditions=[ConditionEquals(left=action, right="withhold_drift")],
            if_steps=[drift, _fail_step(steps, "DriftFail", "DataDriftDetected", drift)],
        ),
        ConditionStep(
            name=steps.name("CheckViolation"),
            conditions=[ConditionEquals(left=action, right="withhold_violation")],
            if_steps=[violation, _fail_step(steps, "ViolationFail", "DataQualityViolated", violation)],
        ),
    ]

    return pipeline(
        name=f"{model.prefix}-inference-pipeline" if pipeline_name is None else pipeline_name,
        parameters=p.all,
        steps=[resolve, *check_steps, *decisions],
        session=frame.steps.session,
    )


def _announcer(
    steps: Steps, function: str, resolved: Any, verdict_uri: Any
) -> Callable[[str, str, str], Any]:
    def announce(step: str, finding: str, delivered: str) -> Any:
        return steps.function(
            step,
            function,
            inputs={
                "action": "announce_finding",
                "finding": finding,
                "verdict_uri": verdict_uri,
                "delivered": delivered,
                "pipeline_name": ExecutionVariables.PIPELINE_NAME,
                "execution_id": ExecutionVariables.PIPELINE_EXECUTION_ID,
                "started_at": ExecutionVariables.START_DATETIME,
                "batch_uri": resolved["batch_uri"],
                "batch_digest": resolved["batch_digest"],
                "model_version": resolved["model_version"],
            },
            outputs=["message"],
        )

    return announce


def _fail_step(steps: Steps, step: str, reason: str, announced: Any) -> Any:
    return FailStep(
        name=steps.name(step),
        error_message=Join(on=": ", values=[reason, announced.properties.Outputs["message"]]),
    )
