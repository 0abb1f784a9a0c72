"""Check runs: a stage scores a version's own batch and gets its scores, and nothing else is touched."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from demo.lookout import Run
from stacks.installation import StageName
from tests.integration.loop import Loop, words

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]


def put_check_batch(loop: Loop, stage: StageName, content: bytes) -> str:
    """Put a batch where checks have theirs, and return its URI."""
    return loop.put(stage, f"checks/batches/{uuid.uuid4().hex[:8]}/check_batch.csv", content)


def check(loop: Loop, stage: StageName, batch: str, **parameters: str) -> Run:
    """Start inference as a check, and wait for its end."""
    run_uri = f"s3://{loop.stage(stage).data_bucket_name}/{loop.model.model_name}/checks"
    return loop.run(stage, "inference", RunUri=run_uri, transform_input=batch, **parameters)


def own_batch(loop: Loop, stage: StageName, version: int = 1) -> str:
    """Put a version's own batch, and return its URI."""
    return put_check_batch(loop, stage, loop.read(f"{loop.evaluation_folder(version)}/check_batch.csv"))


def metric(loop: Loop, stage: StageName, name: str) -> float:
    """Return the sum of one of our metrics."""
    now = datetime.now(UTC)
    answer = loop.client(stage, "cloudwatch").get_metric_statistics(
        Namespace="cdk-mlops",
        MetricName=name,
        Dimensions=[{"Name": "Stage", "Value": stage}, {"Name": "Model", "Value": loop.model.model_name}],
        StartTime=now - timedelta(hours=2),
        EndTime=now + timedelta(hours=1),
        Period=86_400,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))


def test_a_stage_gets_the_scores_of_a_versions_own_batch_and_records_nothing(loop: Loop) -> None:
    loop.score("prod")  # so that there is something that could change
    before = (loop.keys("prod", "state/"), metric(loop, "prod", "BatchScored"))
    run = check(loop, "prod", own_batch(loop, "prod"), ModelVersion="1")
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    home = f"checks/{run.outcome.execution_id}"
    (key,) = loop.keys("prod", f"{home}/predictions/")
    scores = loop.read(f"s3://{loop.stage('prod').data_bucket_name}/{key}", "prod")
    assert scores == loop.read(f"{loop.evaluation_folder(1)}/check_scores.csv")
    assert loop.keys("prod", f"{home}/data-quality/verdict.json")
    assert loop.keys("prod", f"inference/{run.outcome.execution_id}") == []
    assert before[1] >= 1
    assert (loop.keys("prod", "state/"), metric(loop, "prod", "BatchScored")) == before


def test_a_drift_in_a_check_is_told_as_such_and_retrains_nothing(loop: Loop) -> None:
    trained, drifts = loop.executions("prod", "train"), metric(loop, "prod", "DriftDetected")
    shifted = (loop.files / "mammo-batch-dataset-outliers.csv").read_bytes()
    run = check(loop, "prod", put_check_batch(loop, "prod", shifted))
    assert words(run).startswith("DataDriftDetected: ")
    decision = loop.decision("prod", run)
    assert decision["decision"] == "not_started"
    assert decision["reason"] == "the run was a check, and a check never retrains"
    (alert,) = loop.alerts(run)
    assert alert["subject"].startswith("[prod] mammography-severity-model: check: data drift in ")
    assert decision["reason"] in alert["body"]
    assert ", mean " in alert["body"]
    assert (loop.executions("prod", "train"), metric(loop, "prod", "DriftDetected")) == (trained, drifts)


def test_a_version_is_tried_in_dev_before_it_is_approved_but_not_in_prod(loop: Loop) -> None:
    number = loop.copy_version()
    try:
        tried = check(loop, "dev", own_batch(loop, "dev"), ModelVersion="newest")
        assert (tried.outcome.status, tried.model_version) == ("Succeeded", number), tried.outcome.in_words()
        refused = loop.score("prod", ModelVersion=str(number))
    finally:
        loop.set_status(number, "Rejected")
    assert words(refused).startswith(
        f"VersionNotApproved: version {number} of the package group mammo-severity-model-package in account "
        "333333333333 is PendingManualApproval"
    )
    (alert,) = loop.alerts(refused)
    assert (
        alert["subject"]
        == "[prod] mammography-severity-model: nothing scored, the model version is not approved"
    )
    assert f"make approve VERSION={number} MODEL=mammography-severity-model" in alert["body"]


def test_what_made_a_batch_and_a_version_stands_in_their_records(loop: Loop) -> None:
    run = loop.score("prod")
    digests = {
        kind: {
            tag["Key"]: tag["Value"]
            for tag in loop.client("prod", "sagemaker").list_tags(
                ResourceArn=run.outcome.execution_arn.split("/execution/")[0].replace("inference", kind)
            )["Tags"]
        }
        for kind in ("train", "inference")
    }
    records = [
        loop.read_json(f"s3://{loop.stage('prod').data_bucket_name}/{key}", "prod")
        for key in loop.keys("prod", "state/scored/")
    ]
    (record,) = [one for one in records if one["execution_id"] == run.outcome.execution_id]
    assert record["definition_sha256"] == digests["inference"]["mlops:definition"]
    assert record["git_commit"] == digests["inference"]["mlops:commit"]
    assert record["code_uri"].endswith(f"/scripts/{digests['inference']['mlops:code']}")
    version = loop.versions()[0].metrics
    assert version["definition_sha256"] == digests["train"]["mlops:definition"]  # the same in every stage
    assert (version["auc_score_threshold"], version["min_gain_over_champion"]) == ("0.85", "-0.02")
