"""Does a template let anybody do more than another one? In words, one line a statement that is new or weaker.

The answer errs to the safe side: no line means that every new permission is within an old one (the same principal, an
action, resource and conditions at least as narrow) and that no old denial was given up. A line may be about something
that was allowed already in a way that is not seen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ops.iam import conditions
from ops.iam.holders import Holder, Holders
from ops.iam.statements import Group, Statement
from ops.iam.templates import Template, readable

_SHOWN = 8  # actions, resources or principals of a line
_LONGEST = 600  # characters of a line


def compare(old: Template | None, new: Template) -> list[str]:
    """Return what the new template lets whom do beyond the old one.

    Parameters
    ----------
    old
        What is deployed. None: nothing.
    new
        What would be deployed in its place.

    Returns
    -------
    list of str
        One line each, beginning with the stack's name; nothing where no permission widens.
    """
    after = Holders(new).found
    if old is None:
        return [_line(new.stack, _all_new(after.values()))]
    before = Holders(old).found
    found: list[str] = []
    for (kind, key), holder in after.items():
        if kind == "trust" and ("trust", key) not in before and ("identity", key) not in before:
            continue  # told with the role
        trust = after.get(("trust", key)) if kind == "identity" else None
        found += _compare(kind, before.get((kind, key)), holder, trust)
    for (kind, key), holder in before.items():
        if kind == "resource" and holder.stays and (kind, key) not in after:
            found += _no_longer_denied(holder, Holder(kind, holder.label))
    return sorted({_line(new.stack, one) for one in found})


def _line(stack: str, text: str) -> str:
    whole = " ".join(readable(f"{stack}: {text}").split())
    return whole if len(whole) <= _LONGEST else whole[: _LONGEST - 4] + " ..."


def _all_new(holders: Iterable[Holder]) -> str:
    listed = list(holders)
    identities = sum(one.kind == "identity" for one in listed)
    policies = sum(one.kind == "resource" and bool(one.statements) for one in listed)
    what = f"{identities} roles, {policies} resources with a policy"
    return f"is not deployed yet, so all that it permits is new ({what})"


def _compare(kind: str, old: Holder | None, new: Holder, trust: Holder | None) -> Iterator[str]:
    if kind == "whole":
        if old is None or old.whole != new.whole:
            yield f"{new.label} is {'new' if old is None else 'changed'}, and what it permits can't be compared"
    elif kind == "policy":
        if old is not None or not new.attached:
            yield from _wider(old or Holder(kind, new.label), new)
    elif kind == "identity" and old is None:
        if new.statements or new.managed or trust:
            yield _new_identity(new, trust)
    else:
        yield from _wider(old or Holder(kind, new.label), new)
        if old is not None:
            yield from _less_guarded(old, new)


def _new_identity(new: Holder, trust: Holder | None) -> str:
    principals = [one.principals.in_words() for one in (trust.statements if trust else []) if one.principals]
    allowed = [one for one in new.statements if one.effect == "Allow"]
    actions = dict.fromkeys(action for one in allowed for action in one.actions.texts)
    parts = [f"{new.label} is new"]
    if principals:
        parts.append(f"can be assumed by {_listed(principals)}")
    if actions:
        parts.append(f"may do {_listed(actions)} ({len(allowed)} statements)")
    if new.managed:
        parts.append(f"has {_listed(sorted(new.managed))}")
    return "; ".join(parts)


# --- statements


def _wider(old: Holder, new: Holder) -> Iterator[str]:
    """Yield the statements of the new holder that the old one doesn't cover, and denials that are gone."""
    for statement in new.statements:
        if statement.effect == "Deny":
            continue
        pieces = [piece for piece in statement.each() if not any(one.covers(piece) for one in old.statements)]
        if pieces:
            yield _in_words(new, pieces, old.statements)
    yield from _no_longer_denied(old, new)


def _no_longer_denied(old: Holder, new: Holder) -> Iterator[str]:
    for statement in old.statements:
        if statement.effect != "Deny":
            if statement.unread and statement not in new.statements:
                yield f"{new.label} had a statement that can't be compared: {statement.unread}"
            continue
        pieces = [piece for piece in statement.each() if not any(one.covers(piece) for one in new.statements)]
        if pieces:
            whom = _whom(pieces)
            what = f"{_what(pieces, new.kind)}{_if(statement.clauses)}"
            weaker = any(one.covers(pieces[0], whatever_conditions=True) for one in new.statements)
            how = "denies less than before" if weaker else "no longer denies"
            yield f"{new.label} {how}: {f'{whom} ' if whom else ''}{what}"


def _in_words(holder: Holder, pieces: Sequence[Statement], old: Sequence[Statement]) -> str:
    first = pieces[0]
    if first.unread:
        return f"{holder.label} has a new statement that can't be compared: {first.unread}"
    condition = _if(first.clauses)
    loosened = [one for one in old if all(one.covers(piece, whatever_conditions=True) for piece in pieces)]
    if loosened and not first.unread:
        condition = f"{condition or ' without a condition'}; before{_if(loosened[0].clauses)}"
    whom, what = _whom(pieces), _what(pieces, holder.kind)
    if holder.kind == "trust":
        other = [one.actions for one in pieces if one.actions.patterns != ("sts:assumerole",)]
        how = f" ({_groups(other)})" if other else ""
        return f"{holder.label} can now be assumed by {whom}{how}{condition}"
    if holder.kind == "resource":
        return f"{holder.label} now lets {whom or 'somebody'} do {what}{condition}"
    return f"{holder.label} may now do {what}{condition}"


def _whom(pieces: Sequence[Statement]) -> str:
    return _groups([one.principals for one in pieces if one.principals])


def _what(pieces: Sequence[Statement], kind: str) -> str:
    actions = _groups([one.actions for one in pieces])
    resources = [one.resources for one in pieces if one.resources]
    # In a resource's own policy * is that resource.
    itself = kind == "resource" and all(one.patterns == ("*",) for one in resources)
    return actions if not resources or itself else f"{actions} on {_groups(resources)}"


def _if(clauses: frozenset[conditions.Clause]) -> str:
    words = conditions.in_words(clauses)
    return f" if {words}" if words else ""


def _groups(groups: Iterable[Group]) -> str:
    return _listed([group.in_words() for group in groups])


def _listed(words: Iterable[str]) -> str:
    known = list(dict.fromkeys(words))
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + more


# --- what stands around the statements


def _less_guarded(old: Holder, new: Holder) -> Iterator[str]:
    added = sorted(new.managed - old.managed)
    if added:
        yield f"{new.label} now has {_listed(added)}"
    removed = [one for one in sorted(old.managed - new.managed) if _may_deny(one)]
    if removed:
        yield f"{new.label} no longer has {_listed(removed)}, and what that denied can't be seen here"
    if old.boundary and new.boundary != old.boundary:
        now = f"another one, {new.boundary}" if new.boundary else "none"
        yield f"{new.label} had the permissions boundary {old.boundary} and now has {now}"
    if old.guards - new.guards:
        yield f"{new.label} is no longer protected by {_listed(sorted(old.guards - new.guards))}"
    if old.runs_as and new.runs_as - old.runs_as:
        yield f"{new.label} now runs with the role {_listed(sorted(new.runs_as - old.runs_as))}"


def _may_deny(managed: str) -> bool:
    """Return whether a managed policy may hold denials; of AWS's own only those that are named for it do."""
    if ":iam::aws:policy/" in managed:
        return "Deny" in managed or "Quarantine" in managed
    return managed.startswith(("arn:", "group ")) or not managed.startswith("a password")
