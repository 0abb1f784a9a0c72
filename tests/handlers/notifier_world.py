"""A stage with one pipeline, for the tests of its notifier."""

from __future__ import annotations

import json
from typing import Any

from pipeline_notifier.events import read_run
from pipeline_notifier.facts import FactFinder
from pipeline_notifier.notifier import Notifier
from pipeline_notifier.words import Place
from shared.claims import Claims
from shared.objects import ObjectStore
from tests.handlers.fake_aws import (
    ACCOUNT,
    REGION,
    Clock,
    FakeS3,
    FakeSageMaker,
    FakeSns,
    pipeline_arn,
)

DATA, RUN = "data", "run1"
INFERENCE, TRAIN = "mammo-severity-inference-pipeline", "mammo-severity-train-pipeline"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:mammography-model-notification"
ALERT_KEY = f"model/state/alerts/{RUN}.json"
DECISION_KEY = f"model/state/retraining/{RUN}.json"
DRIFT_MESSAGE = "drifted from the training baseline: Age 0.551 (limit 0.1)"


def lambda_error(kind: str, message: str) -> str:
    body = {
        "errorMessage": message,
        "errorType": kind,
        "requestId": "r",
        "stackTrace": ['  File "x.py", line 1\n'],
    }
    return "ClientError: The Lambda function returned an error: " + json.dumps(body)


class World:
    def __init__(self, retrain_on: str = "drift", kind: str = "inference") -> None:
        self.s3, self.sagemaker, self.sns, self.clock = FakeS3(DATA), FakeSageMaker(), FakeSns(), Clock()
        self.pipeline = f"mammo-severity-{kind}-pipeline"
        tags = {
            "mlops:stage": "prod",
            "mlops:model": "model",
            "mlops:kind": kind,
            "mlops:retrain-on": retrain_on,
        }
        self.sagemaker.make_pipeline(self.pipeline, **tags)

    @property
    def notifier(self) -> Notifier:
        store = ObjectStore(self.s3, DATA)
        finder = FactFinder(self.sagemaker, store, self.clock.sleep, self.clock.monotonic)
        claims = Claims(store, self.clock.now)
        return Notifier(Place("prod", DATA, "111111111111"), TOPIC, finder, store, claims, self.sns)

    def fails(self, step: str, reason: str, **metadata: Any) -> None:
        failed = {"StepName": step, "StepStatus": "Failed", "FailureReason": reason, "Metadata": metadata}
        self.sagemaker.steps = [
            {"StepName": "Mammo-First", "StepStatus": "Succeeded"},
            {"StepName": "Mammo-Second", "StepStatus": "Succeeded"},
            failed,
        ]

    def event(self, status: str = "Failed", run: str = RUN) -> dict[str, Any]:
        detail = {
            "pipelineArn": pipeline_arn(self.pipeline),
            "pipelineExecutionArn": f"{pipeline_arn(self.pipeline)}/execution/{run}",
            "currentPipelineExecutionStatus": status,
        }
        kind = "SageMaker Model Building Pipeline Execution Status Change"
        return {"id": "e1", "detail-type": kind, "time": "2026-11-20T23:05:00Z", "detail": detail}

    def finding(self, **more: Any) -> dict[str, Any]:
        detail = {
            "finding": "drift",
            "stage": "prod",
            "model": "model",
            "pipelineName": self.pipeline,
            "pipelineExecutionId": RUN,
            "batchUri": "s3://data/batch.csv",
            "modelVersion": "1",
            "delivered": True,
            "message": DRIFT_MESSAGE,
            "features": [{"name": "Age", "distance": 0.551, "threshold": 0.1, "drifted": True}],
            **more,
        }
        where = {"account": ACCOUNT, "region": REGION, "time": "2026-11-20T23:05:00Z"}
        return {"id": "e2", "detail-type": "Batch Finding", **where, "detail": detail}

    def notify(
        self, event: dict[str, Any] | None = None, request_id: str = "one", seconds: float = 120
    ) -> Any:
        run = read_run(event or self.event(), "prod", "aws")
        return None if run is None else self.notifier.notify(run, request_id, seconds)["alert"]

    def decides(self, **decision: Any) -> None:
        self.s3.put(DATA, DECISION_KEY, decision)

    def verdict(self, **more: Any) -> None:
        verdict = {
            "features": [
                {"name": "Age", "distance": 0.551, "threshold": 0.1, "drifted": True},
                {"name": "Shape", "distance": 0.01, "threshold": 0.1, "drifted": False},
            ],
            "violations": [],
            **more,
        }
        self.s3.put(DATA, f"model/inference/{RUN}/data-quality/verdict.json", verdict)

    def drifts(self) -> None:
        self.verdict()
        self.fails("Mammo-DriftFail", f"DataDriftDetected: {DRIFT_MESSAGE}")

    @property
    def subject(self) -> str:
        (message,) = self.sns.published
        return message["Subject"]

    @property
    def body(self) -> str:
        (message,) = self.sns.published
        return message["Message"]
