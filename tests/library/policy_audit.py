"""Walks a template and lists what no identity policy, and no trust policy, may hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

PEOPLE = ("/approver/", "/data-scientist/", "/operator/")
CI = "/mlops/delivery/build/"  # of another CI system: exactly the users and roles that are named
BUILDS = ("/checker/",)  # builds of the delivery account: each named in a condition
TOO_WIDE = ("*FullAccess*", "*AdministratorAccess*", "*PowerUserAccess*")
# A Sid may claim by its ending that "*" is the only resource there is; these are the actions of which that is true.
CLAIM = "KnowsNoResource"
KNOW_NO_RESOURCE = (
    "cloudwatch:PutMetricData",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ecr:GetAuthorizationToken",
    "sagemaker:ListModels",
)


def findings(template: Mapping[str, Any]) -> list[str]:
    """Return one line for each thing that is too wide; none is the goal."""
    return [
        f"{logical_id}: {line}"
        for logical_id, resource in template["Resources"].items()
        for line in _findings(resource["Type"], resource.get("Properties", {}))
    ]


def _findings(kind: str, properties: Mapping[str, Any]) -> Iterator[str]:
    if kind == "AWS::IAM::Role":
        yield from _trust_findings(properties)
    for arn in map(json.dumps, properties.get("ManagedPolicyArns", [])):
        if any(fnmatchcase(arn, pattern) for pattern in TOO_WIDE):
            yield f"managed policy {arn}"
    for statement in identity_statements(kind, properties):
        yield from _statement_findings(statement)


def identity_statements(kind: str, properties: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the statements of the identity policies that a resource holds."""
    if kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        yield from as_list(properties["PolicyDocument"]["Statement"])
    if kind in ("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"):
        for policy in properties.get("Policies", []):
            yield from as_list(policy["PolicyDocument"]["Statement"])


def _statement_findings(statement: Mapping[str, Any]) -> Iterator[str]:
    if statement["Effect"] != "Allow":
        return
    name = statement.get("Sid", json.dumps(statement.get("Action")))
    for key in ("NotAction", "NotResource"):
        if key in statement:
            yield f"{name}: {key} allows what nobody listed"
    actions = as_list(statement.get("Action", []))
    for action in actions:
        if action == "*" or action.endswith(":*"):
            yield f"{name}: action {action}"
    if "*" in as_list(statement.get("Resource", [])) and not statement.get("Condition"):
        if not str(statement.get("Sid", "")).endswith(CLAIM):
            yield f"{name}: resource * without condition or reason"
        for action in actions:
            if action not in KNOW_NO_RESOURCE:
                yield f"{name}: {action} does know resources"


def _trust_findings(role: Mapping[str, Any]) -> Iterator[str]:
    services: list[str] = []
    for statement in as_list(role["AssumeRolePolicyDocument"]["Statement"]):
        principal = statement["Principal"]
        if principal == "*" or "*" in as_list(principal.get("AWS", [])):
            yield "anybody may assume it"
            continue
        path = str(role.get("Path", ""))
        if path.endswith(BUILDS) and "aws:PrincipalArn" in statement.get("Condition", {}).get(
            "ArnEquals", {}
        ):
            continue
        if path == CI and "AWS" in principal and ":root" not in json.dumps(principal):
            continue
        if "AWS" in principal and not path.endswith(PEOPLE):
            yield f"accounts or people in the trust of a role that is not theirs: {json.dumps(principal)}"
        services += [json.dumps(one) for one in as_list(principal.get("Service", []))]
    if len(set(services)) > 1:
        yield f"more than one service in the trust: {', '.join(services)}"


def as_list(value: Any) -> Sequence[Any]:
    """Return a policy's value as the list that it may also be."""
    return value if isinstance(value, list) else [value]
