from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from model_resolver.handler import Resolver, Settings, handle, resolve
from model_resolver.versions import NoApprovedModel
from shared import aws
from shared.artifacts import FILES
from shared.environment import EnvironmentProblem
from shared.objects import ObjectStore
from tests.handlers.fake_aws import Clock, FakeS3, FakeSageMaker, etag, group_arn, refusal

GROUP = "severity-package"
DATA = "data-bucket"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.2-0"
ROWS = f"v-{etag(b'rows')[1:13]}"  # what the fake's files are
BATCH = "model/data/batch-dataset/batch.csv"


def metrics(folder: str) -> dict[str, Any]:
    return {
        "DriftCheckBaselines": {
            "ModelDataQuality": {
                "Statistics": {
                    "ContentType": "application/json",
                    "S3Uri": f"s3://artifacts/{folder}/statistics.json",
                },
                "Constraints": {
                    "ContentType": "application/json",
                    "S3Uri": f"s3://artifacts/{folder}/constraints.json",
                },
            }
        },
        "InferenceSpecification": {
            "Containers": [{"Image": IMAGE, "ModelDataUrl": f"s3://artifacts/{folder}/model.tar.gz"}]
        },
        "CustomerMetadataProperties": {f"approved_{file}_version_id": ROWS for file in FILES},
    }


class World:
    def __init__(self, page: int = 1000, only_approved: bool = True) -> None:
        self.s3 = FakeS3(DATA, "artifacts", page=page)
        for name in ("one", "two", "later", "older in time, newer in number"):
            for file in ("model.tar.gz", "statistics.json", "constraints.json"):
                self.s3.put("artifacts", f"{name}/{file}")
        self.sagemaker, self.clock = FakeSageMaker(), Clock()
        self.resolver = Resolver(
            Settings("prod", "model", DATA, only_approved),
            self.sagemaker,
            lambda name: ObjectStore(self.s3, name),
            self.clock.sleep,
        )

    def resolve(self, **more: str) -> dict[str, str]:
        event = {
            "action": "resolve_model",
            "model_package_group_arn": group_arn(GROUP),
            "transform_input": f"s3://{DATA}/{BATCH}",
            "started_at": "2026-11-20T23:00:00Z",
            "rescore": "false",
        }
        return resolve(self.resolver, {**event, **more})

    def champion(self) -> dict[str, str]:
        event = {
            "action": "resolve_champion",
            "model_package_group_arn": group_arn(GROUP),
            "none_uri": "s3://code/none",
        }
        return resolve(self.resolver, event)

    def scored(self, digest: str, version: int) -> None:
        record = {
            "model_version": str(version),
            "scored_at": "2026-11-19T23:01:00+00:00",
            "predictions_uri": "s3://data-bucket/model/inference/run1/predictions",
        }
        self.s3.put(DATA, f"model/state/scored/{digest}.json", record)


@pytest.fixture
def world() -> World:
    made = World()
    made.s3.put(DATA, BATCH, b"1,2,3\n")
    made.sagemaker.add_version(GROUP, "Approved", **metrics("one"))
    return made


def raises(world: World, **more: str) -> str:
    with pytest.raises(Exception) as caught:
        world.resolve(**more)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_no_approved_version_stops_the_run_and_names_group_and_account() -> None:
    empty = World()
    empty.sagemaker.add_version(GROUP, "PendingManualApproval")
    message = raises(empty)
    assert message.startswith("NoApprovedModel: the package group severity-package in account 111111111111")
    assert "approve it" in message


def test_the_newest_approved_version_is_found_on_the_last_page(world: World) -> None:
    for status in ("Rejected", "Approved", "Approved", "Rejected", "Approved", "PendingManualApproval"):
        world.sagemaker.add_version(GROUP, status, **metrics("later"))
    assert world.resolve()["model_version"] == "6"
    assert len(world.sagemaker.called("ListModelPackages")) == 2


def test_versions_are_compared_by_number_not_by_the_order_of_the_listing(world: World) -> None:
    for _ in range(11):
        world.sagemaker.add_version(GROUP, "Approved", **metrics("later"))
    world.sagemaker.packages.sort(key=lambda one: str(one["ModelPackageVersion"]))
    assert world.resolve()["model_version"] == "12"


