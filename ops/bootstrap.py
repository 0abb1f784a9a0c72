"""``make bootstrap-help``: the commands that prepare each account for the CDK, with a policy for its deployments."""

from __future__ import annotations

import json
import os
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


@dataclass(frozen=True)
class Commands:
    """What prepares one account: a command a policy, and what makes it the newest version where it exists; the rest."""

    policies: tuple[tuple[str, str], ...]
    bootstrap: str


def commands(settings: Settings, place: Place, files: list[Path], root: Path) -> Commands:
    """Return the commands for an account."""
    deployer = trusted(settings)
    policies, arns = [], []
    for number, file in enumerate(files, start=1):
        name = POLICY if len(files) == 1 else f"{POLICY}-{number}"
        arns.append(f"arn:{settings.partition}:iam::{place.account}:policy/{name}")
        document = f"--policy-document {shlex.quote(f'file://{_seen(file, root)}')} --profile {place.profile}"
        policies.append(
            (
                f"aws iam create-policy --policy-name {name} {document}",
                f"aws iam create-policy-version --policy-arn {arns[-1]} --set-as-default {document}",
            )
        )
    trust = "" if place.account == deployer else f" --trust {deployer} --trust-for-lookup {deployer}"
    return Commands(
        tuple(policies),
        f"cdk bootstrap aws://{place.account}/{settings.region} --profile {place.profile}{trust}"
        f" --cloudformation-execution-policies {','.join(arns)}",
    )


def script(place: Place, wanted: Commands, work: Path, root: Path) -> str:
    """Return the commands of an account as a script, which can be run again."""
    policies = "\n".join(
        f"{create} ||\n  {{ echo 'not created: setting its newest version instead'; {update}; }}"
        for create, update in wanted.policies
    )
    return f"""#!/usr/bin/env bash
# Prepares {_described(place)}.
set -euo pipefail
here=$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)
cd "$here"/{shlex.quote(os.path.relpath(root, work))}
root=$PWD
# The pinned CLI, from a folder without an app: bootstrapping needs none.
cdk() {{ (cd "$here" && "$root"/.venv/bin/node "$root"/node_modules/aws-cdk/bin/cdk "$@"); }}
{policies}
{wanted.bootstrap}
"""


def _described(place: Place) -> str:
    return f"{' and '.join(place.names)}: account {place.account}, for {' and '.join(place.stacks)}"


def run(settings: Settings, folder: Path, work: Path, root: Path, *, say: Callable[[str], None]) -> None:
    """Write policies and scripts, and print the commands, which are a valid script themselves.

    Parameters
    ----------
    folder
        The assembly.
    work
        Where the policies and the scripts go, ``<account name>.sh``.
    root
        The repository: files are named as seen from there.
    """
    say("# cdk is the pinned CLI:")
    say('#   alias cdk="$PWD/.venv/bin/node $PWD/node_modules/aws-cdk/bin/cdk"')
    say(f"# Deployments come from account {trusted(settings)}, so the others trust it.")
    for place in places(settings):
        wanted = commands(settings, place, write_policies(settings, place, folder, work), root)
        file = work / f"{place.names[0]}.sh"
        file.write_text(script(place, wanted, work, root))
        say(f"\n# {_described(place)}; all at once: bash {shlex.quote(str(_seen(file, root)))}")
        for create, _ in wanted.policies:
            say(create)
        say(wanted.bootstrap)
    say(
        "\n# Again where stacks get resources of new types: the scripts then set the policies' newest version."
    )


def _seen(file: Path, root: Path) -> Path:
    return file.relative_to(root) if file.is_relative_to(root) else file
