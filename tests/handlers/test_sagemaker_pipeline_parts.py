"""The parts of the custom resource: answers, properties, definitions and code archives."""

from __future__ import annotations

import io
import json
import stat
import threading
import time
import zipfile
from typing import Any

import pytest

from pipeline_code import wheels
from pipeline_code.definitions import code_files
from sagemaker_pipeline import code_archive
from sagemaker_pipeline.code_archive import BadArchive, unpack
from sagemaker_pipeline.definition import BadDefinition, render
from sagemaker_pipeline.properties import BadProperties, Code, Properties
from shared.cloudformation import (
    Answer,
    AnswerFailed,
    Request,
    Responder,
    is_unmade,
    put_answer,
    unmade_id,
)
from tests.handlers.fake_aws import FakeS3, refusal

REQUEST = Request("Create", "https://answers", "arn:stack/Name/1", "request-1", "Pipeline", None)


# answers


def test_an_answer_is_never_longer_than_4096_bytes_and_keeps_its_ids() -> None:
    body = Answer("name", "ä€\n" * 5000, {"CodeUri": "s3://bucket/" + "k" * 900}).body(REQUEST)
    assert len(body) <= 4096
    document = json.loads(body)
    assert document["PhysicalResourceId"] == "name"
    assert "\n" not in document["Reason"]
    assert document["Reason"].endswith("...")


def test_a_success_has_its_data_and_no_reason() -> None:
    document = json.loads(Answer("name", data={"CodeUri": "s3://bucket/key"}).body(REQUEST))
    assert (document["Status"], document["Reason"], document["Data"]["CodeUri"]) == (
        "SUCCESS",
        "",
        "s3://bucket/key",
    )


def test_cloudformation_is_answered_once() -> None:
    sent: list[bytes] = []
    responder = Responder(REQUEST, lambda _, body: sent.append(body))
    assert responder.answer(Answer("first")) is True
    assert responder.answer(Answer("second")) is False
    assert [json.loads(body)["PhysicalResourceId"] for body in sent] == ["first"]


