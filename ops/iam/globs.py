"""Patterns of IAM policies (``*``, ``?`` and policy variables): is one within another, do two have anything in common?

Both answers err to the safe side: `covers` says yes and `disjoint` says yes only where it is certain.
"""

from __future__ import annotations

import re
from functools import cache

_VARIABLE = re.compile(r"\$\{[^}]*\}")
_ARN_PARTS = 6


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    # In the text that is matched, * and ? are symbols of another pattern: only a * may stand for another *.
    pieces = {"*": ".*", "?": "[^*]"}
    return re.compile("".join(pieces.get(char) or re.escape(char) for char in pattern), re.DOTALL)


def covers(wide: str, narrow: str) -> bool:
    """Return whether all that the narrow pattern stands for, the wide one does too."""
    if wide == narrow:
        return True
    if "${" in wide:
        return False  # what it stands for is known only when a request comes
    return _regex(wide).fullmatch(_VARIABLE.sub("*", narrow)) is not None


def arn_covers(wide: str, narrow: str) -> bool:
    """Return the same for ``ArnLike``, which compares the six parts of an ARN one by one."""
    if wide == narrow:
        return True
    if "${" in narrow:
        return False  # a variable's value may hold colons
    parts = wide.split(":", _ARN_PARTS - 1), narrow.split(":", _ARN_PARTS - 1)
    if any(len(one) != _ARN_PARTS for one in parts):
        return False
    return all(covers(*pair) for pair in zip(*parts, strict=True))


def disjoint(one: str, other: str) -> bool:
    """Return whether nothing fits both patterns."""
    return not _meet(_VARIABLE.sub("*", one), _VARIABLE.sub("*", other))


@cache
def _meet(one: str, other: str) -> bool:
    """Return whether something fits both: a walk over the positions that both patterns can be at together."""
    reached, todo = set(), [(0, 0)]
    while todo:
        here = todo.pop()
        if here in reached:
            continue
        reached.add(here)
        i, j = here
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] == "*":
            todo += [(i + 1, j)] + ([(i, j + 1)] if j < len(other) else [])
        if j < len(other) and other[j] == "*":
            todo += [(i, j + 1)] + ([(i + 1, j)] if i < len(one) else [])
        if i < len(one) and j < len(other) and (one[i] == other[j] or "?" in (one[i], other[j])):
            todo.append((i + 1, j + 1))
    return False
