"""As much of the conditions of GitHub Actions and of Jenkins as the promotion is written in."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rehearsal.errors import RehearsalError

_TOKEN = re.compile(
    r"\s*(?:(?P<mark>&&|\|\||==|!=|!|\(|\))|'(?P<text>[^']*)'|(?P<name>[A-Za-z_][\w.-]*(?:\(\))?))"
)
_FILLED = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def holds(expression: str, values: Mapping[str, str]) -> bool:
    """Return whether a condition holds.

    Parameters
    ----------
    expression
        With ``${{ }}`` around it or without.
    values
        What its names stand for; calls such as ``failure()`` too. A text that is empty or ``false`` doesn't hold.

    Raises
    ------
    RehearsalError
        Where it is written in what isn't known here.
    """
    inner = _FILLED.fullmatch(expression.strip())
    parser = _Parser(inner[1] if inner else expression, values)
    return _true(parser.whole())


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with each ``${{ name }}`` in it filled; what has no value becomes empty."""
    return _FILLED.sub(lambda found: values.get(found[1], ""), text)


def _true(value: str) -> bool:
    return value not in ("", "false")


def _word(value: bool) -> str:
    return "true" if value else "false"


class _Parser:
    """Reads an expression from left to right: or, and, equality, not, value."""

    def __init__(self, text: str, values: Mapping[str, str]) -> None:
        self._text, self._values = text, values
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if found is None:
                raise RehearsalError(f"the condition {text!r} can't be read at {text[place:].strip()[:20]!r}")
            self._tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            place = found.end()

    def whole(self) -> str:
        value = self._any()
        if self._tokens:
            raise RehearsalError(f"the condition {self._text!r} goes on after its end: {self._tokens[0][1]}")
        return value

    def _any(self) -> str:
        value = self._all()
        while self._take("||"):
            other = self._all()
            value = value if _true(value) else other
        return value

    def _all(self) -> str:
        value = self._equal()
        while self._take("&&"):
            other = self._equal()
            value = other if _true(value) else value
        return value

    def _equal(self) -> str:
        value = self._not()
        if self._take("=="):
            return _word(value == self._not())
        if self._take("!="):
            return _word(value != self._not())
        return value

    def _not(self) -> str:
        if self._take("!"):
            return _word(not _true(self._not()))
        if self._take("("):
            value = self._any()
            if not self._take(")"):
                raise RehearsalError(f"the condition {self._text!r} lacks a closing parenthesis")
            return value
        if not self._tokens or self._tokens[0][0] == "mark":
            raise RehearsalError(f"the condition {self._text!r} lacks a value")
        kind, value = self._tokens.pop(0)
        return value if kind == "text" else self._values.get(value, "")

    def _take(self, mark: str) -> bool:
        if self._tokens and self._tokens[0] == ("mark", mark):
            self._tokens.pop(0)
            return True
        return False
