"""The dashboard of a model's batches, and the alarm for drift that goes on."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns

from cdk_mlops import BatchMonitoring, SageMakerPipeline, StageDataBucket
from tests.library.library_app import MAMMO, new_stack, only, template_of


def monitored(**props: Any) -> tuple[cdk.Stack, BatchMonitoring]:
    stack = new_stack()
    pipeline = SageMakerPipeline.from_pipeline_name(stack, "Pipeline", "any-pipeline")
    data = StageDataBucket.from_attributes(
        stack,
        "Data",
        bucket_name="data",
        key_alias_arn="arn:aws:kms:eu-west-1:333333333333:alias/mlops-prod-data",
    )
    return stack, BatchMonitoring(
        stack, "Monitoring", model=MAMMO, stage="prod", pipelines=[pipeline], data_bucket=data, **props
    )


def text_of(value: Any) -> str:
    """Join what CloudFormation would join; references stand for themselves."""
    if isinstance(value, dict) and "Fn::Join" in value:
        return "".join(part if isinstance(part, str) else "REFERENCE" for part in value["Fn::Join"][1])
    return str(value)


def widgets(**props: Any) -> list[dict[str, Any]]:
    dashboard = only(template_of(monitored(**props)[0]), "AWS::CloudWatch::Dashboard")
    found: list[dict[str, Any]] = json.loads(text_of(dashboard["DashboardBody"]))["widgets"]
    return found


def metrics(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what is drawn by the metric's name, with its namespace and dimensions."""
    drawn: dict[str, dict[str, Any]] = {}
    for widget in found:
        for metric in widget["properties"].get("metrics", ()):
            namespace, name, *rest = metric
            options = rest.pop() if isinstance(rest[-1], dict) else {}
            drawn[name] = {"namespace": namespace, **dict(zip(rest[::2], rest[1::2], strict=True)), **options}
    return drawn


def test_the_alarm_rings_when_three_batches_drifted_one_after_the_other() -> None:
    alarm = only(template_of(monitored()[0]), "AWS::CloudWatch::Alarm")

    assert (alarm["MetricName"], alarm["Namespace"], alarm["Statistic"]) == (
        "DriftedInARow",
        "cdk-mlops",
        "Maximum",
    )
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 3)
    assert {"Name": "Model", "Value": MAMMO.model_name} in alarm["Dimensions"]
    assert {"Name": "Stage", "Value": "prod"} in alarm["Dimensions"]
    assert alarm["AlarmName"] == "mammo-severity-prod-drift-goes-on"


def test_between_two_batches_the_alarm_stays_as_it_is() -> None:
    """Else it would ring again for the same drift, or be quiet while it goes on."""
    assert only(template_of(monitored()[0]), "AWS::CloudWatch::Alarm")["TreatMissingData"] == "ignore"


def test_the_alarm_goes_to_the_topic_that_is_given_and_else_nowhere() -> None:
    stack = new_stack()
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:333333333333:alerts")

    assert "AlarmActions" not in only(template_of(monitored()[0]), "AWS::CloudWatch::Alarm")
    given = only(template_of(monitored(alarm_topic=topic)[0]), "AWS::CloudWatch::Alarm")
    assert given["AlarmActions"] == [topic.topic_arn]


def test_the_dashboard_draws_what_the_functions_write() -> None:
    drawn = metrics(widgets(features=["Age", "größe"]))

    ours = {name for name, metric in drawn.items() if metric["namespace"] == "cdk-mlops"}
    assert ours == {
        *(
            "BatchScored",
            "RowsScored",
            "DriftDetected",
            "ViolationDetected",
            "LargestDistance",
            "DriftedInARow",
        ),
        *("AucByGroundTruth", "AucAtTraining", "RowsLabelled", "ModelQualityLost"),
        *("feature_baseline_drift_Age", "feature_non_null_Age"),
        *("feature_baseline_drift_gr\\xf6\\xdfe", "feature_non_null_gr\\xf6\\xdfe"),
    }
    assert all((drawn[name]["Model"], drawn[name]["Stage"]) == (MAMMO.model_name, "prod") for name in ours)


def test_the_dashboard_counts_the_runs_that_sagemaker_counts() -> None:
    drawn = metrics(widgets())

    for outcome in ("Succeeded", "Failed", "Stopped"):
        metric = drawn[f"Execution{outcome}"]
        assert metric["namespace"] == "AWS/Sagemaker/ModelBuildingPipeline"
        assert metric["PipelineName"] == "any-pipeline"


def test_of_many_features_the_first_twenty_are_drawn_and_the_title_says_so() -> None:
    found = widgets(features=[f"f{place}" for place in range(31)])

    assert sum(1 for name in metrics(found) if name.startswith("feature_baseline_drift_")) == 20
    titles = [widget["properties"].get("title", "") for widget in found]
    assert "Distance by feature (the first 20 of 31)" in titles


def test_without_features_there_is_no_graph_of_them() -> None:
    assert not [name for name in metrics(widgets()) if name.startswith("feature_")]


def test_the_dashboard_shows_its_own_alarm_and_those_that_are_given() -> None:
    other = "arn:aws:cloudwatch:eu-west-1:333333333333:alarm:silence"
    stack = new_stack()
    given = cloudwatch.Alarm.from_alarm_arn(stack, "Silence", other)

    shown = next(widget for widget in widgets(alarms=[given]) if widget["type"] == "alarm")

    assert shown["properties"]["alarms"] == [other, "REFERENCE"]


def test_the_dashboard_says_where_reports_lie() -> None:
    text = next(widget for widget in widgets() if widget["type"] == "text")["properties"]["markdown"]

    assert f"/{MAMMO.model_name}/inference/<run>/data-quality/report.html" in text


@pytest.mark.parametrize("batches", [1, 21])
def test_fails_with_a_row_that_no_history_holds(batches: int) -> None:
    with pytest.raises(
        ValueError, match=f"drifted_batches must be a whole number from 2 to 20, got {batches}"
    ):
        monitored(drifted_batches=batches)


@pytest.mark.parametrize("batches", [2, 20])
def test_a_row_of_two_to_twenty_batches_is_taken(batches: int) -> None:
    stack, _ = monitored(drifted_batches=batches)
    assert only(template_of(stack), "AWS::CloudWatch::Alarm")["Threshold"] == batches
