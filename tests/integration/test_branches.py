"""A feature branch beside main in dev: its own pipelines and versions, which prod never uses, and which go with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.lookout import Run
from local_cloud.deployer import deploy, destroy
from ops import runs
from stacks.branch import MARK, Branch
from stacks.installation import StageName
from tests.integration.loop import QUIET_SECONDS, Loop, is_denied, words
from tests.integration.processes import programs_of
from tests.stacks.installations import ROOT, synthesized

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]

BOB = "arn:aws:iam::111111111111:user/bob"
SETTINGS = {
    "models": [{"folder": "mammography"}],
    "people": {"data_scientists": [BOB], "require_mfa": False},
}
TREES, NEIGHBOUR = Branch("feature/faster-trees"), Branch("feature")
LOGS = "/aws/sagemaker/TrainingJobs"


@dataclass
class OnBranch(Loop):
    """A branch of the installation, driven by a test."""

    desk: dict[str, str] | None = None

    def make(self, command: str, **variables: str) -> str:
        """Run a command as bob, with make's variables, and return what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "ops", command],
            cwd=ROOT,
            env=(self.desk or {}) | {"BRANCH": TREES.name} | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def registry_before(loop: Loop) -> dict[str, Any]:
    """What the registry holds before there is a branch."""
    return registry_of(loop)


@pytest.fixture(scope="module")
def branch(loop: Loop, registry_before: dict[str, Any], desk: dict[str, str]) -> Iterator[OnBranch]:
    """Two branches, deployed beside main; one is trained, and its version approved, by bob."""
    for one in (TREES, NEIGHBOUR):
        deploy(loop.cloud, assembly_of(one))
    deployed = on(loop, TREES, desk)
    said = deployed.make("run", PIPELINE="train", STAGE="dev")
    assert "mammo-severity--feature-f-5a33e0-train-pipeline succeeded" in said
    assert " is Approved" in deployed.make("approve", VERSION="1")
    yield deployed
    for one in (TREES, NEIGHBOUR):
        destroy(loop.cloud, assembly_of(one))


