"""Steps against the shapes of SageMaker's API, as botocore knows them.

A step's arguments are the request of a Create call. Expressions are replaced by samples of their type; then types,
required and unknown fields, enumerations, patterns and lengths are checked as the API would.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

CREATE = {
    "Processing": "CreateProcessingJob",
    "QualityCheck": "CreateProcessingJob",
    "Training": "CreateTrainingJob",
    "Transform": "CreateTransformJob",
    "Model": "CreateModel",
    "RegisterModel": "CreateModelPackage",
}
DESCRIBE = {
    "Processing": "DescribeProcessingJob",
    "Training": "DescribeTrainingJob",
    "Transform": "DescribeTransformJob",
    "Model": "DescribeModel",
    "RegisterModel": "DescribeModelPackage",
}
_WHOLE = ("integer", "long")
_REAL = ("float", "double")


@lru_cache(maxsize=1)
def _service() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


def shape_of(operation: str, *, response: bool = False) -> Any:
    """Return the shape of an operation's request or response."""
    model = _service().operation_model(operation)
    return model.output_shape if response else model.input_shape


def member(shape: Any, part: str) -> Any | None:
    """Return the shape below a field, ``[0]`` or ``['name']``; None if there is none."""
    if shape.type_name == "structure":
        return shape.members.get(part)
    if not part.startswith("["):
        return None
    if shape.type_name == "list":
        return shape.member
    return shape.value if shape.type_name == "map" else None


class Request:
    """Checks one step's arguments.

    Parameters
    ----------
    step
        The step.
    is_expression
        Whether a value is an expression.
    find
        What an expression stands for: kind, default, error.
    """

    def __init__(
        self, step: dict[str, Any], is_expression: Callable[[Any], bool], find: Callable[[Any], Any]
    ) -> None:
        self._step = step
        self._is_expression = is_expression
        self._find = find
        self._errors: list[str] = []

    def errors(self) -> list[str]:
        """Return what the Create call would refuse."""
        shape = shape_of(CREATE[self._step["Type"]])
        sample = self._sample(self._step["Arguments"], shape, "")
        report = ParamValidator().validate(sample, shape)
        if report.has_errors():
            self._errors += [line.strip() for line in report.generate_report().splitlines()]
        return [f"step {self._step['Name']}: {error}" for error in self._errors]

    def _sample(self, value: Any, shape: Any, path: str) -> Any:
        if self._is_expression(value):
            return self._sample_expression(value, shape, path)
        if shape.type_name == "structure" and isinstance(value, dict):
            return {
                key: self._sample(inner, shape.members[key], f"{path}.{key}".lstrip("."))
                if key in shape.members
                else self._unknown(f"{path}.{key}".lstrip("."), inner)
                for key, inner in value.items()
            }
        if shape.type_name == "map" and isinstance(value, dict):
            return {key: self._sample(inner, shape.value, f"{path}['{key}']") for key, inner in value.items()}
        if shape.type_name == "list" and isinstance(value, list):
            return [self._sample(inner, shape.member, f"{path}[{n}]") for n, inner in enumerate(value)]
        self._literal(value, shape, path)
        return value

    def _unknown(self, path: str, value: Any) -> Any:
        self._errors.append(f"{path}: the API knows no such field")
        return value

    def _sample_expression(self, expression: dict[str, Any], shape: Any, path: str) -> Any:
        found = self._find(expression)
        if found.error:  # told once, with the other references
            return _dummy(shape)
        if shape.type_name in ("structure", "list", "map"):
            self._errors.append(f"{path}: an expression can't stand for a whole {shape.type_name}")
            return {} if shape.type_name != "list" else []
        if found.kind is not None and not _fits(found.kind, shape.type_name):
            self._errors.append(
                f"{path}: {_text(expression)} is a {found.kind} where a {shape.type_name} is expected"
            )
            return _dummy(shape)
        if found.default is not None and "Get" in expression:
            self._literal(found.default, shape, path)
            return found.default
        return _dummy(shape)

    def _literal(self, value: Any, shape: Any, path: str) -> None:
        if shape.type_name != "string" or not isinstance(value, str):
            return
        if getattr(shape, "enum", None) and value not in shape.enum:
            self._errors.append(f"{path}: '{value}' is none of the API's values")
        limit, pattern = shape.metadata.get("max"), shape.metadata.get("pattern")
        if limit is not None and len(value) > limit:
            self._errors.append(f"{path}: has {len(value)} characters, the limit is {limit}")
        # Patterns are written for Java: what Python can't read is left to the service.
        if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value):
            self._errors.append(f"{path}: '{value}' doesn't match {pattern}")


def _fits(kind: str, type_name: str) -> bool:
    if type_name in _WHOLE:
        return kind == "Integer"
    if type_name in _REAL:
        return kind in ("Integer", "Float")
    return kind == {"boolean": "Boolean"}.get(type_name, "String")


def _dummy(shape: Any) -> Any:
    if shape.type_name in _WHOLE:
        return max(1, shape.metadata.get("min", 1))
    if shape.type_name in _REAL:
        return 1.0
    if shape.type_name == "boolean":
        return True
    if getattr(shape, "enum", None):
        return shape.enum[0]
    return "x" * max(1, shape.metadata.get("min", 1))


def _text(expression: dict[str, Any]) -> str:
    return str(expression.get("Get", next(iter(expression))))
