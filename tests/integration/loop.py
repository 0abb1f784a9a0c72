"""An installation of ours on an embedded cloud, and what a test does with it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from demo.lookout import Lookout, Run
from local_cloud.cloud import LocalCloud
from local_cloud.deployer import deploy
from ops import data
from stacks import settings as app
from stacks.installation import PipelineKind, StageName
from tests.stacks.installations import synthesized

DENIED = ("AccessDenied", "AccessDeniedException", "403")
QUIET_SECONDS = 0.6


@dataclass
class Loop(Lookout):
    """An installation, and one of its models, driven by a test."""

    values: dict[str, Any] = field(default_factory=dict)
    files: Path = Path()  # the prepared data of the shipped model

    # --- installing

    @classmethod
    @contextmanager
    def installed(cls, values: Mapping[str, Any], files: Path, **context: Any) -> Iterator[Loop]:
        """Start a cloud and deploy an installation to it."""
        settings = app.load(dict(values))
        with LocalCloud.start(accounts=tuple(dict.fromkeys(settings.accounts.values()))) as cloud:
            loop = cls(cloud, settings, settings.models[0], dict(values), files)
            loop.deploy(values, **context)
            yield loop

    def deploy(self, values: Mapping[str, Any], *, stack: str | None = None, **context: Any) -> None:
        """Deploy the installation as other settings give it."""
        assembly = Path(synthesized(dict(values), **context).directory)
        deploy(self.cloud, assembly, stacks=[stack] if stack else None)

    def of(self, folder: str) -> Loop:
        """Return the same installation, looked at for another model."""
        return replace(self, model=self.settings.model(folder))

    # --- data

    def upload(self, *stages: StageName) -> None:
        """Upload the shipped model's data as the command does."""
        for stage in stages:
            there = self.stage(stage)
            data.upload(self.session(there.account), there, self.model, self.files, say=lambda line: None)

    def put(self, stage: StageName, key: str, content: str | bytes) -> str:
        """Put an object below the model's prefix and return its URI."""
        bucket, key = self.stage(stage).data_bucket_name, f"{self.model.model_name}/{key}"
        body = content.encode() if isinstance(content, str) else content
        self.client(stage, "s3").put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"

    def put_batch(self, stage: StageName, source: str = "mammo-batch-dataset.csv") -> str:
        """Put a copy of a prepared batch under a name of its own, so that no other test has scored it."""
        return self.put(
            stage, f"data/batch-dataset/{uuid.uuid4().hex[:8]}/{source}", (self.files / source).read_bytes()
        )

    def rows_in(self, source: str = "mammo-batch-dataset.csv") -> int:
        """Return how many rows a prepared batch holds: fewer where only the complete rows are to be had."""
        return len((self.files / source).read_text().splitlines())

    def keys(self, stage: StageName, prefix: str) -> list[str]:
        """Return the keys of a stage's data bucket below the model's prefix."""
        whole = f"{self.model.model_name}/{prefix}"
        pages = (
            self.client(stage, "s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self.stage(stage).data_bucket_name, Prefix=whole)
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, uri: str, account_name: str = "registry") -> bytes:
        """Return an object."""
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return bytes(self.client(account_name, "s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def evaluation_folder(self, version: int) -> str:
        """Return the URI of the folder that a version's evaluation lies in."""
        package = self.client("registry", "sagemaker").describe_model_package(
            ModelPackageName=f"{self.package_arn}/{version}"
        )
        return str(package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]).rsplit("/", 1)[0]

    # --- runs

    def run(self, stage: StageName, kind: PipelineKind, **parameters: str) -> Run:
        """Start a pipeline and wait for its end."""
        return self.follow(kind, stage, self.start(stage, kind, parameters))

    def score(self, stage: StageName, batch: str | None = None, **parameters: str) -> Run:
        """Score a batch. Default: a fresh copy of the clean one."""
        return self.run(stage, "inference", transform_input=batch or self.put_batch(stage), **parameters)

    def set_status(self, version: int, status: str) -> None:
        """Set a version's status as the registry account's root."""
        self.client("registry", "sagemaker").update_model_package(
            ModelPackageArn=f"{self.package_arn}/{version}", ModelApprovalStatus=status
        )

    def copy_version(self, status: str = "PendingManualApproval") -> int:
        """Register the first version once more, as the registry account's root; return its number."""
        sagemaker = self.client("registry", "sagemaker")
        first = sagemaker.describe_model_package(ModelPackageName=f"{self.package_arn}/1")
        copied = (
            "InferenceSpecification",
            "ModelMetrics",
            "DriftCheckBaselines",
            "CustomerMetadataProperties",
        )
        answer = sagemaker.create_model_package(
            ModelPackageGroupName=self.model.model_package_group,
            ModelApprovalStatus=status,
            **{name: first[name] for name in copied if name in first},
        )
        return int(answer["ModelPackageArn"].rsplit("/", 1)[-1])

    @contextmanager
    def unannounced(self) -> Iterator[None]:
        """Tell nobody of new versions meanwhile: a hundred messages take long."""
        events = self.client("registry", "events")
        names = [rule["Name"] for rule in events.list_rules()["Rules"]]
        for name in names:
            events.disable_rule(Name=name)
        try:
            yield
        finally:
            for name in names:
                events.enable_rule(Name=name)

    def train_and_approve(self, stage: StageName = "dev") -> Run:
        """Train, and approve what was registered."""
        run = self.run(stage, "train")
        assert run.outcome.status == "Succeeded", run.outcome.in_words()
        self.set_status(self.versions()[-1].version, "Approved")
        return run

    def alerts(self, run: Run) -> list[dict[str, str]]:
        """Wait for the alert about a run, give a second one time to come, and return all."""
        self.settle(run)
        time.sleep(QUIET_SECONDS)
        return self.alerts_about(run.stage, run.outcome.execution_id)

    def decision(self, stage: StageName, run: Run) -> dict[str, Any]:
        """Wait for what the retrain function decided about a run."""
        key = f"{self.model.model_name}/state/retraining/{run.outcome.execution_id}.json"
        uri = f"s3://{self.stage(stage).data_bucket_name}/{key}"

        def look() -> Any:
            try:
                found = self.read_json(uri, stage)
            except ClientError:
                return None
            return found if found["decision"] != "starting" else None

        return dict(self.wait_for(f"a decision about {run.outcome.execution_id}", look))

    # --- permissions

    def role(self, stage: StageName, purpose: str) -> str:
        """Return the ARN of the model's role of a purpose in a stage."""
        account = self.settings.accounts[stage]
        return f"arn:aws:iam::{account}:role/mlops/{stage}/{purpose}/{self.model.prefix}-{stage}-{purpose}"

    @property
    def group_arn(self) -> str:
        """Return the model's package group."""
        account = self.settings.accounts["registry"]
        return (
            f"arn:aws:sagemaker:{self.region}:{account}:model-package-group/{self.model.model_package_group}"
        )

    @property
    def package_arn(self) -> str:
        """Return what the ARNs of the model's versions begin with."""
        return self.group_arn.replace(":model-package-group/", ":model-package/")

    def user(self, account_name: str, name: str, *roles: str) -> Any:
        """Create a user who may ask for roles, and return a session of theirs."""
        account = self.settings.accounts[account_name]
        iam = self.session(account).client("iam")
        iam.create_user(UserName=name)
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": list(roles)}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="take-roles", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return self.cloud.session(account, self.region, credentials=key)


def is_denied(call: Callable[[], object]) -> bool:
    """Whether a call is refused by a permission; any other failure is an error of the test."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] in DENIED:
            return True
        raise
    return False


def words(run: Run) -> str:
    """Return why a run failed, as people read it."""
    return run.outcome.reason or ""