def test_a_version_that_is_rejected_while_we_look_is_passed_over(world: World) -> None:
    world.sagemaker.add_version(GROUP, "Approved", **metrics("two"))
    describe = world.sagemaker.describe_model_package

    def rejected_meanwhile(**request: Any) -> dict[str, Any]:
        answer = describe(**request)
        return {**answer, "ModelApprovalStatus": "Rejected"} if answer["ModelPackageVersion"] == 2 else answer

    world.sagemaker.describe_model_package = rejected_meanwhile  # type: ignore[method-assign]
    assert world.resolve()["model_version"] == "1"


def test_a_version_that_is_still_being_made_is_not_used(world: World) -> None:
    world.sagemaker.add_version(GROUP, "Approved", ModelPackageStatus="InProgress")
    assert world.resolve()["model_version"] == "1"


def of_statuses(*statuses: str, only_approved: bool = True) -> World:
    """A batch, and versions of these statuses."""
    made = World(only_approved=only_approved)
    made.s3.put(DATA, BATCH, b"1,2,3\n")
    for status in statuses:
        made.sagemaker.add_version(GROUP, status, **metrics("one"))
    return made


def test_a_run_gets_the_image_and_the_artifact_of_its_version(world: World) -> None:
    answer = world.resolve()
    assert (answer["image_uri"], answer["model_uri"]) == (IMAGE, "s3://artifacts/one/model.tar.gz")


def test_a_run_may_ask_for_an_older_approved_version() -> None:
    world = of_statuses("Approved", "Approved")
    assert world.resolve(model_version_wanted="1")["model_version"] == "1"
    assert world.resolve(model_version_wanted="newest_approved")["model_version"] == "2"


def test_a_version_that_is_not_approved_can_be_tried_where_the_stage_uses_any() -> None:
    world = of_statuses("Approved", "PendingManualApproval", "Rejected", only_approved=False)
    assert world.resolve(model_version_wanted="2")["model_version"] == "2"
    assert world.resolve(model_version_wanted="newest")["model_version"] == "2"
    assert world.resolve()["model_version"] == "1"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (
            "2",
            "version 2 of the package group severity-package in account 111111111111 is PendingManualApproval",
        ),
        ("newest", "version 2 of the package group"),
        ("3", "is Rejected"),
    ],
)
def test_a_version_that_is_not_approved_is_refused_where_it_must_be(wanted: str, told: str) -> None:
    message = raises(
        of_statuses("Approved", "PendingManualApproval", "Rejected"), model_version_wanted=wanted
    )
    assert message.startswith("VersionNotApproved: ")
    assert told in message
    assert message.endswith(f"Batch: s3://{DATA}/{BATCH}")


@pytest.mark.parametrize(
    ("statuses", "wanted", "told"),
    [
        (
            ["Approved"],
            "7",
            "version 7 of the package group severity-package in account 111111111111 does not exist",
        ),
        (["Approved"], "0", "its newest is 1: see make versions"),
        ([], "1", "it has none"),
        (["Rejected"], "newest", "has no version that isn't rejected"),
    ],
)
def test_a_version_that_does_not_exist_is_named(statuses: list[str], wanted: str, told: str) -> None:
    message = raises(of_statuses(*statuses, only_approved=False), model_version_wanted=wanted)
    assert message.startswith("VersionNotFound: ")
    assert told in message


def test_a_version_that_is_deleted_while_we_look_is_not_found() -> None:
    world = of_statuses("Approved")
    world.sagemaker.describe_model_package = (  # type: ignore[method-assign]
        lambda **request: (_ for _ in ()).throw(
            refusal("ValidationException", "ModelPackage does not exist.")
        )
    )
    assert raises(world, model_version_wanted="1").startswith("VersionNotFound: version 1 of ")


@pytest.mark.parametrize("wanted", ["latest", "-1", "1.0", "²"])
def test_a_version_that_is_no_number_is_refused_with_what_there_is(world: World, wanted: str) -> None:
    message = raises(world, model_version_wanted=wanted)
    assert message == (
        "BadVersion: the parameter ModelVersion must be newest_approved, newest or a version's number, "
        f"got '{wanted}'"
    )


def test_throttling_is_an_error_of_its_own_and_no_missing_model(world: World) -> None:
    world.sagemaker.fail("ListModelPackages", refusal("ThrottlingException", "Rate exceeded"))
    assert "ThrottlingException" in raises(world)


