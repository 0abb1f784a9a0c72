"""Two promotions to prod and the way back, with the real CDK CLI: what is deployed, what runs, what comes next."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aws_cdk
import pytest

from demo.lookout import Run
from local_cloud.cloud import LocalCloud
from local_cloud.deployer import deploy
from local_cloud.keeper import write_profiles
from ops import cdk, data
from pipeline_code.definitions import definitions_root, sha256
from pipeline_code.mammography import dataset
from stacks import settings as app
from stacks.composition import compose
from tests.cli.installation import ADMINISTRATOR, Installation, changed_types, differences
from tests.stacks.installations import context

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("rollback")]

VALUES: dict[str, Any] = {"models": [{"folder": "mammography"}]}
GOOD, BROKEN = "a" * 40, "b" * 40
STACKS = ["RegistryStack", "ProdStack"]
PIPELINES = ("mammo-severity-inference-pipeline", "mammo-severity-train-pipeline")


@dataclass
class Story:
    """What was seen at each point."""

    definitions: dict[str, dict[str, str]] = field(default_factory=dict)  # digests by pipeline, by point
    commits: dict[str, set[str]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    said: dict[str, tuple[int, str, str]] = field(
        default_factory=dict
    )  # exit code, output, errors, by command
    cli: dict[str, str] = field(default_factory=dict)


@dataclass
class Prod(Installation):
    """Registry and prod, at two commits."""

    def synthesize(self, commit: str, definitions: Path) -> None:
        """Write the assembly of a commit with its definitions."""
        made = aws_cdk.App(context=context(), outdir=str(self.work / commit), analytics_reporting=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLOPS_DEFINITIONS", str(definitions))
            compose(made, replace(self.settings, commit=commit))
            made.synth()

    def make(self, command: str, commit: str, **variables: str) -> tuple[int, str, str]:
        """Run a command as a person who has a profile in prod, in a clone at a commit."""
        config = self.work / "aws-config"
        write_profiles(config, self.cloud, self.region, {"mlops-prod": self.settings.accounts["prod"]})
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = {
            **kept,
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(config),
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLOPS_SETTINGS": str(self.work / "settings.json"),
            "ASSEMBLY": str(self.work / commit),
            "STAGE": "prod",
        }
        done = subprocess.run(
            [sys.executable, "-m", "ops", command],
            cwd=cdk.ROOT,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def prod_cdk(self, command: str, *options: str) -> str:
        """Run a CDK command on prod's stack of the main branch, which is at the broken commit."""
        arguments = [command, "ProdStack", *options, "--app", str(self.work / BROKEN)]
        log = self.work / f"{command}.log"
        with cdk.Command(arguments, self.environment("prod"), log, folder=self.work) as running:
            return running.finish()

    def look(self, story: Story, point: str) -> None:
        """Note what is deployed."""
        sagemaker = self.client("prod", "sagemaker")
        tags = {}
        for name in PIPELINES:
            arn = sagemaker.describe_pipeline(PipelineName=name)["PipelineArn"]
            tags[name] = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
        story.definitions[point] = {name: found["mlops:definition"] for name, found in tags.items()}
        story.commits[point] = {found["mlops:commit"] for found in tags.values()}

    def score(self) -> Run:
        """Score the batch in prod as the schedule would."""
        return self.follow("score", "prod", self.start("prod", "inference", {"Rescore": "true"}))


def broken_definitions(folder: Path) -> Path:
    """Return definitions whose inference pipeline calls a program that there isn't: a slip that no review saw."""
    model, made = "mammography", folder / "definitions"
    shutil.copytree(definitions_root(), made)
    (folder / model).mkdir()
    shutil.copy(definitions_root().parent / model / "model.yaml", folder / model)
    inference = made / model / "default" / "inference.json"
    inference.write_text(inference.read_text().replace("steps.check_batch", "steps.check_batches"))
    lock = json.loads((made / model / "lock.json").read_text())
    lock["bodies"]["default/inference.json"] = sha256(inference.read_bytes())
    (made / model / "lock.json").write_text(json.dumps(lock))
    return made


