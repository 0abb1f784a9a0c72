"""The policy of the role that CloudFormation deploys our stacks with: only the types and names that they have.

It is far narrower than AdministratorAccess, and still strong: who may create a role under ``/mlops/`` may give it any
permission. What keeps that in check is who may deploy, and that widening permissions stop a promotion.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.bootstrap_rules import ALWAYS, CUSTOM, RULES, Rule
from ops.errors import CommandError
from stacks.installation import BOOTSTRAP_QUALIFIER

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html; whitespace doesn't count
MOST_CHARACTERS = 6144
MOST_POLICIES = 10
_VERSION = "2012-10-17"


@dataclass(frozen=True)
class Names:
    """What the names in an account begin with.

    Attributes
    ----------
    stacks
        Names of its stacks.
    prefixes
        What names of functions, alarms and schedules begin with, without the hyphen.
    topic
        Name of the alert topics.
    groups
        Names of the model package groups.
    connection_arn
        Connection that a delivery pipeline takes its source from. None: there is none.
    deploys_to
        Accounts that a delivery pipeline deploys to.
    """

    partition: str
    region: str
    account: str
    stacks: tuple[str, ...]
    prefixes: tuple[str, ...]
    topic: str
    groups: tuple[str, ...]
    connection_arn: str | None = None
    deploys_to: tuple[str, ...] = ()

    def fill(self, patterns: Iterable[str]) -> list[str]:
        """Return patterns with the names filled in, each once."""
        fixed = {
            "p": self.partition,
            "r": self.region,
            "a": self.account,
            "q": BOOTSTRAP_QUALIFIER,
            "topic": self.topic,
        }
        several = {
            "prefix": self.prefixes,
            "stack": self.stacks,
            "lower": tuple(stack.lower() for stack in self.stacks),
            "group": self.groups,
        }
        found = []
        for pattern in patterns:
            name = next((key for key in several if f"{{{key}}}" in pattern), None)
            for value in several[name] if name else ("",):
                found.append(pattern.format(**fixed, **({name: value} if name else {})))
        return list(dict.fromkeys(found))


def statements(types: Collection[str], names: Names) -> list[dict[str, Any]]:
    """Return what CloudFormation may do to deploy resources of these types.

    Raises
    ------
    CommandError
        For a type that nobody has reviewed yet.
    """
    unknown = sorted(
        one for one in types if one not in RULES and not one.startswith(("Custom::", "AWS::CDK::"))
    )
    if unknown:
        raise CommandError(f"nothing is known of {', '.join(unknown)}: add a rule in ops/bootstrap_rules.py")
    rules: list[Rule] = [RULES[one] for one in sorted(types) if one in RULES]
    if any(one.startswith("Custom::") for one in types):
        rules.append(CUSTOM)
    rules += ALWAYS
    by_resources: dict[tuple[str, ...], list[str]] = {}
    for rule in rules:
        by_resources.setdefault(tuple(names.fill(rule.on)), []).extend(rule.actions)
    anywhere = [action for rule in rules for action in rule.anywhere]
    found = [_allow(actions, resources) for resources, actions in by_resources.items()]
    if anywhere:
        found.append(_allow(anywhere, ["*"]))
    services = sorted({service for rule in rules for service in rule.passes})
    if services:
        found.append(_pass(names.fill(["arn:{p}:iam::{a}:role/mlops/*"]), services))
    if "AWS::CodePipeline::Pipeline" in types:
        found += _pipeline(names)
    return found


def _allow(actions: Iterable[str], resources: Sequence[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": sorted(set(actions)), "Resource": _one_or_more(list(resources))}


def _one_or_more(values: list[str]) -> Any:
    return values[0] if len(values) == 1 else values


def _pass(roles: list[str], services: list[str]) -> dict[str, Any]:
    condition = {"StringEquals": {"iam:PassedToService": _one_or_more(services)}}
    return _allow(["iam:PassRole"], roles) | {"Condition": condition}


def _pipeline(names: Names) -> list[dict[str, Any]]:
    """Return what a delivery pipeline needs beside its type: its connection, and the roles of its actions."""
    roles = [
        f"arn:{names.partition}:iam::{account}:role/cdk-{BOOTSTRAP_QUALIFIER}-deploy-role-{account}-{names.region}"
        for account in dict.fromkeys(names.deploys_to)
    ]
    found = [_pass(roles, ["codepipeline.amazonaws.com"])] if roles else []
    if names.connection_arn:
        services = ("codeconnections", "codestar-connections")
        parts = names.connection_arn.split(":")
        connections = [":".join([*parts[:2], service, *parts[3:]]) for service in services]
        found.append(_allow([f"{service}:PassConnection" for service in services], connections))
    return found


def documents(listed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the statements as policies, each within what a managed policy may have.

    Raises
    ------
    CommandError
        Where a role would need more policies than it may have.
    """
    found: list[dict[str, Any]] = []
    for statement in listed:
        if (
            not found
            or size({**found[-1], "Statement": [*found[-1]["Statement"], statement]}) > MOST_CHARACTERS
        ):
            found.append({"Version": _VERSION, "Statement": []})
        found[-1]["Statement"].append(statement)
    if len(found) > MOST_POLICIES or any(size(one) > MOST_CHARACTERS for one in found):
        raise CommandError(
            f"the policy would need {len(found)} parts of {MOST_CHARACTERS} characters, a role takes {MOST_POLICIES}:"
            " share accounts among fewer models, or bootstrap with a policy of your own"
        )
    return found


def size(document: Mapping[str, Any]) -> int:
    """Return how many characters of a policy count."""
    return len(json.dumps(document, separators=(",", ":")))
