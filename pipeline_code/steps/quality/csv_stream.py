"""A CSV file's state in one pass: blocks that are as expected by Arrow's reader, all others by the row reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ..program import one_line
from ..rows import Problem, RowReader, UnreadableError, decoded
from .blocks import BLOCK, Block, Blocks, opened
from .cells import cells_of_rows
from .csv_plan import Parsed, Plan
from .ids import Ids, look_at
from .layout import Layout
from .state import DatasetState, faults_of, widths

AHEAD = 3  # blocks that are parsed or wait for it

Progress = Callable[[int, int], None]


class CsvStream:
    """Reads one file.

    Parameters
    ----------
    name
        The file's name in problems.
    seen
        State of the files before: problems that it tells are counted only.
    pool
        Threads that parse; without, the row reader reads every block.
    progress
        Is told the bytes and rows of each block.
    """

    def __init__(
        self,
        layout: Layout,
        name: str,
        seen: DatasetState,
        *,
        pool: ThreadPoolExecutor | None,
        progress: Progress,
        block_size: int = BLOCK,
    ) -> None:
        self.layout, self.name, self.seen = layout, name, seen
        self.pool, self.progress, self.block_size = pool, progress, block_size
        self.ids = Ids()
        self.problems: list[Problem] = []
        self.reader = RowReader(
            name,
            layout.columns,
            layout.model,
            header=layout.header,
            problems=self.problems,
            known_id=self.ids.known,
        )
        self.state = DatasetState.of(layout.columns)
        self.plan: Plan | None = None
        self.waiting: deque[tuple[Block, Future[Parsed | None]]] = deque()
        self.blank = True

    def read(self, path: Path) -> DatasetState:
        """Return the file's state; a file that can't be read to its end has nothing but that problem."""
        try:
            with opened(path) as file:
                self._read(Blocks(file, self.block_size))
        except UnreadableError as error:
            self._start_over()
            self.reader.unreadable(str(error))
        finally:
            for _, future in self.waiting:
                future.cancel()
        if self.blank and not self.problems:
            self._start_over()
            self.reader.empty()
        self._tell()
        return self.state

    def _start_over(self) -> None:
        self.problems.clear()
        self.state = DatasetState.of(self.layout.columns)
        self.state.files[self.name] = 0

    def _tell(self) -> None:
        """Move the row reader's problems to the state."""
        self.state.add_problems(self.problems)
        self.problems.clear()

    def _read(self, blocks: Blocks) -> None:
        self.state.files[self.name] = 0
        for block in blocks:
            if not block.content:
                continue
            if self.blank:
                self.blank = not decoded(block.content, block.offset).strip()
            simple = self.pool is not None and block.simple
            if self.reader.order is None and not self.blank:
                block, goes_on = self._settle(block)
                if not goes_on:
                    return
            if self.pool is not None and simple and self.plan is not None:
                self.waiting.append((block, self.pool.submit(self._parse, block, self.plan)))
                if not self._finish(AHEAD):
                    return
                continue
            if not self._finish(0):
                return
            left = self._by_rows(block)
            if left is None:
                return
            blocks.give_back(left)
        self._finish(0)

    def _settle(self, block: Block) -> tuple[Block, bool]:
        """Read a file's header, where it has one; return the block without it, and whether the file goes on."""
        text = decoded(block.content, block.offset)
        read = self.reader.feed(text, self.reader.part(), last=block.last, settle=True)
        self._tell()
        if read is None:
            return block, False
        skipped = len(block.content) - len(text[read:].encode())
        if self.reader.order is not None:
            self.plan = Plan(self.reader.order, self.reader.width)
        return replace(block, content=block.content[skipped:], offset=block.offset + skipped), True

    def _by_rows(self, block: Block) -> bytes | None:
        """Read a block row by row; return the bytes of a row that isn't complete, or nothing where the file ends."""
        text = decoded(block.content, block.offset)
        rows = self.reader.part()
        read = self.reader.feed(text, rows, last=block.last)
        cells = [
            cells_of_rows(column, rows.raw[column.name], faults_of(self.problems, column.name))
            for column in self.layout.columns
        ]
        self.state.add(self.name, rows.rows + widths(self.problems), cells)
        self._tell()
        if self.layout.model.id_column is not None:
            self.ids.add(self.ids.digests(list(self.reader.ids)))
            self.reader.ids.clear()
        self.progress(len(block.content), rows.rows)
        return None if read is None else text[read:].encode()

    def _finish(self, ahead: int) -> bool:
        """Take parsed blocks, in order, until so many are left; return whether the file goes on."""
        while len(self.waiting) > ahead:
            block, future = self.waiting.popleft()
            parsed = future.result()
            if (parsed is None or not self._take(block, parsed)) and self._by_rows(block) is None:
                return False
        return True

    def _take(self, block: Block, parsed: Parsed) -> bool:
        """Add a parsed block; return whether it holds nothing that has to be told with line and value."""
        found = {(kind, ""): number for kind, number in parsed.widths.items()}
        for column, cells in zip(self.layout.columns, parsed.cells, strict=True):
            for kind, number in cells.problems(required=self.layout.required(column)).items():
                found[kind, column.name] = number
        ids = None
        if parsed.ids is not None:
            ids = look_at(parsed.ids, self.layout.model, self.ids)
            found |= {(kind, str(self.layout.model.id_column)): number for kind, number in ids.faults.items()}
        if not all(self.state.knows(*key) or self.seen.knows(*key) for key in found):
            return False
        # what was told of an earlier file is only counted here: its first place comes before this file
        self.state.add_problems(
            Problem(kind, one_line(self.name), 0, column, "again", number)
            for (kind, column), number in found.items()
        )
        self.state.add(self.name, parsed.rows + sum(parsed.widths.values()), parsed.cells)
        if ids is not None:
            self.ids.add(ids.digests)
        self.reader.line += parsed.lines
        self.reader.row += parsed.rows
        self.progress(len(block.content), parsed.rows)
        return True

    def _parse(self, block: Block, plan: Plan) -> Parsed | None:
        from .csv_arrow import parse  # only where it is needed: Arrow takes a while to load

        return parse(block.content, block.offset, plan, self.layout, self.reader)
