"""States as files: what instances that share the work leave for the one that merges it."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ..model import Column
from ..program import UsageError, base_dir, read_json
from ..rows import Problem
from .predictions import Attributed, Scored
from .profile import Points
from .quantiles import CHUNK, FIRST, KEPT, Moments, Quantiles
from .state import ColumnState, DatasetState
from .texts import Texts

VERSION = 2
PATTERN = "state*.npz"
_MALFORMED = (OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile)


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
    except _MALFORMED as error:
        raise UsageError(f"{path.name} is not a state of this model's data: {error}") from None
    state.files = {str(name): int(rows) for name, rows in described["files"].items()}
    state.add_problems(Problem(**problem) for problem in described["problems"])
    return state


def _read_column(column: ColumnState, told: dict[str, Any], number: int, arrays: Any) -> None:
    column.missing, column.mistyped, column.illegal = (
        int(told[key]) for key in ("missing", "mistyped", "illegal")
    )
    if told["moments"]:
        column.moments = Moments(**told["moments"])
    texts = told["texts"]
    column.texts = Texts(Counter(texts["counts"]), texts["total"], texts["error"], texts["smallest"])
    start = f"{number}.buffer."
    ranks = Quantiles(
        values=arrays[f"{number}.values"],
        counts=arrays[f"{number}.counts"],
        waiting=arrays[f"{number}.waiting"],
        buffers={int(key.removeprefix(start)): arrays[key] for key in arrays.files if key.startswith(start)},
        over=told["over"],
        under=told["under"],
    )
    sizes = {len(buffer) for buffer in ranks.buffers.values()}
    if not (
        len(ranks.values) == len(ranks.counts)
        and len(ranks.waiting) < CHUNK
        and sizes <= {KEPT}
        and min(ranks.buffers, default=FIRST) >= FIRST
    ):
        raise ValueError("its buffers aren't such as are written")
    column.quantiles = ranks


def _read_scored(told: dict[str, Any], start: str, arrays: Any, width: int) -> Scored:
    values, counts, means = (
        np.asarray(arrays[f"{start}.{key}"], float) for key in ("values", "counts", "means")
    )
    spread = np.asarray(arrays[f"{start}.spread"], float) if f"{start}.spread" in arrays.files else None
    rows, explained = int(told["rows"]), int(told["explained"])
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
