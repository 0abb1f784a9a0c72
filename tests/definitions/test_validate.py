"""Each rule of the checker fires on a definition that breaks it, and says so in one line."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline_code.validate import CHARACTER_LIMIT, PARAMETER_LIMIT, errors, main
from tests.definitions.mutations import Definition, definition, errors_after, step


def sets(name: str, path: str, value: Any) -> Callable[[Definition], None]:
    """Return a mutation that sets a value below a step; numbers in the path count list items."""

    def mutate(body: Definition) -> None:
        *parents, last = path.split("/")
        at: Any = step(body, name)
        for part in parents:
            at = at[int(part)] if isinstance(at, list) else at[part]
        at[int(last) if isinstance(at, list) else last] = value

    return mutate


def drops(name: str, path: str) -> Callable[[Definition], None]:
    """Return a mutation that removes a key below a step."""

    def mutate(body: Definition) -> None:
        *parents, last = path.split("/")
        at: Any = step(body, name)
        for part in parents:
            at = at[int(part)] if isinstance(at, list) else at[part]
        del at[last]

    return mutate


def parameter(name: str, **changes: Any) -> Callable[[Definition], None]:
    """Return a mutation that changes a parameter's declaration."""

    def mutate(body: Definition) -> None:
        next(held for held in body["Parameters"] if held["Name"] == name).update(changes)

    return mutate


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every part of a definition."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*above, key)
        yield from paths(part, (*above, key))


def nest_condition(body: Definition) -> None:
    step(body, "CheckAUCScore")["Arguments"]["IfSteps"].append(
        {
            "Name": "Mammo-Inner",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [{"Type": "Equals", "LeftValue": "a", "RightValue": "a"}],
                "IfSteps": [{"Name": "Mammo-Deep", "Type": "Fail", "Arguments": {"ErrorMessage": "x"}}],
                "ElseSteps": [],
            },
        }
    )


def stand_in_both_branches(body: Definition) -> None:
    gate = step(body, "CheckAUCScore")["Arguments"]
    gate["ElseSteps"].append(gate["IfSteps"][0])


def rejoin(body: Definition) -> None:
    explain = {"Get": "Steps.Mammo-ExplainRejection.OutputParameters['message']"}
    body["Steps"].append(
        {
            "Name": "Mammo-After",
            "Type": "Lambda",
            "Arguments": {"message": explain},
            "FunctionArn": "@function:RunRecorder@",
            "OutputParameters": [],
        }
    )


def depend_across_branches(body: Definition) -> None:
    step(body, "RegisterModel")["DependsOn"] = ["Mammo-ExplainRejection"]


def duplicate_parameter(body: Definition) -> None:
    body["Parameters"].append(body["Parameters"][0])


def unused_parameter(body: Definition) -> None:
    body["Parameters"].append({"Name": "Forgotten", "Type": "String"})


def go_round_in_a_circle(body: Definition) -> None:
    step(body, "PreProcessing")["DependsOn"] = ["Mammo-Eval"]


