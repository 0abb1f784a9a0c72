"""Mutants that no request can tell from the original, each with its reason: at most five; there is none."""

from collections.abc import Mapping

# Part of the line that tells of a mutant: its reason.
SURVIVORS: Mapping[str, str] = {}
