"""Runs that end badly: named, told once, and nothing registered, scored or retrained because of them."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.integration.loop import Loop, words
from tests.integration.processes import programs_of

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]


def test_a_missing_batch_is_named_and_told_once(loop: Loop) -> None:
    missing = (
        f"s3://{loop.stage('prod').data_bucket_name}/{loop.model.model_name}/data/batch-dataset/nowhere.csv"
    )
    run = loop.score("prod", missing)
    assert run.outcome.failed_step == "Mammo-ResolveModel"
    assert words(run) == (
        f"BatchNotFound: {missing} does not exist: deliver it there, or name another with INPUT=<address> "
        "(the parameter transform_input)"
    )
    (alert,) = loop.alerts(run)
    assert alert["subject"] == "[prod] mammography-severity-model: nothing scored, the batch is missing"
    assert alert["body"].count("BatchNotFound") == 1
    assert loop.keys("prod", f"inference/{run.outcome.execution_id}") == []
    assert loop.executions("prod", "train") == []


def test_an_approval_does_not_cover_files_that_were_written_after_it(loop: Loop) -> None:
    """Dev's train role may write artifacts: it must not choose what prod scores with."""
    registry, bucket = loop.client("registry", "sagemaker"), loop.settings.artifacts_bucket_name
    first = registry.describe_model_package(ModelPackageName=f"{loop.package_arn}/1")
    container = first["InferenceSpecification"]["Containers"][0]
    key = container["ModelDataUrl"].removeprefix(f"s3://{bucket}/")
    copy = f"{loop.model.model_name}/dev/another-run/model.tar.gz"
    train_role = loop.cloud.service_session(loop.role("dev", "train")).client("s3")
    model = train_role.get_object(Bucket=bucket, Key=key)["Body"].read()
    train_role.put_object(Bucket=bucket, Key=copy, Body=model)
    specification = {
        **first["InferenceSpecification"],
        "Containers": [{**container, "ModelDataUrl": f"s3://{bucket}/{copy}"}],
    }
    version = registry.create_model_package(
        ModelPackageGroupName=loop.model.model_package_group,
        ModelApprovalStatus="Approved",
        InferenceSpecification=specification,
        DriftCheckBaselines=first["DriftCheckBaselines"],
    )["ModelPackageArn"]
    number = int(version.rsplit("/", 1)[-1])
    try:
        assert loop.score("prod").model_version == number
        time.sleep(1.1)  # S3 knows when an object was written to the second
        train_role.put_object(Bucket=bucket, Key=copy, Body=model)
        run = loop.score("prod")
    finally:
        loop.set_status(number, "Rejected")
    assert words(run).startswith(f"ModelArtifactChanged: s3://{bucket}/{copy} of version {number} is ")
    (alert,) = loop.alerts(run)
    assert "after the version was registered" in alert["body"]
    assert loop.score("prod").model_version == 1


def test_an_object_whose_name_others_begin_with_is_refused(loop: Loop) -> None:
    batch = loop.put_batch("prod")
    bucket, key = batch.removeprefix("s3://").split("/", 1)
    loop.client("prod", "s3").put_object(Bucket=bucket, Key=f"{key}.bak", Body=b"4,50,1,1,3\n")
    run = loop.score("prod", batch)
    assert words(run).startswith(f"BatchAmbiguous: {batch} is an object")
    assert f"{batch}.bak" in words(run)


def test_a_folder_is_scored_without_what_begins_like_it(loop: Loop) -> None:
    folder = loop.put_batch("prod").rsplit("/", 1)[0]
    bucket, key = folder.removeprefix("s3://").split("/", 1)
    loop.client("prod", "s3").put_object(Bucket=bucket, Key=f"{key}-old/x.csv", Body=b"not,a,row\n")
    run = loop.score("prod", folder)
    assert (run.outcome.status, run.rows_scored) == ("Succeeded", loop.rows_in())


def test_a_batch_is_scored_once_by_a_version_unless_asked(loop: Loop) -> None:
    batch = loop.put_batch("prod")
    first = loop.score("prod", batch)
    assert (first.outcome.status, first.rows_scored) == ("Succeeded", loop.rows_in())
    second = loop.score("prod", batch)
    where = f"{loop.model.model_name}/inference/{first.outcome.execution_id}/predictions"
    assert words(second).startswith(
        f"BatchAlreadyScored: {batch} was scored by version {first.model_version} "
    )
    assert where in words(second)
    (alert,) = loop.alerts(second)
    assert "this batch was scored already" in alert["subject"]
    assert where in alert["body"]
    again = loop.score("prod", batch, Rescore="true")
    assert loop.predictions("prod", again) == loop.predictions("prod", first)

    newer = loop.copy_version()
    loop.set_status(newer, "Approved")
    try:
        by_the_new_one = loop.score("prod", batch)
    finally:
        loop.set_status(newer, "Rejected")
    assert (by_the_new_one.outcome.status, by_the_new_one.model_version) == ("Succeeded", newer)


