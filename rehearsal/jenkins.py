"""Runs the stages of the Jenkinsfile: what its Groovy does is done here, each shell step is run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from rehearsal.ci_steps import Job, jenkins_stages
from rehearsal.errors import RehearsalError
from rehearsal.expressions import holds
from rehearsal.settings import ACCOUNTS, JENKINS_PRINCIPAL
from rehearsal.shell_steps import Machine, pairs
from rehearsal.world import World

ASSEMBLY = "cdk.out.tar"


def promote(world: World) -> list[str]:
    """Run the stages for main's commit; return those that ran.

    Raises
    ------
    RehearsalError
        Where a step fails, or a person refuses.
    """
    machine = Machine(world, "jenkins")
    env = machine.environment({"BRANCH_NAME": "main", **_agent(world)})
    stash = machine.folder / ASSEMBLY
    values: dict[str, str] = {}
    ran = []
    for stage in jenkins_stages(world.origin.folder / "Jenkinsfile"):
        if stage.condition and not holds(stage.condition, values):
            continue
        if stage.approval:
            _ask(world, stage)
        if stage.steps:
            folder = machine.checkout(stage.name)
            if stash.exists():
                shutil.copy2(stash, folder / ASSEMBLY)
            for step in stage.steps:
                machine.run(step, step.script, folder, {**env, **step.env})
            if (folder / ASSEMBLY).exists():
                shutil.copy2(folder / ASSEMBLY, stash)
            values |= _scripts(folder)
        ran.append(stage.name)
    return ran


def _agent(world: World) -> dict[str, str]:
    """Make the role that agents run as, and return its credentials."""
    account, name = ACCOUNTS["registry"], JENKINS_PRINCIPAL.rsplit("/", 1)[-1]
    iam = world.client("registry", "iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    delivers = f"arn:aws:iam::{account}:role/mlops/delivery/build/mlops-delivery-jenkins"
    allowed = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": delivers}
    iam.put_role_policy(
        RoleName=name,
        PolicyName="promote",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    keys = world.cloud.service_session(JENKINS_PRINCIPAL, service="ec2.amazonaws.com").get_credentials()
    return {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
    }


def _scripts(folder: Path) -> dict[str, str]:
    """Return what the ``script`` blocks set, from the files that the shell steps left."""
    found: dict[str, str] = {}
    variables = pairs(folder / "build" / "ci" / "variables")
    if variables:
        found |= {"env.PROMOTE": variables["promote"], "env.STAGING": variables["staging"]}
    permissions = pairs(folder / "build" / "ci" / "permissions")
    if permissions:
        found["env.WIDENS"] = permissions["widens"]
    return found


def _ask(world: World, stage: Job) -> None:
    with world.record.step(stage.name, "Input") as row:
        answer = world.approver.answer(stage.name, f"{stage.name}: {stage.approval}")
        row.result, row.said = ("Approved" if answer.approved else "Rejected"), answer.note
        if not answer.approved:
            raise RehearsalError(f"{stage.name} was refused: {answer.note}")
