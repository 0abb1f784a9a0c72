"""Training as the built-in algorithm does it; run as a program with ``SAGEMAKER_BASE_DIR`` for ``/opt/ml``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

from local_cloud.runner.xgboost_container.csv_data import CsvError, Matrix, read_channel
from local_cloud.runner.xgboost_container.hyperparameters import (
    HyperparameterError,
    Hyperparameters,
    read_hyperparameters,
)
from local_cloud.runner.xgboost_container.lean import xgboost

MODEL_NAME = "xgboost-model"


class TrainingError(ValueError):
    """The user's data or hyperparameters don't allow a training."""


def label_first(rows: Matrix, csv_weights: bool) -> xgboost.DMatrix:
    """Return a channel's rows as XGBoost's matrix: label, weights if there are any, features.

    Raises
    ------
    TrainingError
        There is no feature, or a label is missing.
    """
    first_feature = 2 if csv_weights else 1
    if rows.shape[1] <= first_feature:
        raise TrainingError(
            f"the data have {rows.shape[1]} columns: a label and at least one feature are needed"
        )
    if np.isnan(rows[:, 0]).any():
        raise TrainingError(f"row {int(np.isnan(rows[:, 0]).argmax()) + 1} has no label in its first column")
    weights = rows[:, 1] if csv_weights else None
    return xgboost.DMatrix(rows[:, first_feature:], label=rows[:, 0], weight=weights)


def train(hyperparameters: Hyperparameters, training: Matrix, validation: Matrix | None) -> xgboost.Booster:
    """Train a booster; its metrics are printed a line a round, as the container logs them."""
    matrix = label_first(training, hyperparameters.csv_weights)
    watched = [(matrix, "train")]
    if validation is not None:
        watched.append((label_first(validation, hyperparameters.csv_weights), "validation"))
        if watched[1][0].num_col() != matrix.num_col():
            raise TrainingError(
                f"train has {matrix.num_col()} features, validation has {watched[1][0].num_col()}"
            )
    try:
        return xgboost.train(
            hyperparameters.booster,
            matrix,
            num_boost_round=hyperparameters.num_round,
            evals=watched,
            early_stopping_rounds=hyperparameters.early_stopping_rounds,
        )
    except xgboost.core.XGBoostError as error:
        # The first line says what is wrong; the rest is a stack of C++.
        raise TrainingError(f"XGB train call failed with exception: {str(error).splitlines()[0]}") from error


def main() -> int:
    """Train on the channels of the job, and leave the model in ``/opt/ml/model``."""
    root = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    try:
        settings = json.loads((root / "input" / "config" / "hyperparameters.json").read_text())
        hyperparameters = read_hyperparameters(settings)
        data = root / "input" / "data"
        if not (data / "train").is_dir():
            raise TrainingError("channel 'train' is missing")
        validation = read_channel(data / "validation") if (data / "validation").is_dir() else None
        booster = train(hyperparameters, read_channel(data / "train"), validation)
    except (HyperparameterError, CsvError, TrainingError) as error:
        failure = root / "output" / "failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(f"ClientError: {error}")
        sys.stderr.write(f"ClientError: {error}\n")
        return 1
    # XGBoost 3 writes UBJSON by itself; the container's file has no extension.
    (root / "model" / MODEL_NAME).write_bytes(bytes(booster.save_raw("ubj")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
