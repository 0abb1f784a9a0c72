"""The skeleton of a definition: what stands around the requests of its steps, with the type that each part must have.

Everything else looks into a definition only where its skeleton is sound.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
NUMBER = (int, float)
SCALAR = (str, int, float, bool)


@dataclass(frozen=True)
class Text:
    """A text that a pattern matches.

    Parameters
    ----------
    pattern
        Pattern of the whole text.
    longest
        Most characters.
    """

    pattern: str
    longest: int


@dataclass(frozen=True)
class Record:
    """A JSON object.

    Parameters
    ----------
    needed, optional
        What must and what may be there, by key; nothing else may.
    """

    needed: Mapping[str, Any]
    optional: Mapping[str, Any]


@dataclass(frozen=True)
class ListOf:
    """A JSON list.

    Parameters
    ----------
    item
        What each item must be.
    """

    item: Any


NULL = type(None)
RETRY = Record(
    {"ExceptionType": ListOf(str), "MaxAttempts": int}, {"BackoffRate": NUMBER, "IntervalSeconds": int}
)
COMMON = {"DependsOn": ListOf(str), "Description": str, "DisplayName": str}
JOB = {**COMMON, "CacheConfig": dict, "RetryPolicies": ListOf(RETRY)}
STEP_KEYS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "Condition": ({}, COMMON),
    "Fail": ({}, COMMON),
    "Lambda": (
        {
            "FunctionArn": str,
            "OutputParameters": ListOf(Record({"OutputName": str, "OutputType": str}, {})),
        },
        {**COMMON, "CacheConfig": dict},
    ),
    "Model": ({}, JOB),
    "Processing": (
        {},
        {
            **JOB,
            "PropertyFiles": ListOf(
                Record({"FilePath": str, "OutputName": str, "PropertyFileName": str}, {})
            ),
        },
    ),
    "QualityCheck": (
        {
            "CheckType": Text("DATA_QUALITY|MODEL_QUALITY", 20),
            "FailOnViolation": bool,
            "ModelPackageGroupName": (str, dict, NULL),
            "RegisterNewBaseline": bool,
            "SkipCheck": bool,
            "SuppliedBaselineConstraints": (str, dict, NULL),
            "SuppliedBaselineStatistics": (str, dict, NULL),
        },
        {**COMMON, "CacheConfig": dict},
    ),
    "RegisterModel": ({}, JOB),
    "Training": ({}, JOB),
    "Transform": ({}, JOB),
}
PARAMETER = Record(
    {"Name": Text(NAME, 256), "Type": Text("String|Integer|Float|Boolean", 7)},
    {"DefaultValue": SCALAR, "EnumValues": ListOf(SCALAR)},
)
DEFINITION = Record(
    {"Version": Text("2020-12-01", 10), "Steps": list},
    {"Parameters": ListOf(PARAMETER), "Metadata": dict, "PipelineExperimentConfig": dict},
)
CONDITION = {
    "In": Record({"Type": str, "QueryValue": (*SCALAR, dict), "Values": ListOf((*SCALAR, dict))}, {}),
    **{
        kind: Record({"Type": str, "LeftValue": (*SCALAR, dict), "RightValue": (*SCALAR, dict)}, {})
        for kind in ("Equals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo")
    },
}
EXPRESSIONS = {
    "Get": str,
    "Std:Join": Record({"On": str, "Values": ListOf((*SCALAR, dict))}, {}),
    "Std:JsonGet": Record({"PropertyFile": Record({"Get": str}, {}), "Path": Text(r"(?s).+", 1024)}, {}),
}


def skeleton_errors(definition: Any) -> list[str]:
    """Return what is missing, unknown or of the wrong type, one line each."""
    found = list(_check(definition, DEFINITION, "definition"))
    if found:
        return found
    if not definition["Steps"]:
        return ["definition.Steps: must hold at least one step"]
    return [
        error
        for number, step in enumerate(definition["Steps"])
        for error in _step(step, f"step {number + 1}")
    ]


def _step(step: Any, path: str) -> Iterator[str]:
    # Its name and type first: they say what else to look for, and what to call it.
    head = (
        {key: step[key] for key in ("Name", "Type", "Arguments") if key in step}
        if isinstance(step, dict)
        else step
    )
    kinds = "|".join(STEP_KEYS)
    found = list(
        _check(head, Record({"Name": Text(NAME, 64), "Type": Text(kinds, 16), "Arguments": dict}, {}), path)
    )
    if found:
        yield from found
        return
    path, kind, arguments = f"step {step['Name']}", step["Type"], step["Arguments"]
    needed, optional = STEP_KEYS[kind]
    yield from _check(
        {key: value for key, value in step.items() if key not in head}, Record(needed, optional), path
    )
    if kind == "Condition":
        sides = {"IfSteps": list, "ElseSteps": list}
        yield from _check(arguments, Record({"Conditions": ListOf(dict)}, sides), f"{path}.Arguments")
        for number, condition in enumerate(_items(arguments.get("Conditions"))):
            yield from _condition(condition, f"{path}.Conditions[{number}]")
        for side in sides:
            for number, inner in enumerate(_items(arguments.get(side))):
                yield from _step(inner, f"{path}.{side}[{number}]")
    else:
        yield from _expressions(step, path)


def _condition(condition: Any, path: str) -> Iterator[str]:
    kind = condition.get("Type") if isinstance(condition, dict) else None
    if not isinstance(kind, str) or kind not in CONDITION:
        yield f"{path}: Type must be one of {', '.join(CONDITION)}; got {kind!r}"
        return
    yield from _check(condition, CONDITION[kind], path)
    yield from _expressions(condition, path)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _expressions(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in EXPRESSIONS:
                if len(value) > 1:
                    yield f"{path}: an expression must have one key, got {', '.join(value)}"
                yield from _check(inner, EXPRESSIONS[key], f"{path}.{key}")
            yield from _expressions(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _expressions(inner, f"{path}[{number}]")


def _check(value: Any, wanted: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, Record):
        if not isinstance(value, dict):
            yield f"{path}: must be an object, got {value!r}"
            return
        for key in wanted.needed:
            if key not in value:
                yield f"{path}: {key} is missing"
        for key, inner in value.items():
            if key in wanted.needed or key in wanted.optional:
                yield from _check(inner, wanted.needed.get(key, wanted.optional.get(key)), f"{path}.{key}")
            else:
                yield f"{path}: there is no such key as '{key}'"
    elif isinstance(wanted, ListOf):
        if not isinstance(value, list):
            yield f"{path}: must be a list, got {value!r}"
            return
        for number, inner in enumerate(value):
            yield from _check(inner, wanted.item, f"{path}[{number}]")
    elif isinstance(wanted, Text):
        if (
            not isinstance(value, str)
            or not re.fullmatch(wanted.pattern, value)
            or len(value) > wanted.longest
        ):
            yield (
                f"{path}: must be a text of at most {wanted.longest} characters that matches {wanted.pattern};"
                f" got {value!r}"
            )
    elif not isinstance(value, wanted) or (isinstance(value, bool) and not _allows_bool(wanted)):
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        yield f"{path}: must be {' or '.join(kind.__name__ for kind in kinds)}, got {value!r}"


def _allows_bool(wanted: Any) -> bool:
    return bool in (wanted if isinstance(wanted, tuple) else (wanted,))