@pytest.fixture(scope="module")
def desk(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Bob's environment: a profile for dev, where he may take his role and nothing else."""
    folder = tmp_path_factory.mktemp("bob")
    role = TREES.people_role_arn(loop.settings)
    bob = loop.user("dev", "bob", role).get_credentials()
    (folder / "config").write_text(
        f"[profile mlops-dev]\nregion = {loop.region}\nendpoint_url = {loop.cloud.endpoint}\n"
        f"aws_access_key_id = {bob.access_key}\naws_secret_access_key = {bob.secret_key}\n"
    )
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLOPS_"))}
    return kept | {
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLOPS_SETTINGS": str(folder / "settings.json"),
    }


@pytest.fixture(scope="module")
def scored(branch: OnBranch) -> Run:
    """A batch of main's, scored on the branch."""
    run = branch.run("dev", "inference")
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    return run


def test_the_branch_learns_from_mains_data_under_names_of_its_own(loop: Loop, branch: OnBranch) -> None:
    (version,) = packages(branch)
    described = branch.client("dev", "sagemaker").describe_model_package(ModelPackageName=version)
    bucket = branch.stage("dev").data_bucket_name
    (container,) = described["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"].startswith(f"s3://{bucket}/{branch.model.model_name}/dev/")
    mains = loop.client("registry", "sagemaker").describe_model_package(
        ModelPackageName=f"{loop.package_arn}/1"
    )
    same = [one["CustomerMetadataProperties"]["data_sha256"] for one in (described, mains)]
    assert same[0] == same[1]
    jobs = branch.client("dev", "sagemaker").list_training_jobs()["TrainingJobSummaries"]
    names = [job["TrainingJobName"] for job in jobs]
    assert any(name.startswith("mammo-severity--5a33e00a-train-train-") for name in names)


def test_the_commands_show_the_branchs_versions(branch: OnBranch) -> None:
    said = branch.make("versions")
    assert said.startswith("mammo-severity-model-package--feature-faster-trees:\n")
    assert "      1  Approved" in said


def test_prod_goes_on_with_mains_version_and_the_branch_scores_with_its_own(
    loop: Loop, branch: OnBranch, scored: Run
) -> None:
    run = loop.score("prod")
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    assert resolved(loop, "prod", run).startswith(f"{loop.package_arn}/")
    assert resolved(branch, "dev", scored) == packages(branch)[0]
    assert scored.rows_scored == loop.rows_in()


def test_a_branch_judges_its_own_scores_by_mains_labels(loop: Loop, branch: OnBranch, scored: Run) -> None:
    alerts, mains = len(loop.messages("dev")), loop.keys("dev", "state/quality/")
    scores = [float(line.split(",")[1]) for line in branch.predictions("dev", scored)]
    wrong = [int(score < sorted(scores)[len(scores) // 2]) for score in scores]
    lines = "".join(f"{number},{label}\n" for number, label in enumerate(wrong, 1))
    truth = loop.put("dev", "data/ground-truth/mammo-batch-dataset.csv", lines)
    bucket, key = truth.removeprefix("s3://").split("/", 1)
    try:
        run = branch.run("dev", "quality")
        assert run.outcome.status == "Succeeded", run.outcome.in_words()
        (found,) = [key for key in branch.keys("dev", "state/quality/") if not key.endswith(".tries.json")]
        record = branch.read_json(f"s3://{bucket}/{found}", "dev")
    finally:
        loop.client("dev", "s3").delete_object(Bucket=bucket, Key=key)
    assert (record["verdict"], record["ground_truth_uri"]) == ("loss", truth)
    assert record["report_uri"].startswith(f"s3://{bucket}/{branch.model.model_name}/quality/")
    assert loop.keys("dev", "state/quality/") == mains
    # whoever runs a branch follows it, and nothing retrains in dev
    time.sleep(QUIET_SECONDS)
    assert len(loop.messages("dev")) == alerts


def test_nothing_changed_in_the_registry(
    loop: Loop, registry_before: dict[str, Any], branch: OnBranch, scored: Run
) -> None:
    assert scored.outcome.status == "Succeeded"
    assert registry_of(loop) == registry_before


def test_main_in_dev_scores_with_the_registrys_version_and_neighbours_have_nothing(
    loop: Loop, branch: OnBranch
) -> None:
    run = loop.score("dev")
    assert resolved(loop, "dev", run).startswith(f"{loop.package_arn}/")
    assert packages(on(loop, NEIGHBOUR)) == []


def test_a_branchs_failed_run_mails_nobody_while_mains_does(loop: Loop, branch: OnBranch) -> None:
    nowhere = f"s3://{branch.stage('dev').data_bucket_name}/{loop.model.model_name}/data/batch-dataset/no.csv"
    failed = branch.run("dev", "inference", transform_input=nowhere)
    assert words(failed).startswith("BatchNotFound: ")
    mains = loop.run("dev", "inference", transform_input=nowhere)
    (alert,) = loop.alerts(mains)
    assert alert["subject"].startswith(f"[dev] {loop.model.model_name}: ")
    assert about_branches(loop, "dev") == []


def test_its_people_reach_neither_main_nor_another_branch(loop: Loop, branch: OnBranch) -> None:
    bob = loop.cloud.assume(TREES.people_role_arn(loop.settings), session_name="bob", by=user(branch))
    sagemaker, stage, neighbour = bob.client("sagemaker"), loop.stage("dev"), on(loop, NEIGHBOUR)
    bucket = stage.data_bucket_name
    calls = {
        "approves in the registry": lambda: sagemaker.update_model_package(
            ModelPackageArn=f"{loop.package_arn}/1", ModelApprovalStatus="Rejected"
        ),
        "starts main's training": lambda: sagemaker.start_pipeline_execution(
            PipelineName=stage.pipeline_name(loop.model, "train")
        ),
        "starts a neighbour's training": lambda: sagemaker.start_pipeline_execution(
            PipelineName=stage.pipeline_name(neighbour.model, "train")
        ),
        "writes main's data": lambda: bob.client("s3").put_object(
            Bucket=bucket, Key=f"{loop.model.model_name}/data/train-dataset/mine.csv", Body=b""
        ),
    }
    assert [what for what, call in calls.items() if not is_denied(call)] == []


def test_its_removal_stops_what_runs_and_leaves_nothing_and_it_can_come_back(
    loop: Loop, branch: OnBranch, scored: Run
) -> None:
    """The last: from here on the branch has no version."""
    bucket, s3 = branch.stage("dev").data_bucket_name, branch.client("dev", "s3")
    assert scored.outcome.status == "Succeeded"
    branch.put("dev", "state/twice.json", "{}")
    branch.put("dev", "state/twice.json", "{1}")
    s3.delete_object(Bucket=bucket, Key=f"{branch.model.model_name}/state/twice.json")
    streams = [f"{name}-train-train-abc/algo-1" for name in ("mammo-severity", "mammo-severity--5a33e00a")]
    write_logs(loop, streams)
    before = {name: everything(loop, Branch(name)) for name in (TREES.name, NEIGHBOUR.name)}
    assert len(before[TREES.name]["objects"]) > 40
    assert set(before[TREES.name]) == {*before[NEIGHBOUR.name], "models"}
    mains, alerts = mains_objects(loop), len(loop.messages("dev"))

    branch.start("dev", "train")
    branch.wait_for("the training's first process", lambda: programs_of(loop.cloud, "steps.preprocess"))
    destroy(loop.cloud, assembly_of(TREES))

    time.sleep(QUIET_SECONDS)
    assert everything(loop, TREES) == {}
    assert everything(loop, NEIGHBOUR) == before[NEIGHBOUR.name]
    assert (mains_objects(loop), len(loop.messages("dev"))) == (mains, alerts)
    assert programs_of(loop.cloud, "steps.preprocess") == []
    left = loop.client("dev", "logs").describe_log_streams(logGroupName=LOGS)["logStreams"]
    assert [stream["logStreamName"] for stream in left] == streams[:1]
    assert [key for key in all_keys(loop) if key.startswith("_unknown")] == []

    deploy(loop.cloud, assembly_of(TREES))
    run = branch.run("dev", "train")
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    assert [arn.rsplit("/", 1)[-1] for arn in packages(branch)] == ["1"]
    destroy(loop.cloud, assembly_of(TREES))
    assert everything(loop, TREES) == {}


def on(loop: Loop, branch: Branch, desk: dict[str, str] | None = None) -> OnBranch:
    """Return the installation as a branch has it."""
    settings = branch.settings(loop.settings)
    return OnBranch(loop.cloud, settings, settings.models[0], loop.values, loop.files, desk)


def user(branch: OnBranch) -> Any:
    """Return bob's own session."""
    lines = dict(
        line.split(" = ")
        for line in Path((branch.desk or {})["AWS_CONFIG_FILE"]).read_text().splitlines()
        if " = " in line
    )
    account, keys = branch.stage("dev").account, ("aws_access_key_id", "aws_secret_access_key")
    key, secret = (lines[name] for name in keys)
    credentials = {"AccessKeyId": key, "SecretAccessKey": secret}
    return branch.cloud.session(account, branch.region, credentials=credentials)


def assembly_of(branch: Branch) -> Path:
    """Return the branch's assembly."""
    return Path(synthesized(SETTINGS, branch=branch.name).directory)


def packages(loop: Loop) -> list[str]:
    """Return the versions of a branch's group in dev."""
    listed = loop.client("dev", "sagemaker").list_model_packages(
        ModelPackageGroupName=loop.model.model_package_group
    )
    return [one["ModelPackageArn"] for one in listed["ModelPackageSummaryList"]]


def resolved(loop: Loop, stage: StageName, run: Run) -> str:
    """Return the model package that a run resolved."""
    steps = runs.steps_of(loop.client(stage, "sagemaker"), run.outcome.execution_arn)
    outputs = [
        output
        for step in steps
        for output in step.get("Metadata", {}).get("Lambda", {}).get("OutputParameters", [])
    ]
    return next(str(one["Value"]) for one in outputs if one["Name"] == "model_package_arn")


def registry_of(loop: Loop) -> dict[str, Any]:
    """Return what the registry's account holds."""
    s3, sagemaker = loop.client("registry", "s3"), loop.client("registry", "sagemaker")
    bucket, home = loop.settings.artifacts_bucket_name, f"{loop.model.model_name}/"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=home).get("Contents", [])
    groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    return {
        "objects": [(item["Key"], item["ETag"]) for item in listed],
        "groups": [group["ModelPackageGroupName"] for group in groups],
        "versions": [(version.version, version.status) for version in loop.versions()],
        "messages of branches": about_branches(loop, "registry"),
    }


def about_branches(loop: Loop, account_name: str) -> list[dict[str, str]]:
    """Return the messages that name anything of a branch's."""
    model = loop.model
    begins = [f"{name}{MARK}" for name in (model.prefix, model.model_name, model.model_package_group)]
    return [one for one in loop.messages(account_name) if any(name in str(one) for name in begins)]


def all_keys(loop: Loop) -> list[str]:
    """Return the keys of all objects in dev's bucket, once a version, those of deleted ones too."""
    pages = (
        loop.client("dev", "s3")
        .get_paginator("list_object_versions")
        .paginate(Bucket=loop.stage("dev").data_bucket_name)
    )
    return [
        item["Key"] for page in pages for kind in ("Versions", "DeleteMarkers") for item in page.get(kind, [])
    ]


def mains_objects(loop: Loop) -> list[str]:
    """Return the keys of main's objects."""
    return [key for key in all_keys(loop) if key.startswith(f"{loop.model.model_name}/")]


def write_logs(loop: Loop, streams: list[str]) -> None:
    """Make log streams as jobs do."""
    logs = loop.client("dev", "logs")
    logs.create_log_group(logGroupName=LOGS)
    for stream in streams:
        logs.create_log_stream(logGroupName=LOGS, logStreamName=stream)


def everything(loop: Loop, branch: Branch) -> dict[str, list[str]]:
    """Return all that dev's account has under a branch's names, by kind."""
    model = branch.model(loop.model)
    assert model.branch_of is not None

    def names(service: str, operation: str, field: str, key: str) -> list[str]:
        pages = loop.client("dev", service).get_paginator(operation).paginate()
        return [str(one[key]) for page in pages for one in page[field]]

    found = {
        "objects": all_keys(loop),
        "stacks": [
            one["StackName"]
            for one in loop.client("dev", "cloudformation").describe_stacks()["Stacks"]
            if one["StackStatus"] != "DELETE_COMPLETE"
        ],
        "pipelines": names("sagemaker", "list_pipelines", "PipelineSummaries", "PipelineName"),
        "groups": names(
            "sagemaker",
            "list_model_package_groups",
            "ModelPackageGroupSummaryList",
            "ModelPackageGroupName",
        ),
        "models": names("sagemaker", "list_models", "Models", "ModelName"),
        "roles": names("iam", "list_roles", "Roles", "RoleName"),
        "functions": names("lambda", "list_functions", "Functions", "FunctionName"),
        "log groups": names("logs", "describe_log_groups", "logGroups", "logGroupName"),
        "alarms": names("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        "queues": loop.client("dev", "sqs").list_queues().get("QueueUrls", []),
    }
    begins = (
        *(f"{model.prefix}-{what}" for what in ("dev-", "train-pipeline", "inference-pipeline")),
        f"{model.branch_of.job_prefix}-",
        f"{model.model_name}/",
        f"{branch.people_prefix}-dev-",
        f"/aws/lambda/{model.prefix}-dev-",
    )
    whole = (model.model_package_group, branch.stack_name)
    own = {
        kind: sorted(name for name in listed if name.startswith(begins) or name in whole)
        for kind, listed in found.items()
    }
    return {kind: listed for kind, listed in own.items() if listed}
