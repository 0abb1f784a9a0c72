"""The templates of an installation's stacks: as they are deployed, and as an assembly has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.exceptions

from ops import assembly
from ops.errors import CommandError
from ops.sessions import lookup_session
from stacks.installation import Settings

#: Stacks that exist by name only: nothing of their template is there.
_NOTHING = ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_COMPLETE")


@dataclass(frozen=True)
class Pair:
    """A stack as it would become, and as it is.

    Attributes
    ----------
    account_name
        ``registry``, ``dev`` ...
    stack
        Its name.
    account, region
        Where it is.
    new
        The assembly's template.
    old
        The deployed template; None where there is none.
    """

    account_name: str
    stack: str
    account: str
    region: str
    new: Mapping[str, Any]
    old: Mapping[str, Any] | None


def stack_name(account_name: str) -> str:
    """Return the stack of ``registry``, ``dev``, ``staging`` or ``prod``."""
    return f"{account_name.title()}Stack"


def look_up(settings: Settings, account_name: str) -> Any:
    """Return a session that may read what is deployed for ``registry``, ``dev`` ..."""
    account, role_arn = settings.accounts[account_name], settings.lookup_role_arn(account_name)
    return lookup_session(account_name, role_arn, account, settings.region)


def pairs(settings: Settings, account_names: Sequence[str], folder: Path) -> list[Pair]:
    """Return the stacks of some accounts, out of an assembly and out of CloudFormation.

    Raises
    ------
    CommandError
        Where the assembly lacks one, is of other accounts, or what is deployed can't be read.
    """
    # All of the assembly is read first: a mistake there needs no credentials to be seen.
    found = [(name, assembly.find(folder, stack_name(name))) for name in account_names]
    for name, stack in found:
        wanted = f"aws://{settings.accounts[name]}/{settings.region}"
        actual = stack.artifact.get("environment")
        if actual != wanted:
            raise CommandError(
                f"{stack.name} in {folder} is for {actual}, the settings say {wanted}; synthesize again: make synth"
            )
    return [
        Pair(
            account_name=name,
            stack=stack.name,
            account=settings.accounts[name],
            region=settings.region,
            new=stack.template,
            old=deployed_template(look_up(settings, name).client("cloudformation"), stack.name),
        )
        for name, stack in found
    ]


def deployed_template(cloudformation: Any, stack: str) -> dict[str, Any] | None:
    """Return the template that a stack was deployed with, None where it isn't deployed.

    Raises
    ------
    CommandError
        Where the stack is changing, or stopped in the middle of a change.
    """
    try:
        status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        if status in _NOTHING:
            return None
        if not status.endswith("_COMPLETE") or status.endswith("CLEANUP_IN_PROGRESS"):
            raise CommandError(
                f"{stack} is {status}: what is deployed can't be told; wait, or repair it in CloudFormation, then again"
            )
        body = cloudformation.get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            raise CommandError(
                f"the deployed template of {stack} is not JSON: it was not deployed from here"
            ) from None
    return dict(json.loads(json.dumps(body)))
