"""Metrics of a stage and model: what happened to batches, and Model Monitor's metrics of their features."""

from __future__ import annotations

import math
from typing import Any

from shared import log
from shared.aws import AwsError, error_text

# CloudWatch bills each metric, and a data set may have thousands of columns: Model Monitor's three a feature, fifty
# features. The check's own file holds no more; this is a limit on what anybody could make of it.
MOST_LINES = 150
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
_LARGEST = 2.0**360
_NAME_LENGTH = 255
_UNITS = {"LargestDistance": "None", "AucByGroundTruth": "None", "AucAtTraining": "None"}
_STATISTICS = ("SampleCount", "Sum", "Minimum", "Maximum")


def put_metrics(cloudwatch: Any, namespace: str, stage: str, model: str, values: dict[str, float]) -> None:
    """Put one data point a metric.

    A refusal is logged and raises nothing: what was found or scored stands, and a run must not fail for its
    bookkeeping. The alarm for silence notices when the numbers stay away.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
    """
    dimensions = _dimensions(stage, model)
    data = [
        {"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": _UNITS.get(name, "Count")}
        for name, value in values.items()
    ]
    _put(cloudwatch, namespace, data)


def put_feature_metrics(cloudwatch: Any, namespace: str, stage: str, model: str, document: Any) -> None:
    """Put the metrics that a check wrote into metrics.json, named as Model Monitor names them.

    They go out apart from what happened to the batch: one that CloudWatch refuses takes the others of its request
    with it, and the alarm for silence depends on those.
    """
    lines = document.get("metrics") if isinstance(document, dict) else None
    data = []
    for line in lines[:MOST_LINES] if isinstance(lines, list) else ():
        datum = _datum(line) if isinstance(line, dict) else None
        if datum is not None:
            data.append({**datum, "Dimensions": _dimensions(stage, model)})
    if data:
        _put(cloudwatch, namespace, data)


def _dimensions(stage: str, model: str) -> list[dict[str, str]]:
    return [{"Name": "Stage", "Value": stage}, {"Name": "Model", "Value": model}]


def _datum(line: dict[str, Any]) -> dict[str, Any] | None:
    """Return what CloudWatch takes of a line, or nothing where it would refuse it."""
    # what isn't ASCII is spelled, so that two names stay two
    name = str(line.get("MetricName", "")).encode("ascii", "backslashreplace").decode()
    if not name.isprintable() or not 0 < len(name) <= _NAME_LENGTH:
        return None
    if "Value" in line:
        value = _number(line["Value"])
        return None if value is None else {"MetricName": name, "Value": value}
    held = line.get("StatisticValues")
    values = {key: _number(held.get(key)) for key in _STATISTICS} if isinstance(held, dict) else {}
    if not values or None in values.values():
        return None
    return {"MetricName": name, "StatisticValues": values}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return max(-_LARGEST, min(_LARGEST, float(value)))


def _put(cloudwatch: Any, namespace: str, data: list[dict[str, Any]]) -> None:
    try:
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    except AwsError as error:
        names = [datum["MetricName"] for datum in data]
        log.error("the metrics could not be written", metrics=names, error=error_text(error))
