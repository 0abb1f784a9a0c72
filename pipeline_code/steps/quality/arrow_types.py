"""Arrow's arrays as the cells of a described column: types as they are, no text is taken for a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from ..model import Column, value_text
from ..rows import SHOWN, RowReader
from .cells import Cells, cells_of_numbers, cells_of_texts, mistyped_cells, no_cells


def text_of(scalar: Any) -> str:
    """Return a value as a CSV file would hold it.

    Raises
    ------
    pyarrow.ArrowInvalid
        It is none that a text could hold, such as bytes that aren't UTF-8 or a day beyond the calendar's.
    """
    try:
        value = scalar.as_py()
        if isinstance(value, bytes):
            value = value.decode()  # writers other than Arrow's may leave out that these are texts
    except (ValueError, OverflowError, KeyError) as error:
        raise pa.ArrowInvalid(f"a value of the type {scalar.type} can't be read: {error}") from None
    if value is None:
        return ""
    return value_text(value) if isinstance(value, float) else str(value)


def named(
    given: Sequence[str], reader: RowReader
) -> tuple[dict[str, str | None], list[tuple[str, str, str]]]:
    """Return the name in a file of each expected column, the id first, and what is wrong with its names.

    Returns
    -------
    tuple
        Expected name to the file's, or nothing; kind, column and text of each problem.
    """
    known = {name.casefold(): name for name in reader.names}
    alike = Counter(name.casefold() for name in given)
    places: dict[str, str | None] = dict.fromkeys(reader.names)
    faults = []
    for name in given:
        wanted = known.get(name.casefold())
        if wanted is None:
            faults.append(("extra_column", name[:SHOWN], "is not a column of model.yaml"))
        elif alike[name.casefold()] == 1:
            places[wanted] = name
    for wanted in places:
        if not alike[wanted.casefold()]:
            faults.append(("missing_column", wanted, "is not in the file"))
        elif alike[wanted.casefold()] > 1:
            faults.append(("extra_column", wanted, "is in the file twice"))
    return places, faults


def cells_as_typed(column: Column, array: Any, markers: Iterable[str]) -> Cells:
    """Return the cells of an array of any type.

    Parameters
    ----------
    markers
        Texts that stand for a missing value in a string column.
    """
    kind = array.type
    if pa.types.is_null(kind):
        return no_cells(column, len(array))
    if pa.types.is_dictionary(kind) and is_text(kind.value_type) and column.type != "string":
        return mistyped_cells(column, array)
    if pa.types.is_dictionary(kind) and not is_text(kind.value_type):
        array = array.dictionary_decode()
        kind = array.type
    if column.type == "string" and is_bytes(kind):
        try:
            array = array.cast(pa.string())  # writers other than Arrow's may leave out that these are texts
        except pa.ArrowInvalid:
            return mistyped_cells(column, array)
        kind = array.type
    if column.type != "string":
        if _is_number(kind):
            return cells_of_numbers(column, array.cast(pa.float64(), safe=False))
        return mistyped_cells(column, array)
    if pa.types.is_dictionary(kind):
        return cells_of_texts(column, array, markers)
    if is_text(kind):
        return cells_of_texts(column, array.dictionary_encode(), markers)
    if _is_number(kind) or pa.types.is_temporal(kind):
        encoded = array.dictionary_encode()
        texts = pa.array([text_of(value) for value in encoded.dictionary], pa.string())
        return cells_of_texts(column, pa.DictionaryArray.from_arrays(encoded.indices, texts), markers)
    return mistyped_cells(column, array)


def _is_number(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
    )


def is_bytes(kind: Any) -> bool:
    """Return whether a type is that of bytes."""
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    )


def is_text(kind: Any) -> bool:
    """Return whether a type is that of texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
