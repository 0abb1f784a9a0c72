"""Pipelines as the embedded cloud runs them, with IAM enforced."""

from __future__ import annotations

import json
import os
import signal
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.cloud import LocalCloud
from tests.local_cloud.engine_kit import (
    DEV,
    allow,
    as_role,
    denied,
    eventually,
    make_function,
    make_role,
    queue,
    received,
    unique,
)
from tests.local_cloud_sagemaker.definitions import (
    compare,
    condition,
    fail,
    function,
    get,
    join,
    json_get,
    parameter,
    pipeline,
    processing,
    training,
)
from tests.local_cloud_sagemaker.stage import ROLE, Stage

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("sagemaker")]

SPLIT = """
lines = (root / 'input/raw/data.csv').read_text().splitlines()
(root / 'output/train/train.csv').write_text('\\n'.join(lines))
(root / 'output/report/report.json').write_text(json.dumps({'rows': len(lines), 'nested': {'auc': 0.9}}))
"""
NOTHING = "pass"
SLOW = "time.sleep(60)"


@pytest.fixture(scope="module")
def stage(cloud: LocalCloud) -> Stage:
    return Stage(cloud)


@pytest.fixture(scope="module")
def function_role(cloud: LocalCloud) -> str:
    return make_role(cloud, DEV, allow("logs:*"), principal={"Service": "lambda.amazonaws.com"})


def rows(count: int = 40) -> str:
    return "\n".join(f"{i % 2},{i % 7},{'' if i % 5 == 0 else i % 2 * 3 + i % 3}" for i in range(count))


def test_a_run_passes_data_from_step_to_step(stage: Stage) -> None:
    key = unique("run")
    raw = stage.put(f"{key}/raw/data.csv", rows())
    outputs = {n: join(stage.uri(key), get("Execution.PipelineExecutionId"), n) for n in ("train", "report")}
    run = stage.run(
        pipeline(
            processing(
                "Split",
                stage.program(SPLIT),
                inputs={"raw": raw.removesuffix("/data.csv")},
                outputs=outputs,
                files={"Report": ("report", "report.json")},
            ),
            training(
                "Train",
                get("Steps.Split.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"),
                stage.uri(key),
            ),
            condition(
                "Check",
                compare(
                    "GreaterThanOrEqualTo", json_get("Split", "Report", "nested.auc"), get("Parameters.Least")
                ),
                then=[
                    fail("Good", join("artifact", get("Steps.Train.ModelArtifacts.S3ModelArtifacts"), on=" "))
                ],
                otherwise=[fail("Bad")],
            ),
            parameters=[ROLE, parameter("Least", "Float", 0.95)],
        ),
        Least="0.5",
    )
    assert run.reason("Good").startswith(f"artifact s3://{stage.bucket}/{key}/"), run.steps
    assert run.steps["Check"]["Metadata"]["Condition"]["Outcome"] == "True"
    assert "Bad" not in run.steps


def test_jobs_are_named_by_the_custom_prefix_or_by_the_step(stage: Stage) -> None:
    code = stage.program(NOTHING)
    run = stage.run(
        pipeline(
            processing("Named", code, job_prefix="mammo-severity-train-named"),
            processing("Mammo-Plain", code),
            parameters=[ROLE],
        )
    )
    assert run.status == "Succeeded", run.steps
    execution = run.arn.rsplit("/", 1)[-1]
    arns = {name: step["Metadata"]["ProcessingJob"]["Arn"] for name, step in run.steps.items()}
    assert f":processing-job/mammo-severity-train-named-{execution}-" in arns["Named"]
    assert f":processing-job/pipelines-{execution}-mammo-plain-" in arns["Mammo-Plain"]


