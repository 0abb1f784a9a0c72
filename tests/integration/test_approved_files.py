"""An approval is about files: nobody who may write them can change what is scored with, not even while it is."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ops import runs
from tests.integration.loop import Loop, is_denied, words

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]

FILES = ("model", "statistics", "constraints")


@dataclass
class Approved:
    """A version of its own, with files of its own, and the thief who holds the role that wrote them."""

    loop: Loop
    number: int
    keys: dict[str, str]  # by the file's name
    s3: Any  # client of dev's train role

    @property
    def bucket(self) -> str:
        return self.loop.settings.artifacts_bucket_name

    def content(self, file: str) -> bytes:
        return self.loop.read(f"s3://{self.bucket}/{self.keys[file]}")

    def overwrite(self, file: str, content: bytes | None = None) -> str:
        """Write a file again as the thief; return the id of the new S3 version."""
        body = self.content(file) if content is None else content
        answer = self.s3.put_object(Bucket=self.bucket, Key=self.keys[file], Body=body)
        return str(answer["VersionId"])

    def uncover(self, file: str, version_id: str) -> None:
        """Delete what came later, as an administrator of the registry account."""
        administrator = self.loop.client("registry", "s3")
        administrator.delete_object(Bucket=self.bucket, Key=self.keys[file], VersionId=version_id)

    @property
    def properties(self) -> dict[str, str]:
        package = self.loop.client("registry", "sagemaker").describe_model_package(
            ModelPackageName=f"{self.loop.package_arn}/{self.number}"
        )
        return dict(package["CustomerMetadataProperties"])

    def approve(self, *, recorded: bool = True) -> None:
        self.loop.set_status(self.number, "Approved")
        if recorded:
            self.loop.wait_for("a record", lambda: "approved_model_version_id" in self.properties)

    def told(self) -> list[dict[str, str]]:
        """Messages to approvers that say that this version's files were changed."""
        title = f"version {self.number} is approved, but its files were changed"
        return [one for one in self.loop.messages("registry") if title in one["subject"]]


@pytest.fixture
def version(loop: Loop) -> Iterator[Approved]:
    """A version that waits, and is rejected at the end."""
    registry, bucket = loop.client("registry", "sagemaker"), loop.settings.artifacts_bucket_name
    first = registry.describe_model_package(ModelPackageName=f"{loop.package_arn}/1")
    baseline = first["DriftCheckBaselines"]["ModelDataQuality"]
    container = first["InferenceSpecification"]["Containers"][0]
    sources = (container["ModelDataUrl"], *(baseline[one]["S3Uri"] for one in ("Statistics", "Constraints")))
    home = f"{loop.model.model_name}/dev/{uuid.uuid4().hex[:8]}"
    thief = loop.cloud.service_session(loop.role("dev", "train")).client("s3")
    keys = {}
    for file, source in zip(FILES, sources, strict=True):
        keys[file] = f"{home}/{source.rsplit('/', 1)[-1]}"
        thief.put_object(Bucket=bucket, Key=keys[file], Body=loop.read(source))
    time.sleep(1.1)  # S3 knows when an object was written to the second
    places = {file: f"s3://{bucket}/{key}" for file, key in keys.items()}
    arn = registry.create_model_package(
        ModelPackageGroupName=loop.model.model_package_group,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            **first["InferenceSpecification"],
            "Containers": [{**container, "ModelDataUrl": places["model"]}],
        },
        DriftCheckBaselines={
            "ModelDataQuality": {
                part: {**baseline[part], "S3Uri": places[part.lower()]}
                for part in ("Statistics", "Constraints")
            }
        },
        CustomerMetadataProperties=first["CustomerMetadataProperties"] and {"cv_auc": "0.9"},
    )["ModelPackageArn"]
    number = int(arn.rsplit("/", 1)[-1])
    yield Approved(loop, number, keys, thief)
    loop.set_status(number, "Rejected")


def test_an_approval_records_the_s3_versions_and_checksums_of_model_and_baselines(version: Approved) -> None:
    assert version.properties == {"cv_auc": "0.9"}
    version.approve()
    known = version.properties
    s3 = version.loop.client("registry", "s3")
    for file, key in version.keys.items():
        current = s3.head_object(Bucket=version.bucket, Key=key)["VersionId"]
        assert known[f"approved_{file}_version_id"] == current
        assert known[f"approved_{file}_sha256"] == hashlib.sha256(version.content(file)).hexdigest()
    assert known["approved_by"].endswith(":root")
    assert known["cv_auc"] == "0.9"
    run = version.loop.score("prod")
    assert (run.outcome.status, run.model_version) == ("Succeeded", version.number)


def test_an_approved_file_that_is_written_again_is_refused_until_the_approved_one_is_uncovered(
    version: Approved,
) -> None:
    loop = version.loop
    version.approve()
    batch = loop.put_batch("prod")
    for file in FILES:
        written = version.overwrite(file)  # the same bytes: an S3 version is what was approved
        run = loop.score("prod", batch)
        assert run.outcome.failed_step == "Mammo-ResolveModel"
        assert words(run).startswith(
            f"ModelArtifactChanged: s3://{version.bucket}/{version.keys[file]} of version {version.number} "
            f"is S3 version {written}, written at "
        )
        (alert,) = loop.alerts(run)
        assert f"nothing scored, a file of version {version.number} was changed" in alert["subject"]
        assert f"--key {version.keys[file]} --version-id {written}" in alert["body"]
        version.uncover(file, written)
    assert loop.executions("prod", "train") == []
    again = loop.score("prod", batch)
    assert (again.outcome.status, again.model_version) == ("Succeeded", version.number)


