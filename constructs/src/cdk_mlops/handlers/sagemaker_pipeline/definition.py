"""The compiled definition becomes an account's: parameter defaults are filled in, function markers replaced."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from shared.text import shorten

# SageMaker: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreatePipeline.html
MOST_CHARACTERS = 1_048_576
MOST_VALUE_CHARACTERS = 1024
# SageMaker appends 26 characters to the beginning of a job's name, which has at most 63.
MOST_JOB_NAME_CHARACTERS = 37
_JOB_NAMES = ("ProcessingJobName", "TrainingJobName", "TransformJobName", "ModelName")
_MARKER = re.compile(r"@function:([^@\s]*)@")


class BadDefinition(Exception):
    """The definition, or what is to be filled into it, is wrong."""


def render(
    source: str,
    defaults: Mapping[str, str],
    functions: Mapping[str, str],
    rename_jobs: Mapping[str, str] | None = None,
) -> str:
    """Fill a compiled definition.

    Parameters
    ----------
    source
        The JSON as compiled.
    defaults
        Value of each parameter, as text; replaces a default that is there.
    functions
        ARN for each marker `@function:NAME@`, by NAME.
    rename_jobs
        What names of jobs and models begin with, and what with instead. Default: they stay.

    Raises
    ------
    BadDefinition
        It is no definition; a name is unknown; a value doesn't fit its type; a parameter is left without a default; a
        marker is left; a job can't be renamed; or the result is longer than SageMaker takes.
    """
    definition = _parse(source)
    _fill_defaults(definition.setdefault("Parameters", []), defaults)
    filled = _replace_markers(definition, functions)
    if rename_jobs:
        _rename_jobs(filled["Steps"], rename_jobs)
    text = json.dumps(filled, ensure_ascii=False, separators=(",", ":"))
    if len(text) > MOST_CHARACTERS:
        raise BadDefinition(
            f"the definition has {len(text):,} characters; SageMaker takes at most {MOST_CHARACTERS:,}: "
            "move literals into files of the code asset"
        )
    return text


def _parse(source: str) -> dict[str, Any]:
    try:
        definition = json.loads(source)
    except ValueError as error:
        raise BadDefinition(f"the definition is no JSON: {error}") from error
    if not isinstance(definition, dict) or not isinstance(definition.get("Steps"), list):
        raise BadDefinition("the definition must be a JSON object with a list of Steps")
    parameters = definition.get("Parameters", [])
    if not isinstance(parameters, list) or not all(
        isinstance(one, dict) and "Name" in one for one in parameters
    ):
        raise BadDefinition("the definition's Parameters must be a list of objects with a Name")
    return definition


def _fill_defaults(parameters: list[dict[str, Any]], defaults: Mapping[str, str]) -> None:
    known = {parameter["Name"]: parameter for parameter in parameters}
    unknown = sorted(set(defaults) - set(known))
    if unknown:
        raise BadDefinition(
            f"the definition has no parameter {_quoted(unknown)}; it has {', '.join(known) or 'no parameters at all'}"
        )
    for name, value in defaults.items():
        known[name]["DefaultValue"] = _convert(known[name], value)
    empty = [name for name, parameter in known.items() if parameter.get("DefaultValue") is None]
    if empty:
        raise BadDefinition(f"no default is given for {_quoted(empty)}: each parameter needs one")


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _convert(parameter: Mapping[str, Any], value: str) -> str | int | float | bool:
    name, kind = parameter["Name"], parameter.get("Type", "String")
    converted: str | int | float | bool
    try:
        if kind == "String":
            converted = value
        elif kind == "Integer":
            converted = int(value)
        elif kind == "Float":
            converted = float(value)
            if not math.isfinite(converted):
                raise ValueError(value)
        elif kind == "Boolean":
            converted = {"true": True, "false": False}[value.strip().lower()]
        else:
            raise BadDefinition(f"the parameter '{name}' has the type '{kind}', which isn't known")
    except (ValueError, KeyError):
        raise BadDefinition(f"the parameter '{name}' is of type {kind}, got '{shorten(value, 80)}'") from None
    if len(value) > MOST_VALUE_CHARACTERS:
        raise BadDefinition(
            f"the value of '{name}' has {len(value)} characters, more than {MOST_VALUE_CHARACTERS}"
        )
    allowed = parameter.get("EnumValues")
    if allowed and converted not in allowed:
        raise BadDefinition(f"the parameter '{name}' must be one of {allowed}, got '{shorten(value, 80)}'")
    return converted


def _replace_markers(node: Any, functions: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _replace_markers(value, functions) for key, value in node.items()}
    if isinstance(node, list):
        return [_replace_markers(value, functions) for value in node]
    if not isinstance(node, str):
        return node

    def arn(match: re.Match[str]) -> str:
        if match.group(1) not in functions:
            given = ", ".join(functions) or "none"
            raise BadDefinition(f"no function is given for the marker '{match.group(0)}' (given: {given})")
        return functions[match.group(1)]

    return _MARKER.sub(arn, node)


def _rename_jobs(steps: Any, names: Mapping[str, str]) -> None:
    """Give jobs and models names that begin otherwise; whatever has none of the beginnings would keep a stranger's."""
    for step in steps:
        arguments = step.get("Arguments")
        if not isinstance(arguments, dict):
            continue
        for key in _JOB_NAMES:
            name = arguments.get(key)
            if isinstance(name, str):
                arguments[key] = _renamed(name, names)
        for branch in ("IfSteps", "ElseSteps"):
            _rename_jobs(arguments.get(branch) or [], names)


def _renamed(name: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        if name.startswith(f"{old}-"):
            return (new + name[len(old) :])[:MOST_JOB_NAME_CHARACTERS].rstrip("-")
    raise BadDefinition(
        f"the job name '{name}' begins with none of {', '.join(names)}, so it can't be renamed"
    )
