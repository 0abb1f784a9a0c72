"""How the tests themselves are run."""

from __future__ import annotations

import os

import pytest

GROUP = "runner"


@pytest.mark.xdist_group(GROUP)
def test_the_tests_of_a_group_run_in_one_worker(request: pytest.FixtureRequest) -> None:
    """Where pytest-xdist can't read the groups it says nothing, and every worker starts every shared cloud."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith(f"@{GROUP}")
