"""Check a compiled pipeline definition, so that what SageMaker would refuse is never committed.

`errors` returns one line for each thing that is wrong. Four kinds of rule: every step is a valid request
(`validate_shapes`), every expression stands for something of the right type (`validate_references`), the graph is
one that SageMaker runs, and every job has what our roles demand of it (`validate_safeguards`). The schema that AWS
publishes refuses what its own SDK writes, so it is of no use here.

    python -m pipeline_code.validate FILE...
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_code.validate_references import References, expressions, is_expression, output_names, step_names
from pipeline_code.validate_safeguards import has_network, safeguard_errors
from pipeline_code.validate_shapes import CREATE, Request
from pipeline_code.validate_skeleton import skeleton_errors

CHARACTER_LIMIT = 1_048_576
PARAMETER_LIMIT = 200
JOB_NAME_LIMIT = 37  # see pipeline_code.jobs
ATTEMPT_LIMIT = 20

JOB_NAMES = {
    "Processing": "ProcessingJobName",
    "QualityCheck": "ProcessingJobName",
    "Training": "TrainingJobName",
    "Transform": "TransformJobName",
    "Model": "ModelName",
}
TIMED = ("Processing", "QualityCheck", "Training")
PARAMETER_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (float, int),
    "Boolean": (bool,),
}
RETRY_REASONS = {
    "Step.SERVICE_FAULT",
    "Step.THROTTLING",
    "SageMaker.JOB_INTERNAL_ERROR",
    "SageMaker.CAPACITY_ERROR",
    "SageMaker.RESOURCE_LIMIT",
}
NUMERIC_CONDITIONS = {"GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo"}
FUNCTION = (
    r"@function:[A-Za-z]+@|arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)?"
)
# What differs between accounts is a parameter. Names of regions and accounts, URIs and ARNs give a literal away.
PLACES = re.compile(
    r"arn:aws|s3://|amazonaws|\b(?:us|eu|ap|sa|ca|me|af|il|mx|cn)-(?:[a-z]+-)?"
    r"(?:north|south|east|west|central)[a-z]*-\d\b|\b\d{12}\b"
)


@dataclass(frozen=True)
class Place:
    """A step and the branch it stands in.

    Parameters
    ----------
    step
        The step.
    branch
        Name of its condition and ``IfSteps`` or ``ElseSteps``; None for a step that always runs.
    """

    step: dict[str, Any]
    branch: tuple[str, str] | None

    @property
    def name(self) -> str:
        """Return the step's name."""
        return str(self.step["Name"])

    @property
    def where(self) -> str:
        """Return the branch in words."""
        return "no branch" if self.branch is None else f"{self.branch[1]} of {self.branch[0]}"


def errors(text: str) -> list[str]:
    """Return what is wrong with a definition, one line each; nothing if SageMaker would take it.

    Parameters
    ----------
    text
        The definition, JSON.
    """
    if len(text) > CHARACTER_LIMIT:
        return [f"the definition has {len(text):,} characters, the limit is {CHARACTER_LIMIT:,}"]
    try:
        return [_one_line(error) for error in _errors(json.loads(text))]
    except RecursionError:
        return ["the definition is nested too deeply"]
    except ValueError as error:
        return [f"the definition is not JSON: {error}"]
    except (AttributeError, TypeError, KeyError) as error:
        # the rules read each part as what the documentation says it is: an object, a list, a text
        return [_one_line(f"a part of the definition is of another type than it must be: {error}")]


def _one_line(text: str) -> str:
    # names and values are quoted as the definition has them
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def _errors(definition: Any) -> list[str]:
    found = skeleton_errors(definition)
    if found:
        return found
    parameters, steps = definition.get("Parameters", []), definition["Steps"]
    places = list(_places(steps))
    references = References(parameters, [place.step for place in places])
    requests = [error for place in places for error in _request_errors(place.step, references)]
    found = [
        *_parameter_errors(parameters, steps),
        *_reference_errors(places, references),
        *_graph_errors(places),
        *requests,
        *_literal_errors(definition),
    ]
    # These look into requests, so only where they are sound.
    if not requests:
        found += [error for place in places for error in _step_errors(place.step, references)]
        in_network = has_network(parameters)
        for place in places:
            found += safeguard_errors(place.step, in_network=in_network)
        found += _output_errors(places)
    return found


