"""Conditions, paths, expressions and parameters of definitions, without a cloud."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from local_cloud.runner.conditions import ConditionError, all_hold, holds
from local_cloud.runner.definition import Parameter
from local_cloud.runner.jsonpath import look_up, split_path
from local_cloud.runner.resolve import (
    ExecutionIdentity,
    ResolveError,
    Resolver,
    StepOutcome,
    parameter_values,
)
from tests.local_cloud_sagemaker.definitions import compare, get, join, json_get

ARN = "arn:aws:sagemaker:us-east-1:111111111111:pipeline/p"
IDENTITY = ExecutionIdentity(
    "P", ARN, "abc123def456", f"{ARN}/execution/abc123def456", datetime(2026, 11, 1, 23, tzinfo=UTC)
)
FILES = {"s3://b/report.json": json.dumps({"gate": {"cv_auc": 0.9}, "list": [{"name": "x"}]}).encode()}


def resolver(**parameters: Any) -> Resolver:
    made = Resolver(IDENTITY, parameters, lambda uri: FILES[uri])
    made.record(
        "Split",
        StepOutcome(
            {
                "ProcessingOutputConfig": {
                    "Outputs": [{"OutputName": "train", "S3Output": {"S3Uri": "s3://b/train"}}]
                }
            },
            {"Report": "s3://b/report.json"},
        ),
    )
    return made


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (compare("Equals", "a", "a"), True),
        (compare("Equals", 1, 1.0), True),
        (compare("Equals", True, False), False),
        (compare("GreaterThan", 0.85, 0.85), False),
        (compare("GreaterThanOrEqualTo", 0.85, 0.85), True),
        (compare("LessThan", 1, 2), True),
        (compare("LessThanOrEqualTo", 3, 2), False),
        ({"Type": "In", "QueryValue": "b", "Values": ["a", "b"]}, True),
        ({"Type": "In", "QueryValue": "c", "Values": ["a", "b"]}, False),
        ({"Type": "Not", "Condition": compare("Equals", 1, 2)}, True),
        ({"Type": "Or", "Conditions": [compare("Equals", 1, 2), compare("Equals", 1, 1)]}, True),
        ({"Type": "Or", "Conditions": [compare("Equals", 1, 2)]}, False),
    ],
)
def test_a_condition_holds_as_its_type_says(condition: dict[str, Any], expected: bool) -> None:
    assert holds(condition, lambda value: value) is expected


def test_all_conditions_of_a_step_must_hold() -> None:
    assert all_hold([compare("Equals", 1, 1), compare("LessThan", 1, 2)], lambda value: value)
    assert not all_hold([compare("Equals", 1, 1), compare("LessThan", 2, 1)], lambda value: value)


@pytest.mark.parametrize(("left", "right"), [("1", 1), (True, 1), (None, "a")])
def test_sides_of_different_types_are_not_compared(left: Any, right: Any) -> None:
    with pytest.raises(ConditionError, match="can't compare"):
        holds(compare("Equals", left, right), lambda value: value)


def test_a_condition_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(ConditionError, match="StartsWith"):
        holds(compare("StartsWith", "ab", "a"), lambda value: value)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a.b", ["a", "b"]),
        ("$.a[0].b", ["a", 0, "b"]),
        ("a['b.c'][\"d\"]", ["a", "b.c", "d"]),
        ("[1]", [1]),
        ("", []),
    ],
)
def test_a_path_is_split_into_its_parts(path: str, parts: list[Any]) -> None:
    assert split_path(path) == parts


@pytest.mark.parametrize("path", ["a[", "a[b]", "a['b"])
def test_a_malformed_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="isn't well formed"):
        split_path(path)


@pytest.mark.parametrize("path", ["b", "a[2]", "a['n']", "a[0].x.y"])
def test_a_path_to_nothing_names_what_is_missing(path: str) -> None:
    with pytest.raises(LookupError, match="finds nothing"):
        look_up({"a": [{"x": 1}, 2]}, path)


def test_named_outputs_are_found_by_their_name() -> None:
    reference = get("Steps.Split.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri")
    assert resolver().resolve(reference) == "s3://b/train"


def test_expressions_are_replaced_at_any_depth() -> None:
    value = {
        "List": [join("s3:/", get("Parameters.Bucket"), get("Execution.PipelineExecutionId"))],
        "Same": 1,
    }
    assert resolver(Bucket="b").resolve(value) == {"List": ["s3://b/abc123def456"], "Same": 1}


def test_numbers_and_booleans_are_joined_as_text() -> None:
    values = join(get("Parameters.A"), get("Parameters.B"), get("Parameters.C"), on=" ")
    assert resolver(A=0.5, B=3, C=True).resolve(values) == "0.5 3 true"


def test_a_property_file_gives_the_value_at_its_path() -> None:
    assert resolver().resolve(json_get("Split", "Report", "gate.cv_auc")) == 0.9
    assert resolver().resolve(json_get("Split", "Report", "list[0].name")) == "x"


def test_a_property_file_can_be_named_by_a_joined_uri() -> None:
    value = {
        "Std:JsonGet": {"S3Uri": join("s3:/", get("Parameters.Bucket"), "report.json"), "Path": "gate.cv_auc"}
    }
    assert resolver(Bucket="b").resolve(value) == 0.9


def test_times_of_an_execution_are_iso_8601() -> None:
    assert resolver().resolve(get("Execution.StartDateTime")) == "2026-11-01T23:00:00.000Z"


@pytest.mark.parametrize(
    "value",
    [
        get("Parameters.None"),
        get("Execution.Nothing"),
        get("Steps.Later.ModelName"),
        get("Steps.Split.Nothing"),
        get("Elsewhere.X"),
        json_get("Split", "Other", "a"),
        json_get("Split", "Report", "gate.nothing"),
    ],
)
def test_an_expression_without_value_says_which(value: dict[str, Any]) -> None:
    with pytest.raises(ResolveError, match=r"Nothing|None|Later|Elsewhere|Other|nothing"):
        resolver().resolve(value)


def parameters(*items: Parameter) -> dict[str, Parameter]:
    return {item.name: item for item in items}


def test_given_values_get_the_type_of_their_parameter() -> None:
    declared = parameters(
        Parameter("S", "String"),
        Parameter("I", "Integer", 1),
        Parameter("F", "Float", 0.5),
        Parameter("B", "Boolean", False),
    )
    given = {"S": "5", "I": "7", "B": "True"}
    assert parameter_values(declared, given) == {"S": "5", "I": 7, "F": 0.5, "B": True}


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        (Parameter("X", "String"), {}, "Missing value"),
        (Parameter("X", "String"), {"X": "1", "Y": "2"}, r"Unknown parameter\(s\) \[Y\]"),
        (Parameter("X", "Integer"), {"X": "1.5"}, "isn't of type Integer"),
        (Parameter("X", "Boolean"), {"X": "yes"}, "isn't of type Boolean"),
        (Parameter("X", "String", None, ("a", "b")), {"X": "c"}, "isn't one of: a, b"),
    ],
)
def test_wrong_parameters_are_named(declared: Parameter, given: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parameter_values(parameters(declared), given)
