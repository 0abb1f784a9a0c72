"""Statements of policies as sets: whom they mean, which actions on which resources, under which conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from ops.iam import conditions
from ops.iam.globs import covers, disjoint

_KEYS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
#: Stands for ``${`` in policies of the old version, which know no variables.
_LITERAL = "\ue002{"
_NAMES = {"AWS:*": "everybody"}
#: A file that the bootstrap's bucket has by the digest of its content: each commit has others, and who reads one reads
#: what was deployed with it.
_PUBLISHED = re.compile(r"(:s3:::cdk-[a-z0-9]+-assets-\d{12}-[a-z0-9-]+/)[0-9a-f]{64}(\.\w+)")
_ACCOUNT = re.compile(r"(\d{12})|arn:[a-z-]+:iam::(\d{12}):root")


@dataclass(frozen=True)
class Group:
    """Some things by pattern, or all but those; ``shown`` is how the policy writes them."""

    patterns: tuple[str, ...]
    all_but: bool = False
    shown: tuple[str, ...] = field(default=(), compare=False)

    def covers(self, other: Group, within: Callable[[str, str], bool] = covers) -> bool:
        """Return whether all that belongs to the other group belongs to this one."""
        if not self.all_but and not other.all_but:
            return all(any(within(mine, one) for mine in self.patterns) for one in other.patterns)
        if self.all_but and other.all_but:
            return all(any(within(one, mine) for one in other.patterns) for mine in self.patterns)
        if self.all_but:
            return all(disjoint(mine, one) for mine in self.patterns for one in other.patterns)
        return "*" in self.patterns

    def each(self) -> tuple[Group, ...]:
        """Return its members one by one; all but some are one."""
        if self.all_but:
            return (self,)
        pairs = zip(self.patterns, self.shown or self.patterns, strict=True)
        return tuple(Group((pattern,), shown=(shown,)) for pattern, shown in pairs)

    def in_words(self) -> str:
        """Return the group for a person."""
        listed = ", ".join(
            _NAMES.get(one) or one.removeprefix("AWS:").removeprefix("Service:") for one in self.texts
        )
        return f"all but {listed}" if self.all_but else listed

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the patterns as the policy writes them."""
        return self.shown or self.patterns


@dataclass(frozen=True)
class Statement:
    """One statement; what it doesn't name (a principal in a role's policy) is None.

    Attributes
    ----------
    unread
        The statement as it stands, where it is of a shape that nothing can be said about; else empty.
    """

    effect: str
    principals: Group | None
    actions: Group
    resources: Group | None
    clauses: frozenset[conditions.Clause]
    unread: str = ""

    def covers(self, other: Statement, *, whatever_conditions: bool = False) -> bool:
        """Return whether this statement speaks in every case in which the other one does."""
        if self.unread or other.unread:
            return self.unread == other.unread
        return (
            self.effect == other.effect
            and _covers(self.principals, other.principals, _principal_covers)
            and self.actions.covers(other.actions)
            and _covers(self.resources, other.resources, covers)
            and (whatever_conditions or conditions.implies(other.clauses, self.clauses))
        )

    def each(self) -> Iterator[Statement]:
        """Yield it split into one principal, action and resource each."""
        if self.unread:
            yield self
            return
        for principal, action, resource in product(
            _each(self.principals), self.actions.each(), _each(self.resources)
        ):
            yield Statement(self.effect, principal, action, resource, self.clauses)


def _covers(mine: Group | None, other: Group | None, within: Callable[[str, str], bool]) -> bool:
    if mine is None or other is None:
        return mine is other
    return mine.covers(other, within)


def _each(group: Group | None) -> tuple[Group | None, ...]:
    return group.each() if group else (None,)


def _principal_covers(wide: str, narrow: str) -> bool:
    # Principals know no patterns but the one that means everybody.
    return wide == narrow or (wide == "AWS:*" and narrow.startswith("AWS:"))


def parse(document: object) -> list[Statement]:
    """Return the statements of a policy document whose expressions are resolved."""
    if not isinstance(document, Mapping) or "Statement" not in document:
        return [_unread(document)]
    listed = document["Statement"]
    old = document.get("Version") != "2012-10-17"
    return [_statement(one, old=old) for one in (listed if isinstance(listed, list) else [listed])]


def _statement(raw: object, *, old: bool) -> Statement:
    if not isinstance(raw, Mapping) or set(raw) - _KEYS or raw.get("Effect") not in ("Allow", "Deny"):
        return _unread(raw)
    try:
        actions = _group(raw, "Action", str.lower)
        if actions is None:
            return _unread(raw)
        reads = raw["Effect"] == "Allow" and actions == Group(("s3:getobject",))

        def known(resource: str) -> str:
            text = resource.replace("${", _LITERAL) if old else resource
            return _PUBLISHED.sub(r"\1<a published file>\2", text) if reads else text

        return Statement(
            effect=raw["Effect"],
            principals=_principals(raw),
            actions=actions,
            resources=_group(raw, "Resource", known),
            clauses=_clauses(raw.get("Condition", {}), old=old),
        )
    except (TypeError, ValueError, AttributeError):
        return _unread(raw)


def _clauses(condition: Mapping[str, Any], *, old: bool) -> frozenset[conditions.Clause]:
    if old:
        condition = json.loads(json.dumps(condition).replace("${", _LITERAL))
    return conditions.parse(condition)


def _unread(raw: object) -> Statement:
    text = json.dumps(raw, sort_keys=True, default=str)
    return Statement("", None, Group(()), None, frozenset(), unread=text)


def _texts(value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in listed):
        raise TypeError(value)
    return [str(one) for one in listed]


def _group(raw: Mapping[str, Any], key: str, change: Callable[[str], str]) -> Group | None:
    for name in (key, f"Not{key}"):
        if name in raw:
            shown = {change(one): one for one in _texts(raw[name])}
            return Group(tuple(shown), name != key, tuple(shown.values()))
    return None


def _principals(raw: Mapping[str, Any]) -> Group | None:
    for name in ("Principal", "NotPrincipal"):
        if name in raw:
            return Group(tuple(dict.fromkeys(_named(raw[name]))), name != "Principal")
    return None


def _named(value: object) -> Iterable[str]:
    if isinstance(value, str):
        value = {"AWS": value}
    if not isinstance(value, Mapping):
        raise TypeError(value)
    for kind, names in value.items():
        for name in _texts(names):
            account = _ACCOUNT.fullmatch(name) if kind == "AWS" else None
            yield f"{kind}:account {account[1] or account[2]}" if account else f"{kind}:{name}"
