"""Installations for tests, each synthesized once a process with the context of cdk.json."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from stacks.composition import compose
from stacks.settings import load

ROOT = Path(__file__).resolve().parents[2]
CONNECTION = "arn:aws:codeconnections:us-east-1:333333333333:connection/00000000-0000-0000-0000-000000000000"
NETWORK = {
    "subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "security_group": "sg-0123456789abcdef0",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {"models": [{"folder": "mammography"}]},
    "full": {
        "models": [{"folder": "mammography"}],
        "email": "ml-team@example.com",
        "people": {
            "approvers": ["arn:aws:iam::333333333333:role/Reviewers"],
            "data_scientists": ["arn:aws:iam::111111111111:user/ada"],
            "operators": ["arn:aws:iam::222222222222:user/grace"],
        },
        "accounts": {"staging": "444444444444"},
        "network": dict.fromkeys(("dev", "staging", "prod"), NETWORK),
        "retrain_on": "any_failure",
        "delivery": {"repository": "example/cdk-mlops", "connection_arn": CONNECTION},
    },
    "delivered": {
        "models": [{"folder": "mammography"}],
        "delivery": {"repository": "example/cdk-mlops", "connection_arn": CONNECTION},
    },
    "model-monitor": {"models": [{"folder": "mammography"}], "monitor": "model-monitor"},
    "one-account": {
        "models": [{"folder": "mammography"}],
        "accounts": dict.fromkeys(("registry", "dev", "prod"), "111111111111"),
    },
    "new-network": {
        "models": [{"folder": "mammography"}],
        "network": {"create": True, "interface_endpoints": ["ecr.api", "ecr.dkr", "logs"]},
    },
    "elsewhere": {"models": [{"folder": "mammography"}], "region": "cn-north-1"},
}

SETTINGS["versions"] = SETTINGS["full"] | {
    "delivery": {**SETTINGS["full"]["delivery"], "approve_versions": True}
}


def context() -> dict[str, Any]:
    """Return the feature flags of cdk.json."""
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    return {key: value for key, value in flags.items() if key != "mlops"}


@cache
def assembly(name: str) -> Any:
    """Return the cloud assembly of an installation."""
    return synthesized(SETTINGS[name])


def synthesized(values: dict[str, Any], *, by_hand: bool = True, **more_context: object) -> Any:
    """Synthesize an installation from settings."""
    os.environ["GIT_COMMIT"] = "0" * 40
    app = cdk.App(context=context() | more_context, analytics_reporting=False)
    compose(app, load(values), by_hand=by_hand)
    return app.synth()


@cache
def template(name: str, stack: str) -> dict[str, Any]:
    """Return the template of a stack of an installation."""
    return dict(assembly(name).get_stack_by_name(stack).template)


def resources(found: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of the resources of a type by logical id."""
    return {key: one["Properties"] for key, one in found["Resources"].items() if one["Type"] == kind}
