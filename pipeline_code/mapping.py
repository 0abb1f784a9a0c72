"""Typed access to a YAML mapping, with errors that name the file, the key, the value and the rule."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from pipeline_code.steps.model import Value

_NONE: Any = object()


class ModelConfigError(ValueError):
    """A model.yaml that can't be used; the message is one line."""


class Mapping:
    """One mapping of the file; every key that is read counts as known.

    Parameters
    ----------
    content
        What YAML gave.
    file
        Name of the file, for messages.
    path
        Keys that lead here, with a dot at the end.

    Raises
    ------
    ModelConfigError
        `content` isn't a mapping.
    """

    def __init__(self, content: Any, file: str, path: str) -> None:
        self._file, self._path = file, path
        if not isinstance(content, dict):
            what = path.removesuffix(".") or "the file"
            raise ModelConfigError(f"{file}: {what} must be a mapping of keys to values, got {content!r}")
        self._content: dict[Any, Any] = content
        self._read: list[str] = []

    def error(self, key: str, problem: str) -> ModelConfigError:
        """Return the error to raise about a key."""
        name = f"{self._path}{key}".removesuffix(".")
        return ModelConfigError(f"{self._file}: {name + ' ' if name else ''}{problem}")

    def done(self) -> None:
        """Check that every key was read.

        Raises
        ------
        ModelConfigError
            A key isn't known.
        """
        for key in self._content:
            if key not in self._read:
                close = get_close_matches(str(key), self._read, n=1)
                fix = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(self._read)}"
                raise self.error(str(key), f"is not a known key; {fix}")

    def keys(self) -> list[str]:
        """Return the mapping's keys, as texts."""
        return [str(key) for key in self._content]

    def _get(self, key: str, default: Any) -> Any:
        if key not in self._read:
            self._read.append(key)
        value = self._content.get(key, _NONE)
        if value is _NONE:
            if default is _NONE:
                raise self.error(key, "is missing")
            return default
        return value

    def mapping(self, key: str, *, default: Any = _NONE) -> Mapping:
        """Return the mapping under a key."""
        return Mapping(self._get(key, default), self._file, f"{self._path}{key}.")

    def mappings(self, key: str) -> list[Mapping]:
        """Return the mappings in the list under a key."""
        held = self._list(key, _NONE)
        return [Mapping(item, self._file, f"{self._path}{key}[{place}].") for place, item in enumerate(held)]

    def _list(self, key: str, default: Any) -> list[Any]:
        value = self._get(key, default)
        if not isinstance(value, list):
            raise self.error(key, f"must be a list, got {value!r}")
        return value

    def text(self, key: str, *, pattern: str, rule: str, default: Any = _NONE, longest: int = 63) -> str:
        """Return a text that matches a pattern wholly and isn't too long."""
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self.error(key, f"must be a text, got {value!r}")
        if not re.fullmatch(pattern, value):
            raise self.error(key, f"must {rule}, got '{value}'")
        if len(value) > longest:
            raise self.error(key, f"must have at most {longest} characters, got {len(value)}: '{value}'")
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a text, or None where there is none."""
        value = self._get(key, None)
        return (
            None if value is None else self.text(key, pattern=r"[^,\"\n\r]+", rule="hold no comma or quote")
        )

    def texts(self, key: str, *, default: list[str]) -> tuple[str, ...]:
        """Return a list of texts."""
        held = self._list(key, default)
        for value in held:
            if not isinstance(value, str):
                raise self.error(key, f'must hold texts, got {value!r}; put it in quotes: "{value}"')
        return tuple(held)

    def file_names(self, key: str, pattern: str) -> tuple[str, ...]:
        """Return a list of names of files, without folders."""
        names = self.texts(key, default=[])
        for name in names:
            if not re.fullmatch(pattern, name):
                raise self.error(key, f"must hold file names without folders, got '{name}'")
        return names

    def choice(self, key: str, allowed: Sequence[str], *, default: Any = _NONE) -> str:
        """Return one of some words."""
        value = self._get(key, default)
        if value not in allowed:
            raise self.error(key, f"must be one of {', '.join(allowed)}, got {value!r}")
        return str(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, got {value!r}")
        return value

    def number(self, key: str, *, default: Any = _NONE, low: float, high: float) -> float:
        """Return a number in a range, both ends included."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.error(key, f"must be a number from {low:g} to {high:g}, got {value!r}")
        return float(value)

    def integer(self, key: str, *, default: Any = _NONE, low: int, high: int) -> int:
        """Return a whole number in a range, both ends included."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.error(key, f"must be a whole number from {low} to {high}, got {value!r}")
        return value

    def range(self, key: str) -> tuple[float | None, float | None]:
        """Return the two ends of a range, or twice nothing."""
        value = self._get(key, None)
        if value is None:
            return None, None
        if not (isinstance(value, list) and len(value) == 2 and all(_is_number(end) for end in value)):
            raise self.error(key, f"must be two numbers, [lowest, highest], got {value!r}")
        if value[0] >= value[1]:
            raise self.error(key, f"must begin below its end, got {value!r}")
        return value[0], value[1]

    def scalars(self, key: str) -> list[Value]:
        """Return a list of numbers or texts."""
        held = self._list(key, [])
        for value in held:
            self._check_scalar(key, value)
        return held

    def pairs(self, key: str) -> list[tuple[Value, Value]]:
        """Return the pairs of a mapping from numbers or texts to the same."""
        value = self._get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, f"must map what is found to what it stands for, got {value!r}")
        for held in [*value.keys(), *value.values()]:
            self._check_scalar(key, held)
        return list(value.items())

    def _check_scalar(self, key: str, value: Any) -> None:
        if not isinstance(value, str) and not _is_number(value):
            raise self.error(key, f"must hold numbers or texts, got {value!r}")

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield all keys and values as YAML gave them, counting them as known."""
        for key, value in self._content.items():
            self._read.append(key)
            yield str(key), value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
