"""The rows of a file of any format and size, part by part, for programs that need each row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .model import Model
from .quality.blocks import Blocks, is_parquet, opened
from .rows import FileRows, Problem, RowReader, UnreadableError, decoded

ROWS = 65_536  # of a part of a Parquet file


def batch_parts(path: Path, name: str, model: Model, problems: list[Problem]) -> Iterator[FileRows]:
    """Yield the rows of a file of a batch; what is wrong is added to `problems`."""
    reader = RowReader(name, model.columns, model, header=model.batch_header, problems=problems)
    if is_parquet(path):
        from .quality.parquet_rows import parts  # only where it is needed: Arrow takes a while to load

        yield from parts(path, reader)
        return
    blank = True
    try:
        with opened(path) as file:
            blocks = Blocks(file)
            for block in blocks:
                text = decoded(block.content, block.offset)
                blank = blank and not text.strip()
                rows = reader.part()
                read = reader.feed(text, rows, last=block.last)
                yield rows
                if read is None:
                    return
                blocks.give_back(text[read:].encode())
    except UnreadableError as error:
        reader.unreadable(str(error))
    if blank and not problems:
        reader.empty()
