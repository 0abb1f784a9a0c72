"""How wide the templates' permissions are, in numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

HOLDERS = ("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group")
ATTACHED = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")


@dataclass(frozen=True)
class Counts:
    """What a reviewer counts first, over the identity policies of some templates."""

    roles: int
    allow_statements: int
    managed_policies: int
    whole_services: int
    everywhere: frozenset[str]


def count(templates: Iterable[Mapping[str, Any]]) -> Counts:
    """Count in templates; `everywhere` are the actions that are allowed on ``*`` without a condition."""
    found = [resource for template in templates for resource in template["Resources"].values()]
    statements = [one for resource in found for one in _statements(resource) if one["Effect"] == "Allow"]
    managed = [
        arn
        for resource in found
        if resource["Type"] in HOLDERS
        for arn in resource["Properties"].get("ManagedPolicyArns", [])
        if ":iam::aws:policy/" in json.dumps(arn)
    ]
    actions = [action for one in statements for action in _list(one.get("Action", []))]
    return Counts(
        roles=sum(resource["Type"] == "AWS::IAM::Role" for resource in found),
        allow_statements=len(statements),
        managed_policies=len(managed),
        whole_services=sum(action == "*" or action.endswith(":*") for action in actions),
        everywhere=frozenset(
            action
            for one in statements
            if "*" in _list(one.get("Resource", [])) and not one.get("Condition")
            for action in _list(one.get("Action", []))
        ),
    )


def _statements(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    properties = resource.get("Properties", {})
    if resource["Type"] in ATTACHED:
        yield from _list(properties["PolicyDocument"]["Statement"])
    for policy in properties.get("Policies", []) if resource["Type"] in HOLDERS else []:
        yield from _list(policy["PolicyDocument"]["Statement"])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
