"""Installations that another CI system promotes, each synthesized once a process."""

from __future__ import annotations

from functools import cache
from typing import Any

import aws_cdk as cdk

from stacks.ci_delivery import CiDeliveryStack
from stacks.settings import load
from tests.stacks.installations import context

REGISTRY, DEV, PROD, STAGING = "333333333333", "111111111111", "222222222222", "444444444444"
PROVIDER = f"arn:aws:iam::{REGISTRY}:oidc-provider/token.actions.githubusercontent.com"
GITHUB = {"by": "github", "repository": "example/mlops"}
JENKINS = {"by": "jenkins", "jenkins_principals": ["arn:aws:iam::555555555555:role/agents/jenkins"]}
ACCOUNTS = {"registry": REGISTRY, "dev": DEV, "prod": PROD}
SETTINGS: dict[str, dict[str, Any]] = {
    "github": {"delivery": GITHUB},
    "github-staging": {
        "accounts": {**ACCOUNTS, "staging": STAGING},
        "delivery": {**GITHUB, "branch": "release", "oidc_provider_arn": PROVIDER},
    },
    "github-ids": {"delivery": {**GITHUB, "repository": "example@123/mlops@456"}},
    "github-one-account": {
        "accounts": dict.fromkeys(ACCOUNTS, DEV),
        "delivery": GITHUB,
    },
    "jenkins": {"accounts": {**ACCOUNTS, "staging": STAGING}, "delivery": JENKINS},
}


@cache
def artifact(name: str) -> Any:
    """Return the delivery stack of an installation as it lies in the assembly."""
    settings = load({"models": [{"folder": "mammography"}], **SETTINGS[name]})
    assert settings.delivery is not None
    app = cdk.App(context=context(), analytics_reporting=False)
    CiDeliveryStack(app, "DeliveryStack", settings=settings, delivery=settings.delivery)
    return app.synth().get_stack_by_name("DeliveryStack")


def role(name: str, role_name: str) -> dict[str, Any]:
    """Return the properties of a role."""
    (found,) = [
        one["Properties"]
        for one in artifact(name).template["Resources"].values()
        if one["Type"] == "AWS::IAM::Role" and one["Properties"]["RoleName"] == role_name
    ]
    return dict(found)


def reaches(name: str, role_name: str) -> set[str]:
    """Return what a role may assume, as account and role name; fails where it may do anything else."""
    (policy,) = role(name, role_name)["Policies"]
    found = set()
    for statement in policy["PolicyDocument"]["Statement"]:
        assert statement["Action"] == "sts:AssumeRole"
        assert "Condition" not in statement
        resources = statement["Resource"]
        for one in resources if isinstance(resources, list) else [resources]:
            whole = one if isinstance(one, str) else "".join(map(str, one["Fn::Join"][1]))
            _, _, _, _, account, path = whole.split(":", 5)[-6:] if whole.count(":") == 5 else _split(whole)
            found.add(f"{account} {path.removeprefix('role/')}")
    return found


def _split(arn: str) -> list[str]:
    # The partition is a token that holds colons of its own.
    return ["", "", "", "", *arn.rsplit(":", 2)[-2:]]
