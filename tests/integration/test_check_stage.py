"""What a delivery's builds do after each deployment, by their own roles: check and record; and a version's trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_cloud.keeper import write_profiles
from ops import assembly, checks_drift, checks_runs, checks_versions
from ops.checks import check_stage
from ops.checks_common import Access, Check, CheckError
from ops.data import ROOT
from stacks.installation import STACKS, StageName
from tests.integration.loop import Loop, is_denied
from tests.stacks.installations import synthesized

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-c")]

BUILD = "arn:aws:iam::333333333333:role/mlops/delivery/build/mlops-delivery-jenkins"
VALUES: dict[str, Any] = {
    "models": [{"folder": "mammography"}],
    "accounts": {"staging": "444444444444"},
    "delivery": {"by": "jenkins", "jenkins_principals": ["arn:aws:iam::333333333333:user/jenkins"]},
}


@dataclass
class Builds:
    """The delivery's builds on an installation with staging."""

    loop: Loop
    assembly: Path
    work: Path
    session: Any  # of the build role

    def checker(self, stage: StageName) -> Any:
        """Return a session of a stage's checker, as the build assumes it."""
        return self.loop.cloud.assume(
            self.loop.settings.checker_role_arn(stage), session_name="check", by=self.session
        )

    def make(self, command: str, stage: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a make target as a build does."""
        keys = self.session.get_credentials()
        return self._run(
            command,
            {
                "AWS_ACCESS_KEY_ID": keys.access_key,
                "AWS_SECRET_ACCESS_KEY": keys.secret_key,
                "AWS_SESSION_TOKEN": keys.token,
                "AWS_ENDPOINT_URL": self.loop.cloud.endpoint,
                "MLOPS_BUILD": "true",
                "STAGE": stage,
                "ASSEMBLY": str(self.assembly),
                "CHECK_LEAD_SECONDS": "1",
                **variables,
            },
        )

    def person(self, command: str, *accounts: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a make target as somebody with profiles for some accounts."""
        config = self.work / "-".join(["config", *accounts])
        named = {f"mlops-{name}": self.loop.settings.accounts[name] for name in accounts}
        write_profiles(config, self.loop.cloud, self.loop.region, named)
        return self._run(command, {"AWS_CONFIG_FILE": str(config), **variables})

    def _run(self, command: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return subprocess.run(
            [sys.executable, "-m", "ops", command],
            cwd=ROOT,
            env={
                **kept,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
                "MLOPS_SETTINGS": str(self.work / "settings.json"),
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def check(self, stage: StageName) -> str:
        """Check a stage in this process and return the line that it fails with."""
        session = self.checker(stage)
        with pytest.raises(CheckError) as failed:
            check_stage(
                self.loop.settings,
                self.loop.stage(stage),
                self.loop.settings.models,
                Access.of(session, session, poll_seconds=0.1),
                assembly.find(self.assembly, STACKS[stage]),
                say=lambda line: None,
            )
        (line,) = str(failed.value).splitlines()
        assert line.startswith(f"{stage}: expected ")
        return line


@pytest.fixture(scope="module")
def builds(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builds]:
    work = tmp_path_factory.mktemp("builds")
    (work / "settings.json").write_text(json.dumps(VALUES))
    with Loop.installed(VALUES, files) as loop:
        jenkins = loop.user("registry", "jenkins", BUILD)
        session = loop.cloud.assume(BUILD, session_name="build", by=jenkins)
        yield Builds(loop, Path(synthesized(VALUES).directory), work, session)


@pytest.fixture(scope="module")
def promoted(builds: Builds) -> dict[str, str]:
    """What the checks of a whole promotion say, by stage, with the version approved before prod."""
    said = {"dev without data": builds.check("dev")}
    said["staging without a version"] = builds.check("staging")
    nothing_yet = builds.make("check-stage", "prod")
    assert nothing_yet.returncode == 0, nothing_yet.stderr
    said["prod without a version"] = nothing_yet.stdout
    builds.loop.upload("dev")
    for stage in ("dev", "staging", "prod"):
        if stage == "prod":
            builds.loop.set_status(1, "Approved")
        done = builds.make("check-stage", stage)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        said[stage] = done.stdout
    return said


def test_dev_says_which_data_are_missing_and_how_they_come(promoted: dict[str, str]) -> None:
    assert promoted["dev without data"] == (
        "dev: expected training data below s3://sagemaker-mlops-dev-111111111111-us-east-1/mammography-severity-model/"
        "data/train-dataset/; found none; make data, then make upload STAGE=dev"
    )


def test_dev_trains_and_tells_the_metrics_of_the_version(promoted: dict[str, str]) -> None:
    *_, version, last = promoted["dev"].splitlines()
    assert version.startswith(
        "dev: mammo-severity-model-package version 1 is PendingManualApproval: cv AUC 0.9"
    )
    assert last == "dev: all checks passed"


def test_staging_says_that_there_is_no_version_and_how_one_comes(promoted: dict[str, str]) -> None:
    assert promoted["staging without a version"].endswith(
        "found none; train one: make run PIPELINE=train STAGE=dev"
    )


def test_staging_scores_by_a_schedule_and_sees_a_drift_through(
    builds: Builds, promoted: dict[str, str]
) -> None:
    said = promoted["staging"]
    assert "starts it at " in said
    assert "staging: 200 scores as registered (largest difference 0.000000), no trace left" in said
    assert "  retraining not_started because the run was a check" in said
    assert "  alert sent: [staging] mammography-severity-model: check: data drift in " in said
    scheduler = builds.loop.client("staging", "scheduler")
    assert sorted(one["Name"] for one in scheduler.list_schedules()["Schedules"]) == [
        "mammo-severity-staging-inference",
        "mammo-severity-staging-quality",
    ]


def test_prod_without_an_approved_version_checks_what_is_deployed(promoted: dict[str, str]) -> None:
    said = promoted["prod without a version"]
    assert "prod: 3 pipelines have the definitions and code of commit 000000000000" in said
    assert "no version of mammo-severity-model-package is approved for it yet" in said


def test_prod_scores_the_version_in_use_and_leaves_no_trace(builds: Builds, promoted: dict[str, str]) -> None:
    assert "prod: 200 scores as registered" in promoted["prod"]
    assert builds.loop.keys("prod", "state/") == []
    assert builds.loop.keys("prod", "inference/") == []
    assert builds.loop.messages("prod") == []


def test_a_version_below_the_gate_fails_the_check_of_dev_with_its_numbers(
    builds: Builds, promoted: dict[str, str]
) -> None:
    part1 = (builds.loop.files / "mammo-train-dataset-part1.csv").read_text()
    # The same rows once more with the other label: nothing can be learnt from both together.
    flipped = "\n".join(f"{line[:-1]}{'01'[line.endswith('0')]}" for line in part1.splitlines())
    builds.loop.put("dev", "data/train-dataset/zz-flipped.csv", flipped)
    try:
        line = builds.check("dev")
    finally:
        builds.loop.client("dev", "s3").delete_object(
            Bucket=builds.loop.stage("dev").data_bucket_name,
            Key=f"{builds.loop.model.model_name}/data/train-dataset/zz-flipped.csv",
        )
    assert "mammo-severity-train-pipeline failed at Mammo-AUCFail: ModelRejected: " in line
    assert "0.85" in line


def test_staging_fails_where_nobody_decides_about_a_drift(
    builds: Builds, promoted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, session, said = builds.loop, builds.checker("staging"), list[str]()
    check = Check(
        loop.settings,
        loop.stage("staging"),
        loop.model,
        Access.of(session, session, poll_seconds=0.1),
        said.append,
    )
    version = checks_versions.newest(check)
    assert version is not None
    tested = checks_versions.own_batch(check, version)
    assert tested is not None
    events = loop.client("staging", "events")
    (rule,) = [one["Name"] for one in events.list_rules()["Rules"] if "Retrain" in one["Name"]]
    monkeypatch.setattr(checks_drift, "WAIT_SECONDS", 1.5)
    events.disable_rule(Name=rule)
    try:
        with pytest.raises(
            CheckError, match=r"found no decision within 1\.5 s; see the log of mammo-severity"
        ):
            checks_drift.check_drift(check, checks_runs.new_check_id(), tested)
    finally:
        events.enable_rule(Name=rule)


def test_another_commit_than_the_assemblys_is_named(builds: Builds, promoted: dict[str, str]) -> None:
    sagemaker = builds.loop.client("prod", "sagemaker")
    arn = sagemaker.describe_pipeline(PipelineName="mammo-severity-train-pipeline")["PipelineArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "mlops:commit", "Value": "f" * 40}])
    try:
        line = builds.check("prod")
    finally:
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "mlops:commit", "Value": "0" * 40}])
    assert f"expected mammo-severity-train-pipeline to have the commit {'0' * 40}" in line
    assert f"found {'f' * 40}; deploy ProdStack" in line


def test_a_pipeline_that_is_not_there_is_named(builds: Builds) -> None:
    found = assembly.find(builds.assembly, "ProdStack")
    found.pipelines["mammo-severity-other-pipeline"] = {}
    session = builds.checker("prod")
    with pytest.raises(CheckError, match="expected the pipeline mammo-severity-other-pipeline; found none"):
        check_stage(
            builds.loop.settings,
            builds.loop.stage("prod"),
            (),
            Access.of(session, session, poll_seconds=0.1),
            found,
            say=lambda line: None,
        )


def test_a_build_records_what_it_promoted(builds: Builds) -> None:
    recorded = builds.make("record", "staging")
    assert (recorded.returncode, recorded.stderr) == (0, "")
    listed = builds.make("promotions", "staging")
    assert (listed.returncode, listed.stderr) == (0, "")
    (line,) = listed.stdout.splitlines()[1:]
    assert line.split()[1] == "0" * 12
    assert line.endswith("deployed now")


def test_a_build_that_the_stage_does_not_trust_is_told_in_one_line(builds: Builds) -> None:
    keys = builds.loop.user("registry", "mallory", "*").get_credentials()
    done = builds.make(
        "check-stage",
        "prod",
        AWS_ACCESS_KEY_ID=keys.access_key,
        AWS_SECRET_ACCESS_KEY=keys.secret_key,
        AWS_SESSION_TOKEN="",
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith(
        "check-stage: this build may not become arn:aws:iam::222222222222:role/mlops/prod/"
    )


def test_a_checker_does_nothing_but_check(builds: Builds, promoted: dict[str, str]) -> None:
    loop, session = builds.loop, builds.checker("staging")
    sagemaker, s3, scheduler = (session.client(name) for name in ("sagemaker", "s3", "scheduler"))
    bucket, home = loop.stage("staging").data_bucket_name, loop.model.model_name
    own = scheduler.get_schedule(Name="mammo-severity-staging-inference")["Target"]
    calls: dict[str, Callable[[], object]] = {
        "trains": lambda: sagemaker.start_pipeline_execution(PipelineName="mammo-severity-train-pipeline"),
        "changes a pipeline": lambda: sagemaker.update_pipeline(
            PipelineName="mammo-severity-inference-pipeline", PipelineDescription="mine"
        ),
        "approves": lambda: sagemaker.update_model_package(
            ModelPackageArn=f"{loop.package_arn}/1", ModelApprovalStatus="Approved"
        ),
        "writes training data": lambda: s3.put_object(
            Bucket=bucket, Key=f"{home}/data/train-dataset/checks/x.csv", Body=b""
        ),
        "writes state": lambda: s3.put_object(Bucket=bucket, Key=f"{home}/state/scored/x.json", Body=b""),
        "reads predictions": lambda: s3.get_object(Bucket=bucket, Key=f"{home}/inference/x/predictions/y"),
        "deletes a check": lambda: s3.delete_object(Bucket=bucket, Key=f"{home}/checks/x"),
        "schedules what is no check": lambda: scheduler.create_schedule(
            Name="nightly",
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": own["Arn"], "RoleArn": own["RoleArn"]},
        ),
        "passes another role": lambda: scheduler.create_schedule(
            Name="mlops-check-staging-x",
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": own["Arn"], "RoleArn": loop.role("staging", "train")},
        ),
        "deletes the stage's schedule": lambda: scheduler.delete_schedule(
            Name="mammo-severity-staging-inference"
        ),
    }
    assert [what for what, call in calls.items() if not is_denied(call)] == []


def test_a_trace_names_commit_data_parameters_metrics_and_approval(
    builds: Builds, promoted: dict[str, str]
) -> None:
    done = builds.person("trace", "registry", "dev", VERSION="1", JSON="true")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["commit"] == "0" * 40
    assert found["stage"] == "dev"
    assert [one["name"] for one in found["data_files"]] == ["mammo-train-dataset-part1.csv"]
    assert str(found["data_files"][0]["rows"]) == found["data_rows"]
    assert found["parameters"]["AucScoreThreshold"] == found["metrics"]["auc_score_threshold"] == "0.85"
    assert float(found["metrics"]["cv_auc"]) > 0.85
    assert found["champion"] == "none"
    assert found["definition_here"].endswith("definitions/mammography/default/train.json of this clone")
    assert found["status"] == "Approved"
    assert found["decided_by"] == "arn:aws:iam::333333333333:root"
    assert found["used_for"] == {"dev": "scored no batch"}
    assert [line.split(":")[0] for line in found["missing"]] == [
        "what staging scored with it",
        "what prod scored with it",
    ]


def test_a_trace_without_access_to_the_stage_says_so_and_tells_what_the_version_says(
    builds: Builds, promoted: dict[str, str]
) -> None:
    done = builds.person("trace", "registry", VERSION="1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(None, 1) for line in done.stdout.splitlines() if not line.startswith(" "))
    assert lines["commit"] == "0" * 40
    rows = (builds.loop.files / "mammo-train-dataset-part1.csv").read_text().count("\n") - 1
    assert lines["data"].startswith(f"{rows} rows, sha256 ")
    assert lines["not"].startswith(
        "known   data files and parameters of its run, and what dev scored with it: "
    )


def test_a_version_that_is_not_there_is_named(builds: Builds, promoted: dict[str, str]) -> None:
    done = builds.person("trace", "registry", VERSION="99")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("trace: mammo-severity-model-package has no version 99 (")
