"""Every principal, every action, every thing, every situation: what the policies decide against what is meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.permissions.estate import Estate
from tests.permissions.evaluator import NEEDS_ITS_OWN_POLICY, Request, Target, decide
from tests.permissions.intent import Intent, place_of
from tests.permissions.jobs import Home
from tests.permissions.kinds import KINDS
from tests.permissions.policy import Context, Statement
from tests.permissions.principals import Principal, principals
from tests.permissions.situations import WITHOUT_TLS, situations
from tests.permissions.things import Things
from tests.permissions.world import REGION, STRANGER, Thing


class Cell(NamedTuple):
    """One request."""

    principal: Principal
    action: str
    thing: Thing
    situation: str
    context: Context


@dataclass(frozen=True)
class Difference:
    """A cell in which the policies and the intent disagree."""

    cell: Cell
    allowed: bool

    def __str__(self) -> str:
        """Return one line: who, what, on what, when, and which side says what."""
        cell = self.cell
        side = (
            "the policies allow it, the intent doesn't"
            if self.allowed
            else "meant, but the policies refuse it"
        )
        when = f" ({cell.situation})" if cell.situation else ""
        return f"{cell.principal.name}: {cell.action} on {cell.thing.shown} [{cell.thing.noun}]{when}: {side}"


class Policies:
    """The statements that decide, by principal and by resource, found quickly by their action."""

    def __init__(self, everybody: Iterable[Principal], own: Mapping[str, Sequence[Statement]]) -> None:
        self.identity = {one.name: one.identity for one in everybody}
        self.own = dict(own)
        self._cache: dict[tuple[int, str], tuple[Statement, ...]] = {}

    def of(self, statements: Sequence[Statement], action: str) -> tuple[Statement, ...]:
        """Return the statements that speak of an action."""
        slot = (id(statements), action)
        found = self._cache.get(slot)
        if found is None:
            found = self._cache[slot] = tuple(one for one in statements if one.says(action))
        return found


def decided(cell: Cell, identity: Sequence[Statement], own: Sequence[Statement] | None) -> bool:
    """Return what the policies say of a cell; the statements are those that speak of its action."""
    caller = cell.principal.caller
    if not identity and (not own or (caller.account != cell.thing.account and not caller.foreign)):
        return False
    if not own and caller.account != cell.thing.account:
        return False
    if own is None and cell.action.lower().startswith(NEEDS_ITS_OWN_POLICY):
        return False
    request = Request(caller, cell.action, cell.thing.arn, cell.context)
    return decide(request, identity, Target(cell.thing.account, own)).allowed


class Matrix:
    """All cells of an estate."""

    def __init__(self, estate: Estate, partly: frozenset[str] = frozenset()) -> None:
        self.estate = estate
        self.things = Things(estate)
        self.everybody = principals(estate)
        self.intent = Intent(self.things, self.everybody, partly)
        self.distinct = _distinct(self.things.all)
        own = {arn: statements for arn, (_, statements) in estate.policies.items()}
        self.policies = Policies(self.everybody, {**external_policies(estate, self.things), **own})
        self.owners = {place_of(one): _owner(estate, one) for one in self.distinct}

    def owner_of(self, thing: Thing) -> str:
        """Return the resource whose policy decides about a thing."""
        return self.owners[place_of(thing)]

    def cells(
        self,
        everybody: Iterable[Principal],
        things: Iterable[Thing],
        wanted: Callable[[Principal, str, Thing], bool] = lambda *_: True,
    ) -> Iterator[Cell]:
        """Yield the cells of some principals and things."""
        listed = list(things)
        for principal in everybody:
            service = principal.caller.service
            outsider = principal.administrator or principal.caller.foreign
            for thing in listed:
                # What a stranger opens to us is there to see what our own roles ask for.
                strangers = thing.generous and thing.account == STRANGER
                if (strangers or thing.opened) and outsider:
                    continue
                if thing.opened and (principal.role is None or principal.caller.account == thing.account):
                    continue
                for action in KINDS[thing.kind]:
                    if not wanted(principal, action, thing):
                        continue
                    for word, context in situations(
                        action,
                        thing.kind,
                        thing.arn,
                        thing.account,
                        service,
                        thing.sources,
                        self.home_of(principal),
                    ):
                        if (strangers or thing.opened) and word == WITHOUT_TLS:
                            continue
                        yield Cell(principal, action, thing, word, {**thing.context, **context})

    def home_of(self, principal: Principal) -> Home:
        """Return where a principal is at home, and which stage's keys its jobs would be ordained to use."""
        account = principal.caller.account
        accounts = self.estate.installation.accounts
        stage = principal.stage or next((name for name, one in accounts.items() if one == account), None)
        return Home(account, stage, accounts["registry"])

    def statements(self, cell: Cell) -> tuple[Sequence[Statement], Sequence[Statement] | None]:
        """Return the statements that speak of a cell's action: its principal's, and its resource's own."""
        own = self.policies.own.get(self.owners[place_of(cell.thing)])
        identity = self.policies.of(self.policies.identity[cell.principal.name], cell.action)
        return identity, None if own is None else self.policies.of(own, cell.action)

    def differences(self, beside: Matrix | None = None) -> Iterator[Difference]:
        """Yield every cell in which policies and intent disagree; where another matrix stands beside, what differs.

        Two requests to the same policies are decided alike: a cell whose principal and whose thing have there the
        policies that they have here is decided there.
        """
        for cell in self._cells(beside):
            allowed = decided(cell, *self.statements(cell))
            if allowed != self.intent.allows(cell.principal, cell.action, cell.thing, cell.situation):
                yield Difference(cell, allowed)

    def _cells(self, beside: Matrix | None) -> Iterator[Cell]:
        if beside is None:
            yield from self.cells(self.everybody, self.distinct, self.matters)
            return
        known = {(one.name, one.caller, one.administrator): one.identity for one in beside.everybody}
        theirs = {place_of(one): (beside.owner_of(one), one.sources) for one in beside.distinct}
        new = [
            one
            for one in self.everybody
            if known.get((one.name, one.caller, one.administrator)) != one.identity
        ]
        changed = [
            one
            for one in self.distinct
            if theirs.get(place_of(one)) != (self.owner_of(one), one.sources)
            or self.policies.own.get(self.owner_of(one)) != beside.policies.own.get(self.owner_of(one))
        ]
        yield from self.cells(new, self.distinct, self.matters)
        yield from self.cells([one for one in self.everybody if one not in new], changed, self.matters)

    def matters(self, principal: Principal, action: str, thing: Thing) -> bool:
        """Whether anybody has said anything: else both sides refuse whatever the situation."""
        if principal.administrator or self.intent.mentions(principal, action, thing):
            return True
        if self.policies.of(self.policies.identity[principal.name], action):
            return True
        own = self.policies.own.get(self.owners[place_of(thing)])
        return own is not None and any(
            one.allow and one.admits(principal.caller) for one in self.policies.of(own, action)
        )


