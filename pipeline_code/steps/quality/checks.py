"""The six checks of a batch against a baseline."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass

from ..rows import Problem
from .chance import more_missing_than_chance
from .constraints import FeatureConstraint
from .drift import Comparison, compare
from .profile import ColumnProfile, Profile

DRIFT = "baseline_drift_check"
STRUCTURE = {
    "header": "data_type_check",
    "unreadable": "data_type_check",
    "missing_column": "missing_column_check",
    "extra_column": "extra_column_check",
}
OF_A_CELL = {"type": "data_type_check", "value": "categorical_values_check", "missing": "completeness_check"}
WHOLE = {
    "header": "Header row",
    "unreadable": "Unreadable file",
    "missing_column": "Missing columns",
    "extra_column": "Extra columns",
}


@dataclass(frozen=True)
class Violation:
    """A finding, as constraint_violations.json holds it."""

    feature_name: str
    constraint_check_type: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the checks found: violations of all six types, and the distance of each feature compared.

    Attributes
    ----------
    not_compared
        Features whose distribution the baseline, or the batch, doesn't hold.
    """

    violations: tuple[Violation, ...]
    comparisons: tuple[Comparison, ...]
    not_compared: tuple[str, ...] = ()


def check(
    current: Profile,
    baseline: Profile,
    constraints: Mapping[str, FeatureConstraint],
    *,
    completeness_confidence: float = 0.999,
    drift_confidence: float = 0.99,
    others: int = 0,
) -> Findings:
    """Check a batch.

    Parameters
    ----------
    current, baseline
        What the batch and the training data hold.
    constraints
        Feature name to what it must satisfy.
    completeness_confidence
        How sure to be, over all columns together, that more is missing than in the baseline.
    drift_confidence
        How sure to be, over all features together, that a Robust distance is no chance.
    others
        What else is compared with that confidence, outside of this check.
    """
    violations = _structure(current, constraints)
    pairs = []
    known = {column.name: column for column in baseline.columns}
    absent = {p.column for p in current.problems if p.kind == "missing_column" and p.column}
    firsts = _first_problems(current.problems)
    alike = (1 - completeness_confidence) / max(1, len(constraints))
    for column in current.columns:
        constraint = constraints.get(column.name)
        if constraint is None or column.name in absent:
            continue
        before = known.get(column.name)
        first = firsts.get(column.name, {})
        if constraint.config.evaluate:
            violations += _types(column, constraint, first)
            violations += _completeness(column, before, constraint, first, alike)
            violations += _values(column, constraint, first)
        if before is not None and constraint.config.compare:
            pairs.append((column, before, constraint.config))
    comparisons, not_compared = compare(pairs, confidence=drift_confidence, others=others)
    violations += [violation for comparison in comparisons for violation in drift_violations(comparison)]
    return Findings(violations=tuple(violations), comparisons=comparisons, not_compared=not_compared)


def is_structural(problem: Problem, columns: Container[str]) -> bool:
    """Whether a problem is always a violation, because it is of no degree: of a header, a row, an id or a whole file.

    Parameters
    ----------
    columns
        Names of the columns that are compared, so without the id column.
    """
    return problem.kind in STRUCTURE or problem.column not in columns


def breaches(current: Profile, constraints: Mapping[str, FeatureConstraint]) -> list[Violation]:
    """Return what a batch can't be scored with: broken files and rows, and too many mistyped or illegal cells.

    These are the checks that ask the model's description; neither samples nor chance have a part in them.
    """
    violations = _structure(current, constraints)
    absent = {p.column for p in current.problems if p.kind == "missing_column" and p.column}
    firsts = _first_problems(current.problems)
    for column in current.columns:
        constraint = constraints.get(column.name)
        if constraint is None or column.name in absent or not constraint.config.evaluate:
            continue
        first = firsts.get(column.name, {})
        violations += _types(column, constraint, first)
        if column.missing and "missing" in first:
            violations.append(Violation(column.name, "completeness_check", first["missing"]))
        violations += _values(column, constraint, first)
    return violations


def _first_problems(problems: tuple[Problem, ...]) -> dict[str, dict[str, str]]:
    """Return, a column, the first problem of each kind."""
    first: dict[str, dict[str, str]] = {}
    for problem in problems:
        of_column = first.setdefault(problem.column, {})
        if problem.kind not in of_column:
            of_column[problem.kind] = str(problem)
    return first


