"""The check of a batch, and the same with what the model makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..model import Model
from ..program import read_json
from .checks import DRIFT, Findings, check, drift_violations
from .constraints import Config, FeatureConstraint
from .predictions import (
    PREDICTION,
    AttributionDrift,
    Scored,
    compare_attributions,
    constraint,
    known_attributions,
)
from .profile import Profile

Score = Callable[[int], Scored]  # of a batch with so many rows


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was looked at, and what was found."""

    profile: Profile
    constraints: Mapping[str, FeatureConstraint]
    findings: Findings
    attributions: AttributionDrift | None = None


def broken(findings: Findings) -> bool:
    """Whether there is more than drift."""
    return any(found.constraint_check_type != DRIFT for found in findings.violations)


def checked_alone(
    model: Model,
    profile: Profile,
    known: Profile,
    constraints: Mapping[str, FeatureConstraint],
    *,
    others: int = 0,
) -> Checked:
    """Check a batch with the model's confidences.

    Parameters
    ----------
    others
        What else is compared with the same confidence.
    """
    findings = check(
        profile,
        known,
        constraints,
        completeness_confidence=model.monitor.completeness_confidence,
        drift_confidence=model.monitor.drift_confidence,
        others=others,
    )
    return Checked(profile=profile, constraints=constraints, findings=findings)


def with_predictions(
    model: Model,
    alone: Checked,
    known: Profile,
    statistics: Path,
    *,
    score: Callable[[], Scored],
    threshold: float,
) -> Checked:
    """Check a sound batch anew, its scores as one more feature, and compare the attributions.

    Nothing is scored where the baseline knows no scores: that they weren't compared is said.

    Parameters
    ----------
    statistics
        statistics.json of the baseline.
    threshold
        Distance above which the scores have drifted.

    Raises
    ------
    UsageError
        The model, or what the baseline says of it, can't be used.
    """
    if not any(column.name == PREDICTION for column in known.columns):
        unknown = (*alone.findings.not_compared, PREDICTION)
        return replace(alone, findings=replace(alone.findings, not_compared=unknown))
    then = known_attributions(read_json(statistics), model.features)
    scored = score()
    config = Config(threshold=threshold, robust=model.monitor.comparison_method == "Robust")
    profile = replace(alone.profile, columns=(*alone.profile.columns, scored.column))
    constraints = {**alone.constraints, PREDICTION: constraint(config)}
    others = 0 if then is None else 1
    checked = checked_alone(model, profile, known, constraints, others=others)
    if then is None:
        return checked
    compared = len(checked.findings.comparisons) + others
    each = (1 - model.monitor.drift_confidence) / compared
    found = compare_attributions(model.features, scored.attributed, then, each=each)
    findings = checked.findings
    comparisons = sorted(
        (*findings.comparisons, found.comparison),
        key=lambda one: (not one.drifted, -one.distance, -one.simple, one.name),
    )
    return replace(
        checked,
        attributions=found,
        findings=replace(
            findings,
            comparisons=tuple(comparisons),
            violations=(*findings.violations, *drift_violations(found.comparison)),
        ),
    )
