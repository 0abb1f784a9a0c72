"""People: each may do what their role is for, with a second factor, and nothing beside."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.loop import Loop, is_denied

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]

SCIENTIST = "arn:aws:iam::111111111111:role/mlops/dev/data-scientist/mlops-dev-data-scientist"
OPERATOR = "arn:aws:iam::222222222222:role/mlops/prod/operator/mlops-prod-operator"


@pytest.fixture(scope="module")
def ada(loop: Loop) -> Any:
    """The data scientist as a user of dev."""
    return loop.user("dev", "ada", SCIENTIST, OPERATOR, loop.settings.approver_role_arn)


@pytest.fixture(scope="module")
def grace(loop: Loop) -> Any:
    """The operator as a user of prod."""
    return loop.user("prod", "grace", SCIENTIST, OPERATOR, loop.settings.approver_role_arn)


@pytest.fixture(scope="module")
def scientist(loop: Loop, ada: Any) -> Any:
    """The data scientist in their role."""
    return loop.cloud.assume(SCIENTIST, session_name="ada", by=ada, mfa=True)


@pytest.fixture(scope="module")
def operator(loop: Loop, grace: Any) -> Any:
    """The operator in their role."""
    return loop.cloud.assume(OPERATOR, session_name="grace", by=grace, mfa=True)


@pytest.mark.parametrize(("person", "role"), [("ada", SCIENTIST), ("grace", OPERATOR)])
def test_nobody_takes_a_role_without_a_second_factor(
    loop: Loop, request: pytest.FixtureRequest, person: str, role: str
) -> None:
    user = request.getfixturevalue(person)
    assert is_denied(lambda: loop.cloud.assume(role, session_name=person, by=user))
    loop.cloud.assume(role, session_name=person, by=user, mfa=True)


def test_nobody_takes_the_role_of_others(loop: Loop, ada: Any, grace: Any) -> None:
    approver = loop.settings.approver_role_arn
    for person, role in ((ada, OPERATOR), (ada, approver), (grace, SCIENTIST), (grace, approver)):
        assert is_denied(lambda p=person, r=role: loop.cloud.assume(r, session_name="person", by=p, mfa=True))  # type: ignore[misc]


def test_a_data_scientist_runs_both_pipelines_of_dev_and_reads_their_results(
    loop: Loop, scientist: Any
) -> None:
    sagemaker, s3 = scientist.client("sagemaker"), scientist.client("s3")
    stage = loop.stage("dev")
    train = sagemaker.start_pipeline_execution(PipelineName=stage.pipeline_name(loop.model, "train"))
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=train["PipelineExecutionArn"])
    started = sagemaker.start_pipeline_execution(
        PipelineName=stage.pipeline_name(loop.model, "inference"),
        PipelineParameters=[{"Name": "transform_input", "Value": loop.put_batch("dev")}],
    )
    run = loop.follow("by ada", "dev", started["PipelineExecutionArn"])
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    assert sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=run.outcome.execution_arn)
    keys = loop.keys("dev", f"inference/{run.outcome.execution_id}/predictions/")
    assert (
        s3.get_object(Bucket=stage.data_bucket_name, Key=keys[0])["Body"].read().count(b"\n")
        == loop.rows_in()
    )
    rows = loop.keys("dev", "data/train-dataset/")[0]
    assert s3.get_object(Bucket=stage.data_bucket_name, Key=rows)["Body"].read()


def test_a_data_scientist_changes_nothing_by_hand_and_cannot_touch_prod(loop: Loop, scientist: Any) -> None:
    sagemaker, s3 = scientist.client("sagemaker"), scientist.client("s3")
    dev, prod = loop.stage("dev"), loop.stage("prod")
    rows = f"{loop.model.model_name}/data/train-dataset/mammo-train-dataset-part1.csv"
    prod_pipeline = (
        f"arn:aws:sagemaker:{loop.region}:{prod.account}:pipeline/mammo-severity-inference-pipeline"
    )
    newest = loop.versions()[-1].arn
    calls: dict[str, Callable[[], object]] = {
        "reads prod's data": lambda: s3.get_object(Bucket=prod.data_bucket_name, Key=rows),
        "lists prod's data": lambda: s3.list_objects_v2(Bucket=prod.data_bucket_name),
        "starts prod's inference": lambda: sagemaker.start_pipeline_execution(PipelineName=prod_pipeline),
        "approves": lambda: sagemaker.update_model_package(
            ModelPackageArn=newest, ModelApprovalStatus="Approved"
        ),
        "writes the code": lambda: s3.put_object(
            Bucket=dev.data_bucket_name, Key=f"{loop.model.model_name}/scripts/x/steps/model.py", Body=b""
        ),
        "changes the pipeline": lambda: sagemaker.update_pipeline(
            PipelineName=dev.pipeline_name(loop.model, "train"), PipelineDescription="mine"
        ),
    }
    assert [what for what, call in calls.items() if not is_denied(call)] == []


def test_an_operator_has_ground_truth_judged_in_prod_and_reads_what_was_found(
    loop: Loop, operator: Any
) -> None:
    stage = loop.stage("prod")
    batch = loop.put_batch("prod")
    assert loop.score("prod", batch).outcome.status == "Succeeded"
    name = batch.partition("/data/batch-dataset/")[2]
    lines = [f"{number},{number % 2}" for number in range(1, 6)]
    truth = loop.put("prod", f"data/ground-truth/{name}", "\n".join(lines) + "\n")
    sagemaker = operator.client("sagemaker")
    started = sagemaker.start_pipeline_execution(
        PipelineName=stage.pipeline_name(loop.model, "quality"),
        PipelineParameters=[{"Name": "ground_truth_input", "Value": truth}],
    )
    run = loop.follow("judged by grace", "prod", started["PipelineExecutionArn"])
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    assert sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=run.outcome.execution_arn)
    home = f"{loop.model.model_name}/quality/{run.outcome.execution_id}/model-quality"
    report = operator.client("s3").get_object(Bucket=stage.data_bucket_name, Key=f"{home}/model-quality.json")
    found = json.loads(report["Body"].read())
    assert (found["verdict"], found["action"], found["rows"]["joined"]) == ("not_enough", "wait", 5)
    key = truth.removeprefix(f"s3://{stage.data_bucket_name}/")
    assert is_denied(lambda: operator.client("s3").get_object(Bucket=stage.data_bucket_name, Key=key))


def test_an_operator_runs_inference_in_prod_but_neither_trains_nor_approves(
    loop: Loop, operator: Any
) -> None:
    sagemaker, s3 = operator.client("sagemaker"), operator.client("s3")
    stage, newest = loop.stage("prod"), loop.versions()[-1].arn
    started = sagemaker.start_pipeline_execution(
        PipelineName=stage.pipeline_name(loop.model, "inference"),
        PipelineParameters=[{"Name": "transform_input", "Value": loop.put_batch("prod")}],
    )
    run = loop.follow("by grace", "prod", started["PipelineExecutionArn"])
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    predictions = loop.keys("prod", f"inference/{run.outcome.execution_id}/predictions/")[0]
    assert (
        s3.get_object(Bucket=stage.data_bucket_name, Key=predictions)["Body"].read().count(b"\n")
        == loop.rows_in()
    )
    rows = f"{loop.model.model_name}/data/train-dataset/mammo-train-dataset-part1.csv"
    train = stage.pipeline_name(loop.model, "train")
    calls: dict[str, Callable[[], object]] = {
        "trains": lambda: sagemaker.start_pipeline_execution(PipelineName=train),
        "reads training data": lambda: s3.get_object(Bucket=stage.data_bucket_name, Key=rows),
        "approves": lambda: sagemaker.update_model_package(
            ModelPackageArn=newest, ModelApprovalStatus="Approved"
        ),
        "deletes a prediction": lambda: s3.delete_object(Bucket=stage.data_bucket_name, Key=predictions),
    }
    assert [what for what, call in calls.items() if not is_denied(call)] == []


def test_a_role_that_dev_makes_itself_writes_neither_into_prods_artifacts_nor_the_registrys_state(
    loop: Loop,
) -> None:
    """Dev's account may give a role below its path any permission: the bucket's policy must hold it."""
    iam, name, path = loop.client("dev", "iam"), "made-in-dev", "/mlops/dev/train/"
    account = loop.settings.accounts["dev"]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "sts:AssumeRole",
    }
    anything = {"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}
    trusting, allowing = (
        json.dumps({"Version": "2012-10-17", "Statement": one}) for one in (trust, anything)
    )
    iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trusting)
    iam.put_role_policy(RoleName=name, PolicyName="anything", PolicyDocument=allowing)
    role = loop.cloud.assume(f"arn:aws:iam::{account}:role{path}{name}", session_name="made-in-dev")
    s3, bucket, model = role.client("s3"), loop.settings.artifacts_bucket_name, loop.model.model_name
    keys = [
        f"{model}/dev/x",
        f"{model}/prod/x",
        f"{model}/prod/x/dev/y",
        "_state/notices/dev/1-Approved.json",
    ]
    denied = [key for key in keys if is_denied(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x"))]  # noqa: B023
    assert denied == keys[1:]


def test_a_stranger_takes_no_role(loop: Loop) -> None:
    stranger = loop.user("prod", "mallory", OPERATOR)
    with pytest.raises(ClientError, match="AccessDenied"):
        loop.cloud.assume(OPERATOR, session_name="mallory", by=stranger, mfa=True)