def _places(steps: list[dict[str, Any]], branch: tuple[str, str] | None = None) -> Iterator[Place]:
    for step in steps:
        yield Place(step, branch)
        if step["Type"] == "Condition":
            for side in ("IfSteps", "ElseSteps"):
                yield from _places(step["Arguments"].get(side, []), (str(step["Name"]), side))


def _parameter_errors(parameters: list[dict[str, Any]], steps: list[dict[str, Any]]) -> Iterator[str]:
    if len(parameters) > PARAMETER_LIMIT:
        yield f"there are {len(parameters)} parameters, the limit is {PARAMETER_LIMIT}"
    names = [parameter["Name"] for parameter in parameters]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"parameter {name}: is declared twice"
    used = {str(expression.get("Get")) for expression in expressions(steps)}
    for parameter in parameters:
        name, kind = parameter["Name"], parameter["Type"]
        if f"Parameters.{name}" not in used:
            yield f"parameter {name}: no step uses it"
        if "DefaultValue" in parameter:
            default, types = parameter["DefaultValue"], PARAMETER_TYPES[kind]
            if not isinstance(default, types) or (isinstance(default, bool) and kind != "Boolean"):
                yield f"parameter {name}: the default {default!r} is no {kind}"
            elif parameter.get("EnumValues") and default not in parameter["EnumValues"]:
                yield f"parameter {name}: the default {default!r} is not one of {parameter['EnumValues']}"


def _reference_errors(places: list[Place], references: References) -> Iterator[str]:
    for place in places:
        own = _own(place.step)
        # The reference inside a JsonGet is a property file's, which only a JsonGet can read.
        inside = {
            id(expression["Std:JsonGet"].get("PropertyFile"))
            for expression in expressions(own)
            if "Std:JsonGet" in expression
        }
        for expression in expressions(own):
            if id(expression) not in inside:
                error = references.find(expression).error
                if error:
                    yield f"step {place.name}: {error}"


def _graph_errors(places: list[Place]) -> Iterator[str]:
    names = [place.name for place in places]
    for name in sorted({name for name in names if names.count(name) > 1}):
        where = " and ".join(place.where for place in places if place.name == name)
        yield f"step {name}: stands in {where}; a step can stand in one place only"
    known = {place.name: place for place in places}
    needs = {place.name: _needs(place.step) & set(known) for place in places}
    for place in places:
        if place.step["Type"] == "Condition" and place.branch is not None:
            yield f"step {place.name}: is a condition in {place.where}; SageMaker knows no nested condition"
        for name in place.step.get("DependsOn", []):
            if name not in known:
                yield f"step {place.name}: depends on '{name}', which isn't there"
        for name in sorted(needs[place.name]):
            other = known[name]
            if other.branch is not None and other.branch != place.branch:
                yield (
                    f"step {place.name} (in {place.where}): depends on {name} in {other.where};"
                    " branches can neither rejoin nor refer to each other"
                )
            if other.step["Type"] == "Fail":
                yield f"step {place.name}: depends on the Fail step {name}, after which nothing runs"
            if place.branch is not None and name == place.branch[0]:
                yield f"step {place.name}: depends on its own condition {name}"
    # A condition runs after all that it needs; its branches run after the condition.
    order = {name: set(inner) for name, inner in needs.items()}
    for place in places:
        if place.branch is not None:
            order[place.name].add(place.branch[0])
    yield from _cycle(order)


