"""Quality checks, keys of other accounts, and the end of a cloud while a job runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local_cloud.cloud import LocalCloud
from tests.local_cloud.engine_kit import (
    DEV,
    PROD,
    REGISTRY,
    allow,
    document,
    encrypted_bucket,
    eventually,
    make_key,
    unique,
)
from tests.local_cloud_sagemaker.definitions import (
    fail,
    get,
    join,
    pipeline,
    processing,
    quality_check,
    training,
)
from tests.local_cloud_sagemaker.stage import ROLE, Stage

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("sagemaker")]

WRITE = "(root / 'output/made/file.txt').write_text('x')"


@pytest.fixture(scope="module")
def stage(cloud: LocalCloud) -> Stage:
    return Stage(cloud)


def test_a_skipped_check_gives_the_new_baseline(stage: Stage) -> None:
    key = unique("check")
    stage.put(f"{key}/data/a.csv", "1\n2\n3\n")
    step = quality_check("Baseline", stage.uri(f"{key}/data"), stage.uri(f"{key}/out"), SkipCheck=True)
    said = [
        get(f"Steps.Baseline.{n}")
        for n in ("CalculatedBaselineStatistics", "BaselineUsedForDriftCheckConstraints")
    ]
    run = stage.run(pipeline(step, fail("Say", join(*said, on=" ")), parameters=[ROLE]))
    out = stage.uri(f"{key}/out")
    assert run.reason("Say") == f"{out}/statistics.json {out}/constraints.json"
    assert run.steps["Baseline"]["Metadata"]["QualityCheck"]["SkipCheck"] is True


@pytest.mark.parametrize(
    ("rows", "fails", "status"), [(3, True, "Succeeded"), (2, True, "Failed"), (2, False, "Succeeded")]
)
def test_violations_of_a_supplied_baseline_fail_the_step_if_asked_to(
    stage: Stage, rows: int, fails: bool, status: str
) -> None:
    key = unique("check")
    stage.put(f"{key}/data/a.csv", "1\n" * rows)
    baseline = stage.put(f"{key}/baseline/statistics.json", '{"dataset": {"item_count": 3}}')
    run = stage.run(
        pipeline(
            quality_check(
                "Check", stage.uri(f"{key}/data"), stage.uri(f"{key}/out"),
                SuppliedBaselineStatistics=baseline, FailOnViolation=fails,
            ),
            parameters=[ROLE],
        )
    )  # fmt: skip
    assert run.status == status, run.steps
    metadata = run.steps["Check"]["Metadata"]["QualityCheck"]
    assert metadata["ViolationReport"] == stage.uri(f"{key}/out/constraint_violations.json")
    assert metadata["BaselineUsedForDriftCheckStatistics"] == baseline
    if status == "Failed":
        assert run.reason("Check").startswith("CheckFailure: 1 constraint violations (rows)")


@pytest.mark.parametrize("admitted", [True, False])
def test_outputs_are_encrypted_with_the_shared_key_of_another_account(stage: Stage, admitted: bool) -> None:
    cloud = stage.cloud
    alias = f"alias/{unique('shared')}"
    uses = ("kms:GenerateDataKey*", "kms:Encrypt", "kms:Decrypt")
    grant = {"Principal": {"AWS": f"arn:aws:iam::{DEV}:root"}, **allow(*uses)}
    key = make_key(cloud, REGISTRY, *([grant] if admitted else []), alias=alias)
    bucket = encrypted_bucket(cloud, REGISTRY, key)
    policy = {
        "Principal": {"AWS": f"arn:aws:iam::{DEV}:root"},
        **allow("s3:PutObject", on=f"arn:aws:s3:::{bucket}/*"),
    }
    s3 = cloud.session(REGISTRY).client("s3")
    s3.put_bucket_policy(Bucket=bucket, Policy=document(policy))
    role = stage.make_role(
        allow("s3:PutObject", on=f"arn:aws:s3:::{bucket}/*"),
        allow(
            *uses,
            on=f"arn:aws:kms:us-east-1:{REGISTRY}:key/*",
            when={"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}},
        ),
    )
    step = processing(
        "Write",
        stage.program(WRITE),
        outputs={"made": f"s3://{bucket}/made"},
        kms_key=f"arn:aws:kms:us-east-1:{REGISTRY}:{alias}",
    )
    run = stage.finish(stage.start(stage.create(pipeline(step, parameters=[ROLE]), role), RoleArn=role))
    if admitted:
        assert run.status == "Succeeded", run.steps
        assert s3.head_object(Bucket=bucket, Key="made/file.txt")["ServerSideEncryption"] == "aws:kms"
    else:
        assert "kms:GenerateDataKey" in run.reason("Write")


def test_a_training_job_says_what_it_made(stage: Stage) -> None:
    key = unique("train")
    stage.put(f"{key}/a.csv", "\n".join(f"{i % 2},{i % 2 * 4 + i % 3},{i % 5}" for i in range(60)))
    step = training("Train", stage.uri(key), stage.uri(f"{key}-out"), eval_metric="auc")
    run = stage.run(pipeline(step, parameters=[ROLE]))
    name = run.steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[-1]
    job = stage.sagemaker.describe_training_job(TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert [metric["MetricName"] for metric in job["FinalMetricDataList"]] == ["train:auc"]
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifact == stage.uri(f"{key}-out/{job['TrainingJobName']}/output/model.tar.gz")


def test_a_bad_hyperparameter_fails_the_step_with_the_fault_named_as_the_users(stage: Stage) -> None:
    stage.put("bad/a.csv", "1,2\n0,3\n")
    run = stage.run(
        pipeline(training("Train", stage.uri("bad"), stage.uri("out"), eta="7"), parameters=[ROLE])
    )
    assert run.reason("Train").startswith("ClientError: Hyperparameter eta: value '7'")


def test_no_job_outlives_its_cloud(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    with LocalCloud.start(accounts=(DEV, PROD, REGISTRY)) as cloud:
        stage = Stage(cloud)
        code = f"pathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\ntime.sleep(60)"
        stage.start(
            stage.create(pipeline(processing("Slow", stage.program(code)), parameters=[ROLE])),
            RoleArn=stage.role,
        )
        eventually(lambda: marker.exists() and marker.read_text())
    pid = int(marker.read_text())

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    eventually(gone, 5)
