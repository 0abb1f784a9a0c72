"""What an approval is about is recorded once, and only where the files are those that were registered."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from approval_recorder.handler import handle
from approval_recorder.recorder import BadEvent, Recorder, SweepIncomplete, WrittenMeanwhile
from approval_recorder.refusals import Refusals
from shared import aws
from shared.artifacts import FILES
from shared.claims import Claims
from shared.objects import ObjectStore
from tests.handlers.fake_aws import (
    NOW,
    REGION,
    REGISTRY,
    Clock,
    Context,
    FakeS3,
    FakeSageMaker,
    FakeSns,
    refusal,
)

GROUP, BUCKET, HOME = "severity-package", "artifacts", "severity/dev/run1"
TOPIC = f"arn:aws:sns:{REGION}:{REGISTRY}:approvals"
ALICE = f"arn:aws:sts::{REGISTRY}:assumed-role/mlops-registry-approver/approve-alice"
ROLE = "mlops-registry-recorder"
METRICS = {"cv_auc": "0.9", "git_commit": "abc"}


def described(home: str = HOME, **more: Any) -> dict[str, Any]:
    baseline = {
        part.title(): {"ContentType": "application/json", "S3Uri": f"s3://{BUCKET}/{home}/{part}"}
        for part in ("statistics", "constraints")
    }
    return {
        "InferenceSpecification": {"Containers": [{"ModelDataUrl": f"s3://{BUCKET}/{home}/model"}]},
        "DriftCheckBaselines": {"ModelDataQuality": baseline},
        "CustomerMetadataProperties": dict(METRICS),
        "LastModifiedBy": {"IamIdentity": {"Arn": ALICE}},
        "LastModifiedTime": NOW + timedelta(minutes=1),
        **more,
    }


class World:
    def __init__(self) -> None:
        self.s3, self.sagemaker, self.sns, self.clock = FakeS3(BUCKET), FakeSageMaker(), FakeSns(), Clock()
        for home in (HOME, "severity/dev/run2"):
            for file in FILES:
                self.s3.put(BUCKET, f"{home}/{file}", f"{file} of {home}")
                self.s3.version_ids[f"{home}/{file}"] = f"{file}-1"
        self.arn = self.sagemaker.add_version(GROUP, "Approved", **described())

    def recorder(self, request_id: str = "request-1") -> Recorder:
        store = ObjectStore(self.s3, BUCKET)
        refusals = Refusals(TOPIC, self.sns, Claims(store, self.clock.now), request_id)
        return Recorder((GROUP,), ROLE, self.sagemaker, lambda name: ObjectStore(self.s3, name), refusals)

    def answer(self, arn: str = "", request_id: str = "request-1") -> dict[str, Any]:
        return self.recorder(request_id).answer(approved(arn or self.arn))

    @property
    def properties(self) -> dict[str, str]:
        return dict(self.sagemaker.packages[0]["CustomerMetadataProperties"])

    def overwrite(self, file: str, version_id: str = "forged", home: str = HOME) -> None:
        self.s3.put(BUCKET, f"{home}/{file}", "forged")
        self.s3.version_ids[f"{home}/{file}"] = version_id
        self.s3.modified[f"{home}/{file}"] = NOW + timedelta(minutes=5)

    @property
    def keys(self) -> list[str]:
        return [key for key in self.s3.objects[BUCKET] if key.startswith("_state/")]


def approved(arn: str) -> dict[str, Any]:
    detail = {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved"}
    return {"id": "e1", "detail-type": "SageMaker Model Package State Change", "detail": detail}


@pytest.fixture
def world() -> World:
    return World()


def test_an_approval_is_recorded_with_s3_versions_and_checksums_and_who_gave_it(world: World) -> None:
    assert world.answer()["record"] == "written"
    sums = {file: hashlib.sha256(f"{file} of {HOME}".encode()).hexdigest() for file in FILES}
    assert world.properties == {
        **METRICS,
        **{f"approved_{file}_version_id": f"{file}-1" for file in FILES},
        **{f"approved_{file}_sha256": sums[file] for file in FILES},
        "approved_by": ALICE,
        "approved_at": "2026-11-20T23:01:00+00:00",
    }
    assert world.sns.published == []


def test_a_record_changes_no_status_and_nothing_else(world: World) -> None:
    world.answer()
    (request,) = world.sagemaker.called("UpdateModelPackage")
    assert set(request) == {"ModelPackageArn", "CustomerMetadataProperties"}


def test_the_event_of_its_own_change_and_duplicates_change_nothing(world: World) -> None:
    world.answer()
    before = world.properties
    assert world.answer()["record"] == "known"
    assert len(world.sagemaker.called("UpdateModelPackage")) == 1
    assert world.properties == before


def test_a_version_that_is_approved_again_keeps_its_record_and_names_who_approved_it_last(
    world: World,
) -> None:
    world.answer()
    bob = ALICE.replace("alice", "bob")
    world.sagemaker.packages[0]["LastModifiedBy"] = {"IamIdentity": {"Arn": bob}}
    reads = len(world.s3.called("GetObject"))
    assert world.answer()["record"] == "approver"
    assert world.properties["approved_by"] == bob
    assert world.properties["approved_model_version_id"] == "model-1"
    assert len(world.s3.called("GetObject")) == reads


def test_a_release_is_no_approval(world: World) -> None:
    world.answer()
    world.sagemaker.packages[0] |= {
        "LastModifiedBy": {
            "IamIdentity": {"Arn": "arn:aws:sts::1:assumed-role/mlops-delivery-release/build"}
        },
        "ModelLifeCycle": {"Stage": "prod", "StageStatus": "released"},
    }
    assert world.answer()["record"] == "known"
    assert world.properties["approved_by"] == ALICE


@pytest.mark.parametrize("status", ["Rejected", "PendingManualApproval"])
def test_a_version_that_is_not_approved_any_more_when_its_event_comes_is_not_recorded(
    world: World, status: str
) -> None:
    world.sagemaker.packages[0]["ModelApprovalStatus"] = status
    assert world.answer() == {"record": "ignored", "reason": f"the version is {status}"}
    assert world.properties == METRICS


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_was_written_after_the_registration_is_not_recorded_and_approvers_are_told(
    world: World, file: str
) -> None:
    world.overwrite(file)
    assert world.answer()["record"] == "refused"
    assert world.properties == METRICS
    (message,) = world.sns.published
    assert message["Subject"] == "[registry] severity: version 1 is approved, but its files were changed"
    body = message["Message"]
    assert f"ModelArtifactChanged: s3://{BUCKET}/{HOME}/{file} of version 1 is S3 version forged" in body
    assert "It was not recorded what was approved" in body
    assert "make reject VERSION=1 MODEL=severity" in body


def test_a_file_that_is_gone_is_told_like_one_that_was_changed(world: World) -> None:
    del world.s3.objects[BUCKET][f"{HOME}/constraints"]
    assert world.answer()["record"] == "refused"
    assert "constraints of version 1 is gone" in world.sns.published[0]["Message"]


def test_a_record_is_never_changed_whoever_approves_the_changed_version_again(world: World) -> None:
    world.answer()
    recorded = world.properties
    world.s3.version_ids[f"{HOME}/model"] = "uncovered"  # older than the version: a deletion has uncovered it
    world.sagemaker.packages[0]["LastModifiedBy"] = {"IamIdentity": {"Arn": ALICE.replace("alice", "bob")}}
    assert world.answer()["record"] == "refused"
    assert world.properties == recorded
    assert "not model-1, which was approved" in world.sns.published[0]["Message"]
    assert "The record of what was approved stays" in world.sns.published[0]["Message"]


def test_approvers_are_told_once_of_the_same_files_and_again_of_others(world: World) -> None:
    world.overwrite("model")
    for request in ("a", "b", "c"):
        world.answer(request_id=request)
    assert len(world.sns.published) == 1
    world.overwrite("model", "forged-again")
    world.answer(request_id="d")
    assert len(world.sns.published) == 2
    assert all(key.startswith(f"_state/records/{GROUP}/1-") for key in world.keys)


def test_files_that_are_the_approved_ones_again_are_in_use_again_without_a_word(world: World) -> None:
    world.answer()
    world.overwrite("model")
    assert world.answer()["record"] == "refused"
    world.s3.version_ids[f"{HOME}/model"] = "model-1"
    del world.s3.modified[f"{HOME}/model"]
    assert world.answer(request_id="later")["record"] == "known"
    assert len(world.sns.published) == 1


def test_a_file_that_is_written_while_it_is_read_is_asked_for_again(world: World) -> None:
    read = world.s3.get_object

    def written_meanwhile(**request: Any) -> dict[str, Any]:
        return {**read(**request), "VersionId": "newer"}

    world.s3.get_object = written_meanwhile  # type: ignore[method-assign]
    with pytest.raises(WrittenMeanwhile):
        world.answer()
    assert world.properties == METRICS


def test_a_version_without_a_baseline_is_recorded_for_what_it_has(world: World) -> None:
    world.sagemaker.packages[0]["DriftCheckBaselines"] = {}
    assert world.answer()["record"] == "written"
    assert "approved_model_version_id" in world.properties
    assert "approved_statistics_version_id" not in world.properties


def test_a_version_without_an_artifact_is_not_recorded(world: World) -> None:
    world.sagemaker.packages[0]["InferenceSpecification"] = {}
    assert world.answer()["record"] == "ignored"


def test_a_group_in_mixed_case_is_known_by_an_arn_in_lower_case(world: World) -> None:
    recorder = world.recorder()
    mixed = Recorder(("Severity-Package",), ROLE, recorder.sagemaker, recorder.open_bucket, recorder.refusals)
    assert mixed.answer(approved(world.arn))["record"] == "written"


def test_a_group_that_is_not_ours_is_ignored(world: World) -> None:
    arn = world.sagemaker.add_version("another", "Approved", **described())
    assert world.answer(arn)["record"] == "ignored"
    assert world.sagemaker.called("UpdateModelPackage") == []


@pytest.mark.parametrize(
    "arn", ["", "arn:aws:sagemaker:r:1:pipeline/p", "arn:aws:sagemaker:r:1:model-package/g/x"]
)
def test_an_event_that_names_no_version_is_an_error(world: World, arn: str) -> None:
    with pytest.raises(BadEvent):
        world.recorder().answer(approved(arn))


def test_an_approver_whose_name_sagemaker_would_refuse_is_recorded_all_the_same(world: World) -> None:
    world.sagemaker.packages[0]["LastModifiedBy"] = {"UserProfileName": "eva*(müller)" + "x" * 300}
    world.answer()
    by = world.properties["approved_by"]
    assert by.startswith("eva__müller_xx")
    assert len(by) == 256


def test_the_sweep_records_what_was_approved_before_records_were_made_and_finds_what_was_changed(
    world: World,
) -> None:
    world.answer()
    second = described("severity/dev/run2")
    world.sagemaker.add_version(GROUP, "Approved", **second)
    world.sagemaker.add_version(GROUP, "Rejected", **second)
    world.overwrite("constraints")
    outcome = world.recorder("sweep-1").sweep()
    assert outcome == {"versions": {f"{GROUP}/2": "written", f"{GROUP}/1": "refused"}}
    assert len(world.sns.published) == 1
    assert world.recorder("sweep-2").sweep() == {"versions": {f"{GROUP}/2": "known", f"{GROUP}/1": "refused"}}
    assert len(world.sns.published) == 1


def test_a_version_that_can_not_be_looked_at_does_not_keep_the_sweep_from_the_others(world: World) -> None:
    world.sagemaker.add_version(GROUP, "Approved", **described("severity/dev/run2"))
    world.s3.fail("ListObjectVersions", refusal("SlowDown", "Reduce your request rate"))
    with pytest.raises(
        SweepIncomplete, match=r"1 versions could not be looked at: severity-package/2 \(Reduce"
    ):
        world.recorder().sweep()
    assert world.properties["approved_model_version_id"] == "model-1"


def test_the_function_records_sweeps_and_refuses_other_events(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    clients = {"s3": world.s3, "sagemaker": world.sagemaker, "sns": world.sns}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    environment = {"ARTIFACTS_BUCKET": BUCKET, "GROUP_NAMES": GROUP, "TOPIC_ARN": TOPIC, "ROLE_NAME": ROLE}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert handle(approved(world.arn), Context())["record"] == "written"
    assert handle({"action": "sweep"}, Context())["versions"] == {f"{GROUP}/1": "known"}
    with pytest.raises(BadEvent, match="the action sweep, got 'Other'"):
        handle({"detail-type": "Other"}, Context())
