"""A compiled definition in memory, found by names and changed for one test."""

import copy
import json
from collections.abc import Callable
from typing import Any

from pipeline_code.definitions import load
from pipeline_code.validate import errors

Definition = dict[str, Any]
Mutation = Callable[[Definition], None]


def definition(kind: str = "train", variant: str = "default") -> Definition:
    """Return a committed definition of the model shipped."""
    found = load("mammography", variant)
    parsed: Definition = json.loads(getattr(found, kind).read_text())
    return parsed


def step(body: Definition, name: str) -> dict[str, Any]:
    """Return a step, wherever it stands, by its name without prefix."""
    for held in steps_of(body["Steps"]):
        if held["Name"] == f"Mammo-{name}":
            return held
    raise KeyError(name)


def steps_of(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return steps and those in their branches."""
    found = []
    for held in steps:
        branches = held["Arguments"] if held["Type"] == "Condition" else {}
        found += [held, *steps_of(branches.get("IfSteps", [])), *steps_of(branches.get("ElseSteps", []))]
    return found


def errors_after(mutation: Mutation, kind: str = "train", variant: str = "default") -> list[str]:
    """Return what the checker says about a definition that a test has changed."""
    body = copy.deepcopy(definition(kind, variant))
    mutation(body)
    return errors(json.dumps(body))
