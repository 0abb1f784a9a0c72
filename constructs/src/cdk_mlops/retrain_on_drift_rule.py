"""From a finding to a retraining: when one is due, and never because something merely broke (unless told so)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import Duration
from aws_cdk import aws_events as events
from constructs import Construct

from cdk_mlops._functions import METRIC_NAMESPACE, HandlerFunction
from cdk_mlops._statements import Statement, list_bucket, read_objects, write_objects
from cdk_mlops._validation import check_choice, check_range, check_stage
from cdk_mlops.model_names import ModelNames
from cdk_mlops.model_registry import ModelRegistry
from cdk_mlops.pipeline import Pipeline, status_pattern
from cdk_mlops.run_recorder import EVENT_SOURCE, FINDING, QUALITY_FINDING
from cdk_mlops.stage_data_bucket import DataBucket

RetrainOn = Literal["drift", "violation", "any_failure"]
RETRAIN_ON: tuple[RetrainOn, ...] = ("drift", "violation", "any_failure")


@dataclass(frozen=True, kw_only=True)
class FailedStep:
    """A named step of any pipeline whose failure means drift, such as another monitor's check.

    Parameters
    ----------
    pipeline
        The pipeline it belongs to.
    step_name
        The step's name in the definition.
    """

    pipeline: Pipeline
    step_name: str


@dataclass(frozen=True, kw_only=True)
class RetrainAfter:
    """How often a batch must have drifted before a drift retrains: `drifted` of the last `of` batches.

    Only batches that were compared with the version in use count; with 1, every drift retrains.

    Parameters
    ----------
    drifted, of
        At most 20 batches, of which no more than all can have drifted.

    Raises
    ------
    ValueError
        If the numbers can't be right.
    """

    drifted: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        check_range("of", self.of, 1, 20)
        check_range("drifted", self.drifted, 1, self.of)


class RetrainOnDriftRule(Construct):
    """The rule from a finding to the function that decides and starts the train pipeline.

    Retraining is due when no train run is going, no newer version waits for approval, and the training data
    differ from the last attempt's. An event that comes twice starts nothing twice. What could not be handled
    lies in the dead-letter queue. An AUC that ground truth shows to be lost retrains too, whatever `retrain_on` says,
    unless a newer version was approved since.

    Parameters
    ----------
    model, stage
        Make the names of function and role, and choose the findings.
    train_pipeline
        What is started; the function may start no other.
    inference_pipeline
        Whose failures count with ``retrain_on="any_failure"``.
    data_bucket, registry
        Where training data lie and versions are.
    training_data_prefix
        Key prefix of the training data. Default: ``<model_name>/data/train-dataset/``.
    retrain_on
        ``drift`` (default); ``violation``: also when a batch broke a constraint; ``any_failure``: also when
        the inference pipeline failed for whatever reason.
    failed_step
        A step of another pipeline whose failure counts too. Default: none.
    retrain_after
        How often a batch must have drifted first. Default: once, so that every drift retrains. A lost AUC doesn't
        wait.
    reminder_days
        Days after which people are reminded that a version waits, 1 to 30. Default: 3.

    Attributes
    ----------
    rules
        The `events.Rule` objects.
    function, dead_letter_queue
        The function that decides, and where events lie that it failed on.

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
        train_pipeline: Pipeline,
        inference_pipeline: Pipeline,
        data_bucket: DataBucket,
        registry: ModelRegistry,
        training_data_prefix: str | None = None,
        retrain_on: RetrainOn = "drift",
        failed_step: FailedStep | None = None,
        retrain_after: RetrainAfter | None = None,
        reminder_days: int = 3,
    ) -> None:
        check_stage("stage", stage)
        check_choice("retrain_on", retrain_on, RETRAIN_ON)
        check_range("reminder_days", reminder_days, 1, 30)
        prefix = (
            f"{model.model_name}/data/train-dataset/"
            if training_data_prefix is None
            else training_data_prefix
        )
        if prefix.startswith("/") or not prefix.endswith("/"):
            raise ValueError(f"training_data_prefix must end, but not begin, with a slash, got '{prefix}'")
        super().__init__(scope, construct_id)
        state = f"{model.model_name}/state/retraining/*"
        repeated = RetrainAfter() if retrain_after is None else retrain_after
        batches = [f"{model.model_name}/state/batches/*"] if repeated.drifted > 1 else []
        # SageMaker's events don't say whether a run was a check, so the run is asked.
        asked = [inference_pipeline] if retrain_on == "any_failure" else []
        asked += [failed_step.pipeline] if failed_step is not None else []
        self.handler = HandlerFunction(
            self,
            "Function",
            handler="retrain",
            name="retrain",
            prefix=model.prefix,
            stage=stage,
            purpose="retrain",
            description=f"Decides whether a finding about {model.model_name} starts a retraining",
            statements=[
                Statement(
                    "TrainPipeline",
                    ["sagemaker:StartPipelineExecution", "sagemaker:ListPipelineExecutions"],
                    [train_pipeline.pipeline_arn],
                ),
                *_parameters_of(asked),
                registry.find_statements(model)[0],
                list_bucket("ListTrainingData", data_bucket.bucket_arn, [f"{prefix}*", state, *batches]),
                read_objects("ReadDecisions", data_bucket.bucket_arn, [state, *batches]),
                write_objects("WriteDecisions", data_bucket.bucket_arn, [state]),
                *data_bucket.key.statements("encrypt_decrypt", sid="DataKey"),
            ],
            environment={
                "STAGE": stage,
                "MODEL_NAME": model.model_name,
                "DATA_BUCKET": data_bucket.bucket_name,
                "TRAIN_PIPELINE_NAME": train_pipeline.pipeline_name,
                "MODEL_PACKAGE_GROUP_ARN": registry.package_group_arn(model),
                "TRAIN_PREFIX": prefix,
                "RETRAIN_ON": retrain_on,
                "REMINDER_DAYS": str(reminder_days),
                "RETRAIN_AFTER_DRIFTED": str(repeated.drifted),
                "RETRAIN_AFTER_OF": str(repeated.of),
                "METRIC_NAMESPACE": METRIC_NAMESPACE,
            },
            timeout=Duration.seconds(60),
            log_key=data_bucket.key,
            started_by_events=True,
        )
        self.function, self.role = self.handler.function, self.handler.role
        self.dead_letter_queue = self.handler.dead_letter_queue
        self.rules = [self._rule("Finding", _findings(model, stage, retrain_on))]
        if retrain_on == "any_failure":
            self.rules.append(
                self._rule("Failure", status_pattern(["Failed"], inference_pipeline.pipeline_arn))
            )
        if failed_step is not None:
            self.rules.append(self._rule("Step", _step_failure(failed_step)))

    def _rule(self, construct_id: str, pattern: events.EventPattern) -> events.Rule:
        return events.Rule(self, construct_id, event_pattern=pattern, targets=[self.handler.as_target()])


def _parameters_of(pipelines: Sequence[Pipeline]) -> list[Statement]:
    if not pipelines:
        return []
    executions = [f"{pipeline.pipeline_arn}/execution/*" for pipeline in pipelines]
    return [Statement("RunParameters", ["sagemaker:ListPipelineParametersForExecution"], executions)]


def _findings(model: ModelNames, stage: str, retrain_on: RetrainOn) -> events.EventPattern:
    detail: dict[str, Sequence[object]] = {
        "stage": [stage],
        "model": [model.model_name],
        "finding": [*(["drift"] if retrain_on == "drift" else ["drift", "violation"]), QUALITY_FINDING],
    }
    return events.EventPattern(source=[EVENT_SOURCE], detail_type=[FINDING], detail=detail)


def _step_failure(step: FailedStep) -> events.EventPattern:
    return events.EventPattern(
        source=["aws.sagemaker"],
        detail_type=["SageMaker Model Building Pipeline Execution Step Status Change"],
        detail={
            "pipelineArn": [step.pipeline.pipeline_arn],
            "stepName": [step.step_name],
            "currentStepStatus": ["Failed"],
        },
    )
