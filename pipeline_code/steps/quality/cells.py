"""What the cells of one column hold, in one part of a data set: found in rows, or in Arrow's arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Column, Value
from .profile import Floats
from .quantiles import Moments
from .texts import LONGEST, kept_text

Mask = NDArray[np.bool_]


@dataclass
class Cells:
    """The cells of one column.

    Attributes
    ----------
    numbers, texts
        Values of the right type, legal or not: of a numeric or of a string column.
    moments
        Of the numbers.
    missing, mistyped, illegal
        How many cells have no value, a value of another type, a value that isn't legal.
    absent
        Whether the file lacks the column: that is told once, not cell by cell.
    """

    numbers: Floats | None = None
    texts: Counter[str] | None = None
    moments: Moments = field(default_factory=Moments)
    missing: int = 0
    mistyped: int = 0
    illegal: int = 0
    absent: bool = False

    def problems(self, *, required: bool) -> dict[str, int]:
        """Return kind of problem to how often it is there."""
        found = {
            "type": self.mistyped,
            "value": self.illegal,
            "missing": self.missing if required and not self.absent else 0,
        }
        return {kind: number for kind, number in found.items() if number}


def no_cells(column: Column, rows: int, *, absent: bool = False) -> Cells:
    """Return cells without a value."""
    if column.type == "string":
        return Cells(texts=Counter(), missing=rows, absent=absent)
    return Cells(numbers=np.empty(0), missing=rows, absent=absent)


def cells_of_rows(column: Column, values: Sequence[Value | None], faults: Mapping[str, int]) -> Cells:
    """Return the cells of rows that were read one by one.

    Parameters
    ----------
    values
        None for a missing cell and for one of the wrong type.
    faults
        Kind of problem to how many of the cells have it.
    """
    held = [value for value in values if value is not None]
    mistyped = faults.get("type", 0)
    cells = Cells(
        missing=len(values) - len(held) - mistyped, mistyped=mistyped, illegal=faults.get("value", 0)
    )
    if column.type == "string":
        cells.texts = Counter(kept_text(str(value)) for value in held)
    else:
        cells.numbers = np.asarray(held, dtype=np.float64)
        cells.moments = Moments.of(cells.numbers)
    return cells


def cells_of_numbers(column: Column, array: Any) -> Cells:
    """Return the cells of an Arrow array of doubles; nulls are missing, NaN and infinities are no numbers."""
    cells = Cells(missing=array.null_count)
    numbers: Floats = _values(array, np.float64)
    moments = Moments.of(numbers)
    wrong: Mask | None = None
    if moments.number and not (math.isfinite(moments.minimum) and math.isfinite(moments.maximum)):
        wrong = ~np.isfinite(numbers)
    if column.type == "integer":
        broken = numbers != np.rint(numbers)
        if broken.any():
            wrong = broken if wrong is None else wrong | broken
    if wrong is not None:
        cells.mistyped = int(np.count_nonzero(wrong))
        numbers = numbers[~wrong]
        moments = Moments.of(numbers)
    illegal = _illegal(column, numbers, moments)
    cells.illegal = 0 if illegal is None else int(np.count_nonzero(illegal))
    cells.numbers, cells.moments = numbers, moments
    return cells


def _values(array: Any, kind: type[np.generic]) -> Any:
    """Return the values of an Arrow array that aren't null.

    Arrow's own ways take longer: to_numpy would load pandas first, drop_null needs two and a half times as long.
    """
    if array.null_count == len(array):
        return np.empty(0, kind)
    validity, held = array.buffers()
    end = array.offset + len(array)
    values = np.frombuffer(held, kind)[array.offset : end]
    if not array.null_count:
        return values
    bits = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little", count=end)
    return values[bits[array.offset :].view(np.bool_)]


def _illegal(column: Column, numbers: Floats, moments: Moments) -> Mask | None:
    """Return which numbers aren't legal, or nothing where all are, as their extremes tell."""
    low = -math.inf if column.minimum is None else column.minimum
    high = math.inf if column.maximum is None else column.maximum
    if not moments.number or (not column.values and low <= moments.minimum and moments.maximum <= high):
        return None
    illegal: Mask = (numbers < low) | (numbers > high)
    legal = [float(value) for value in column.values if not isinstance(value, str)]
    if column.values:
        illegal |= ~np.isin(numbers, legal)
    for wrong, _ in column.repairs:
        if not isinstance(wrong, str):
            illegal &= numbers != wrong
    return illegal


def cells_of_texts(column: Column, array: Any, markers: Iterable[str]) -> Cells:
    """Return the cells of an Arrow array of dictionary-encoded texts; nulls and markers are missing."""
    cells = Cells()
    places = _values(array.indices.cast("int32"), np.int32)
    counts = np.bincount(places, minlength=len(array.dictionary)).tolist()
    used: list[tuple[str, int]] = [
        (held.strip(), count)
        for held, count in zip(array.dictionary.to_pylist(), counts, strict=True)
        if count and held is not None
    ]
    found = dict(used)  # a Counter asks a function of Python's for each new text
    if len(found) != len(used):  # texts that differ in the spaces around them only
        found = dict.fromkeys(found, 0)
        for text, count in used:
            found[text] += count
    for marker in markers:
        found.pop(marker, None)
    cells.missing = len(array) - sum(found.values())
    if any(len(text) > LONGEST for text in found):
        found = {kept_text(text): count for text, count in found.items()}
    if column.values:
        legal = {str(value) for value in column.values} | {str(wrong) for wrong, _ in column.repairs}
        cells.illegal = sum(count for text, count in found.items() if text not in legal)
    cells.texts = Counter(found)
    return cells


def mistyped_cells(column: Column, array: Any) -> Cells:
    """Return the cells of an Arrow array none of whose values is of the column's type."""
    cells = no_cells(column, array.null_count)
    cells.mistyped = len(array) - array.null_count
    return cells
