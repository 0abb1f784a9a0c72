"""States: exact or within their bound, the same however the data are dealt to instances."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline_code.steps.model import Column
from pipeline_code.steps.program import UsageError
from pipeline_code.steps.quality import quantiles, texts
from pipeline_code.steps.quality.cells import cells_of_rows
from pipeline_code.steps.quality.checks import check
from pipeline_code.steps.quality.constraints import read_constraints, suggest
from pipeline_code.steps.quality.distance import simple_distance
from pipeline_code.steps.quality.predictions import Scored, attributed, score_points
from pipeline_code.steps.quality.profile import Floats, Points, Profile
from pipeline_code.steps.quality.quantiles import CHUNK, Moments, Quantiles
from pipeline_code.steps.quality.state import DatasetState, merge
from pipeline_code.steps.quality.state_file import read_states, write_state
from pipeline_code.steps.quality.texts import Texts
from pipeline_code.steps.rows import Problem
from tests.steps.stream_kit import model, plain

NUMBER, TEXT = Column(name="size", type="number"), Column(name="kind", type="string")
COLUMNS = (NUMBER, TEXT)


def _quantiles(numbers: Floats, part: int = 50_000) -> Quantiles:
    result = Quantiles()
    for start in range(0, len(numbers), part):
        piece = numbers[start : start + part]
        result.add(piece, float(piece.min()), float(piece.max()))
    return result


def _largest_error(points: Points, numbers: Floats) -> float:
    """Return by what share of the items a rank is off at most."""
    ordered = np.sort(numbers)
    grid = np.union1d(points.values, ordered)
    told = np.concatenate(([0.0], np.cumsum(points.counts)))[
        np.searchsorted(points.values, grid, side="right")
    ]
    return float(np.abs(told - np.searchsorted(ordered, grid, side="right")).max() / len(numbers))


RNG = np.random.default_rng(5)
CONTINUOUS = {
    "normal": RNG.normal(size=600_000),
    "ascending": np.arange(600_000) + 0.5,
    "half of it tied": np.where(RNG.random(600_000) < 0.5, 0.25, RNG.normal(size=600_000)),
    "far apart": RNG.normal(size=600_000) * 10.0 ** RNG.integers(-300, 300, 600_000),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_ranks_of_a_continuous_column_are_off_by_no_more_than_is_said(name: str) -> None:
    numbers = CONTINUOUS[name]

    points = _quantiles(numbers).points()

    assert points.total == len(numbers)
    assert 0 < points.error < 2e-4
    assert _largest_error(points, numbers) <= points.error


def test_the_bound_grows_with_the_logarithm_of_the_rows() -> None:
    numbers = RNG.normal(size=CHUNK)
    ranks, errors = Quantiles(), []
    for chunks in range(1, 129):  # the same chunk again: the bound depends on their number only
        ranks._push(quantiles.FIRST, np.sort(numbers)[4::8])
        ranks.over, ranks.under = ranks.over + 4, ranks.under + 4
        if chunks.bit_count() == 1:
            errors.append(max(ranks.over, ranks.under) / (chunks * CHUNK))

    assert all(later - before <= 1 / 16_384 for before, later in pairwise(errors))
    assert errors[-1] < 4e-4


@pytest.mark.parametrize("step", [1.0, 0.25, 1e9])
def test_up_to_so_many_distinct_values_are_counted_exactly_however_many_rows(step: float) -> None:
    numbers = RNG.integers(-9_000, 9_000, 300_000) * step

    points = _quantiles(numbers).points()

    values, counts = np.unique(numbers, return_counts=True)
    assert points.error == 0
    assert points.values.tolist() == values.tolist()
    assert points.counts.tolist() == counts.tolist()


def test_a_tiny_part_of_a_number_is_not_lost_in_a_bin() -> None:
    assert _quantiles(np.array([1.0, 3e-300, 2.0])).points().values.tolist() == [3e-300, 1.0, 2.0]


@pytest.mark.parametrize("shards", [2, 3, 8])
def test_merged_ranks_stay_within_their_bound_in_any_order(shards: int) -> None:
    numbers = CONTINUOUS["half of it tied"]
    dealt = np.array_split(numbers, np.sort(RNG.integers(0, len(numbers), shards - 1)))
    order = RNG.permutation(shards)

    merged = Quantiles()
    for place in order:
        merged.merge(_quantiles(dealt[place]) if len(dealt[place]) else Quantiles())
    points = merged.points()

    assert points.total == len(numbers)
    assert points.error < 4e-4
    assert _largest_error(points, numbers) <= points.error


def test_a_distance_of_summaries_differs_from_the_exact_one_by_no_more_than_both_bounds() -> None:
    before, after = CONTINUOUS["normal"], CONTINUOUS["normal"] * 1.1 + 0.05
    exact = simple_distance(
        *(
            Points(values, counts.astype(float))
            for values, counts in (np.unique(side, return_counts=True) for side in (before, after))
        )
    )

    first, second = _quantiles(before).points(), _quantiles(after).points()

    assert abs(simple_distance(first, second) - exact) <= first.error + second.error


def test_moments_of_parts_add_up_to_those_of_the_whole() -> None:
    numbers = RNG.normal(1e9, 1, 10_000)  # far from zero: sums of squares would lose the deviations
    total = Moments()
    for part in np.array_split(numbers, 7):
        total.add(Moments.of(part))

    assert total.number == 10_000
    assert math.isclose(total.mean, numbers.mean(), rel_tol=1e-12)
    assert math.isclose(total.squares / 10_000, numbers.var(), rel_tol=1e-6)
    assert (total.minimum, total.maximum) == (numbers.min(), numbers.max())


def test_frequent_texts_are_kept_within_the_bound_and_all_texts_are_estimated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(texts, "EXACT", 800)
    monkeypatch.setattr(texts, "KEPT", 400)
    exact: Counter[str] = Counter()
    parts = []
    for part in range(6):
        found = Counter({f"often{n}": 500 - n for n in range(50)})
        found.update({f"rare{part}-{n}": 1 for n in range(1500)})
        held = Texts()
        held.add(found)
        parts.append(held)
        exact.update(found)
    merged = Texts()
    for held in reversed(parts):
        merged.merge(held)

    assert merged.total == exact.total()
    assert merged.error <= merged.total / 400
    assert all(0 <= exact[text] - merged.counts[text] <= merged.error for text in exact if "often" in text)
    assert merged.others == merged.total - merged.counts.total()
    assert 0.85 < merged.distinct / len(exact) < 1.15


def _state(
    name: str, rows: Sequence[tuple[float | None, str | None]], faults: Sequence[Problem]
) -> DatasetState:
    state = DatasetState.of(COLUMNS)
    numbers, kinds = [size for size, _ in rows], [kind for _, kind in rows]
    state.add(name, len(rows), [cells_of_rows(NUMBER, numbers, {}), cells_of_rows(TEXT, kinds, {})])
    state.add_problems(faults)
    return state


def _verdicts(profile: Profile, known: Profile) -> list[tuple[str, str, str]]:
    held = model(columns=COLUMNS)
    found = check(profile, known, read_constraints(suggest(known, COLUMNS, held.monitor)))
    return [(v.feature_name, v.constraint_check_type, v.description) for v in found.violations]


ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 9).map(float), st.floats(-10, 10)),
        st.one_of(st.none(), st.sampled_from("abcde")),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    files=st.lists(ROWS, min_size=1, max_size=8),
    broken=st.sets(st.tuples(st.integers(0, 7), st.integers(1, 60))),
    shards=st.sampled_from([2, 3, 8]),
    rng=st.randoms(use_true_random=False),
)
def test_shards_in_any_order_give_what_one_instance_gives(
    files: list[list[tuple[float | None, str | None]]],
    broken: set[tuple[int, int]],
    shards: int,
    rng: random.Random,
) -> None:
    states = []
    for number, rows in enumerate(files):
        name = f"part/{number}.csv"
        faults = [
            Problem("missing_column", name, line, "", "has 1 cells")
            for at, line in sorted(broken)
            if at == number
        ]
        states.append(partial(_state, name, rows, faults))
    known = _state("known.csv", [(float(n % 10), "abcde"[n % 5]) for n in range(500)], []).profile()

    whole = DatasetState.of(COLUMNS)
    for make in states:
        whole.absorb(make())
    dealt = [DatasetState.of(COLUMNS) for _ in range(shards)]
    for make in states:
        dealt[rng.randrange(shards)].absorb(make())
    rng.shuffle(dealt)
    merged = merge(dealt)

    assert plain(merged.profile()) == plain(whole.profile())
    assert _verdicts(merged.profile(), known) == _verdicts(whole.profile(), known)


def test_a_state_comes_back_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "EXACT", 20)
    monkeypatch.setattr(texts, "KEPT", 10)
    rows = [(float(size), f"text{n % 30}") for n, size in enumerate(CONTINUOUS["normal"][:200_000])]
    state = _state(
        "é/1.csv", [*rows, (None, None)], [Problem("type", "é/1.csv", 7, "size", "'x' is not a number", 3)]
    )

    write_state(tmp_path, state)
    (back,) = read_states(tmp_path, COLUMNS)

    assert plain(back.profile()) == plain(state.profile())
    assert back.files == state.files
    # and it can go on
    more = _state("é/2.csv", rows[:500], [])
    back.absorb(more)
    state.absorb(_state("é/2.csv", rows[:500], []))
    assert plain(back.profile()) == plain(state.profile())


def test_merged_files_have_the_order_in_which_one_instance_reads_them() -> None:
    names = ["a/2.csv", "a/10.csv", "a.csv", "b.csv"]
    parts = [[_state(name, [(1.0, "a")], []) for name in names[number::2]] for number in (0, 1)]

    merged = merge([merge(parts[1]), merge(parts[0])])

    assert list(merged.files) == [path.as_posix() for path in sorted(map(Path, names))]


def test_a_file_in_two_states_is_refused() -> None:
    with pytest.raises(UsageError, match=r"1\.csv is in two states: merge each part of the data once"):
        merge([_state("1.csv", [(1.0, "a")], []), _state("1.csv", [(1.0, "a")], [])])


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_state_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state-1.npz").write_bytes(content)

    with pytest.raises(UsageError, match=r"state-1\.npz is not a state of this model's data"):
        read_states(tmp_path, COLUMNS)


def test_a_state_of_other_columns_is_named(tmp_path: Path) -> None:
    write_state(tmp_path, _state("1.csv", [(1.0, "a")], []))

    with pytest.raises(UsageError, match="its columns aren't the model's"):
        read_states(tmp_path, (NUMBER,))


def _scored(explained: int) -> Scored:
    found = attributed(RNG.random((explained, len(COLUMNS))))
    return Scored(rows=400, points=score_points(RNG.random(400)), attributed=found)


@pytest.mark.parametrize("explained", [0, 1, 50])
def test_scores_come_back_from_the_file_of_a_state(tmp_path: Path, explained: int) -> None:
    state = _state("1.csv", [(1.0, "a")] * 400, [])
    state.scored = [_scored(explained)]

    write_state(tmp_path, state)
    ((back,),) = (held.scored for held in read_states(tmp_path, COLUMNS))

    (written,) = state.scored
    assert (back.rows, back.attributed.rows) == (400, explained)
    for key in ("values", "counts"):
        np.testing.assert_array_equal(getattr(back.points, key), getattr(written.points, key))
    np.testing.assert_array_equal(back.attributed.means, written.attributed.means)
    if explained > 1:
        assert back.attributed.spread is not None
        assert written.attributed.spread is not None
        np.testing.assert_array_equal(back.attributed.spread, written.attributed.spread)
    else:
        assert back.attributed.spread is None


@pytest.mark.parametrize(
    "changed",
    [
        {"scored.0.values": np.full(400, np.nan)},
        {"scored.0.counts": np.full(400, -1.0)},
        {"scored.0.counts": np.full(400, 2.0)},  # more scores than rows
        {"scored.0.values": np.ones(3)},
        {"scored.0.means": np.ones(3)},
        {"scored.0.spread": np.ones((3, 3))},
        {"scored.0.spread": np.full((2, 2), np.inf)},
    ],
)
def test_scores_such_as_are_never_written_are_refused(tmp_path: Path, changed: dict[str, Floats]) -> None:
    state = _state("1.csv", [(1.0, "a")] * 400, [])
    state.scored = [
        Scored(rows=400, points=score_points(np.arange(400) / 400), attributed=_scored(9).attributed)
    ]
    path = write_state(tmp_path, state)
    with np.load(path) as arrays:
        held = dict(arrays.items())
    np.savez(path, **(held | changed))

    with pytest.raises(UsageError, match="its scores aren't such as are written"):
        read_states(tmp_path, COLUMNS)


def test_a_state_of_another_version_is_named(tmp_path: Path) -> None:
    path = write_state(tmp_path, _state("1.csv", [(1.0, "a")], []))
    with np.load(path) as arrays:
        held = dict(arrays.items())
    told = bytes(held["state"]).replace(b'"version":2', b'"version":1')
    np.savez(path, **(held | {"state": np.frombuffer(told, np.uint8)}))

    with pytest.raises(UsageError, match=r"state.*npz is not a state .*: version 1, expected 2"):
        read_states(tmp_path, COLUMNS)
