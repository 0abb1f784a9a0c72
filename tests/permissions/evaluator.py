"""Decides requests across accounts: identity, resource, key, group, topic, queue and trust policies together.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.permissions.policy import Caller, Context, Statement

# Without a word in the policy of the resource itself, an identity policy of the same account grants nothing here.
NEEDS_ITS_OWN_POLICY = ("kms:", "sts:assumerole", "sts:tagsession")


class Request(NamedTuple):
    """A call: who, what, on what, with which condition keys."""

    caller: Caller
    action: str
    resource: str
    context: Context


@dataclass(frozen=True)
class Target:
    """A resource as the decision needs it: its account, and its own policy where it has one."""

    account: str
    policy: Sequence[Statement] | None


class Decision(NamedTuple):
    """Allowed or not, and the word for why: ``allowed``, ``denied``, ``identity``, ``resource`` (who is silent)."""

    allowed: bool
    why: str


def decide(request: Request, identity: Iterable[Statement], target: Target) -> Decision:
    """Decide a request as AWS does.

    Parameters
    ----------
    request
        With all condition keys that AWS would set.
    identity
        Statements of the caller's own policies; none for a service.
    target
        Account and policy of the resource.
    """
    caller, action, resource, context = request
    context = dict(context)
    if not caller.foreign:
        context.setdefault("aws:principalarn", (caller.arn,))
        context.setdefault("aws:principalaccount", (caller.account,))
    own = [
        one for one in identity if one.says(action) and one.covers(resource, context) and one.holds(context)
    ]
    theirs = [
        (one, how)
        for one in target.policy or ()
        if one.says(action)
        and (how := one.admits(caller)) is not None
        and one.covers(resource, context)
        and one.holds(context)
    ]
    if any(not one.allow for one in own) or any(not one.allow for one, _ in theirs):
        return Decision(False, "denied")
    by_identity = bool(own) or _is_root(caller)
    exactly = any(how == "exactly" for _, how in theirs)
    if caller.foreign:
        return Decision(exactly, "allowed" if exactly else "resource")
    if caller.account == target.account:
        if exactly:
            return Decision(True, "allowed")
        if action.lower().startswith(NEEDS_ITS_OWN_POLICY) and not theirs:
            return Decision(False, "resource")
        return Decision(by_identity, "allowed" if by_identity else "identity")
    if not by_identity:
        return Decision(False, "identity")
    return Decision(bool(theirs), "allowed" if theirs else "resource")


def _is_root(caller: Caller) -> bool:
    return caller.arn.endswith(":root")


def statements(documents: Mapping[str, Mapping[str, object]]) -> list[Statement]:
    """Read the statements of several policy documents by name."""
    found = []
    for name, document in documents.items():
        listed = document["Statement"]
        for index, raw in enumerate(listed if isinstance(listed, list) else [listed]):
            found.append(Statement.of(raw, f"{name}[{raw.get('Sid', index)}]"))
    return found
