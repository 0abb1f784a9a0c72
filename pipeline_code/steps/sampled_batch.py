"""A batch for trying a version out: like the training rows feature by feature, and nobody's row.

Each feature is drawn by itself from its distribution among the training rows: 200 values at evenly spread ranks. They
are put together so that features go together as they do in training, by their ranks: the scores are then spread as
they are for real rows. So the monitor sees no drift in it, and no row of it is a row of the data.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .model import Column, Model, value_text
from .program import UsageError
from .rows import Problem, feature_rows, read_batch_file

CHECK_BATCH, CHECK_SCORES = "check_batch.csv", "check_scores.csv"
ROWS = 200
PATTERNS = 1_000  # training rows from which it is learnt which features go together

Floats = NDArray[np.float64]
Cell = float | None  # as the model sees it; None is missing


def write_check_files(
    model: Model, features: Floats, score: Callable[[Floats], Floats], folder: Path
) -> None:
    """Write ``check_batch.csv``, and to ``check_scores.csv`` what the model makes of it: ``id,score`` a line.

    Parameters
    ----------
    features
        The repaired training rows as the model sees them, an array of rows by features; NaN is missing.
    score
        Returns a score for each row of such an array.
    folder
        Where to write.

    Raises
    ------
    UsageError
        model.json refuses values that the training rows hold.
    """
    batch = folder / CHECK_BATCH
    drawn_columns = [drawn(column.name, features[:, place]) for place, column in enumerate(model.columns)]
    _write_batch(model, put_together(drawn_columns, features), batch)
    # Read back as the inference pipeline reads it, so that both score the same rows.
    problems: list[Problem] = []
    rows = read_batch_file(batch, CHECK_BATCH, model, problems)
    if problems:
        raise UsageError(f"the training rows give a batch that model.json refuses: {problems[0]}")
    # numpy makes NaN of None
    seen = np.array(
        [list(map(Column.encode, model.columns, row)) for row in feature_rows(rows, model)], float
    )
    with (folder / CHECK_SCORES).open("w", encoding="utf-8", newline="") as out:
        for row_id, value in zip(rows.ids, score(seen), strict=True):
            out.write(f"{row_id},{float(value)}\n")


def drawn(name: str, values: Floats, rows: int = ROWS) -> list[Cell]:
    """Return `rows` values with the distribution of `values`, the same share of them missing.

    The same values in whatever order give the same result.

    Parameters
    ----------
    name
        Of the feature; features of different names are ordered independently.
    values
        At least one; NaN is missing.
    """
    rng = random.Random(f"check batch: {name}")
    known = np.sort(values[~np.isnan(values)]).tolist()
    present = round(rows * len(known) / len(values))
    cells: list[Cell] = [None] * (rows - present)
    # One value from each of as many equal parts of the ranks: nowhere is the distribution off by more than one row.
    cells += [known[int((place + rng.random()) * len(known) / present)] for place in range(present)]
    order = sorted((rng.random(), place) for place in range(rows))
    return [cells[place] for _, place in order]


def put_together(columns: Sequence[Sequence[Cell]], features: Floats) -> list[list[Cell]]:
    """Return columns of cells, each in another order: with the rank correlations of the features (Iman and Conover).

    The same rows in whatever order give the same result.

    Parameters
    ----------
    features
        Rows by features; NaN is missing and counts as the largest value.
    """
    filled = np.where(np.isnan(features), np.inf, features)
    ordered = filled[np.lexsort(filled.T)]
    places = np.linspace(0, len(ordered) - 1, min(PATTERNS, len(ordered))).round().astype(int)
    patterns = np.column_stack([_standing(column) for column in ordered[places].T])
    # sums of rows with normal weights have the correlations of the rows
    weights = np.random.default_rng(0).standard_normal((len(columns[0]), len(patterns)))
    ranks = np.argsort(np.argsort(weights @ patterns, axis=0, kind="stable"), axis=0, kind="stable")
    result = []
    for cells, wanted in zip(columns, ranks.T, strict=True):
        ascending = sorted(cells, key=lambda cell: math.inf if cell is None else cell)
        result.append([ascending[rank] for rank in wanted])
    return result


def _standing(values: Floats) -> Floats:
    """Return each value's rank, tied ones the same, less the middle."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: Floats = (np.cumsum(counts) - (counts - 1) / 2)[where] - (len(values) + 1) / 2
    return middle


def _write_batch(model: Model, columns: Sequence[Sequence[Cell]], path: Path) -> None:
    marker = "" if "" in model.missing else min(model.missing, default="")
    names = ([] if model.id_column is None else [model.id_column]) + model.features
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        if model.batch_header:
            out.writerow(names)
        for number, cells in enumerate(zip(*columns, strict=True), 1):
            texts = [
                marker if cell is None else _decoded(column, cell)
                for column, cell in zip(model.columns, cells, strict=True)
            ]
            out.writerow(texts if model.id_column is None else [f"check-{number}", *texts])


def _decoded(column: Column, cell: float) -> str:
    return value_text(column.values[int(cell)] if column.type == "string" else cell)
