"""What a throw-away model has left: all of it goes with its stack, and nothing of anybody else's."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from model_cleanup.handler import handle, respond
from shared.cloudformation import BadRequest, Request
from tests.handlers.fake_aws import Context, Service, refusal

GROUP = "model-package--x"
PROPERTIES = {
    "Bucket": "data",
    "Prefix": "model--x/",
    "ModelPackageGroupName": GROUP,
    "JobPrefix": "model--1a2b3c4d",
}
ID = "data/model--x/:model-package--x:model--1a2b3c4d"


class FakeS3(Service):
    """Objects as (key, version), some of which are delete markers."""

    service = "s3"

    def __init__(self, *keys: str, kept: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.objects = [(key, f"v{number}") for number, key in enumerate(keys)]
        self.kept = kept

    def list_object_versions(self, **request: Any) -> dict[str, Any]:
        self._receive("ListObjectVersions", request)
        found = [one for one in self.objects if one[0].startswith(request["Prefix"])][: request["MaxKeys"]]
        entries = [{"Key": key, "VersionId": version} for key, version in found]
        return {"Versions": entries[::2], "DeleteMarkers": entries[1::2]}

    def delete_objects(self, **request: Any) -> dict[str, Any]:
        self._receive("DeleteObjects", request)
        gone = [(one["Key"], one["VersionId"]) for one in request["Delete"]["Objects"]]
        self.objects = [one for one in self.objects if one not in gone or one[0] in self.kept]
        errors = [{"Key": key, "Code": "AccessDenied", "Message": "no"} for key in self.kept]
        return {"Errors": errors} if errors else {}


class FakeSageMaker(Service):
    """Versions and models, a page of two at a time."""

    service = "sagemaker"

    def __init__(self, versions: int = 0, models: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.versions = [f"arn:aws:sagemaker:r:1:model-package/{GROUP}/{n + 1}" for n in range(versions)]
        self.models = list(models)

    def list_model_packages(self, **request: Any) -> dict[str, Any]:
        self._receive("ListModelPackages", request)
        return self._page("ModelPackageSummaryList", "ModelPackageArn", self.versions, request)

    def delete_model_package(self, **request: Any) -> None:
        self._receive("DeleteModelPackage", request)
        self.versions.remove(request["ModelPackageName"])

    def list_models(self, **request: Any) -> dict[str, Any]:
        self._receive("ListModels", request)
        found = [name for name in self.models if request["NameContains"] in name]
        return self._page("Models", "ModelName", found, request)

    def delete_model(self, **request: Any) -> None:
        self._receive("DeleteModel", request)
        self.models.remove(request["ModelName"])

    @staticmethod
    def _page(field: str, key: str, items: list[str], request: dict[str, Any]) -> dict[str, Any]:
        start = int(request.get("NextToken", 0))
        more = {"NextToken": str(start + 2)} if start + 2 < len(items) else {}
        return {field: [{key: item} for item in items[start : start + 2]], **more}


class FakeLogs(Service):
    """Streams by log group, one a page."""

    service = "logs"

    def __init__(self, **groups: list[str]) -> None:
        super().__init__()
        self.groups = {f"/aws/sagemaker/{name}": list(streams) for name, streams in groups.items()}

    def describe_log_streams(self, **request: Any) -> dict[str, Any]:
        self._receive("DescribeLogStreams", request)
        if request["logGroupName"] not in self.groups:
            raise refusal("ResourceNotFoundException", "The specified log group does not exist.")
        begins, start = request["logStreamNamePrefix"], int(request.get("nextToken", 0))
        found = [name for name in self.groups[request["logGroupName"]] if name.startswith(begins)]
        more = {"nextToken": str(start + 1)} if start + 1 < len(found) else {}
        return {"logStreams": [{"logStreamName": name} for name in found[start : start + 1]], **more}

    def delete_log_stream(self, **request: Any) -> None:
        self._receive("DeleteLogStream", request)
        self.groups[request["logGroupName"]].remove(request["logStreamName"])


def ask(
    kind: str = "Delete",
    physical_id: str | None = ID,
    *,
    s3: Service | None = None,
    sagemaker: Service | None = None,
    logs: Service | None = None,
    context: Context | None = None,
    sleep: Callable[[float], None] = lambda _: None,
    **properties: Any,
) -> dict[str, Any]:
    """Return CloudFormation's one answer."""
    answers: list[bytes] = []
    clients = {
        "s3": FakeS3() if s3 is None else s3,
        "sagemaker": FakeSageMaker() if sagemaker is None else sagemaker,
        "logs": FakeLogs() if logs is None else logs,
    }
    request = Request(
        kind,
        "https://answers",
        "arn:stack/Name/1",
        "request-1",
        "Cleanup",
        physical_id,
        PROPERTIES | properties,
    )
    respond(
        request,
        Context() if context is None else context,
        clients.__getitem__,
        lambda _, body: answers.append(body),
        sleep,
    )
    (answer,) = answers
    return dict(json.loads(answer))


