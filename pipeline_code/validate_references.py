"""What a definition's expressions refer to: does it exist, and of which type is it?

An expression is ``{"Get": ...}``, ``{"Std:Join": ...}`` or ``{"Std:JsonGet": ...}``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline_code.validate_shapes import DESCRIBE, member, shape_of

EXECUTION_VARIABLES = {
    "CurrentDateTime",
    "PipelineArn",
    "PipelineExecutionArn",
    "PipelineExecutionId",
    "PipelineName",
    "StartDateTime",
}
QUALITY_CHECK_PROPERTIES = {
    "BaselineUsedForDriftCheckConstraints",
    "BaselineUsedForDriftCheckStatistics",
    "CalculatedBaselineConstraints",
    "CalculatedBaselineStatistics",
}
KINDS = {"string": "String", "integer": "Integer", "long": "Integer", "float": "Float", "double": "Float"}
_EXPRESSIONS = ({"Get"}, {"Std:Join"}, {"Std:JsonGet"})


@dataclass(frozen=True)
class Found:
    """What an expression stands for.

    Parameters
    ----------
    kind
        ``String``, ``Integer``, ``Float`` or ``Boolean``; None where it is known only when the pipeline runs.
    default
        A parameter's default.
    error
        Why it stands for nothing.
    """

    kind: str | None = None
    default: Any = None
    error: str | None = None


def is_expression(value: Any) -> bool:
    """Return whether a value is an expression rather than a literal."""
    return isinstance(value, dict) and set(value) in _EXPRESSIONS


def expressions(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every expression in a value, those within others too."""
    if is_expression(value):
        yield value
    if isinstance(value, dict):
        for inner in value.values():
            yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)


def step_names(value: Any) -> set[str]:
    """Return the names of the steps that a value's expressions refer to."""
    targets = (str(expression["Get"]) for expression in expressions(value) if "Get" in expression)
    return {
        target.split(".")[1] for target in targets if target.startswith("Steps.") and target.count(".") > 1
    }


class References:
    """Resolves the expressions of one definition.

    Parameters
    ----------
    parameters
        The definition's parameters.
    steps
        All of its steps, those in branches too.
    """

    def __init__(self, parameters: list[dict[str, Any]], steps: list[dict[str, Any]]) -> None:
        self.parameters = {str(parameter["Name"]): parameter for parameter in parameters}
        self.steps = {str(step["Name"]): step for step in steps}

    def find(self, expression: dict[str, Any]) -> Found:
        """Return what an expression stands for."""
        if "Get" in expression:
            return self._get(str(expression["Get"]))
        if "Std:JsonGet" in expression:
            return self._json_get(expression["Std:JsonGet"])
        return self._join(expression["Std:Join"])

    def _get(self, target: str) -> Found:
        root, _, rest = target.partition(".")
        if root == "Parameters":
            parameter = self.parameters.get(rest)
            if parameter is None:
                return Found(error=f"{target}: there is no parameter '{rest}'")
            return Found(kind=str(parameter["Type"]), default=parameter.get("DefaultValue"))
        if root == "Execution":
            if rest not in EXECUTION_VARIABLES:
                return Found(error=f"{target}: there is no execution variable '{rest}'")
            return Found(kind="String")
        if root == "Steps":
            name, _, path = rest.partition(".")
            step = self.steps.get(name)
            if step is None:
                return Found(error=f"{target}: there is no step '{name}'")
            return self._property(target, step, path)
        return Found(error=f"{target}: must begin with Parameters, Execution or Steps")

    def _property(self, target: str, step: dict[str, Any], path: str) -> Found:
        kind = step["Type"]
        if kind == "Lambda":
            output = re.fullmatch(r"OutputParameters\['(.+)'\]", path)
            outputs = {item["OutputName"]: item["OutputType"] for item in step.get("OutputParameters", [])}
            if output is None or output[1] not in outputs:
                return Found(error=f"{target}: the function has no such output, only: {', '.join(outputs)}")
            return Found(kind=str(outputs[output[1]]))
        if kind == "QualityCheck" and path in QUALITY_CHECK_PROPERTIES:
            return Found(kind="String")
        if kind == "Condition" and path == "Outcome":
            return Found(kind="Boolean")
        if kind not in DESCRIBE:
            return Found(error=f"{target}: a step of type {kind} has no property '{path}'")
        return _described(target, step, path)

    def _json_get(self, call: dict[str, Any]) -> Found:
        target = call["PropertyFile"]["Get"]
        found = re.fullmatch(r"Steps\.([^.]+)\.PropertyFiles\.([^.]+)", target)
        if found is None:
            return Found(error=f"Std:JsonGet must name a step's property file, got {target}")
        step = self.steps.get(found[1])
        if step is None:
            return Found(error=f"{target}: there is no step '{found[1]}'")
        files = {file["PropertyFileName"]: file for file in step.get("PropertyFiles", [])}
        if found[2] not in files:
            return Found(error=f"{target}: the step has no property file '{found[2]}'")
        return Found()

    def _join(self, call: dict[str, Any]) -> Found:
        if not call["Values"]:
            return Found(error="Std:Join has no Values")
        for value in call["Values"]:
            if isinstance(value, dict) and not is_expression(value):
                return Found(error=f"Std:Join joins texts and expressions, got {value}")
        return Found(kind="String")


def output_names(step: dict[str, Any]) -> list[str]:
    """Return the names of a processing step's outputs; what has none is left to the request's check."""
    config = step["Arguments"].get("ProcessingOutputConfig")
    outputs = config.get("Outputs") if isinstance(config, dict) else None
    return [
        str(item["OutputName"])
        for item in (outputs if isinstance(outputs, list) else [])
        if isinstance(item, dict) and "OutputName" in item
    ]


def _described(target: str, step: dict[str, Any], path: str) -> Found:
    # Follow the path through the response of the step's Describe call.
    shape: Any = shape_of(DESCRIBE[step["Type"]], response=True)
    parts = re.findall(r"\['[^']+'\]|\[\d+\]|[^.\[\]]+", path)
    for part in parts:
        shape = member(shape, part)
        if shape is None:
            return Found(error=f"{target}: {DESCRIBE[step['Type']]} answers no '{part}' there")
    output = re.match(r"ProcessingOutputConfig\.Outputs\['([^']+)'\]", path)
    if output is not None:
        names = output_names(step)
        if output[1] not in names:
            return Found(error=f"{target}: the step has no output '{output[1]}', only: {', '.join(names)}")
    if not parts or shape.type_name in ("structure", "list", "map"):
        return Found(error=f"{target}: is not a single value")
    return Found(kind="Boolean" if shape.type_name == "boolean" else KINDS.get(shape.type_name))