def test_the_baseline_comes_from_the_drift_check_baselines(world: World) -> None:
    answer = world.resolve()
    assert answer["statistics_uri"] == "s3://artifacts/one/statistics.json"
    assert answer["constraints_uri"] == "s3://artifacts/one/constraints.json"


def test_the_baseline_comes_from_the_model_metrics_where_that_is_all_there_is(world: World) -> None:
    package = world.sagemaker.packages[0]
    package["ModelMetrics"] = package.pop("DriftCheckBaselines")
    assert world.resolve()["statistics_uri"] == "s3://artifacts/one/statistics.json"


def test_a_version_without_a_baseline_is_named(world: World) -> None:
    del world.sagemaker.packages[0]["DriftCheckBaselines"]
    message = raises(world)
    assert message.startswith("IncompleteVersion: arn:aws:sagemaker:")
    assert message.endswith(f" Batch: s3://{DATA}/{BATCH}")


def test_a_missing_batch_is_named_with_its_uri(world: World) -> None:
    message = raises(world, transform_input=f"s3://{DATA}/model/data/none.csv")
    assert message.startswith(f"BatchNotFound: s3://{DATA}/model/data/none.csv does not exist")


def test_a_missing_approval_names_the_batch_that_waits_for_it(world: World) -> None:
    world.sagemaker.packages.clear()
    assert raises(world).endswith(f" Batch: s3://{DATA}/{BATCH}")


def test_an_empty_batch_is_no_batch(world: World) -> None:
    world.s3.put(DATA, BATCH, b"")
    assert "is empty" in raises(world)


def test_a_bucket_that_may_not_be_listed_is_named(world: World) -> None:
    world.s3.fail("ListObjectsV2", refusal("AccessDenied"))
    assert raises(world).startswith(f"BatchNotFound: s3://{DATA}/{BATCH} can't be listed (AccessDenied)")


def test_throttling_while_listing_is_no_missing_batch(world: World) -> None:
    world.s3.fail("ListObjectsV2", refusal("SlowDown", "Please reduce your request rate."))
    assert raises(world).startswith("ClientError: ")


@pytest.mark.parametrize("uri", ["batch.csv", "https://bucket/key", "s3://", f"s3://{DATA}", f"s3://{DATA}/"])
def test_something_that_names_no_object_is_refused(world: World, uri: str) -> None:
    assert raises(world, transform_input=uri).startswith("BatchNotFound: ")


def test_a_folder_is_a_batch_of_all_its_objects_and_none_of_its_neighbours() -> None:
    world = World(page=2)
    world.sagemaker.add_version(GROUP, "Approved", **metrics("one"))
    for name in ("day/a.csv", "day/b.csv", "day/c.csv", "day2/d.csv"):
        world.s3.put(DATA, f"model/data/{name}", name.encode())
    world.s3.put(DATA, "model/data/day/", b"")
    first = world.resolve(transform_input=f"s3://{DATA}/model/data/day")
    assert first["batch_uri"] == f"s3://{DATA}/model/data/day/"
    world.s3.put(DATA, "model/data/day2/d.csv", b"changed")
    assert world.resolve(transform_input=f"s3://{DATA}/model/data/day/") == first
    world.s3.put(DATA, "model/data/day/c.csv", b"changed")
    assert (
        world.resolve(transform_input=f"s3://{DATA}/model/data/day/")["batch_digest"] != first["batch_digest"]
    )


def test_an_object_whose_key_begins_another_is_refused(world: World) -> None:
    world.s3.put(DATA, f"{BATCH}.bak")
    message = raises(world)
    assert message.startswith("BatchAmbiguous: ")
    assert f"s3://{DATA}/{BATCH}.bak" in message


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("model/data/{date}.csv", "model/data/2026-11-20.csv"),
        ("model/data/{year}/{month}/{day}.csv", "model/data/2026/11/20.csv"),
    ],
)
def test_a_dated_batch_is_named_by_the_start_of_the_run_in_utc(world: World, template: str, key: str) -> None:
    world.s3.put(DATA, key, b"1\n")
    started = "2026-11-21T00:30:00+01:00"
    answer = world.resolve(transform_input=f"s3://{DATA}/{template}", started_at=started)
    assert answer["batch_uri"] == f"s3://{DATA}/{key}"


