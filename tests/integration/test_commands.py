"""The commands behind the make targets, as a person runs them: outcomes in words, mistakes in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops import data
from pipeline_code.mammography import dataset
from tests.integration.conftest import PEOPLE
from tests.integration.loop import Loop

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]

ROOT = Path(__file__).resolve().parents[2]
ALICE_SERIAL = "arn:aws:iam::333333333333:mfa/local-cloud"


@dataclass
class Desk:
    """Where a person types: profiles for the three accounts and the settings."""

    environment: dict[str, str]

    def make(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command with make's variables."""
        return subprocess.run(
            [sys.executable, "-m", "ops", *words],
            cwd=ROOT,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def mistake(self, *words: str, **variables: str) -> str:
        """Run a command that must end with one line; return it."""
        done = self.make(*words, **variables)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        return line


@pytest.fixture(scope="module")
def desk(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A person with a profile for each account; that of the registry account is alice's, who may only approve."""
    folder = tmp_path_factory.mktemp("desk")
    alice = loop.user("registry", "alice", loop.settings.approver_role_arn).get_credentials()
    credentials = {"dev": ("111111111111", "test"), "prod": ("222222222222", "test")}
    credentials["registry"] = (alice.access_key, alice.secret_key)
    credentials["registry-owner"] = ("333333333333", "test")
    profiles = [
        f"[profile mlops-{name}]\nregion = {loop.region}\nendpoint_url = {loop.cloud.endpoint}\n"
        f"aws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
        for name, (key, secret) in credentials.items()
    ]
    (folder / "config").write_text("\n".join(profiles))
    (folder / "settings.json").write_text(json.dumps(PEOPLE))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLOPS_"))}
    return Desk(
        kept
        | {
            "AWS_CONFIG_FILE": str(folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "2",
            "MLOPS_SETTINGS": str(folder / "settings.json"),
        }
    )


def test_run_follows_the_steps_and_tells_the_outcome(loop: Loop, desk: Desk) -> None:
    done = desk.make("run", PIPELINE="inference", STAGE="prod", INPUT=loop.put_batch("prod"))
    assert (done.returncode, done.stderr) == (0, "")
    first, *steps, last, result = done.stdout.splitlines()
    assert first.startswith("mammo-severity-inference-pipeline in prod (222222222222), execution ")
    assert "  Mammo-Transform: Succeeded" in steps
    assert last.startswith("mammo-severity-inference-pipeline succeeded in ")
    assert result.startswith("predictions by version 1 are in s3://sagemaker-mlops-prod-")


def test_run_scores_with_the_version_that_is_asked_for(loop: Loop, desk: Desk) -> None:
    done = desk.make("run", PIPELINE="inference", STAGE="prod", INPUT=loop.put_batch("prod"), VERSION="77")
    assert (done.returncode, done.stderr) == (1, "")
    assert "VersionNotFound: version 77 of the package group " in done.stdout.splitlines()[-1]


def test_run_tells_why_a_run_failed_and_ends_with_1(desk: Desk) -> None:
    done = desk.make("run", PIPELINE="inference", STAGE="prod", INPUT="nowhere.csv")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1].startswith(
        "mammo-severity-inference-pipeline failed at Mammo-ResolveModel: BatchNotFound: s3://"
    )


def test_a_person_lists_rejects_and_approves_versions(loop: Loop, desk: Desk) -> None:
    number = str(loop.copy_version())
    second_factor = {"MFA_SERIAL": ALICE_SERIAL, "MFA_CODE": "123456"}
    loop.cloud.assume(  # makes the device that alice's code comes from
        loop.settings.approver_role_arn, session_name="alice", by=alice(loop, desk), mfa=True
    )
    assert (
        f"{number}  PendingManualApproval" in desk.make("versions", AWS_PROFILE="mlops-registry-owner").stdout
    )
    for command, status in (("approve", "Approved"), ("reject", "Rejected")):
        done = desk.make(command, VERSION=number, **second_factor)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"mammo-severity-model-package version {number} is {status}\n"
        assert {str(v.version): v.status for v in loop.versions()}[number] == status
        found = loop.client("registry", "sagemaker").describe_model_package(
            ModelPackageName=f"{loop.package_arn}/{number}"
        )
        who = found["LastModifiedBy"]["IamIdentity"]["Arn"]
        if status == "Approved":  # its record is a change too, and says who it was
            loop.wait_for("a record", lambda: "approved_by" in properties_of(loop, number))
            who = properties_of(loop, number)["approved_by"]
        assert who.endswith(f":assumed-role/mlops-registry-approver/{command}-alice")


def properties_of(loop: Loop, number: str) -> dict[str, str]:
    """What is written onto a version."""
    package = loop.client("registry", "sagemaker").describe_model_package(
        ModelPackageName=f"{loop.package_arn}/{number}"
    )
    return dict(package.get("CustomerMetadataProperties", {}))


def test_who_may_not_list_versions_is_told_what_is_missing(desk: Desk) -> None:
    done = desk.make("versions")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("versions: the versions of mammo-severity-model-package can't be listed: User: ")
    assert "sagemaker:ListModelPackages" in line


def test_without_a_second_factor_nobody_approves(loop: Loop, desk: Desk) -> None:
    line = desk.mistake("approve", VERSION="1")
    assert line.startswith("approve: arn:aws:iam::333333333333:user/alice may not become ")
    assert "MFA_SERIAL and MFA_CODE" in line


def test_a_version_that_is_not_there_is_named_with_those_that_are(loop: Loop, desk: Desk) -> None:
    done = desk.mistake("approve", VERSION="999", MFA_SERIAL=ALICE_SERIAL, MFA_CODE="123456")
    assert done.startswith("approve: mammo-severity-model-package has no version '999'; it has ")
    assert done.endswith(" 1")


def test_upload_puts_what_a_stage_trains_on_and_the_batches(loop: Loop, desk: Desk, tmp_path: Path) -> None:
    shutil.copy(dataset.source(tmp_path, offline=True).path, tmp_path / dataset.ORIGINAL)
    prepared = desk.make("data", DATA=str(tmp_path))
    assert prepared.returncode == 0, prepared.stderr
    assert f"  {tmp_path.name}/mammo-train-dataset-part1.csv" in prepared.stdout.splitlines()
    done = desk.make("upload", STAGE="prod", DATA=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    bucket = loop.stage("prod").data_bucket_name
    uri = f"s3://{bucket}/mammography-severity-model/data/train-dataset/mammo-train-dataset-part2.csv"
    assert f"  {uri}" in done.stdout.splitlines()
    assert "ground-truth" not in done.stdout


def test_upload_takes_the_ground_truth_of_batches_along_and_a_run_judges_what_is_named(
    loop: Loop, desk: Desk, tmp_path: Path
) -> None:
    for name in ("mammo-train-dataset-part1.csv", *data.batch_files(loop.model)):
        shutil.copy(loop.files / name, tmp_path / name)
    folder = tmp_path / "ground-truth"
    (folder / "mammo-batch-dataset-outliers.csv").mkdir(parents=True)
    (folder / "mammo-batch-dataset.csv").write_text("1,0\n")
    (folder / "mammo-batch-dataset-outliers.csv" / "monday.csv").write_text("1,1\n")
    (folder / "of-another-model.csv").write_text("1,1\n")
    done = desk.make("upload", STAGE="dev", DATA=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    home = f"s3://{loop.stage('dev').data_bucket_name}/mammography-severity-model/data/ground-truth"
    assert [line.strip() for line in done.stdout.splitlines() if "ground-truth" in line] == [
        f"{home}/mammo-batch-dataset-outliers.csv/monday.csv",
        f"{home}/mammo-batch-dataset.csv",
    ]
    loop.put("dev", "data/ground-truth/unscored.csv", "1,0\n")
    judged = desk.make("run", PIPELINE="quality", STAGE="dev", INPUT="unscored.csv")
    assert judged.returncode == 1
    assert (
        "mammo-severity-quality-pipeline failed at Mammo-ResolveGroundTruth: BatchNotScored: the batch s3://"
        in judged.stdout.splitlines()[-1]
    )


def test_files_that_are_not_prepared_are_named(desk: Desk, tmp_path: Path) -> None:
    line = desk.mistake("upload", STAGE="dev", DATA=str(tmp_path))
    assert line == f"upload: {tmp_path.name}/ lacks mammo-train-dataset-part1.csv; run: make data"


@pytest.mark.parametrize(
    ("words", "variables", "line"),
    [
        (
            ["upload"],
            {"STAGE": "test"},
            "upload: STAGE must be dev or prod, got 'test'; for example STAGE=dev",
        ),
        (
            ["run"],
            {"STAGE": "dev", "PIPELINE": "score"},
            "run: PIPELINE must be train, inference or quality, got 'score'",
        ),
        (["approve"], {}, "approve: VERSION is missing; see the numbers with: make versions"),
        (
            ["run"],
            {"PIPELINE": "inference", "STAGE": "dev", "VERSION": "latest"},
            "run: VERSION must be a number, newest or newest_approved, got 'latest'",
        ),
        (
            ["run"],
            {"PIPELINE": "train", "STAGE": "dev", "VERSION": "1"},
            "run: VERSION is for PIPELINE=inference: training makes a version of its own",
        ),
        (
            ["run"],
            {"PIPELINE": "quality", "STAGE": "prod", "VERSION": "1"},
            "run: VERSION is for PIPELINE=inference: ground truth judges the version that scored its batch",
        ),
        (
            ["run"],
            {"PIPELINE": "quality", "STAGE": "prod", "RESCORE": "true"},
            "run: RESCORE is for PIPELINE=inference: ground truth that INPUT names is judged again anyway",
        ),
    ],
)
def test_a_wrong_variable_is_told_in_one_line(
    desk: Desk, words: list[str], variables: dict[str, str], line: str
) -> None:
    assert desk.mistake(*words, **variables) == line


def test_credentials_of_another_account_are_named(loop: Loop, desk: Desk) -> None:
    """The profile at hand is prod's, and there is none for dev."""
    config = Path(desk.environment["AWS_CONFIG_FILE"])
    only_prod = config.with_name("only-prod")
    only_prod.write_text(
        "".join(config.read_text().partition("[profile mlops-prod]")[1:]).split("[profile mlops-reg")[0]
    )
    line = desk.mistake(
        "run", PIPELINE="train", STAGE="dev", AWS_CONFIG_FILE=str(only_prod), AWS_PROFILE="mlops-prod"
    )
    assert line.startswith("run: dev is account 111111111111, but mlops-prod: account 222222222222.")


def test_a_cloud_that_does_not_answer_is_named(loop: Loop, desk: Desk, tmp_path: Path) -> None:
    config = Path(desk.environment["AWS_CONFIG_FILE"]).read_text()
    nowhere = tmp_path / "config"
    nowhere.write_text(config.replace(loop.cloud.endpoint, "http://127.0.0.1:9"))
    line = desk.mistake("versions", AWS_CONFIG_FILE=str(nowhere))
    assert line == "versions: nothing answers at http://127.0.0.1:9/; is it running? (make local-up)"


def alice(loop: Loop, desk: Desk) -> object:
    """Return a session of alice from her profile."""
    import configparser

    config = configparser.ConfigParser()
    config.read(desk.environment["AWS_CONFIG_FILE"])
    profile = config["profile mlops-registry"]
    credentials = {
        "AccessKeyId": profile["aws_access_key_id"],
        "SecretAccessKey": profile["aws_secret_access_key"],
    }
    return loop.cloud.session("333333333333", loop.region, credentials=credentials)