def test_two_answers_at_the_same_moment_are_one() -> None:
    sent: list[bytes] = []

    def slowly(_: str, body: bytes) -> None:
        time.sleep(0.02)
        sent.append(body)

    responder = Responder(REQUEST, slowly)
    threads = [threading.Thread(target=responder.answer, args=(Answer(str(one)),)) for one in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == 1


def test_an_answer_that_is_not_taken_is_sent_again() -> None:
    tries: list[int] = []

    def put(_: str, body: bytes) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("HTTP Error 503: Slow Down")

    assert Responder(REQUEST, put, lambda _: None).answer(Answer("name"))
    assert len(tries) == 3


def test_an_answer_that_is_never_taken_is_an_error_so_that_lambda_runs_the_request_again() -> None:
    def put(_: str, body: bytes) -> None:
        raise OSError("HTTP Error 403: Forbidden")

    with pytest.raises(AnswerFailed, match="403"):
        Responder(REQUEST, put, lambda _: None).answer(Answer("name"))


def test_an_answer_goes_only_to_the_web() -> None:
    with pytest.raises(OSError, match="no web address"):
        put_answer("file:///etc/passwd", b"{}")


def test_the_id_of_a_pipeline_that_was_not_made_can_be_no_name() -> None:
    assert is_unmade(unmade_id(REQUEST))
    with pytest.raises(BadProperties):
        Properties.parse({"PipelineName": unmade_id(REQUEST)})


# properties


GOOD = {
    "ServiceToken": "arn",
    "PipelineName": "mammo-severity-train-pipeline",
    "RoleArn": "arn:aws:iam::222222222222:role/mlops/dev/train/role",
    "DefinitionBucket": "assets",
    "DefinitionKey": "definition.json",
    "CodeBucket": "assets",
    "CodeKey": "code.zip",
    "CodeDestinationBucket": "data",
    "CodeDestinationPrefix": "model/scripts",
    "CodeHash": "0123456789abcdef",
}


@pytest.mark.parametrize(
    "name", ["PipelineName", "RoleArn", "DefinitionBucket", "DefinitionKey", "CodeKey", "CodeHash"]
)
def test_a_missing_property_is_named(name: str) -> None:
    with pytest.raises(BadProperties, match=f"the property {name} is missing"):
        Properties.parse({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PipelineName", "with space", "got 'with space'"),
        ("AdoptExisting", "perhaps", "got 'perhaps'"),
        ("Tags", ["a"], "Tags must map"),
        ("ParameterDefaults", {"a": ["b"]}, "ParameterDefaults must map"),
        ("CodeHash", "../../up", "CodeHash must be"),
        ("CodeDestinationPrefix", "model/../other", "CodeDestinationPrefix must be"),
    ],
)
def test_a_malformed_property_is_named(name: str, value: Any, said: str) -> None:
    with pytest.raises(BadProperties, match=said):
        Properties.parse({**GOOD, name: value})


def test_a_definition_may_come_without_code() -> None:
    without = {key: value for key, value in GOOD.items() if not key.startswith("Code")}
    assert Properties.parse(without).code is None


def test_a_marker_may_be_given_whole_or_by_its_name() -> None:
    functions = {"@function:One@": "arn:1", "Two": "arn:2"}
    assert Properties.parse({**GOOD, "Functions": functions}).functions == {"One": "arn:1", "Two": "arn:2"}


def test_the_marker_object_lies_where_no_listing_of_the_code_finds_it() -> None:
    code = Properties.parse(GOOD).code
    assert code is not None
    assert code.uri == "s3://data/model/scripts/0123456789abcdef"
    assert not code.marker.startswith(code.folder)


# definitions


def definition(*parameters: dict[str, Any], steps: list[Any] | None = None) -> str:
    return json.dumps({"Version": "2020-12-01", "Parameters": list(parameters), "Steps": steps or []})


def parameter(name: str, kind: str = "String", **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": kind, **more}


JOBS = [
    {"Name": "Get", "Type": "Lambda", "FunctionArn": "arn", "Arguments": {"x": "mammo-train-x"}},
    {"Name": "Train", "Type": "Training", "Arguments": {"TrainingJobName": "mammo-train-train"}},
    {
        "Name": "Branch",
        "Type": "Condition",
        "Arguments": {
            "IfSteps": [
                {"Name": "Model", "Type": "Model", "Arguments": {"ModelName": "mammo-inference-model"}}
            ],
            "ElseSteps": [
                {
                    "Name": "Score",
                    "Type": "Transform",
                    "Arguments": {
                        "TransformJobName": "mammo-inference-transform",
                        "ModelName": {"Get": "Steps.Model.ModelName"},
                    },
                }
            ],
        },
    },
]


def test_jobs_and_models_are_renamed_in_branches_too_and_nothing_else() -> None:
    filled = json.loads(render(definition(steps=JOBS), {}, {}, {"mammo": "mammo--1a2b3c4d"}))
    get, train, condition = filled["Steps"]
    assert get == JOBS[0]
    assert train["Arguments"] == {"TrainingJobName": "mammo--1a2b3c4d-train-train"}
    (model,), (score,) = condition["Arguments"]["IfSteps"], condition["Arguments"]["ElseSteps"]
    assert model["Arguments"] == {"ModelName": "mammo--1a2b3c4d-inference-model"}
    assert score["Arguments"] == {
        "TransformJobName": "mammo--1a2b3c4d-inference-transform",
        "ModelName": {"Get": "Steps.Model.ModelName"},
    }


def test_a_renamed_job_leaves_room_for_what_sagemaker_appends() -> None:
    renamed = {"mammo": f"{'m' * 14}--1a2b3c4d"}
    for name, expected in (("inference-transform", 37), ("inference-x-y", 36)):
        steps = [{"Name": "S", "Arguments": {"ProcessingJobName": f"mammo-{name}"}}]
        text = json.loads(render(definition(steps=steps), {}, {}, renamed))["Steps"][0]["Arguments"]
        assert len(text["ProcessingJobName"]) == expected


def test_a_job_that_no_new_name_is_given_for_is_refused() -> None:
    with pytest.raises(BadDefinition, match="'mammo-train-train' begins with none of wine"):
        render(definition(steps=JOBS), {}, {}, {"wine": "wine--1a2b3c4d"})


def test_jobs_keep_their_names_where_none_are_given() -> None:
    assert json.loads(render(definition(steps=JOBS), {}, {}))["Steps"] == JOBS


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("String", "7", "7"),
        ("Integer", "7", 7),
        ("Float", "-0.02", -0.02),
        ("Boolean", "True", True),
        ("String", "", ""),
    ],
)
def test_a_default_gets_the_type_of_its_parameter(kind: str, text: str, value: Any) -> None:
    filled = json.loads(render(definition(parameter("p", kind)), {"p": text}, {}))
    assert filled["Parameters"][0]["DefaultValue"] == value
    assert type(filled["Parameters"][0]["DefaultValue"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("Integer", "1.5"), ("Float", "much"), ("Float", "nan"), ("Boolean", "yes"), ("Complex", "1")],
)
def test_a_default_of_another_type_is_refused(kind: str, text: str) -> None:
    with pytest.raises(BadDefinition, match=r"the parameter 'p'"):
        render(definition(parameter("p", kind)), {"p": text}, {})