def test_an_unknown_placeholder_is_named(world: World) -> None:
    assert "{hour}" in raises(world, transform_input=f"s3://{DATA}/{{hour}}.csv")


def test_a_start_that_is_no_time_is_named(world: World) -> None:
    assert "got 'yesterday'" in raises(
        world, transform_input=f"s3://{DATA}/{{date}}.csv", started_at="yesterday"
    )


def test_a_batch_scored_by_the_same_version_is_not_scored_again(world: World) -> None:
    world.scored(world.resolve()["batch_digest"], version=1)
    message = raises(world)
    assert message.startswith("BatchAlreadyScored: ")
    for part in (
        "version 1",
        "2026-11-19T23:01:00",
        "s3://data-bucket/model/inference/run1/predictions",
        "RESCORE=true",
    ):
        assert part in message


def test_rescore_scores_it_again(world: World) -> None:
    world.scored(world.resolve()["batch_digest"], version=1)
    assert world.resolve(rescore="true")["model_version"] == "1"


def test_a_new_version_scores_the_batch_again(world: World) -> None:
    world.scored(world.resolve()["batch_digest"], version=1)
    world.sagemaker.add_version(GROUP, "Approved", **metrics("two"))
    assert world.resolve()["model_version"] == "2"


def test_after_a_roll_back_the_former_version_scores_again(world: World) -> None:
    world.scored(world.resolve()["batch_digest"], version=2)
    assert world.resolve()["model_version"] == "1"


def test_a_batch_with_other_content_is_another_batch(world: World) -> None:
    world.scored(world.resolve()["batch_digest"], version=1)
    world.s3.put(DATA, BATCH, b"4,5,6\n")
    assert world.resolve()["model_version"] == "1"


def test_an_unreadable_record_of_the_last_scoring_does_not_stop_the_run(world: World) -> None:
    world.s3.put(DATA, f"model/state/scored/{world.resolve()['batch_digest']}.json", b"{")
    assert world.resolve()["model_version"] == "1"


def test_without_an_approved_version_there_is_no_champion() -> None:
    assert World().champion() == {"champion_version": "none", "champion_uri": "s3://code/none"}


def test_the_champion_is_the_newest_approved_version(world: World) -> None:
    world.sagemaker.add_version(GROUP, "PendingManualApproval")
    assert world.champion() == {"champion_version": "1", "champion_uri": "s3://artifacts/one/model.tar.gz"}


def test_a_champion_without_an_artifact_is_named(world: World) -> None:
    del world.sagemaker.packages[0]["InferenceSpecification"]
    with pytest.raises(Exception, match="names no model artifact"):
        world.champion()


def test_an_unknown_action_is_named(world: World) -> None:
    with pytest.raises(Exception, match="'guess'"):
        resolve(world.resolver, {"action": "guess"})


def test_a_missing_input_is_named(world: World) -> None:
    with pytest.raises(Exception, match="'model_package_group_arn' is missing"):
        resolve(world.resolver, {"action": "resolve_model"})


def test_an_output_longer_than_sagemaker_takes_is_refused(world: World) -> None:
    key = "model/" + "x" * 1020
    world.s3.put(DATA, key)
    assert "batch_uri has" in raises(world, transform_input=f"s3://{DATA}/{key}")


def test_the_function_says_the_name_of_what_went_wrong_first(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(
        aws, "client", lambda service: {"s3": world.s3, "sagemaker": world.sagemaker}[service]
    )
    for name, value in (("STAGE", "prod"), ("MODEL_NAME", "model"), ("DATA_BUCKET", DATA)):
        monkeypatch.setenv(name, value)
    event = {
        "action": "resolve_model",
        "model_package_group_arn": group_arn(GROUP),
        "transform_input": "s3://b/k",
    }
    with pytest.raises(NoApprovedModel, match=r"^NoApprovedModel: the package group"):
        handle(event, None)


def test_a_missing_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STAGE", raising=False)
    with pytest.raises(EnvironmentProblem, match="STAGE is not set"):
        handle({}, None)


def test_time_zones_of_versions_do_not_matter(world: World) -> None:
    world.sagemaker.add_version(
        GROUP, "Approved", age=timedelta(days=3), **metrics("older in time, newer in number")
    )
    assert world.resolve()["model_version"] == "2"
