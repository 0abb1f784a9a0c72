"""How often small batches raise an alarm, without and with a drift: numbers for the README, bounded in time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from pipeline_code.steps.quality.checks import DRIFT, Findings, check
from pipeline_code.steps.quality.constraints import read_constraints, suggest
from pipeline_code.steps.quality.profile import profile_rows
from pipeline_code.steps.rows import FileRows
from tests.steps.steps_kit import original_rows, shipped_model

TRIALS = 150
Rows = list[list[float | None]]


@cache
def _raw() -> Rows:
    return [[None if cell == "?" else float(cell) for cell in row[:-1]] for row in original_rows()]


def _file(rows: Rows) -> FileRows:
    names = shipped_model().features
    columns = zip(*rows, strict=True)
    return FileRows(
        "rows", "", [str(n) for n in range(len(rows))], dict(zip(names, map(list, columns), strict=True))
    )


def _trial(rng: np.random.Generator, size: int, drift: Callable[[Rows], Rows] | None) -> Findings:
    """Draw a batch, take the rest for the baseline, and check one against the other."""
    model = shipped_model()
    order = rng.permutation(len(_raw()))
    batch = [list(_raw()[n]) for n in order[:size]]
    if drift is not None:
        batch = drift(batch)
    known = profile_rows(model.columns, [_file([_raw()[n] for n in order[size:]])])
    constraints = read_constraints(suggest(known, model.columns, model.monitor))
    current = profile_rows(model.columns, [_file(batch)])
    return check(current, known, constraints, completeness_confidence=model.monitor.completeness_confidence)


def _rate(size: int, drift: Callable[[Rows], Rows] | None, alarm: Callable[[Findings], bool]) -> float:
    rng = np.random.default_rng(11)
    return sum(alarm(_trial(rng, size, drift)) for _ in range(TRIALS)) / TRIALS


def _any(findings: Findings) -> bool:
    return bool(findings.violations)


def _age_drifted(findings: Findings) -> bool:
    return any(
        found.feature_name == "Age" and found.constraint_check_type == DRIFT for found in findings.violations
    )


def _older(rows: Rows) -> Rows:
    return [[row[0], None if row[1] is None else row[1] + 10, *row[2:]] for row in rows]


@pytest.mark.parametrize("size", [48, 192])
def test_batches_like_the_training_data_raise_next_to_no_alarm(size: int) -> None:
    assert _rate(size, None, _any) <= 0.02


@pytest.mark.parametrize(("size", "power"), [(48, 0.6), (192, 0.99)])
def test_patients_ten_years_older_are_noticed(size: int, power: float) -> None:
    assert _rate(size, _older, _age_drifted) >= power


def test_a_column_that_is_half_empty_is_noticed_in_48_rows() -> None:
    def emptied(rows: Rows) -> Rows:
        return [[None if n % 2 else row[0], *row[1:]] for n, row in enumerate(rows)]

    found = _trial(np.random.default_rng(1), 48, emptied)

    assert [(v.feature_name, v.constraint_check_type) for v in found.violations] == [
        ("BIRADS", "completeness_check")
    ]


def test_one_missing_value_in_a_column_that_was_complete_is_no_alarm_unless_it_is_required() -> None:
    model = shipped_model()
    complete: Rows = [[4.0, 50.0 + n % 9, 1.0, 1.0, 3.0] for n in range(800)]
    known = profile_rows(model.columns, [_file(complete)])
    batch = profile_rows(model.columns, [_file([[4.0, None, 1.0, 1.0, 3.0], *complete[:47]])])
    described = suggest(known, model.columns, model.monitor)

    assert check(batch, known, read_constraints(described)).violations == ()

    described["features"][1]["completeness"] = 1.0
    partly = profile_rows(model.columns, [_file([[4.0, None, 1.0, 1.0, 3.0], *complete])])
    found = check(batch, partly, read_constraints(described)).violations
    assert [v.constraint_check_type for v in found] == ["completeness_check"]
