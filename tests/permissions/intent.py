"""Reads intent.yaml: what every principal may do with every thing, in which situations."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.permissions.kinds import KINDS
from tests.permissions.principals import Principal
from tests.permissions.situations import WITHOUT_TLS
from tests.permissions.things import Things
from tests.permissions.verbs import VERBS
from tests.permissions.world import STAGES, STRANGER, Thing

SOURCE = Path(__file__).with_name("intent.yaml")
NEVER = "never, even as administrator"
_SCOPE = re.compile(
    r"(?P<noun>.+?)(?: of (?P<model>every|any|main's|the branch's) model)?"
    rf"(?: of (?P<stage>every stage|{'|'.join(STAGES)}))?"
)
_FOREIGN_KEY = frozenset({"through S3", "through SageMaker"})
Place = tuple[
    str, str, str, tuple[str, ...] | None, bool
]  # kind, ARN, account, prefix that is listed, opened or not
Situations = frozenset[str] | None


class _Strict(yaml.SafeLoader):
    """Refuses a key that is there twice: the second would replace the first, silently."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [one.value for one, _ in node.value if one.tag != "tag:yaml.org,2002:merge"]
        twice = [one for one in keys if keys.count(one) > 1]
        if twice:
            raise ValueError(f"{SOURCE.name}: '{twice[0]}' is there twice ({node.start_mark.line + 1})")
        return super().construct_mapping(node, deep)


def _rules() -> Any:
    loader = _Strict(SOURCE.read_text())
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def place_of(thing: Thing) -> Place:
    """Return what a request about a thing names."""
    return thing.kind, thing.arn, thing.account, thing.context.get("s3:prefix"), thing.opened


class Intent:
    """What is meant to be allowed.

    Parameters
    ----------
    things, principals
        Of the installation.
    partly
        Nouns that need not be here: the intent is about several installations. Default: none.
    """

    def __init__(
        self, things: Things, principals: Sequence[Principal], partly: frozenset[str] = frozenset()
    ) -> None:
        self._partly = partly
        self._things = things
        self._branch = things.estate.installation.branch
        self.rules: Mapping[str, Mapping[str, list[str]]] = _rules()
        self._permits: dict[tuple[str, str, Place], Situations] = {}
        self._never: dict[tuple[str, str, str], frozenset[str] | None] = {}
        self._administrators = {one.name: one.caller.account for one in principals if one.administrator}
        members: dict[str, list[Principal]] = defaultdict(list)
        for principal in principals:
            for group in principal.groups:
                members[group].append(principal)
        self.nobody = sorted(set(self.rules) - set(members))
        keys = {one.arn: one for one in things.all if one.kind == "key" and not one.opened}
        for group, lines in self.rules.items():
            for principal in members[group]:
                for verbs, nouns in lines.items():
                    if verbs == NEVER:
                        self._forbid(principal, nouns)
                        continue
                    for verb in [verbs] if verbs in VERBS else verbs.split(" and "):
                        self._allow(principal, verb, nouns, keys)

    def mentions(self, principal: Principal, action: str, thing: Thing) -> bool:
        """Whether it says anything about these, in any situation."""
        return (principal.name, action, (*place_of(thing)[:4], False)) in self._permits

    def allows(self, principal: Principal, action: str, thing: Thing, situation: str) -> bool:
        """Whether a request is meant to succeed."""
        if situation == WITHOUT_TLS:
            return False
        # Were a key or a bucket of another account open, it would be for whatever way one asks.
        place = (*place_of(thing)[:4], False)
        if thing.opened and thing.kind == "key":
            return (principal.name, action, place) in self._permits
        permit = self._permits.get((principal.name, action, place), frozenset())
        if permit is None or situation in permit:
            return True
        if (
            principal.administrator
            and thing.generous
            and principal.caller.account not in (STRANGER, thing.account)
        ):
            return self._unforbidden(principal, action, thing, situation)
        if self._administrators.get(principal.name) != thing.account or action.startswith("sts:"):
            return False
        return self._unforbidden(principal, action, thing, situation)

    def _unforbidden(self, principal: Principal, action: str, thing: Thing, situation: str) -> bool:
        forbidden = self._never.get((principal.name, action, thing.kind), frozenset())
        return forbidden is not None and situation not in forbidden

    def _forbid(self, principal: Principal, verbs: Iterable[str]) -> None:
        for verb in verbs:
            for kind, actions in _meaning(verb).items():
                # What is forbidden is forbidden of the whole action: there is no telling why it is asked.
                self._never.update(dict.fromkeys(((principal.name, one, kind) for one in actions), None))
                for other, known in KINDS.items():
                    for one in set(actions) & set(known):
                        self._never[principal.name, one, other] = None

    def _allow(
        self, principal: Principal, verb: str, nouns: Iterable[str], keys: Mapping[str, Thing]
    ) -> None:
        meaning = _meaning(verb)
        used = False
        for phrase in nouns:
            for thing in self._scoped(principal, phrase):
                for action, situations in meaning.get(thing.kind, {}).items():
                    used = True
                    self._permit(principal, action, thing, situations)
                    if (
                        thing.key is not None
                        and thing.key in keys
                        and action in _KEY_USE
                        and principal.caller.service is None
                    ):
                        for other in _meaning(_KEY_USE[action])["key"]:
                            self._permit(principal, other, keys[thing.key], None)
        if not used and not self._partly and principal.model in (None, *self._known_models()):
            raise ValueError(f"{SOURCE.name}: nothing for '{principal.name}' to '{verb}' among {list(nouns)}")

    def _known_models(self) -> Iterable[object]:
        return {one.model for one in self._things.all if one.model is not None and one.model.known}

    def _permit(self, principal: Principal, action: str, thing: Thing, situations: Situations) -> None:
        foreign = thing.kind == "key" and principal.caller.account not in ("", thing.account)
        if foreign and situations is None:
            situations = _FOREIGN_KEY
        slot = (principal.name, action, place_of(thing))
        known = self._permits.get(slot, frozenset())
        self._permits[slot] = None if situations is None or known is None else known | situations

    def _scoped(self, principal: Principal, phrase: str) -> list[Thing]:
        if phrase in self._things.nouns or phrase in self._partly:
            noun, model, stage = phrase, None, None
        else:
            match = _SCOPE.fullmatch(phrase)
            assert match is not None
            noun, model, stage = match["noun"], match["model"], match["stage"]
        found = []
        if noun in self._partly and noun not in self._things.nouns:
            return []
        for thing in self._things.named(noun):
            wanted = principal.stage if stage is None else stage
            if thing.stage is not None and wanted != "every stage" and thing.stage != wanted:
                continue
            if thing.model is not None:
                own = principal.model or self._branch
                if model == "main's" and (own is None or thing.model != own.of):
                    continue
                if model == "the branch's" and thing.model != self._branch:
                    continue
                if model is None and thing.model != principal.model:
                    continue
                if model == "every" and not thing.model.known:
                    continue
            found.append(thing)
        return found


_KEY_USE = {
    "s3:GetObject": "decrypt with",
    "s3:PutObject": "encrypt with",
    "sns:Publish": "encrypt and decrypt with",
}


def _meaning(verb: str) -> Mapping[str, Mapping[str, Situations]]:
    if verb not in VERBS:
        raise ValueError(f"{SOURCE.name}: '{verb}' is no verb of verbs.py")
    return VERBS[verb]
