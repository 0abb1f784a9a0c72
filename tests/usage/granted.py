"""What is granted: each action of each statement on each resource, by who holds it, from the synthesized templates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from tests.delivery_ci.installations import SETTINGS as CI_SETTINGS
from tests.permissions.estate import Estate
from tests.permissions.estates import stacks_of
from tests.permissions.policy import Statement
from tests.stacks.installations import SETTINGS, assembly, synthesized
from tests.usage import names

#: The installation with everything switched on, a branch of it, and the two other ways to promote.
INSTALLATIONS = ("versions", "branch", "github", "jenkins")
_ALIASES = "kms:resourcealiases"


@dataclass(frozen=True, order=True)
class Grant:
    """One action that a statement allows somebody, with all the resources that the statement names.

    With all of them, because a statement about jobs of two kinds has actions that exist for one kind only.

    Attributes
    ----------
    holder
        What a role is for, or the service that a resource's own policy admits.
    action
        As in the statement.
    resources
        ARNs or patterns, with `names.resource`; of a key the alias.
    """

    holder: str
    action: str
    resources: tuple[str, ...]

    def covers(self, holder: str, action: str, resource: str) -> bool:
        """Whether a use is one of this grant."""
        return (
            holder == self.holder
            and fnmatchcase(action.lower(), self.action.lower())
            and any(fnmatchcase(resource, one.replace("[", "[[]")) for one in self.resources)
        )


@cache
def estate(name: str) -> Estate:
    """Return an installation by name."""
    if name == "branch":
        return Estate(stacks_of(synthesized(SETTINGS["full"], branch="feature/faster-trees")))
    if name in CI_SETTINGS:
        return Estate(stacks_of(synthesized({"models": [{"folder": "mammography"}], **CI_SETTINGS[name]})))
    return Estate(stacks_of(assembly(name)))


@cache
def grants() -> frozenset[Grant]:
    """Return what the roles' own policies allow, and what resources' policies allow to services.

    What a resource's policy allows to roles of other accounts isn't counted again: it narrows what their own allow.
    """
    return frozenset(one for name in INSTALLATIONS for one in _grants(estate(name)))


def _grants(found: Estate) -> Iterator[Grant]:
    for arn, role in found.roles.items():
        for statement in role.identity:
            yield from _of(found, statement, names.purpose(arn) or arn, "")
    for arn, (_, statements) in found.policies.items():
        for statement in statements:
            for service in (statement.principals or {}).get("Service", ()):
                yield from _of(found, statement, service, _by_alias(found, arn))


def _of(found: Estate, statement: Statement, holder: str, own: str) -> Iterator[Grant]:
    if statement.allow:
        resources = tuple(
            sorted({names.resource(_by_alias(found, one)) for one in _resources(statement, own)})
        )
        for action in statement.actions or ():
            yield Grant(holder, action, resources)


def _resources(statement: Statement, own: str) -> Iterator[str]:
    aliases = [alias for _, key, values in statement.conditions if key == _ALIASES for alias in values]
    for resource in statement.resources or (own,):
        if resource == "*" and own:
            yield own
        elif ":key/" in resource and aliases:
            yield from (f"{resource.split(':key/')[0]}:{alias}" for alias in aliases)
        else:
            yield resource


def _by_alias(found: Estate, arn: str) -> str:
    alias = found.aliases.get(arn)
    return f"{arn.split(':key/')[0]}:{alias}" if alias else arn