def test_a_job_sees_only_its_own_environment(stage: Stage) -> None:
    code = """
import importlib.util
found = {"names": sorted(os.environ), "base": os.environ["SAGEMAKER_BASE_DIR"], "own": os.environ["OWN"],
         "repository": importlib.util.find_spec("local_cloud") is not None, "cwd": os.getcwd()}
(root / 'output/seen/seen.json').write_text(json.dumps(found))
"""
    os.environ["NOT_FOR_JOBS"] = "1"
    key = unique("run")
    step = processing(
        "See",
        stage.program(code),
        outputs={"seen": stage.uri(key)},
        environment={"OWN": "x:/opt/ml/processing"},
    )
    assert stage.run(pipeline(step, parameters=[ROLE])).status == "Succeeded"
    seen = json.loads(stage.read(f"{key}/seen.json"))
    assert seen["own"] == f"x:{seen['base']}/processing"
    assert not seen["repository"]
    assert seen["base"].startswith(seen["cwd"])
    assert {"NOT_FOR_JOBS", "PYTHONPATH", "MINISTACK_HOST"} & set(seen["names"]) == set()


def test_a_failing_program_fails_its_step_with_its_last_words(stage: Stage) -> None:
    after = processing("After", stage.program(NOTHING), DependsOn=["Broken"])
    broken = processing("Broken", stage.program("raise ValueError('column Age is missing')"))
    run = stage.run(pipeline(broken, after, parameters=[ROLE]))
    assert run.status == "Failed"
    assert run.reason("Broken") == "AlgorithmError: ValueError: column Age is missing, exit code: 1"
    assert "After" not in run.steps
    described = stage.sagemaker.describe_pipeline_execution(PipelineExecutionArn=run.arn)
    assert described["FailureReason"] == "Step failure: One or multiple steps failed."


def test_the_exit_message_of_a_job_is_kept(stage: Stage) -> None:
    code = "(root.parent / 'output/message').write_text('CompletedWithViolations')"
    run = stage.run(pipeline(processing("Say", stage.program(code)), parameters=[ROLE]))
    name = run.steps["Say"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[-1]
    job = stage.sagemaker.describe_processing_job(ProcessingJobName=name)
    assert job["ExitMessage"] == "CompletedWithViolations"
    assert job["ProcessingEndTime"] >= job["ProcessingStartTime"]


def test_a_fail_step_lets_running_steps_finish_and_starts_no_other(stage: Stage) -> None:
    definition = pipeline(
        processing("Running", stage.program("time.sleep(1)")),
        processing("Never", stage.program(NOTHING), DependsOn=["Running"]),
        processing("First", stage.program(NOTHING)),
        fail("Enough", join("no", get("Parameters.What"), on=" "), DependsOn=["First"]),
        parameters=[ROLE, parameter("What", default="more")],
    )
    run = stage.run(definition)
    assert run.status == "Failed"
    assert run.reason("Enough") == "no more"
    assert run.steps["Running"]["StepStatus"] == "Succeeded"
    assert "Never" not in run.steps


def test_a_stopped_execution_ends_its_jobs(stage: Stage) -> None:
    definition = pipeline(
        processing("Slow", stage.program(SLOW)),
        processing("Next", stage.program(NOTHING), DependsOn=["Slow"]),
        parameters=[ROLE],
    )
    name = stage.create(definition)
    arn = stage.start(name, RoleArn=stage.role)
    job = eventually(lambda: stage.steps(arn).get("Slow", {}).get("Metadata", {}).get("ProcessingJob"))
    with pytest.raises(ClientError, match="ConflictException"):
        stage.sagemaker.delete_pipeline(PipelineName=name)
    stage.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)
    run = stage.finish(arn, 15)
    assert (run.status, run.steps["Slow"]["StepStatus"]) == ("Stopped", "Stopped")
    assert "Next" not in run.steps
    described = stage.sagemaker.describe_processing_job(ProcessingJobName=job["Arn"].rsplit("/", 1)[-1])
    assert described["ProcessingJobStatus"] == "Stopped"
    stage.sagemaker.delete_pipeline(PipelineName=name)


