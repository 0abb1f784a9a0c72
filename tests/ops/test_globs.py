"""Patterns against all short texts of a small alphabet: what is said of two patterns holds for every text."""

from __future__ import annotations

import re
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.iam.globs import arn_covers, covers, disjoint

TEXTS = ["".join(letters) for length in range(6) for letters in product("ab", repeat=length)]
patterns = st.text("ab*?", max_size=4)


def matching(pattern: str) -> set[str]:
    regex = re.compile("".join({"*": ".*", "?": "."}.get(char, char) for char in pattern))
    return {text for text in TEXTS if regex.fullmatch(text)}


@given(patterns, patterns)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_a_pattern_that_covers_another_matches_all_that_the_other_matches(wide: str, narrow: str) -> None:
    if covers(wide, narrow):
        assert matching(narrow) <= matching(wide)


@given(patterns, patterns)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_disjoint_patterns_match_nothing_together_and_the_others_do(one: str, other: str) -> None:
    assert disjoint(one, other) == (not matching(one) & matching(other))


def test_covering_finds_what_matters() -> None:
    assert covers("s3:*", "s3:Get*")
    assert covers("a*c", "ab*bc")
    assert not covers("a?", "a*")
    assert not covers("s3:Get*", "s3:*")


def test_the_parts_of_an_arn_are_compared_one_by_one() -> None:
    assert covers("arn:*:role/x", "arn:aws:iam::1:role/x")
    assert not arn_covers("arn:*:role/x", "arn:aws:iam::1:role/x")
    assert arn_covers("arn:aws:iam::*:role/*", "arn:aws:iam::1:role/x/y")
