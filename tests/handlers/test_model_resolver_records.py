"""A version is used only while its files are those that were registered, and approved."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from model_resolver.records import WAITS, ApprovalNotRecorded
from shared.artifacts import ModelArtifactChanged
from tests.handlers.test_model_resolver import BATCH, GROUP, ROWS, World, metrics, of_statuses, raises


@pytest.fixture
def world() -> World:
    made = World()
    made.s3.put("data-bucket", BATCH, b"1,2,3\n")
    made.sagemaker.add_version(GROUP, "Approved", **metrics("one"))
    return made


@pytest.mark.parametrize("file", ["model.tar.gz", "statistics.json", "constraints.json"])
def test_a_version_whose_files_were_written_after_its_registration_is_refused(
    world: World, file: str
) -> None:
    registered = world.sagemaker.packages[0]["CreationTime"]
    world.s3.modified[f"one/{file}"] = registered
    assert world.resolve()["model_version"] == "1"
    world.s3.modified[f"one/{file}"] = registered + timedelta(seconds=1)
    message = raises(world)
    assert message.startswith(
        f"ModelArtifactChanged: s3://artifacts/one/{file} of version 1 is S3 version {ROWS}, "
    )
    assert "after the version was registered" in message


def test_a_champion_whose_files_were_written_after_its_registration_is_refused(world: World) -> None:
    world.s3.modified["one/model.tar.gz"] = world.sagemaker.packages[0]["CreationTime"] + timedelta(seconds=1)
    with pytest.raises(ModelArtifactChanged, match="reject the version"):
        world.champion()


@pytest.mark.parametrize("file", ["model.tar.gz", "statistics.json", "constraints.json"])
def test_a_version_whose_files_are_not_the_s3_versions_that_were_approved_is_refused(
    world: World, file: str
) -> None:
    world.s3.version_ids[f"one/{file}"] = "uncovered"  # an older one, uncovered by a deletion
    message = raises(world)
    assert message.startswith(
        f"ModelArtifactChanged: s3://artifacts/one/{file} of version 1 is S3 version uncovered"
    )
    assert f"not {ROWS}, which was approved" in message
    with pytest.raises(ModelArtifactChanged, match="uncovered"):
        world.champion()


def test_the_s3_versions_of_the_files_go_to_the_step_that_looks_again(world: World) -> None:
    world.s3.version_ids["one/statistics.json"] = "stats"
    world.sagemaker.packages[0]["CustomerMetadataProperties"]["approved_statistics_version_id"] = "stats"
    assert world.resolve()["file_versions"] == f"{ROWS} stats {ROWS}"


def unrecorded(world: World) -> dict[str, Any]:
    """The version's properties, without the record of what was approved."""
    properties: dict[str, Any] = world.sagemaker.packages[0]["CustomerMetadataProperties"]
    properties.clear()
    return properties


def test_an_approved_version_whose_record_comes_within_seconds_is_used(world: World) -> None:
    recorded = dict(world.sagemaker.packages[0]["CustomerMetadataProperties"])
    properties = unrecorded(world)
    describe = world.sagemaker.describe_model_package

    def recorded_meanwhile(**request: Any) -> dict[str, Any]:
        if world.clock.seconds > 5:
            properties.update(recorded)
        return describe(**request)

    world.sagemaker.describe_model_package = recorded_meanwhile  # type: ignore[method-assign]
    assert world.resolve()["model_version"] == "1"
    assert 5 < world.clock.seconds < 8


def test_an_approved_version_that_is_never_recorded_is_refused_within_the_functions_time(
    world: World,
) -> None:
    unrecorded(world)
    message = raises(world)
    assert message.startswith("ApprovalNotRecorded: version 1 is approved, but the registry has not recorded")
    assert "make approve VERSION=1" in message
    assert world.clock.seconds == sum(WAITS) <= 45
    with pytest.raises(ApprovalNotRecorded):
        world.champion()


def test_a_record_that_lacks_a_file_is_none(world: World) -> None:
    del world.sagemaker.packages[0]["CustomerMetadataProperties"]["approved_constraints_version_id"]
    assert raises(world).startswith("ApprovalNotRecorded")


def test_a_version_without_a_record_whose_files_were_changed_says_that(world: World) -> None:
    unrecorded(world)
    world.s3.modified["one/model.tar.gz"] = world.sagemaker.packages[0]["CreationTime"] + timedelta(seconds=1)
    assert raises(world).startswith("ModelArtifactChanged")


def test_a_version_that_is_rejected_while_its_record_is_waited_for_is_not_used(world: World) -> None:
    unrecorded(world)
    describe, asked = world.sagemaker.describe_model_package, []

    def rejected_meanwhile(**request: Any) -> dict[str, Any]:
        asked.append(request)
        return {**describe(**request), **({"ModelApprovalStatus": "Rejected"} if len(asked) > 1 else {})}

    world.sagemaker.describe_model_package = rejected_meanwhile  # type: ignore[method-assign]
    assert raises(world).startswith("VersionNotApproved: version 1 became Rejected")


def test_a_version_that_is_tried_before_its_approval_needs_no_record_but_its_files_unchanged() -> None:
    world = of_statuses("PendingManualApproval", only_approved=False)
    unrecorded(world)
    assert world.resolve(model_version_wanted="1")["model_version"] == "1"
    assert world.clock.seconds == 0
    world.s3.modified["one/model.tar.gz"] = world.sagemaker.packages[0]["CreationTime"] + timedelta(seconds=1)
    assert raises(world, model_version_wanted="1").startswith("ModelArtifactChanged")


def test_where_approvals_are_not_recorded_no_record_is_waited_for(world: World) -> None:
    unrecorded(world)
    settings = replace(world.resolver.settings, approvals_recorded=False)
    world.resolver = replace(world.resolver, settings=settings)
    assert world.resolve()["model_version"] == "1"


def test_a_version_whose_artifact_is_gone_is_refused(world: World) -> None:
    del world.s3.objects["artifacts"]["one/model.tar.gz"]
    assert "model.tar.gz of version 1 is gone" in raises(world)


def test_a_changed_file_is_told_before_anything_of_the_batch(world: World) -> None:
    world.s3.modified["one/model.tar.gz"] = world.sagemaker.packages[0]["CreationTime"] + timedelta(seconds=1)
    del world.s3.objects["data-bucket"][BATCH]
    assert raises(world).startswith("ModelArtifactChanged")
