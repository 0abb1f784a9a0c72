from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from pipeline_code.steps.cross_validation import deal, groups_of
from pipeline_code.steps.scoring import ROC_POINTS, auc_with_error, classification_metrics, roc

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=2, max_size=60).filter(
    lambda held: len({label for label, _ in held}) == 2
)


@given(held=rows)
def test_auc_and_roc_are_those_of_scikit_learn_also_with_tied_scores(held: list[tuple[int, int]]) -> None:
    labels, scores = np.array(held, dtype=np.float64).T

    false_rates, true_rates = roc(labels, scores)

    assert auc_with_error(labels, scores)[0] == pytest.approx(metrics.roc_auc_score(labels, scores))
    known = metrics.roc_curve(labels, scores, drop_intermediate=False)
    assert false_rates == pytest.approx(known[0].tolist(), abs=1e-6)
    assert true_rates == pytest.approx(known[1].tolist(), abs=1e-6)


def test_the_error_of_an_auc_is_how_much_it_varies_between_samples() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0.0, 1.0], [60, 60])
    found = [auc_with_error(labels, rng.normal(size=120) + labels) for _ in range(400)]

    spread = np.std([auc for auc, _ in found])
    assert np.mean([error for _, error in found]) == pytest.approx(spread, rel=0.1)


def test_a_long_roc_is_thinned_but_keeps_its_ends() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 5_000).astype(np.float64)
    false_rates, true_rates = roc(labels, rng.normal(size=5_000))

    assert len(false_rates) == len(true_rates) <= ROC_POINTS
    assert (false_rates[0], true_rates[0], false_rates[-1], true_rates[-1]) == (0.0, 0.0, 1.0, 1.0)


def test_the_rates_are_those_at_one_half() -> None:
    labels, scores = np.array([1.0, 1, 1, 0, 0]), np.array([0.9, 0.5, 0.2, 0.7, 0.1])

    found = classification_metrics(labels, scores)

    assert found["confusion_matrix"] == {"0": {"0": 1, "1": 1}, "1": {"0": 1, "1": 2}}
    assert found["accuracy"]["value"] == 0.6
    assert found["precision"]["value"] == found["recall"]["value"] == pytest.approx(0.666667)


def test_rows_with_the_same_features_share_a_fold() -> None:
    features = np.array([[1.0, np.nan], [1.0, np.nan], [2.0, 3.0], [2.0, 3.0], [4.0, 5.0], [6.0, np.nan]])
    groups = groups_of(features)

    assert groups[0] == groups[1] != groups[5]
    fold = deal(groups, np.array([1.0, 0, 1, 1, 0, 0]), 2, np.random.default_rng(0))
    assert fold[0] == fold[1]
    assert fold[2] == fold[3]


def test_folds_have_about_the_same_size_and_share_of_positives() -> None:
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 300, 1_000)
    labels = (groups % 3 == 0).astype(np.float64)

    fold = deal(np.unique(groups, return_inverse=True)[1], labels, 5, rng)

    sizes = np.bincount(fold, minlength=5)
    shares = np.bincount(fold, weights=labels) / sizes
    assert sizes.min() > 180
    assert sizes.max() < 220
    assert shares.max() - shares.min() < 0.06
