"""Ground truth that arrives later, joined by id with the predictions that were made."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..model import Column, Model
from ..parts import batch_parts
from ..program import DataError, data_files, one_line
from ..rows import SHOWN, Problem, UnreadableError, decoded, feature_rows
from .blocks import BLOCK, BROKEN_STREAM, opened

Floats = NDArray[np.float64]

NAMED = 5  # ids of a kind that a report names
# What makes a file of a batch useless; a cell of the wrong type is missing, as it was when the batch was scored.
_UNUSABLE = ("header", "unreadable", "missing_column", "extra_column")


@dataclass
class Tally:
    """How many ids are of a kind, and the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count an id."""
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append(name)


@dataclass
class Given:
    """One kind of file: what it says of each id.

    Attributes
    ----------
    values
        Id to score, or to label: 1 for the positive class, 0 for the other.
    lines
        Lines read.
    repeated
        Ids that are there more than once, each time with the same value; they count once.
    conflicting
        Ids with different values; none of them counts.
    unlabelled
        Ids whose label isn't known yet.
    """

    values: dict[str, float] = field(default_factory=dict)
    lines: int = 0
    repeated: Tally = field(default_factory=Tally)
    conflicting: Tally = field(default_factory=Tally)
    unlabelled: Tally = field(default_factory=Tally)
    _again: dict[str, bool] = field(default_factory=dict)
    _waiting: dict[str, None] = field(default_factory=dict)

    def wait(self, name: str) -> None:
        """Take a line that holds no label yet."""
        self.lines += 1
        self._waiting[name] = None

    def take(self, name: str, value: float) -> None:
        """Take what a line says."""
        self.lines += 1
        if name in self.values:
            self._again[name] = self._again.get(name, False) or self.values[name] != value
        else:
            self.values[name] = value

    def settle(self) -> None:
        """Tell ids that were merely repeated from those whose values disagree, which are dropped.

        An id whose label came in another line isn't waited for.
        """
        for name in self._waiting:
            if name not in self.values:
                self.unlabelled.add(name)
        for name, conflicting in self._again.items():
            (self.conflicting if conflicting else self.repeated).add(name)
            if conflicting:
                del self.values[name]

    @property
    def known(self) -> set[str]:
        """All ids that there are, those whose values disagree too."""
        return self.values.keys() | {name for name, conflicting in self._again.items() if conflicting}


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Predictions whose ground truth is known.

    Attributes
    ----------
    ids, labels, scores
        In the order of the predictions; a label is 1 for the positive class.
    predictions, truths
        What each side held.
    missing
        Predictions without ground truth.
    unknown
        Ground truth of which there is no prediction.
    """

    ids: list[str]
    labels: Floats
    scores: Floats
    predictions: Given
    truths: Given
    missing: Tally
    unknown: Tally


def join(model: Model, predictions: Path, ground_truth: Path) -> Joined:
    """Read both folders and join them by id.

    Raises
    ------
    DataError
        At the first line that can't be read, where ids of several files mean different rows, or where no id is on
        both sides.
    """
    scores, labels = read_predictions(model, predictions), read_ground_truth(model, ground_truth)
    seen, told = scores.known, labels.known
    missing, unknown = Tally(), Tally()
    ids = []
    for name in scores.values:
        if name in labels.values:
            ids.append(name)
        elif name not in told:
            missing.add(name)
    for name in labels.values:
        if name not in seen:
            unknown.add(name)
    if not ids and (labels.values or not labels.unlabelled.count):
        raise DataError(_nothing_joined(scores, labels))
    return Joined(
        ids=ids,
        labels=np.array([labels.values[name] for name in ids]),
        scores=np.array([scores.values[name] for name in ids]),
        predictions=scores,
        truths=labels,
        missing=missing,
        unknown=unknown,
    )


def _nothing_joined(scores: Given, labels: Given) -> str:
    for given, what in ((scores, "predictions"), (labels, "ground truth")):
        if not given.values:
            return f"no id of the {what} can be used: {given.conflicting.count} have values that disagree"
    first, other = (next(iter(given.values)) for given in (labels, scores))
    return (
        f"none of the {len(labels.values)} ids of ground truth is among the {len(scores.values)} ids of the"
        f" predictions: the first are '{first[:SHOWN]}' and '{other[:SHOWN]}'"
    )


def read_predictions(model: Model, folder: Path) -> Given:
    """Return the scores of files with a line ``id,score`` a row, as a batch transform writes them.

    Raises
    ------
    DataError
        At the first line that isn't one.
    """
    given = Given()
    files = data_files(folder)
    _only_one(model, files, "predictions")
    for path in files:
        name = path.relative_to(folder).as_posix()
        for number, line in enumerate(_text(path, name).splitlines(), 1):
            if not line.strip():
                continue
            cells = [cell.strip() for cell in line.split(",")]
            if len(cells) != 2 or not cells[0]:
                raise _error(name, number, "", f"'{line[:SHOWN]}' is not a line id,score")
            given.take(cells[0], _score(cells[1], name, number))
    if not given.lines:
        raise DataError(f"the predictions hold no line: {one_line(files[0].name)} is empty")
    given.settle()
    return given


