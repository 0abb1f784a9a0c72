from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline_code.steps.model import Holdout
from pipeline_code.steps.split import is_held_out

values = st.one_of(st.none(), st.integers(0, 100), st.floats(0, 100), st.sampled_from(["a", "b"]))
rows = st.lists(values, min_size=1, max_size=6)


@given(row=rows, fraction=st.floats(0.05, 0.5))
def test_a_row_held_out_stays_so_when_the_fraction_grows(
    row: list[float | str | None], fraction: float
) -> None:
    small, large = Holdout(salt="s", fraction=fraction), Holdout(salt="s", fraction=min(1.0, fraction * 1.5))

    assert not is_held_out(row, small) or is_held_out(row, large)


@given(row=st.lists(st.integers(-1000, 1000), min_size=1, max_size=6))
def test_the_way_a_number_is_written_changes_nothing(row: list[int]) -> None:
    holdout = Holdout(salt="s", fraction=0.5)

    assert is_held_out(row, holdout) == is_held_out([float(value) for value in row], holdout)


def test_about_the_fraction_asked_for_is_held_out() -> None:
    holdout = Holdout(salt="any", fraction=0.2)

    held = sum(is_held_out([row, row % 7], holdout) for row in range(20_000))

    assert abs(held / 20_000 - 0.2) < 0.015


def test_another_salt_deals_anew() -> None:
    first, second = Holdout(salt="one", fraction=0.5), Holdout(salt="two", fraction=0.5)

    differing = sum(is_held_out([row], first) != is_held_out([row], second) for row in range(2_000))

    assert 800 < differing < 1_200


def test_a_missing_value_is_not_the_same_as_another_place() -> None:
    holdout = Holdout(salt="s", fraction=0.5)

    answers = {(is_held_out([row, None], holdout), is_held_out([None, row], holdout)) for row in range(50)}

    assert len(answers) == 4
