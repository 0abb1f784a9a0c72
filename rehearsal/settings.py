"""The installation that is rehearsed: accounts, people and delivery of its own, whatever this clone's cdk.json says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REPOSITORY = "example/cdk-mlops"
PIPELINE = "mlops-delivery"
REGION = "us-east-1"
ACCOUNTS: Mapping[str, str] = {
    "registry": "333333333333",
    "dev": "111111111111",
    "staging": "444444444444",
    "prod": "222222222222",
}
APPROVER = "alice"
OPERATOR = "grace"
CONNECTION_ARN = (
    f"arn:aws:codeconnections:{REGION}:{ACCOUNTS['registry']}:connection/00000000-0000-4000-8000-000000000000"
)
CODEPIPELINE = {"by": "codepipeline", "repository": REPOSITORY, "connection_arn": CONNECTION_ARN}
GITHUB = {"by": "github", "repository": REPOSITORY}
JENKINS_PRINCIPAL = f"arn:aws:iam::{ACCOUNTS['registry']}:role/jenkins-agent"
JENKINS = {"by": "jenkins", "jenkins_principals": [JENKINS_PRINCIPAL]}


EVERYTHING: Mapping[str, Any] = {
    "network": {
        "create": True,
        "interface_endpoints": ["ecr.api", "ecr.dkr", "kms", "logs", "monitoring", "sts"],
        "s3_prefix_list": "pl-63a5400a",
    },
    "audit": {"data_events": True, "keep_days": 2192},
}


def first(*, everything: bool = False) -> dict[str, Any]:
    """Return what a new user writes under ``mlops``: three accounts, delivery by CodePipeline, no staging yet.

    Parameters
    ----------
    everything
        Whether all is switched on that adds to the stacks, such as networks of their own.
    """
    return {
        **(EVERYTHING if everything else {}),
        "accounts": {name: ACCOUNTS[name] for name in ("registry", "dev", "prod")},
        "region": REGION,
        "email": "ml-team@example.com",
        "people": {
            "approvers": [f"arn:aws:iam::{ACCOUNTS['registry']}:user/{APPROVER}"],
            "data_scientists": [f"arn:aws:iam::{ACCOUNTS['dev']}:user/ada"],
        },
        "models": [{"folder": "mammography"}],
        "delivery": dict(CODEPIPELINE),
    }


def add_staging(values: dict[str, Any]) -> None:
    """Add the account of staging."""
    accounts = values["accounts"]
    values["accounts"] = {name: ACCOUNTS[name] for name in ACCOUNTS if name in (*accounts, "staging")}
