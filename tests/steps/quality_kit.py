"""Labelled rows of the real data, each scored by a model that never saw it, and folders for steps.model_quality."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_code.steps import model_quality
from pipeline_code.steps.cross_validation import booster_parameters, deal, groups_of
from pipeline_code.steps.model import Column
from pipeline_code.steps.quality.model_quality import describe
from pipeline_code.steps.scoring import classification_metrics
from tests.steps.steps_kit import Workbench, original_rows, shipped_model

Floats = NDArray[np.float64]

MODEL = shipped_model()


@cache
def labelled() -> tuple[Floats, Floats, Floats]:
    """Return the repaired features, labels and scores of all rows; five models, none scores what it trained on."""
    import xgboost

    rows = np.array([[float(cell) if cell != "?" else np.nan for cell in row] for row in original_rows()])
    rows[rows[:, 0] == 55, 0] = 5
    features, labels = rows[:, :-1], rows[:, -1]
    parameters, rounds = booster_parameters(MODEL.hyperparameters)
    fold = deal(groups_of(features), labels, 5, np.random.default_rng(1))
    scores = np.zeros(len(labels))
    for number in range(5):
        inside = fold == number
        train = xgboost.DMatrix(features[~inside], labels[~inside])
        booster = xgboost.train({**parameters, "nthread": 1}, train, rounds)
        scores[inside] = booster.predict(xgboost.DMatrix(features[inside]))
    return features, labels, scores


def evaluation(
    features: Floats, labels: Floats, scores: Floats, columns: Sequence[Column] = MODEL.columns
) -> dict[str, Any]:
    """Return what evaluate writes about a hold-out, as far as it concerns ground truth."""
    return {
        "binary_classification_metrics": classification_metrics(labels, scores),
        **describe(columns, features[:, : len(columns)], labels, scores),
    }


def lay_out(
    root: Path,
    predictions: dict[str, str] | str,
    truth: dict[str, str] | str,
    described: dict[str, Any] | str,
    batch: dict[str, str] | None = None,
) -> Path:
    """Write the inputs of steps.model_quality and return their folder."""
    folders: dict[str, dict[str, str]] = {
        "predictions": {"batch.csv.out": predictions} if isinstance(predictions, str) else predictions,
        "ground-truth": {"labels.csv": truth} if isinstance(truth, str) else truth,
        "evaluation": {"evaluation.json": described if isinstance(described, str) else json.dumps(described)},
        **({"batch": batch} if batch is not None else {}),
    }
    for folder, files in folders.items():
        (root / folder).mkdir(parents=True)
        for name, content in files.items():
            (root / folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    return root


def checked(bench: Workbench, inputs: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Run the check; return its exit code and model-quality.json, empty where none was written."""
    output = bench.root / "out"
    arguments = ["--model", str(bench.model_path), "--input", str(inputs), "--output", str(output), *more]
    code = model_quality.main(["check", *arguments])
    written = output / "report" / "model-quality.json"
    return code, dict(json.loads(written.read_text())) if written.exists() else {}
