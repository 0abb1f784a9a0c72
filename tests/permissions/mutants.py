"""The mutation score: does the matrix see every way in which a policy could be wrong?

``python -m tests.permissions.mutants`` prints it.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from tests.permissions.kinds import KINDS
from tests.permissions.matrices import MAIN, OTHERS, beside, matrix
from tests.permissions.matrix import Cell, Matrix, decided
from tests.permissions.mutations import mutations
from tests.permissions.policy import Context, Statement, Values
from tests.permissions.principals import Principal
from tests.permissions.survivors import SURVIVORS
from tests.permissions.world import Thing

_MOST_SHOWN = 40
_MOST_SURVIVORS = 5


@dataclass(frozen=True)
class Mutant:
    """A policy with one statement that isn't what it should be."""

    place: str  # a role's or another resource's ARN
    identity: bool  # whether it is in the role's own policies
    index: int
    what: str
    left: Statement | None
    statement: Statement

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.statement.source}: {self.what}"


@dataclass
class Score:
    """What became of some mutants."""

    statements: int = 0
    mutants: int = 0
    survivors: list[str] | None = None


class Judge:
    """Tries mutants in the cells that they can touch."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self._by_kind: dict[str, list[Thing]] = defaultdict(list)
        self._by_owner: dict[str, list[Thing]] = defaultdict(list)
        self._contexts: dict[int, Context] = {}
        for thing in matrix.distinct:
            self._contexts[id(thing)] = {**thing.context, "aws:principalarn": ("",)}
            self._by_kind[thing.kind].append(thing)
            self._by_owner[matrix.owner_of(thing)].append(thing)

    def places(self, other: Matrix | None = None) -> list[tuple[str, bool]]:
        """Return where statements are: the policies of roles, then those of resources, trusts included.

        Where there is an other matrix, those that aren't the same there.
        """
        found = self.matrix.estate
        places = [(arn, True) for arn, role in found.roles.items() if role.identity]
        places += [(arn, False) for arn, (_, policy) in found.policies.items() if policy]
        if other is None:
            return places
        roles = {arn: role.identity for arn, role in other.estate.roles.items()}
        policies = {arn: policy for arn, (_, policy) in other.estate.policies.items()}
        return [
            (arn, identity)
            for arn, identity in places
            if self.statements(arn, identity) != (roles if identity else policies).get(arn)
        ]

    def statements(self, place: str, identity: bool) -> Sequence[Statement]:
        """Return the statements of a place."""
        found = self.matrix.estate
        return found.roles[place].identity if identity else found.policies[place][1]

    def mutants(self, place: str, identity: bool) -> Iterator[Mutant]:
        """Yield all mutants of a place."""
        for index, statement in enumerate(self.statements(place, identity)):
            for what, left in mutations(statement, None if identity else place):
                yield Mutant(place, identity, index, what, left, statement)

    def score(self, place: str, identity: bool) -> Score:
        """Try all mutants of a place."""
        survivors = [str(one) for one in self.mutants(place, identity) if not self.caught(one)]
        count = sum(1 for _ in self.mutants(place, identity))
        return Score(len(self.statements(place, identity)), count, survivors)

    def caught(self, mutant: Mutant) -> bool:
        """Whether some cell is decided otherwise than is meant."""
        before = self.statements(mutant.place, mutant.identity)
        left = () if mutant.left is None else (mutant.left,)
        after = (*before[: mutant.index], *left, *before[mutant.index + 1 :])
        intent = self.matrix.intent
        for cell in self._touched(mutant):
            identity, own = self.matrix.statements(cell)
            if mutant.identity:
                identity = [*(one for one in identity if one is not mutant.statement), *left]
            else:
                own = [one for one in after if one.says(cell.action)]
            meant = intent.allows(cell.principal, cell.action, cell.thing, cell.situation)
            if decided(cell, identity, own) != meant:
                return True
        return False

    def _touched(self, mutant: Mutant) -> Iterator[Cell]:
        """Yield the cells in which the statement says something else than it did."""
        old, new = mutant.statement, mutant.left
        spoken = [one for one in (old, new) if one is not None]
        if mutant.identity:
            everybody: Iterable[Principal] = [
                one
                for one in self.matrix.everybody
                if one.role == mutant.place and any(statement is old for statement in one.identity)
            ]
        else:
            everybody = [
                one
                for one in self.matrix.everybody
                if any(statement.admits(one.caller) for statement in spoken)
            ]
        actions = frozenset().union(*(_spoken(one.actions, one.not_actions) for one in spoken))
        if mutant.identity:
            kinds = [kind for kind, known in KINDS.items() if actions & set(known)]
            things = [thing for kind in kinds for thing in self._by_kind[kind]]
        else:
            things = self._by_owner[mutant.place]
        # A resource's condition on the context can only matter together with its ARN: most things drop out here.
        things = [
            thing
            for thing in things
            if any(one.covers(thing.arn, self._contexts[id(thing)]) for one in spoken)
        ]
        for cell in self.matrix.cells(everybody, things, lambda _, action, __: action in actions):
            if _speaks(old, cell) != _speaks(new, cell):
                yield cell


@cache
def _spoken(actions: Values | None, not_actions: Values | None) -> frozenset[str]:
    """Return the actions that a statement of these is about."""
    statement = Statement("", True, actions, not_actions, None, None, None, ())
    return frozenset(action for known in KINDS.values() for action in known if statement.says(action))


def _speaks(statement: Statement | None, cell: Cell) -> str | None:
    """Return how a statement bears on a cell: not at all, on its principal exactly, or on the account."""
    if statement is None or not statement.says(cell.action):
        return None
    caller = cell.principal.caller
    how: str | None = "exactly" if statement.principals is None else statement.admits(caller)
    context = cell.context
    if caller.service is None:
        context = {**context, "aws:principalarn": (caller.arn,), "aws:principalaccount": (caller.account,)}
    return how if how and statement.covers(cell.thing.arn, context) and statement.holds(context) else None


@cache
def _judge(name: str) -> Judge:
    return Judge(matrix(name))


def _work(job: tuple[str, str, bool]) -> Score:
    name, place, identity = job
    return _judge(name).score(place, identity)


def run(names: Sequence[str] = (MAIN, *OTHERS), processes: int = 2) -> Score:
    """Try every mutant of every policy of some installations, those that are in several once."""
    jobs = [
        (name, place, identity) for name in names for place, identity in _judge(name).places(beside(name))
    ]
    total = Score(survivors=[])
    assert total.survivors is not None
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for score in pool.imap_unordered(_work, jobs, chunksize=2):
            total.statements += score.statements
            total.mutants += score.mutants
            total.survivors += score.survivors or []
    total.survivors.sort()
    return total


def main() -> int:
    """Print the score; fail where a mutant survives that has no reason to."""
    start = time.monotonic()
    total = run()
    survivors = total.survivors or []
    unexplained = [one for one in survivors if not any(name in one for name in SURVIVORS)]
    spent = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    if len(survivors) > _MOST_SURVIVORS:
        unexplained = survivors
    print(
        f"{total.mutants} mutants of {total.statements} statements: {total.mutants - len(survivors)} caught,"
        f" {len(survivors) - len(unexplained)} survive with a reason, {len(unexplained)} without"
        f" ({time.monotonic() - start:.0f} s, {spent:.0f} s of CPU)"
    )
    for name, reason in SURVIVORS.items():
        print(f"  {name}: {reason}")
    for one in unexplained[:_MOST_SHOWN]:
        print(f"  survives: {one}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
