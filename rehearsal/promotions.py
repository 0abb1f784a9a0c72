"""Promotion 1, from nothing; and promotion 2, whose commit changes the pipeline itself and what is deployed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops import registry
from pipeline_code.definitions import sha256
from rehearsal import builds, settings
from rehearsal.errors import RehearsalError, check
from rehearsal.estate import KINDS, score, scored_with, state
from rehearsal.following import Ended
from rehearsal.origin import replace_text
from rehearsal.world import ROOT, World


def first(world: World, *, quick: bool) -> None:
    """Carry the first commit from nothing to prod.

    Parameters
    ----------
    quick
        Whether a stand-in runs in place of the test suite.
    """
    record = world.record
    with record.part(
        "Promotion 1", "from nothing to prod; the whole test suite runs in a clean clone"
    ) as part:
        part.commit = world.origin.head
        world.suite_runs = not quick
        if quick:
            record.note("tests: a quick stand-in (QUICK=1)")
            for command in (builds.SUITE, "make synth"):
                instead = builds.replacements(iter([command]), world.borrow, suite_runs=False)[command]
                world.cloud.replace_build_command(command, instead)
        with record.step("Set-up", "cdk deploy") as row:
            world.desk.cdk("deploy", "DeliveryStack", "--app", "cdk.out", "--require-approval", "never")
            row.said = "DeliveryStack: the pipeline, its builds and their roles"
        world.adjust_builds()
        with record.step("Set-up", "make data"):
            world.desk.make("data")
        follower = world.follower(lambda action: _decide_on_version_1(world, action))
        ended = follower.of_creation()
        if ended.failed is None or "make upload" not in ended.failed.said:
            raise RehearsalError(
                f"the first commit was to get to dev's check, which asks for data; it got to {ended.line}"
            )
        with record.step("A person", "make upload") as row:
            world.desk.make("upload", "STAGE=dev")
            row.said = "dev's training data; then the check is tried again"
        ended = arrived(world, follower.retry(ended))
        world.suite_runs = False
        world.adjust_builds()
        with record.step("A person", "make upload") as row:
            world.desk.make("upload", "STAGE=prod")
            row.said = "prod's batches"
        prod_scores(world, "prod scores a batch with version 1")


def _decide_on_version_1(world: World, action: Mapping[str, Any]) -> None:
    """Approve the first version once the review has shown it: before prod, so that prod's check can score with it."""
    if action["actionName"] == "Review" and action["status"] == "Succeeded":
        approve_version(world, "1")


def arrived(world: World, ended: Ended) -> Ended:
    """Return an execution that got to its end.

    Raises
    ------
    RehearsalError
        Where it was stopped.
    """
    if ended.status != "Succeeded":
        raise RehearsalError(f"the commit did not arrive: {ended.line}")
    world.record.current.arrived = True
    return ended


def approve_version(world: World, version: str) -> None:
    """Let a person approve a model version in the registry, as its approver role and with a second factor."""
    with world.record.step("A person", "Approve a version") as row:
        versions = {str(one.version): one for one in world.versions()}
        check(version in versions, f"version {version} is registered", ", ".join(versions) or "none")
        found = versions[version]
        question = (
            f"{found.version} of {world.model.model_package_group}, cv AUC {found.metrics['cv_auc']}, waits."
        )
        answer = world.approver.answer("ApproveVersion", f"Version {question}")
        if not answer.approved:
            raise RehearsalError(f"version {version} was refused: prod has no version to score with")
        role = world.cloud.assume(
            world.settings.approver_role_arn, session_name=settings.APPROVER, by=world.person, mfa=True
        )
        group = world.model.model_package_group
        registry.decide(role.client("sagemaker"), group, version, "Approved", answer.note)
        row.result = "Approved"
        row.said = f"version {version}, cv AUC {found.metrics['cv_auc']}, by {settings.APPROVER} with a second factor"


