"""Conditions of statements: does one condition let through only what another lets through?

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ops.iam.globs import arn_covers, covers

_WILD = ("*", "?", "${")


@dataclass(frozen=True)
class Clause:
    """One line of a condition: an operator, the key that it looks at, and the values that it is content with.

    Attributes
    ----------
    sets
        ``ForAnyValue`` or ``ForAllValues``, lower case, or nothing.
    operator
        Lower case, without ``IfExists``.
    if_exists
        Whether a request without the key passes.
    key
        Lower case up to a slash; what follows names a tag.
    values
        As texts.
    shown
        Key and operator as the policy writes them.
    """

    sets: str
    operator: str
    if_exists: bool
    key: str
    values: frozenset[str]
    shown: str = field(default="", compare=False)

    def implies(self, other: Clause) -> bool:
        """Return whether every request that passes this clause passes the other one."""
        if (self.sets, self.key) != (other.sets, other.key):
            return False
        if self.if_exists and not other.if_exists:
            return False
        mine, theirs = _alike(self), _alike(other)
        if mine == "stringequals" and theirs == "stringlike":
            mine = theirs
        if mine != theirs:
            return False
        compare = _COMPARISONS.get(mine, _same)
        if "not" in mine:  # StringNotEquals and its kin: each further value excludes more
            return all(any(compare(wide, narrow) for wide in self.values) for narrow in other.values)
        return all(any(compare(wide, narrow) for wide in other.values) for narrow in self.values)

    def in_words(self) -> str:
        """Return the clause for a person."""
        return f"{self.shown} {' or '.join(sorted(self.values))}"


def _same(wide: str, narrow: str) -> bool:
    return wide == narrow


_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "stringlike": covers,
    "stringnotlike": covers,
    "arnlike": arn_covers,
    "arnnotlike": arn_covers,
}


def _alike(clause: Clause) -> str:
    """Return the operator under one name where several mean the same."""
    name = {"arnequals": "arnlike", "arnnotequals": "arnnotlike"}.get(clause.operator, clause.operator)
    if name == "stringlike" and not any(sign in value for value in clause.values for sign in _WILD):
        return "stringequals"
    return name


def parse(condition: Mapping[str, Mapping[str, object]]) -> frozenset[Clause]:
    """Return the clauses of a statement's ``Condition``, all of which must pass."""
    return frozenset(
        _clause(operator, key, values) for operator, keys in condition.items() for key, values in keys.items()
    )


def _clause(operator: str, key: str, values: object) -> Clause:
    sets, _, name = operator.lower().rpartition(":")
    bare = name.removesuffix("ifexists")
    listed = values if isinstance(values, list) else [values]
    prefix, slash, tag = key.partition("/")
    texts = frozenset(_text(one, bare) for one in listed)
    return Clause(sets, bare, bare != name, prefix.lower() + slash + tag, texts, shown=f"{key} {operator}")


def _text(value: object, operator: str) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.lower() if operator in ("bool", "null") else text


def implies(narrow: Iterable[Clause], wide: Iterable[Clause]) -> bool:
    """Return whether every request that passes all of the first passes all of the second."""
    return all(any(one.implies(other) for one in narrow) for other in wide)


def in_words(clauses: Iterable[Clause]) -> str:
    """Return conditions for a person; nothing where there are none."""
    return " and ".join(sorted(clause.in_words() for clause in clauses))
