"""Every statement of two real stacks, changed in every way: each change to more is seen, none to less is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.iam.templates import Template
from ops.iam.widening import compare

SNAPSHOTS = Path(__file__).resolve().parents[1] / "stacks" / "snapshots"
STACKS = {"RegistryStack": "333333333333", "DeliveryStack": "333333333333"}
OTHER = {"StringEquals": {"aws:PrincipalOrgID": "o-example"}}

Json = dict[str, Any]
Change = Callable[[Json], None]


def put(**keys: Any) -> Change:
    return lambda statement: statement.update(keys)


def drop_condition(statement: Json) -> None:
    statement.pop("Condition")


def add_condition(statement: Json) -> None:
    statement["Condition"] = statement.get("Condition", {}) | {"StringEquals": OTHER["StringEquals"]}


def add_principal(statement: Json) -> None:
    statement["Principal"] = {"AWS": ["arn:aws:iam::999999999999:root"], "Service": "ec2.amazonaws.com"}


def to_more(statement: Json) -> Iterator[tuple[str, Change | None]]:
    """Changes that permit more; None stands for leaving the statement out."""
    if statement["Effect"] == "Deny":
        yield "left out", None
        yield "fewer actions", put(Action="none:Such")
        yield "a condition more", add_condition
        return
    if statement["Action"] not in ("*", "kms:*"):
        yield "all actions", put(Action="*")
    if statement.get("Resource", "*") != "*":
        yield "all resources", put(Resource="*")
    if "Condition" in statement:
        yield "no condition", drop_condition
    if "Principal" in statement:
        yield "other principals", add_principal


def to_less(statement: Json) -> Iterator[tuple[str, Change | None]]:
    """Changes that permit less, or the same."""
    yield "another sid", put(Sid="Other")
    if statement["Effect"] == "Deny":
        yield "all actions", put(Action="*")
        return
    yield "left out", None
    if "StringEquals" not in statement.get("Condition", {}):
        yield "a condition more", add_condition


def statements(value: Any) -> Iterator[list[Json]]:
    """Yield the lists of statements in a template."""
    if isinstance(value, dict):
        if isinstance(value.get("Statement"), list):
            yield value["Statement"]
        for one in value.values():
            yield from statements(one)
    elif isinstance(value, list):
        for one in value:
            yield from statements(one)


def mutants(
    body: Json, changes: Callable[[Json], Iterator[tuple[str, Change | None]]]
) -> Iterator[tuple[str, Json]]:
    for place, listed in enumerate(statements(body)):
        for number, statement in enumerate(listed):
            for name, change in changes(statement):
                mutant = copy.deepcopy(body)
                changed = list(statements(mutant))[place]
                if change is None:
                    del changed[number]
                else:
                    change(changed[number])
                yield f"{statement.get('Sid', '')} {statement['Action']} {name}", mutant


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(("changes", "seen"), [(to_more, True), (to_less, False)])
def test_each_statement_changed(stack: str, changes: Any, seen: bool) -> None:
    body = json.loads((SNAPSHOTS / f"full-{stack}.json").read_text())
    place = {"stack": stack, "account": STACKS[stack], "region": "us-east-1"}
    old = Template(body, **place)
    old.resources  # noqa: B018 - resolved once, for all comparisons
    tried = list(mutants(body, changes))
    assert len(tried) > 30
    assert [name for name, mutant in tried if bool(compare(old, Template(mutant, **place))) != seen] == []
