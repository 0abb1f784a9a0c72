"""Findings that are lived with: read from acknowledged.yaml, compared with what is found."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.compliance.findings import Finding

FILE = Path(__file__).with_name("acknowledged.yaml")
# Fewer words than these say that a finding is acknowledged, but not why.
_WORDS = 12


@dataclass(frozen=True)
class Acknowledgement:
    """One reason, and the findings that it is for, each named in full.

    Raises
    ------
    ValueError
        If it has no reason or link that could convince, or is for a pattern of places.
    """

    reason: str
    link: str
    covers: frozenset[Finding]

    def __post_init__(self) -> None:
        """Check that somebody could be convinced."""
        name = min(map(str, self.covers), default="an acknowledgement for nothing")
        if not self.covers:
            raise ValueError(name)
        if len(self.reason.split()) < _WORDS:
            raise ValueError(f"{name}: a reason must have at least {_WORDS} words, got '{self.reason}'")
        if not self.link.startswith("https://docs.aws.amazon.com/"):
            raise ValueError(f"{name}: link must lead to AWS's documentation, got '{self.link}'")
        for finding in self.covers:
            if any(sign in finding.place + finding.rule for sign in "*?["):
                raise ValueError(f"{finding}: rule and place must be named in full")


def read(text: str | None = None) -> list[Acknowledgement]:
    """Return the acknowledgements of the reviewed file, or of a text like it.

    Raises
    ------
    ValueError
        If one of them is no acknowledgement, or a finding has two.
    """
    entries = yaml.safe_load(FILE.read_text() if text is None else text)
    found = [Acknowledgement(entry["reason"], entry["link"], frozenset(_covered(entry))) for entry in entries]
    seen: set[Finding] = set()
    for acknowledgement in found:
        if twice := seen & acknowledgement.covers:
            raise ValueError(f"{min(twice)} is acknowledged twice")
        seen |= acknowledgement.covers
    return found


def _covered(entry: dict[str, Any]) -> Iterable[Finding]:
    at = entry["at"]
    places = {"": at} if isinstance(at, list) else at
    for rule in entry["rules"]:
        for detail, listed in places.items():
            for place in listed:
                yield Finding(rule, place, detail)


def compare(found: Collection[Finding], acknowledged: Iterable[Acknowledgement]) -> list[str]:
    """Return a line for each finding that nobody acknowledged, and for each that is acknowledged but not found."""
    covered = {finding for one in acknowledged for finding in one.covers}
    return [
        *(f"not acknowledged: {finding}" for finding in sorted(set(found) - covered)),
        *(f"acknowledged, but not found any more: {finding}" for finding in sorted(covered - set(found))),
    ]