def _output_errors(places: list[Place]) -> Iterator[str]:
    # An input takes every object whose key begins with its URI: `.../train` would take `.../train-summary/...` too.
    uris = []
    # Except that a step may add to the folder of an earlier one which it reads as a whole.
    added = set()
    for place in places:
        arguments = place.step["Arguments"]
        read = [one["S3Input"]["S3Uri"] for one in arguments.get("ProcessingInputs", []) if "S3Input" in one]
        added |= {(place.name, _uri_text(uri)) for uri in read}
        outputs = arguments.get("ProcessingOutputConfig", {}).get("Outputs", [])
        found = [
            (output["OutputName"], output["S3Output"]["S3Uri"]) for output in outputs if "S3Output" in output
        ]
        if "TransformOutput" in arguments:
            found.append(("TransformOutput", arguments["TransformOutput"]["S3OutputPath"]))
        uris += [
            (f"{name} of {place.name}", _uri_text(uri))
            for name, uri in found
            if (place.name, _uri_text(uri)) not in added
        ]
    for number, (name, uri) in enumerate(uris):
        for other, longer in uris[:number] + uris[number + 1 :]:
            if longer.startswith(uri) and not (longer == uri and other > name):
                yield f"output {other}: its URI begins with that of output {name}, so who reads that one gets both"


def _uri_text(uri: Any) -> str:
    join = uri.get("Std:Join") if isinstance(uri, dict) else None
    return str(uri) if join is None else str(join["On"]).join(map(_uri_text, join["Values"]))


def _cycle(needs: dict[str, set[str]]) -> Iterator[str]:
    left = {name: set(inner) - {name} for name, inner in needs.items()}
    for name, inner in needs.items():
        if name in inner:
            yield f"step {name}: depends on itself"
    while ready := {name for name, inner in left.items() if not inner}:
        left = {name: inner - ready for name, inner in left.items() if name not in ready}
    if left:
        yield f"steps depend on each other in a circle: {', '.join(sorted(left))}"


def _own(step: dict[str, Any]) -> dict[str, Any]:
    """Return a step without the steps of its branches."""
    if step["Type"] != "Condition":
        return step
    return {**step, "Arguments": {"Conditions": step["Arguments"].get("Conditions", [])}}


def _needs(step: dict[str, Any]) -> set[str]:
    return step_names(_own(step)) | {str(name) for name in step.get("DependsOn", [])}


def _request_errors(step: dict[str, Any], references: References) -> list[str]:
    return Request(step, is_expression, references.find).errors() if step["Type"] in CREATE else []


def _step_errors(step: dict[str, Any], references: References) -> Iterator[str]:
    kind = step["Type"]
    if kind in CREATE:
        yield from _job_errors(step)
    if kind == "Processing":
        yield from _property_file_errors(step)
    if kind == "Lambda":
        yield from _function_errors(step, references)
    if kind == "Condition":
        yield from _condition_errors(step, references)
    if kind == "Fail":
        yield from _fail_errors(step)
    yield from _retry_errors(step)


def _job_errors(step: dict[str, Any]) -> Iterator[str]:
    name, arguments, kind = step["Name"], step["Arguments"], step["Type"]
    if "Tags" in arguments:
        yield f"step {name}: Tags belong to the pipeline, which its jobs take them from, not to a definition"
    if kind in JOB_NAMES:
        prefix = arguments.get(JOB_NAMES[kind])
        if not isinstance(prefix, str) or not re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", prefix):
            yield f"step {name}: {JOB_NAMES[kind]} must be the literal beginning of a job name, got {prefix!r}"
        elif len(prefix) > JOB_NAME_LIMIT:
            yield (
                f"step {name}: {JOB_NAMES[kind]} '{prefix}' has {len(prefix)} characters; SageMaker needs the rest"
                f" of 63 for its own part, so the limit is {JOB_NAME_LIMIT}"
            )
    if kind in TIMED and not arguments.get("StoppingCondition", {}).get("MaxRuntimeInSeconds"):
        yield f"step {name}: has no StoppingCondition.MaxRuntimeInSeconds"


