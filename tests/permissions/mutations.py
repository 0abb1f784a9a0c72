"""Ways in which a statement can be wrong: something dropped, widened, or of another account.

A denial is made weaker only: made stronger it takes nothing from anybody who isn't meant to be refused, or breaks
what the matrix sees anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tests.permissions.policy import Statement, Values
from tests.permissions.world import MAIN

Mutation = tuple[str, Statement | None]  # what was done, and the statement that is left
# Another installation's accounts are among the main one's.
_ACCOUNTS = tuple(MAIN.accounts.values())
_NEXT = dict(zip(_ACCOUNTS, (*_ACCOUNTS[1:], _ACCOUNTS[0]), strict=True))
_PRINCIPAL = "aws:principalarn"
_OF_THE_CALLER = (_PRINCIPAL, "aws:sourcearn", "aws:sourceaccount", "kms:encryptioncontext")
_OF_ONE_ACTION = (
    *("iam:", "cloudwatch:", "events:", "ec2:", "sagemaker:", "kms:grantisforawsresource", "s3:prefix"),
    "kms:encryptioncontext",
)
NOTHING = "nothing-of-the-kind"
_ARN_PARTS = 5


def mutations(statement: Statement, own: str | None) -> Iterator[Mutation]:
    """Yield every mutation of a statement.

    Parameters
    ----------
    statement
        Of some policy.
    own
        ARN of the resource whose policy it is, None for an identity policy: a resource's policy is never about
        more than that resource.
    """
    yield "without the statement", None
    yield from _actions(statement)
    yield from _resources(statement, own)
    yield from _principals(statement)
    yield from _conditions(statement)


def _without(values: Values, dropped: str) -> Values:
    return tuple(one for one in values if one != dropped)


def _actions(statement: Statement) -> Iterator[Mutation]:
    actions = statement.actions or ()
    for action in actions:
        if len(actions) > 1:
            yield f"without {action}", replace(statement, actions=_without(actions, action))
        service, _, name = action.partition(":")
        if statement.allow and name != "*":
            everything = (*_without(actions, action), f"{service}:*")
            # A key that only this action has would hold the others back: it goes with the action.
            free = tuple(one for one in statement.conditions if not one[1].startswith(_OF_ONE_ACTION))
            yield f"{service}:* instead of {action}", replace(statement, actions=everything, conditions=free)


def _resources(statement: Statement, own: str | None) -> Iterator[Mutation]:
    resources = statement.resources or ()
    for resource in resources:
        if len(resources) > 1:
            yield f"without {resource}", replace(statement, resources=_without(resources, resource))
        rest = _without(resources, resource)
        if other := swapped(resource):
            yield f"{other} instead of {resource}", replace(statement, resources=(*rest, other))
        if not statement.allow:
            continue
        for wider in _wider(resource):
            if own is None or resource not in ("*", own, f"{own}/*", *_versions(own)):
                yield f"{wider} instead of {resource}", replace(statement, resources=(*rest, wider))


def _versions(group: str) -> list[str]:
    versions = f"{group.replace(':model-package-group/', ':model-package/')}/*"
    return [versions, versions.lower()]


def _wider(resource: str) -> Iterator[str]:
    """Yield what a resource becomes where its last part, its last two parts ... are anything."""
    if resource == "*":
        return
    parts = resource.split(":", _ARN_PARTS)
    name = parts[_ARN_PARTS]
    for index in range(len(name) - 1, 0, -1):
        if name[index] in "/:" and name[index + 1 :] != "*":
            yield ":".join([*parts[:_ARN_PARTS], f"{name[: index + 1]}*"])
    if name != "*":
        yield ":".join([*parts[:_ARN_PARTS], "*"])
    if parts[4]:
        yield ":".join([*parts[:4], "*", name])
    yield "*"


def swapped(text: str) -> str | None:
    """Return a text that names the next account instead of its own; None where it names none."""
    for account, other in _NEXT.items():
        if account in text:
            return text.replace(account, other)
    return None


def _principals(statement: Statement) -> Iterator[Mutation]:
    named = [(kind, name) for kind, names in (statement.principals or {}).items() for name in names]
    for kind, name in named:
        rest = {
            other: tuple(one for one in names if (other, one) != (kind, name))
            for other, names in (statement.principals or {}).items()
        }
        if len(named) > 1:
            yield f"without principal {name}", replace(statement, principals=rest)
        if name != "*" and statement.allow:
            # Beside a condition on the principal's ARN, or one that only services meet, a wider principal admits
            # nobody more: both go.
            free = tuple(one for one in statement.conditions if not one[1].startswith(_OF_THE_CALLER))
            anybody = replace(_admitting(statement, rest, "AWS", "*"), conditions=free)
            yield f"principal * instead of {name}", anybody
        if other := swapped(name):
            yield f"principal {other} instead of {name}", _admitting(statement, rest, kind, other)
        if kind == "Service" and statement.allow:
            yield f"principal ec2 instead of {name}", _admitting(statement, rest, kind, "ec2.amazonaws.com")


def _admitting(statement: Statement, rest: Mapping[str, Values], kind: str, name: str) -> Statement:
    return replace(statement, principals={**rest, kind: (*rest.get(kind, ()), name)})


def _conditions(statement: Statement) -> Iterator[Mutation]:
    for index, (operator, key, values) in enumerate(statement.conditions):
        before, after = statement.conditions[:index], statement.conditions[index + 1 :]

        def become(
            *changed: tuple[str, str, Values], before: object = before, after: object = after
        ) -> Statement:
            return replace(statement, conditions=(*before, *changed, *after))  # type: ignore[misc]

        if statement.allow:
            yield f"without the condition on {key}", become()
        for value in values:
            rest = _without(values, value)
            if rest:
                yield f"without {value} for {key}", become((operator, key, rest))
            if value in ("true", "false"):
                opposite = "false" if value == "true" else "true"
                yield f"{key} {opposite} instead of {value}", become((operator, key, (*rest, opposite)))
                continue
            yield f"{NOTHING} instead of {value} for {key}", become((operator, key, (*rest, NOTHING)))
            if other := swapped(value):
                yield f"{other} instead of {value} for {key}", become((operator, key, (*rest, other)))
            if statement.allow and value != "*":
                anything = operator.replace("Equals", "Like")
                for wider in _wider_value(value):
                    if key == _PRINCIPAL and ":*:" in wider and _accounts(statement) == 1:
                        continue  # the principal says of which account
                    yield f"{wider} instead of {value} for {key}", become((anything, key, (*rest, wider)))


def _accounts(statement: Statement) -> int:
    return len((statement.principals or {}).get("AWS", ()))


def _wider_value(value: str) -> Iterator[str]:
    if value.startswith("arn:"):
        yield from _wider(value)
        return
    for index in range(len(value) - 1, 0, -1):
        if value[index] == "/" and value[index + 1 :] != "*":
            yield f"{value[: index + 1]}*"
    yield "*"
