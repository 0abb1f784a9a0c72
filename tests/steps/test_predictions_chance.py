"""How often the scores of a small batch, or their attributions, raise an alarm, without and with a change.

One model is trained on half of the real rows; hold-outs and batches are drawn from the other half.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from pipeline_code.steps.cross_validation import booster_parameters, groups_of
from pipeline_code.steps.quality.constraints import Config
from pipeline_code.steps.quality.distance import robust, simple_distance
from pipeline_code.steps.quality.drift import compare
from pipeline_code.steps.quality.predictions import (
    attributed,
    compare_attributions,
    contributions,
    prediction_column,
    score_rows,
)
from tests.steps.quality_kit import MODEL, Floats, labelled

TRIALS = 400
HELD_OUT = 192
COMPARED = len(MODEL.columns) + 2
Change = Callable[[Floats, np.random.Generator], None]


@cache
def _trained() -> tuple[object, Floats]:
    """Return a model and rows that it never saw, equal ones neither."""
    import xgboost

    features, labels, _ = labelled()
    groups = groups_of(features)
    half = np.random.default_rng(2).random(groups.max() + 1)[groups] < 0.5
    parameters, rounds = booster_parameters(MODEL.hyperparameters)
    booster = xgboost.train(
        {**parameters, "nthread": 1}, xgboost.DMatrix(features[half], labels[half]), rounds
    )
    return booster, features[~half]


def _alarms(size: int, change: Change | None = None, *, replaced: bool = True) -> tuple[float, float]:
    """Return how often the scores and how often the attributions are said to have drifted."""
    booster, rows = _trained()
    known = score_rows(booster, rows), np.abs(contributions(booster, rows))
    rng = np.random.default_rng(21)
    scores_drifted = attributions_drifted = 0
    trials = TRIALS if change is None else TRIALS // 4
    for _ in range(trials):
        if replaced:
            then, now = rng.integers(0, len(rows), HELD_OUT), rng.integers(0, len(rows), size)
        else:
            order = rng.permutation(len(rows))
            then, now = order[:HELD_OUT], order[HELD_OUT : HELD_OUT + size]
        scores, shares = known[0][now], known[1][now]
        if change is not None:
            batch = rows[now].copy()
            change(batch, rng)
            scores, shares = score_rows(booster, batch), np.abs(contributions(booster, batch))
        now_column, known_column = prediction_column(scores), prediction_column(known[0][then])
        assert now_column.points is not None
        assert known_column.points is not None
        # within the noise nothing drifts, whatever its chance, which takes most of the time
        if robust(simple_distance(now_column.points, known_column.points), size, HELD_OUT):
            pair = (now_column, known_column, Config(threshold=0.0))
            found = compare([pair], confidence=MODEL.monitor.drift_confidence, others=COMPARED - 1)[0][0]
            scores_drifted += found.drifted
        each = (1 - MODEL.monitor.drift_confidence) / COMPARED
        moved = compare_attributions(
            MODEL.features, attributed(shares), attributed(known[1][then]), each=each
        )
        attributions_drifted += moved.drifted
    return scores_drifted / trials, attributions_drifted / trials


def _tell(capsys: pytest.CaptureFixture[str], told: str, rates: tuple[float, float]) -> None:
    with capsys.disabled():
        print(f"\n{told}: scores {rates[0]:.2%}, attributions {rates[1]:.2%}", end="")


@pytest.mark.parametrize(("size", "replaced"), [(48, False), (192, False), (800, True)])
def test_batches_like_the_holdout_raise_an_alarm_in_one_of_a_hundred_at_most(
    size: int, replaced: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = _alarms(size, replaced=replaced)

    _tell(capsys, f"false alarms at {size} rows{', replaced' if replaced else ''}", rates)
    assert max(rates) <= 0.01
    assert sum(rates) <= 0.01


def _screened(batch: Floats, rng: np.random.Generator) -> None:
    """Half of the rows look benign in all that is scored."""
    benign = rng.random(len(batch)) < 0.5
    batch[benign, 0] = 2
    batch[benign, 2:4] = 1


@pytest.mark.parametrize(("size", "power"), [(48, 0.5), (192, 0.99)])
def test_scores_that_moved_are_noticed(size: int, power: float, capsys: pytest.CaptureFixture[str]) -> None:
    rates = _alarms(size, _screened)

    _tell(capsys, f"half of the rows benign, noticed at {size} rows", rates)
    assert rates[0] >= power


def _unread(place: int) -> Change:
    """A telling feature that the model is no longer given: its part goes to the others."""

    def change(batch: Floats, rng: np.random.Generator) -> None:
        batch[:, place] = np.nan

    return change


@pytest.mark.parametrize(("place", "size", "power"), [(0, 48, 0.99), (2, 48, 0.7), (2, 192, 0.9)])
def test_attributions_that_moved_are_noticed(
    place: int, size: int, power: float, capsys: pytest.CaptureFixture[str]
) -> None:
    if not np.isnan(labelled()[0]).any():
        pytest.skip(
            "the 830 complete rows teach a model nothing of missing cells; completeness tells of them"
        )
    rates = _alarms(size, _unread(place))

    _tell(capsys, f"{MODEL.features[place]} never there, noticed at {size} rows", rates)
    assert rates[1] >= power