def test_creating_and_updating_touch_nothing_and_name_what_will_go() -> None:
    for kind, before in (("Create", None), ("Update", ID)):
        s3, sagemaker, logs = FakeS3("model--x/a"), FakeSageMaker(1), FakeLogs()
        answer = ask(kind, before, s3=s3, sagemaker=sagemaker, logs=logs)
        assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", ID)
        assert {name for name, _ in s3.calls + sagemaker.calls + logs.calls} == {"ListObjectVersions"}


def test_without_the_bucket_nothing_is_created_and_the_fix_is_said() -> None:
    s3 = FakeS3()
    s3.fail("ListObjectVersions", refusal("NoSuchBucket"))
    answer = ask("Create", None, s3=s3)
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "the bucket data does not exist: deploy the stack that it belongs to first"


def test_a_permission_that_is_too_new_is_no_failure() -> None:
    s3 = FakeS3()
    s3.fail("ListObjectVersions", refusal("AccessDenied"))
    assert ask("Create", None, s3=s3)["Status"] == "SUCCESS"


def test_another_model_is_another_resource_so_that_the_former_goes() -> None:
    answer = ask("Update", ID, Prefix="model--y/")
    assert answer["PhysicalResourceId"] != ID


def test_all_versions_of_the_group_go_through_every_page() -> None:
    sagemaker = FakeSageMaker(versions=5)
    assert ask(sagemaker=sagemaker)["Status"] == "SUCCESS"
    assert sagemaker.versions == []


def test_it_waits_for_versions_that_are_still_being_deleted() -> None:
    class Slow(FakeSageMaker):
        """Lists a version until somebody has waited twice."""

        def delete_model_package(self, **request: Any) -> None:
            self._receive("DeleteModelPackage", request)

    sagemaker, pauses = Slow(versions=1), []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            sagemaker.versions.clear()

    assert ask(sagemaker=sagemaker, sleep=sleep)["Status"] == "SUCCESS"
    assert len(pauses) == 2
    assert len(sagemaker.called("DeleteModelPackage")) == 1


def test_a_group_that_never_came_to_be_is_no_failure() -> None:
    sagemaker = FakeSageMaker()
    missing = refusal("ValidationException", "ModelPackageGroup arn does not exist.")
    sagemaker.fail("ListModelPackages", missing)
    assert ask(sagemaker=sagemaker)["Status"] == "SUCCESS"


def test_every_version_and_marker_of_its_objects_goes_and_no_others() -> None:
    own = [f"model--x/{number % 900}" for number in range(2100)]
    others = ["model--x-y/a", "model/a", "model--x", "a/model--x/a"]
    s3 = FakeS3(*own, *others)
    assert ask(s3=s3)["Status"] == "SUCCESS"
    assert [key for key, _ in s3.objects] == others
    assert [len(one["Delete"]["Objects"]) for one in s3.called("DeleteObjects")] == [1000, 1000, 100]


