"""An approved version on its way to prod, where a second approval is asked for: tried in staging, then released.

The pipeline, its builds and their roles are those of the stack. Only the repository stands in for ours: its make
targets run the commands of this working tree, which saves each build its own environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.deployer import deploy
from ops.data import ROOT
from stacks.installation import STACKS
from stacks.settings import load
from tests.integration.loop import Loop, is_denied, words
from tests.stacks.installations import CONNECTION, synthesized

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-c")]

VERSIONS, REPOSITORY = "mlops-versions", "example/cdk-mlops"
VALUES: dict[str, Any] = {
    "models": [{"folder": "mammography"}],
    "accounts": {"staging": "444444444444"},
    "delivery": {"repository": REPOSITORY, "connection_arn": CONNECTION, "approve_versions": True},
}
TARGETS = """\
export MLOPS_SETTINGS = {settings}
export ASSEMBLY = {assembly}
export CHECK_LEAD_SECONDS = 1
synth:
\t@test -f "$(ASSEMBLY)/manifest.json"
check-stage release:
\t@cd "{root}" && "{python}" -m ops $@
"""
SECONDS = 120.0


@dataclass
class Releases:
    """The installation, and its pipeline for versions."""

    loop: Loop

    @property
    def codepipeline(self) -> Any:
        return self.loop.client("registry", "codepipeline")

    def executions(self) -> list[dict[str, Any]]:
        """Return the pipeline's executions, the newest first."""
        found = self.codepipeline.list_pipeline_executions(pipelineName=VERSIONS)
        return list(found["pipelineExecutionSummaries"])

    def started(self, count: int) -> str:
        """Wait for the pipeline's n-th execution."""

        def look() -> str:
            found = self.executions()
            return str(found[0]["pipelineExecutionId"]) if len(found) == count else ""

        return str(self.loop.wait_for(f"execution {count} of {VERSIONS}", look))

    def action(self, name: str) -> dict[str, Any]:
        """Return an action's latest run."""
        state = self.codepipeline.get_pipeline_state(name=VERSIONS)
        actions = [one for stage in state["stageStates"] for one in stage.get("actionStates", [])]
        return dict(next(one for one in actions if one["actionName"] == name).get("latestExecution", {}))

    def asked(self) -> str:
        """Wait until a person is asked, and return what an answer must carry."""

        def look() -> str:
            check = self.action("Check")
            assert check.get("status") != "Failed", self.log(check)
            return str(self.action("ReleaseToProd").get("token") or "")

        return str(self.loop.wait_for("a question before the release", look, seconds=SECONDS))

    def log(self, action: dict[str, Any]) -> str:
        """Return what a build printed."""
        return Path(str(action["externalExecutionUrl"]).removeprefix("file://")).read_text()

    def answer(self, status: str) -> None:
        """Answer the question."""
        self.codepipeline.put_approval_result(
            pipelineName=VERSIONS,
            stageName="Approve",
            actionName="ReleaseToProd",
            result={"status": status, "summary": "said so"},
            token=self.asked(),
        )

    def ended(self, execution: str) -> str:
        """Wait for the end of an execution and return its status."""

        def look() -> str:
            (one,) = [one for one in self.executions() if one["pipelineExecutionId"] == execution]
            return str(one["status"]) if one["status"] != "InProgress" else ""

        return str(self.loop.wait_for("its end", look, seconds=SECONDS))

    def life(self, version: int) -> str:
        """Return the state of a version's life cycle."""
        found = self.loop.client("registry", "sagemaker").describe_model_package(
            ModelPackageName=f"{self.loop.package_arn}/{version}"
        )
        return str(found.get("ModelLifeCycle", {}).get("StageStatus", "none"))


