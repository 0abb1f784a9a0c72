"""What ends a rehearsal with one line."""

from __future__ import annotations


class RehearsalError(Exception):
    """A step didn't show what it should, or the rehearsal can't begin: one line that says which, and what was seen."""


def check(ok: bool, claim: str, seen: object = "") -> None:
    """End the rehearsal unless a claim holds.

    Raises
    ------
    RehearsalError
        With the claim and what was seen.
    """
    if not ok:
        raise RehearsalError(f"expected: {claim}" + (f"; seen: {seen}" if seen != "" else ""))
