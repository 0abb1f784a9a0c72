"""An installation whose jobs run in a network, and which delivers its predictions although the batch has drifted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import runs
from tests.integration.loop import Loop
from tests.stacks.installations import NETWORK

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-b")]

SETTINGS = {
    "models": [{"folder": "mammography"}],
    "network": {"dev": NETWORK, "prod": NETWORK},
    "predictions_on_drift": "deliver",
}
VPC = {"SecurityGroupIds": [NETWORK["security_group"]], "Subnets": NETWORK["subnets"]}


@pytest.fixture(scope="module")
def inside(files: Path) -> Iterator[Loop]:
    """Version 1 is trained in dev, in its network, and approved; there is no training data in prod."""
    with Loop.installed(SETTINGS, files) as installed:
        installed.upload("dev")
        installed.train_and_approve()
        yield installed


def test_every_training_and_processing_job_runs_in_the_network(inside: Loop) -> None:
    sagemaker = inside.client("dev", "sagemaker")
    (execution,) = inside.executions("dev", "train")
    networks = {}
    for step in runs.steps_of(sagemaker, execution):
        for kind, part in step.get("Metadata", {}).items():
            name = part.get("Arn", "").rsplit("/", 1)[-1]
            if kind == "ProcessingJob":
                job = sagemaker.describe_processing_job(ProcessingJobName=name)
                networks[step["StepName"]] = job["NetworkConfig"]["VpcConfig"]
            elif kind == "TrainingJob":
                networks[step["StepName"]] = sagemaker.describe_training_job(TrainingJobName=name)[
                    "VpcConfig"
                ]
    assert networks == {"Mammo-PreProcessing": VPC, "Mammo-Train": VPC, "Mammo-Eval": VPC}


def test_drift_that_is_delivered_is_told_once_and_fails_nothing(inside: Loop) -> None:
    run = inside.score("prod", inside.put_batch("prod", "mammo-batch-dataset-outliers.csv"))
    assert (run.outcome.status, run.rows_scored) == (
        "Succeeded",
        inside.rows_in("mammo-batch-dataset-outliers.csv"),
    )
    assert inside.verdict(run)["action"] == "announce_and_deliver"
    (alert,) = inside.alerts(run)
    assert alert["subject"].startswith("[prod] mammography-severity-model: data drift in ")
    assert "The predictions were delivered." in alert["body"]
    decision = inside.decision("prod", run)
    assert decision["decision"] == "not_started"
    assert "there is no training data below s3://" in decision["reason"]
    assert decision["reason"] in alert["body"]
    assert inside.executions("prod", "train") == []
