"""Drift: one retraining and one alert, however often an event comes, and no retraining on what was learnt already."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.lookout import Run
from tests.integration.loop import Loop, words
from tests.stacks.installations import SETTINGS

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-b")]

DRIFTED = "mammo-batch-dataset-outliers.csv"


@pytest.fixture(scope="module")
def loop(files: Path) -> Iterator[Loop]:
    """An installation of its own: what is retrained here depends on what was retrained before."""
    with Loop.installed(SETTINGS["default"], files) as installed:
        installed.upload("dev", "prod")
        installed.train_and_approve()
        yield installed


@pytest.fixture(scope="module")
def drifted(loop: Loop) -> Run:
    """The first drifted batch, with the retraining that it started at its end."""
    run = loop.score("prod", loop.put_batch("prod", DRIFTED))
    decision = loop.decision("prod", run)
    assert decision["decision"] == "started", decision
    retrained = loop.follow("retrained", "prod", decision["train_execution_arn"])
    assert retrained.outcome.status == "Succeeded", retrained.outcome.in_words()
    return run


def test_drift_events_that_come_again_start_nothing_and_tell_nobody(loop: Loop, drifted: Run) -> None:
    assert words(drifted).startswith("DataDriftDetected: ")
    decision = loop.decision("prod", drifted)
    assert len(loop.alerts(drifted)) == 1
    finding, ended = events_about(loop, drifted, decision["event_id"])
    lambdas = loop.client("prod", "lambda")
    retrain, notifier = "mammo-severity-prod-retrain", "mlops-prod-pipeline-notifier"
    calls = [(retrain, finding), (retrain, finding), (notifier, ended), (notifier, ended)]
    with ThreadPoolExecutor(len(calls)) as pool:  # duplicates like to come at the same moment
        answers = list(pool.map(lambda c: lambdas.invoke(FunctionName=c[0], Payload=json.dumps(c[1])), calls))
    assert [answer.get("FunctionError") for answer in answers] == [None] * 4
    assert loop.decision("prod", drifted) == decision
    assert len(loop.executions("prod", "train")) == 1
    assert len(loop.alerts(drifted)) == 1
    assert [version.trained_in for version in loop.versions()] == ["111111111111", "222222222222"]


def test_a_drift_leaves_a_page_and_its_numbers(loop: Loop, drifted: Run) -> None:
    verdict = loop.verdict(drifted)
    home = f"s3://{loop.stage('prod').data_bucket_name}/{folder_of(loop, drifted)}"
    page = loop.read(f"{home}/data-quality/report.html", "prod").decode()
    names = [item["name"] for item in verdict["features"]]
    assert [name for name in re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', page) if name in names][
        :2
    ] == names[:2]
    assert "<bdi>Age</bdi> and <bdi>Margin</bdi> have moved away from the training data" in page
    assert "; the batch was not scored.</h1>" in page
    (alert,) = loop.alerts(drifted)
    assert f"{home}/data-quality/report.html report.html && python3 -m webbrowser" in alert["body"]
    for name, value in {
        "DriftDetected": 1,
        "FeaturesDrifted": sum(item["drifted"] for item in verdict["features"]),
        "LargestDistance": verdict["features"][0]["distance"],
        "feature_baseline_drift_Age": next(f["distance"] for f in verdict["features"] if f["name"] == "Age"),
        "feature_non_null_Age": 1,
    }.items():
        assert value in measured(loop, name), name
    assert measured(loop, "feature_data_Age", "SampleCount") == [verdict["rows"]]
    (board,) = loop.client("prod", "cloudwatch").list_dashboards()["DashboardEntries"]
    assert board["DashboardName"] == "mammo-severity-prod-batches"


def test_after_a_rejection_drift_retrains_only_on_new_data(loop: Loop, drifted: Run) -> None:
    loop.set_status(2, "Rejected")
    again = loop.score("prod", loop.put_batch("prod", DRIFTED))
    decision = loop.decision("prod", again)
    assert decision["decision"] == "not_started"
    assert "are the same as at the last retraining" in decision["reason"]
    (alert,) = loop.alerts(again)
    assert "No retraining was started: the training data below " in alert["body"]
    assert "upload newly labelled data" in alert["body"]
    assert len(loop.executions("prod", "train")) == 1

    loop.put(
        "prod", "data/train-dataset/part3.csv", (loop.files / "mammo-train-dataset-part2.csv").read_bytes()
    )
    with_new = loop.score("prod", loop.put_batch("prod", DRIFTED))
    decision = loop.decision("prod", with_new)
    assert decision["decision"] == "started", decision
    retrained = loop.follow("retrained", "prod", decision["train_execution_arn"])
    assert retrained.outcome.status == "Succeeded", retrained.outcome.in_words()
    (alert,) = loop.alerts(with_new)
    assert "A retraining was started: execution " in alert["body"]
    second, third = (int(version.metrics["data_rows"]) for version in loop.versions()[1:])
    part2 = (loop.files / "mammo-train-dataset-part2.csv").read_text().count("\n") - 1
    assert third == second + part2

    # the third batch in a row that drifted: its report shows the others, and the alarm says that it goes on
    home = f"s3://{loop.stage('prod').data_bucket_name}/{folder_of(loop, with_new)}"
    history = loop.read_json(f"{home}/history/history.json", "prod")
    assert [(batch["verdict"], batch["execution_id"]) for batch in history] == [
        ("drift", drifted.outcome.execution_id),
        ("drift", again.outcome.execution_id),
    ]
    page = loop.read(f"{home}/data-quality/report.html", "prod").decode()
    assert "This is the 3rd drifted batch in a row." in page
    (rung,) = loop.wait_for(
        "the alarm for drift that goes on",
        lambda: [m for m in loop.messages("prod") if "drift-goes-on" in m["subject"]],
    )
    assert "3 batches drifted one after the other" in rung["body"]


def folder_of(loop: Loop, run: Run) -> str:
    """Return where a run wrote into the data bucket."""
    return f"{loop.model.model_name}/inference/{run.outcome.execution_id}"


def measured(loop: Loop, name: str, statistic: str = "Maximum") -> list[float]:
    """Return the points of one of our metrics, a minute each."""
    now = datetime.now(UTC)
    answer = loop.client("prod", "cloudwatch").get_metric_statistics(
        Namespace="cdk-mlops",
        MetricName=name,
        Dimensions=[{"Name": "Stage", "Value": "prod"}, {"Name": "Model", "Value": loop.model.model_name}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=60,
        Statistics=[statistic],
    )
    return [float(point[statistic]) for point in answer["Datapoints"]]


def events_about(loop: Loop, run: Run, event_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the finding and the end of a run as EventBridge delivered them."""
    verdict = loop.verdict(run)
    arn = run.outcome.execution_arn
    common = {
        "version": "0",
        "account": loop.settings.accounts["prod"],
        "region": loop.region,
        "resources": [],
    }
    finding = {
        **common,
        "id": event_id,
        "source": "cdk-mlops",
        "detail-type": "Batch Finding",
        "time": "2026-11-20T23:00:00Z",
        "detail": {
            "finding": "drift",
            "stage": "prod",
            "model": loop.model.model_name,
            "pipelineName": run.outcome.pipeline,
            "pipelineExecutionId": run.outcome.execution_id,
            "modelVersion": str(run.model_version),
            "delivered": False,
            "message": verdict["message"],
            "features": [feature for feature in verdict["features"] if feature["drifted"]],
        },
    }
    ended = {
        **common,
        "id": "00000000-0000-0000-0000-000000000001",
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
        "time": "2026-11-20T23:01:00Z",
        "detail": {
            "pipelineArn": arn.rsplit("/execution/", 1)[0],
            "pipelineExecutionArn": arn,
            "previousPipelineExecutionStatus": "Executing",
            "currentPipelineExecutionStatus": "Failed",
        },
    }
    return finding, ended
