"""Files of states that no program wrote so: one line that names the file, never a trace."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline_code.steps.model import Column
from pipeline_code.steps.program import UsageError
from pipeline_code.steps.quality.cells import cells_of_rows
from pipeline_code.steps.quality.predictions import Scored, attributed, score_points
from pipeline_code.steps.quality.quantiles import FIRST, KEPT
from pipeline_code.steps.quality.state import DatasetState
from pipeline_code.steps.quality.state_file import read_states, write_state
from pipeline_code.steps.rows import Problem
from tests.steps.stream_kit import plain

NUMBER, TEXT = Column(name="size", type="number"), Column(name="kind", type="string")
COLUMNS = (NUMBER, TEXT)
Described = dict[str, Any]


def _state(sizes: list[float | None]) -> DatasetState:
    state, kinds = DatasetState.of(COLUMNS), ["a", "b", None] * (len(sizes) // 3)
    state.add("1.csv", len(sizes), [cells_of_rows(NUMBER, sizes, {}), cells_of_rows(TEXT, kinds, {})])
    state.add_problems([Problem("type", "1.csv", 7, "size", "'x' is not a number", 3)])
    rng = np.random.default_rng(1)
    scored = score_points(rng.random(len(sizes)))
    state.scored = [Scored(rows=len(sizes), points=scored, attributed=attributed(rng.random((9, 2))))]
    return state


SIZES: list[float | None] = [1.0, 2.0, None] * 20


def _changed(folder: Path, change: Callable[[Described], object], **arrays: Any) -> None:
    """Write a state whose description and arrays have been changed."""
    path = write_state(folder, _state(SIZES))
    with np.load(path) as stored:
        held = dict(stored.items())
    described = json.loads(bytes(held["state"]))
    change(described)
    held["state"] = np.frombuffer(json.dumps(described).encode(), np.uint8)
    np.savez(path, **(held | {name.replace("_", "."): array for name, array in arrays.items()}))


def _refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"^state.*\.npz is not a state of this model's data: "):
        read_states(folder, COLUMNS)


def _each(keys: str, *values: Any) -> list[tuple[str, Any]]:
    """Return each key with each value."""
    return [(key, value) for key in keys.split() for value in values]


PROBLEM = asdict(Problem("type", "1.csv", 7, "size", "'x' is not a number"))
ODD_FIELDS = [
    *_each("kind file column text unit", 5, None, []),
    *_each("line times", "7", -1, 1.5, None, True, 2**70),
    *[("kind", "odd"), ("column", ""), ("times", 0), ("more", 1)],
]
PARTS: dict[str, list[Any]] = {
    "files": [
        None,
        [],
        ["1.csv"],
        "1.csv",
        5,
        *(dict([held]) for held in _each("1.csv", "many", None, -1, 1.5)),
    ],
    "problems": [
        *[None, 5, "none", {"a": 1}, [5], [[]], ["x"], [{}]],
        *([PROBLEM | {key: value}] for key, value in ODD_FIELDS),
    ],
    "columns": [None, 5, [], [5, 5], "ab"],
    "scored": [None, 5, [5], [{}], [{"rows": "60", "explained": 9}], [{"rows": 60, "explained": -9}]],
}


@pytest.mark.parametrize(
    ("part", "value"), [held for part, values in PARTS.items() for held in _each(part, *values, ...)]
)
def test_a_state_with_a_malformed_part_is_named(tmp_path: Path, part: str, value: object) -> None:
    _changed(tmp_path, lambda told: told.pop(part) if value is ... else told.update({part: value}))

    _refused(tmp_path)


ODD_COUNTS: list[Any] = ["5", -1, 1.5, None, True, [], math.nan, 2**70]
OF_A_COLUMN = [
    *_each("missing mistyped illegal over under texts.total texts.error", *ODD_COUNTS),
    *_each("moments", 5, "x", [], {}, {"number": 40}, None),
    *_each("moments.number", *ODD_COUNTS, 0, 39),
    *_each(
        "moments.mean moments.squares moments.minimum moments.maximum",
        "1",
        None,
        [],
        True,
        math.nan,
        math.inf,
    ),
    *[("moments.squares", -1.0), ("moments.minimum", 9.0)],
    *_each("texts", None, 5, [], {}),
    *_each("texts.counts", None, 5, "ab", ["a"], {"a": "1"}, {"a": -1}, {"a": None}, {"a": 1}),
    *_each("texts.smallest", None, 5, "ab", {}, ["a"], [1.5], [-1], [2**64], [3, 2], [True], [*range(1025)]),
]


@pytest.mark.parametrize(("place", "value"), OF_A_COLUMN)
def test_a_state_with_a_malformed_column_is_named(tmp_path: Path, place: str, value: object) -> None:
    def change(told: Described) -> None:
        *path, last = place.split(".")
        held = told["columns"][0]
        for key in path:
            held = held[key]
        held[last] = value

    _changed(tmp_path, change)

    _refused(tmp_path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"0_values": np.array([1.0, np.nan])},
        {"0_values": np.array([1.0, np.inf])},
        {"0_values": np.array([2.0, 1.0])},
        {"0_values": np.array([1.0, 1.0])},
        {"0_values": np.array(["1", "2"])},
        {"0_values": np.array([[1.0, 2.0]])},
        {"0_counts": np.array([20, -20])},
        {"0_counts": np.array([40, 0])},
        {"0_counts": np.array([20.0, 20.0])},
        {"0_counts": np.array([20, 21])},
        {"0_counts": np.array(20)},
        {"0_waiting": np.array([np.nan])},
        {"0_waiting": np.array(["x"])},
        {"0_waiting": np.array([1.0])},
        {f"0_buffer_{FIRST}": np.full(KEPT, np.nan)},
        {f"0_buffer_{FIRST}": np.zeros(KEPT)},
        {"0_buffer_x": np.zeros(KEPT)},
        {"0_buffer_70": np.zeros(KEPT)},
    ],
)
def test_a_state_with_other_than_numbers_and_their_counts_is_named(
    tmp_path: Path, arrays: dict[str, Any]
) -> None:
    _changed(tmp_path, lambda _: None, **arrays)

    _refused(tmp_path)


@pytest.mark.parametrize("described", [b"", b"[]", b"5", b"\xff", b"[" * 100_000, b'{"version":2}'])
def test_a_state_whose_description_is_none_is_named(tmp_path: Path, described: bytes) -> None:
    path = write_state(tmp_path, _state(SIZES))
    np.savez(path, state=np.frombuffer(described, np.uint8))

    _refused(tmp_path)


@pytest.mark.parametrize("sizes", [[1e308, -1e308, 1e300] * 30, [None] * 30, [0.1, 0.2, 0.3] * 30])
def test_a_state_of_numbers_whose_squares_overflow_or_of_none_comes_back(
    tmp_path: Path, sizes: list[float | None]
) -> None:
    state = _state(sizes)
    write_state(tmp_path, state)

    (back,) = read_states(tmp_path, COLUMNS)

    assert str(plain(back.profile())) == str(plain(state.profile()))  # as texts: NaN is no number's equal
    assert [str(column.moments) for column in back.columns] == [
        str(column.moments) for column in state.columns
    ]