def _distinct(things: Iterable[Thing]) -> list[Thing]:
    found: dict[object, Thing] = {}
    for thing in things:
        found.setdefault(place_of(thing), thing)
    return list(found.values())


def _owner(estate: Estate, thing: Thing) -> str:
    owner = thing.arn if thing.arn == "*" else estate.owner(thing.arn)
    return f"{owner}, opened" if thing.opened else owner


def external_policies(estate: Estate, things: Things) -> dict[str, list[Statement]]:
    """Return the policies of what isn't in our templates, as AWS and the CDK's bootstrap make it."""
    found: dict[str, list[Statement]] = defaultdict(list)
    installation = estate.installation
    accounts = list(dict.fromkeys(installation.accounts.values()))
    trusted = f"arn:aws:iam::{installation.registry}:root"
    for thing in things.all:
        owner = _owner(estate, thing)
        if owner in found:
            continue
        if thing.generous:
            found[owner] = [
                _allow(f"arn:aws:iam::{one}:root", "*") for one in accounts if one != thing.account
            ]
            if thing.kind == "key":
                found[owner].append(_allow(f"arn:aws:iam::{STRANGER}:root", "kms:*"))
        elif thing.kind == "key" and (
            thing.noun == "other keys" or "/other-key" in f"/{thing.arn.split(':', 5)[5]}"
        ):
            # The default key policy: the account's own policies decide.
            found[thing.arn] = [_allow(f"arn:aws:iam::{thing.account}:root", "kms:*", resource="*")]
        elif thing.noun in ("open role", "a stranger's open role"):
            found[thing.arn] = [
                _allow(f"arn:aws:iam::{thing.account}:root", ["sts:AssumeRole", "sts:TagSession"])
            ]
        elif thing.kind == "role" and ":role/cdk-" in thing.arn:
            # cdk bootstrap --trust: the delivery's account and its own.
            own = f"arn:aws:iam::{thing.account}:root"
            found[thing.arn] = [
                _allow(one, ["sts:AssumeRole", "sts:TagSession"]) for one in dict.fromkeys([trusted, own])
            ]
        elif thing.noun == "other topics":
            found[thing.arn] = [_without_tls("sns:Publish", thing.arn)]
        elif thing.noun == "other queues":
            found[thing.arn] = [_without_tls("sqs:*", thing.arn)]
        elif thing.kind == "object" and thing.arn.startswith("arn:aws:s3:::cdk-"):
            found[owner] = [_without_tls("s3:*", "*")]
        elif thing.noun == "images":
            pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
            found[thing.arn] = [_allow(f"arn:aws:iam::{one}:root", pull) for one in (*accounts, STRANGER)]
    return found


def _without_tls(action: str, resource: str) -> Statement:
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    return Statement.of(
        {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource, "Condition": insecure}
    )


def _allow(principal: str, action: object, resource: str | None = None) -> Statement:
    raw = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action}
    return Statement.of(raw | ({} if resource is None else {"Resource": resource}), "external")


__all__ = ["REGION", "Cell", "Difference", "Matrix", "decided"]