def test_a_default_outside_of_the_allowed_values_is_refused() -> None:
    with pytest.raises(BadDefinition, match="must be one of"):
        render(definition(parameter("p", EnumValues=["withhold", "deliver"])), {"p": "throw away"}, {})


@pytest.mark.parametrize(("length", "fits"), [(1024, True), (1025, False)])
def test_a_value_has_at_most_1024_characters(length: int, fits: bool) -> None:
    if fits:
        assert "x" * length in render(definition(parameter("p")), {"p": "x" * length}, {})
    else:
        with pytest.raises(BadDefinition, match="1025 characters"):
            render(definition(parameter("p")), {"p": "x" * length}, {})


def test_an_unknown_parameter_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(BadDefinition, match="no parameter 'Rolearn'; it has RoleArn"):
        render(definition(parameter("RoleArn")), {"Rolearn": "arn"}, {})


def test_a_parameter_without_a_default_is_refused_by_name() -> None:
    with pytest.raises(BadDefinition, match="no default is given for 'ImageUri', 'RunUri'"):
        render(
            definition(parameter("ImageUri"), parameter("RunUri"), parameter("A", DefaultValue="1")), {}, {}
        )


def test_a_compiled_default_stays_where_nothing_else_is_given() -> None:
    filled = json.loads(render(definition(parameter("p", "Float", DefaultValue=0.85)), {}, {}))
    assert filled["Parameters"][0]["DefaultValue"] == 0.85


def test_each_marker_becomes_the_arn_of_its_function() -> None:
    steps = [
        {"FunctionArn": "@function:ModelResolver@"},
        {"Nested": [{"FunctionArn": "@function:RunRecorder@"}]},
    ]
    filled = json.loads(
        render(definition(steps=steps), {}, {"ModelResolver": "arn:1", "RunRecorder": "arn:2"})
    )
    assert filled["Steps"] == [{"FunctionArn": "arn:1"}, {"Nested": [{"FunctionArn": "arn:2"}]}]


def test_a_marker_that_is_left_over_is_refused() -> None:
    with pytest.raises(BadDefinition, match="'@function:Other@'"):
        render(definition(steps=[{"FunctionArn": "@function:Other@"}]), {}, {"ModelResolver": "arn:1"})


def test_a_definition_longer_than_sagemaker_takes_is_refused_in_words() -> None:
    room = 1_048_576 - len(render(definition(steps=[""]), {}, {}))
    assert len(render(definition(steps=["ä" * room]), {}, {})) == 1_048_576
    with pytest.raises(BadDefinition, match=r"1,048,577 characters; SageMaker takes at most 1,048,576"):
        render(definition(steps=["ä" * (room + 1)]), {}, {})


@pytest.mark.parametrize("source", ["", "[]", "{}", '{"Steps": {}}', '{"Steps": [], "Parameters": ["p"]}'])
def test_something_else_than_a_definition_is_refused(source: str) -> None:
    with pytest.raises(BadDefinition):
        render(source, {}, {})


# code archives


