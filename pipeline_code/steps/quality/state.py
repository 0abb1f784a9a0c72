"""What is known of a data set, or of a part of it, without its rows: small, mergeable, and all that checks need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..model import Column
from ..program import UsageError
from ..rows import Problem
from .cells import Cells
from .predictions import Scored
from .profile import INFERRED, ColumnProfile, Profile, with_moments, with_points
from .quantiles import Moments, Quantiles
from .texts import Texts

MOST_PROBLEMS = 1_000  # kinds of problems, a column each, that are told apart
Key = tuple[str, str]


@dataclass
class ColumnState:
    """What one column holds.

    Attributes
    ----------
    missing, mistyped, illegal
        As in ColumnProfile.
    moments, quantiles
        Of a numeric column.
    texts
        Of a string column.
    """

    column: Column
    missing: int = 0
    mistyped: int = 0
    illegal: int = 0
    moments: Moments = field(default_factory=Moments)
    quantiles: Quantiles = field(default_factory=Quantiles)
    texts: Texts = field(default_factory=Texts)

    def add(self, cells: Cells) -> None:
        """Add the cells of a part."""
        self.missing += cells.missing
        self.mistyped += cells.mistyped
        self.illegal += cells.illegal
        if cells.texts is not None:
            self.texts.add(cells.texts)
        elif cells.numbers is not None:
            self.moments.add(cells.moments)
            self.quantiles.add(cells.numbers, cells.moments.minimum, cells.moments.maximum)

    def merge(self, other: ColumnState) -> None:
        """Add what another part holds."""
        self.missing += other.missing
        self.mistyped += other.mistyped
        self.illegal += other.illegal
        self.texts.merge(other.texts)
        self.moments.add(other.moments)
        self.quantiles.merge(other.quantiles)

    def profile(self) -> ColumnProfile:
        """Return what checks and files need."""
        held = self.texts.total if self.column.type == "string" else self.moments.number
        present = held + self.mistyped
        profile = ColumnProfile(
            name=self.column.name,
            inferred_type=INFERRED[self.column.type] if present else "Unknown",
            present=present,
            missing=self.missing,
            mistyped=self.mistyped,
            illegal=self.illegal,
        )
        if self.column.type == "string":
            distinct = None if self.texts.exact else self.texts.distinct
            return replace(
                profile, categories=Counter(self.texts.counts), others=self.texts.others, distinct=distinct
            )
        points = self.quantiles.points()
        if self.quantiles.exact:
            return with_points(profile, points)
        m = self.moments
        return with_moments(
            replace(profile, points=points), m.number, m.mean * m.number, m.squares, m.minimum, m.maximum
        )


@dataclass
class DatasetState:
    """What a data set, or a part of it, holds.

    Attributes
    ----------
    files
        Name of each file to how many rows it has, those of the wrong width included.
    scored
        What a model made of each part of the rows, where one was asked.
    """

    columns: list[ColumnState]
    files: dict[str, int] = field(default_factory=dict)
    scored: list[Scored] = field(default_factory=list)
    _found: dict[Key, Problem] = field(default_factory=dict)
    _beyond: Problem | None = None

    @classmethod
    def of(cls, columns: Sequence[Column]) -> DatasetState:
        """Return the state of no rows."""
        return cls([ColumnState(column) for column in columns])

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(self.files.values())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The first problem of each kind and column, in the order of files and lines, with their numbers."""
        beyond = (self._beyond,) if self._beyond else ()
        return (*self._found.values(), *beyond)

    def knows(self, kind: str, column: str) -> bool:
        """Whether a problem of that kind has been told."""
        return (kind, column) in self._found

    def add(self, file: str, rows: int, cells: Iterable[Cells]) -> None:
        """Add rows of a file."""
        self.files[file] = self.files.get(file, 0) + rows
        for state, held in zip(self.columns, cells, strict=True):
            state.add(held)

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Add problems, in the order in which they are to be told."""
        for problem in problems:
            key = problem.kind, problem.column
            told = self._found.get(key)
            if told is not None:
                self._found[key] = replace(told, times=told.times + problem.times)
            elif len(self._found) < MOST_PROBLEMS:
                self._found[key] = problem
            else:
                times = problem.times + (self._beyond.times if self._beyond else 0)
                text = f"kinds of problems beyond the first {MOST_PROBLEMS:,} are not told apart"
                self._beyond = Problem("unreadable", problem.file, 0, "", text, times)

    def count_problem(self, kind: str, column: str, times: int) -> None:
        """Count further problems of a kind that is known."""
        key = kind, column
        self._found[key] = replace(self._found[key], times=self._found[key].times + times)

    def absorb(self, other: DatasetState) -> None:
        """Add what another part holds.

        Raises
        ------
        UsageError
            The parts don't have the same columns, or a file is in both.
        """
        mine, theirs = ([state.column.name for state in part.columns] for part in (self, other))
        if mine != theirs:
            raise UsageError(f"a state has the columns {', '.join(theirs)}; expected {', '.join(mine)}")
        twice = sorted(self.files.keys() & other.files.keys())
        if twice:
            raise UsageError(f"{twice[0]} is in two states: merge each part of the data once")
        self.files |= other.files
        self.scored += other.scored
        for state, more in zip(self.columns, other.columns, strict=True):
            state.merge(more)
        ordered = sorted([*self._found.values(), *other._found.values()], key=_place)
        beyond = [problem for problem in (self._beyond, other._beyond) if problem]
        self._found, self._beyond = {}, None
        self.add_problems(ordered)
        if beyond:
            more_of_it = sum(problem.times for problem in beyond) + (
                self._beyond.times if self._beyond else 0
            )
            self._beyond = replace(beyond[0], times=more_of_it)

    def profile(self) -> Profile:
        """Return what checks and files need."""
        return Profile(
            rows=self.rows,
            columns=tuple(state.profile() for state in self.columns),
            problems=self.problems,
        )


def _place(problem: Problem) -> tuple[tuple[str, ...], int]:
    """Return the order of problems in a data set; those of one line stay as they were found."""
    return tuple(problem.file.split("/")), problem.line


def merge(states: Iterable[DatasetState]) -> DatasetState:
    """Return the state of all parts; their order makes no difference beyond that of rounding.

    Raises
    ------
    UsageError
        The parts don't have the same columns, a file is in two, or there is none.
    """
    ordered = sorted(states, key=lambda state: sorted(state.files))
    if not ordered:
        raise UsageError("there is no state to merge")
    total = DatasetState.of([state.column for state in ordered[0].columns])
    for state in ordered:
        total.absorb(state)
    total.files = dict(sorted(total.files.items(), key=lambda file: tuple(file[0].split("/"))))
    return total


def widths(problems: Iterable[Problem]) -> int:
    """Return how many rows are of the wrong width."""
    return sum(
        p.times for p in problems if p.line and not p.column and p.kind in ("missing_column", "extra_column")
    )


def faults_of(problems: Iterable[Problem], column: str) -> Mapping[str, int]:
    """Return kind of problem to how many cells of a column have it."""
    faults: Counter[str] = Counter()
    for problem in problems:
        if problem.column == column:
            faults[problem.kind] += problem.times
    return faults
