"""What approvers want to know of a version: its numbers, where it comes from, who trained it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.aws import Arn, Malformed, split_uri
from shared.registry import group_name
from shared.text import is_version, number, shorten

_NUMBERS = (
    ("cv_auc", "cross-validated AUC"),
    ("holdout_auc", "AUC on the hold-out"),
    ("gain_over_champion", "gain on the same hold-out over"),
)
_FACTS = (
    ("data_rows", "rows of training data"),
    ("data_sha256", "SHA-256 of the training data"),
    ("code_uri", "code"),
    ("git_commit", "git commit"),
    ("execution_arn", "train execution"),
)


@dataclass(frozen=True)
class Package:
    """A model version with its description.

    Parameters
    ----------
    described
        What DescribeModelPackage answers; empty where that failed.
    """

    arn: Arn
    group: str
    number: int
    described: dict[str, Any]

    @property
    def properties(self) -> dict[str, str]:
        """CustomerMetadataProperties."""
        return dict(self.described.get("CustomerMetadataProperties") or {})

    @property
    def model(self) -> str:
        """Name of the model: the first part of its artifact's key; the group's name where that isn't known."""
        return self.known_model or self.group

    @property
    def known_model(self) -> str:
        """Name of the model, or empty."""
        return self._artifact_parts[0] if self._artifact_parts else ""

    @property
    def stage(self) -> str:
        """Stage it was trained in, or empty."""
        parts = self._artifact_parts
        return parts[1] if len(parts) > 1 else ""

    @property
    def account(self) -> str:
        """Account it was trained in, or empty."""
        try:
            return Arn.parse(self.properties.get("execution_arn", "")).account
        except ValueError:
            return ""

    @property
    def trained_by(self) -> str:
        """Who trained it, in words."""
        stage = f"in {self.stage}" if self.stage else "in an unknown stage"
        return f"Trained {stage}{f' (account {self.account})' if self.account else ''}."

    def describe(self) -> list[str]:
        """Its numbers and its origin, one a line; what isn't recorded is left out."""
        known = self.properties
        if not self.described:
            return ["The version could not be described; look at it in the registry."]
        numbers = [_number_line(name, label, known) for name, label in _NUMBERS if known.get(name)]
        facts = [f"- {label}: {shorten(known[name], 256)}" for name, label in _FACTS if known.get(name)]
        bare = [] if numbers or facts else ["It carries no metrics (CustomerMetadataProperties)."]
        return [*numbers, self.trained_by, *facts, *bare]

    @property
    def _artifact_parts(self) -> list[str]:
        containers = (self.described.get("InferenceSpecification") or {}).get("Containers") or [{}]
        try:
            _, key = split_uri(str(containers[0].get("ModelDataUrl", "")))
        except ValueError:
            return []
        parts = key.split("/")
        return parts[:-1] if len(parts) > 2 else []


def _number_line(name: str, label: str, known: dict[str, str]) -> str:
    if name != "gain_over_champion":
        return f"- {label}: {number(known[name], 4)}"
    champion = shorten(known.get("champion_version", ""), 20)
    if champion == "none":
        return "- gain over the champion: there was no champion"
    gain = number(known[name], 4)
    named = f"version {champion}, the champion" if champion else "the champion"
    return f"- {label} {named}: {gain if gain.startswith('-') else f'+{gain}'}"


def parse_package(arn: str, described: dict[str, Any]) -> Package:
    """Read group and number from the ARN of a version.

    Raises
    ------
    Malformed
        It is no ARN of a version.
    """
    parsed = Arn.parse(arn)
    parts = parsed.resource.split("/")
    if len(parts) != 3 or parts[0] != "model-package" or not is_version(parts[2]):
        raise Malformed(f"expected the ARN of a model version, got '{arn}'")
    return Package(parsed, group_name(parts[1]), int(parts[2]), described)
