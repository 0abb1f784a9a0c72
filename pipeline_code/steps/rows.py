"""The rows of data files: the one way in which training and inference read, check and repair them."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .model import Column, Model, Value
from .program import DataError, one_line

SHOWN = 40  # characters of a cell that a message repeats
REQUIRED = "is missing, and model.yaml requires it"
CACHED = 20_000  # cells of a column whose meaning is remembered


@dataclass(frozen=True)
class Problem:
    """Something in a file that the model's description doesn't allow.

    Attributes
    ----------
    kind
        ``type``, ``value`` or ``missing`` (of one cell), ``header``, ``missing_column``, ``extra_column``
        or ``unreadable`` (of a row or file).
    file, line
        Where; lines count from 1.
    column
        Name of the column, or nothing.
    text
        What is wrong there, with the value and the rule.
    times
        How often it was found; what is told is the first.
    unit
        What is counted by `line`: a Parquet file has rows.
    """

    kind: str
    file: str
    line: int
    column: str
    text: str
    times: int = 1
    unit: str = "line"

    def __str__(self) -> str:
        where = f"{self.file}, {self.unit} {self.line}" if self.line else self.file
        return f"{where}{', column ' + self.column if self.column else ''}: {self.text}"


@dataclass
class FileRows:
    """The rows of one file, column by column.

    Attributes
    ----------
    ids
        What identifies each row: the id column's cell, else the row's number from 1.
    raw
        Column name to values as found; None for a missing value and for a cell of the wrong type.
    """

    name: str
    sha256: str
    ids: list[str] = field(default_factory=list)
    raw: dict[str, list[Value | None]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return len(self.ids)


def read_training_file(path: Path, name: str, model: Model) -> FileRows:
    """Return the rows of a training file, with its label; a header is optional.

    A header may hold the columns' names, in any order and any case, or pandas' default ``0,1,2,...``.

    Raises
    ------
    DataError
        At the first problem.
    """
    problems: list[Problem] = []
    rows = RowReader(name, [*model.columns, model.target], model, header=None, problems=problems).read(path)
    if not problems and not rows.rows:
        problems.append(Problem("unreadable", name, 0, "", "the file holds no rows"))
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise DataError(f"{problems[0]}{more}")
    return rows


def read_batch_file(path: Path, name: str, model: Model, problems: list[Problem]) -> FileRows:
    """Return the rows of a batch, without label; problems are added to `problems`, not raised."""
    return RowReader(name, model.columns, model, header=model.batch_header, problems=problems).read(path)


def repaired(column: Column, values: list[Value | None]) -> list[Value | None]:
    """Return a column's values with its typing errors corrected."""
    return [column.repair(value) for value in values] if column.repairs else values


def feature_rows(rows: FileRows, model: Model) -> Iterator[tuple[Value | None, ...]]:
    """Yield each row's repaired features, in the model's order: the row function of training and inference."""
    yield from zip(*(repaired(column, rows.raw[column.name]) for column in model.columns), strict=True)


class UnreadableError(Exception):
    """The bytes aren't those of a CSV file; the message says why."""


def decoded(content: bytes, offset: int = 0) -> str:
    """Return the text of a file, or of a part of it that begins at a byte; a byte order mark is left out.

    Raises
    ------
    UnreadableError
        At the first byte that no CSV file holds.
    """
    fault = None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        fault = f"byte {offset + error.start + 1} is 0x{content[error.start]:02x}: the file is not UTF-8"
        content = content[: error.start]
    if b"\0" in content:
        fault = "the file holds NUL bytes: it is not a CSV file"
    if fault:
        raise UnreadableError(fault)
    return text.removeprefix("\ufeff") if offset == 0 else text


def id_fault(cell: str) -> str:
    """Return why a cell can't be an id in a file of predictions, or nothing."""
    if cell.isprintable() and "," not in cell and '"' not in cell:
        return ""
    return f"'{cell[:SHOWN]}' holds a comma, quote or line break, or what can't be printed"


