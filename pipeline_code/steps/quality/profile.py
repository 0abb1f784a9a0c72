"""What a data set's columns hold: the seam between reading data and checking them.

A streaming engine can make the same profiles; checks, files and reports know nothing of rows.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..model import Column, Value, value_text
from ..rows import FileRows, Problem

InferredType = Literal["Integral", "Fractional", "String", "Unknown"]
Floats = NDArray[np.float64]

INFERRED: dict[str, InferredType] = {"integer": "Integral", "number": "Fractional", "string": "String"}


@dataclass(frozen=True)
class Points:
    """The distribution of a number: distinct values, ascending, and how many items each has.

    Attributes
    ----------
    edges
        The values are upper edges of buckets: only there, exclusively, is the distribution known.
    error
        Largest share of all items by which a rank may be off; 0 where every value is counted exactly.
    """

    values: Floats
    counts: Floats
    edges: bool = False
    error: float = 0.0

    @property
    def total(self) -> float:
        """Number of items."""
        return float(self.counts.sum())


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """What one column holds.

    Attributes
    ----------
    inferred_type
        The type, in Model Monitor's words.
    present, missing
        Cells with and without a value; a cell of the wrong type is present.
    mistyped, illegal
        Present cells that aren't of the type, and those whose value isn't legal.
    points
        Distribution of a numeric column.
    categories
        Distribution of a string column: value to count.
    others
        Cells of a string column whose values are too many to be told; they are in no category.
    distinct
        How many values a string column has, where that is an estimate.
    mean, std_dev, total, minimum, maximum
        Of a numeric column; 0 where nothing is present.
    """

    name: str
    inferred_type: InferredType
    present: int
    missing: int
    mistyped: int = 0
    illegal: int = 0
    points: Points | None = None
    categories: Counter[str] | None = None
    others: int = 0
    distinct: int | None = None
    mean: float = 0.0
    std_dev: float = 0.0
    total: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0

    @property
    def completeness(self) -> float:
        """Share of the cells that hold a value; 1 where there are no cells."""
        cells = self.present + self.missing
        return self.present / cells if cells else 1.0

    def as_categories(self) -> Counter[str] | None:
        """Return the distribution over values as texts, whatever the type."""
        if self.categories is not None or self.points is None or self.points.edges:
            return self.categories
        return Counter(
            {
                value_text(float(v)): int(n)
                for v, n in zip(self.points.values, self.points.counts, strict=True)
            }
        )


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a data set holds.

    Attributes
    ----------
    rows
        Number of rows, those of the wrong width included.
    columns
        In the order of the data set.
    problems
        What reading found that is no matter of degree: headers, widths, unreadable files, first mistyped cells.
    """

    rows: int
    columns: tuple[ColumnProfile, ...]
    problems: tuple[Problem, ...] = ()


def profile_rows(
    columns: Sequence[Column], files: Sequence[FileRows], problems: Sequence[Problem] = ()
) -> Profile:
    """Return the profile of rows held in memory.

    Parameters
    ----------
    columns
        What to profile.
    files
        Raw rows; a cell that has a type problem is None there.
    problems
        What reading them found.
    """
    widths = sum(
        p.times for p in problems if p.line and not p.column and p.kind in ("missing_column", "extra_column")
    )
    return Profile(
        rows=sum(rows.rows for rows in files) + widths,
        columns=tuple(
            _profile_column(
                column,
                [value for rows in files for value in rows.raw.get(column.name, ())],
                Counter(problem.kind for problem in problems if problem.column == column.name),
            )
            for column in columns
        ),
        problems=tuple(problems),
    )


def _profile_column(column: Column, values: list[Value | None], faults: Counter[str]) -> ColumnProfile:
    held = [value for value in values if value is not None]
    mistyped, illegal = faults["type"], faults["value"]
    present = len(held) + mistyped  # a mistyped cell is there in the file, though None in the rows
    missing = len(values) - present
    profile = ColumnProfile(
        name=column.name,
        inferred_type=INFERRED[column.type] if present else "Unknown",
        present=present,
        missing=missing,
        mistyped=mistyped,
        illegal=illegal,
    )
    if column.type == "string":
        return replace(profile, categories=Counter(str(value) for value in held))
    return with_numbers(profile, np.asarray(held, dtype=np.float64))


def with_numbers(profile: ColumnProfile, numbers: Floats) -> ColumnProfile:
    """Return the profile with the distribution and moments of a numeric column's values."""
    values, counts = np.unique(numbers, return_counts=True)
    return with_points(profile, Points(values, counts.astype(np.float64)))


def with_points(profile: ColumnProfile, points: Points) -> ColumnProfile:
    """Return the profile with a distribution that is known value by value, and its moments."""
    profile = replace(profile, points=points)
    if not len(points.values):
        return profile
    number = points.total
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.dot(points.values, points.counts))
        squares = float(np.dot((points.values - total / number) ** 2, points.counts))
    return with_moments(profile, number, total, squares, float(points.values[0]), float(points.values[-1]))


def with_moments(
    profile: ColumnProfile, number: float, total: float, squares: float, minimum: float, maximum: float
) -> ColumnProfile:
    """Return the profile with the moments of so many numbers.

    Parameters
    ----------
    total
        Their sum.
    squares
        Sum of the squared deviations from the mean.
    """
    # JSON knows no infinity: what numbers such as 1e308 add up to is told as the largest that it knows
    most = sys.float_info.max
    with np.errstate(over="ignore", invalid="ignore"):
        moments = np.array([total / number, np.sqrt(np.float64(squares) / number), total])
    told = np.nan_to_num(moments, nan=most, posinf=most, neginf=-most).tolist()
    return replace(
        profile,
        mean=told[0],
        std_dev=told[1],
        total=told[2],
        minimum=minimum,
        maximum=maximum,
    )
