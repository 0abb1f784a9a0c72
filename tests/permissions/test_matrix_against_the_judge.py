"""Our evaluator and an independent one agree on the matrix itself: here on a part, on all of it in `docket.py`."""

from __future__ import annotations

import pytest

from tests.permissions.docket import problems, read_alike, whole_problems
from tests.permissions.matrices import matrix

pytestmark = pytest.mark.xdist_group("permissions")
PARTS = 40


def test_both_decide_the_same_in_one_of_forty_parts_of_the_matrix() -> None:
    docket = problems(matrix(), 0, PARTS)
    assert docket.differences() == []
    # Agreeing that nothing is allowed would be worth little.
    assert sum(docket.ours) > len(docket.ours) / 20


def test_nothing_that_decides_is_left_out_of_a_problem() -> None:
    assert whole_problems(matrix(), 1, PARTS * 4).differences() == []


def test_both_read_every_list_of_actions_alike() -> None:
    docket = read_alike(matrix())
    assert docket.differences() == []
    assert 0 < sum(docket.ours) < len(docket.ours)