def test_a_model_below_the_gate_is_rejected_with_its_numbers(loop: Loop) -> None:
    known = len(loop.versions())
    run = loop.run("dev", "train", AucScoreThreshold="0.999")
    assert run.outcome.failed_step == "Mammo-AUCFail"
    auc = float(loop.versions()[0].metrics["cv_auc"])  # the same data and parameters gave version 1
    assert words(run).startswith("ModelRejected: ")
    assert f"{auc:.4f}" in words(run)
    assert "0.999" in words(run)
    (alert,) = loop.alerts(run)
    assert alert["subject"] == "[dev] mammography-severity-model: the new model was rejected by the gate"
    assert "Nothing was registered" in alert["body"]
    assert len(loop.versions()) == known


def test_shuffled_labels_are_rejected(loop: Loop) -> None:
    header, *rows = (loop.files / "mammo-train-dataset-part1.csv").read_text().splitlines()
    split = [row.rsplit(",", 1) for row in rows]
    labels = [label for _, label in split]
    random.Random(1).shuffle(labels)
    shuffled = [f"{features},{label}" for (features, _), label in zip(split, labels, strict=True)]
    uri = loop.put("dev", "data/shuffled/rows.csv", "\n".join([header, *shuffled]) + "\n")
    known = len(loop.versions())
    run = loop.run("dev", "train", InputDataUrl=uri.rsplit("/", 1)[0] + "/")
    assert words(run).startswith("ModelRejected: ")
    evaluation = loop.read_json(
        f"s3://{loop.settings.artifacts_bucket_name}/{loop.model.model_name}/dev/{run.outcome.execution_id}"
        "/evaluation/evaluation.json",
        "registry",
    )
    assert 0.4 < evaluation["gate"]["cv_auc"] < 0.6
    assert len(loop.versions()) == known


def test_a_killed_step_fails_its_run_with_a_reason(loop: Loop) -> None:
    known = len(loop.versions())
    arn = loop.start("prod", "inference", {"transform_input": loop.put_batch("prod")})
    program = loop.wait_for("the check's process", lambda: programs_of(loop.cloud, "steps.check_batch"))[0]
    os.kill(program, signal.SIGKILL)
    run = loop.follow("killed", "prod", arn)
    assert (run.outcome.status, run.outcome.failed_step) == ("Failed", "Mammo-DataQualityCheck")
    assert words(run) == "AlgorithmError: the program was ended by signal 9, exit code: 137"
    (alert,) = loop.alerts(run)
    assert "failed in step Mammo-DataQualityCheck" in alert["subject"]
    assert "signal 9" in alert["body"]
    assert "No retraining was started" in alert["body"]
    assert loop.executions("prod", "train") == []
    assert len(loop.versions()) == known


def test_a_run_that_a_person_stops_is_told_as_stopped(loop: Loop) -> None:
    sagemaker = loop.client("prod", "sagemaker")
    arn = loop.start("prod", "inference", {"transform_input": loop.put_batch("prod")})
    loop.wait_for("the check's process", lambda: programs_of(loop.cloud, "steps.check_batch"))
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="s" * 32)
    run = loop.follow("stopped", "prod", arn)
    assert run.outcome.status == "Stopped"
    (alert,) = loop.alerts(run)
    assert alert["subject"] == "[prod] mammography-severity-model: the inference run was stopped"
    assert "was stopped" in alert["body"]
    assert loop.executions("prod", "train") == []


def test_the_newest_approved_version_is_found_behind_pages_of_others(loop: Loop) -> None:
    """Two pages of 100, of which the last version on the last page is the newest approved."""
    with loop.unannounced():
        (approved,) = [version for version in loop.versions() if version.status == "Approved"]
        copies = [loop.copy_version("Rejected") for _ in range(105)]
        run = loop.score("prod")
        assert (run.outcome.status, run.model_version) == ("Succeeded", approved.version)
        for version in copies:
            loop.set_status(version, "Approved")
        try:
            run = loop.score("prod")
        finally:
            for version in copies:
                loop.set_status(version, "Rejected")
        assert (run.outcome.status, run.model_version) == ("Succeeded", copies[-1])
