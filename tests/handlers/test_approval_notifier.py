from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from approval_notifier.handler import handle
from approval_notifier.notifier import BadEvent, Notifier
from shared import aws
from shared.claims import ClaimedElsewhere, Claims
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

GROUP, OTHER = "mammo-severity-model-package", "other-package"
ARTIFACTS = "artifacts"
TOPIC = f"arn:aws:sns:{REGION}:{REGISTRY}:approvals"
PENDING = "PendingManualApproval"
METADATA = {
    "cv_auc": "0.90361234",
    "holdout_auc": "0.8912",
    "champion_version": "1",
    "gain_over_champion": "0.0123",
    "data_rows": "913",
    "data_sha256": "d" * 64,
    "git_commit": "abc1234",
    "execution_arn": "arn:aws:sagemaker:eu-central-1:222222222222:pipeline/train/execution/run1",
}
ARTIFACT = "s3://artifacts/mammography-severity-model/prod/run1/model/job/output/model.tar.gz"


class World:
    def __init__(self) -> None:
        self.s3, self.sagemaker, self.sns, self.clock = FakeS3(ARTIFACTS), FakeSageMaker(), FakeSns(), Clock()
        self.arn = self.sagemaker.add_version(
            GROUP,
            PENDING,
            CustomerMetadataProperties=METADATA,
            InferenceSpecification={"Containers": [{"ModelDataUrl": ARTIFACT}]},
        )

    @property
    def notifier(self) -> Notifier:
        store = ObjectStore(self.s3, ARTIFACTS)
        claims = Claims(store, self.clock.now)
        return Notifier((GROUP, OTHER), 3, TOPIC, self.sagemaker, store, claims, self.sns, self.clock.now)

    def event(self, status: str, minute: int = 0, **more: Any) -> dict[str, Any]:
        detail = {
            "ModelPackageGroupName": GROUP,
            "ModelPackageVersion": 1,
            "ModelPackageArn": self.arn,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": status,
            **more,
        }
        time = (NOW + timedelta(minutes=minute)).isoformat()
        return {
            "id": "e",
            "detail-type": "SageMaker Model Package State Change",
            "time": time,
            "detail": detail,
        }

    def tell(self, status: str, minute: int = 0, request_id: str = "", **more: Any) -> str:
        request_id = request_id or f"request-{len(self.sns.calls)}-{len(self.s3.calls)}"
        return str(self.notifier.tell_status(self.event(status, minute, **more), request_id)["notice"])

    @property
    def subjects(self) -> list[str]:
        return [message["Subject"].partition(": ")[2] for message in self.sns.published]

    @property
    def body(self) -> str:
        return self.sns.published[-1]["Message"]


@pytest.fixture
def world() -> World:
    return World()


def test_approvers_are_told_of_a_version_that_waits_with_its_numbers(world: World) -> None:
    assert world.tell(PENDING) == "sent"
    assert (
        world.sns.published[0]["Subject"]
        == "[registry] mammography-severity-model: version 1 waits for approval"
    )
    for part in (
        "0.9036",
        "0.8912",
        "0.0123",
        "913",
        "d" * 64,
        "abc1234",
        "Trained in prod (account 222222222222)",
    ):
        assert part in world.body


def test_approvers_are_told_how_to_decide(world: World) -> None:
    world.tell(PENDING)
    command = f"aws sagemaker update-model-package --region {REGION} --model-package-arn {world.arn}"
    assert (
        "Approve: make approve VERSION=1 MODEL=mammography-severity-model, or as the approver" in world.body
    )
    assert f"{command} --model-approval-status Approved" in world.body
    assert "make reject VERSION=1 MODEL=mammography-severity-model" in world.body
    assert "asks for a second factor by default" in world.body
    assert f"account {REGISTRY}" in world.body


def test_the_numbers_come_before_the_origin_and_the_champion_is_named_once(world: World) -> None:
    world.tell(PENDING)
    body = world.body
    assert body.index("AUC: 0.9036") < body.index("Trained in") < body.index("d" * 64)
    assert "gain on the same hold-out over version 1, the champion: +0.0123" in body
    assert body.count("champion") == 1


def test_a_decision_names_the_role_session_that_took_it(world: World) -> None:
    arn = f"arn:aws:sts::{REGISTRY}:assumed-role/mlops-registry-approver/eva"
    world.sagemaker.packages[0]["LastModifiedBy"] = {"IamIdentity": {"Arn": arn, "PrincipalId": "AROA:eva"}}
    world.tell("Approved")
    assert f"approved by {arn}" in world.body
    assert "CloudTrail" not in world.body


