"""Parts of CodePipeline and CodeBuild that need no cloud."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_cloud.codepipeline import buildspec
from local_cloud.codepipeline.artifacts import Artifacts
from local_cloud.codepipeline.build import Build, BuildAction, Replacements, summary
from local_cloud.codepipeline.declarations import check, from_template
from local_cloud.codepipeline.environment import build_environment
from local_cloud.codepipeline.errors import ActionFailed
from local_cloud.codepipeline.model import ActionRun, Artifact, Execution, Pipeline, Scope, Work
from local_cloud.codepipeline.variables import fill
from local_cloud.engine_services import DeliveryServices, EngineServices


def test_a_build_that_outlives_its_time_is_ended(tmp_path: Path) -> None:
    services = DeliveryServices(
        engine=EngineServices(
            secure_endpoint="", issue_session=lambda *_: {}, put_event=lambda *_: None, work_dir=tmp_path
        ),
        denial=lambda *_: None,
        project=lambda *_: None,
        record_build=lambda *_: None,
        keep_template=lambda _: "",
        caller=lambda _: "",
    )
    action = BuildAction(services, Artifacts(tmp_path), Replacements(), {})
    pipeline = Pipeline(Scope("111111111111", "us-east-1"), {"name": "p", "stages": []})
    execution = Execution(pipeline, pipeline.declaration, 1, {})
    run = ActionRun("Build", {"name": "Slow", "actionTypeId": {}})
    files = Artifact("Files", tmp_path, "bucket", "key")
    work = Work(execution, run, {}, "us-east-1", [files], tmp_path)
    arn = "arn:aws:codebuild:us-east-1:111111111111:project/slow"
    build = Build(action, work, {"name": "slow", "arn": arn, "timeoutInMinutes": 0.01})
    program = tmp_path / "build.sh"
    program.write_text("echo it begins\nsleep 60\n")
    begun = time.monotonic()
    with pytest.raises(ActionFailed, match="TIMED_OUT") as caught:
        build._execute(program, {"PATH": os.environ["PATH"]}, tmp_path)
    assert time.monotonic() - begun < 10
    assert caught.value.summary == "it begins"
    action.close()


def test_the_last_words_of_a_build_leave_out_what_make_and_the_agent_say(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "one\ntwo\n\n  three\nmake[1]: *** [Makefile:2: x] Error 1\nmake: Leaving\n[Container] Phase complete\n"
    )
    assert summary(log) == "one\ntwo\n  three"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("version: 0.3\nphases: {}", "version must be 0.2"),
        ("version: 0.2\nphases: {bild: {commands: []}}", "unknown phases: bild"),
        ("version: 0.2\nphase: {}", "doesn't know phase"),
        ("version: 0.2\nphases: {build: {command: []}}", "unknown keys: command"),
        ("version: 0.2\n  : :", "is no YAML"),
        ("nowhere.yml", "nowhere.yml: there is no such file"),
    ],
)
def test_fails_to_read_a_wrong_buildspec_with_one_line(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ActionFailed, match=why) as caught:
        buildspec.read(text, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_default_buildspec_is_read_from_the_source(tmp_path: Path) -> None:
    (tmp_path / "buildspec.yml").write_text("version: 0.2\nphases: {build: {commands: [one, two]}}")
    assert buildspec.read("", tmp_path).phases["build"].commands == ("one", "two")


def test_references_are_filled_wherever_they_stand() -> None:
    spaces = {"A": {"x": "1", "y-z": "2"}}
    assert fill({"k": "#{A.x}/#{A.y-z}/#{A", "j": "plain"}, spaces) == {"k": "1/2/#{A", "j": "plain"}


def test_a_template_keeps_the_names_inside_a_configuration() -> None:
    action: dict[str, Any] = {
        "Name": "B",
        "ActionTypeId": {"Category": "Build", "Owner": "AWS", "Provider": "CodeBuild", "Version": "1"},
        "Configuration": {"ProjectName": "p", "BatchEnabled": True},
        "RunOrder": "2",
    }
    store = {"Region": "us-east-1", "ArtifactStore": {"Type": "S3", "Location": "bucket"}}
    found = from_template(
        {"Stages": [{"Name": "S", "Actions": [action]}], "ArtifactStores": [store], "RoleArn": "r"}, "n"
    )
    made = found["stages"][0]["actions"][0]
    assert made["configuration"] == {"ProjectName": "p", "BatchEnabled": "true"}
    assert made["runOrder"] == 2
    assert made["actionTypeId"]["provider"] == "CodeBuild"
    assert found["artifactStores"]["us-east-1"]["location"] == "bucket"


def test_a_build_reaches_the_package_registries_of_the_caller_by_copies(tmp_path: Path) -> None:
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / ".npmrc").write_text("registry=https://packages.example.com")
    caller = {
        "HOME": str(tmp_path / "me"),
        "HTTPS_PROXY": "http://proxy",
        "UV_CONFIG_FILE": "/etc/uv.toml",
        "X": "y",
    }
    role = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    found = build_environment(
        tools=tmp_path / "tools",
        folder=tmp_path / "build",
        temporary=tmp_path / "t",
        caches=tmp_path / "caches",
        role=role,
        caller=caller,
    )
    copy = Path(found["npm_config_userconfig"])
    assert copy.read_text() == "registry=https://packages.example.com"
    assert copy.is_relative_to(tmp_path / "build")
    assert not copy.is_relative_to(found["HOME"])
    assert found["UV_CONFIG_FILE"] == "/etc/uv.toml"
    assert found["HTTPS_PROXY"] == "http://proxy"
    assert "127.0.0.1" in found["no_proxy"]
    assert "X" not in found
    assert found["TMPDIR"] == str(tmp_path / "t")
    assert found["GIT_CEILING_DIRECTORIES"] == str(tmp_path / "build")


SNAPSHOTS = sorted((Path(__file__).parents[1] / "stacks" / "snapshots").glob("*-DeliveryStack.json"))


def resolved(value: Any) -> Any:
    """Return a part of a template with a word for each reference."""
    if isinstance(value, dict):
        return (
            "word"
            if len(value) == 1 and not _PLAIN & value.keys()
            else {k: resolved(v) for k, v in value.items()}
        )
    return [resolved(item) for item in value] if isinstance(value, list) else value


_PLAIN = {"Name", "ProjectName", "CustomData", "commands", "Value"}


def of_type(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [resolved(one["Properties"]) for one in template["Resources"].values() if one["Type"] == kind]


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda path: path.stem)
def test_the_pipelines_that_the_delivery_stack_synthesizes_can_be_run_here(
    snapshot: Path, tmp_path: Path
) -> None:
    template = json.loads(snapshot.read_text())
    pipelines = of_type(template, "AWS::CodePipeline::Pipeline")
    assert pipelines
    for properties in pipelines:
        check(from_template(properties, "a-name"))
    inline = [
        text
        for project in of_type(template, "AWS::CodeBuild::Project")
        if yaml.safe_load(text := project["Source"]["BuildSpec"]) != text
    ]
    assert inline
    for text in inline:
        assert buildspec.read(text, tmp_path).phases["build"].commands
