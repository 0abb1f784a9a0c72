"""Requests and answers in the shapes of botocore's model of SageMaker."""

from __future__ import annotations

import functools
import re
from datetime import datetime
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from local_cloud.sagemaker.errors import ServiceError, invalid


class UnknownText(str):
    """Stands for a string that isn't known yet: no pattern and no list of values can be held against it."""

    __slots__ = ()


@functools.cache
def service_model() -> Any:
    """Return botocore's model of SageMaker."""
    return botocore.session.get_session().get_service_model("sagemaker")


def input_shape(operation: str) -> Any:
    """Return the shape of an operation's request.

    Raises
    ------
    ServiceError
        SageMaker has no such operation.
    """
    if operation not in service_model().operation_names:
        raise ServiceError("UnknownOperationException", f"SageMaker has no operation {operation!r}")
    return service_model().operation_model(operation).input_shape


def check_request(operation: str, request: dict[str, Any]) -> None:
    """Check a request against the shape of its operation: members, types, lengths, patterns, allowed values.

    Raises
    ------
    ServiceError
        With all that is wrong, in SageMaker's words where they are known.
    """
    shape = input_shape(operation)
    if shape is None:
        return
    problems = [
        line for line in ParamValidator().validate(request, shape).generate_report().splitlines() if line
    ]
    problems += constraint_problems(request, shape)
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise invalid(count + "; ".join(problems))


def constraint_problems(value: Any, shape: Any, path: str = "") -> list[str]:
    """Return what botocore's own check leaves out: upper limits, patterns and allowed values."""
    if shape.type_name == "structure" and isinstance(value, dict):
        return [
            problem
            for name, item in value.items()
            if name in shape.members
            for problem in constraint_problems(item, shape.members[name], _below(path, name))
        ]
    if shape.type_name == "list" and isinstance(value, list):
        members = enumerate(value, start=1)
        problems = [
            p for i, item in members for p in constraint_problems(item, shape.member, f"{path}.{i}.member")
        ]
        return problems + _too_many(value, shape, path)
    if shape.type_name == "map" and isinstance(value, dict):
        inside = [
            p for k, item in value.items() for p in constraint_problems(item, shape.value, _below(path, k))
        ]
        return inside + _too_many(value, shape, path)
    if shape.type_name == "string" and isinstance(value, str):
        return _string_problems(value, shape, path)
    if shape.type_name in ("integer", "long", "float", "double") and isinstance(value, int | float):
        limit = shape.metadata.get("max")
        return (
            [_failed(value, path, f"Member must have value less than or equal to {limit}")]
            if _over(value, limit)
            else []
        )
    return []


def _below(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered


def _over(value: float, limit: float | None) -> bool:
    return limit is not None and value > limit


def _too_many(value: Any, shape: Any, path: str) -> list[str]:
    limit = shape.metadata.get("max")
    rule = f"Member must have length less than or equal to {limit}"
    return [_failed(f"{len(value)} items", path, rule)] if _over(len(value), limit) else []


def _string_problems(value: str, shape: Any, path: str) -> list[str]:
    problems: list[str] = []
    if isinstance(value, UnknownText):
        return problems
    allowed, pattern, limit = (
        getattr(shape, "enum", None),
        shape.metadata.get("pattern"),
        shape.metadata.get("max"),
    )
    if allowed and value not in allowed:
        problems.append(_failed(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]"))
    if _over(len(value), limit):
        problems.append(_failed(value[:80], path, f"Member must have length less than or equal to {limit}"))
    # Python knows no \p{...}: such patterns stay unchecked.
    if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value, re.DOTALL):
        problems.append(
            _failed(value[:80], path, f"Member must satisfy regular expression pattern: {pattern}")
        )
    return problems


def _failed(value: Any, path: str, rule: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {rule}"


def shape_answer(operation: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with only the members that the operation's output has, times as seconds since the epoch."""
    shape = service_model().operation_model(operation).output_shape
    return {} if shape is None else dict(_shaped(answer, shape))


def _shaped(value: Any, shape: Any) -> Any:
    if shape.type_name == "structure" and isinstance(value, dict):
        members = shape.members
        return {
            n: _shaped(item, members[n]) for n, item in value.items() if n in members and item is not None
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_shaped(item, shape.member) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {name: _shaped(item, shape.value) for name, item in value.items()}
    return value.timestamp() if isinstance(value, datetime) else value
