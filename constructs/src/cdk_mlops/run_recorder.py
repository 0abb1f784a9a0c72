"""The function that announces findings and records what was scored, and what ground truth said of it."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cdk_mlops._functions import METRIC_NAMESPACE, HandlerFunction
from cdk_mlops._statements import NO_RESOURCE, Statement, arn, list_bucket, read_objects, write_objects
from cdk_mlops._validation import check_stage
from cdk_mlops.model_names import ModelNames
from cdk_mlops.model_registry import ModelRegistry
from cdk_mlops.stage_data_bucket import DataBucket

EVENT_SOURCE = "cdk-mlops"
FINDING = "Batch Finding"
# What the finding is called that ground truth leads to.
QUALITY_FINDING = "model_quality"
# Part of the keys of check runs and of quality runs, beside `inference`.
CHECKS, QUALITY = "checks", "quality"


class RunRecorder(Construct):
    """The Lambda steps that announce a finding, explain a rejection, and record predictions and what was found.

    Ground truth that comes later is recorded too, with the AUC as a metric; a loss is announced.

    Parameters
    ----------
    model, stage
        Make the names of function and role.
    data_bucket
        Where the reports lie.
    registry
        Where versions are. Before it records predictions the function looks whether a file of the version was written
        while the run used it; it reads none.
    writes_verdicts
        Whether it writes the verdict of Model Monitor's violations too. Default: no.

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
        writes_verdicts: bool = False,
    ) -> None:
        check_stage("stage", stage)
        super().__init__(scope, construct_id)
        self._model, self._stage = model, stage
        # batches and checks
        runs = [f"{model.model_name}/{folder}/*" for folder in ("inference", CHECKS)]
        found = f"{model.model_name}/state/batches/*"
        judged, judgement = f"{model.model_name}/state/quality/*", f"{model.model_name}/{QUALITY}/*"
        written = [f"{model.model_name}/state/scored/*", found, judged]
        if writes_verdicts:
            written += [f"{run}/data-quality/verdict.json" for run in runs]
        # A request may hold several events: AWS types the keys as arrays, which StringEquals alone doesn't read.
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
        own_events = {
            "ForAllValues:StringEquals": {"events:source": EVENT_SOURCE, "events:detail-type": FINDING},
            "Null": {"events:source": "false", "events:detail-type": "false"},
        }
        own_metrics = {"StringEquals": {"cloudwatch:namespace": METRIC_NAMESPACE}}
        handler = HandlerFunction(
            self,
            "Function",
            handler="run_recorder",
            name="run-recorder",
            prefix=model.prefix,
            stage=stage,
            purpose="recorder",
            description=f"Announces findings about batches of {model.model_name} and records predictions",
            statements=[
                list_bucket("ListReports", data_bucket.bucket_arn, [*runs, found, judgement, judged]),
                read_objects(
                    "ReadReports",
                    data_bucket.bucket_arn,
                    [
                        *(f"{run}/data-quality/*" for run in runs),
                        found,
                        f"{judgement}/model-quality/model-quality.json",
                        judged,
                    ],
                ),
                write_objects("Record", data_bucket.bucket_arn, written),
                registry.compare_artifacts_statement(model),
                *data_bucket.key.statements("encrypt_decrypt", sid="DataKey"),
                Statement(
                    "Announce", ["events:PutEvents"], [arn(self, "events", "event-bus/default")], own_events
                ),
                Statement(f"OwnMetrics{NO_RESOURCE}", ["cloudwatch:PutMetricData"], ["*"], own_metrics),
            ],
            environment={
                "STAGE": stage,
                "MODEL_NAME": model.model_name,
                "DATA_BUCKET": data_bucket.bucket_name,
                "METRIC_NAMESPACE": METRIC_NAMESPACE,
            },
            timeout=Duration.seconds(60),
            log_key=data_bucket.key,
        )
        self.function, self.role = handler.function, handler.role

    def metric_scored(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the number of scored batches; period default: 5 minutes."""
        return model_metric("BatchScored", self._stage, self._model, period)

    def metric_drift(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the number of batches that had drifted; period default: 5 minutes."""
        return model_metric("DriftDetected", self._stage, self._model, period)

    def metric_largest_distance(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the largest distance of any feature from the training data; period default: 5 minutes."""
        return model_metric("LargestDistance", self._stage, self._model, period, statistic="Maximum")

    def metric_drifted_in_a_row(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return how many batches drifted one after the other; period default: 5 minutes."""
        return model_metric("DriftedInARow", self._stage, self._model, period, statistic="Maximum")

    def metric_auc(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the lowest AUC that ground truth has shown; period default: 5 minutes."""
        return model_metric("AucByGroundTruth", self._stage, self._model, period, statistic="Minimum")

    def metric_violations(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the number of batches that broke a constraint; period default: 5 minutes."""
        return model_metric("ViolationDetected", self._stage, self._model, period)


def model_metric(
    name: str, stage: str, model: ModelNames, period: Duration | None, *, statistic: str = "Sum"
) -> cloudwatch.Metric:
    """Return one of the metrics that the function writes, by stage and model."""
    return cloudwatch.Metric(
        namespace=METRIC_NAMESPACE,
        metric_name=name,
        dimensions_map={"Stage": stage, "Model": model.model_name},
        statistic=statistic,
        period=period,
    )
