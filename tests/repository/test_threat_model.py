"""docs/threat-model.md claims nothing without a test that is there, and tests nothing that it doesn't claim."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
CLAIMS, TESTS = PAGE.split("## Tests", 1)
NAMED = {int(number): test for number, test in re.findall(r"^(\d+)\. `(\S+::\S+)`$", TESTS, re.MULTILINE)}
USED = [int(number) for number in re.findall(r"\[(\d+)\]", CLAIMS)]
ATTACKERS = [line.split(" | ") for line in CLAIMS.splitlines() if line.startswith("| **")]


@cache
def collected(file: Path) -> frozenset[str]:
    """Return the tests that pytest finds in a file: this project has them at the top level only."""
    return frozenset(
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not _is_skipped(node)
    )


def _is_skipped(test: ast.FunctionDef) -> bool:
    return any(word in ast.unparse(one) for one in test.decorator_list for word in ("skip", "xfail"))


@pytest.mark.parametrize("test", NAMED.values())
def test_a_test_that_is_named_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert re.fullmatch(r"tests/(\w+/)+test_\w+\.py", file)
    assert name in collected(ROOT / file)


def test_every_claims_number_is_a_test_and_every_test_is_of_a_claim() -> None:
    assert list(NAMED) == list(range(1, len(NAMED) + 1))
    assert set(USED) == set(NAMED)
    assert len(set(NAMED.values())) == len(NAMED)


@pytest.mark.parametrize("cells", ATTACKERS, ids=lambda cells: str(cells[0]).strip("|* "))
def test_an_attacker_who_is_held_off_is_held_off_by_a_test(cells: list[str]) -> None:
    who, _, kept_from, _, remains = cells
    assert re.search(r"\[\d+\]", kept_from) or kept_from == "nothing", who
    assert remains.removesuffix(" |"), who


def test_the_attackers_that_matter_are_there() -> None:
    named = " ".join(cells[0] for cells in ATTACKERS)
    for one in (
        "role of dev",
        "role of prod",
        "model artifact",
        "training file",
        "build",
        "fork",
        "approver",
        "laptop",
    ):
        assert one in named


def test_the_pages_a_reviewer_begins_with_lead_here() -> None:
    for page in ("README.md", "docs/permissions.md"):
        assert "threat-model.md" in (ROOT / page).read_text()


def test_a_skipped_test_and_one_that_is_gone_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "test_x.py"
    file.write_text("@pytest.mark.skip\ndef test_a(): ...\ndef test_b(): ...\ndef helper(): ...\n")
    assert collected(file) == {"test_b"}
