"""``make bootstrap-help``: the commands that prepare each account for the CDK, with a policy for its deployments."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops import assembly
from ops.bootstrap_policy import Names, documents, statements
from ops.deployed import stack_name
from stacks.installation import Settings

POLICY = "mlops-deployment"


@dataclass(frozen=True)
class Place:
    """One account, and the names under which the settings have it: ``registry``, ``dev``, ..., ``delivery``."""

    account: str
    names: tuple[str, ...]

    @property
    def profile(self) -> str:
        """Return the AWS profile that the commands use."""
        return f"mlops-{self.names[0]}"

    @property
    def stacks(self) -> tuple[str, ...]:
        """Return the stacks that are deployed there."""
        return tuple(stack_name(name) for name in self.names)


def places(settings: Settings) -> list[Place]:
    """Return the accounts of an installation, each once, in the order of the settings."""
    accounts = dict(settings.accounts)
    if settings.delivery is not None:
        accounts["delivery"] = settings.delivery.account
    found: dict[str, list[str]] = {}
    for name, account in accounts.items():
        found.setdefault(account, []).append(name)
    return [Place(account, tuple(names)) for account, names in found.items()]


def trusted(settings: Settings) -> str:
    """Return the account that deploys to the others: the delivery's, else the registry's, as a person does."""
    return settings.accounts["registry"] if settings.delivery is None else settings.delivery.account


def names_in(settings: Settings, place: Place) -> Names:
    """Return what the names in an account begin with."""
    delivery = settings.delivery
    # CodePipeline gives no connection to other CI systems.
    connection = delivery.connection_arn or None if delivery and "delivery" in place.names else None
    return Names(
        partition=settings.partition,
        region=settings.region,
        account=place.account,
        stacks=place.stacks,
        prefixes=("mlops", *(model.prefix for model in settings.models)),
        topic=settings.alert_topic_name,
        groups=tuple(model.model_package_group for model in settings.models),
        connection_arn=connection,
        deploys_to=tuple(dict.fromkeys(settings.accounts.values())) if connection else (),
    )


def write_policies(settings: Settings, place: Place, folder: Path, work: Path) -> list[Path]:
    """Write the policies of an account's deployments and return their files.

    Parameters
    ----------
    folder
        The assembly.
    work
        Where they go, as ``<account name>.json``, or ``<account name>-1.json``, ... where there are several.
    """
    types: set[str] = set()
    for stack in place.stacks:
        types |= {one["Type"] for one in assembly.find(folder, stack).template["Resources"].values()}
    if "dev" in place.names:
        types |= {"AWS::SageMaker::ModelPackageGroup"}  # a branch has a group of its own in dev
    listed = documents(statements(types, names_in(settings, place)))
    work.mkdir(parents=True, exist_ok=True)
    files = []
    for number, document in enumerate(listed, start=1):
        part = f"-{number}" if len(listed) > 1 else ""
        files.append(work / f"{place.names[0]}{part}.json")
        files[-1].write_text(json.dumps(document, indent=1) + "\n")
    return files


def run(settings: Settings, folder: Path, work: Path, root: Path, *, say: Callable[[str], None]) -> None:
    """Write the policies and print the commands, which are a valid script for a shell.

    Parameters
    ----------
    folder
        The assembly.
    work
        Where the policies go.
    root
        The repository: files are named as seen from there.
    """
    deployer = trusted(settings)
    say("# One account after the other, from this folder. cdk is the pinned CLI:")
    say('#   alias cdk="$PWD/.venv/bin/node $PWD/node_modules/aws-cdk/bin/cdk"')
    say(f"# Deployments come from account {deployer}, so the others trust it.")
    for place in places(settings):
        files = write_policies(settings, place, folder, work)
        say(f"\n# {' and '.join(place.names)}: {place.account}, for {' and '.join(place.stacks)}")
        arns = []
        for number, file in enumerate(files, start=1):
            name = POLICY if len(files) == 1 else f"{POLICY}-{number}"
            arns.append(f"arn:{settings.partition}:iam::{place.account}:policy/{name}")
            path = file.relative_to(root) if file.is_relative_to(root) else file
            say(
                f"aws iam create-policy --policy-name {name} --policy-document {shlex.quote(f'file://{path}')}"
                f" --profile {place.profile}"
            )
        command = f"cdk bootstrap aws://{place.account}/{settings.region} --profile {place.profile}"
        if place.account != deployer:
            command += f" --trust {deployer} --trust-for-lookup {deployer}"
        say(f"{command} --cloudformation-execution-policies {','.join(arns)}")
    say(
        "\n# Run it again where stacks get resources of new types; a policy that exists takes the new text with"
    )
    say("#   aws iam create-policy-version --policy-arn ARN --policy-document file://... --set-as-default")
