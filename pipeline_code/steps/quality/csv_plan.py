"""How a CSV file is read in blocks, and what a block of it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .cells import Cells


@dataclass
class Plan:
    """How a file is read.

    Attributes
    ----------
    order
        Place of each expected cell in a row, the id first; -1 where the file has none.
    width
        Cells of a row.
    texts
        Places of numeric columns some of whose cells turned out not to be numbers.
    """

    order: Sequence[int]
    width: int
    texts: set[int] = field(default_factory=set)


@dataclass
class Parsed:
    """What a block holds.

    Attributes
    ----------
    rows, lines
        Rows of the right width, and lines.
    cells
        Of each column.
    widths
        Kind of problem to how many rows of the wrong width have it.
    ids
        Cells of the id column, where the model has one.
    """

    rows: int
    lines: int
    cells: list[Cells]
    widths: Counter[str]
    ids: list[str | None] | None
