"""One policy statement against one request, as AWS documents it: principal, action, resource, condition.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

Values = tuple[str, ...]
Context = Mapping[str, Values]  # keys in lower case

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_ARN_PARTS = 5  # what comes after the fifth colon is the resource part, which may hold colons itself


def as_list(value: object) -> list[Any]:
    """Return a list: policies may write a list of one without its brackets."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


@dataclass(frozen=True)
class Caller:
    """Who makes a request: a role's session, a user, an account's root, a service, or whom a provider vouches for.

    ``arn`` is what ``aws:PrincipalArn`` holds: of a role's session the role. A service has no account, nor has the
    bearer of a provider's token, whose ``provider`` is the ARN of the provider.
    """

    arn: str
    account: str
    service: str | None = None
    provider: str | None = None

    @property
    def foreign(self) -> bool:
        """Whether it has no policies of its own, so that a resource's must name it."""
        return self.service is not None or self.provider is not None


@dataclass(frozen=True)
class Statement:
    """A statement, ready to be matched many times."""

    sid: str
    allow: bool
    actions: Values | None
    not_actions: Values | None
    resources: Values | None
    not_resources: Values | None
    principals: Mapping[str, Values] | None
    conditions: tuple[tuple[str, str, Values], ...]
    source: str = field(default="", compare=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any], source: str = "") -> Statement:
        """Read a statement of a policy document.

        Raises
        ------
        ValueError
            Where it holds an element that isn't understood: what is skipped can't be judged.
        """
        unknown = set(raw) - {
            *("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "Condition")
        }
        if unknown or raw.get("Effect") not in ("Allow", "Deny"):
            raise ValueError(f"{source}: a statement with {sorted(unknown)} and effect {raw.get('Effect')!r}")

        def texts(key: str) -> Values | None:
            return tuple(str(one) for one in as_list(raw[key])) if key in raw else None

        for pattern in (*(texts("Resource") or ()), *(texts("NotResource") or ())):
            if pattern != "*" and pattern.count(":") < _ARN_PARTS:
                raise ValueError(
                    f"{source}: AWS reads the short ARN '{pattern}' in more than one way; write all parts"
                )
        principals = raw.get("Principal")
        return cls(
            sid=str(raw.get("Sid", "")),
            allow=raw["Effect"] == "Allow",
            actions=texts("Action"),
            not_actions=texts("NotAction"),
            resources=texts("Resource"),
            not_resources=texts("NotResource"),
            principals=None
            if principals is None
            else {"AWS": ("*",)}
            if principals == "*"
            else {kind: tuple(as_list(names)) for kind, names in principals.items()},
            conditions=tuple(
                (operator, key.lower(), tuple(_text(one) for one in as_list(values)))
                for operator, block in raw.get("Condition", {}).items()
                for key, values in block.items()
            ),
            source=source,
        )

    def says(self, action: str) -> bool:
        """Whether it is about an action."""
        if self.actions is not None:
            return any(wildcard(pattern.lower(), action.lower()) for pattern in self.actions)
        return not any(wildcard(pattern.lower(), action.lower()) for pattern in self.not_actions or ())

    def covers(self, resource: str, context: Context) -> bool:
        """Whether it is about a resource; a statement of a trust policy names none and is about its role."""
        if self.resources is not None:
            return any(arn_matches(one, resource, context) for one in self.resources)
        if self.not_resources is not None:
            return not any(arn_matches(one, resource, context) for one in self.not_resources)
        return True

    def holds(self, context: Context) -> bool:
        """Whether all its conditions hold."""
        return all(
            condition(operator, context.get(key), values, context)
            for operator, key, values in self.conditions
        )

    def admits(self, caller: Caller) -> str | None:
        """Return how it names a caller: ``exactly``, ``account`` (delegates to its administrators), or not at all."""
        if self.principals is None:
            return None
        if caller.provider is not None:
            return "exactly" if caller.provider in self.principals.get("Federated", ()) else None
        if caller.service is not None:
            named = caller.service in self.principals.get("Service", ()) or "*" in self.principals.get(
                "AWS", ()
            )
            return "exactly" if named else None
        found = None
        for name in self.principals.get("AWS", ()):
            if name in ("*", caller.arn):
                return "exactly"
            if name == caller.account or re.fullmatch(rf"arn:[\w-]+:iam::{caller.account}:root", name):
                found = "account"
        return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@lru_cache(maxsize=100_000)
def _glob(pattern: str) -> Callable[[str], object]:
    parts = [{"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern]
    return re.compile("".join(parts), re.DOTALL).fullmatch


def wildcard(pattern: str, text: str) -> bool:
    """Whether a pattern with ``*`` and ``?`` matches a text as a whole."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == text
    return _glob(pattern)(text) is not None


def substituted(pattern: str, context: Context) -> str | None:
    """Return a pattern with its policy variables filled in; None where the request lacks one: nothing matches."""
    if "${" not in pattern:
        return pattern
    missing = False

    def fill(match: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = (part.strip() for part in match[1].partition(","))
        if name in ("*", "?", "$"):
            return name
        values = context.get(name.lower())
        if values is not None and len(values) == 1:
            return values[0]
        if default:
            return default.strip("'")
        missing = True
        return ""

    filled = _VARIABLE.sub(fill, pattern)
    return None if missing else filled


def arn_matches(pattern: str, arn: str, context: Context) -> bool:
    """Whether a pattern of an ARN matches: wildcards never cross the first five colons."""
    if pattern == "*":
        return True
    filled = substituted(pattern, context)
    if filled is None:
        return False
    wanted, given = filled.split(":", _ARN_PARTS), arn.split(":", _ARN_PARTS)
    if len(wanted) != len(given):
        return False
    return all(wildcard(one, other) for one, other in zip(wanted, given, strict=True))


def _strings(match: Callable[[str, str], bool]) -> Callable[[str, str, Context], bool]:
    def compare(wanted: str, given: str, context: Context) -> bool:
        filled = substituted(wanted, context)
        return filled is not None and match(filled, given)

    return compare


def _numbers(match: Callable[[float, float], bool]) -> Callable[[str, str, Context], bool]:
    def compare(wanted: str, given: str, _: Context) -> bool:
        try:
            return match(float(given), float(wanted))
        except ValueError:
            return False

    return compare


_OPERATORS: Mapping[str, Callable[[str, str, Context], bool]] = {
    "stringequals": _strings(lambda wanted, given: wanted == given),
    "stringequalsignorecase": _strings(lambda wanted, given: wanted.lower() == given.lower()),
    "stringlike": _strings(wildcard),
    "arnequals": arn_matches,
    "arnlike": arn_matches,
    "bool": _strings(lambda wanted, given: wanted.lower() == given.lower()),
    "numericequals": _numbers(lambda given, wanted: given == wanted),
    "numericlessthan": _numbers(lambda given, wanted: given < wanted),
    "numericlessthanequals": _numbers(lambda given, wanted: given <= wanted),
    "numericgreaterthan": _numbers(lambda given, wanted: given > wanted),
    "numericgreaterthanequals": _numbers(lambda given, wanted: given >= wanted),
}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "numericnotequals": "numericequals",
}


def condition(operator: str, given: Values | None, wanted: Sequence[str], context: Context) -> bool:
    """Whether one condition holds.

    Parameters
    ----------
    operator
        Such as ``ForAnyValue:StringLikeIfExists``, in any case.
    given
        Values of the key in the request; None where it has none.
    wanted
        Values in the policy.
    context
        The whole request, for policy variables.

    Raises
    ------
    ValueError
        For an operator that isn't understood.
    """
    name = operator.lower()
    quantifier, _, rest = name.rpartition(":")
    if rest == "null":
        return any((given is None) == (value.lower() == "true") for value in wanted)
    if_exists = rest.endswith("ifexists")
    rest = rest.removesuffix("ifexists")
    negated = rest in _NEGATED
    compare = _OPERATORS.get(_NEGATED.get(rest, rest))
    if compare is None or quantifier not in ("", "foranyvalue", "forallvalues"):
        raise ValueError(f"unknown operator {operator}")

    def one(value: str) -> bool:
        # Several values of a policy are alternatives; of a negated operator none may match.
        return any(compare(each, value, context) for each in wanted) != negated

    if given is None:
        return if_exists or quantifier == "forallvalues" or (negated and quantifier == "")
    if quantifier == "forallvalues":
        return all(one(value) for value in given)
    if quantifier == "foranyvalue":
        return any(one(value) for value in given)
    return len(given) == 1 and one(given[0])
