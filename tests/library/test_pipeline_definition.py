"""A compiled definition is read at synth, and every mistake in what is given to it has a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_mlops import PipelineDefinition
from tests.library.library_app import DEFINITION


def written(tmp_path: Path, body: object) -> Path:
    path = tmp_path / "pipeline.json"
    path.write_text(body if isinstance(body, str) else json.dumps(body))
    return path


@pytest.fixture
def definition(tmp_path: Path) -> PipelineDefinition:
    return PipelineDefinition.read(written(tmp_path, DEFINITION))


def test_parameters_and_markers_are_found(definition: PipelineDefinition) -> None:
    assert set(definition.parameters) == {"CodeUri", "RunUri", "Threshold", "OnDrift"}
    assert definition.markers == {"ModelResolver"}


def test_the_digest_is_that_of_the_file(tmp_path: Path, definition: PipelineDefinition) -> None:
    again = PipelineDefinition.read(written(tmp_path, DEFINITION))
    other = PipelineDefinition.read(written(tmp_path, {**DEFINITION, "Version": "other"}))
    assert again.sha256 == definition.sha256 != other.sha256


@pytest.mark.parametrize(
    "values",
    [
        {"RunUri": "s3://b/r"},
        {"RunUri": cdk.Fn.ref("Bucket")},
        {"RunUri": "s3://b/r", "Threshold": "0.9", "OnDrift": "deliver"},
        {"RunUri": "x" * 1024},
    ],
)
def test_values_that_fit_pass(definition: PipelineDefinition, values: Mapping[str, str]) -> None:
    definition.check_defaults(values, filled=["CodeUri"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "parameter_defaults must give 'RunUri': pipeline.json has no default for it"),
        ({"RunUri": "r", "RunURL": "r"}, "must be parameters of pipeline.json, got 'RunURL'"),
        ({"RunUri": "r", "CodeUri": "r"}, "must not hold 'CodeUri'"),
        (
            {"RunUri": "r", "Threshold": "high"},
            "parameter_defaults['Threshold'] must be of type Float, got 'high'",
        ),
        ({"RunUri": "r", "OnDrift": "retry"}, "['OnDrift'] must be one of withhold, deliver, got 'retry'"),
        ({"RunUri": "x" * 1025}, "must have at most 1024 characters, got 1025"),
        ({"RunUri": 5}, "parameter_defaults['RunUri'] must be a string, got 5"),
    ],
)
def test_fails_for_values_that_dont_fit(
    definition: PipelineDefinition, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        definition.check_defaults(values, filled=["CodeUri"])
    assert message in str(caught.value)


def test_fails_when_the_code_has_no_parameter_to_go_to(definition: PipelineDefinition) -> None:
    with pytest.raises(ValueError, match="got 'CodeURL'"):
        definition.check_defaults({"RunUri": "r", "CodeUri": "c"}, filled=["CodeURL"])


@pytest.mark.parametrize(
    ("markers", "message"),
    [
        ([], "functions must give 'ModelResolver'"),
        (["ModelResolver", "Other"], "functions must be markers of"),
    ],
)
def test_fails_when_markers_and_functions_dont_match(
    definition: PipelineDefinition, markers: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        definition.check_functions(markers)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "definition must be JSON"),
        ({"Steps": []}, "must be a SageMaker pipeline with Steps"),
        ([], "must be a SageMaker pipeline with Steps"),
        ({"Steps": [{}], "Parameters": ["Name"]}, "must have a list of Parameters with a Name each"),
        (
            {"Steps": [{}], "Parameters": [{"Name": str(n)} for n in range(201)]},
            "at most 200 parameters, got 201",
        ),
        ({"Steps": ["x" * 1_048_576]}, "at most 1048576 characters"),
    ],
)
def test_fails_for_a_file_that_is_no_definition(tmp_path: Path, body: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PipelineDefinition.read(written(tmp_path, body))


def test_fails_for_a_file_that_isnt_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"definition must be a readable file, got .*missing\.json"):
        PipelineDefinition.read(tmp_path / "missing.json")
