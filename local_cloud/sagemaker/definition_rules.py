"""What SageMaker demands of a pipeline definition before it takes it.

Beside the rules that its documentation states, every step's arguments are checked against the request that the step
makes, so that a mistake shows when the pipeline is created and not when the step runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from botocore.validate import ParamValidator

from local_cloud.runner.conditions import CONDITION_TYPES
from local_cloud.runner.definition import (
    BRANCHES,
    STEP_REFERENCE,
    Branch,
    Definition,
    JsonObject,
    expressions,
    own_body,
    parse,
    walk,
)
from local_cloud.runner.jsonpath import split_path
from local_cloud.runner.retry import EXCEPTION_TYPES
from local_cloud.sagemaker.errors import invalid
from local_cloud.sagemaker.shapes import UnknownText, constraint_problems, service_model

MAX_CHARACTERS = 1_048_576
MAX_PARAMETERS = 200
EXECUTION_VARIABLES = frozenset(
    {
        "PipelineName",
        "PipelineArn",
        "PipelineExecutionId",
        "PipelineExecutionArn",
        "StartDateTime",
        "CurrentDateTime",
    }
)
# What a step calls, and what describes what it made; a QualityCheck makes a processing job but has its own properties.
CALLS = {
    "Processing": ("CreateProcessingJob", "DescribeProcessingJob"),
    "Training": ("CreateTrainingJob", "DescribeTrainingJob"),
    "Transform": ("CreateTransformJob", "DescribeTransformJob"),
    "Model": ("CreateModel", "DescribeModel"),
    "RegisterModel": ("CreateModelPackage", "DescribeModelPackage"),
    "QualityCheck": ("CreateProcessingJob", None),
}
STEP_TYPES = frozenset({*CALLS, "Lambda", "Condition", "Fail"})
_QUALITY_PROPERTIES = frozenset(
    f"{which}{kind}"
    for which in ("CalculatedBaseline", "BaselineUsedForDriftCheck")
    for kind in ("Statistics", "Constraints")
)
_GIVEN_BY_PIPELINES = ("ProcessingJobName", "TrainingJobName", "TransformJobName", "ModelName")
_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,63}")
_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (float, int),
    "Boolean": (bool,),
}


def check_definition(text: str) -> Definition:
    """Return the parsed definition of a text that keeps all rules.

    Raises
    ------
    ServiceError
        Names everything that is wrong with it.
    """
    if len(text) > MAX_CHARACTERS:
        raise _refused([f"the definition has {len(text)} characters, at most {MAX_CHARACTERS} are allowed"])
    try:
        return _checked(json.loads(text))
    except RecursionError:
        raise _refused(["Invalid JSON: it is nested too deeply"]) from None
    except ValueError as error:
        raise _refused([f"Invalid JSON: {error}"]) from None
    except (AttributeError, TypeError, KeyError) as error:
        # the rules read each part as what the documentation says it is: an object, a list, a text
        raise _refused([f"a part is of another type than it must be: {error}"]) from None


def _checked(body: Any) -> Definition:
    problems = list(_outline_problems(body))
    if problems:
        raise _refused(problems)
    steps = list(walk(body["Steps"]))
    problems += _parameter_problems(body.get("Parameters") or [])
    problems += _structure_problems(steps)
    if problems:
        raise _refused(problems)
    definition = parse(body)
    problems += [problem for step, _ in steps for problem in _step_problems(step, body, dict_of(steps))]
    problems += _order_problems(definition)
    if problems:
        raise _refused(problems)
    return definition


def dict_of(steps: list[tuple[JsonObject, Branch | None]]) -> dict[str, JsonObject]:
    """Return the JSON of all steps by name."""
    return {step["Name"]: step for step, _ in steps}


def _refused(problems: list[str]) -> Exception:
    return invalid("Unable to parse pipeline definition. " + "; ".join(problems))


def _outline_problems(body: Any) -> Iterator[str]:
    if not isinstance(body, dict):
        yield "it must be a JSON object"
        return
    if body.get("Version") != "2020-12-01":
        yield f"Version must be '2020-12-01', got {body.get('Version')!r}"
    if not isinstance(body.get("Steps"), list) or not body["Steps"]:
        yield "Steps must be a list that isn't empty"
        return
    for step, _ in walk(body["Steps"]):
        if not isinstance(step, dict) or not _NAME.fullmatch(str(step.get("Name", ""))):
            yield f"step name {step.get('Name')!r} must be 1 to 64 letters, digits and hyphens"
        elif step.get("Type") not in STEP_TYPES:
            yield f"step '{step['Name']}' has unknown type {step.get('Type')!r}, known: {', '.join(sorted(STEP_TYPES))}"
        elif not isinstance(step.get("Arguments") or {}, dict):
            yield f"step '{step['Name']}': Arguments must be an object"


def _parameter_problems(parameters: list[JsonObject]) -> Iterator[str]:
    if len(parameters) > MAX_PARAMETERS:
        yield f"{len(parameters)} parameters, at most {MAX_PARAMETERS} are allowed"
    names = [str(item.get("Name")) for item in parameters]
    yield from (
        f"parameter '{name}' is declared twice" for name in sorted({n for n in names if names.count(n) > 1})
    )
    for item in parameters:
        kind, default = item.get("Type"), item.get("DefaultValue")
        if kind not in _TYPES:
            yield f"parameter '{item.get('Name')}' has unknown type {kind!r}, known: {', '.join(_TYPES)}"
        elif default is not None and (
            not isinstance(default, _TYPES[kind]) or (isinstance(default, bool) and kind != "Boolean")
        ):
            yield f"parameter '{item.get('Name')}': default value {default!r} isn't of type {kind}"


def _structure_problems(steps: list[tuple[JsonObject, Branch | None]]) -> Iterator[str]:
    names = [step["Name"] for step, _ in steps]
    for name in sorted({name for name in names if names.count(name) > 1}):
        sides = {branch.outcome for step, branch in steps if branch and step["Name"] == name}
        where = " (in both branches of a condition step)" if len(sides) == 2 else ""
        yield f"step name '{name}' is used more than once{where}: step names must be unique"
    for step, branch in steps:
        if branch and step["Type"] == "Condition":
            outer = branch.condition
            yield f"step '{step['Name']}' is a condition step in condition step '{outer}': they can't be nested"
        if step["Type"] == "Condition":
            arguments = step.get("Arguments") or {}
            if not arguments.get("Conditions"):
                yield f"condition step '{step['Name']}' has no Conditions"
            if not any(arguments.get(key) for key in BRANCHES):
                yield f"condition step '{step['Name']}' has neither IfSteps nor ElseSteps"
            yield from _condition_problems(step["Name"], arguments.get("Conditions") or [])


def _condition_problems(name: str, conditions: list[JsonObject]) -> Iterator[str]:
    needed = {"Not": ("Condition",), "Or": ("Conditions",), "In": ("QueryValue", "Values")}
    for condition in conditions:
        kind = condition.get("Type")
        if kind not in CONDITION_TYPES:
            known = ", ".join(sorted(CONDITION_TYPES))
            yield f"step '{name}' has a condition of unknown type {kind!r}, known: {known}"
            continue
        missing = [field for field in needed.get(kind, ("LeftValue", "RightValue")) if field not in condition]
        if missing:
            yield f"step '{name}': condition {kind} lacks {', '.join(missing)}"
        elif kind == "Not":
            yield from _condition_problems(name, [condition["Condition"]])
        elif kind == "Or":
            yield from _condition_problems(name, condition["Conditions"])


def _order_problems(definition: Definition) -> Iterator[str]:
    for step in definition.steps.values():
        for name in sorted(step.waits_for):
            other = definition.steps.get(name)
            if other is None:
                yield f"step '{step.name}' depends on unknown step '{name}'"
            elif other.branch and other.branch != step.branch:
                yield (
                    f"step '{step.name}' depends on step '{name}', which stands in a branch of condition step "
                    f"'{other.branch.condition}': a branch can't be rejoined or referred to from outside"
                )
    done: set[str] = set()
    while ready := [
        n
        for n, s in definition.steps.items()
        if n not in done and s.waits_for & set(definition.steps) <= done
    ]:
        done.update(ready)
    if circle := sorted(set(definition.steps) - done):
        yield f"steps {', '.join(circle)} wait for each other: cycles aren't allowed"


def _step_problems(step: JsonObject, body: JsonObject, steps: dict[str, JsonObject]) -> Iterator[str]:
    name, kind = step["Name"], step["Type"]
    own = own_body(step)
    parameters = {item["Name"] for item in body.get("Parameters") or []}
    for operator, operand in expressions(own):
        if operator == "Get":
            yield from (f"step '{name}': {p}" for p in _reference_problems(operand, parameters, steps))
        elif operator == "Std:Join" and not (
            isinstance(operand, dict) and isinstance(operand.get("Values"), list)
        ):
            yield f"step '{name}': Std:Join needs a list of Values"
        elif operator == "Std:JsonGet":
            if kind == "Fail":
                yield f"step '{name}': Std:JsonGet isn't allowed in a Fail step"
            if (
                not isinstance(operand, dict)
                or "Path" not in operand
                or not {"PropertyFile", "S3Uri"} & set(operand)
            ):
                yield f"step '{name}': Std:JsonGet needs a Path and a PropertyFile or S3Uri"
    for policy in step.get("RetryPolicies") or []:
        unknown = sorted(set(policy.get("ExceptionType") or []) - EXCEPTION_TYPES)
        if unknown:
            yield f"step '{name}': unknown ExceptionType {', '.join(unknown)} in RetryPolicies"
    if kind == "Lambda":
        if not step.get("FunctionArn"):
            yield f"step '{name}': FunctionArn is missing"
        for output in step.get("OutputParameters") or []:
            if (output_type := output.get("OutputType")) not in _TYPES:
                yield f"step '{name}': output '{output.get('OutputName')}' has unknown type {output_type!r}"
    elif kind == "Fail" and "ErrorMessage" not in (step.get("Arguments") or {}):
        yield f"step '{name}': ErrorMessage is missing"
    elif kind in CALLS:
        yield from (f"step '{name}': {problem}" for problem in _request_problems(step))


def _reference_problems(text: Any, parameters: set[str], steps: dict[str, JsonObject]) -> Iterator[str]:
    root, _, rest = str(text).partition(".")
    if root == "Parameters":
        if rest not in parameters:
            yield f"reference '{text}' is to an undefined parameter"
    elif root == "Execution":
        if rest not in EXECUTION_VARIABLES:
            yield f"reference '{text}' is to an unknown execution variable"
    elif match := STEP_REFERENCE.match(str(text)):
        step = steps.get(match[1])
        if step is None:
            yield f"reference '{text}' is to an undefined step"
        elif not _has_property(step, match[2] or ""):
            yield f"reference '{text}' is to a property that step '{match[1]}' of type {step['Type']} doesn't have"
    else:
        yield f"reference '{text}' must begin with Parameters., Execution. or Steps."


def _has_property(step: JsonObject, path: str) -> bool:
    try:
        parts = split_path(path)
    except ValueError:
        return False
    if not parts:
        return False
    if parts[0] == "PropertyFiles":
        return len(parts) == 2 and parts[1] in {
            f.get("PropertyFileName") for f in step.get("PropertyFiles") or []
        }
    if step["Type"] == "Lambda":
        declared = {output.get("OutputName") for output in step.get("OutputParameters") or []}
        return len(parts) == 2 and parts[0] == "OutputParameters" and parts[1] in declared
    if step["Type"] == "QualityCheck":
        return len(parts) == 1 and parts[0] in _QUALITY_PROPERTIES
    if step["Type"] not in CALLS:
        return False
    if parts[:2] == ["ProcessingOutputConfig", "Outputs"] and len(parts) > 2 and isinstance(parts[2], str):
        outputs = (step["Arguments"].get("ProcessingOutputConfig") or {}).get("Outputs") or []
        if parts[2] not in {output.get("OutputName") for output in outputs}:
            return False
    return _in_shape(parts, service_model().operation_model(CALLS[step["Type"]][1]).output_shape)


def _in_shape(parts: list[str | int], shape: Any) -> bool:
    for part in parts:
        if shape.type_name == "structure" and part in shape.members:
            shape = shape.members[part]
        elif shape.type_name == "list":
            shape = shape.member
        elif shape.type_name == "map":
            shape = shape.value
        else:
            return False
    return True


def _request_problems(step: JsonObject) -> Iterator[str]:
    shape = service_model().operation_model(CALLS[step["Type"]][0]).input_shape
    names = {field: "name" for field in _GIVEN_BY_PIPELINES if field in shape.required_members}
    arguments = {**names, **(step.get("Arguments") or {})}
    problems: list[str] = []
    sample = _sample(arguments, shape, problems)
    yield from problems
    yield from (
        line for line in ParamValidator().validate(sample, shape).generate_report().splitlines() if line
    )
    yield from constraint_problems(sample, shape)


def _sample(value: Any, shape: Any, problems: list[str]) -> Any:
    """Return a request with a fitting value in the place of each expression."""
    if (
        isinstance(value, dict)
        and len(value) == 1
        and next(iter(value)) in ("Get", "Std:Join", "Std:JsonGet")
    ):
        return _any_value(shape, value, problems)
    if shape.type_name == "structure" and isinstance(value, dict):
        members = shape.members
        kept = {name: item for name, item in value.items() if item is not None}
        return {n: _sample(item, members[n], problems) if n in members else item for n, item in kept.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [_sample(item, shape.member, problems) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {name: _sample(item, shape.value, problems) for name, item in value.items()}
    return value


def _any_value(shape: Any, expression: JsonObject, problems: list[str]) -> Any:
    kind = shape.type_name
    if kind in ("integer", "long"):
        return max(1, int(shape.metadata.get("min", 1)))
    if kind in ("float", "double"):
        return 1.0
    if kind == "boolean":
        return True
    if kind == "string":
        return UnknownText("x" * max(1, int(shape.metadata.get("min", 1))))
    problems.append(f"expression {json.dumps(expression)} stands where a {kind} is expected")
    return {} if kind in ("structure", "map") else []
