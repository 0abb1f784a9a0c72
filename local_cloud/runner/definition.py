"""A pipeline definition as data: its parameters, and its steps with what each depends on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

JsonObject = dict[str, Any]
STEP_REFERENCE = re.compile(r"^Steps\.([A-Za-z0-9](?:-*[A-Za-z0-9])*)(?:\.(.*))?$", re.DOTALL)
BRANCHES = ("IfSteps", "ElseSteps")


@dataclass(frozen=True)
class Branch:
    """The side of a condition step on which another step stands."""

    condition: str
    outcome: bool


@dataclass(frozen=True)
class Step:
    """One step of a pipeline definition.

    Attributes
    ----------
    name, type
        As in the definition.
    body
        The whole JSON object of the step.
    branch
        Where the step stands, if it stands in a condition step.
    waits_for
        Names of the steps that must have ended well before it starts: named in ``DependsOn``, referred to in its
        arguments, and the condition step in which it stands.
    """

    name: str
    type: str
    body: JsonObject
    branch: Branch | None = None
    waits_for: frozenset[str] = frozenset()

    @property
    def arguments(self) -> JsonObject:
        """What the step passes to the API call, with references unresolved."""
        arguments: JsonObject = self.body.get("Arguments") or {}
        return arguments


@dataclass(frozen=True)
class Parameter:
    """A parameter of a pipeline; `default` is None where the caller must give a value."""

    name: str
    type: str
    default: Any = None
    enum_values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Definition:
    """A parsed pipeline definition; `steps` holds those of all branches, in the order of the text."""

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    steps: Mapping[str, Step] = field(default_factory=dict)
    body: JsonObject = field(default_factory=dict)


def expressions(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each ``Get``, ``Std:Join`` and ``Std:JsonGet`` in a JSON value as (operator, operand), outer ones first."""
    if isinstance(value, dict):
        if len(value) == 1:
            operator, operand = next(iter(value.items()))
            if operator in ("Get", "Std:Join", "Std:JsonGet"):
                yield operator, operand
                if operator == "Get":
                    return
        for item in value.values():
            yield from expressions(item)
    elif isinstance(value, list):
        for item in value:
            yield from expressions(item)


def references(value: Any) -> Iterator[str]:
    """Yield the operand of each ``Get`` in a JSON value."""
    return (
        operand for operator, operand in expressions(value) if operator == "Get" and isinstance(operand, str)
    )


def own_body(step: JsonObject) -> JsonObject:
    """Return a step's JSON without the steps that stand in it."""
    if step.get("Type") != "Condition" or not isinstance(step.get("Arguments"), dict):
        return step
    arguments = {name: value for name, value in step["Arguments"].items() if name not in BRANCHES}
    return {**step, "Arguments": arguments}


def data_dependencies(step: JsonObject) -> set[str]:
    """Return the names of the steps whose results a step's own JSON refers to."""
    matches = (STEP_REFERENCE.match(reference) for reference in references(own_body(step)))
    return {match[1] for match in matches if match}


def walk(steps: list[JsonObject], branch: Branch | None = None) -> Iterator[tuple[JsonObject, Branch | None]]:
    """Yield each step of a list and of the branches in it, with where it stands."""
    for step in steps:
        yield step, branch
        arguments = step.get("Arguments")
        if step.get("Type") == "Condition" and isinstance(arguments, dict):
            for key, outcome in zip(BRANCHES, (True, False), strict=True):
                yield from walk(arguments.get(key) or [], Branch(str(step.get("Name")), outcome))


def parse(body: JsonObject) -> Definition:
    """Return the definition that a checked JSON body describes."""
    parameters = {
        item["Name"]: Parameter(
            item["Name"], item["Type"], item.get("DefaultValue"), tuple(item.get("EnumValues") or ())
        )
        for item in body.get("Parameters") or []
    }
    steps = {}
    for step, branch in walk(body["Steps"]):
        waits_for = data_dependencies(step) | set(step.get("DependsOn") or ())
        if branch:
            waits_for.add(branch.condition)
        steps[step["Name"]] = Step(step["Name"], step["Type"], own_body(step), branch, frozenset(waits_for))
    return Definition(parameters, steps, body)