@pytest.fixture(scope="module")
def releases(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    """Version 1, trained in dev and approved; the delivery itself has no repository, so it ends at once."""
    work = tmp_path_factory.mktemp("releases")
    (work / "settings.json").write_text(json.dumps(VALUES))
    assembly = Path(synthesized(VALUES).directory)
    settings = load(VALUES)
    with LocalCloud.start(accounts=tuple(settings.accounts.values())) as cloud:
        # The delivery holds the same stacks once more, for its pipeline to deploy.
        deploy(cloud, assembly, stacks=[*(STACKS[name] for name in settings.accounts), "DeliveryStack"])
        loop = Loop(cloud, settings, settings.models[0], VALUES, files)
        loop.cloud.connect_repository(REPOSITORY, _repository(work, assembly))
        loop.upload("dev", "prod")
        loop.train_and_approve()
        yield Releases(loop)


def _repository(work: Path, assembly: Path) -> Path:
    folder = work / "repository"
    folder.mkdir()
    targets = TARGETS.format(
        settings=work / "settings.json", assembly=assembly, root=ROOT, python=sys.executable
    )
    (folder / "Makefile").write_text(targets)
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for command in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["add", "Makefile"],
        [*who, "commit", "--quiet", "--message", "Targets"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def story(releases: Releases) -> dict[str, Any]:
    """The way of version 1 to prod, and what prod says on that way."""
    loop = releases.loop
    execution = releases.started(1)
    releases.asked()
    waiting = loop.score("prod")
    releases.answer("Approved")
    return {
        "waiting": waiting,
        "status": releases.ended(execution),
        "after": loop.score("prod"),
    }


def test_until_its_release_prod_says_that_it_waits_for_it(story: dict[str, Any]) -> None:
    run = story["waiting"]
    assert run.outcome.status == "Failed"
    assert words(run).startswith("NoApprovedModel: ")
    assert "version 1 is approved and waits for its release to prod" in words(run)


def test_an_approved_version_runs_in_staging_and_is_released_by_a_persons_approval(
    releases: Releases, story: dict[str, Any]
) -> None:
    assert story["status"] == "Succeeded", releases.log(releases.action("Release"))
    check = releases.log(releases.action("Check"))
    assert "staging: a schedule scores the test batch of mammo-severity-model-package version 1" in check
    assert "staging: all checks passed" in check
    assert "is released to prod: its next run may use it" in releases.log(releases.action("Release"))
    assert releases.life(1) == "released"
    assert story["after"].outcome.status == "Succeeded", words(story["after"])
    assert story["after"].model_version == 1


def test_what_a_release_and_its_record_change_starts_no_other(
    releases: Releases, story: dict[str, Any]
) -> None:
    assert len(releases.executions()) == 1


def test_prod_stays_with_the_released_version_while_a_newer_one_is_approved_only(
    releases: Releases, story: dict[str, Any]
) -> None:
    loop = releases.loop
    with loop.unannounced():
        newer = loop.copy_version()
        loop.set_status(newer, "Approved")
        run = loop.score("prod")
        loop.set_status(newer, "Rejected")
    assert (newer, run.model_version) == (2, 1)


def test_the_builds_role_releases_and_approves_nothing_else(
    releases: Releases, story: dict[str, Any]
) -> None:
    loop = releases.loop
    role = "arn:aws:iam::333333333333:role/mlops/delivery/build/mlops-delivery-release"
    version = f"{loop.package_arn}/1"
    update = _acting_as(loop, role).client("sagemaker").update_model_package
    assert is_denied(lambda: update(ModelPackageArn=version, ModelApprovalStatus="Approved"))
    withdrawn = {"Stage": "prod", "StageStatus": "withdrawn"}
    assert is_denied(lambda: update(ModelPackageArn=version, ModelLifeCycle=withdrawn))


def test_a_rejected_version_approved_again_waits_for_a_person_again(
    releases: Releases, story: dict[str, Any]
) -> None:
    loop = releases.loop
    loop.set_status(1, "Rejected")
    loop.wait_for("the release to be withdrawn", lambda: releases.life(1) == "withdrawn")
    loop.set_status(1, "Approved")
    again = releases.started(2)
    releases.codepipeline.stop_pipeline_execution(
        pipelineName=VERSIONS, pipelineExecutionId=again, abandon=True
    )
    run = loop.score("prod")
    assert "version 1 is approved and waits for its release to prod" in words(run)


def _acting_as(loop: Loop, role: str) -> Any:
    """Return a session of a service's role: its trust is widened by its account for the test."""
    iam = loop.client("registry", "iam")
    name = role.rsplit("/", 1)[-1]
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    document = json.loads(trust) if isinstance(trust, str) else trust
    owner = {"Effect": "Allow", "Principal": {"AWS": "333333333333"}, "Action": "sts:AssumeRole"}
    widened = {**document, "Statement": [*document["Statement"], owner]}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(widened))
    return loop.cloud.assume(role, session_name="test")
