"""Reads one object of the settings, key by key, and words every mistake as one line with the value and the fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
LONGEST_LINE = 600
LONGEST_WORD = 100


class SettingsError(ValueError):
    """A mistake in the settings: one line that names the setting, the value and the fix.

    Keys and values are quoted in it: what can't be printed is shown as a question mark, and what is long is cut.
    """

    def __init__(self, message: str) -> None:
        line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(message.split()))
        super().__init__(line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}...")


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest known word, or nothing."""
    if len(word) > LONGEST_WORD:
        return ""  # nobody's slip, and comparing it would take minutes
    swapped = [
        one for one in known if sorted(one) == sorted(word)
    ]  # letters in another order: the commonest slip
    close = swapped or difflib.get_close_matches(word, known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


class Section:
    """One JSON object of the settings. Read the keys, then call `done`, which refuses those nobody asked for."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise SettingsError(f"{path} must be an object, got {value!r}")
        self._values: Mapping[str, object] = value
        self._asked: list[str] = []
        self.path = path

    def name(self, key: str) -> str:
        """Return the full name of a key, as a user would look for it."""
        return f"{self.path}.{key}"

    def fail(self, key: str, rule: str) -> SettingsError:
        """Return the error for a key's value."""
        return SettingsError(f"{self.name(key)} {rule}, got {self._values.get(key)!r}")

    def raw(self, key: str) -> object:
        """Return the value of a key as it stands, None where it's missing."""
        self._asked.append(key)
        return self._values.get(key)

    def text(self, key: str, default: str | None, *, pattern: str, rule: str) -> str:
        """Return a string that matches a pattern; ``rule`` completes "<key> must ..."."""
        value = self.raw(key)
        value = default if value is None else value
        if value is None:
            raise SettingsError(f"{self.name(key)} is missing: it must {rule}")
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            raise self.fail(key, f"must {rule}")
        return value

    def optional_text(self, key: str, *, pattern: str, rule: str) -> str | None:
        """Return a string that matches a pattern, or None where the key is missing or null."""
        return (
            None
            if self._values.get(key) is None and self._note(key)
            else self.text(key, None, pattern=pattern, rule=rule)
        )

    def choice(self, key: str, default: str, choices: Sequence[str]) -> str:
        """Return one of a few words."""
        value = self.raw(key)
        value = default if value is None else value
        if value not in choices:
            hint = suggestion(value, choices) if isinstance(value, str) else ""
            raise self.fail(key, f"must be one of {', '.join(choices)}{hint}")
        return str(value)

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fail(key, "must be true or false")
        return value

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        """Return a number within both limits."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.fail(key, f"must be a number from {low:g} to {high:g}")
        return float(value)

    def whole(self, key: str, default: int, *, low: int, high: int) -> int:
        """Return a whole number within both limits."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.fail(key, f"must be a whole number from {low} to {high}")
        return value

    def texts(self, key: str, *, pattern: str, rule: str) -> tuple[str, ...]:
        """Return a list of strings that match a pattern; nothing by default."""
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.fail(key, "must be a list")
        for item in value:
            if not isinstance(item, str) or not re.fullmatch(pattern, item, re.ASCII):
                raise SettingsError(f"{self.name(key)} must hold {rule}, got {item!r}")
        return tuple(value)

    def section(self, key: str) -> Section:
        """Return an object within this one; an empty one where it's missing."""
        value = self.raw(key)
        return Section({} if value is None else value, self.name(key))

    def sections(self, key: str, parse: Callable[[Section], T]) -> tuple[T, ...] | None:
        """Parse a list of objects; None where it's missing."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.fail(key, "must be a list")
        return tuple(parse(Section(item, f"{self.name(key)}[{i}]")) for i, item in enumerate(value))

    def mapping(self, key: str) -> dict[str, Any]:
        """Return an object whose keys the caller knows; empty where it's missing."""
        value = self.raw(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.fail(key, "must be an object")
        return dict(value)

    def done(self) -> None:
        """Refuse the keys that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                hint = suggestion(key, self._asked) or f"; known are {', '.join(sorted(set(self._asked)))}"
                raise SettingsError(f"{self.name(key)} is not a setting{hint}")

    def _note(self, key: str) -> bool:
        self._asked.append(key)
        return True
