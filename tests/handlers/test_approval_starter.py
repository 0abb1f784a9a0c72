"""Which approvals start the release of a version, and by which commit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from approval_starter.handler import handle
from approval_starter.starter import BadEvent, Starter
from shared import aws
from shared.environment import EnvironmentProblem
from tests.handlers.fake_aws import NOW, REGION, REGISTRY, Context, Service, refusal

GROUP, MODEL = "Churn-Package", "churn"
ARN = f"arn:aws:sagemaker:{REGION}:{REGISTRY}:model-package/{GROUP.lower()}/3"
RELEASED = {"Stage": "prod", "StageStatus": "released"}
COMMIT = "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d"


class FakeRegistry(Service):
    service = "sagemaker"

    def __init__(self) -> None:
        super().__init__()
        self.package: dict[str, Any] = {"ModelApprovalStatus": "Approved", "LastModifiedTime": NOW}

    def describe_model_package(self, **request: Any) -> dict[str, Any]:
        self._receive("DescribeModelPackage", request)
        return self.package

    def update_model_package(self, **request: Any) -> None:
        self._receive("UpdateModelPackage", request)
        self.package |= {name: value for name, value in request.items() if name != "ModelPackageArn"}


class FakeCodePipeline(Service):
    """Starts each token once, as AWS does."""

    service = "codepipeline"

    def __init__(self) -> None:
        super().__init__()
        self.delivered: list[dict[str, Any]] = [{"sourceRevisions": [{"revisionId": COMMIT}]}]
        self.started: dict[str, dict[str, Any]] = {}
        self.status = "Succeeded"  # of all that was started

    def list_pipeline_executions(self, **request: Any) -> dict[str, Any]:
        self._receive("ListPipelineExecutions", request)
        if request["pipelineName"] == "mlops-delivery":
            return {"pipelineExecutionSummaries": self.delivered}
        return {
            "pipelineExecutionSummaries": [
                {"pipelineExecutionId": token, "status": self.status} for token in self.started
            ]
        }

    def get_pipeline_execution(self, **request: Any) -> dict[str, Any]:
        self._receive("GetPipelineExecution", request)
        given = self.started[request["pipelineExecutionId"]]["variables"]
        variables = [{"name": one["name"], "resolvedValue": one["value"]} for one in given]
        return {"pipelineExecution": {"variables": variables}}

    def start_pipeline_execution(self, **request: Any) -> dict[str, str]:
        self._receive("StartPipelineExecution", request)
        self.started.setdefault(request["clientRequestToken"], request)
        return {"pipelineExecutionId": "run"}


class World:
    def __init__(self) -> None:
        self.sagemaker, self.codepipeline = FakeRegistry(), FakeCodePipeline()

    def start(self, event: dict[str, Any] | None = None) -> dict[str, Any]:
        starter = Starter(
            pipeline="mlops-versions",
            source_action="Source",
            delivery="mlops-delivery",
            delivered_stage="Prod",
            models={GROUP: MODEL},
            sagemaker=self.sagemaker,
            codepipeline=self.codepipeline,
        )
        return starter.start(approved() if event is None else event)

    @property
    def request(self) -> dict[str, Any]:
        (request,) = self.codepipeline.started.values()
        return request


def approved(arn: str = ARN, status: str = "Approved") -> dict[str, Any]:
    detail = {"ModelPackageArn": arn, "ModelApprovalStatus": status, "ModelPackageGroupName": GROUP}
    return {
        "id": "e1",
        "time": "2026-11-21T08:00:00Z",
        "detail-type": "SageMaker Model Package State Change",
        "detail": detail,
    }


def test_an_approved_version_is_started_by_the_commit_that_prod_runs() -> None:
    world = World()
    assert world.start()["release"] == "started"
    assert world.request["variables"] == [
        {"name": "MODEL", "value": MODEL},
        {"name": "VERSION", "value": "3"},
    ]
    assert world.request["sourceRevisions"] == [
        {"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": COMMIT}
    ]
    asked = world.codepipeline.called("ListPipelineExecutions")[-1]
    assert asked["pipelineName"] == "mlops-delivery"
    assert asked["filter"] == {"succeededInStage": {"stageName": "Prod"}}


def test_before_the_first_promotion_the_newest_commit_is_taken() -> None:
    world = World()
    world.codepipeline.delivered = []
    world.start()
    assert "sourceRevisions" not in world.request


def test_several_events_of_one_approval_start_one_release() -> None:
    world = World()
    world.start()
    world.start({**approved(), "id": "e2"})
    assert len(world.codepipeline.started) == 1


def test_a_version_that_is_approved_again_is_started_again() -> None:
    world = World()
    world.start()
    world.sagemaker.package["LastModifiedTime"] = NOW + timedelta(hours=1)
    world.start()
    assert len(world.codepipeline.started) == 2


def test_while_a_release_is_under_way_nothing_else_that_changes_starts_another() -> None:
    world = World()
    world.codepipeline.status = "InProgress"
    world.start()
    world.sagemaker.package["LastModifiedTime"] = NOW + timedelta(
        seconds=3
    )  # such as a record of the approval
    assert world.start() == {"release": "not started", "reason": "the release of version 3 is under way"}
    assert world.start(approved(ARN.replace("/3", "/4")))["release"] == "started"


def test_a_version_that_is_rejected_loses_its_release() -> None:
    world = World()
    world.sagemaker.package |= {"ModelApprovalStatus": "Rejected", "ModelLifeCycle": dict(RELEASED)}
    assert world.start(approved(status="Rejected")) == {"release": "withdrawn", "VERSION": "3"}
    assert world.sagemaker.package["ModelLifeCycle"] == {
        "Stage": "prod",
        "StageStatus": "withdrawn",
        "StageDescription": "rejected 2026-11-21T08:00:00Z",
    }
    assert world.sagemaker.package["ModelApprovalStatus"] == "Rejected"
    again = world.start(approved(status="Rejected"))  # the event of that very change
    assert again == {"release": "not started", "reason": "version 3 is Rejected"}


def test_a_version_that_was_rejected_and_approved_again_at_once_is_released_again_by_a_person() -> None:
    world = World()
    world.sagemaker.package["ModelLifeCycle"] = dict(RELEASED)
    assert world.start(approved(status="Rejected"))["release"] == "withdrawn"
    assert world.codepipeline.started == {}
    assert world.start()["release"] == "started"


def test_a_version_that_was_never_released_is_rejected_without_a_word() -> None:
    world = World()
    world.sagemaker.package["ModelApprovalStatus"] = "Rejected"
    assert world.start(approved(status="Rejected"))["release"] == "not started"
    assert world.sagemaker.called("UpdateModelPackage") == []


def test_the_change_that_a_release_makes_starts_nothing() -> None:
    world = World()
    world.sagemaker.package["ModelLifeCycle"] = dict(RELEASED)
    assert world.start() == {"release": "not started", "reason": "version 3 is released"}
    assert world.codepipeline.started == {}


def test_another_life_cycle_is_no_release() -> None:
    world = World()
    world.sagemaker.package["ModelLifeCycle"] = {"Stage": "prod", "StageStatus": "waiting"}
    assert world.start()["release"] == "started"


def test_a_version_that_was_rejected_meanwhile_starts_nothing() -> None:
    world = World()
    world.sagemaker.package["ModelApprovalStatus"] = "Rejected"
    assert world.start() == {"release": "not started", "reason": "version 3 is Rejected"}


def test_somebody_elses_group_starts_nothing_and_is_not_read() -> None:
    world = World()
    assert world.start(approved(ARN.replace("churn-package", "theirs")))["release"] == "not started"
    assert world.sagemaker.calls == []


def test_fails_when_the_version_cannot_be_read_so_that_lambda_tries_again() -> None:
    world = World()
    world.sagemaker.fail("DescribeModelPackage", refusal("ThrottlingException"))
    with pytest.raises(Exception, match="ThrottlingException"):
        world.start()


@pytest.mark.parametrize(
    "event",
    [
        {"detail-type": "Something Else", "detail": {}},
        {"detail-type": "SageMaker Model Package State Change"},
        approved("no arn"),
        approved(ARN.removesuffix("/3")),
    ],
)
def test_fails_on_an_event_that_names_no_version(event: dict[str, Any]) -> None:
    with pytest.raises(BadEvent):
        World().start(event)


def set_environment(monkeypatch: pytest.MonkeyPatch, models: str) -> None:
    for name, value in {
        "PIPELINE_NAME": "mlops-versions",
        "SOURCE_ACTION": "Source",
        "DELIVERY_PIPELINE_NAME": "mlops-delivery",
        "DELIVERED_STAGE": "Prod",
        "MODELS": models,
    }.items():
        monkeypatch.setenv(name, value)


def test_the_handler_reads_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    clients = {"sagemaker": world.sagemaker, "codepipeline": world.codepipeline}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    set_environment(monkeypatch, f"other=one,{GROUP}={MODEL}")
    assert handle(approved(), Context())["MODEL"] == MODEL


def test_fails_when_the_models_are_no_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "client", lambda _: None)
    set_environment(monkeypatch, "churn")
    with pytest.raises(EnvironmentProblem, match="MODELS must hold pairs"):
        handle(approved(), Context())
