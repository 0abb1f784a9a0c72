"""The baseline of a model: statistics.json and constraints.json of its raw training features."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..model import Model
from ..program import UsageError, read_json, sole_file
from ..rows import FileRows
from .constraints import FeatureConstraint, read_constraints, suggest
from .profile import Profile, profile_rows
from .statistics import describe, read_statistics

STATISTICS, CONSTRAINTS = "statistics.json", "constraints.json"
READABLE = 200_000  # letters of a report that is indented
# What reading a file raises that isn't what its name says.
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


def write_baseline(model: Model, files: Sequence[FileRows], folder: Path) -> None:
    """Write both files of the baseline of rows."""
    write_profile(model, profile_rows(model.columns, files), folder)


def write_profile(model: Model, profile: Profile, folder: Path) -> None:
    """Write both files of the baseline of data with this profile."""
    write_json(folder / STATISTICS, describe(profile))
    write_json(folder / CONSTRAINTS, suggest(profile, model.columns, model.monitor))


def write_json(path: Path, content: Any) -> None:
    """Write a report: keys as given, no NaN, and indented where a person may read it."""
    text = json.dumps(content, allow_nan=False)
    if len(text) <= READABLE:
        text = json.dumps(
            content, indent=1, allow_nan=False
        )  # by functions of Python's own, which take their time
    path.write_text(text + "\n", encoding="utf-8")


def read_baseline(
    root: Path, model: Model, *, drift_threshold: float | None = None
) -> tuple[Profile, dict[str, FeatureConstraint]]:
    """Return the baseline below ``statistics`` and ``constraints`` of an input folder.

    Model Monitor names the columns of a headerless file ``_c0``, ``_c1``, ...; they are taken in order.

    Raises
    ------
    UsageError
        A file is missing, or isn't what its name says.
    """
    statistics = _read(root / "statistics", STATISTICS)
    constraints = _read(root / "constraints", CONSTRAINTS)
    try:
        for described in (statistics, constraints):
            name_columns(described["features"], model.features)
    except _MALFORMED as error:
        raise UsageError(f"the baseline lists no features as Model Monitor does: {error}") from None
    try:
        profile = read_statistics(statistics)
    except _MALFORMED as error:
        raise UsageError(f"{STATISTICS} of the baseline is not in Model Monitor's format: {error}") from None
    try:
        wanted = read_constraints(constraints, drift_threshold=drift_threshold)
    except _MALFORMED as error:
        raise UsageError(f"{CONSTRAINTS} of the baseline is not in Model Monitor's format: {error}") from None
    unknown = sorted(wanted.keys() - {column.name for column in profile.columns})
    if unknown:
        # such a feature would be compared with nothing, and could never drift
        raise UsageError(f"{STATISTICS} of the baseline lacks '{unknown[0]}', which {CONSTRAINTS} has")
    return profile, wanted


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = read_json(sole_file(folder, name))
    except ValueError as error:
        raise UsageError(f"{name} of the baseline is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{name} of the baseline is not an object")
    return content


def name_columns(features: list[dict[str, Any]], names: list[str]) -> None:
    """Give features the model's names where they have those that Model Monitor gives to headerless files.

    Raises
    ------
    KeyError, TypeError, ValueError
        They have no names, or one twice.
    """
    given = [feature["name"] for feature in features]
    if not all(isinstance(name, str) and name.isprintable() for name in given):
        raise ValueError("a name must be a text that can be printed")
    if len(set(given)) != len(given):
        raise ValueError("a name is there twice")
    if len(features) == len(names) and all(
        re.fullmatch(rf"_c{place}", feature["name"]) for place, feature in enumerate(features)
    ):
        for feature, name in zip(features, names, strict=True):
            feature["name"] = name