def archive(*files: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as target:
        for name, body in files:
            target.writestr(name, body)
    return packed.getvalue()


CODE = Code(
    "assets", "code.zip", "data", "model/scripts/abc12345", "model/scripts/_complete/abc12345.json", "CodeUri"
)


def buckets(packed: bytes) -> FakeS3:
    s3 = FakeS3("assets", "data")
    s3.put("assets", "code.zip", packed)
    return s3


def test_the_marker_is_written_after_all_files() -> None:
    s3 = buckets(archive(("steps/a.py", b"a"), ("model.json", b"{}")))
    assert unpack(s3, CODE) is True
    keys = [request["Key"] for request in s3.called("PutObject")]
    assert keys == ["model/scripts/abc12345/steps/a.py", "model/scripts/abc12345/model.json", CODE.marker]
    assert set(s3.json("data", CODE.marker)["files"]) == {"steps/a.py", "model.json"}


def test_a_complete_folder_is_never_touched_again() -> None:
    s3 = buckets(archive(("steps/a.py", b"a")))
    unpack(s3, CODE)
    s3.put("assets", "code.zip", archive(("steps/a.py", b"changed")))
    s3.calls.clear()
    assert unpack(s3, CODE) is False
    assert s3.called("PutObject") == []
    assert s3.objects["data"]["model/scripts/abc12345/steps/a.py"] == b"a"


def test_a_folder_that_was_left_half_written_is_completed() -> None:
    s3 = buckets(archive(("a.py", b"a"), ("b.py", b"b")))
    s3.fail("PutObject", refusal("SlowDown"))
    with pytest.raises(Exception, match="SlowDown"):
        unpack(s3, CODE)
    assert CODE.marker not in s3.objects["data"]
    assert unpack(s3, CODE) is True
    assert set(s3.objects["data"]) == {
        "model/scripts/abc12345/a.py",
        "model/scripts/abc12345/b.py",
        CODE.marker,
    }


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link.py")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../up.py",
        "steps/../../up.py",
        "/etc/passwd",
        "steps\\..\\up.py",
        "C:/up.py",
        "a//b.py",
        "./a.py",
        "a\nb.py",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_written(name: str) -> None:
    s3 = buckets(archive(("good.py", b"a"), (name, b"a")))
    with pytest.raises(BadArchive, match="plain relative path"):
        unpack(s3, CODE)
    assert s3.objects["data"] == {}


def test_a_link_is_refused() -> None:
    with pytest.raises(BadArchive, match=r"'link.py' is a link"):
        unpack(buckets(archive((link(), b"/etc/passwd"))), CODE)


def test_a_file_that_comes_twice_is_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        packed = archive(("a.py", b"1"), ("a.py", b"2"))
    with pytest.raises(BadArchive, match="twice"):
        unpack(buckets(packed), CODE)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(BadArchive, match="more than"):
        unpack(buckets(archive(("bomb", b"\0" * (code_archive.MOST_BYTES_A_FILE + 1)))), CODE)


def test_the_wheels_that_synth_lets_through_can_be_unpacked() -> None:
    assert wheels.MOST_BYTES_A_FILE <= code_archive.MOST_BYTES_A_FILE
    # the rest is for the steps, packed
    steps = archive(*[(name, body) for name, body in code_files("mammography").items()])
    assert wheels.MOST_BYTES + 2 * len(steps) < code_archive.MOST_PACKED_BYTES < code_archive.MOST_BYTES


def test_many_files_that_are_too_much_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_archive, "MOST_BYTES", 10)
    assert unpack(buckets(archive(("a", b"12345"), ("b", b"12345"))), CODE) is True
    with pytest.raises(BadArchive, match="unpacks to 11 bytes"):
        unpack(buckets(archive(("a", b"12345"), ("b", b"123456"))), CODE)


def test_a_size_that_lies_is_refused() -> None:
    packed = bytearray(archive(("a.py", b"x" * 1000), compression=zipfile.ZIP_STORED))
    # the size in the central directory says 10, the data hold 1000
    place = packed.rindex(b"PK\x01\x02") + 24
    packed[place : place + 4] = (10).to_bytes(4, "little")
    with pytest.raises(BadArchive, match=r"a\.py"):
        unpack(buckets(bytes(packed)), CODE)


@pytest.mark.parametrize("packed", [b"", b"no zip file", archive()])
def test_something_else_than_a_zip_file_with_files_is_refused(packed: bytes) -> None:
    with pytest.raises(BadArchive, match=r"no zip file|holds no file"):
        unpack(buckets(packed), CODE)


def test_an_asset_that_can_not_be_read_is_named() -> None:
    s3 = FakeS3("assets", "data")
    with pytest.raises(BadArchive, match=r"s3://assets/code.zip can't be read: AccessDenied"):
        unpack(s3, CODE)
