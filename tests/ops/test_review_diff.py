"""What a person is told of two definitions, and of two templates."""

from __future__ import annotations

from typing import Any

import pytest

from ops.review_diff import Change, definition_changes, differences, filled, template_changes
from tests.ops.iam_templates import READ, role, template

TRAIN = {"Name": "Train", "Type": "Training", "Arguments": {"HyperParameters": {"eta": "0.1", "depth": "3"}}}
FAIL = {"Name": "Fail", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}


def definition(*steps: Any, **parameters: Any) -> dict[str, Any]:
    listed = [{"Name": name, "Type": "String", "DefaultValue": value} for name, value in parameters.items()]
    return {"Version": "2020-12-01", "Parameters": listed, "Steps": list(steps)}


def condition(*, then: Any = (), otherwise: Any = ()) -> dict[str, Any]:
    arguments = {"Conditions": [{"Type": "Equals"}], "IfSteps": list(then), "ElseSteps": list(otherwise)}
    return {"Name": "Check", "Type": "Condition", "Arguments": arguments}


def test_equal_definitions_differ_in_nothing() -> None:
    assert definition_changes(definition(TRAIN, A="1"), definition(TRAIN, A="1")) == []


def test_a_new_pipeline_is_told_by_its_steps() -> None:
    (change,) = definition_changes(None, definition(condition(then=[TRAIN], otherwise=[FAIL])))
    assert (change.how, change.what) == ("added", "3 steps: Check, Train, Fail")


def test_a_value_deep_in_a_step_is_told_by_its_path() -> None:
    other = {**TRAIN, "Arguments": {"HyperParameters": {"eta": "0.03", "depth": "3"}}}
    (change,) = definition_changes(definition(TRAIN), definition(other))
    assert change == Change("changed", "step Train", ("Arguments.HyperParameters.eta: 0.1 -> 0.03",))


def test_a_step_in_a_branch_is_told_once_and_not_again_with_its_condition() -> None:
    old, new = definition(condition(then=[TRAIN])), definition(condition(then=[TRAIN], otherwise=[FAIL]))
    assert definition_changes(old, new) == [Change("added", "step Fail (Fail, where Check says else)")]
    assert definition_changes(new, old) == [Change("removed", "step Fail (Fail)")]


def test_a_step_that_moves_to_the_other_branch_differs() -> None:
    (change,) = definition_changes(
        definition(condition(then=[FAIL])), definition(condition(otherwise=[FAIL]))
    )
    assert change.lines == ("Branch: where Check says if -> where Check says else",)


def test_parameters_are_told_by_their_defaults() -> None:
    changes = definition_changes(definition(A="1", B="2"), definition(A="3", C="4"))
    assert [(one.how, one.what) for one in changes] == [
        ("changed", "parameter A: 1 -> 3"),
        ("removed", "parameter B"),
        ("added", "parameter C = 4"),
    ]


@pytest.mark.parametrize("name", ["CodeUri", "GitCommit", "DefinitionSha256"])
def test_what_differs_each_time_is_no_change(name: str) -> None:
    assert definition_changes(definition(**{name: "a"}), definition(**{name: "b"})) == []


@pytest.mark.parametrize(("text", "number", "changes"), [("0.85", 0.85, 0), ("0.9", 0.85, 1), ("x", 0.85, 1)])
def test_a_number_may_be_written_as_text(text: str, number: float, changes: int) -> None:
    old, new = (
        {"Parameters": [{"Name": "A", "Type": "Float", "DefaultValue": one}]} for one in (number, text)
    )
    assert len(definition_changes(old, new)) == changes


def test_a_definition_is_filled_as_the_custom_resource_does() -> None:
    compiled = definition({"Name": "L", "Type": "Lambda", "FunctionArn": "@function:Resolver@"}, RoleArn=None)
    got = filled(compiled, {"RoleArn": "arn:role"}, {"Resolver": "arn:function"})
    assert got["Parameters"][0]["DefaultValue"] == "arn:role"
    assert got["Steps"][0]["FunctionArn"] == "arn:function"


def test_lists_of_values_are_told_by_what_comes_and_goes() -> None:
    assert differences({"A": [1, 2]}, {"A": [2, 3]}) == ["A: without 1 and with 3"]
    assert differences({"A": [1, 2]}, {"A": [2, 1]}) == ["A: in another order"]
    assert differences({"A": [{"B": 1}]}, {"A": [{"B": 2}]}) == ["A[0].B: 1 -> 2"]
    assert differences({"A": True}, {"A": 1}) == ["A: true -> 1"]


def test_many_lines_are_cut_and_counted() -> None:
    old, new = ({"Name": "S", "Type": "T", "Arguments": {f"k{i}": j for i in range(40)}} for j in (1, 2))
    (change,) = definition_changes(definition(old), definition(new))
    assert change.lines[-1] == "and 15 more lines"


# --- templates

FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {"FunctionName": "f", "MemorySize": 256, "Code": {"S3Key": "a"}},
}


def changed(resource: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {**resource, "Properties": resource["Properties"] | properties}


def test_equal_templates_differ_in_nothing_and_metadata_are_none_of_it() -> None:
    assert template_changes(template(F=FUNCTION), template(F={**FUNCTION, "Metadata": {"path": "x"}})) == []


def test_a_resource_is_told_by_its_kind_and_name() -> None:
    assert template_changes(None, template(F=FUNCTION)) == [Change("added", "function f")]
    assert template_changes(template(F=FUNCTION), template()) == [Change("removed", "function f")]


def test_what_stays_when_it_leaves_the_stack_says_so() -> None:
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "data"}, "DeletionPolicy": "Retain"}
    (change,) = template_changes(template(B=bucket), template())
    assert change.what == "bucket data (it stays, out of the stack)"


def test_properties_are_told_and_code_only_by_a_word() -> None:
    new = changed(FUNCTION, MemorySize=512, Code={"S3Key": "b"}, Timeout=3)
    (change,) = template_changes(template(F=FUNCTION), template(F=new))
    assert change.lines == ("MemorySize: 256 -> 512", "its code", "Timeout: nothing -> 3")


def test_policies_are_told_with_the_permissions() -> None:
    (change,) = template_changes(template(R=role(READ)), template(R=role(READ | {"Action": "s3:*"})))
    assert change.lines == ("Policies: other statements (see what permits more)",)


def test_a_pipeline_of_which_only_the_commit_differs_says_so() -> None:
    def of(commit: str, **more: Any) -> dict[str, Any]:
        properties = {"PipelineName": "p", "Tags": {"mlops:commit": commit}, "DefinitionKey": "a", **more}
        return {"Type": "Custom::SageMakerPipeline", "Properties": properties}

    (change,) = template_changes(template(P=of("a")), template(P=of("b")))
    assert change == Change("changed", "pipeline p", ("the commit that it names",))
    (change,) = template_changes(template(P=of("a")), template(P=of("b", DefinitionKey="b")))
    assert change.lines == ("another definition",)


def test_what_is_not_known_yet_is_told_by_its_logical_id() -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {}}
    new = changed(FUNCTION, DeadLetterConfig={"TargetArn": {"Fn::GetAtt": ["Q", "Arn"]}})
    (change,) = template_changes(template(F=FUNCTION, Q=queue), template(F=new, Q=queue))
    assert "222222222222:Q" in change.lines[0]