def _only_one(model: Model, files: Sequence[Path], what: str) -> None:
    if model.id_column is None and len(files) > 1:
        raise DataError(
            f"{len(files)} files of {what} can't be joined: without an id_column in model.yaml an id is a row's number"
            " in its own file"
        )


def _score(cell: str, name: str, line: int) -> float:
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not math.isfinite(score) or "_" in cell or not cell.isascii():
        raise _error(name, line, "score", f"'{cell[:SHOWN]}' is not a number")
    return score


def read_ground_truth(model: Model, folder: Path) -> Given:
    """Return the labels of CSV files with the columns id and label; a header is optional.

    A header names them ``id`` and ``label`` or as model.yaml does, in any order and any case.

    Raises
    ------
    DataError
        At the first line that doesn't fit.
    """
    given = Given()
    files = data_files(folder)
    for path in files:
        name = path.relative_to(folder).as_posix()
        for number, identity, cell in _truth_lines(model, name, _text(path, name)):
            if not identity:
                raise _error(name, number, "id", "every line needs an id")
            if cell in model.missing:
                given.wait(identity)
                continue
            given.take(identity, _label(model.target, cell, name, number))
    if not given.lines:
        raise DataError(f"the ground truth holds no line: {one_line(files[0].name)} has no rows")
    given.settle()
    return given


def _truth_lines(model: Model, name: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, id and label."""
    id_names = {"id", (model.id_column or "id").casefold()}
    label_names = {"label", model.target.name.casefold()}
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    swapped, first, line = False, True, 1
    try:
        for row in reader:
            number, line = line, reader.line_num + 1
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) != 2:
                raise _error(name, number, "", f"has {len(cells)} cells; expected 2: id,label")
            low = [cell.casefold() for cell in cells]
            if first and (low[0] in id_names or low[1] in id_names or set(low) & label_names):
                first, swapped = False, low[1] in id_names
                if low[1 - swapped] not in label_names or low[swapped] not in id_names:
                    shown = ",".join(cells)[:SHOWN]
                    raise _error(
                        name,
                        number,
                        "",
                        f"the header '{shown}' must name {model.id_column or 'id'} and {model.target.name}",
                    )
                continue
            first = False
            yield number, cells[swapped], cells[1 - swapped]
    except csv.Error as error:
        raise _error(name, line, "", f"is not CSV: {error}") from None


def _label(target: Column, cell: str, name: str, line: int) -> float:
    try:
        value = target.repair(target.parse(cell))
    except ValueError as error:
        raise _error(name, line, target.name, f"'{cell[:SHOWN]}' {error}") from None
    if value not in target.values[:2]:
        legal = " or ".join(
            f"{value:g}" if isinstance(value, float) else str(value) for value in target.values[:2]
        )
        raise _error(name, line, target.name, f"'{cell[:SHOWN]}' is not {legal}")
    return float(value == target.values[1])


def read_features(model: Model, folder: Path, ids: Sequence[str]) -> tuple[Floats, Tally]:
    """Return the features of the rows with these ids, as the model sees them, and the ids that the batch lacks.

    Raises
    ------
    DataError
        A file of the batch can't be read.
    """
    files = data_files(folder)
    _only_one(model, files, "the batch")
    places = {name: place for place, name in enumerate(ids)}
    features = np.full((len(ids), len(model.columns)), np.nan)
    found = np.zeros(len(ids), dtype=bool)
    problems: list[Problem] = []
    for path in files:
        for rows in batch_parts(path, path.relative_to(folder).as_posix(), model, problems):
            for name, cells in zip(rows.ids, feature_rows(rows, model), strict=True):
                place = places.get(name)
                if place is not None:
                    found[place] = True
                    encoded = map(Column.encode, model.columns, cells)
                    features[place] = [np.nan if cell is None else cell for cell in encoded]
        unusable = next((problem for problem in problems if problem.kind in _UNUSABLE), None)
        if unusable is not None:
            raise DataError(str(unusable))
    absent = Tally()
    for place in np.flatnonzero(~found).tolist():
        absent.add(ids[place])
    return features, absent


def _text(path: Path, name: str) -> str:
    try:
        with opened(path) as file:
            return decoded(b"".join(iter(lambda: file.read(BLOCK), b"")))
    except (UnreadableError, *BROKEN_STREAM) as error:
        raise DataError(str(Problem("unreadable", one_line(name), 0, "", one_line(str(error))))) from None


def _error(name: str, line: int, column: str, text: str) -> DataError:
    return DataError(str(Problem("value", one_line(name), line, column, one_line(text))))