def prod_scores(world: World, name: str) -> dict[str, str]:
    """Score a batch in prod and return what was recorded about it."""
    with world.record.step("Prod", "A batch") as row:
        run = score(world, "prod", name)
        check(run.outcome.status == "Succeeded", f"{name}", run.outcome.in_words())
        found = scored_with(world, run)
        definition = str(found.get("definition_sha256", ""))
        row.said = (
            f"{run.rows_scored} rows scored with version {run.model_version}, definition {definition[:12]}"
        )
        return {key: str(value) for key, value in found.items()}


def second(world: World) -> None:
    """Carry a commit that adds staging and changes the model's definitions."""
    record = world.record
    with record.part(
        "Promotion 2", "a commit that adds staging and changes the model: the pipeline updates itself first"
    ):
        record.note("tests: run once, in promotion 1; from here on a quick stand-in")
        before = state(world, "prod")
        with record.step("A person", "git push") as row:
            compiled = authoring() is not None
            world.commit(
                "Add staging, and learn a little faster",
                change=settings.add_staging,
                edit=retuned if compiled else commented,
            )
            row.said = f"staging {settings.ACCOUNTS['staging']}; " + (
                "model.yaml, compiled anew (make definitions)" if compiled else "the code of a step"
            )
        ended = arrived(world, world.deliver())
        stages = list(dict.fromkeys(row.stage for row in ended.rows))
        check("Staging" in stages, "the pipeline got a stage Staging by itself", ", ".join(stages))
        check(before.tags != state(world, "prod").tags, "prod has what the commit brought")
        prod_scores(world, "prod scores a batch after promotion 2")
        same_bytes(world)


def same_bytes(world: World) -> None:
    """See that dev, staging and prod have the commit's own definitions, byte for byte."""
    with world.record.step("All stages", "Compare") as row:
        folder = world.origin.folder / "pipeline_code" / "definitions" / world.model.folder
        variant = folder / world.settings.variant
        commit = world.origin.head
        digests = {kind: sha256((variant / f"{kind}.json").read_bytes()) for kind in KINDS}
        for stage in world.settings.stages:
            for kind, digest in digests.items():
                name = world.stage(stage).pipeline_name(world.model, kind)
                tags = state(world, stage).tags.get(name, {})
                seen = f"{tags.get('mlops:definition')} of commit {tags.get('mlops:commit')}"
                good = (tags.get("mlops:definition"), tags.get("mlops:commit")) == (digest, commit)
                check(good, f"{stage}: {name} is {digest} of commit {commit}", seen)
        shown = ", ".join(f"{kind} {digest[:12]}" for kind, digest in digests.items())
        row.said = f"{', '.join(world.settings.stages)} have the definitions of {commit[:12]}: {shown}"


def authoring() -> Path | None:
    """Return the Python of the environment that compiles definitions, where this clone has it."""
    python = ROOT / ".venv-authoring" / "bin" / "python"
    return python if (ROOT / ".venv-authoring" / ".ready").exists() else None


def retuned(folder: Path) -> None:
    """Change a hyperparameter and the limit of drift in model.yaml, and compile both definitions anew."""
    described = folder / "pipeline_code" / "mammography" / "model.yaml"
    replace_text(described, "  eta: 0.03\n", "  eta: 0.04\n")
    replace_text(described, "  comparison_threshold: 0.0\n", "  comparison_threshold: 0.01\n")
    python = authoring()
    if python is None:
        raise RehearsalError(
            "definitions can't be compiled: there is no .venv-authoring; run: make setup-authoring"
        )
    done = subprocess.run(
        [str(python), "-m", "pipeline_code.compile"], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RehearsalError(f"make definitions: {done.stderr.strip().splitlines()[-1]}")


def commented(folder: Path) -> None:
    """Change the code of a step: other code, the same result."""
    path = folder / "pipeline_code" / "steps" / "prepare.py"
    path.write_text(path.read_text() + "\n# Rehearsed.\n")
