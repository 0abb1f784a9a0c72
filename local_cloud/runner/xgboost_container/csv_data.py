"""CSV as the XGBoost container reads it: numbers only, no header, an empty cell is missing."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
_MISSING = frozenset({"", "nan", "NaN", "NA"})


class CsvError(ValueError):
    """A line isn't a row of numbers, or has another number of cells than the first one."""


def parse(lines: Iterable[str], source: str = "the payload") -> Matrix:
    """Return rows of CSV as a matrix of shape (rows, columns) with NaN for what is missing.

    Raises
    ------
    CsvError
        Names the line and the cell.
    """
    rows: list[list[float]] = []
    for number, cells in enumerate(csv.reader(lines), start=1):
        if not cells:
            continue
        if rows and len(cells) != len(rows[0]):
            raise CsvError(
                f"{source}, line {number}: {len(cells)} cells where the first line has {len(rows[0])}"
            )
        rows.append([_cell(cell.strip(), source, number) for cell in cells])
    return np.array(rows, dtype=np.float32).reshape(len(rows), len(rows[0]) if rows else 0)


def _cell(text: str, source: str, line: int) -> float:
    if text in _MISSING:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        raise CsvError(f"{source}, line {line}: {text!r} isn't a number (no header is allowed)") from None


def read_channel(folder: Path) -> Matrix:
    """Return the rows of all files of a channel, in the order of their names.

    Raises
    ------
    CsvError
        The channel is empty, a file isn't such CSV, or the files have different numbers of columns.
    """
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith((".", "_"))
    )
    parts = []
    for file in files:
        with file.open(newline="") as stream:
            part = parse(stream, file.name)
        if part.size:
            parts.append(part)
    if not parts:
        raise CsvError(f"No training data found in channel {folder.name!r}: {len(files)} files, no rows")
    widths = {part.shape[1] for part in parts}
    if len(widths) > 1:
        raise CsvError(
            f"the files of channel {folder.name!r} have different numbers of columns: {sorted(widths)}"
        )
    return np.concatenate(parts)
