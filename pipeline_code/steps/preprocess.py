"""Read the training data, check and repair them, hold rows out, and write the baseline.

Inputs: ``data`` (CSV files, with or without header). Outputs: ``train/train.csv`` and ``holdout/holdout.csv``
(label first, no header, an empty cell is missing: what the training container reads), ``baseline``
(statistics.json and constraints.json of the raw features), ``features/features.csv`` (the raw features, for a
monitor of another make to describe; with a header where batches have one) and ``summary/summary.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from .model import Model, Value, read_model, value_text
from .program import DataError, data_files, folder_of, main_exit, parser, run
from .rows import FileRows, feature_rows, read_training_file
from .split import is_held_out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the step; return its exit code."""
    given = parser("preprocess", "Check, repair and split the training data.").parse_args(arguments)
    return run(lambda: preprocess(read_model(given.model), given.input / "data", given.output))


def preprocess(model: Model, data: Path, output: Path) -> str:
    """Do the step's work.

    Returns
    -------
    str
        How many rows went where.

    Raises
    ------
    DataError
        A file doesn't fit the model's description, or a side of the split lacks a class.
    """
    files = [
        read_training_file(path, path.relative_to(data).as_posix(), model)
        for path in data_files(data, suffix=".csv")
    ]
    counts = _write_split(model, files, output)
    _write_features(model, files, output)
    _write_baseline(model, files, output)
    summary = summarize(model, files, counts)
    (folder_of(output, "summary") / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    repairs = "; ".join(
        f"{r['column']} {r['from']} read as {r['to']} ({r['rows']}x)" for r in summary["repairs"]
    )
    return (
        f"Completed: {summary['rows']} rows, {summary['train_rows']} to train on and"
        f" {summary['holdout_rows']} held out{'; ' + repairs if repairs else ''}."
    )


def _write_split(model: Model, files: list[FileRows], output: Path) -> Counter[tuple[str, str]]:
    """Write both sides; count the rows of each side and label."""
    counts: Counter[tuple[str, str]] = Counter()
    negative, positive = (value_text(value) for value in model.target.values)
    paths = {side: folder_of(output, side) / f"{side}.csv" for side in ("train", "holdout")}
    with (
        paths["train"].open("w", encoding="utf-8", newline="") as train,
        paths["holdout"].open("w", encoding="utf-8", newline="") as holdout,
    ):
        for rows in files:
            for features, target in zip(feature_rows(rows, model), rows.raw[model.target.name], strict=True):
                held_out = is_held_out(features, model.holdout)
                label = positive if target == model.target.values[1] else negative
                counts["holdout" if held_out else "train", label] += 1
                _write_row(holdout if held_out else train, label == positive, features, model)
    for side in paths:
        for label in (negative, positive):
            if not counts[side, label]:
                for path in paths.values():
                    path.unlink()  # half a result would look like one
                where = "hold-out" if side == "holdout" else "training rows"
                raise DataError(
                    f"the data are too few: no row with {model.target.name} {label} among the {where}"
                    f" ({sum(counts.values())} rows in all, hold-out fraction {model.holdout.fraction})"
                )
    return counts


def _write_row(file: TextIO, positive: bool, features: Sequence[Value | None], model: Model) -> None:
    cells = (value_text(column.encode(value)) for column, value in zip(model.columns, features, strict=True))
    file.write(f"{int(positive)},{','.join(cells)}\n")


def _write_features(model: Model, files: list[FileRows], output: Path) -> None:
    path = folder_of(output, "features") / "features.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        if model.batch_header:
            out.write(",".join(model.features) + "\n")
        for rows in files:
            for values in zip(*(rows.raw[name] for name in model.features), strict=True):
                out.write(",".join(value_text(value) for value in values) + "\n")


def _write_baseline(model: Model, files: list[FileRows], output: Path) -> None:
    # imported late: numpy is a third of this program's start-up, and bad data need none of it
    from .quality.baseline import write_baseline

    write_baseline(model, files, folder_of(output, "baseline"))


def data_digest(files: Sequence[FileRows]) -> str:
    """Return the sha256 of the files' names and contents."""
    lines = "".join(f"{rows.sha256}  {rows.name}\n" for rows in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def summarize(model: Model, files: Sequence[FileRows], counts: Counter[tuple[str, str]]) -> dict[str, Any]:
    """Return what summary.json says about the data."""
    positive = value_text(model.target.values[1])
    return {
        "rows": sum(rows.rows for rows in files),
        "train_rows": sum(number for (side, _), number in counts.items() if side == "train"),
        "holdout_rows": sum(number for (side, _), number in counts.items() if side == "holdout"),
        "positives": sum(number for (_, label), number in counts.items() if label == positive),
        "sha256": data_digest(files),
        "files": [{"name": rows.name, "rows": rows.rows, "sha256": rows.sha256} for rows in files],
        "repairs": [
            {"column": column.name, "from": wrong, "to": right, "rows": found}
            for column in model.columns
            for wrong, right in column.repairs
            if (found := sum(rows.raw[column.name].count(wrong) for rows in files))
        ],
        "missing": {
            column.name: sum(rows.raw[column.name].count(None) for rows in files) for column in model.columns
        },
    }


if __name__ == "__main__":
    main_exit(main)