def test_an_object_that_stays_fails_the_deletion_and_is_named() -> None:
    answer = ask(s3=FakeS3("model--x/a", kept=("model--x/a",)))
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "s3://data/model--x/a could not be deleted: AccessDenied: no"
    assert answer["PhysicalResourceId"] == ID


def test_a_bucket_that_is_gone_is_no_failure() -> None:
    s3 = FakeS3()
    s3.fail("ListObjectVersions", refusal("NoSuchBucket"))
    assert ask(s3=s3)["Status"] == "SUCCESS"


def test_its_models_and_job_logs_go_and_no_others() -> None:
    others = ["model-inference-a", "my-model--1a2b3c4d-inference-b", "model--1a2b3c4d0-inference-c"]
    names = [
        f"model--1a2b3c4d-{kind}-step-{number}" for kind in ("train", "inference") for number in range(3)
    ]
    sagemaker = FakeSageMaker(models=(*names, *others))
    logs = FakeLogs(
        TrainingJobs=[*(f"{name}/algo-1" for name in names), *others], TransformJobs=[*names, *others]
    )
    assert ask(sagemaker=sagemaker, logs=logs)["Status"] == "SUCCESS"
    assert sagemaker.models == others
    assert logs.groups == {f"/aws/sagemaker/{kind}Jobs": others for kind in ("Training", "Transform")}


def test_what_somebody_else_deletes_meanwhile_is_no_failure() -> None:
    class Raced(FakeSageMaker):
        """Somebody else is faster."""

        def delete_model_package(self, **request: Any) -> None:
            super().delete_model_package(**request)
            raise refusal("ValidationException", "ModelPackage arn does not exist.")

    sagemaker = Raced(versions=1)
    assert ask(sagemaker=sagemaker)["Status"] == "SUCCESS"


def test_what_aws_refuses_is_told() -> None:
    sagemaker = FakeSageMaker(versions=1)
    sagemaker.fail("DeleteModelPackage", refusal("ThrottlingException", "too fast"))
    answer = ask(sagemaker=sagemaker)
    assert answer["Status"] == "FAILED"
    assert "too fast" in answer["Reason"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Prefix", ""),
        ("Prefix", "/"),
        ("Prefix", "model--x"),  # without the slash, model--x-y/ would go too
        ("Bucket", None),
        ("ModelPackageGroupName", "*"),
        ("JobPrefix", ""),
    ],
)
def test_what_would_delete_too_much_is_refused_when_it_is_created(name: str, value: Any) -> None:
    answer = ask("Create", None, **{name: value})
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith(f"the property {name} must ")
    s3 = FakeS3("model--x/a")
    # CloudFormation's roll-back deletes what the failed creation answered with
    again = ask("Delete", answer["PhysicalResourceId"], s3=s3, **{name: value})
    assert (again["Status"], s3.calls) == ("SUCCESS", [])


def test_when_its_time_runs_out_it_says_so_and_stops_deleting() -> None:
    class Slow(FakeS3):
        def list_object_versions(self, **request: Any) -> dict[str, Any]:
            deadline.wait(5)
            return super().list_object_versions(**request)

    deadline = threading.Event()
    s3 = Slow("model--x/a")
    answers: list[bytes] = []

    def put(_: str, body: bytes) -> None:
        answers.append(body)
        deadline.set()

    request = Request("Delete", "https://answers", "arn:stack/N/1", "r", "Cleanup", ID, PROPERTIES)
    clients: dict[str, Service] = {"s3": s3, "sagemaker": FakeSageMaker(), "logs": FakeLogs()}
    respond(request, Context(seconds=15.05), clients.__getitem__, put, lambda _: None)
    (answer,) = (json.loads(body) for body in answers)
    assert answer["Status"] == "FAILED"
    assert "delete again" in answer["Reason"]
    assert s3.called("DeleteObjects") == []


def test_a_request_that_cannot_be_answered_is_raised() -> None:
    with pytest.raises(BadRequest):
        handle({"RequestType": "Delete"}, Context())
