"""Values of the expressions in a definition while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local_cloud.runner.definition import STEP_REFERENCE, Parameter
from local_cloud.runner.jsonpath import look_up

ReadObject = Callable[[str], bytes]


class ResolveError(ValueError):
    """An expression has no value."""


@dataclass(frozen=True)
class ExecutionIdentity:
    """What a run is called and when it began."""

    pipeline_name: str
    pipeline_arn: str
    execution_id: str
    execution_arn: str
    started: datetime

    def variable(self, name: str) -> str:
        """Return the value of ``Execution.<name>``."""
        values = {
            "PipelineName": self.pipeline_name,
            "PipelineArn": self.pipeline_arn,
            "PipelineExecutionId": self.execution_id,
            "PipelineExecutionArn": self.execution_arn,
            "StartDateTime": _timestamp(self.started),
            "CurrentDateTime": _timestamp(datetime.now(UTC)),
        }
        if name not in values:
            raise ResolveError(f"execution variable {name!r} isn't one of {', '.join(values)}")
        return values[name]


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class StepOutcome:
    """What later steps can ask of a step that has ended well.

    Attributes
    ----------
    properties
        The answer of the Describe call of what the step made; for a Lambda step ``OutputParameters``.
    property_files
        Object URIs by the name of the property file.
    """

    properties: dict[str, Any] = field(default_factory=dict)
    property_files: dict[str, str] = field(default_factory=dict)


class Resolver:
    """Resolves the expressions of one run.

    Parameters
    ----------
    identity
        Names of the run.
    parameters
        Values of the pipeline's parameters.
    read_object
        Reads the object at an S3 URI with the permissions of the pipeline's role.
    """

    def __init__(
        self, identity: ExecutionIdentity, parameters: Mapping[str, Any], read_object: ReadObject
    ) -> None:
        self._identity = identity
        self._parameters = parameters
        self._read_object = read_object
        self._outcomes: dict[str, StepOutcome] = {}
        self._files: dict[str, Any] = {}

    def record(self, step: str, outcome: StepOutcome) -> None:
        """Keep what a step has made, for the steps after it."""
        self._outcomes[step] = outcome

    def resolve(self, value: Any) -> Any:
        """Return a JSON value with each expression in it replaced by its value.

        Raises
        ------
        ResolveError
            An expression refers to something that isn't there.
        """
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            operator, operand = next(iter(value.items()))
            if operator == "Get":
                return self._get(operand)
            if operator == "Std:Join":
                return operand.get("On", "").join(as_text(self.resolve(item)) for item in operand["Values"])
            if operator == "Std:JsonGet":
                return self._json_get(operand)
        return {name: self.resolve(item) for name, item in value.items()}

    def _get(self, reference: str) -> Any:
        root, _, rest = reference.partition(".")
        if root == "Parameters":
            if rest not in self._parameters:
                raise ResolveError(f"parameter {rest!r} has no value")
            return self._parameters[rest]
        if root == "Execution":
            return self._identity.variable(rest)
        match = STEP_REFERENCE.match(reference)
        if not match or match[2] is None:
            raise ResolveError(f"reference {reference!r} is of no known kind")
        if match[1] not in self._outcomes:
            raise ResolveError(f"reference {reference!r}: step {match[1]!r} has not run")
        try:
            return look_up(self._outcomes[match[1]].properties, match[2])
        except (LookupError, ValueError) as error:
            raise ResolveError(f"reference {reference!r}: {error}") from error

    def _json_get(self, operand: dict[str, Any]) -> Any:
        uri = (
            self.resolve(operand["S3Uri"])
            if "S3Uri" in operand
            else self._property_file(operand["PropertyFile"])
        )
        if uri not in self._files:
            self._files[uri] = self._parsed(uri)
        path = str(self.resolve(operand["Path"]))
        try:
            return look_up(self._files[uri], path)
        except (LookupError, ValueError) as error:
            raise ResolveError(f"JsonGet of {uri}: {error}") from error

    def _property_file(self, reference: Any) -> str:
        text = reference.get("Get", "") if isinstance(reference, dict) else str(reference)
        match = STEP_REFERENCE.match(text)
        name = (match[2] or "").removeprefix("PropertyFiles.") if match else ""
        outcome = self._outcomes.get(match[1]) if match else None
        if outcome is None or name not in outcome.property_files:
            raise ResolveError(f"property file {text!r} isn't there")
        return outcome.property_files[name]

    def _parsed(self, uri: str) -> Any:
        try:
            return json.loads(self._read_object(uri))
        except ValueError as error:
            raise ResolveError(f"property file {uri} isn't JSON: {error}") from error


def as_text(value: Any) -> str:
    """Return a value as it appears in a joined string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def parameter_value(parameter: Parameter, text: str) -> Any:
    """Return the value of a parameter given as text, in the parameter's type.

    Raises
    ------
    ValueError
        The text isn't of the type, or not among the allowed values.
    """
    value: Any = text
    try:
        if parameter.type == "Integer":
            value = int(text)
        elif parameter.type == "Float":
            value = float(text)
        elif parameter.type == "Boolean":
            value = {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        raise ValueError(
            f"Parameter '{parameter.name}' has value '{text}', which isn't of type {parameter.type}"
        ) from None
    if parameter.enum_values and value not in parameter.enum_values:
        allowed = ", ".join(as_text(item) for item in parameter.enum_values)
        raise ValueError(f"Parameter '{parameter.name}' has value '{text}', which isn't one of: {allowed}")
    return value


def parameter_values(parameters: Mapping[str, Parameter], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of all parameters of a pipeline for a start.

    Raises
    ------
    ValueError
        A given name isn't a parameter, a value isn't of its type, or a parameter without default has no value.
    """
    unknown = sorted(set(given) - set(parameters))
    if unknown:
        raise ValueError(
            f"Unknown parameter(s) [{', '.join(unknown)}]: not defined in the pipeline definition"
        )
    missing = sorted(name for name, item in parameters.items() if item.default is None and name not in given)
    if missing:
        raise ValueError(f"Missing value(s) for parameter(s) [{', '.join(missing)}] without a default value")
    return {
        name: parameter_value(item, given[name]) if name in given else item.default
        for name, item in parameters.items()
    }