CPU = "Arguments/ProcessingResources/ClusterConfig"
IN_S3 = "Arguments/ProcessingInputs/1/S3Input"
RULES = {
    "a field that the API doesn't know": (
        sets("PreProcessing", "Arguments/RoleARN", "x"),
        "step Mammo-PreProcessing: RoleARN: the API knows no such field",
    ),
    "a required field that is missing": (
        drops("Train", "Arguments/RoleArn"),
        'Missing required parameter in input: "RoleArn"',
    ),
    "a value that isn't in the API's list": (
        sets("PreProcessing", f"{IN_S3}/S3InputMode", "Stream"),
        "'Stream' is none of the API's values",
    ),
    "an instance type that doesn't exist": (
        parameter("ProcessingInstanceType", DefaultValue="ml.m5.nope"),
        "'ml.m5.nope' is none of the API's values",
    ),
    "a literal that breaks the API's pattern": (
        sets("Train", "Arguments/InputDataConfig/0/ChannelName", "no spaces"),
        "ChannelName: 'no spaces' doesn't match",
    ),
    "a literal that is too long": (
        sets("PreProcessing", "Arguments/AppSpecification/ContainerArguments/0", "x" * 257),
        "has 257 characters, the limit is 256",
    ),
    "a number of the wrong type": (
        sets("PreProcessing", f"{CPU}/VolumeSizeInGB", "30"),
        "Invalid type for parameter ProcessingResources.ClusterConfig.VolumeSizeInGB, value: 30",
    ),
    "a Float parameter where a text is expected": (
        sets("Train", "Arguments/HyperParameters/eta", {"Get": "Parameters.AucScoreThreshold"}),
        "Parameters.AucScoreThreshold is a Float where a string is expected",
    ),
    "a String parameter where a number is expected": (
        sets("PreProcessing", f"{CPU}/InstanceCount", {"Get": "Parameters.GitCommit"}),
        "Parameters.GitCommit is a String where a integer is expected",
    ),
    "an expression in the place of a list": (
        sets("PreProcessing", "Arguments/AppSpecification/ContainerArguments", {"Get": "Parameters.CodeUri"}),
        "an expression can't stand for a whole list",
    ),
    "an undeclared parameter": (
        sets("Train", "Arguments/RoleArn", {"Get": "Parameters.Roll"}),
        "there is no parameter 'Roll'",
    ),
    "an unknown execution variable": (
        sets("ResolveChampion", "Arguments/action", {"Get": "Execution.Account"}),
        "there is no execution variable 'Account'",
    ),
    "a reference to a step that isn't there": (
        sets("Eval", f"{IN_S3}/S3Uri", {"Get": "Steps.Mammo-Trian.ModelArtifacts.S3ModelArtifacts"}),
        "there is no step 'Mammo-Trian'",
    ),
    "a reference to a field that the API doesn't answer": (
        sets("Eval", f"{IN_S3}/S3Uri", {"Get": "Steps.Mammo-Train.ModelArtifacts.S3Uri"}),
        "DescribeTrainingJob answers no 'S3Uri' there",
    ),
    "a reference to an output that the step doesn't have": (
        sets(
            "Eval",
            f"{IN_S3}/S3Uri",
            {"Get": "Steps.Mammo-PreProcessing.ProcessingOutputConfig.Outputs['trian'].S3Output.S3Uri"},
        ),
        "the step has no output 'trian', only: train, holdout, baseline, summary",
    ),
    "a reference to a whole structure": (
        sets("Eval", f"{IN_S3}/S3Uri", {"Get": "Steps.Mammo-Train.ModelArtifacts"}),
        "is not a single value",
    ),
    "a reference to an output that the function doesn't return": (
        sets("Eval", f"{IN_S3}/S3Uri", {"Get": "Steps.Mammo-ResolveChampion.OutputParameters['uri']"}),
        "the function has no such output, only: champion_version, champion_uri",
    ),
    "a property of a step that has none": (
        sets("RegisterModel", "Arguments/ModelPackageGroupName", {"Get": "Steps.Mammo-AUCFail.ErrorMessage"}),
        "a step of type Fail has no property",
    ),
    "a property file that isn't there": (
        sets("Eval", "PropertyFiles", []),
        "the step has no property file 'Evaluation'",
    ),
    "a property file in an output that isn't there": (
        sets("Eval", "PropertyFiles/0/OutputName", "report"),
        "property file Evaluation is in output 'report', which isn't one of: evaluation, baseline",
    ),
    "a property file read without JsonGet": (
        sets("Eval", f"{IN_S3}/S3Uri", {"Get": "Steps.Mammo-Eval.PropertyFiles.Evaluation"}),
        "DescribeProcessingJob answers no 'PropertyFiles' there",
    ),
    "a Std:Join of a list": (
        sets("ResolveChampion", "Arguments/none_uri/Std:Join/Values", [["a"]]),
        "Std:Join.Values[0]: must be str or int or float or bool or dict, got ['a']",
    ),
    "an output whose URI begins with another's": (
        sets(
            "PreProcessing",
            "Arguments/ProcessingOutputConfig/Outputs/3/S3Output/S3Uri/Std:Join/Values/2",
            "train-summary",
        ),
        "output summary of Mammo-PreProcessing: its URI begins with that of output train of Mammo-PreProcessing",
    ),
    "two outputs in one place": (
        sets(
            "PreProcessing",
            "Arguments/ProcessingOutputConfig/Outputs/3/S3Output/S3Uri/Std:Join/Values/2",
            "train",
        ),
        "its URI begins with that of output",
    ),
    "a nested condition": (nest_condition, "SageMaker knows no nested condition"),
    "a step in two branches": (
        stand_in_both_branches,
        "stands in IfSteps of Mammo-CheckAUCScore and ElseSteps of Mammo-CheckAUCScore",
    ),
    "a step after a branch that needs it": (rejoin, "branches can neither rejoin nor refer to each other"),
    "a dependency across branches": (
        depend_across_branches,
        "step Mammo-RegisterModel (in IfSteps of Mammo-CheckAUCScore): depends on Mammo-ExplainRejection in"
        " ElseSteps of Mammo-CheckAUCScore",
    ),
    "a dependency on a step that isn't there": (
        sets("Eval", "DependsOn", ["Mammo-Nothing"]),
        "depends on 'Mammo-Nothing', which isn't there",
    ),
    "a dependency on a Fail step": (
        sets("ExplainRejection", "DependsOn", ["Mammo-AUCFail"]),
        "after which nothing runs",
    ),
    "a step that waits for its own condition": (
        sets("RegisterModel", "DependsOn", ["Mammo-CheckAUCScore"]),
        "depends on its own condition",
    ),
    "a step that depends on itself": (sets("Train", "DependsOn", ["Mammo-Train"]), "depends on itself"),
    "a circle": (
        go_round_in_a_circle,
        "in a circle: Mammo-AUCFail, Mammo-CheckAUCScore, Mammo-Eval, Mammo-ExplainRejection,"
        " Mammo-PreProcessing, Mammo-RegisterModel, Mammo-Train",
    ),
    "a JsonGet in a Fail message": (
        sets(
            "AUCFail",
            "Arguments/ErrorMessage/Std:Join/Values/1",
            {
                "Std:JsonGet": {
                    "PropertyFile": {"Get": "Steps.Mammo-Eval.PropertyFiles.Evaluation"},
                    "Path": "gate.cv_auc",
                }
            },
        ),
        "step Mammo-AUCFail: ErrorMessage may hold parameters, Std:Join and step properties",
    ),
    "an execution variable in a Fail message": (
        sets("AUCFail", "Arguments/ErrorMessage/Std:Join/Values/1", {"Get": "Execution.PipelineName"}),
        "step Mammo-AUCFail: ErrorMessage may hold",
    ),
    "an empty Fail message": (sets("AUCFail", "Arguments/ErrorMessage", ""), "ErrorMessage must be a text"),
    "a parameter that nothing uses": (unused_parameter, "parameter Forgotten: no step uses it"),
    "a parameter declared twice": (duplicate_parameter, "parameter RoleArn: is declared twice"),
    "a parameter of an unknown type": (
        parameter("CodeUri", Type="Uri"),
        "definition.Parameters[1].Type: must be a text of at most 7 characters that matches String|Integer",
    ),
    "a parameter whose name has a space": (
        parameter("CodeUri", Name="Code Uri"),
        "definition.Parameters[1].Name: must be a text of at most 256 characters",
    ),
    "a default of another type": (
        parameter("AucScoreThreshold", DefaultValue="0.85"),
        "parameter AucScoreThreshold: the default '0.85' is no Float",
    ),
    "a default that isn't among the values": (
        parameter("ModelApprovalStatus", DefaultValue="Waiting"),
        "parameter ModelApprovalStatus: the default 'Waiting' is not one of",
    ),
    "an unknown type of step": (sets("Train", "Type", "Trainning"), "step 3.Type: must be a text of"),
    "a step without a proper name": (
        sets("Train", "Name", "a b"),
        "step 3.Name: must be a text of at most 64 characters",
    ),
    "a step without arguments": (
        sets("Train", "Arguments", None),
        "step 3.Arguments: must be dict, got None",
    ),
    "no steps": (lambda body: body.update(Steps=[]), "definition.Steps: must hold at least one step"),
    "another version": (lambda body: body.update(Version="2021-01-01"), "definition.Version: must be a text"),
    "a job without a name": (
        drops("Train", "Arguments/TrainingJobName"),
        'step Mammo-Train: Missing required parameter in input: "TrainingJobName"',
    ),
    "a job name that leaves SageMaker no room": (
        sets("Train", "Arguments/TrainingJobName", "mammo-" + "x" * 32),
        "has 38 characters",
    ),
    "a job without a time limit": (
        drops("Train", "Arguments/StoppingCondition"),
        "step Mammo-Train: has no StoppingCondition.MaxRuntimeInSeconds",
    ),
    "tags in a definition": (sets("Train", "Arguments/Tags", []), "Tags belong to the pipeline"),
    "a function that is neither marker nor ARN": (
        sets("ResolveChampion", "FunctionArn", "ModelResolver"),
        "FunctionArn must be a marker like @function:ModelResolver@, got 'ModelResolver'",
    ),
    "a number as a function's input": (
        sets("ExplainRejection", "Arguments/threshold", {"Get": "Parameters.AucScoreThreshold"}),
        "input threshold must be a text, got a Float",
    ),
    "a function's output that isn't a text": (
        sets("ExplainRejection", "OutputParameters/0/OutputType", "Integer"),
        "step Mammo-ExplainRejection: output message must be a String, got Integer",
    ),
    "a condition without conditions": (
        sets("CheckAUCScore", "Arguments/Conditions", []),
        "has no Conditions",
    ),
    "an unknown condition": (
        sets("CheckAUCScore", "Arguments/Conditions/0/Type", "Above"),
        "Conditions[0]: Type must be one of In, Equals, GreaterThan",
    ),
    "a text compared as a number": (
        sets("CheckAUCScore", "Arguments/Conditions/0/RightValue", "0.85"),
        "condition GreaterThanOrEqualTo compares numbers, got a String",
    ),
    "a condition that lacks a side": (
        drops("CheckAUCScore", "Arguments/Conditions/0/RightValue"),
        "step Mammo-CheckAUCScore.Conditions[0]: RightValue is missing",
    ),
    "a condition that decides nothing": (
        lambda body: step(body, "CheckAUCScore")["Arguments"].update(IfSteps=[], ElseSteps=[]),
        "has no steps in either branch",
    ),
    "retries of a step that can't be retried": (
        sets("ResolveChampion", "RetryPolicies", [{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 2}]),
        "step Mammo-ResolveChampion: there is no such key as 'RetryPolicies'",
    ),
    "an unknown reason to retry": (
        sets("Train", "RetryPolicies/0/ExceptionType", ["Step.BORED"]),
        "unknown retry reason 'Step.BORED'",
    ),
    "retries without end": (
        drops("Train", "RetryPolicies/0/MaxAttempts"),
        "step Mammo-Train.RetryPolicies[0]: MaxAttempts is missing",
    ),
    "too many retries": (
        sets("Train", "RetryPolicies/0/MaxAttempts", 21),
        "MaxAttempts must be from 1 to 20, got 21",
    ),
    "no reason to retry": (sets("Train", "RetryPolicies/0/ExceptionType", []), "names no reason to retry"),
    "a job name that an expression gives": (
        sets("Train", "Arguments/TrainingJobName", {"Get": "Parameters.GitCommit"}),
        "step Mammo-Train: TrainingJobName must be the literal beginning of a job name",
    ),
    "a key that steps don't have": (
        sets("Train", "Retry", []),
        "step Mammo-Train: there is no such key as 'Retry'",
    ),
    "an expression with a second key": (
        sets("ResolveChampion", "Arguments/action", {"Get": "Parameters.CodeUri", "Else": "x"}),
        "an expression must have one key, got Get, Else",
    ),
    "a Std:Join without values": (
        sets("ResolveChampion", "Arguments/none_uri/Std:Join/Values", []),
        "step Mammo-ResolveChampion: Std:Join has no Values",
    ),
    "a JsonGet without a path": (
        drops("ExplainRejection", "Arguments/cv_auc/Std:Join/Values/0/Std:JsonGet/Path"),
        "Std:JsonGet: Path is missing",
    ),
    "a region as a literal": (
        sets("ResolveChampion", "Arguments/region", "eu-west-1"),
        "'eu-west-1' names a place; what differs between accounts must be a parameter",
    ),
    "a bucket as a literal": (
        sets("Train", "Arguments/OutputDataConfig/S3OutputPath", "s3://bucket/model"),
        "'s3://' names a place",
    ),
    "an account as a literal": (
        sets("ResolveChampion", "Arguments/account", "111122223333"),
        "'111122223333' names a place",
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_refuses(rule: str) -> None:
    mutation, expected = RULES[rule]
    found = errors_after(mutation)
    assert any(expected in line for line in found), found
    assert all("\n" not in line for line in found)


def test_refuses_a_text_compared_with_a_number() -> None:
    found = errors_after(sets("CheckDrift", "Arguments/Conditions/0/LeftValue", 1), "inference")
    assert "step Mammo-CheckDrift: condition Equals compares a text with a Integer" in found


def test_refuses_a_branch_that_needs_a_sibling_condition_s_branch() -> None:
    found = errors_after(
        sets("DriftFail", "DependsOn", ["Mammo-AnnounceViolation"]),
        "inference",
    )
    assert any(
        "DriftFail (in IfSteps of Mammo-CheckDrift): depends on Mammo-AnnounceViolation" in f for f in found
    )


def test_a_step_may_add_to_a_folder_that_it_reads_and_to_no_other() -> None:
    assert errors_after(lambda body: None, "inference", "model-monitor") == []

    def blind(body: Definition) -> None:
        inputs = step(body, "Prepare")["Arguments"]["ProcessingInputs"]
        inputs[:] = [one for one in inputs if one["InputName"] != "report"]

    assert (
        "output quality_check_output of Mammo-DataQualityCheck: its URI begins with that of output report of"
        " Mammo-Prepare, so who reads that one gets both"
    ) in errors_after(blind, "inference", "model-monitor")


def test_refuses_an_unknown_result_of_model_monitor() -> None:
    found = errors_after(
        sets(
            "RegisterModel",
            "Arguments/DriftCheckBaselines/ModelDataQuality/Statistics/S3Uri",
            {"Get": "Steps.Mammo-DataQualityCheck.Baseline"},
        ),
        variant="model-monitor",
    )
    assert any("a step of type QualityCheck has no property 'Baseline'" in line for line in found)


def test_takes_as_many_parameters_as_sagemaker_and_not_one_more() -> None:
    def with_parameters(count: int) -> list[str]:
        body = definition()
        more = [f"P{n}" for n in range(count - len(body["Parameters"]))]
        body["Parameters"] += [{"Name": name, "Type": "String"} for name in more]
        step(body, "ResolveChampion")["Arguments"].update({n: {"Get": f"Parameters.{n}"} for n in more})
        return errors(json.dumps(body))

    assert with_parameters(PARAMETER_LIMIT) == []
    assert with_parameters(PARAMETER_LIMIT + 1) == ["there are 201 parameters, the limit is 200"]


def test_takes_as_many_characters_as_sagemaker_and_not_one_more() -> None:
    text = json.dumps(definition())
    assert errors(text + " " * (CHARACTER_LIMIT - len(text))) == []
    found = errors(text + " " * (CHARACTER_LIMIT - len(text) + 1))
    assert found == ["the definition has 1,048,577 characters, the limit is 1,048,576"]


@pytest.mark.parametrize("broken", [None, 5, ["x"], {}], ids=["null", "number", "list", "object"])
@pytest.mark.parametrize("kind", ["train", "inference", "quality"])
def test_has_an_answer_whatever_part_is_broken(kind: str, broken: Any) -> None:
    body = definition(kind, "model-monitor")
    for path in paths(body):
        mutant = copy.deepcopy(body)
        *parents, last = path
        at: Any = mutant
        for part in parents:
            at = at[part]
        at[last] = broken
        assert all(isinstance(line, str) and "\n" not in line for line in errors(json.dumps(mutant))), path


def test_refuses_what_is_not_json() -> None:
    assert errors("{")[0].startswith("the definition is not JSON")


def test_the_command_names_the_file_of_each_error(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    body = definition()
    unused_parameter(body)
    path = tmp_path / "train.json"
    path.write_text(json.dumps(body))
    assert main([str(path)]) == 1
    assert capsys.readouterr().err == f"{path}: parameter Forgotten: no step uses it\n"
