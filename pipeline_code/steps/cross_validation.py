"""Repeated, grouped, stratified cross-validation of the shipped hyperparameters."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boosting import load_xgboost
from .model import Evaluation
from .program import DataError, UsageError
from .scoring import Floats, auc_with_error


def groups_of(features: Floats) -> NDArray[np.int64]:
    """Return a number for each row; rows with the same features, missing ones too, have the same."""
    filled = np.where(np.isnan(features), np.inf, features)
    groups: NDArray[np.int64] = np.unique(filled, axis=0, return_inverse=True)[1].reshape(-1)
    return groups


def deal(
    groups: NDArray[np.int64], labels: Floats, folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return each row's fold: groups stay whole, folds have about the same size and share of positives."""
    sizes = np.bincount(groups)
    mostly_positive = np.bincount(groups, weights=labels) * 2 >= sizes
    fold_of = np.zeros(len(sizes), dtype=np.int64)
    for positive in (False, True):
        members = rng.permutation(np.flatnonzero(mostly_positive == positive))
        if not len(members):
            continue
        middle = np.cumsum(sizes[members]) - sizes[members] / 2
        fold_of[members] = (middle * folds / sizes[members].sum()).astype(np.int64)
    return fold_of[groups]


def booster_parameters(hyperparameters: dict[str, str]) -> tuple[dict[str, Any], int]:
    """Return the training container's hyperparameters as XGBoost takes them, and the number of rounds."""
    parameters: dict[str, Any] = dict(hyperparameters)
    rounds = int(parameters.pop("num_round"))
    # small data gain nothing from more threads, and the result doesn't depend on them
    parameters.setdefault("nthread", min(4, os.cpu_count() or 1))
    return parameters, rounds


def cross_validated_auc(
    features: Floats, labels: Floats, hyperparameters: dict[str, str], how: Evaluation
) -> list[float]:
    """Return the mean AUC over the folds, one number a repeat.

    Parameters
    ----------
    features
        Rows by features; NaN is missing.
    labels
        0 or 1 a row.

    Raises
    ------
    DataError
        A fold would lack a class.
    UsageError
        XGBoost refuses the hyperparameters.
    """
    xgboost = load_xgboost()
    parameters, rounds = booster_parameters(hyperparameters)
    groups = groups_of(features)
    rng = np.random.default_rng(how.seed)
    means = []
    for _ in range(how.repeats):
        fold = deal(groups, labels, how.folds, rng)
        areas = []
        for tested in range(how.folds):
            inside = fold == tested
            if len(np.unique(labels[inside])) < 2 or len(np.unique(labels[~inside])) < 2:
                raise DataError(
                    f"{len(labels)} rows ({groups.max() + 1} distinct) are too few for {how.folds} folds"
                    f" with both classes in each"
                )
            try:
                booster = xgboost.train(
                    parameters, xgboost.DMatrix(features[~inside], labels[~inside]), num_boost_round=rounds
                )
            except xgboost.core.XGBoostError as error:
                reason = str(error).strip().splitlines()[-1]
                raise UsageError(f"XGBoost refuses the hyperparameters of model.json: {reason}") from None
            areas.append(
                auc_with_error(labels[inside], booster.predict(xgboost.DMatrix(features[inside])))[0]
            )
        means.append(float(np.mean(areas)))
    return means
