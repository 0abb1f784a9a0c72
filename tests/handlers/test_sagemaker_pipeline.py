"""The custom resource as CloudFormation sees it: create, update, roll back, replace, delete."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from typing import Any

import pytest

from sagemaker_pipeline.handler import handle, respond
from shared.cloudformation import BadRequest, Request
from tests.handlers.fake_aws import Clock, Context, FakeS3, FakeSageMaker, pipeline_arn, refusal

NAME = "mammo-severity-train-pipeline"
STACK = "arn:aws:cloudformation:eu-central-1:222222222222:stack/DevStack/0a1b"
RUN_1 = "11111111-1111-1111-1111-111111111111"


def packed(body: bytes = b"print()") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("steps/a.py", body)
    return file.getvalue()


def compiled(step: str = "Train") -> bytes:
    parameters = [
        {"Name": "CodeUri", "Type": "String"},
        {"Name": "RoleArn", "Type": "String"},
        {"Name": "AucScoreThreshold", "Type": "Float", "DefaultValue": 0.8},
    ]
    steps = [{"Name": "One", "Type": step, "Arguments": {"FunctionArn": "@function:ModelResolver@"}}]
    return json.dumps({"Version": "2020-12-01", "Parameters": parameters, "Steps": steps}).encode()


def properties(**more: Any) -> dict[str, Any]:
    return {
        "PipelineName": NAME,
        "DisplayName": NAME,
        "Description": "trains",
        "RoleArn": "arn:aws:iam::222222222222:role/mlops/dev/train/role",
        "DefinitionBucket": "assets",
        "DefinitionKey": "v1.json",
        "CodeBucket": "assets",
        "CodeKey": "code.zip",
        "CodeDestinationBucket": "data",
        "CodeDestinationPrefix": "model/scripts",
        "CodeHash": "0123456789abcdef",
        "CodeParameter": "CodeUri",
        "ParameterDefaults": {"RoleArn": "arn:role", "AucScoreThreshold": "0.85"},
        "Functions": {"ModelResolver": "arn:aws:lambda:eu-central-1:222222222222:function:resolver"},
        "Tags": {"mlops:stage": "dev"},
        "AdoptExisting": "false",
        **more,
    }


class World:
    def __init__(self) -> None:
        self.s3 = FakeS3("assets", "data")
        self.s3.put("assets", "code.zip", packed())
        self.s3.put("assets", "v1.json", compiled())
        self.s3.put("assets", "v2.json", compiled("Processing"))
        self.s3.put("assets", "invalid.json", compiled("Nonsense"))
        self.sagemaker = FakeSageMaker()
        self.clock = Clock()
        self.answers: list[dict[str, Any]] = []

    def send(
        self,
        kind: str,
        physical_id: str | None = None,
        old: dict[str, Any] | None = None,
        request_id: str = RUN_1,
        stack: str = STACK,
        seconds: float = 900,
        **more: Any,
    ) -> dict[str, Any]:
        request = Request(
            kind, "https://a", stack, request_id, "Train", physical_id, properties(**more), old or {}
        )

        def put(_: str, body: bytes) -> None:
            self.answers.append(json.loads(body))

        clients = {"s3": self.s3, "sagemaker": self.sagemaker}
        respond(request, Context(seconds), clients.__getitem__, put, self.clock.sleep, self.clock.monotonic)
        return self.answers[-1]

    @property
    def tags(self) -> dict[str, str]:
        return self.sagemaker.tags[pipeline_arn(NAME)]

    def definition(self, name: str = NAME) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.sagemaker.pipelines[name]["PipelineDefinition"])
        return value


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def made(world: World) -> World:
    assert world.send("Create")["Status"] == "SUCCESS"
    return world


def test_create_makes_a_pipeline_with_defaults_markers_code_and_tags(made: World) -> None:
    answer = made.answers[0]
    assert answer["PhysicalResourceId"] == NAME
    code_uri = "s3://data/model/scripts/0123456789abcdef"
    assert answer["Data"]["CodeUri"] == code_uri
    assert answer["Data"]["PipelineArn"] == pipeline_arn(NAME)
    defaults = {one["Name"]: one["DefaultValue"] for one in made.definition()["Parameters"]}
    assert defaults == {"CodeUri": code_uri, "RoleArn": "arn:role", "AucScoreThreshold": 0.85}
    assert made.definition()["Steps"][0]["Arguments"]["FunctionArn"].endswith(":function:resolver")
    assert made.tags["mlops:stage"] == "dev"
    assert made.s3.objects["data"]["model/scripts/0123456789abcdef/steps/a.py"] == b"print()"


def test_the_request_id_is_the_token_of_the_creation(made: World) -> None:
    assert made.sagemaker.called("CreatePipeline")[0]["ClientRequestToken"] == RUN_1


def test_the_digest_is_that_of_the_compiled_file_and_so_the_same_in_every_stage(made: World) -> None:
    first = made.answers[0]["Data"]["DefinitionSha256"]
    other = made.send("Update", NAME, ParameterDefaults={"RoleArn": "another"})
    assert other["Data"]["DefinitionSha256"] == first


def test_create_delivered_twice_succeeds_twice_and_makes_one_pipeline(made: World) -> None:
    assert made.send("Create")["Status"] == "SUCCESS"
    assert len(made.sagemaker.called("CreatePipeline")) == 1
    assert list(made.sagemaker.pipelines) == [NAME]


def test_a_strangers_pipeline_of_the_same_name_is_refused_and_untouched(world: World) -> None:
    world.sagemaker.make_pipeline(NAME)
    answer = world.send("Create")
    assert answer["Status"] == "FAILED"
    assert "exists already and this stack did not make it" in answer["Reason"]
    assert "adopt_existing=True" in answer["Reason"]
    assert world.sagemaker.pipelines[NAME]["RoleArn"] == "former"
    assert world.s3.objects["data"] == {}


def test_the_delete_after_a_refused_create_leaves_the_strangers_pipeline(world: World) -> None:
    world.sagemaker.make_pipeline(NAME)
    failed = world.send("Create")
    assert world.send("Delete", failed["PhysicalResourceId"])["Status"] == "SUCCESS"
    assert NAME in world.sagemaker.pipelines


def test_a_pipeline_of_another_stack_is_refused_and_the_stack_is_named(made: World) -> None:
    answer = made.send("Create", stack=STACK.replace("DevStack", "OtherStack"))
    assert "the stack resource DevStack/Train made it" in answer["Reason"]


def test_a_stack_made_anew_under_the_same_name_is_a_stranger(made: World) -> None:
    assert made.send("Create", stack=STACK + "9")["Status"] == "FAILED"


def test_a_pipeline_is_adopted_where_that_is_asked_for(world: World) -> None:
    world.sagemaker.make_pipeline(NAME, team="a")
    assert world.send("Create", AdoptExisting="true")["Status"] == "SUCCESS"
    assert world.definition()["Steps"][0]["Type"] == "Train"
    assert world.tags["mlops:adopted"] == "true"
    assert world.tags["team"] == "a"


def test_an_adopted_pipeline_stays_when_its_stack_is_deleted(world: World) -> None:
    world.sagemaker.make_pipeline(NAME, team="a")
    world.send("Create", AdoptExisting="true")
    running = world.sagemaker.add_execution(NAME, "run1")
    assert world.send("Delete", NAME)["Status"] == "SUCCESS"
    assert NAME in world.sagemaker.pipelines
    assert not {"mlops:owner", "mlops:adopted"} & set(world.tags)
    assert world.sagemaker.called("StopPipelineExecution") == []
    assert world.sagemaker.executions[0] == {
        "PipelineExecutionArn": running,
        "PipelineExecutionStatus": "Executing",
        "StartTime": world.sagemaker.executions[0]["StartTime"],
    }


def test_an_adoption_that_fails_gives_the_pipeline_back(world: World) -> None:
    world.sagemaker.make_pipeline(NAME)
    failed = world.send("Create", AdoptExisting="true", DefinitionKey="invalid.json")
    assert failed["Status"] == "FAILED"
    world.send("Delete", failed["PhysicalResourceId"], AdoptExisting="true")
    assert world.sagemaker.pipelines[NAME]["RoleArn"] == "former"
    assert world.tags == {}


def test_an_invalid_definition_fails_with_sagemakers_own_words(world: World) -> None:
    answer = world.send("Create", DefinitionKey="invalid.json")
    assert answer["Status"] == "FAILED"
    assert "Unable to parse pipeline definition. Unknown step type: Nonsense" in answer["Reason"]
    assert world.sagemaker.pipelines == {}


def test_an_update_that_is_refused_leaves_the_old_pipeline_working(made: World) -> None:
    before = made.definition()
    answer = made.send("Update", NAME, properties(), DefinitionKey="invalid.json")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", NAME)
    assert made.definition() == before


def test_a_roll_back_restores_definition_defaults_and_tags(made: World) -> None:
    before, tags = made.definition(), dict(made.tags)
    new: dict[str, Any] = {
        "DefinitionKey": "v2.json",
        "ParameterDefaults": {"RoleArn": "other"},
        "Tags": {"mlops:commit": "abc"},
    }
    assert made.send("Update", NAME, properties(), **new)["Status"] == "SUCCESS"
    assert made.definition() != before
    assert made.send("Update", NAME, properties(**new))["Status"] == "SUCCESS"
    assert made.definition() == before
    assert made.tags == tags


def test_an_update_removes_its_own_tags_and_leaves_those_of_others(made: World) -> None:
    made.tags["cost-center"] = "7"
    made.send("Update", NAME, properties(), Tags={"mlops:model": "m"})
    assert made.tags["cost-center"] == "7"
    assert made.tags["mlops:model"] == "m"
    assert "mlops:stage" not in made.tags


def test_unchanged_tags_are_not_written_again(made: World) -> None:
    made.send("Update", NAME, properties())
    assert made.sagemaker.called("AddTags") == []
    assert made.sagemaker.called("DeleteTags") == []


def test_a_pipeline_that_someone_deleted_is_made_again_by_an_update(made: World) -> None:
    made.sagemaker.pipelines.clear()
    assert made.send("Update", NAME, properties(), request_id="2" * 36)["Status"] == "SUCCESS"
    assert NAME in made.sagemaker.pipelines


def test_a_new_name_is_a_new_pipeline_and_the_old_one_is_deleted_by_its_id(made: World) -> None:
    renamed = made.send("Update", NAME, properties(), request_id="2" * 36, PipelineName="renamed")
    assert (renamed["Status"], renamed["PhysicalResourceId"]) == ("SUCCESS", "renamed")
    assert set(made.sagemaker.pipelines) == {NAME, "renamed"}
    made.send("Delete", NAME, request_id="3" * 36)
    assert set(made.sagemaker.pipelines) == {"renamed"}


def test_a_rename_that_is_rolled_back_ends_with_the_old_name_only(made: World) -> None:
    before = made.definition()
    made.send(
        "Update", NAME, properties(), request_id="2" * 36, PipelineName="renamed", DefinitionKey="v2.json"
    )
    back = made.send("Update", "renamed", properties(PipelineName="renamed"), request_id="3" * 36)
    assert (back["Status"], back["PhysicalResourceId"]) == ("SUCCESS", NAME)
    made.send("Delete", "renamed", request_id="4" * 36, PipelineName="renamed")
    assert set(made.sagemaker.pipelines) == {NAME}
    assert made.definition() == before


def test_a_rename_onto_a_strangers_pipeline_fails_and_keeps_the_old_id(made: World) -> None:
    made.sagemaker.make_pipeline("taken")
    answer = made.send("Update", NAME, properties(), PipelineName="taken")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", NAME)
    assert made.sagemaker.pipelines["taken"]["RoleArn"] == "former"


def test_delete_stops_what_runs_waits_and_deletes(made: World) -> None:
    for run in ("a", "b", "c"):
        made.sagemaker.add_execution(NAME, run)
    made.sagemaker.add_execution(NAME, "d", "Succeeded")
    assert made.send("Delete", NAME)["Status"] == "SUCCESS"
    assert made.sagemaker.pipelines == {}
    assert len(made.sagemaker.called("StopPipelineExecution")) == 3
    assert made.clock.seconds > 0


def test_an_execution_that_starts_during_the_delete_is_stopped_too(made: World) -> None:
    made.sagemaker.add_execution(NAME, "a")
    stop = made.sagemaker.stop_pipeline_execution

    def another_starts(**request: Any) -> dict[str, Any]:
        if not made.sagemaker.called("StopPipelineExecution"):
            made.sagemaker.add_execution(NAME, "b")
        return stop(**request)

    made.sagemaker.stop_pipeline_execution = another_starts  # type: ignore[method-assign]
    assert made.send("Delete", NAME)["Status"] == "SUCCESS"
    assert len(made.sagemaker.called("StopPipelineExecution")) == 2


@pytest.mark.parametrize("seconds", [900.0, 120.0])
def test_delete_gives_up_in_words_before_the_time_is_over(made: World, seconds: float) -> None:
    made.sagemaker.polls_to_stop = 10_000
    made.sagemaker.add_execution(NAME, "stubborn")
    answer = made.send("Delete", NAME, seconds=seconds)
    assert answer["Status"] == "FAILED"
    assert "stubborn" in answer["Reason"]
    assert seconds - 60 < made.clock.seconds < seconds - 15
    assert NAME in made.sagemaker.pipelines


def test_delete_after_a_lambda_step_took_ten_minutes_to_stop_succeeds(made: World) -> None:
    made.sagemaker.polls_to_stop = 125
    made.sagemaker.add_execution(NAME, "slow")
    assert made.send("Delete", NAME)["Status"] == "SUCCESS"
    assert 600 < made.clock.seconds < 900


def test_deleting_what_is_gone_already_is_a_success(world: World) -> None:
    assert world.send("Delete", NAME)["Status"] == "SUCCESS"


def test_delete_delivered_twice_succeeds_twice(made: World) -> None:
    assert made.send("Delete", NAME)["Status"] == "SUCCESS"
    assert made.send("Delete", NAME)["Status"] == "SUCCESS"


def test_delete_leaves_a_pipeline_that_another_stack_took_over(made: World) -> None:
    other = STACK.replace("DevStack", "OtherStack")
    made.send("Create", stack=other, AdoptExisting="true")
    assert made.send("Delete", NAME)["Status"] == "SUCCESS"
    assert NAME in made.sagemaker.pipelines


def test_delete_leaves_a_pipeline_that_another_stack_made_meanwhile(made: World) -> None:
    made.sagemaker.pipelines.clear()
    made.tags.clear()
    made.send("Create", stack=STACK.replace("DevStack", "OtherStack"), request_id="2" * 36)
    assert made.send("Delete", NAME, request_id="3" * 36)["Status"] == "SUCCESS"
    assert NAME in made.sagemaker.pipelines


def test_a_pipeline_whose_creation_was_reported_as_failed_is_deleted_on_roll_back(made: World) -> None:
    # CloudFormation was told of a failure, although the pipeline was made: the answer came too late
    assert made.send("Delete", "not-created:Train:11111111")["Status"] == "SUCCESS"
    assert made.sagemaker.pipelines == {}


def test_a_missing_permission_is_told_in_the_words_of_aws(world: World) -> None:
    message = "User: arn:aws:sts::222222222222:assumed-role/p is not authorized to perform: sagemaker:CreatePipeline"
    world.sagemaker.fail("CreatePipeline", refusal("AccessDeniedException", message), times=1000)
    answer = world.send("Create")
    assert answer["Status"] == "FAILED"
    assert message in answer["Reason"]
    assert "\n" not in answer["Reason"]


@pytest.mark.parametrize("operation", ["PutObject", "GetObject", "ListObjectsV2", "CreatePipeline"])
def test_a_stack_is_made_although_its_permissions_take_five_minutes_to_apply(
    world: World, operation: str
) -> None:
    service = world.sagemaker if operation == "CreatePipeline" else world.s3
    # asked every five seconds
    service.fail(operation, refusal("AccessDenied", "not authorized: kms:GenerateDataKey"), times=60)
    assert world.send("Create")["Status"] == "SUCCESS"
    assert world.clock.seconds == 5 * 60
    assert world.s3.json("data", "model/scripts/_complete/0123456789abcdef.json")["files"]


def test_a_permission_that_never_comes_ends_the_deployment_in_time(world: World) -> None:
    world.s3.fail("PutObject", refusal("AccessDenied", "not authorized: kms:GenerateDataKey"), times=1000)
    answer = world.send("Create")
    assert answer["Status"] == "FAILED"
    assert "not authorized: kms:GenerateDataKey" in answer["Reason"]
    assert world.clock.seconds <= 6 * 60


def test_an_update_waits_for_another_one_to_end(made: World) -> None:
    made.sagemaker.fail("UpdatePipeline", refusal("ConflictException", "Pipeline is being updated"), times=2)
    assert made.send("Update", NAME, properties())["Status"] == "SUCCESS"


def test_a_pipeline_that_is_being_deleted_is_waited_for(made: World) -> None:
    made.sagemaker.pipelines[NAME]["PipelineStatus"] = "Deleting"
    describe = made.sagemaker.describe_pipeline

    def gone_after_a_while(**request: Any) -> dict[str, Any]:
        if made.clock.seconds > 20:
            made.sagemaker.pipelines.pop(NAME, None)
        return describe(**request)

    made.sagemaker.describe_pipeline = gone_after_a_while  # type: ignore[method-assign]
    assert made.send("Create", request_id="2" * 36, stack=STACK + "9")["Status"] == "SUCCESS"


def test_a_missing_property_fails_and_is_named(world: World) -> None:
    answer = world.send("Create", RoleArn="")
    assert answer["Reason"] == "the property RoleArn is missing"


def test_a_missing_definition_fails_and_is_named(world: World) -> None:
    assert "s3://assets/none.json can't be read" in world.send("Create", DefinitionKey="none.json")["Reason"]


def test_code_for_a_definition_that_has_no_parameter_for_it_is_refused(world: World) -> None:
    assert "no parameter 'Nowhere'" in world.send("Create", CodeParameter="Nowhere")["Reason"]


def test_an_unexpected_error_is_answered_with_the_place_of_its_log(world: World) -> None:
    world.sagemaker.fail("DescribePipeline", ZeroDivisionError("oh\nno"))
    answer = world.send("Create")
    assert answer["Status"] == "FAILED"
    assert "ZeroDivisionError: oh no" in answer["Reason"]
    assert "/aws/lambda/function" in answer["Reason"]


def test_cloudformation_is_answered_before_the_time_runs_out_and_nothing_is_made_afterwards(
    world: World,
) -> None:
    told = threading.Event()

    def hang(bucket: str, key: str) -> None:
        told.wait(5)

    world.s3.before_put = hang
    request = Request("Create", "https://a", STACK, RUN_1, "Train", None, properties())

    def put(_: str, body: bytes) -> None:
        world.answers.append(json.loads(body))
        told.set()

    clients = {"s3": world.s3, "sagemaker": world.sagemaker}
    respond(request, Context(15.05), clients.__getitem__, put, world.clock.sleep, world.clock.monotonic)
    assert [answer["Status"] for answer in world.answers] == ["FAILED"]
    assert "time ran out during Create" in world.answers[0]["Reason"]
    assert world.answers[0]["PhysicalResourceId"].startswith("not-created:")
    assert world.sagemaker.pipelines == {}


def test_an_unknown_request_type_is_answered(world: World) -> None:
    assert world.send("Rename")["Status"] == "FAILED"


def test_a_request_without_an_address_for_the_answer_is_an_error() -> None:
    with pytest.raises(BadRequest, match="ResponseURL"):
        handle({"RequestType": "Create"}, Context())