def test_a_killed_program_fails_its_step_with_the_signal(stage: Stage) -> None:
    key = unique("pid")
    code = """
import boto3
boto3.client('s3').put_object(Bucket=sys.argv[2], Key=sys.argv[3], Body=str(os.getpid()).encode())
time.sleep(60)
"""
    step = processing("Killed", stage.program(code))
    step["Arguments"]["AppSpecification"]["ContainerArguments"] += [stage.bucket, key]
    arn = stage.start(stage.create(pipeline(step, parameters=[ROLE])), RoleArn=stage.role)
    eventually(lambda: stage.keys(key))
    os.kill(int(stage.read(key)), signal.SIGKILL)
    run = stage.finish(arn, 15)
    assert run.status == "Failed"
    assert run.reason("Killed") == "AlgorithmError: the program was ended by signal 9, exit code: 137"


def test_a_job_that_takes_too_long_is_stopped(stage: Stage) -> None:
    run = stage.run(pipeline(processing("Slow", stage.program(SLOW), max_runtime=1), parameters=[ROLE]))
    assert run.status == "Failed"
    assert run.reason("Slow").startswith("MaxRuntimeExceeded")


def test_a_lambda_step_hands_on_the_outputs_of_its_function(stage: Stage, function_role: str) -> None:
    code = "def handler(event, context): return {'greeting': 'hello ' + event['who'], 'count': 3}"
    arn = make_function(stage.cloud, DEV, code, function_role)
    run = stage.run(
        pipeline(
            function("Greet", arn, {"greeting": "String", "count": "Integer"}, who=get("Parameters.Name")),
            fail(
                "Say",
                join(*(get(f"Steps.Greet.OutputParameters['{n}']") for n in ("greeting", "count")), on=" x"),
            ),
            parameters=[ROLE, parameter("Name")],
        ),
        Name="you",
    )
    assert run.reason("Say") == "hello you x3"


def test_a_raising_function_fails_its_step_with_type_and_message(stage: Stage, function_role: str) -> None:
    code = "class NoApprovedModel(Exception): pass\ndef handler(event, context): raise NoApprovedModel('none yet')"
    arn = make_function(stage.cloud, DEV, code, function_role)
    run = stage.run(pipeline(function("Resolve", arn), parameters=[ROLE]))
    assert run.reason("Resolve") == "NoApprovedModel: none yet"


def test_a_function_that_the_role_may_not_invoke_fails_the_step(
    cloud: LocalCloud, function_role: str
) -> None:
    arn = make_function(cloud, DEV, "def handler(event, context): return {}", function_role)
    stage = Stage(cloud, {"Effect": "Deny", "Action": "lambda:InvokeFunction", "Resource": arn})
    run = stage.run(pipeline(function("Call", arn), parameters=[ROLE]))
    assert "is not authorized to perform: lambda:InvokeFunction" in run.reason("Call")


def test_a_job_role_that_the_pipeline_role_may_not_pass_fails_the_step(stage: Stage) -> None:
    other = stage.make_role(pass_itself=False)
    run = stage.run(pipeline(processing("Pass", stage.program(NOTHING), role=other), parameters=[ROLE]))
    assert "is not authorized to perform: iam:PassRole" in run.reason("Pass")
    assert "sagemaker:CreateProcessingJob" in run.reason("Pass")


def test_a_job_can_read_only_what_its_role_may(stage: Stage) -> None:
    foreign = unique("foreign")
    stage.s3.create_bucket(Bucket=foreign)
    stage.s3.put_object(Bucket=foreign, Key="data/a.csv", Body=b"1")
    step = processing("Read", stage.program(NOTHING), inputs={"data": f"s3://{foreign}/data"})
    run = stage.run(pipeline(step, parameters=[ROLE]))
    assert "s3:ListBucket" in run.reason("Read")


def test_an_empty_input_prefix_fails_the_step_as_on_sagemaker(stage: Stage) -> None:
    step = processing("Read", stage.program(NOTHING), inputs={"data": stage.uri("nothing/here")})
    run = stage.run(pipeline(step, parameters=[ROLE]))
    assert run.reason("Read").startswith('ClientError: No S3 objects found under S3 URL "s3://')


def test_a_role_that_sagemaker_may_not_assume_is_refused_at_start(stage: Stage) -> None:
    role = make_role(stage.cloud, DEV, principal={"Service": "lambda.amazonaws.com"})
    name = stage.create(pipeline(fail("End"), parameters=[]), role)
    with pytest.raises(ClientError, match="Could not assume role"):
        stage.start(name)


