"""Take up again what a destroyed stack left: see docs/decisions/0004-adopting-what-stayed.md."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.exceptions
import yaml

from ops import cdk, kept
from ops.errors import CommandError

NOT_THERE = ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS")
# A first deployment that failed: the stack is of no use any more, but still counts what stayed as its own.
FAILED_AT_ONCE = "ROLLBACK_COMPLETE"
# These still hold resources, and take no more.
STUCK = ("ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED")


@dataclass(frozen=True)
class Place:
    """A stack, and a boto3 session in its account."""

    stack: str
    session: Any

    @property
    def profile(self) -> list[str]:
        """Return the CDK CLI's arguments that let it act with the same AWS profile."""
        name = self.session.profile_name
        return [] if name == "default" else ["--profile", name]


def adopt(places: Sequence[Place], work: Path, *, say: Callable[[str], None]) -> None:
    """Let stacks take up the buckets, keys, aliases and groups of their templates that exist already.

    First CloudFormation imports them into the stack, which it creates if need be; then an update sets the properties
    of the template on them. What else the template has is for the next deployment.

    Parameters
    ----------
    places
        The stacks. Their accounts must be bootstrapped.
    work
        Folder for templates and logs; it is emptied.
    say
        Gets what a person should know, a line each.

    Raises
    ------
    CommandError
        Where a stack can't take up something, or the CDK CLI failed.
    """
    shutil.rmtree(work, ignore_errors=True)
    assembly = work / "cdk.out"
    cdk.run(["synth", "--quiet", "--output", str(assembly)], cdk.environment({}), work / "synth.log")
    _clear_away([place for place in places if status(place) == FAILED_AT_ONCE], assembly, work, say)
    plans = [plan for place in places if (plan := _plan(place, assembly, say))]
    for step in ("import", "deploy"):
        _side_by_side([plan.command(step, work) for plan in plans])
    if plans:
        say("taken up; what else the stacks have comes with the next deployment: make deploy")


def _side_by_side(commands: Sequence[cdk.Command]) -> None:
    """Run commands to the end of all of them, and fail with the first failure: nothing is left halfway."""
    failures = []
    with ExitStack() as running:
        for command in [running.enter_context(command) for command in commands]:
            try:
                command.finish()
            except CommandError as error:
                failures.append(error)
    if failures:
        raise failures[0]


@dataclass(frozen=True)
class _Plan:
    place: Place
    manifest: Mapping[str, Any]
    deployed: Mapping[str, Any]
    found: Sequence[kept.Kept]

    def command(self, step: str, work: Path) -> cdk.Command:
        """Return the CDK command of a step, on an assembly that adds nothing but what was found."""
        stack = self.place.stack
        folder = work / f"{stack}-{step}"
        template = dict(self.deployed)
        there = template["Resources"] = {**self.deployed.get("Resources", {})}
        there |= {one.logical_id: one.bare for one in self.found}
        if step == "deploy":
            there |= {one.logical_id: one.definition for one in self.found if one.needs_only(there)}
        # An import can't give a stack its tags.
        dropped = ("tags",) if step == "import" and not self.deployed else ()
        write_assembly(folder / "cdk.out", self.manifest, stack, template, dropped=dropped)
        arguments = [step, stack, "--app", "cdk.out"]
        if step == "import":
            mapping = {one.logical_id: one.identifier for one in self.found}
            (folder / "mapping.json").write_text(json.dumps(mapping, indent=1))
            arguments += ["--resource-mapping", "mapping.json", "--force"]
        else:
            arguments += ["--require-approval", "never"]
        arguments += self.place.profile
        return cdk.Command(arguments, cdk.environment({}), folder / f"{step}.log", folder=folder)


def _clear_away(places: Sequence[Place], assembly: Path, work: Path, say: Callable[[str], None]) -> None:
    """Delete stacks whose first deployment failed; what they retain stays."""
    commands = []
    for place in places:
        say(f"{place.stack}: its first deployment failed; the empty stack is deleted, what it left is kept")
        arguments = [
            "destroy",
            place.stack,
            "--force",
            "--exclusively",
            "--app",
            str(assembly),
            *place.profile,
        ]
        log = work / f"{place.stack}-destroy.log"
        commands.append(cdk.Command(arguments, cdk.environment({}), log, folder=work))
    _side_by_side(commands)


def _plan(place: Place, assembly: Path, say: Callable[[str], None]) -> _Plan | None:
    template = json.loads((assembly / f"{place.stack}.template.json").read_text())
    wanted = kept.retained(template)
    cloudformation = place.session.client("cloudformation")
    deployed = deployed_template(place)
    missing = {name: one for name, one in wanted.items() if name not in deployed.get("Resources", {})}

    def ours(logical_id: str) -> str | None:
        if logical_id not in deployed.get("Resources", {}):
            return None
        detail = cloudformation.describe_stack_resource(StackName=place.stack, LogicalResourceId=logical_id)
        return str(detail["StackResourceDetail"]["PhysicalResourceId"])

    found = kept.find(place.session, missing, ours)
    if not found:
        say(f"{place.stack}: nothing to take up")
        return None
    say(f"{place.stack}: takes up " + ", ".join(one.words for one in found))
    manifest = json.loads((assembly / "manifest.json").read_text())
    return _Plan(place, manifest, deployed, found)


def status(place: Place) -> str | None:
    """Return the state of a stack; None where there is none."""
    try:
        stacks = place.session.client("cloudformation").describe_stacks(StackName=place.stack)["Stacks"]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return str(stacks[0]["StackStatus"])


def deployed_template(place: Place) -> dict[str, Any]:
    """Return the template that a stack has now; empty where there is no stack.

    Raises
    ------
    CommandError
        Where the stack is in a state that takes no resources.
    """
    state = status(place)
    if state is None or state in NOT_THERE:
        return {}
    if state in STUCK:
        raise CommandError(
            f"{place.stack} is {state}; delete what is left of it first: cdk destroy {place.stack}"
        )
    if state.endswith("_IN_PROGRESS"):
        raise CommandError(f"{place.stack} is {state}; wait until that has ended")
    cloudformation = place.session.client("cloudformation")
    body = cloudformation.get_template(StackName=place.stack, TemplateStage="Original")["TemplateBody"]
    return dict(yaml.safe_load(body) if isinstance(body, str) else body)


def write_assembly(
    folder: Path,
    manifest: Mapping[str, Any],
    stack: str,
    template: Mapping[str, Any],
    *,
    dropped: Sequence[str] = (),
) -> None:
    """Write a cloud assembly that holds one stack of another, with another template and without assets.

    Parameters
    ----------
    folder
        Where to.
    manifest
        Of the assembly that the stack is taken from.
    stack
        Its name.
    template
        Its new template.
    dropped
        Properties of the stack that are left out. Default: those about assets only.
    """
    artifact = manifest["artifacts"][stack]
    dropped = ("stackTemplateAssetObjectUrl", "additionalDependencies", *dropped)
    properties = {key: value for key, value in artifact["properties"].items() if key not in dropped}
    fields = {key: artifact[key] for key in ("type", "environment", "displayName") if key in artifact}
    folder.mkdir(parents=True)
    (folder / properties["templateFile"]).write_text(json.dumps(template))
    artifacts = {stack: {**fields, "properties": properties}}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "artifacts": artifacts}))
