"""What the conditions of a condition step say about resolved values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
CONDITION_TYPES = frozenset({*COMPARISONS, "In", "Not", "Or"})


class ConditionError(ValueError):
    """A condition can't be decided, for example because its two sides are of different types."""


def holds(condition: dict[str, Any], resolve: Callable[[Any], Any]) -> bool:
    """Say whether a condition of a definition holds.

    Parameters
    ----------
    condition
        The JSON object of the condition.
    resolve
        Returns the value of an expression.

    Raises
    ------
    ConditionError
        The type of the condition isn't known, or its sides can't be compared.
    """
    kind = condition.get("Type")
    if kind == "Not":
        return not holds(condition["Condition"], resolve)
    if kind == "Or":
        return any(holds(item, resolve) for item in condition["Conditions"])
    if kind == "In":
        value = resolve(condition["QueryValue"])
        return any(_compare("Equals", value, resolve(item)) for item in condition["Values"])
    if kind in COMPARISONS:
        return _compare(str(kind), resolve(condition["LeftValue"]), resolve(condition["RightValue"]))
    raise ConditionError(f"condition type {kind!r} isn't one of {', '.join(sorted(CONDITION_TYPES))}")


def all_hold(conditions: list[dict[str, Any]], resolve: Callable[[Any], Any]) -> bool:
    """Say whether all conditions of a condition step hold; each is decided, so that a bad one always shows."""
    decided = [holds(condition, resolve) for condition in conditions]
    return all(decided)


def _compare(kind: str, left: Any, right: Any) -> bool:
    if _family(left) != _family(right):
        raise ConditionError(
            f"{kind} can't compare {left!r} ({_family(left)}) with {right!r} ({_family(right)}): "
            "give both sides one type"
        )
    if kind != "Equals" and _family(left) not in ("number", "string"):
        raise ConditionError(f"{kind} can't order {left!r} and {right!r} ({_family(left)})")
    return COMPARISONS[kind](left, right)


def _family(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else type(value).__name__
