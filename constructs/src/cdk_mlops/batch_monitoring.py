"""A dashboard of a model's batches, and the alarm for drift that doesn't go away."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_mlops._validation import check_range, check_stage
from cdk_mlops.model_names import ModelNames
from cdk_mlops.pipeline import Pipeline
from cdk_mlops.run_recorder import model_metric
from cdk_mlops.stage_data_bucket import DataBucket

_DAY = Duration.days(1)
# What a graph can show; all of them are metrics, and in each batch's report.
MOST_LINES = 20
_HALF, _TALL = 12, 6


class BatchMonitoring(Construct):
    """What happened to a model's batches, at one look; and one message when drift goes on.

    Each failed or stopped run already gives a message of its own (`PipelineAlerts`), and `ScheduledInferencePipeline`
    rings when nothing is scored. So the only alarm here is for what no single run can say: several batches drifted one
    after the other, so what was done about the first hasn't helped. It rings once, and is quiet again when a batch
    fits.

    Parameters
    ----------
    model, stage
        Make the names and the metrics' dimensions.
    pipelines
        Whose runs are counted: the inference pipeline, and others such as the one that retrains.
    data_bucket
        Where the reports lie that the dashboard points to.
    features
        Names of the model's features; the first 20 are drawn. Default: none.
    drifted_batches
        How many batches must have drifted one after the other, 2 to 20. Default: 3.
    alarms
        Further alarms to show, such as the one for silence. Default: none.
    alarm_topic
        Where the alarm goes. Default: nowhere.

    Attributes
    ----------
    dashboard
        The `cloudwatch.Dashboard`.
    alarm
        The alarm for drift that goes on.

    Raises
    ------
    ValueError
        If a prop can't be right.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-cloudwatch.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: ModelNames,
        stage: str,
        pipelines: Sequence[Pipeline],
        data_bucket: DataBucket,
        features: Sequence[str] = (),
        drifted_batches: int = 3,
        alarms: Sequence[cloudwatch.IAlarm] = (),
        alarm_topic: sns.ITopic | None = None,
    ) -> None:
        check_stage("stage", stage)
        check_range("drifted_batches", drifted_batches, 2, 20)
        super().__init__(scope, construct_id)
        self._model, self._stage = model, stage
        self.alarm = self._drift_alarm(drifted_batches)
        if alarm_topic is not None:
            self.alarm.add_alarm_action(cloudwatch_actions.SnsAction(alarm_topic))
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Resource",
            dashboard_name=f"{model.prefix}-{stage}-batches",
            default_interval=Duration.days(30),
            widgets=[
                [self._text(data_bucket), self._states([*alarms, self.alarm])],
                [self._batches(), self._distance(drifted_batches)],
                *([[self._drift(features), self._completeness(features)]] if features else []),
                [self._ground_truth(), self._labels()],
                [self._runs(pipelines), self._rows()],
            ],
        )

    def _metric(self, name: str, label: str, statistic: str = "Sum") -> cloudwatch.Metric:
        found = model_metric(name, self._stage, self._model, _DAY, statistic=statistic)
        return found.with_(label=label)

    def _drift_alarm(self, batches: int) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            "DriftGoesOn",
            alarm_name=f"{self._model.prefix}-{self._stage}-drift-goes-on",
            alarm_description=(
                f"[{self._stage}] {self._model.model_name}: {batches} batches drifted one after the other. Each of "
                "them was told of already; this says that it goes on. Does a version wait for approval (make "
                "versions), or are newer training data missing? The report of each batch shows what moved."
            ),
            metric=model_metric(
                "DriftedInARow", self._stage, self._model, Duration.minutes(5), statistic="Maximum"
            ),
            threshold=batches,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            # One value a batch, with hours or days between: until the next one comes, nothing has changed.
            treat_missing_data=cloudwatch.TreatMissingData.IGNORE,
        )

    def _text(self, data_bucket: DataBucket) -> cloudwatch.TextWidget:
        home = f"s3://{data_bucket.bucket_name}/{self._model.model_name}"
        return cloudwatch.TextWidget(
            width=_HALF,
            height=5,
            markdown=(
                f"# {self._model.model_name}, {self._stage}\n"
                "What happened to the batches, a day a point. Each failed run and each finding has sent a message.\n\n"
                f"The report of a batch: `{home}/inference/<run>/data-quality/report.html`\n\n"
                f"What ground truth says of a version: `{home}/quality/<run>/model-quality/model-quality.json`"
            ),
        )

    def _states(self, alarms: Sequence[cloudwatch.IAlarm]) -> cloudwatch.AlarmStatusWidget:
        return cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=_HALF, height=5)

    def _batches(self) -> cloudwatch.GraphWidget:
        return cloudwatch.GraphWidget(
            title="Batches",
            view=cloudwatch.GraphWidgetView.BAR,
            left=[
                self._metric("BatchScored", "scored"),
                self._metric("DriftDetected", "drifted"),
                self._metric("ViolationDetected", "broken"),
            ],
            period=_DAY,
            width=_HALF,
            height=_TALL,
        )

    def _distance(self, batches: int) -> cloudwatch.GraphWidget:
        return cloudwatch.GraphWidget(
            title="Distance from the training data",
            left=[self._metric("LargestDistance", "largest distance of a feature", "Maximum")],
            right=[self._metric("DriftedInARow", "batches drifted in a row", "Maximum")],
            right_annotations=[cloudwatch.HorizontalAnnotation(value=batches, label="alarm")],
            left_y_axis=cloudwatch.YAxisProps(min=0),
            right_y_axis=cloudwatch.YAxisProps(min=0),
            width=_HALF,
            height=_TALL,
        )

    def _drift(self, features: Sequence[str]) -> cloudwatch.GraphWidget:
        return cloudwatch.GraphWidget(
            title=_titled("Distance by feature", features),
            left=[
                self._feature("feature_baseline_drift_", name, "Maximum") for name in features[:MOST_LINES]
            ],
            left_y_axis=cloudwatch.YAxisProps(min=0),
            width=_HALF,
            height=_TALL,
        )

    def _completeness(self, features: Sequence[str]) -> cloudwatch.GraphWidget:
        return cloudwatch.GraphWidget(
            title=_titled("Share of values that are there, by feature", features),
            left=[self._feature("feature_non_null_", name, "Minimum") for name in features[:MOST_LINES]],
            left_y_axis=cloudwatch.YAxisProps(max=1),
            width=_HALF,
            height=_TALL,
        )

    def _feature(self, kind: str, name: str, statistic: str) -> cloudwatch.Metric:
        # as the recorder spells what isn't ASCII
        spelled = name.encode("ascii", "backslashreplace").decode()
        return self._metric(f"{kind}{spelled}", name, statistic)

    def _ground_truth(self) -> cloudwatch.GraphWidget:
        return cloudwatch.GraphWidget(
            title="AUC by ground truth",
            left=[
                self._metric("AucByGroundTruth", "by ground truth", "Minimum"),
                self._metric("AucAtTraining", "of the same version at training", "Minimum"),
            ],
            left_y_axis=cloudwatch.YAxisProps(max=1),
            width=_HALF,
            height=_TALL,
        )

    def _labels(self) -> cloudwatch.GraphWidget:
        return cloudwatch.GraphWidget(
            title="Labels judged",
            view=cloudwatch.GraphWidgetView.BAR,
            left=[self._metric("RowsLabelled", "labels")],
            right=[self._metric("ModelQualityLost", "losses found")],
            period=_DAY,
            width=_HALF,
            height=_TALL,
        )

    def _runs(self, pipelines: Sequence[Pipeline]) -> cloudwatch.GraphWidget:
        """SageMaker's own count, so it holds without any function of ours.

        https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
        """
        return cloudwatch.GraphWidget(
            title="Runs",
            view=cloudwatch.GraphWidgetView.BAR,
            left=[
                cloudwatch.Metric(
                    namespace="AWS/Sagemaker/ModelBuildingPipeline",
                    metric_name=f"Execution{outcome}",
                    dimensions_map={"PipelineName": pipeline.pipeline_name},
                    statistic="Sum",
                    period=_DAY,
                    label=f"{pipeline.pipeline_name}: {outcome.lower()}",
                )
                for pipeline in pipelines
                for outcome in ("Succeeded", "Failed", "Stopped")
            ],
            period=_DAY,
            width=_HALF,
            height=_TALL,
        )

    def _rows(self) -> cloudwatch.GraphWidget:
        return cloudwatch.GraphWidget(
            title="Rows scored",
            view=cloudwatch.GraphWidgetView.BAR,
            left=[self._metric("RowsScored", "rows")],
            period=_DAY,
            width=_HALF,
            height=_TALL,
        )


def _titled(title: str, features: Sequence[str]) -> str:
    return title if len(features) <= MOST_LINES else f"{title} (the first {MOST_LINES} of {len(features)})"
