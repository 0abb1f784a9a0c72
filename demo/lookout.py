"""What an onlooker sees of an installation on the embedded cloud: its runs, alerts, versions and objects."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from demo.story import Story
from local_cloud.cloud import LocalCloud
from ops import registry, runs
from stacks.installation import Model, PipelineKind, Settings, Stage, StageName

ALERT_SECONDS = 60.0


@dataclass
class Run:
    """One execution as the summary tells it."""

    name: str
    outcome: runs.Outcome
    stage: str
    model_version: int | None = None
    rows_scored: int | None = None
    alerts: int = 0
    told: bool = False  # of what it found, although it succeeded

    def as_row(self) -> dict[str, Any]:
        """Return the run as a row of summary.json."""
        return {
            "name": self.name,
            "stage": self.stage,
            "pipeline": self.outcome.pipeline,
            "status": self.outcome.status,
            "failed_step": self.outcome.failed_step,
            "reason": self.outcome.reason,
            "model_version": self.model_version,
            "rows_scored": self.rows_scored,
            "alerts": self.alerts,
            "seconds": round(self.outcome.seconds, 2),
        }


@dataclass
class Lookout:
    """An installation on the embedded cloud, and one of its models, as an account's root sees it."""

    cloud: LocalCloud
    settings: Settings
    model: Model
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False)

    # --- places

    @property
    def region(self) -> str:
        """Return the region of all stacks."""
        return self.settings.region

    def stage(self, name: StageName) -> Stage:
        """Return a stage's names."""
        return self.settings.stage(name)

    def session(self, account: str) -> Any:
        """Return a session of an account's root: who looks on, not who acts."""
        return self.cloud.session(account, self.region)

    def client(self, account_name: str, service: str) -> Any:
        """Return a client of ``registry``, ``dev`` or ``prod``; made once, since that takes longer than most calls."""
        key = (self.settings.accounts[account_name], service)
        if key not in self._clients:
            self._clients[key] = self.session(key[0]).client(service)
        return self._clients[key]

    # --- alerts

    def messages(self, account_name: str) -> list[dict[str, str]]:
        """Return what has been published to an account's topic."""
        topic = self.settings.topic_arn(account_name)
        return [
            {
                "subject": message.subject,
                "body": message.body,
                "topic": topic.rsplit(":", 1)[-1],
                "stage": account_name,
            }
            for message in self.cloud.messages(topic)
        ]

    def wait_for(self, what: str, look: Callable[[], Any], *, seconds: float = ALERT_SECONDS) -> Any:
        """Return the first truthy answer of ``look``; fail with ``what`` when there is none in time."""
        end = time.monotonic() + seconds
        while True:
            found = look()
            if found:
                return found
            Story.check(time.monotonic() < end, f"{what} within {seconds:.0f} s")
            time.sleep(0.1)

    def alerts_about(self, account_name: str, execution_id: str) -> list[dict[str, str]]:
        """Return the alerts about an execution; others may name it too, as what they started."""
        return [
            message
            for message in self.messages(account_name)
            if f"Execution {execution_id} of" in message["body"]
        ]

    # --- runs

    def start(self, stage: StageName, kind: PipelineKind, parameters: dict[str, str] | None = None) -> str:
        """Start a pipeline and return the execution's ARN."""
        return runs.start(
            self.client(stage, "sagemaker"),
            self.stage(stage).pipeline_name(self.model, kind),
            parameters or {},
        )

    def follow(self, name: str, stage: StageName, arn: str) -> Run:
        """Wait for an execution and return how it ended."""
        outcome = runs.follow(self.client(stage, "sagemaker"), arn, say=lambda line: None, poll_seconds=0.1)
        run = Run(name=name, outcome=outcome, stage=stage)
        run.model_version = self.resolved_version(stage, arn)
        if outcome.status == "Succeeded" and "inference" in outcome.pipeline:
            run.rows_scored = len(self.predictions(stage, run))
        return run

    def resolved_version(self, stage: StageName, arn: str) -> int | None:
        """Return the model version that an inference or quality run resolved."""
        for step in runs.steps_of(self.client(stage, "sagemaker"), arn):
            for output in step.get("Metadata", {}).get("Lambda", {}).get("OutputParameters", []):
                # a quality run without ground truth to judge resolves none
                if output["Name"] == "model_version" and output["Value"] != "none":
                    return int(output["Value"])
        return None

    def executions(self, stage: StageName, kind: PipelineKind) -> list[str]:
        """Return the ARNs of a pipeline's executions, the newest first."""
        pages = (
            self.client(stage, "sagemaker")
            .get_paginator("list_pipeline_executions")
            .paginate(PipelineName=self.stage(stage).pipeline_name(self.model, kind), SortOrder="Descending")
        )
        return [e["PipelineExecutionArn"] for page in pages for e in page["PipelineExecutionSummaries"]]

    def settle(self, run: Run) -> dict[str, str]:
        """Wait for the alert about a failed run and return the first; whether there are more shows later."""
        execution = run.outcome.execution_id
        found = self.wait_for(
            f"an alert about {run.outcome.pipeline} {execution}",
            lambda: self.alerts_about(run.stage, execution),
        )
        return dict(found[0])

    # --- objects

    def read_json(self, uri: str, account_name: str) -> Any:
        """Return a JSON object."""
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return json.loads(self.client(account_name, "s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def predictions(self, stage: StageName, run: Run) -> list[str]:
        """Return the lines that a run predicted."""
        s3 = self.client(stage, "s3")
        bucket = self.stage(stage).data_bucket_name
        prefix = f"{self.model.model_name}/inference/{run.outcome.execution_id}/predictions/"
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        bodies = [s3.get_object(Bucket=bucket, Key=o["Key"])["Body"].read().decode() for o in listed]
        return [line for body in bodies for line in body.splitlines() if line.strip()]

    def verdict(self, run: Run) -> Any:
        """Return the monitor's verdict of an inference run."""
        return json.loads(self.checked(run, "verdict.json"))

    def checked(self, run: Run, name: str) -> bytes:
        """Return a file that the monitor left of an inference run, such as ``report.html``."""
        key = f"{self.model.model_name}/inference/{run.outcome.execution_id}/data-quality/{name}"
        stage = self.settings.known_stage(run.stage)
        held = self.client(run.stage, "s3").get_object(Bucket=stage.data_bucket_name, Key=key)
        return bytes(held["Body"].read())

    def judged(self, run: Run) -> Any:
        """Return what a quality run found by ground truth."""
        home = f"s3://{self.settings.known_stage(run.stage).data_bucket_name}/{self.model.model_name}"
        name = f"quality/{run.outcome.execution_id}/model-quality/model-quality.json"
        return self.read_json(f"{home}/{name}", run.stage)

    def versions(self) -> list[registry.Version]:
        """Return the model versions, the oldest first."""
        return registry.versions(self.client("registry", "sagemaker"), self.model.model_package_group)[::-1]

    def evaluation(self, version: registry.Version) -> Any:
        """Return the evaluation that was registered with a version."""
        package = self.client("registry", "sagemaker").describe_model_package(ModelPackageName=version.arn)
        return self.read_json(package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"], "registry")
