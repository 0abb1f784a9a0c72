from __future__ import annotations

import pytest

from pipeline_notifier.batch import find_batch
from tests.handlers.fake_aws import REGION
from tests.handlers.notifier_world import INFERENCE, World, lambda_error

BATCH = "s3://data/batch.csv"


@pytest.fixture
def world() -> World:
    return World()


def resolved(world: World, uri: str) -> None:
    outputs = [{"Name": "batch_uri", "Value": uri}, {"Name": "model_version", "Value": "3"}]
    step = {"StepName": "Mammo-ResolveModel", "StepStatus": "Succeeded"}
    world.sagemaker.steps.insert(0, {**step, "Metadata": {"Lambda": {"OutputParameters": outputs}}})


def test_an_alert_names_the_batch_its_rows_and_the_version(world: World) -> None:
    world.drifts()
    world.verdict(rows=42)
    resolved(world, BATCH)
    world.notify()
    assert f"Batch: {BATCH} (42 rows), to be scored with version 3." in world.body


def test_a_batch_that_was_delivered_was_scored(world: World) -> None:
    world.notify(world.finding())
    assert f"Batch: {BATCH}, scored with version 1." in world.body


def test_a_drifted_batch_comes_with_the_command_that_scores_this_very_batch(world: World) -> None:
    world.drifts()
    resolved(world, BATCH)
    world.notify()
    assert (
        f"--profile mlops-prod --region {REGION} --pipeline-name {INFERENCE} --pipeline-parameters "
        f"Name=transform_input,Value={BATCH} Name=PredictionsOnDrift,Value=deliver"
    ) in world.body


@pytest.mark.parametrize(
    ("step", "reason"), [("Mammo-ViolationFail", "DataQualityViolated: x"), ("Mammo-Transform", "disk full")]
)
def test_a_run_is_started_again_with_its_own_batch(world: World, step: str, reason: str) -> None:
    world.fails(step, reason)
    resolved(world, "s3://data/my batch.csv")
    world.notify()
    assert "MODEL=model INPUT='s3://data/my batch.csv'" in world.body


def test_a_command_never_falls_back_on_the_default_batch(world: World) -> None:
    world.fails("Mammo-ResolveModel", "Task timed out")
    world.notify()
    assert "INPUT='s3://<the batch>'" in world.body


def test_the_batch_that_lacked_an_approved_version_is_scored_next(world: World) -> None:
    world.fails("Mammo-ResolveModel", f"NoApprovedModel: g has none. Batch: {BATCH}")
    world.notify()
    command = f"make run PIPELINE=inference STAGE=prod MODEL=model INPUT={BATCH}"
    assert f"Then score the batch: {command}\n" in world.body


def test_a_robust_distance_is_told_as_what_chance_does_not_explain(world: World) -> None:
    feature = {"name": "Age", "distance": 0.09661, "simple": 0.3, "threshold": 0.0, "drifted": True}
    world.verdict(features=[{**feature, "before": 55.4921, "after": 62.12}])
    world.fails("Mammo-DriftFail", "DataDriftDetected: Age 0.0966 (limit 0)")
    world.notify()
    assert (
        "- Age: 0.0966 beyond what chance explains (limit 0), mean 55.49 in training and 62.12 in the batch"
        in world.body
    )


def test_a_category_has_no_mean_to_tell(world: World) -> None:
    feature = {"name": "Kind", "distance": 0.1, "simple": 0.1, "threshold": 0.0, "drifted": True}
    world.verdict(features=[{**feature, "before": None, "after": None}])
    world.fails("Mammo-DriftFail", "DataDriftDetected: Kind 0.1 (limit 0)")
    world.notify()
    assert "- Kind: distance 0.1 (limit 0)\n" in world.body


def test_a_run_that_asked_for_a_version_is_started_again_with_it(world: World) -> None:
    world.sagemaker.parameters = {"ModelVersion": "3", "transform_input": BATCH}
    world.fails("Mammo-DataQualityCheck", "out of memory")
    world.notify()
    assert (
        "make run PIPELINE=inference STAGE=prod MODEL=model INPUT='s3://<the batch>' VERSION=3\n"
        in world.body
    )


def test_a_drift_is_scored_all_the_same_with_the_version_that_was_asked_for(world: World) -> None:
    world.sagemaker.parameters = {"ModelVersion": "newest"}
    world.drifts()
    world.notify()
    assert "Name=PredictionsOnDrift,Value=deliver Name=ModelVersion,Value=newest\n" in world.body


def test_a_version_that_is_not_approved_is_told_with_what_to_do(world: World) -> None:
    world.sagemaker.parameters = {"ModelVersion": "4"}
    message = f"VersionNotApproved: version 4 of the package group g is PendingManualApproval. Batch: {BATCH}"
    world.fails("Mammo-ResolveModel", lambda_error("VersionNotApproved", message))
    world.notify()
    assert world.subject == "[prod] model: nothing scored, the model version is not approved"
    assert "make approve VERSION=4 MODEL=model\n" in world.body
    assert (
        f"Then score the batch: make run PIPELINE=inference STAGE=prod MODEL=model INPUT={BATCH} VERSION=4\n"
        in (world.body)
    )
    assert f"INPUT={BATCH} VERSION=newest_approved\n" in world.body
    assert "What was done by itself\n  Nothing.\n" in world.body


def test_a_version_that_does_not_exist_is_told_with_what_to_do(world: World) -> None:
    world.sagemaker.parameters = {"ModelVersion": "9"}
    message = f"VersionNotFound: version 9 of the package group g does not exist. Batch: {BATCH}"
    world.fails("Mammo-ResolveModel", lambda_error("VersionNotFound", message))
    world.notify()
    assert world.subject == "[prod] model: nothing scored, there is no such model version"
    assert "List the versions: make versions." in world.body
    assert "VERSION=9" not in world.body


@pytest.mark.parametrize(
    "words",
    [
        "s3://b/a folder/ does not exist: deliver it there",
        "s3://b/a folder/ is empty: deliver it there",
        "s3://b/a folder/ is an object, but SageMaker reads also s3://b/other",
        "s3://b/a folder/ was scored by version 1 at 9; the predictions are in s3://b/predictions.",
        "the group has no approved version. Batch: s3://b/a folder/",
    ],
)
def test_the_resolver_s_words_name_the_batch(words: str) -> None:
    assert find_batch(None, [], words).uri == "s3://b/a folder/"


def test_an_address_that_was_cut_is_not_offered() -> None:
    assert find_batch(None, [], "the group has none. Batch: s3://b/very-long...").uri == ""
