"""The matrices of the installations that are judged: one with everything, and those that are delivered otherwise."""

from __future__ import annotations

from functools import cache

from tests.permissions.estates import estate
from tests.permissions.matrix import Matrix

MAIN = "versions"
OTHERS = ("github", "jenkins", "branch", "shared")


@cache
def matrix(name: str = MAIN) -> Matrix:
    """Return the matrix of an installation."""
    return Matrix(estate(name), frozenset() if name == MAIN else frozenset(matrix().things.nouns))


def beside(name: str) -> Matrix | None:
    """Return the matrix in which everything is decided that is as it is there."""
    return None if name == MAIN else matrix()
