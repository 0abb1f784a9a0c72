"""What SageMaker refuses in a definition."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_cloud.sagemaker.definition_rules import MAX_CHARACTERS, check_definition
from local_cloud.sagemaker.errors import ServiceError
from tests.local_cloud_sagemaker.definitions import (
    compare,
    condition,
    fail,
    function,
    get,
    join,
    json_get,
    model,
    parameter,
    pipeline,
    processing,
    register,
    training,
    transform,
)

ARN = "arn:aws:lambda:us-east-1:111111111111:function:f"
ROLE = parameter("RoleArn")
YES = compare("Equals", 1, 1)


def refused(definition: str) -> str:
    with pytest.raises(ServiceError) as caught:
        check_definition(definition)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def split(**more: Any) -> dict[str, Any]:
    return processing(
        "Split", "s3://b/code", outputs={"train": "s3://b/t"}, files={"Report": ("train", "r.json")}, **more
    )


def test_a_definition_of_all_step_types_is_accepted() -> None:
    definition = pipeline(
        function("Resolve", ARN, {"package": "String"}, group="g"),
        split(),
        training(
            "Train", get("Steps.Split.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"), "s3://b/m"
        ),
        condition(
            "Check",
            compare("GreaterThan", json_get("Split", "Report", "auc"), 0.5),
            then=[
                register("Register", "g", get("Steps.Train.ModelArtifacts.S3ModelArtifacts")),
                model("Model", get("Steps.Resolve.OutputParameters['package']")),
                transform("Score", get("Steps.Model.ModelName"), "s3://b/in", "s3://b/out"),
            ],
            otherwise=[fail("End", join("bad", get("Execution.PipelineExecutionId")))],
        ),
        parameters=[ROLE],
    )
    steps = check_definition(definition).steps
    assert steps["Score"].waits_for == {"Model", "Check"}
    assert steps["Train"].waits_for == {"Split"}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([fail("A", get("Parameters.No"))], "reference 'Parameters.No' is to an undefined parameter"),
        ([fail("A", get("Execution.No"))], "reference 'Execution.No' is to an unknown execution variable"),
        ([fail("A", get("Steps.No.ModelName"))], "reference 'Steps.No.ModelName' is to an undefined step"),
        ([fail("A", get("Elsewhere"))], "must begin with Parameters., Execution. or Steps."),
        ([fail("A", DependsOn=["No"])], "step 'A' depends on unknown step 'No'"),
        ([fail("A", DependsOn=["B"]), fail("B", DependsOn=["A"])], "steps A, B wait for each other"),
        ([fail("A", DependsOn=["A"])], "steps A wait for each other"),
        ([fail("A"), fail("A")], "step name 'A' is used more than once"),
        ([fail("A b")], "step name 'A b' must be"),
        ([{"Name": "A", "Type": "Magic", "Arguments": {}}], "unknown type 'Magic'"),
        ([fail("A", json_get("A", "f", "x"))], "Std:JsonGet isn't allowed in a Fail step"),
        ([function("A", None)], "FunctionArn is missing"),
        ([condition("A", YES)], "has neither IfSteps nor ElseSteps"),
        ([condition("A", then=[fail("B")])], "has no Conditions"),
        (
            [condition("A", compare("StartsWith", 1, 1), then=[fail("B")])],
            "condition of unknown type 'StartsWith'",
        ),
        ([condition("A", {"Type": "In", "Values": []}, then=[fail("B")])], "condition In lacks QueryValue"),
        (
            [condition("A", YES, then=[condition("B", YES, then=[fail("C")])])],
            "step 'B' is a condition step in condition step 'A': they can't be nested",
        ),
        (
            [condition("A", YES, then=[fail("B")], otherwise=[fail("B")])],
            "step name 'B' is used more than once (in both branches of a condition step)",
        ),
        (
            [condition("A", YES, then=[fail("B")], otherwise=[fail("C", DependsOn=["B"])])],
            "step 'C' depends on step 'B', which stands in a branch of condition step 'A'",
        ),
        ([condition("A", YES, then=[fail("B")]), fail("C", DependsOn=["B"])], "a branch can't be rejoined"),
        (
            [function("L", ARN, {"x": "String"}), fail("A", get("Steps.L.OutputParameters['y']"))],
            "to a property that step 'L' of type Lambda doesn't have",
        ),
        ([function("L", ARN, {"x": "Text"})], "output 'x' has unknown type 'Text'"),
    ],
)
def test_a_definition_that_breaks_a_rule_is_refused(steps: list[dict[str, Any]], message: str) -> None:
    assert message in refused(pipeline(*steps))


@pytest.mark.parametrize(
    "reference",
    [
        "Steps.Split.ProcessingOutputConfig.Outputs['test'].S3Output.S3Uri",
        "Steps.Split.NoMember",
        "Steps.Split.PropertyFiles.Other",
        "Steps.Split",
    ],
)
def test_a_reference_to_what_a_step_does_not_have_is_refused(reference: str) -> None:
    message = refused(pipeline(split(), fail("A", get(reference)), parameters=[ROLE]))
    assert f"reference '{reference}' is to a property" in message


def test_arguments_are_checked_against_the_request_that_a_step_makes() -> None:
    step = split()
    step["Arguments"]["RoleARN"] = step["Arguments"].pop("RoleArn")
    message = refused(pipeline(step, parameters=[ROLE]))
    assert 'Missing required parameter in input: "RoleArn"' in message
    assert 'Unknown parameter in input: "RoleARN"' in message


def test_an_unknown_instance_type_is_refused() -> None:
    step = split()
    step["Arguments"]["ProcessingResources"]["ClusterConfig"]["InstanceType"] = "ml.nope"
    assert "'ml.nope' at 'processingResources.clusterConfig.instanceType'" in refused(
        pipeline(step, parameters=[ROLE])
    )


def test_an_expression_in_the_place_of_a_list_is_refused() -> None:
    step = split()
    step["Arguments"]["AppSpecification"]["ContainerEntrypoint"] = get("Parameters.RoleArn")
    assert "stands where a list is expected" in refused(pipeline(step, parameters=[ROLE]))


def test_an_unknown_exception_type_of_a_retry_policy_is_refused() -> None:
    step = split(RetryPolicies=[{"ExceptionType": ["Step.NOPE"], "MaxAttempts": 1}])
    assert "unknown ExceptionType Step.NOPE" in refused(pipeline(step, parameters=[ROLE]))


def test_200_parameters_are_allowed_and_201_are_not() -> None:
    declared = [parameter(f"P{i}", default="x") for i in range(201)]
    check_definition(pipeline(fail("A"), parameters=declared[:200]))
    assert "201 parameters, at most 200" in refused(pipeline(fail("A"), parameters=declared))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ([parameter("P", "Text")], "unknown type 'Text'"),
        ([parameter("P", "Integer", "one")], "default value 'one' isn't of type Integer"),
        ([parameter("P", "Integer", True)], "default value True isn't of type Integer"),
        ([parameter("P"), parameter("P")], "parameter 'P' is declared twice"),
    ],
)
def test_a_wrong_parameter_is_refused(declared: list[dict[str, Any]], message: str) -> None:
    assert message in refused(pipeline(fail("A"), parameters=declared))


def test_the_limit_of_characters_is_kept() -> None:
    body = json.loads(pipeline(fail("A")))
    body["Metadata"] = {"x": ""}
    body["Metadata"]["x"] = "x" * (MAX_CHARACTERS - len(json.dumps(body)))
    check_definition(json.dumps(body))
    body["Metadata"]["x"] += "x"
    assert "1048577 characters" in refused(json.dumps(body))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"Version": "2020-12-01", "Steps": []}', '{"Steps": [{"Name": "A"}]}']
)
def test_what_is_no_definition_is_refused(text: str) -> None:
    assert refused(text).startswith("Unable to parse pipeline definition.")
