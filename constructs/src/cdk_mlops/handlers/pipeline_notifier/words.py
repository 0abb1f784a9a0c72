"""What the parts of an alert are made of."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline_notifier.facts import Facts


@dataclass(frozen=True)
class Place:
    """Where this notifier works.

    Parameters
    ----------
    registry_account
        Account of the central registry, empty where it isn't known.
    """

    stage: str
    data_bucket: str
    registry_account: str = ""


@dataclass(frozen=True)
class Words:
    """What differs from cause to cause."""

    title: str
    why: list[str]
    todo: list[str]


def in_registry(place: Place) -> str:
    """Where approvals are given."""
    return (
        f" in the registry account {place.registry_account}"
        if place.registry_account
        else " in the registry account"
    )


def decide(word: str, facts: Facts, version: object = "<number>") -> str:
    """Command that approves or rejects a version."""
    return f"make {word} VERSION={version} MODEL={facts.model}"