def train(place: Prod) -> None:
    """Train version 1 in prod and approve it as the registry account's root."""
    files = place.work / "data"
    files.mkdir()
    dataset.prepare(dataset.source(files, offline=True), files)
    stage = place.stage("prod")
    data.upload(place.session(stage.account), stage, place.model, files, say=lambda line: None)
    run = place.follow("train", "prod", place.start("prod", "train"))
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    (version,) = place.versions()
    place.client("registry", "sagemaker").update_model_package(
        ModelPackageArn=version.arn, ModelApprovalStatus="Approved"
    )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    work = tmp_path_factory.mktemp("rollback")
    settings = app.load(VALUES)
    (work / "settings.json").write_text(json.dumps(VALUES))
    with LocalCloud.start(accounts=tuple(settings.accounts.values())) as cloud:
        place = Prod(cloud, settings, settings.models[0], work=work)
        arguments = ["bootstrap", f"aws://{settings.accounts['prod']}/{settings.region}"]
        arguments += ["--cloudformation-execution-policies", ADMINISTRATOR]
        log = work / "bootstrap.log"
        with cdk.Command(arguments, place.environment("prod"), log, folder=work) as bootstrap:
            place.synthesize(GOOD, definitions_root())
            place.synthesize(BROKEN, broken_definitions(work / "broken"))
            bootstrap.finish()
        yield told(place)


def told(place: Prod) -> Story:
    """Promote twice, go back, and promote again."""
    story = Story()
    deploy(place.cloud, place.work / GOOD, stacks=STACKS)
    story.said["record"] = place.make("record", GOOD)
    train(place)
    place.look(story, "first")
    story.said["rollback of the first"] = place.make("rollback", GOOD)
    deploy(place.cloud, place.work / BROKEN, stacks=STACKS)
    story.said["record before deploying"] = place.make("record", GOOD)
    story.said["second record"] = place.make("record", BROKEN)
    place.look(story, "second")
    story.runs["second"] = place.score()
    story.said["rollback"] = place.make("rollback", BROKEN)
    place.look(story, "back")
    story.runs["back"] = place.score()
    story.said["rollback again"] = place.make("rollback", BROKEN)
    story.said["promotions"] = place.make("promotions", BROKEN)
    story.cli["diff"] = place.prod_cdk("diff")
    story.cli["deploy"] = place.prod_cdk("deploy", "--require-approval", "never")
    place.look(story, "again")
    return story


def test_the_first_promotion_has_none_before_it(story: Story) -> None:
    code, _, error = story.said["rollback of the first"]
    assert code == 1
    assert error.startswith("rollback: ")
    assert error.endswith("there is no earlier promotion to go back to\n")


def test_what_is_not_deployed_is_not_recorded(story: Story) -> None:
    code, _, error = story.said["record before deploying"]
    assert code == 1
    assert f"prod: expected {PIPELINES[0]} to have the " in error
    assert len(error.splitlines()) == 1


def test_a_rollback_brings_the_definitions_of_the_first_promotion_back(story: Story) -> None:
    code, said, error = story.said["rollback"]
    assert (code, error) == (0, "")
    assert story.definitions["first"] != story.definitions["second"]
    assert story.definitions["back"] == story.definitions["first"]
    assert story.commits == {"first": {GOOD}, "second": {BROKEN}, "back": {GOOD}, "again": {BROKEN}}
    assert f"prod: has commit {BROKEN[:12]}; goes back to " in said


def test_prod_scores_again_after_the_rollback(story: Story) -> None:
    broken, back = story.runs["second"].outcome, story.runs["back"].outcome
    assert (broken.status, broken.failed_step) == ("Failed", "Mammo-DataQualityCheck")
    assert back.status == "Succeeded", back.in_words()


def test_a_second_rollback_goes_further_back_and_not_in_circles(story: Story) -> None:
    code, _, error = story.said["rollback again"]
    assert code == 1
    assert "is the first promotion of this stage: there is no earlier promotion" in error


def test_the_promotions_tell_the_rollback_and_what_is_deployed(story: Story) -> None:
    code, said, error = story.said["promotions"]
    assert (code, error) == (0, "")
    head, back, broken, first = said.splitlines()
    assert head.split() == ["id", "commit", "recorded", "at"]
    first_id = first.split()[0]
    assert f"rollback to {first_id}" in back
    assert GOOD[:12] in back
    assert BROKEN[:12] in broken
    assert first.endswith("deployed now")


def test_the_diff_to_main_tells_the_truth_after_a_rollback(story: Story) -> None:
    assert differences(story.cli["diff"]) == 1
    assert changed_types(story.cli["diff"]) == {"Custom::SageMakerPipeline"}


def test_the_next_deployment_of_main_is_no_no_op(story: Story) -> None:
    assert "(no changes)" not in story.cli["deploy"]
    assert story.definitions["again"] == story.definitions["second"]
