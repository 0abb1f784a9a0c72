"""Which columns of a CSV line go into a batch transform, and which come out.

See https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

Filter = Callable[[list[str]], list[str]]

_SLICE = re.compile(r"^\$\[\s*(-?\d*)\s*:\s*(-?\d*)\s*\]$")
_INDEXES = re.compile(r"^\$\[\s*-?\d+\s*(?:,\s*-?\d+\s*)*\]$")


class FilterError(ValueError):
    """A filter isn't of a form that batch transform takes for CSV, or a line has not the columns it asks for."""


def column_filter(path: str | None) -> Filter:
    """Return what a JSONPath filter makes of the columns of a line.

    Parameters
    ----------
    path
        ``$`` (all), ``$[2]``, ``$[0,-1]`` or ``$[1:]``. Default: all.

    Raises
    ------
    FilterError
        It is of another form.
    """
    if path is None or path.strip() == "$":
        return list
    text = path.strip()
    if match := _SLICE.match(text):
        bounds = slice(*(int(bound) if bound else None for bound in match.groups()))
        return lambda columns: columns[bounds]
    if _INDEXES.match(text):
        indexes = [int(index) for index in text[2:-1].split(",")]
        return lambda columns: [_column(columns, index, text) for index in indexes]
    raise FilterError(f"filter {path!r} isn't one of the forms $, $[2], $[0,-1], $[1:]")


def _column(columns: list[str], index: int, path: str) -> str:
    if not -len(columns) <= index < len(columns):
        raise FilterError(f"filter {path!r} asks for column {index} of a line that has {len(columns)}")
    return columns[index]


def split_line(line: str) -> list[str]:
    """Return the cells of a line of CSV."""
    return next(csv.reader([line]), [])


def join_cells(cells: list[str]) -> str:
    """Return a line of CSV without its end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


def filtered(lines: list[str], keep: Filter) -> list[str]:
    """Return lines of CSV with the columns that a filter keeps."""
    return [join_cells(keep(split_line(line))) for line in lines]


def joined(inputs: list[str], outputs: list[str]) -> list[str]:
    """Return each input line with its output appended."""
    return [
        join_cells([*split_line(left), *split_line(right)])
        for left, right in zip(inputs, outputs, strict=True)
    ]
