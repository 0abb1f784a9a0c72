"""Granted against used: what is exercised, what is explained, and what is left over, which is to be nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.usage import granted, used
from tests.usage.explained import EXPLAINED, Explained, reasons
from tests.usage.granted import Grant
from tests.usage.used import Use


@dataclass(frozen=True)
class Comparison:
    """How grants and uses fit.

    Attributes
    ----------
    granted
        Everything that is granted.
    used
        What was exercised.
    explained
        What was not, with its entry.
    """

    granted: frozenset[Grant]
    used: frozenset[Grant]
    explained: dict[Grant, Explained]

    @classmethod
    def of(cls, grants: Iterable[Grant], uses: Iterable[Use]) -> Comparison:
        """Compare grants with uses."""
        everything = frozenset(grants)
        exercised = used.exercised(everything, uses)
        return cls(everything, exercised, reasons(everything - exercised))

    @property
    def unexplained(self) -> list[Grant]:
        """What is neither used nor explained."""
        return sorted(self.granted - self.used - self.explained.keys())

    @property
    def superfluous(self) -> list[Explained]:
        """Entries that explain nothing: the action is used after all, or isn't granted any more."""
        needed = list(self.explained.values())
        return [entry for entry in EXPLAINED if entry not in needed]

    @property
    def in_words(self) -> str:
        """One line with the numbers."""
        return (
            f"{len(self.granted)} granted actions: {len(self.used)} used, {len(self.explained)} explained by"
            f" {len(EXPLAINED)} reasons, {len(self.unexplained)} neither"
        )


def now() -> Comparison:
    """Compare the templates with the committed uses."""
    return Comparison.of(granted.grants(), frozenset().union(*used.load().values()))


def told(grants: Iterable[Grant]) -> list[str]:
    """Return grants as lines."""
    return sorted({f"{one.holder}: {one.action} on {', '.join(one.resources)}" for one in grants})
