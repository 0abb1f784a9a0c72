"""The matrix before the independent judge: every cell as a problem that knows nothing of what we decided.

``python -m tests.permissions.docket`` puts every cell before it (1.3 million problems in 100 seconds of CPU); the suite
does with a part.

What is left out of a problem can't change it. Cells in which nobody says anything (`Matrix.matters`) are not asked:
no statement speaks of the action, or none that allows admits the caller, and what isn't allowed is refused. Of the
policies a problem holds the statements that speak of its action: that both read actions alike is asked for every list
of actions and every action. Of the condition keys it holds those that one of these statements names. Problems that are
equal then are asked once. `whole_problems` asks cells, any cells, without leaving anything out.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import resource
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.permissions.judge import NODE
from tests.permissions.kinds import KINDS
from tests.permissions.matrices import MAIN, matrix
from tests.permissions.matrix import Cell, Matrix, decided
from tests.permissions.policy import Statement, Values
from tests.permissions.principals import Principal
from tests.permissions.world import Thing

PROGRAM = Path(__file__).with_name("docket.mjs")
_VARIABLE = re.compile(r"\$\{([^},\s]+)")
_OF_THE_CALLER = frozenset({"aws:principalarn", "aws:principalaccount"})


@dataclass
class Docket:
    """Problems as the judge reads them, each once, with what we say of it."""

    ours: list[bool] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        """Open the file that the judge will read."""
        self._file = TemporaryFile("w+")  # noqa: SIM115
        self._seen: set[tuple[object, ...]] = set()
        self._numbers: dict[tuple[str, object], int] = {}
        self._counts: dict[str, int] = {}
        self._keys: dict[tuple[int, int], frozenset[str]] = {}
        self._kept: list[object] = []  # what is known by its id must not go

    def add(
        self,
        cell: Cell,
        identity: Sequence[Statement],
        own: Sequence[Statement] | None,
        *,
        whole: bool = False,
    ) -> None:
        """Add a cell, with all condition keys where ``whole``, unless an equal problem is there."""
        self.asked += 1
        caller = cell.principal.caller
        context: dict[str, Values] = dict(cell.context)
        if caller.service is None:
            context.setdefault("aws:principalarn", (caller.arn,))
            context.setdefault("aws:principalaccount", (caller.account,))
        if not whole:
            keys = self._named(identity, own)
            context = {key: values for key, values in context.items() if key in keys}
        problem = (
            self._number("callers", caller.arn, caller.arn),
            cell.action,
            self._number(
                "things", (cell.thing.arn, cell.thing.account), [cell.thing.arn, cell.thing.account]
            ),
            -1 if caller.service else self._policy(identity),
            -1 if own is None else self._policy(own),
            self._number("contexts", tuple(sorted(context.items())), context),
        )
        if problem in self._seen:
            return
        self._seen.add(problem)
        self._file.write(json.dumps(problem) + "\n")
        self.ours.append(decided(cell, identity, own))
        self.cells.append(cell)

    def judged(self) -> list[bool]:
        """Return what the judge says of each problem."""
        self._file.seek(0)
        run = subprocess.run([str(NODE), str(PROGRAM)], stdin=self._file, capture_output=True, text=True)
        assert len(run.stdout) == len(self.ours), run.stderr
        return [letter == "A" for letter in run.stdout]

    def differences(self) -> list[str]:
        """Return a line for each problem that the judge decides otherwise."""
        return [
            f"{cell.principal.name}: {cell.action} on {cell.thing.shown} ({cell.situation}): we say"
            f" {'allowed' if mine else 'refused'}, the judge {'allowed' if its else 'refused'}"
            for cell, mine, its in zip(self.cells, self.ours, self.judged(), strict=True)
            if mine != its
        ]

    def _named(self, identity: Sequence[Statement], own: Sequence[Statement] | None) -> frozenset[str]:
        slot = (id(identity), id(own))
        if slot not in self._keys:
            self._kept += [identity, own]
            self._keys[slot] = frozenset(key for one in (*identity, *(own or ())) for key in named_keys(one))
        return self._keys[slot]

    def _policy(self, statements: Sequence[Statement]) -> int:
        number = self._numbers.get(("policy by id", id(statements)))
        if number is None:
            self._kept.append(statements)
            number = self._number("policies", tuple(map(repr, statements)), [raw(one) for one in statements])
            self._numbers["policy by id", id(statements)] = number
        return number

    def _number(self, table: str, key: object, value: object) -> int:
        number = self._numbers.get((table, key))
        if number is None:
            number = self._numbers[table, key] = self._counts.get(table, 0)
            self._counts[table] = number + 1
            self._file.write(json.dumps({table: [value]}) + "\n")
        return number


def raw(statement: Statement) -> dict[str, Any]:
    """Return a statement as a policy document has it."""
    found: dict[str, Any] = {"Effect": "Allow" if statement.allow else "Deny"}
    for name, values in (
        ("Action", statement.actions),
        ("NotAction", statement.not_actions),
        ("Resource", statement.resources),
        ("NotResource", statement.not_resources),
    ):
        if values is not None:
            found[name] = list(values)
    if statement.principals is not None:
        found["Principal"] = {kind: list(names) for kind, names in statement.principals.items()}
    conditions: dict[str, dict[str, list[str]]] = {}
    for operator, key, values in statement.conditions:
        conditions.setdefault(operator, {})[key] = list(values)
    return found | ({"Condition": conditions} if conditions else {})


def named_keys(statement: Statement) -> Iterator[str]:
    """Yield the condition keys that a statement looks at, those of policy variables included."""
    texts = [*(statement.resources or ()), *(statement.not_resources or ())]
    for _, key, values in statement.conditions:
        yield key
        texts += values
    for text in texts:
        yield from (name.lower() for name in _VARIABLE.findall(text))


def problems(found: Matrix, part: int = 0, of: int = 1) -> Docket:
    """Return a docket of the cells that matter; of ``of`` parts, by principal and thing, one."""
    docket = Docket()

    def wanted(principal: Principal, action: str, thing: Thing) -> bool:
        return _mine(principal, thing, part, of) and found.matters(principal, action, thing)

    for cell in found.cells(found.everybody, found.distinct, wanted):
        docket.add(cell, *found.statements(cell))
    return docket


@cache
def _hash(text: str) -> int:
    return zlib.crc32(text.encode())


def _mine(principal: Principal, thing: Thing, part: int, of: int) -> bool:
    return of == 1 or (_hash(principal.name) * 31 + _hash(thing.arn)) % of == part


def whole_problems(found: Matrix, part: int, of: int) -> Docket:
    """Return a docket of some cells, whether they matter or not, with whole policies and all condition keys."""
    docket = Docket()
    cells = found.cells(found.everybody, found.distinct, lambda who, _, thing: _mine(who, thing, part, of))
    for number, cell in enumerate(cells):
        if number % _WHOLE_EACH == 0:
            own = found.policies.own.get(found.owner_of(cell.thing))
            docket.add(cell, found.policies.identity[cell.principal.name], own, whole=True)
    return docket


_WHOLE_EACH = 7


def read_alike(found: Matrix) -> Docket:
    """Return a docket of every list of actions of a statement with every action: does it speak of it?"""
    docket = Docket()
    lists = {
        (one.actions, one.not_actions): None
        for statements in (*found.policies.identity.values(), *found.policies.own.values())
        for one in statements
    }
    somebody = next(one for one in found.everybody if one.administrator)
    account = somebody.caller.account
    thing = Thing("anything", "account", "*", account)
    # What leaves it to the account's own policies, without which some services refuse everything.
    left = {"AWS": (f"arn:aws:iam::{account}:root",)}
    own = [Statement("", True, ("*",), None, ("*",), None, left, ())]
    for actions, not_actions in lists:
        alone = [Statement("", True, actions, not_actions, ("*",), None, None, ())]
        for action in sorted({action for known in KINDS.values() for action in known}):
            docket.add(Cell(somebody, action, thing, str(actions or not_actions), {}), alone, own)
    return docket


def _work(job: tuple[str, int, int]) -> tuple[int, int, list[str]]:
    name, part, of = job
    docket = problems(matrix(name), part, of)
    return docket.asked, len(docket.ours), docket.differences()


def main(name: str = MAIN, processes: int = 2, parts: int = 12) -> int:
    """Put every cell before the judge; return 0 where both agree."""
    start = time.monotonic()
    actions = read_alike(matrix(name))
    different = actions.differences()
    cells = asked = 0
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for some, problems_, found in pool.imap_unordered(
            _work, [(name, one, parts) for one in range(parts)]
        ):
            cells, asked, different = cells + some, asked + problems_, different + found
    spent = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(
        f"{cells} cells in which somebody says something are {asked} problems, and {len(actions.ours)} readings of"
        f" actions: the independent judge decides {len(different)} otherwise"
        f" ({time.monotonic() - start:.0f} s, {spent:.0f} s of CPU)"
    )
    for line in different[:_MOST_SHOWN]:
        print(f"  {line}")
    return 1 if different else 0


_MOST_SHOWN = 40

if __name__ == "__main__":
    sys.exit(main())
