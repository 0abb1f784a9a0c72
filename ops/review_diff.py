"""What differs between two pipeline definitions, and between two templates: in lines that a person can read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.iam.templates import Template, readable

#: Parameters that say which commit, code or definition it is: told elsewhere, and different each time.
IDENTITY = ("CodeUri", "GitCommit", "DefinitionSha256")
_MARKER = re.compile(r"@function:([^@\s]*)@")
_LONGEST_VALUE = 90
_MOST_LINES = 25  # of one resource or pipeline
_NOTHING = object()


@dataclass(frozen=True)
class Change:
    """One thing that was ``added``, ``removed`` or ``changed``, and how."""

    how: str
    what: str
    lines: tuple[str, ...] = ()


# --- values


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a JSON value with their paths; a list of plain values is one leaf."""
    if isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from flat(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(one, Mapping | list) for one in value):
        for number, one in enumerate(value):
            yield from flat(one, f"{path}[{number}]")
    else:
        yield path, value


def shown(value: Any) -> str:
    """Return a value for a person, shortened."""
    if value is _NOTHING:
        return "nothing"
    text = readable(
        value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    )
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 4]} ..."


def differences(old: Any, new: Any) -> list[str]:
    """Return one line a leaf that differs: ``path: old -> new``."""
    before, after = dict(flat(old)), dict(flat(new))
    lines = []
    for path in dict.fromkeys([*before, *after]):
        one, other = before.get(path, _NOTHING), after.get(path, _NOTHING)
        if one == other and type(one) is type(other):
            continue
        if isinstance(one, list) and isinstance(other, list):
            gone = [shown(item) for item in one if item not in other]
            come = [shown(item) for item in other if item not in one]
            words = [f"without {', '.join(gone)}"] * bool(gone) + [f"with {', '.join(come)}"] * bool(come)
            lines.append(f"{path}: {' and '.join(words) or 'in another order'}")
        else:
            lines.append(f"{path}: {shown(one)} -> {shown(other)}")
    return lines


def _shortened(lines: Sequence[str]) -> tuple[str, ...]:
    more = len(lines) - _MOST_LINES
    return tuple(lines[:_MOST_LINES]) + ((f"and {more} more lines",) if more > 0 else ())


# --- definitions


def filled(
    definition: Mapping[str, Any], defaults: Mapping[str, Any], functions: Mapping[str, str]
) -> dict[str, Any]:
    """Return a compiled definition as the custom resource would fill it."""
    text = _MARKER.sub(lambda found: functions.get(found[1], found[0]), json.dumps(definition))
    result: dict[str, Any] = json.loads(text)
    for parameter in result.get("Parameters", []):
        if parameter["Name"] in defaults:
            parameter["DefaultValue"] = defaults[parameter["Name"]]
    return result