def _property_file_errors(step: dict[str, Any]) -> Iterator[str]:
    names = output_names(step)
    for file in step.get("PropertyFiles", []):
        if file["OutputName"] not in names:
            yield (
                f"step {step['Name']}: property file {file['PropertyFileName']} is in output"
                f" '{file['OutputName']}', which isn't one of: {', '.join(names)}"
            )


def _function_errors(step: dict[str, Any], references: References) -> Iterator[str]:
    name, function = step["Name"], step.get("FunctionArn")
    if not isinstance(function, str) or not re.fullmatch(FUNCTION, function):
        yield f"step {name}: FunctionArn must be a marker like @function:ModelResolver@, got {function!r}"
    for key, value in step["Arguments"].items():
        kind = references.find(value).kind if is_expression(value) else type(value).__name__
        if kind not in ("String", "str", None):
            yield f"step {name}: input {key} must be a text, got a {kind}"
    for output in step.get("OutputParameters", []):
        if output.get("OutputType") != "String":
            yield f"step {name}: output {output['OutputName']} must be a String, got {output.get('OutputType')}"


def _condition_errors(step: dict[str, Any], references: References) -> Iterator[str]:
    name, arguments = step["Name"], step["Arguments"]
    if not arguments.get("Conditions"):
        yield f"step {name}: has no Conditions"
    if not arguments.get("IfSteps") and not arguments.get("ElseSteps"):
        yield f"step {name}: has no steps in either branch"
    for condition in arguments["Conditions"]:
        kind = condition["Type"]
        if kind == "In":
            operands = [condition["QueryValue"], *condition["Values"]]
        else:
            operands = [condition["LeftValue"], condition["RightValue"]]
        kinds = {_kind(operand, references) for operand in operands} - {None}
        if kind in NUMERIC_CONDITIONS and kinds - {"Integer", "Float"}:
            yield f"step {name}: condition {kind} compares numbers, got a {', '.join(sorted(map(str, kinds)))}"
        if "String" in kinds and len(kinds) > 1:
            yield f"step {name}: condition {kind} compares a text with a {min(map(str, kinds - {'String'}))}"


def _kind(value: Any, references: References) -> str | None:
    if is_expression(value):
        return references.find(value).kind
    return {str: "String", bool: "Boolean", int: "Integer", float: "Float"}.get(type(value))


def _fail_errors(step: dict[str, Any]) -> Iterator[str]:
    name, message = step["Name"], step["Arguments"].get("ErrorMessage")
    if not message or not (isinstance(message, str) or is_expression(message)):
        yield f"step {name}: ErrorMessage must be a text, got {message!r}"
    for expression in expressions(message):
        if "Std:JsonGet" in expression or str(expression.get("Get", "")).startswith("Execution."):
            yield (
                f"step {name}: ErrorMessage may hold parameters, Std:Join and step properties,"
                f" got {json.dumps(expression)}"
            )


def _retry_errors(step: dict[str, Any]) -> Iterator[str]:
    for policy in step.get("RetryPolicies", []):
        if not policy["ExceptionType"]:
            yield f"step {step['Name']}: a retry policy names no reason to retry"
        for reason in policy["ExceptionType"]:
            if reason not in RETRY_REASONS:
                yield f"step {step['Name']}: unknown retry reason '{reason}'"
        if not 1 <= policy["MaxAttempts"] <= ATTEMPT_LIMIT:
            yield f"step {step['Name']}: MaxAttempts must be from 1 to {ATTEMPT_LIMIT}, got {policy['MaxAttempts']}"


def _literal_errors(value: Any, path: str = "definition") -> Iterator[str]:
    if isinstance(value, str):
        found = PLACES.search(value)
        if found:
            yield f"{path}: '{found[0]}' names a place; what differs between accounts must be a parameter"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _literal_errors(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            label = inner.get("Name", number) if isinstance(inner, dict) else number
            yield from _literal_errors(inner, f"{path}[{label}]")


def main(arguments: list[str]) -> int:
    """Check files; return 1 if any is wrong."""
    status = 0
    for argument in arguments:
        for error in errors(Path(argument).read_text(encoding="utf-8")):
            print(f"{argument}: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
