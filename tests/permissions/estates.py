"""Installations to judge, each synthesized once a process."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.fixtures.trees import two_models
from tests.permissions.estate import Estate, Stack
from tests.permissions.principals import JENKINS
from tests.permissions.world import BRANCH, MAIN, SHARED, WITH_BRANCH
from tests.stacks.installations import SETTINGS, synthesized

_SETTINGS = {
    **SETTINGS,
    # As "versions", delivered by others.
    "github": SETTINGS["full"] | {"delivery": {"by": "github", "repository": "example/cdk-mlops"}},
    "jenkins": SETTINGS["full"]
    | {
        "delivery": {
            "by": "jenkins",
            "jenkins_principals": [f"arn:aws:iam::{JENKINS}:role/agents/jenkins"],
        }
    },
}
MODELS = [{"folder": "mammography"}, {"folder": "wine"}]


@cache
def estate(name: str = "versions") -> Estate:
    """Return an installation of two models with everything switched on, or a variant of it."""
    if name == "shared":
        grace = f"arn:aws:iam::{SHARED.accounts['prod']}:user/grace"
        people = {**_SETTINGS["versions"]["people"], "operators": [grace]}
        values = _SETTINGS["versions"] | {"accounts": dict(SHARED.accounts), "people": people}
        return Estate(stacks_of(synthesized(values)), SHARED)
    if name == "branch":
        return _branch()
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("MLOPS_DEFINITIONS")
        os.environ["MLOPS_DEFINITIONS"] = str(two_models(Path(folder)))
        try:
            assembly = synthesized({**_SETTINGS[name], "models": MODELS})
        finally:
            os.environ.pop("MLOPS_DEFINITIONS")
            if before is not None:
                os.environ["MLOPS_DEFINITIONS"] = before
    return Estate(stacks_of(assembly), MAIN)


def _branch() -> Estate:
    """Return what there is where a branch is deployed beside the main installation: of one of its models."""
    assembly = synthesized({**_SETTINGS["versions"], "models": MODELS[:1]}, branch=BRANCH)
    return Estate([*estate().stacks, *stacks_of(assembly)], WITH_BRANCH)


def stacks_of(assembly: Any) -> list[Stack]:
    """Return the stacks of a cloud assembly; what a delivery pipeline deploys is the same once more."""
    found = {
        one.stack_name: Stack(one.stack_name, one.environment.account, one.environment.region, one.template)
        for one in assembly.stacks_recursively
    }
    return list(found.values())