def definition_changes(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[Change]:
    """Return which parameters and steps of a definition differ.

    Parameters
    ----------
    old
        What is deployed; None where the pipeline isn't there.
    """
    if old is None:
        names = [step["Name"] for step, _ in _steps(new.get("Steps", []))]
        return [Change("added", f"{len(names)} steps: {', '.join(names)}")]
    return [*_parameter_changes(old, new), *_step_changes(old, new)]


def _parameter_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    before, after = (
        {one["Name"]: one for one in definition.get("Parameters", []) if one["Name"] not in IDENTITY}
        for definition in (old, new)
    )
    changes = []
    for name in dict.fromkeys([*before, *after]):
        if name not in before:
            changes.append(Change("added", f"parameter {name} = {shown(after[name].get('DefaultValue'))}"))
        elif name not in after:
            changes.append(Change("removed", f"parameter {name}"))
        elif not _same_value(before[name], after[name]):
            values = [shown(one.get("DefaultValue")) for one in (before[name], after[name])]
            changes.append(Change("changed", f"parameter {name}: {values[0]} -> {values[1]}"))
        elif before[name].get("EnumValues") != after[name].get("EnumValues"):
            changes.append(Change("changed", f"what parameter {name} may be"))
    return changes


def _same_value(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two defaults are the same; a template writes numbers as text."""
    values = [given.get("DefaultValue") for given in (one, other)]
    if values[0] == values[1]:
        return True
    try:
        return one.get("Type") in ("Integer", "Float") and float(str(values[0])) == float(str(values[1]))
    except ValueError:
        return False


def _step_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    before, after = (
        {step["Name"]: (step, branch) for step, branch in _steps(definition.get("Steps", []))}
        for definition in (old, new)
    )
    changes = []
    for name in dict.fromkeys([*before, *after]):
        if name not in before:
            step, branch = after[name]
            changes.append(Change("added", f"step {name} ({step['Type']}{branch})"))
        elif name not in after:
            changes.append(Change("removed", f"step {name} ({before[name][0]['Type']})"))
        elif before[name] != after[name]:
            lines = differences(*(_alone(*one) for one in (before[name], after[name])))
            changes.append(Change("changed", f"step {name}", _shortened(lines)))
    return changes


def _steps(steps: Sequence[Mapping[str, Any]], branch: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Yield all steps with the branch that each stands in; a condition without the steps of its branches."""
    for step in steps:
        arguments = dict(step.get("Arguments") or {}) if isinstance(step.get("Arguments"), Mapping) else {}
        inner = {key: arguments.pop(key, None) or [] for key in ("IfSteps", "ElseSteps")}
        if step.get("Type") != "Condition":
            yield dict(step), branch
            continue
        yield {**step, "Arguments": arguments}, branch
        for key, word in (("IfSteps", "if"), ("ElseSteps", "else")):
            yield from _steps(inner[key], f", where {step['Name']} says {word}")


def _alone(step: Mapping[str, Any], branch: str) -> dict[str, Any]:
    return {**step, "Branch": branch.removeprefix(", ")} if branch else dict(step)


# --- templates

_WORDS = {
    "AWS::IAM::Role": "role",
    "AWS::IAM::Policy": "policy",
    "AWS::S3::Bucket": "bucket",
    "AWS::S3::BucketPolicy": "bucket policy",
    "AWS::SQS::Queue": "queue",
    "AWS::SQS::QueuePolicy": "queue policy",
    "AWS::SNS::Topic": "topic",
    "AWS::SNS::TopicPolicy": "topic policy",
    "AWS::SNS::Subscription": "subscription",
    "AWS::KMS::Key": "key",
    "AWS::KMS::Alias": "key alias",
    "AWS::Lambda::Function": "function",
    "AWS::Lambda::Permission": "function permission",
    "AWS::Events::Rule": "event rule",
    "AWS::Scheduler::Schedule": "schedule",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::Logs::LogGroup": "log group",
    "AWS::SageMaker::ModelPackageGroup": "model package group",
    "Custom::SageMakerPipeline": "pipeline",
}
#: Of a pipeline's resource: what the chapter on its definition tells better, and what is different each time.
_TOLD = {
    "DefinitionKey": "another definition",
    "CodeKey": "other code",
    "CodeHash": "other code",
    **{f"ParameterDefaults.{name}": "" for name in IDENTITY},
    **{f"Tags.mlops:{name}": "" for name in ("commit", "definition", "code")},
}
_NAMES = ("PipelineName", "AliasName", "Name", "Endpoint")
_POLICIES = ("PolicyDocument", "AssumeRolePolicyDocument", "Policies", "KeyPolicy", "ModelPackageGroupPolicy")


def template_changes(old: Template | None, new: Template) -> list[Change]:
    """Return which resources of a stack differ.

    Parameters
    ----------
    old
        What is deployed; None where the stack isn't there.
    """
    before = {} if old is None else old.resources
    changes = []
    for name in dict.fromkeys([*before, *new.resources]):
        if name not in before:
            changes.append(Change("added", _label(new, name)))
        elif name not in new.resources and old is not None:
            kept = str(before[name].get("DeletionPolicy", "")).startswith("Retain")
            changes.append(
                Change("removed", _label(old, name) + (" (it stays, out of the stack)" if kept else ""))
            )
        elif lines := _resource_differences(before[name], new.resources[name]):
            if new.resources[name]["Type"] == "Custom::SageMakerPipeline":
                lines = _of_pipeline(lines)
            changes.append(Change("changed", _label(new, name), _shortened(lines)))
    return changes


def _of_pipeline(lines: Sequence[str]) -> list[str]:
    told = [_TOLD.get(line.split(": ", 1)[0], line) for line in lines]
    return [line for line in dict.fromkeys(told) if line] or ["the commit that it names"]


def _label(template: Template, logical_id: str) -> str:
    resource = template.resources[logical_id]
    given = [resource["Properties"].get(key) for key in _NAMES]
    name = next((one for one in given if isinstance(one, str)), None) or template.name(logical_id)
    return readable(f"{_WORDS.get(resource['Type'], resource['Type'])} {name}")


def _resource_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, after = ({key: one for key, one in each.items() if key != "Metadata"} for each in (old, new))
    if before == after:
        return []
    lines = []
    properties = before.pop("Properties"), after.pop("Properties")
    for key in dict.fromkeys([*properties[0], *properties[1]]):
        one, other = properties[0].get(key, _NOTHING), properties[1].get(key, _NOTHING)
        if one == other:
            continue
        if key in _POLICIES:
            lines.append(f"{key}: other statements (see what permits more)")
        elif key == "Code":
            lines.append("its code")
        elif one is _NOTHING or other is _NOTHING:
            lines.append(f"{key}: {shown(one)} -> {shown(other)}")
        else:
            lines += differences({key: one}, {key: other})
    return lines + [f"{line} (of the resource)" for line in differences(before, after)]