def test_a_repeated_token_starts_nothing_twice(stage: Stage) -> None:
    name = stage.create(pipeline(fail("End", get("Parameters.Why")), parameters=[parameter("Why")]))
    token = uuid.uuid4().hex
    first = stage.start(name, token, Why="x")
    assert stage.start(name, token, Why="x") == first
    with pytest.raises(ClientError, match="ConflictException"):
        stage.start(name, token, Why="y")
    executions = stage.sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    assert [item["PipelineExecutionArn"] for item in executions] == [first]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"Missing value\(s\) for parameter\(s\) \[Count\]"),
        ({"Count": "1", "Extra": "1"}, r"Unknown parameter\(s\) \[Extra\]"),
        ({"Count": "many"}, "Parameter 'Count' has value 'many', which isn't of type Integer"),
    ],
)
def test_wrong_parameters_are_refused_at_start(stage: Stage, given: dict[str, str], message: str) -> None:
    name = stage.create(pipeline(fail("End"), parameters=[parameter("Count", "Integer")]))
    with pytest.raises(ClientError, match=f"ValidationException.*{message}"):
        stage.start(name, **given)


def test_status_changes_arrive_on_the_default_bus(stage: Stage) -> None:
    url, arn = queue(stage.cloud, DEV, "events.amazonaws.com")
    events, rule = stage.session.client("events"), unique("rule")
    name = stage.create(pipeline(fail("End", "because")))
    execution_prefix = f"arn:aws:sagemaker:us-east-1:{DEV}:pipeline/{name}"
    pattern = {"source": ["aws.sagemaker"], "detail": {"pipelineArn": [execution_prefix]}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    run = stage.finish(stage.start(name))
    told: list[dict[str, Any]] = []

    def all_told() -> bool:
        told.extend(json.loads(message["Body"]) for message in received(stage.cloud, DEV, url))
        return len(told) >= 5

    eventually(all_told)
    steps = [event["detail"] for event in told if "Step Status" in event["detail-type"]]
    runs = [event["detail"] for event in told if "Execution Status" in event["detail-type"]]
    assert {"stepName": "End", "currentStepStatus": "Failed", "failureReason": "because"}.items() <= steps[
        -1
    ].items()
    assert [item["currentPipelineExecutionStatus"] for item in runs] == ["Executing", "Failed"]
    assert runs[-1]["previousPipelineExecutionStatus"] == "Executing"
    assert runs[-1]["pipelineExecutionArn"] == run.arn


def test_a_role_can_be_held_to_pipelines_with_a_tag(stage: Stage) -> None:
    name = stage.create(pipeline(fail("End")))
    arn = stage.sagemaker.describe_pipeline(PipelineName=name)["PipelineArn"]
    when = {"StringEquals": {"aws:ResourceTag/mlops:stage": "dev"}}
    role = as_role(stage.cloud, DEV, allow("sagemaker:StartPipelineExecution", on="*", when=when))
    sagemaker = role.client("sagemaker")
    denied(sagemaker.start_pipeline_execution, PipelineName=name)
    stage.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "mlops:stage", "Value": "dev"}])
    stage.finish(sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"])


def test_a_role_can_be_held_to_jobs_of_one_prefix(cloud: LocalCloud) -> None:
    mine = f"arn:aws:sagemaker:us-east-1:{DEV}:processing-job/mine-*"
    stage = Stage(cloud, {"Effect": "Deny", "Action": "sagemaker:CreateProcessingJob", "NotResource": mine})
    code = stage.program(NOTHING)
    run = stage.run(
        pipeline(
            processing("Mine", code, job_prefix="mine-train"),
            processing("Other", code, job_prefix="other-train", DependsOn=["Mine"]),
            parameters=[ROLE],
        )
    )
    assert run.steps["Mine"]["StepStatus"] == "Succeeded"
    assert "is not authorized to perform: sagemaker:CreateProcessingJob" in run.reason("Other")
