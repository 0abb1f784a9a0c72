"""A block of a CSV file, read by Arrow as the row reader would."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.csv as arrow_csv

from ..model import Column
from ..rows import RowReader, decoded
from .cells import Cells, cells_of_numbers, cells_of_texts, no_cells
from .csv_plan import Parsed, Plan
from .layout import Layout
from .quantiles import Moments

# Numbers that Arrow and Python read alike; all else is left to Python
_PLAIN = r"^[ \t]*-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?[ \t]*$"
_CONVERSION = re.compile(r"In CSV column #(\d+): (Row #\d+: )?CSV conversion error")


def parse(content: bytes, offset: int, plan: Plan, layout: Layout, reader: RowReader) -> Parsed | None:
    """Return what a block holds, or nothing where the row reader has to find out.

    Raises
    ------
    UnreadableError
        The bytes aren't those of a CSV file.
    """
    if b"\0" in content or not content.isascii():
        decoded(content, offset)
        if content.startswith(codecs.BOM_UTF8):  # Arrow would leave it out, wherever in the file it is
            return None
    widths: Counter[str] = Counter()
    odd: list[str] = []

    def of_another_width(row: Any) -> str:
        # with quotes, Arrow's count of cells may be another; and a row that is one empty cell doesn't count
        if '"' in row.text:
            odd.append(row.text)
        widths["missing_column" if row.actual_columns < row.expected_columns else "extra_column"] += 1
        return "skip"

    while True:
        widths.clear()
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(content),
                read_options=arrow_csv.ReadOptions(
                    use_threads=False,
                    block_size=len(content) + 1,
                    column_names=[str(place) for place in range(plan.width)],
                ),
                parse_options=arrow_csv.ParseOptions(
                    newlines_in_values=b'"' in content, invalid_row_handler=of_another_width
                ),
                convert_options=_conversion(plan, layout),
            )
            break
        except pa.ArrowInvalid as error:
            place = _place_of(error, plan)
            if place is None:
                return None
            plan.texts.add(place)
    if odd:
        return None
    arrays = {name: _one_array(table.column(name)) for name in table.column_names}
    places = list(plan.order)
    ids: list[str | None] | None = None
    if layout.model.id_column is not None:
        place = places.pop(0)
        ids = arrays[str(place)].to_pylist() if place >= 0 else [None] * table.num_rows
    cells = []
    for column, place in zip(layout.columns, places, strict=True):
        if place < 0:
            cells.append(no_cells(column, table.num_rows, absent=True))
        elif column.type == "string":
            cells.append(cells_of_texts(column, arrays[str(place)], layout.model.missing))
        elif pa.types.is_string(arrays[str(place)].type):
            cells.append(_cells_of_unparsed(column, arrays[str(place)], reader))
        else:
            cells.append(cells_of_numbers(column, arrays[str(place)]))
    lines = int(np.count_nonzero(np.frombuffer(content, np.uint8) == ord("\n")))
    return Parsed(table.num_rows, lines, cells, widths, ids)


def _conversion(plan: Plan, layout: Layout) -> Any:
    columns: list[Column | None] = list(layout.columns)
    if layout.model.id_column is not None:
        columns.insert(0, None)
    types = {}
    for column, place in zip(columns, plan.order, strict=True):
        if place < 0:
            continue
        kind = pa.float64()
        if column is None or place in plan.texts:
            kind = pa.string()
        elif column.type == "string":
            kind = pa.dictionary(pa.int32(), pa.string())
        types[str(place)] = kind
    return arrow_csv.ConvertOptions(
        column_types=types,
        include_columns=list(types),
        # a space before a marker is common; Arrow compares a cell as it stands, the row reader without spaces
        null_values=[space + marker for marker in layout.model.missing for space in ("", " ")],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        check_utf8=False,
    )


def _place_of(error: Exception, plan: Plan) -> int | None:
    """Return the place of a numeric column that holds something else, as an error of Arrow tells."""
    found = _CONVERSION.search(str(error))
    place = int(found[1]) if found else -1
    return place if place in plan.order and place not in plan.texts else None


def _one_array(chunked: Any) -> Any:
    if chunked.num_chunks == 1:
        return chunked.chunk(0)
    return chunked.combine_chunks() if chunked.num_chunks else pa.array([], chunked.type)


def _cells_of_unparsed(column: Column, array: Any, reader: RowReader) -> Cells:
    """Return the cells of a numeric column in which texts occur."""
    held = array.drop_null()
    plain = compute.match_substring_regex(held, _PLAIN)
    try:
        numbers = compute.utf8_trim_whitespace(held.filter(plain)).cast(pa.float64())
        others = held.filter(compute.invert(plain))
    except pa.ArrowInvalid:  # such as 1e-400, which is no double of Arrow's
        numbers, others = pa.array([], pa.float64()), held
    cells = cells_of_numbers(column, numbers)
    cells.missing = array.null_count
    further = []
    for text, count in Counter(others.to_pylist()).items():
        value, kind, _ = reader.meaning(column, text.strip())
        if value is not None:
            further += [float(value)] * count
            cells.illegal += count if kind == "value" else 0
        elif kind == "type":
            cells.mistyped += count
        else:
            cells.missing += count
    if further and cells.numbers is not None:
        more = np.array(further)
        cells.numbers = np.concatenate([cells.numbers, more])
        cells.moments.add(Moments.of(more))
    return cells
