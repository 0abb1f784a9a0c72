"""How the report's page writes what comes from data: escaped, shortened, unable to change what stands beside it."""

from __future__ import annotations

import math
from html import escape
from typing import Any

NAME_LENGTH = 80


def plain(value: object, limit: int = NAME_LENGTH) -> str:
    """Return a text on one line of at most `limit` characters, not escaped yet.

    What can't be printed becomes U+FFFD: a direction override or an escape sequence in a column's name must not
    turn around or hide the words that follow it.
    """
    line = "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(str(value).split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def text(value: object, limit: int = NAME_LENGTH) -> str:
    """Return a text from data as HTML, to stand in an element or an attribute."""
    return escape(plain(value, limit))


def name(value: object) -> str:
    """Return a name from data as HTML that keeps its own direction of writing to itself."""
    return f"<bdi>{text(value)}</bdi>"


def finite(value: Any) -> float | None:
    """Return a number of a report, or nothing where it isn't one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def number(value: Any, none: str = "not known") -> str:
    """Return a number as people read it: few digits, thousands separated."""
    known = finite(value)
    if known is None:
        return none
    size = abs(known)
    if known.is_integer() and size < 1e9:
        return f"{int(known):,}"
    if size >= 1e9 or size < 1e-3:
        return f"{known:.3g}"
    if size >= 1000:
        return f"{known:,.0f}"
    return f"{known:.2f}" if size >= 1 else f"{known:.3g}"


def percent(share: float) -> str:
    """Return a share in percent; what is more than nothing never reads as 0."""
    if 0 < share < 0.0005:
        return "under 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


def counted(count: int, noun: str) -> str:
    """Return ``1 feature``, ``2 features``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(items: list[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