class RowReader:
    """Reads the rows of one file, whole or part by part.

    Parameters
    ----------
    name
        The file's name in problems.
    columns
        What to expect, in order, without the id column.
    header
        Whether the file must have a header row; None where it may.
    problems
        What is wrong is added here.

    Attributes
    ----------
    order
        Place of each expected cell, the id first, in the file's rows; -1 where it has none. None before the first row.
    width
        Cells that a row must have.
    line, row
        Lines and rows read so far.
    known_id
        Whether an id belongs to a row of an earlier part; by default there was none.
    """

    def __init__(
        self,
        name: str,
        columns: Sequence[Column],
        model: Model,
        *,
        header: bool | None,
        problems: list[Problem],
        known_id: Callable[[str], bool] | None = None,
    ) -> None:
        self.name, self.model = name, model
        self.columns, self.header, self.problems = list(columns), header, problems
        self.names = [column.name for column in columns]
        if model.id_column is not None:
            self.names.insert(0, model.id_column)
        self.width = len(self.names)
        self.layout = ",".join(self.names)
        self.missing = frozenset(model.missing)
        self.order: list[int] | None = None
        self.line = self.row = 0
        self.known_id = known_id or (lambda cell: False)
        self.ids: set[str] = set()
        self.cached: dict[str, dict[str, tuple[Value | None, str, str]]] = {
            column.name: {} for column in columns
        }

    def read(self, path: Path) -> FileRows:
        """Return the rows of a file that fits into memory."""
        rows = self.part()
        try:
            content = path.read_bytes()
        except OSError as error:
            self.unreadable(f"can't be opened: {error.strerror}")
            return rows
        rows.sha256 = hashlib.sha256(content).hexdigest()
        try:
            text = decoded(content)
        except UnreadableError as error:
            self.unreadable(str(error))
            return rows
        if not text.strip():
            self.empty()
            return rows
        self.feed(text, rows)
        return rows

    def part(self) -> FileRows:
        """Return a place for rows."""
        return FileRows(self.name, "", raw={column.name: [] for column in self.columns})

    def unreadable(self, why: str, line: int = 0) -> None:
        """Note that the file can't be read, or not beyond a line."""
        self.note("unreadable", line, "", why)

    def empty(self) -> None:
        """Note that the file holds nothing."""
        self.note("missing_column", 0, "", f"the file is empty; expected {', '.join(self.names)}")

    def feed(self, text: str, rows: FileRows, *, last: bool = True, settle: bool = False) -> int | None:
        """Read the rows of a text, which begins with a row.

        Parameters
        ----------
        rows
            Where they go.
        last
            Whether the file ends here; else a row that isn't complete is left for the next part.
        settle
            Stop where the order of the columns is known: after a header, or before the first row.

        Returns
        -------
        int or None
            How many letters were read; None where the rest of the file can't be.
        """
        lines = _Lines(text)
        reader = csv.reader(lines, strict=True)
        done, before = 0, self.line
        try:
            for cells in reader:
                first_line, start = self.line + 1, done
                self.line, done = before + reader.line_num, lines.read
                if not cells or (cells == [""] and len(self.names) > 1):
                    continue
                cells = [cell.strip() for cell in cells]
                if self.order is None:
                    self.order, is_header = self._order(cells, first_line)
                    if settle:
                        if not is_header:
                            self.line, done = first_line - 1, start
                        return done
                    if is_header:
                        continue
                self.take(cells, first_line, rows)
        except csv.Error as error:
            if not last and "unexpected end of data" in str(error):
                return done
            self.unreadable(f"is not CSV: {error}", self.line + 1)
            return None
        return done

    def _order(self, cells: list[str], line: int) -> tuple[list[int], bool]:
        """Return the place of each expected column in the file's rows, and whether `cells` are a header."""
        straight = list(range(len(self.names)))
        if cells == [str(number) for number in range(len(cells))] and len(cells) == len(self.names):
            self._allow_header(cells, line)
            return straight, True
        given = [cell.casefold() for cell in cells]
        wanted = [name.casefold() for name in self.names]
        if not set(given) & set(wanted):
            if self.header:
                self.note("header", line, "", f"expected the header {self.layout}")
            return straight, False
        self._allow_header(cells, line)
        self.width, self.layout = len(cells), "as the header"
        known = set(wanted)
        for cell in cells:
            if cell.casefold() not in known:
                self.note("extra_column", line, cell[:SHOWN], "is not a column of model.yaml")
        for name in self.names:
            if name.casefold() not in given:
                self.note("missing_column", line, name, "is not in the header")
        for name in wanted:
            if given.count(name) > 1:
                self.note("extra_column", line, cells[given.index(name)], "is in the header twice")
        return [given.index(name) if name in given else -1 for name in wanted], True

    def _allow_header(self, cells: list[str], line: int) -> None:
        if self.header is False:
            shown = ",".join(cells)[:SHOWN]
            self.note(
                "header", line, "", f"'{shown}' is a header row; batches have none (model.yaml, batch.header)"
            )

    def take(self, cells: list[str], line: int, rows: FileRows) -> None:
        """Take a row's cells, in the order of the file, which must be known."""
        if len(cells) != self.width:
            kind = "missing_column" if len(cells) < self.width else "extra_column"
            self.note(kind, line, "", f"has {len(cells)} cells; expected {self.width}: {self.layout}")
            return
        places = self.order or []
        self.row += 1
        if self.model.id_column is None:
            rows.ids.append(str(self.row))
        else:
            rows.ids.append(self._id(cells[places[0]] if places[0] >= 0 else "", line))
            places = places[1:]
        for column, place in zip(self.columns, places, strict=True):
            rows.raw[column.name].append(self._cell(column, cells[place], line) if place >= 0 else None)

    def _id(self, cell: str, line: int) -> str:
        name = str(self.model.id_column)
        if cell in self.missing:
            self.note("missing", line, name, "every row needs an id")
        elif fault := id_fault(cell):
            self.note("type", line, name, fault)
        elif cell in self.ids or self.known_id(cell):
            self.note("value", line, name, f"'{cell[:SHOWN]}' is the id of an earlier row too")
        self.ids.add(cell)
        return cell

    def _cell(self, column: Column, cell: str, line: int) -> Value | None:
        cache = self.cached[column.name]
        known = cache.get(cell)
        if known is None:
            known = self.meaning(column, cell)
            if len(cache) < CACHED:
                cache[cell] = known
        value, kind, text = known
        if kind:
            self.note(kind, line, column.name, text)
        return value

    def meaning(self, column: Column, cell: str) -> tuple[Value | None, str, str]:
        """Return a cell's value, and the kind and text of its problem."""
        if cell in self.missing:
            needed = column.required or column is self.model.target
            return (
                None,
                "missing" if needed else "",
                REQUIRED if needed else "",
            )
        shown = f"'{cell[:SHOWN]}'"
        try:
            value = column.parse(cell)
        except ValueError as error:
            markers = " or ".join(repr(marker) for marker in sorted(self.missing))
            hint = (
                f"; a missing value is {markers}" if cell.casefold() in ("nan", "na", "null", "none") else ""
            )
            return None, "type", f"{shown} {error}{hint}"
        fault = column.fault(value)
        if fault:
            return value, "value", f"{shown} {fault}"
        return value, "", ""

    def note(self, kind: str, line: int, column: str, text: str) -> None:
        """Add a problem."""
        # a cell, a header or a file's name may hold anything; what is said of it is a line
        self.problems.append(Problem(kind, one_line(self.name), line, one_line(column), one_line(text)))


class _Lines:
    """The lines of a text, and how many of its letters have been read."""

    def __init__(self, text: str) -> None:
        self.text, self.read = io.StringIO(text, newline=""), 0

    def __iter__(self) -> Iterator[str]:
        for line in self.text:
            self.read += len(line)
            yield line
