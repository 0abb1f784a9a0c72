"""Metrics of a stage and model."""

from __future__ import annotations

from typing import Any

from shared import log
from shared.aws import AwsError, error_text


def put_metrics(cloudwatch: Any, namespace: str, stage: str, model: str, values: dict[str, float]) -> None:
    """Put one data point a metric.

    A refusal is logged and raises nothing: what was found or scored stands, and a run must not fail for its
    bookkeeping. The alarm for silence notices when the numbers stay away.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
    """
    dimensions = [{"Name": "Stage", "Value": stage}, {"Name": "Model", "Value": model}]
    data = [
        {"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": "Count"}
        for name, value in values.items()
    ]
    try:
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    except AwsError as error:
        log.error("the metrics could not be written", metrics=values, error=error_text(error))
