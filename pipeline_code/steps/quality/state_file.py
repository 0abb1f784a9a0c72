"""States as files: what instances that share the work leave for the one that merges it."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ..model import Column
from ..program import UsageError, base_dir, read_json
from ..rows import Problem
from .checks import OF_A_CELL, STRUCTURE, WHOLE
from .predictions import Attributed, Scored
from .profile import Points
from .quantiles import CHUNK, FIRST, KEPT, Moments, Quantiles
from .state import ColumnState, DatasetState
from .texts import HASHES, Texts

VERSION = 2
PATTERN = "state*.npz"
MOST = 2**53  # of anything that is counted
HIGHEST = 48  # level of a buffer: a row for each of its items would be too many
OVERFLOWS = 1e100  # numbers beyond it may have squares beyond any number
_MALFORMED = (
    *(OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, MemoryError),
    RuntimeError,  # of an archive that is encrypted or packed in a new way, and of JSON that is nested too deeply
    *(zipfile.BadZipFile, zlib.error),
)


def write_state(folder: Path, state: DatasetState) -> Path:
    """Write a state under a name that no other instance of a job takes; return where it is."""
    described = json.dumps(_described(state), separators=(",", ":")).encode()
    arrays: dict[str, Any] = {"state": np.frombuffer(described, np.uint8)}
    for number, column in enumerate(state.columns):
        ranks = column.quantiles
        arrays[f"{number}.values"] = ranks.values
        arrays[f"{number}.counts"] = ranks.counts
        arrays[f"{number}.waiting"] = ranks.waiting
        for level, buffer in ranks.buffers.items():
            arrays[f"{number}.buffer.{level}"] = buffer
    for number, part in enumerate(state.scored):
        arrays[f"scored.{number}.values"] = part.points.values
        arrays[f"scored.{number}.counts"] = part.points.counts
        arrays[f"scored.{number}.means"] = part.attributed.means
        if part.attributed.spread is not None:
            arrays[f"scored.{number}.spread"] = part.attributed.spread
    path = folder / f"state-{_instance() or sha256(described).hexdigest()[:16]}.npz"
    np.savez(path, **arrays)
    return path


def read_states(folder: Path, columns: Sequence[Column]) -> list[DatasetState]:
    """Return the states in a folder and those below it.

    Parameters
    ----------
    columns
        Of the data set, which each state must be of.

    Raises
    ------
    UsageError
        There is none, or a file isn't a state of such data.
    """
    found = sorted(folder.rglob(PATTERN)) if folder.is_dir() else []
    if not found:
        raise UsageError(f"no {PATTERN} in the input folder '{folder.name}'")
    return [_read(path, columns) for path in found]


def _instance() -> str:
    """Return the name of this instance of a processing job, where there are several."""
    try:
        config = read_json(base_dir() / "config" / "resourceconfig.json")
        return str(config["current_host"]) if len(config["hosts"]) > 1 else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _described(state: DatasetState) -> dict[str, Any]:
    columns = []
    for column in state.columns:
        column.quantiles.settle()
        texts = column.texts
        columns.append(
            {
                "name": column.column.name,
                "type": column.column.type,
                "missing": column.missing,
                "mistyped": column.mistyped,
                "illegal": column.illegal,
                # JSON knows no infinity, and no numbers no extremes
                "moments": asdict(column.moments) if column.moments.number else None,
                "over": column.quantiles.over,
                "under": column.quantiles.under,
                "texts": {
                    "counts": texts.counts,
                    "total": texts.total,
                    "error": texts.error,
                    "smallest": texts.smallest,
                },
            }
        )
    return {
        "version": VERSION,
        "files": state.files,
        "problems": [asdict(problem) for problem in state.problems],
        "columns": columns,
        "scored": [{"rows": part.rows, "explained": part.attributed.rows} for part in state.scored],
    }


def _read(path: Path, columns: Sequence[Column]) -> DatasetState:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            described = json.loads(bytes(arrays["state"]))
            if described["version"] != VERSION:
                raise ValueError(f"version {described['version']}, expected {VERSION}")
            state = DatasetState.of(columns)
            names = [(told["name"], told["type"]) for told in described["columns"]]
            if names != [(column.name, column.type) for column in columns]:
                raise ValueError("its columns aren't the model's")
            for number, (column, told) in enumerate(zip(state.columns, described["columns"], strict=True)):
                _read_column(column, told, number, arrays)
            state.scored = [
                _read_scored(told, f"scored.{number}", arrays, len(columns))
                for number, told in enumerate(described["scored"])
            ]
            state.files = {name: _count(rows) for name, rows in described["files"].items()}
            state.add_problems([_read_problem(told) for told in described["problems"]])
    except _MALFORMED as error:
        raise UsageError(f"{path.name} is not a state of this model's data: {error}") from None
    return state


def _count(told: Any, least: int = 0) -> int:
    if type(told) is not int or not least <= told <= MOST:
        raise ValueError(f"{str(told)[:40]!r} is no count")
    return told


def _read_problem(told: dict[str, Any]) -> Problem:
    problem = Problem(**told)
    texts = (problem.kind, problem.file, problem.column, problem.text, problem.unit)
    known = (STRUCTURE | OF_A_CELL) if problem.column else WHOLE
    if not all(isinstance(text, str) for text in texts) or problem.kind not in known:
        raise ValueError("its problems aren't such as are written")
    _count(problem.line)
    _count(problem.times, 1)
    return problem


def _read_moments(told: dict[str, Any] | None) -> Moments:
    if told is None:
        return Moments()
    moments = Moments(**{field.name: told[field.name] for field in fields(Moments)})
    _count(moments.number, 1)
    numbers = (moments.mean, moments.squares, moments.minimum, moments.maximum)
    if not (
        all(type(number) in (int, float) for number in numbers)
        and math.isfinite(moments.minimum)
        and math.isfinite(moments.maximum)
        and moments.minimum <= moments.maximum
        and not moments.squares < 0
        and (
            max(-moments.minimum, moments.maximum) > OVERFLOWS
            or math.isfinite(moments.mean + moments.squares)
        )
    ):
        raise ValueError("its moments aren't such as are written")
    return moments


def _read_texts(told: dict[str, Any]) -> Texts:
    counts = Counter({text: _count(number) for text, number in told["counts"].items()})
    texts = Texts(counts, _count(told["total"]), _count(told["error"]), told["smallest"])
    digests = texts.smallest
    if not (
        texts.others >= 0
        and isinstance(digests, list)
        and len(digests) <= HASHES
        and all(type(digest) is int and 0 <= digest < 2**64 for digest in digests)
        and digests == sorted(set(digests))
    ):
        raise ValueError("its texts aren't such as are written")
    return texts


def _are_numbers(array: Any) -> bool:
    return bool(array.ndim == 1 and array.dtype.kind == "f" and np.isfinite(array).all())


def _read_column(column: ColumnState, told: dict[str, Any], number: int, arrays: Any) -> None:
    column.missing, column.mistyped, column.illegal = (
        _count(told[key]) for key in ("missing", "mistyped", "illegal")
    )
    column.moments = _read_moments(told["moments"])
    column.texts = _read_texts(told["texts"])
    start = f"{number}.buffer."
    ranks = Quantiles(
        values=arrays[f"{number}.values"],
        counts=arrays[f"{number}.counts"],
        waiting=arrays[f"{number}.waiting"],
        buffers={int(key.removeprefix(start)): arrays[key] for key in arrays.files if key.startswith(start)},
        over=_count(told["over"]),
        under=_count(told["under"]),
    )
    buffers = ranks.buffers
    if not (
        all(map(_are_numbers, (ranks.values, ranks.waiting, *buffers.values())))
        and ranks.counts.dtype.kind == "i"
        and ranks.values.shape == ranks.counts.shape
        and (ranks.counts > 0).all()
        and (np.diff(ranks.values) > 0).all()
        and len(ranks.waiting) < CHUNK
        and {len(buffer) for buffer in buffers.values()} <= {KEPT}
        and all((np.diff(buffer) >= 0).all() for buffer in buffers.values())
        and all(FIRST <= level <= HIGHEST for level in buffers)
        and _items(ranks) == column.moments.number
    ):
        raise ValueError("its buffers aren't such as are written")
    column.quantiles = ranks


def _items(ranks: Quantiles) -> int:
    """Return of how many numbers these are the ranks."""
    counts: list[int] = ranks.counts.tolist()
    return sum(counts) + len(ranks.waiting) + sum(KEPT << level for level in ranks.buffers)


def _read_scored(told: dict[str, Any], start: str, arrays: Any, width: int) -> Scored:
    values, counts, means = (
        np.asarray(arrays[f"{start}.{key}"], float) for key in ("values", "counts", "means")
    )
    spread = np.asarray(arrays[f"{start}.spread"], float) if f"{start}.spread" in arrays.files else None
    rows, explained = _count(told["rows"]), _count(told["explained"])
    if not (
        values.shape == counts.shape == (len(values),)
        and means.shape == (width,)
        and (spread is None or spread.shape == (width, width))
        and all(np.isfinite(held).all() for held in (values, counts, means, spread) if held is not None)
        and 0 <= explained <= rows
        and (counts > 0).all()
        and counts.sum() <= rows
        and (spread is not None) == (explained > 1)
    ):
        raise ValueError("its scores aren't such as are written")
    attributed = Attributed(rows=explained, means=means, spread=spread)
    return Scored(rows=rows, points=Points(values, counts), attributed=attributed)
