"""The rows of a Parquet file, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..rows import FileRows, RowReader
from .arrow_types import named, text_of

ROWS = 65_536
BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError)  # the last of names and texts


def parts(path: Path, reader: RowReader) -> Iterator[FileRows]:
    """Yield the rows of a file, each value read as the cell of a CSV file that would hold it."""
    reader.order = list(range(len(reader.names)))
    missing = reader.model.missing[0] if reader.model.missing else ""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names, faults = named(file.schema_arrow.names, reader)
            for kind, column, text in faults:
                reader.note(kind, 0, column, text)
            wanted = [name for name in names.values() if name is not None]
            for batch in file.iter_batches(ROWS, columns=wanted):
                columns = [
                    [missing] * batch.num_rows
                    if name is None
                    else [
                        text_of(value) if value.is_valid else missing
                        for value in batch.column(batch.schema.get_field_index(name))
                    ]
                    for name in names.values()
                ]
                rows = reader.part()
                for cells in zip(*columns, strict=True):
                    reader.line += 1
                    reader.take([cell.strip() for cell in cells], reader.line, rows)
                yield rows
    except BROKEN as error:
        reader.unreadable(f"is not a Parquet file that can be read: {error}")
