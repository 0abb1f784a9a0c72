"""Typed environment variables: what is missing or malformed is said in one line that names the variable."""

from __future__ import annotations

from collections.abc import Mapping


class EnvironmentProblem(Exception):
    """A variable of the function's environment is missing or malformed."""


def text(environment: Mapping[str, str], name: str, default: str | None = None) -> str:
    """Read a variable; an empty one counts as missing.

    Raises
    ------
    EnvironmentProblem
        It is missing and has no default.
    """
    value = environment.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise EnvironmentProblem(
            f"the environment variable {name} is not set: the stack that made this function sets it"
        )
    return default


def whole_number(environment: Mapping[str, str], name: str, default: int) -> int:
    """Read a number of at least 0.

    Raises
    ------
    EnvironmentProblem
        It is not such a number.
    """
    value = text(environment, name, str(default))
    if not value.isdecimal():
        raise EnvironmentProblem(
            f"the environment variable {name} must be a whole number of at least 0, got '{value}'"
        )
    return int(value)


def one_of(environment: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    """Read a value out of `allowed`.

    Raises
    ------
    EnvironmentProblem
        It is none of them.
    """
    value = text(environment, name, default)
    if value not in allowed:
        raise EnvironmentProblem(
            f"the environment variable {name} must be one of {', '.join(allowed)}, got '{value}'"
        )
    return value


def names(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Read a comma-separated list of at least one name."""
    return tuple(part.strip() for part in text(environment, name).split(",") if part.strip())
