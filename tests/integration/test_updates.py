"""Stacks that come, change, fail and go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdk_mlops import ALLOW_DESTROY
from local_cloud.deployer import DeploymentError, deploy, destroy
from pipeline_code import definitions
from stacks.installation import PIPELINE_KINDS, PipelineKind
from tests.integration.loop import Loop
from tests.integration.processes import programs_of
from tests.stacks.installations import synthesized

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]

THROW_AWAY = {"models": [{"folder": "mammography"}], "throw_away": True}
FLAG: dict[str, Any] = {ALLOW_DESTROY: True}
KINDS = PIPELINE_KINDS


@pytest.fixture(scope="module")
def passing(files: Path) -> Iterator[Loop]:
    """A throw-away installation."""
    with Loop.installed(THROW_AWAY, files, **FLAG) as installed:
        installed.upload("dev")
        yield installed


def test_an_update_that_fails_leaves_the_old_pipelines_working(
    passing: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {kind: described(passing, kind) for kind in KINDS}
    with monkeypatch.context() as patch:
        broken_inference(patch, tmp_path)
        with pytest.raises(DeploymentError) as failure:
            passing.deploy({**THROW_AWAY, "thresholds": {"auc": 0.999}}, stack="DevStack", **FLAG)
    message = str(failure.value)
    assert "DevStack ended UPDATE_ROLLBACK_COMPLETE" in message
    assert "(Custom::SageMakerPipeline)" in message
    assert "Nobody" in message  # SageMaker's own words: the step that isn't there
    assert {kind: described(passing, kind) for kind in KINDS} == before
    run = passing.run("dev", "train")
    assert run.outcome.status == "Succeeded", run.outcome.in_words()  # 0.999 would have rejected it


def test_deleting_a_stack_stops_what_runs_and_a_second_create_works(passing: Loop) -> None:
    """The versions of a group are the one thing that has to be deleted by hand, even in a throw-away installation."""
    assembly = Path(synthesized(THROW_AWAY, **FLAG).directory)
    registry = passing.client("registry", "sagemaker")
    execution = passing.start("dev", "train")
    passing.wait_for("the training's first process", lambda: programs_of(passing.cloud, "steps.preprocess"))
    with pytest.raises(DeploymentError) as failure:
        destroy(passing.cloud, assembly)
    assert "RegistryStack ended DELETE_FAILED" in str(failure.value)
    assert f"{passing.model.model_package_group} cannot be deleted" in str(failure.value)
    assert programs_of(passing.cloud, "steps.preprocess") == []
    assert all(version.metrics["execution_arn"] != execution for version in passing.versions())
    for version in passing.versions():
        registry.delete_model_package(ModelPackageName=version.arn)
    destroy(passing.cloud, assembly)
    for account, stack in (("registry", "RegistryStack"), ("dev", "DevStack"), ("prod", "ProdStack")):
        summaries = passing.client(account, "cloudformation").list_stacks()["StackSummaries"]
        assert {one["StackStatus"] for one in summaries if one["StackName"] == stack} == {"DELETE_COMPLETE"}
        assert passing.client(account, "s3").list_buckets(Prefix="sagemaker-mlops-")["Buckets"] == []

    deploy(passing.cloud, assembly)
    passing.upload("dev")
    run = passing.run("dev", "train")
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    assert [version.version for version in passing.versions()] == [1]


def described(loop: Loop, kind: PipelineKind) -> dict[str, Any]:
    """Return what a pipeline of dev is: its definition, and the defaults of its parameters."""
    name = loop.stage("dev").pipeline_name(loop.model, kind)
    found = loop.client("dev", "sagemaker").describe_pipeline(PipelineName=name)
    return {
        "definition": found["PipelineDefinition"],
        "role": found["RoleArn"],
        "status": found["PipelineStatus"],
    }


def broken_inference(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the next synthesis find a definition that SageMaker refuses: a step waits for one that isn't there."""
    load = definitions.load

    def altered(model: str, variant: str = "default", root: Path | None = None) -> definitions.Definitions:
        loaded = load(model, variant, root)
        body = json.loads(loaded.inference.read_text())
        body["Steps"][0]["DependsOn"] = ["Nobody"]
        path = folder / "inference.json"
        path.write_text(json.dumps(body))
        return replace(loaded, inference=path)

    patch.setattr(definitions, "load", altered)
