"""What Model Monitor's check leaves behind, told as our own check tells it.

Its violations file says which features drifted, how far, and which constraints a batch breaks. It says nothing of the
distances of the others, of chance, or of how little a small batch can show: that stays unknown here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..model import Model
from ..program import UsageError, read_json
from .baseline import name_columns, read_baseline
from .checks import Violation
from .constraints import Config, FeatureConstraint
from .profile import INFERRED, ColumnProfile, Profile
from .report import told_as_broken
from .statistics import read_statistics

_BY_POSITION = re.compile(r"_c(\d+)")
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
VERDICTS = ("ok", "drift", "violation")
DELIVERING = ("deliver", "announce_and_deliver")


def read_verdict(path: Path) -> dict[str, Any]:
    """Return the verdict that was made of Model Monitor's violations file.

    Raises
    ------
    UsageError
        It isn't one.
    """
    try:
        verdict = read_json(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path.name} of Model Monitor's check can't be read: {error}") from None
    lists = [verdict.get(key) for key in ("features", "violations")] if isinstance(verdict, dict) else [None]
    if not all(isinstance(found, list) and all(isinstance(item, dict) for item in found) for found in lists):
        raise UsageError(f"{path.name} of Model Monitor's check lists no features and violations")
    if verdict.get("verdict") not in VERDICTS:
        raise UsageError(
            f"the verdict in {path.name} must be ok, drift or violation, got '{verdict.get('verdict')}'"
        )
    return dict(verdict)


def delivers(verdict: Mapping[str, Any]) -> bool:
    """Return whether the batch is scored."""
    return verdict.get("action") in DELIVERING


def read_profile(path: Path, model: Model) -> tuple[dict[str, Any], Profile] | None:
    """Return Model Monitor's statistics of the batch, with the model's names, and the profile that they hold.

    Nothing where they can't be read: what they would show isn't known then, and the verdict stands.
    """
    try:
        described = read_json(path)
        name_columns(described["features"], model.features)
        return described, read_statistics(described)
    except (OSError, *_MALFORMED) as error:
        print(f"{path.name} of Model Monitor's check can't be used: {type(error).__name__}: {error}")
        return None


def read_wanted(inputs: Path, model: Model) -> tuple[dict[str, ColumnProfile], dict[str, FeatureConstraint]]:
    """Return the baseline's columns and constraints by name; where they can't be read, the model's description."""
    try:
        profile, constraints = read_baseline(inputs, model)
    except UsageError as error:
        print(f"{error}: the batch is held against the model's description alone")
        given = Config(
            datatype_threshold=model.monitor.datatype_check_threshold,
            domain_threshold=model.monitor.domain_content_threshold,
        )
        return {}, {
            column.name: FeatureConstraint(
                name=column.name,
                inferred_type=INFERRED[column.type],
                completeness=0.0,
                domains=frozenset(),
                config=given,
            )
            for column in model.columns
        }
    return {column.name: column for column in profile.columns}, constraints


def in_our_names(verdict: dict[str, Any], columns: int | None, model: Model) -> dict[str, Any]:
    """Return the verdict with the model's names for the columns of a headerless batch.

    Model Monitor calls them ``_c0``, ``_c1``, ... . Where their number isn't the model's, nobody knows which is which,
    and they keep those names.

    Parameters
    ----------
    columns
        How many the batch has; None where that isn't known.
    """
    names = model.features
    if model.batch_header or columns not in (None, len(names)):
        return verdict

    def renamed(text: Any) -> Any:
        found = _BY_POSITION.fullmatch(str(text))
        return names[int(found.group(1))] if found and int(found.group(1)) < len(names) else text

    return {
        **verdict,
        "features": [{**item, "name": renamed(item.get("name"))} for item in verdict["features"]],
        "violations": [
            {**item, "feature_name": renamed(item.get("feature_name"))} for item in verdict["violations"]
        ],
        "message": re.sub(
            r"(?<!\w)_c\d+(?!\w)", lambda found: str(renamed(found.group())), str(verdict.get("message", ""))
        ),
    }


def with_breaches(verdict: dict[str, Any], rows: int, breaches: list[Violation]) -> dict[str, Any]:
    """Return the verdict with what breaks the model's description; it outranks a drift."""
    if not breaches:
        return verdict
    return {
        **verdict,
        "verdict": "violation",
        "action": "withhold_violation",
        "message": told_as_broken(rows, breaches),
        "violations": [*verdict["violations"], *(asdict(found) for found in breaches)],
    }


def with_features(
    verdict: dict[str, Any],
    now: Mapping[str, ColumnProfile],
    before: Mapping[str, ColumnProfile],
    constraints: Mapping[str, FeatureConstraint],
) -> dict[str, Any]:
    """Return the verdict with all features that were compared, their means and limits; a distance where it is told."""
    told = {str(item.get("name")): item for item in verdict["features"]}
    compared = [
        name for name, known in constraints.items() if known.config.compare and name in now and name in before
    ]
    rest = [{"name": name, "distance": None, "drifted": False} for name in compared if name not in told]
    return {
        **verdict,
        "features": [
            _described(item, now, before, constraints.get(str(item.get("name"))))
            for item in [*verdict["features"], *rest]
        ],
    }


def _described(
    item: dict[str, Any],
    now: Mapping[str, ColumnProfile],
    before: Mapping[str, ColumnProfile],
    constraint: FeatureConstraint | None,
) -> dict[str, Any]:
    name = str(item.get("name"))
    found, then = now.get(name), before.get(name)
    described = {"threshold": None, "method": None, "before": None, "after": None, **item}
    text = any(column is not None and column.points is None for column in (found, then))
    if constraint is not None and not (text and constraint.config.chi_squared):
        # how Model Monitor words a p-value isn't published
        config = constraint.config
        described["method"] = ("Robust" if config.robust else "Simple") + (" LInfinity" if text else "")
        if described["threshold"] is None:
            described["threshold"] = config.categorical_threshold if text else config.threshold
    if found is not None and then is not None and not text and found.present and then.present:
        described |= {"before": then.mean, "after": found.mean}
    return described


def distances(verdict: Mapping[str, Any]) -> dict[str, float]:
    """Return the distances that the violations file told."""
    return {
        str(item.get("name")): float(item["distance"])
        for item in verdict["features"]
        if isinstance(item.get("distance"), int | float)
    }
