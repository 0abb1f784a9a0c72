"""What people are told of a version whose files were changed, or whose approval was not recorded."""

from __future__ import annotations

import pytest

from tests.handlers.notifier_world import World, lambda_error

FILE = "s3://artifacts/model/dev/run1/model.tar.gz"
CHANGED = f"{FILE} of version 4 is S3 version xyz, written at 2026-11-20 22:00:00 UTC"


@pytest.fixture
def world() -> World:
    return World()


def test_a_changed_file_is_told_with_the_two_ways_back(world: World) -> None:
    message = f"ModelArtifactChanged: {CHANGED}, not abc, which was approved. Batch: s3://data/batch.csv"
    world.fails("Mammo-ResolveModel", lambda_error("ModelArtifactChanged", message))
    world.notify()
    assert world.subject == "[prod] model: nothing scored, a file of version 4 was changed"
    assert f"ModelArtifactChanged: {CHANGED}, not abc" in world.body
    assert "make reject VERSION=4 MODEL=model" in world.body
    assert (
        "aws s3api delete-object --profile mlops-registry --bucket artifacts --key model/dev/run1/model.tar.gz "
        "--version-id xyz"
    ) in world.body
    assert "INPUT=s3://data/batch.csv" in world.body
    assert "No retraining was started" not in world.body


def test_predictions_that_a_changed_file_may_have_made_are_not_to_be_used(world: World) -> None:
    message = (
        f"ModelArtifactChanged: {CHANGED}, while the run used S3 version abc: "
        "the predictions in s3://data/model/inference/run1/predictions must not be used"
    )
    world.fails("Mammo-RecordPredictions", lambda_error("ModelArtifactChanged", message))
    world.notify()
    assert world.subject == "[prod] model: predictions must not be used, a file of version 4 was changed"
    assert "the predictions in s3://data/model/inference/run1/predictions must not be used" in world.body
    assert "Do not use the predictions of this run" in world.body


def test_a_file_that_is_gone_is_told_without_a_command_that_deletes(world: World) -> None:
    world.fails("Mammo-ResolveModel", f"ModelArtifactChanged: {FILE} of version 4 is gone: restore it")
    world.notify()
    assert world.subject == "[prod] model: nothing scored, a file of version 4 was changed"
    assert "delete-object" not in world.body


def test_a_changed_champion_keeps_a_model_from_being_trained() -> None:
    world = World(kind="train")
    world.fails("Mammo-ResolveChampion", f"ModelArtifactChanged: {CHANGED}, not abc, which was approved")
    world.notify()
    assert world.subject == "[prod] model: nothing trained, a file of version 4 was changed"


def test_an_approval_that_was_not_recorded_is_told_with_the_command_that_mends_it(world: World) -> None:
    message = "version 4 is approved, but the registry has not recorded which files were"
    world.fails("Mammo-ResolveModel", lambda_error("ApprovalNotRecorded", f"ApprovalNotRecorded: {message}"))
    world.notify()
    assert world.subject == "[prod] model: nothing scored, the approval was not recorded"
    assert f"ApprovalNotRecorded: {message}" in world.body
    assert "make approve VERSION=4 MODEL=model" in world.body
    assert "mlops-registry-approval-recorder" in world.body
