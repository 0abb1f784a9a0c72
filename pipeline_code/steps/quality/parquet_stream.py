"""A Parquet file's state in one pass: columns by name, types as they are, nulls are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..model import Column
from ..program import one_line
from ..rows import REQUIRED, SHOWN, Problem, RowReader
from .arrow_types import cells_as_typed, is_text, named, text_of
from .cells import Cells, no_cells
from .ids import Ids, first_of, look_at
from .layout import Layout
from .state import DatasetState

ROWS = 262_144  # of a part, at most: each of its columns fits into a processor's cache
CELLS = 32 * ROWS  # of a part, where there are many columns
LEAST = 4_096  # rows of a part, however many columns there are
BUFFER = 1 << 20  # bytes of a column that are read at a time
BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError)  # the last of names and texts

Told = dict[
    tuple[str, str], tuple[int, str]
]  # kind and column to the first row that has it, and what to say of it


@dataclass(frozen=True)
class _Part:
    """Some rows: the cells of each column, the first problems, and the id column's cells."""

    rows: int
    cells: list[Cells]
    told: Told
    ids: list[str | None] | None


class ParquetStream:
    """Reads one file.

    Parameters
    ----------
    name
        The file's name in problems.
    pool
        Its thread decodes the next rows while the present ones are added.
    progress
        Is told the bytes and rows of each part.
    """

    def __init__(
        self,
        layout: Layout,
        name: str,
        *,
        pool: ThreadPoolExecutor,
        progress: Callable[[int, int], None],
    ) -> None:
        self.layout, self.name = layout, name
        self.pool, self.progress = pool, progress
        self.state = DatasetState.of(layout.columns)
        self.reader = RowReader(name, layout.columns, layout.model, header=None, problems=[])
        self.ids = Ids()
        self.row = 0

    def read(self, path: Path) -> DatasetState:
        """Return the file's state; a file that can't be read to its end has nothing but that problem."""
        self.state.files[self.name] = 0
        try:
            self._read(path)
        except BROKEN as error:
            self.state = DatasetState.of(self.layout.columns)
            self.state.files[self.name] = 0
            self._problem("unreadable", 0, "", f"is not a Parquet file that can be read: {error}")
        return self.state

    def _read(self, path: Path) -> None:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
        names, faults = named(schema.names, self.reader)
        for kind, wanted, text in faults:
            self._problem(kind, 0, wanted, text)
        encoded = [
            name
            for column, name in names.items()
            # in any column: a few bytes of a file may stand for gigabytes of text
            if name is not None and column != self.layout.model.id_column and is_text(schema.field(name).type)
        ]
        with pq.ParquetFile(
            path, read_dictionary=encoded, buffer_size=BUFFER, page_checksum_verification=True
        ) as file:
            rows = file.metadata.num_rows
            each = path.stat().st_size / max(1, rows)
            present = [name for name in names.values() if name is not None]
            at_once = max(LEAST, min(ROWS, CELLS // max(1, len(present))))
            parts = self._parts(file.iter_batches(at_once, columns=present, use_threads=False), names)
            coming = self.pool.submit(next, parts, None)
            while (part := coming.result()) is not None:
                coming = self.pool.submit(next, parts, None)
                self._take(part)
                self.progress(int(part.rows * each), part.rows)

    def _parts(self, batches: Any, names: dict[str, str | None]) -> Iterator[_Part]:
        for batch in batches:
            told: Told = {}
            cells = []
            for column in self.layout.columns:
                name = names[column.name]
                if name is None:
                    cells.append(no_cells(column, batch.num_rows, absent=True))
                    continue
                array = batch.column(batch.schema.get_field_index(name))
                found = cells_as_typed(column, array, self.layout.model.missing)
                cells.append(found)
                for kind in found.problems(required=self.layout.required(column)):
                    if not self.state.knows(kind, column.name):
                        told[kind, column.name] = self._first(kind, column, array)
            yield _Part(batch.num_rows, cells, told, self._ids(batch, names))

    def _first(self, kind: str, column: Column, array: Any) -> tuple[int, str]:
        """Return the first row with a kind of problem, from 0, and what to say of it."""
        low, high = 0, len(array)
        while high - low > 1:
            middle = (low + high) // 2
            before = cells_as_typed(column, array[low:middle], self.layout.model.missing)
            if kind in before.problems(required=self.layout.required(column)):
                high = middle
            else:
                low = middle
        if kind == "missing":
            return low, REQUIRED
        text = text_of(array[low])
        said = self.reader.meaning(column, text)[2]
        return low, said or f"'{text[:SHOWN]}' is stored as another type than {column.type}"

    def _ids(self, batch: Any, names: dict[str, str | None]) -> list[str | None] | None:
        column = self.layout.model.id_column
        if column is None:
            return None
        name = names[column]
        if name is None:
            return [None] * int(batch.num_rows)
        array = batch.column(batch.schema.get_field_index(name))
        if pa.types.is_nested(array.type):
            raise pa.ArrowInvalid(f"the id column holds values of the type {array.type}")
        return [text_of(value) if value.is_valid else None for value in array]

    def _take(self, part: _Part) -> None:
        for column, cells in zip(self.layout.columns, part.cells, strict=True):
            for kind, times in cells.problems(required=self.layout.required(column)).items():
                # nothing is told of what was known when the rows were decoded: its first place stands
                row, text = part.told.get((kind, column.name), (0, ""))
                self._problem(kind, self.row + row + 1, column.name, text, times)
        if part.ids is not None:
            ids = look_at(part.ids, self.layout.model, self.ids)
            for kind, times in ids.faults.items():
                place, text = first_of(ids, kind, self.ids)
                self._problem(kind, self.row + place + 1, str(self.layout.model.id_column), text, times)
            self.ids.add(ids.digests)
        self.state.add(self.name, part.rows, part.cells)
        self.row += part.rows

    def _problem(self, kind: str, row: int, column: str, text: str, times: int = 1) -> None:
        found = Problem(kind, one_line(self.name), row, one_line(column), one_line(text), times, "row")
        self.state.add_problems([found])