@pytest.mark.parametrize("role", ["mlops-registry-recorder", "mlops-delivery-release"])
def test_an_approval_names_the_approver_also_when_its_record_or_release_came_first(
    world: World, role: str
) -> None:
    package = world.sagemaker.packages[0]
    package["LastModifiedBy"] = {"IamIdentity": {"Arn": f"arn:aws:sts::1:assumed-role/{role}/session"}}
    package["CustomerMetadataProperties"] = {**METADATA, "approved_by": "approve-eva"}
    world.tell("Approved")
    assert "was approved by approve-eva." in world.body


def test_where_nothing_says_who_decided_people_are_told_where_to_look(world: World) -> None:
    world.tell("Approved")
    assert f"CloudTrail of account {REGISTRY}" in world.body


def test_the_first_version_has_no_champion_to_gain_over(world: World) -> None:
    world.sagemaker.packages[0]["CustomerMetadataProperties"] = {**METADATA, "champion_version": "none"}
    world.tell(PENDING)
    assert "there was no champion" in world.body


def test_a_decision_is_told_shortly(world: World) -> None:
    world.sagemaker.packages[0] |= {
        "LastModifiedBy": {"UserProfileName": "eva"},
        "ApprovalDescription": "looks good",
    }
    world.tell("Approved", 1)
    assert "approved by eva" in world.body
    assert "looks good" in world.body
    assert "next inference run uses version 1" in world.body
    world.tell("Rejected", 2)
    assert "No run uses it any more" in world.body
    assert world.subjects == ["version 1 was approved", "version 1 was rejected"]


def test_a_version_that_can_not_be_described_is_told_all_the_same(world: World) -> None:
    world.sagemaker.fail("DescribeModelPackage", refusal("ThrottlingException"))
    assert world.tell(PENDING) == "sent"
    assert world.sns.published[0]["Subject"] == f"[registry] {GROUP}: version 1 waits for approval"
    assert "could not be described" in world.body


def test_a_version_without_metrics_is_told_all_the_same(world: World) -> None:
    del world.sagemaker.packages[0]["CustomerMetadataProperties"]
    del world.sagemaker.packages[0]["InferenceSpecification"]
    assert world.tell(PENDING) == "sent"
    assert "carries no metrics" in world.body


def test_values_of_any_size_make_a_message_that_sns_takes(world: World) -> None:
    world.sagemaker.packages[0]["CustomerMetadataProperties"] = dict.fromkeys(METADATA, "ü" * 100_000)
    assert world.tell(PENDING) == "sent"
    assert len(world.body) < 30_000


def test_duplicate_events_make_one_message_a_status(world: World) -> None:
    for status, minute in ((PENDING, 0), ("Approved", 5), ("Rejected", 9)):
        outcomes = [world.tell(status, minute) for _ in range(3)]
        assert outcomes == ["sent", "sent before", "sent before"]
    assert world.subjects == [
        "version 1 waits for approval",
        "version 1 was approved",
        "version 1 was rejected",
    ]


def test_duplicate_events_at_the_same_moment_make_one_message(world: World) -> None:
    start = threading.Barrier(6, timeout=5)
    outcomes: list[str] = []

    def run(name: str) -> None:
        start.wait()
        try:
            outcomes.append(world.tell(PENDING, request_id=name))
        except ClaimedElsewhere:
            outcomes.append("later")

    threads = [threading.Thread(target=run, args=(f"request-{one}",)) for one in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.sns.published) == 1
    assert len(outcomes) == 6


def test_a_late_duplicate_of_an_earlier_status_is_silent(world: World) -> None:
    world.tell(PENDING, 0)
    world.tell("Approved", 5)
    assert world.tell(PENDING, 0) == "sent before"
    assert world.tell(PENDING, 1) == "sent before"


def test_a_status_whose_event_comes_out_of_order_is_told(world: World) -> None:
    world.tell("Approved", 5)
    assert world.tell(PENDING, 0) == "sent"


def test_another_event_of_the_same_status_is_silent(world: World) -> None:
    world.tell("Approved", 5)
    assert world.tell("Approved", 60) == "sent before"


def test_a_version_that_is_approved_again_after_a_roll_back_is_told_again(world: World) -> None:
    world.tell("Approved", 5)
    world.tell("Rejected", 10)
    assert [world.tell("Approved", 15), world.tell("Approved", 15)] == ["sent", "sent before"]
    assert [world.tell("Rejected", 20), world.tell("Approved", 25)] == ["sent", "sent"]
    assert f"_state/notices/{GROUP}/1-Approved-3.json" in world.s3.objects[ARTIFACTS]


def test_versions_do_not_silence_each_other(world: World) -> None:
    world.tell(PENDING)
    for _ in range(10):
        arn = world.sagemaker.add_version(GROUP, PENDING)
    assert world.tell(PENDING, 1, ModelPackageArn=arn) == "sent"
    assert world.subjects[-1] == "version 11 waits for approval"


