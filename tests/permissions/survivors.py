"""Mutants that no request can tell from the original, each with its reason: at most five."""

from collections.abc import Mapping

# Part of the line that tells of a mutant: its reason.
SURVIVORS: Mapping[str, str] = {
    "RegistryKey88E3FC50[External2]: without kms:De": "dev's train roles may decrypt as all of dev's roles may",
    "RegistryKey88E3FC50[External4]: without kms:De": "the same in staging",
    "RegistryKey88E3FC50[External6]: without kms:De": "the same in prod",
}