def _structure(current: Profile, constraints: Mapping[str, FeatureConstraint]) -> list[Violation]:
    """Return what is wrong with headers, widths, columns, ids and whole files: nothing here is a matter of degree."""
    names = [column.name for column in current.columns]
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for problem in current.problems:
        if is_structural(problem, names):
            key = problem.kind, problem.column
            counts[key] += problem.times
            first.setdefault(key, str(problem))
    found = [
        Violation(
            column or WHOLE[kind],
            STRUCTURE.get(kind) or OF_A_CELL[kind],
            first[kind, column] + (f" (and {number - 1} more)" if number > 1 else ""),
        )
        for (kind, column), number in counts.items()
    ]
    for kind, odd in (
        ("missing_column", [name for name in constraints if name not in names]),
        ("extra_column", [name for name in names if name not in constraints]),
    ):
        found += [
            Violation(
                name,
                STRUCTURE[kind],
                f"{len(names)} columns in the batch, {len(constraints)} in the baseline's constraints",
            )
            for name in odd
        ]
    if not current.rows and not found:
        found.append(Violation("Missing rows", "completeness_check", "the batch holds no rows"))
    return found


def _types(column: ColumnProfile, constraint: FeatureConstraint, first: dict[str, str]) -> list[Violation]:
    mistyped = column.mistyped
    if constraint.inferred_type == "String" and column.categories is None:
        mistyped = 0  # what is no number is a text all the same
    elif constraint.inferred_type == "Integral" and column.points is not None:
        whole = column.points.values == column.points.values.round()
        mistyped += int(column.points.counts[~whole].sum())
    elif constraint.inferred_type in ("Integral", "Fractional") and column.categories is not None:
        mistyped = sum(n for text, n in column.categories.items() if not _is_number(text))
    share = 1 - mistyped / column.present if column.present else 1.0
    if share >= constraint.config.datatype_threshold:
        return []
    example = f"; first: {first['type']}" if "type" in first else ""
    return [
        Violation(
            column.name,
            "data_type_check",
            f"{share:.1%} of the values are {constraint.inferred_type},"
            f" at least {constraint.config.datatype_threshold:.1%} must be{example}",
        )
    ]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _completeness(
    column: ColumnProfile,
    before: ColumnProfile | None,
    constraint: FeatureConstraint,
    first: dict[str, str],
    alike: float,
) -> list[Violation]:
    """Compare the missing cells with the constraint.

    Where the constraint is the share that the baseline showed, it is uncertain itself; where a person has
    written another, it is a rule, and a required column's 1.0 allows none to be missing. Where so many missing
    have a chance below `alike`, the batch isn't like the baseline.
    """
    if column.missing and "missing" in first:
        return [Violation(column.name, "completeness_check", first["missing"])]
    measured = before is not None and math.isclose(before.completeness, constraint.completeness, rel_tol=1e-6)
    seen = before.present + before.missing if before is not None and measured else math.inf
    cells = column.present + column.missing
    chance = more_missing_than_chance(column.missing, cells, 1 - constraint.completeness, seen)
    if chance >= alike:
        return []
    return [
        Violation(
            column.name,
            "completeness_check",
            f"{column.completeness:.1%} of the values are there, {constraint.completeness:.1%} in the baseline;"
            f" so many missing has a chance of {chance:.2g} in {cells} rows",
        )
    ]


def _values(column: ColumnProfile, constraint: FeatureConstraint, first: dict[str, str]) -> list[Violation]:
    illegal = column.illegal
    if constraint.domains and column.categories is not None:
        unknown = [text for text in column.categories if text not in constraint.domains]
        illegal = max(illegal, sum(column.categories[text] for text in unknown))
    share = 1 - illegal / column.present if column.present else 1.0
    if share >= constraint.config.domain_threshold:
        return []
    example = f"; first: {first['value']}" if "value" in first else ""
    return [
        Violation(
            column.name,
            "categorical_values_check",
            f"{share:.1%} of the values are known,"
            f" at least {constraint.config.domain_threshold:.1%} must be{example}",
        )
    ]


def drift_violations(comparison: Comparison) -> list[Violation]:
    """Return the violation of a comparison, where there is one."""
    if not comparison.drifted:
        return []
    moved = f"largest difference of the distributions: {comparison.simple:.4f}"
    likely = f"{comparison.p_value:.2g}"
    if comparison.method == "ChiSquared":
        told = f"p-value of ChiSquared: {likely}, below the threshold {comparison.threshold:g}; {moved}"
    else:
        told = (
            f"{comparison.method} distance from the baseline: {comparison.distance:.4f}, above the threshold"
            f" {comparison.threshold:g}; {moved}, with a chance of {likely}"
        )
    return [Violation(comparison.name, DRIFT, told)]