def test_a_refused_publication_is_sent_by_the_retry_of_the_same_invocation(world: World) -> None:
    world.sns.fail("Publish", refusal("ThrottlingException"))
    with pytest.raises(Exception, match="ThrottlingException"):
        world.tell(PENDING, request_id="one")
    with pytest.raises(ClaimedElsewhere):
        world.tell(PENDING, request_id="two")
    assert world.tell(PENDING, request_id="one") == "sent"
    assert len(world.sns.published) == 1


def test_a_group_that_is_not_ours_is_ignored(world: World) -> None:
    arn = world.arn.replace(GROUP, "foreign")
    assert world.tell(PENDING, ModelPackageArn=arn) == "ignored"
    assert world.sns.published == []


@pytest.mark.parametrize("more", [{"ModelPackageStatus": "InProgress"}, {"ModelApprovalStatus": None}])
def test_a_version_that_is_not_ready_is_not_told_of(world: World, more: dict[str, Any]) -> None:
    assert world.tell(PENDING, **more) == "ignored"


@pytest.mark.parametrize(
    "arn", ["", "no arn", f"arn:aws:sagemaker:{REGION}:{REGISTRY}:model-package/{GROUP}"]
)
def test_an_event_that_names_no_version_is_an_error(world: World, arn: str) -> None:
    with pytest.raises(BadEvent):
        world.tell(PENDING, ModelPackageArn=arn)


def test_a_reminder_lists_every_version_that_has_waited_for_long(world: World) -> None:
    world.sagemaker.packages[0]["ModelApprovalStatus"] = "Approved"
    world.sagemaker.add_version(GROUP, PENDING, timedelta(days=3))
    world.sagemaker.add_version(GROUP, PENDING, timedelta(days=2, hours=23))
    world.sagemaker.add_version(OTHER, PENDING, timedelta(days=8))
    assert world.notifier.remind("one")["notice"] == "sent"
    assert world.sns.published[0]["Subject"] == "[registry] all models: 2 versions wait for approval"
    assert f"- version 2 of {GROUP}: since 2026-11-17 23:00 UTC, 3 days" in world.body
    assert f"- version 1 of {OTHER}" in world.body
    assert "make approve VERSION=2 MODEL=<model>" in world.body
    assert "version 3" not in world.body


def test_a_reminder_gives_the_commands_of_each_version(world: World) -> None:
    world.sagemaker.packages[0]["CreationTime"] = NOW - timedelta(days=9)
    world.notifier.remind("one")
    command = "VERSION=1 MODEL=mammography-severity-model"
    assert f"- make approve {command}, or make reject {command}" in world.body


def test_a_version_older_than_the_approved_one_is_not_reminded_of(world: World) -> None:
    world.sagemaker.packages[0]["CreationTime"] = NOW - timedelta(days=9)
    world.sagemaker.add_version(GROUP, "Approved")
    assert world.notifier.remind("one")["notice"] == "none"


def test_waiting_versions_on_the_second_page_are_reminded_of(world: World) -> None:
    for _ in range(4):
        world.sagemaker.add_version(GROUP, PENDING, timedelta(days=4))
    world.notifier.remind("one")
    assert world.subjects == ["4 versions wait for approval"]


def test_there_is_one_reminder_a_day(world: World) -> None:
    world.sagemaker.packages[0]["CreationTime"] = NOW - timedelta(days=9)
    assert world.notifier.remind("one")["notice"] == "sent"
    assert world.notifier.remind("two")["notice"] == "sent before"
    world.clock.sleep(86_400)
    assert world.notifier.remind("three")["notice"] == "sent"


def test_throttling_of_a_reminder_is_raised_and_claims_nothing(world: World) -> None:
    world.sagemaker.fail("ListModelPackages", refusal("ThrottlingException"))
    with pytest.raises(Exception, match="ThrottlingException"):
        world.notifier.remind("one")
    assert world.s3.objects[ARTIFACTS] == {}


def test_the_function_tells_reminds_and_refuses(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    clients = {"s3": world.s3, "sagemaker": world.sagemaker, "sns": world.sns}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    variables = {"TOPIC_ARN": TOPIC, "ARTIFACTS_BUCKET": ARTIFACTS, "GROUP_NAMES": f"{GROUP}, {OTHER}"}
    for name, value in {**variables, "REMINDER_DAYS": "0"}.items():
        monkeypatch.setenv(name, value)
    assert handle(world.event(PENDING), Context())["notice"] == "sent"
    world.sagemaker.packages[0]["CreationTime"] = NOW - timedelta(days=9000)
    assert handle({"action": "remind"}, Context())["notice"] == "sent"
    with pytest.raises(BadEvent, match="action remind"):
        handle({"detail-type": "Something Else"}, Context())