def test_a_version_whose_file_was_written_before_its_approval_is_not_recorded_and_approvers_are_told(
    version: Approved,
) -> None:
    loop = version.loop
    version.overwrite("constraints")
    version.approve(recorded=False)
    (told,) = loop.wait_for("a message to the approvers", version.told)
    assert f"{version.keys['constraints']} of version {version.number} is S3 version" in told["body"]
    assert version.properties == {"cv_auc": "0.9"}
    sweep(loop)
    sweep(loop)
    assert len(version.told()) == 1
    assert version.properties == {"cv_auc": "0.9"}


def test_an_approved_file_that_is_written_again_is_told_before_a_run_meets_it(version: Approved) -> None:
    version.approve()
    recorded = version.properties
    version.overwrite("model", b"forged")
    sweep(version.loop)
    (told,) = version.told()
    assert "The record of what was approved stays" in told["body"]
    version.loop.set_status(version.number, "Approved")
    sweep(version.loop)
    assert version.properties == recorded


def test_what_was_approved_before_records_were_made_is_recorded_by_the_sweep(version: Approved) -> None:
    with version.loop.unannounced():
        version.approve(recorded=False)
    sweep(version.loop)
    assert "approved_model_version_id" in version.properties
    run = version.loop.score("prod")
    assert (run.outcome.status, run.model_version) == ("Succeeded", version.number)


def test_a_file_that_is_written_between_resolving_and_recording_makes_the_predictions_unusable(
    version: Approved,
) -> None:
    loop, prod = version.loop, version.loop.client("prod", "sagemaker")
    version.approve()
    batch = loop.put_batch("prod")
    arn = loop.start("prod", "inference", {"transform_input": batch})

    def resolved() -> bool:
        return any(
            step["StepName"] == "Mammo-ResolveModel" and step["StepStatus"] == "Succeeded"
            for step in runs.steps_of(prod, arn)
        )

    loop.wait_for("a resolved model", resolved)
    written = version.overwrite("model")
    run = loop.follow("inference", "prod", arn)
    assert run.outcome.failed_step == "Mammo-RecordPredictions"
    assert f"is S3 version {written}, written at" in words(run)
    assert "must not be used" in words(run)
    (alert,) = loop.alerts(run)
    assert f"predictions must not be used, a file of version {version.number} was changed" in alert["subject"]
    assert "Do not use the predictions of this run" in alert["body"]
    predictions = loop.keys("prod", f"inference/{run.outcome.execution_id}/predictions")
    assert predictions != []
    states = [
        loop.read(f"s3://{loop.stage('prod').data_bucket_name}/{key}", "prod")
        for key in loop.keys("prod", "state/scored/")
    ]
    assert not any(run.outcome.execution_id.encode() in state for state in states)
    version.uncover("model", written)
    assert loop.score("prod", batch).outcome.status == "Succeeded"  # it was not recorded as scored


def test_a_champion_that_was_written_again_is_not_compared_with(version: Approved) -> None:
    version.approve()
    version.overwrite("model")
    run = version.loop.run("dev", "train")
    assert run.outcome.failed_step == "Mammo-ResolveChampion"
    assert words(run).startswith("ModelArtifactChanged: ")
    (alert,) = version.loop.alerts(run)
    assert "nothing trained" in alert["subject"]


def test_the_recorder_can_write_properties_but_neither_approve_nor_write_artifacts(version: Approved) -> None:
    loop = version.loop
    account = loop.settings.accounts["registry"]
    role = f"arn:aws:iam::{account}:role/mlops/registry/recorder/mlops-registry-recorder"
    recorder = loop.cloud.service_session(role, service="lambda.amazonaws.com")
    arn = f"{loop.package_arn}/{version.number}"
    sagemaker, s3 = recorder.client("sagemaker"), recorder.client("s3")

    def set_to(status: str, **more: Any) -> bool:
        return is_denied(
            lambda: sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status, **more)
        )

    assert [set_to(status) for status in ("Approved", "Rejected", "PendingManualApproval")] == [True] * 3
    assert set_to("Approved", CustomerMetadataProperties={"cv_auc": "1"})
    key = version.keys["model"]
    assert is_denied(lambda: s3.put_object(Bucket=version.bucket, Key=key, Body=b"forged"))
    assert is_denied(lambda: s3.delete_object(Bucket=version.bucket, Key=key))
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"cv_auc": "0.9"})
    assert s3.get_object(Bucket=version.bucket, Key=key)["Body"].read() == version.content("model")


def sweep(loop: Loop) -> None:
    """Run the hourly look at all approved versions."""
    answer = loop.client("registry", "lambda").invoke(
        FunctionName="mlops-registry-approval-recorder", Payload=b'{"action": "sweep"}'
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
