"""Builds on the embedded cloud: phases, environment, artifacts, ends."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.cloud import LocalCloud
from tests.local_cloud_delivery.world import (
    ACCOUNT,
    BUCKET,
    REPOSITORY,
    Pipeline,
    Repository,
    World,
    allow,
    approval,
    stage,
    trust,
    wait_for,
)

pytestmark = pytest.mark.cloud


def built(world: World, *commands: str, **more: Any) -> Pipeline:
    """Run a pipeline with one build to its end."""
    pipeline = world.create(
        "build", stage("Build", world.build("Build", world.project("b", *commands, **more)))
    )
    pipeline.ended()
    return pipeline


def alive(word: str) -> list[str]:
    """Return the processes with a word in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            dead = ") Z" in (path.parent / "stat").read_text()
        except OSError:
            continue
        if word in text and not dead and int(path.parent.name) != os.getpid():
            found.append(text)
    return found


def test_phases_share_one_shell(world: World) -> None:
    spec = {
        "version": "0.2",
        "env": {"variables": {"FROM_SPEC": "spec", "OVERRIDDEN": "spec"}},
        "phases": {
            "install": {"commands": ["mkdir made", "cd made", "plain=kept"], "runtime-versions": {"python": "3.12"}},
            "pre_build": {"commands": ["export CARRIED='a b'"]},
            "build": {"commands": ['echo "$FROM_SPEC-$OVERRIDDEN-$CARRIED-$plain-$(basename $PWD)"']},
            "post_build": {"commands": ["echo succeeding=$CODEBUILD_BUILD_SUCCEEDING"]},
        },
    }  # fmt: skip
    pipeline = built(world, spec=spec, variables={"OVERRIDDEN": "project"})
    log = pipeline.log("Build")
    assert "\nspec-project-a b-kept-made\n" in log
    assert "succeeding=1" in log
    assert log.index("Entering phase INSTALL") < log.index("Entering phase POST_BUILD")


@pytest.mark.parametrize(
    "command", ["echo it broke >&2; false", "echo it broke; exit 3", "set -e\necho it broke\nfalse\ntrue"]
)
def test_a_failed_command_ends_the_build_and_is_told(world: World, command: str) -> None:
    spec = {
        "version": "0.2",
        "phases": {
            "build": {"commands": [command, "echo never"], "finally": ["echo at last"]},
            "post_build": {"commands": ["echo cleaning up $CODEBUILD_BUILD_SUCCEEDING"]},
        },
    }
    after = world.project("after", "true")
    pipeline = world.create(
        "fails",
        stage("Build", world.build("Build", world.project("b", spec=spec))),
        stage("After", world.build("After", after)),
    )
    assert pipeline.ended() == "Failed"
    assert "After" not in pipeline.actions()
    log = pipeline.log("Build")
    assert "\nnever" not in log
    assert "\nat last" in log
    assert "\ncleaning up 0" in log
    result = pipeline.actions()["Build"]["output"]["executionResult"]
    assert "it broke" in result["externalExecutionSummary"]
    assert "Phase: BUILD, Code: COMMAND_EXECUTION_ERROR" in result["errorDetails"]["message"]
    assert pipeline.action_state("Build", "Build")["latestExecution"]["errorDetails"]["code"] == "JobFailed"
    build = world.codebuild.batch_get_builds(ids=[result["externalExecutionId"]])["builds"][0]
    assert build["buildStatus"] == "FAILED"


def test_a_failed_install_runs_no_later_phase(world: World) -> None:
    phases = {"install": {"commands": ["false"]}, "post_build": {"commands": ["echo never"]}}
    pipeline = built(world, spec={"version": "0.2", "phases": phases})
    assert "\nnever" not in pipeline.log("Build")
    assert "Phase: INSTALL" in pipeline.why("Build")


def test_a_build_sees_its_role_and_nothing_of_whoever_started_the_cloud(world: World) -> None:
    pipeline = built(
        world, "env | sort", "ls -A $HOME | wc -l", "command -v python3 node npm", variables={"X": "y"}
    )
    found = dict(line.split("=", 1) for line in pipeline.log("Build").splitlines() if "=" in line)
    for name in ("MLOPS_SETTINGS", "VIRTUAL_ENV", "GIT_COMMIT", "AWS_PROFILE", "PYTHONPATH", "JSII_NODE"):
        assert name not in found
    assert found["PIP_INDEX_URL"] == "https://packages.example.com"
    assert found["X"] == "y"
    assert found["AWS_ENDPOINT_URL"] == world.cloud.endpoint
    assert found["CODEBUILD_INITIATOR"] == f"codepipeline/{pipeline.name}"
    assert "\n0\n" in pipeline.log("Build"), "its home is empty"
    for folder in found["PATH"].split(":"):
        assert not (Path(folder).parent / "pyvenv.cfg").exists()


def test_python_in_a_build_is_no_virtual_environment_and_npm_installs_for_the_build_alone(
    world: World,
) -> None:
    python = "python3 -c 'import sys; print(sys.prefix == sys.base_prefix, sys.version_info >= (3, 11))'"
    pipeline = built(world, python, "npm prefix --global 2> warnings", "node -p 1+1")
    log = pipeline.log("Build")
    assert "\nTrue True\n" in log
    assert "/codepipeline/actions/" in log.split("npm prefix --global 2> warnings\n")[1].splitlines()[0]
    assert "\n2\n" in log


def test_a_build_acts_under_the_role_of_its_project(world: World, tmp_path: Path) -> None:
    program = tmp_path / "act.py"
    program.write_text(
        "import boto3\n"
        "print('I am', boto3.client('sts').get_caller_identity()['Arn'])\n"
        f"boto3.client('s3').list_objects_v2(Bucket={BUCKET!r})\n"
    )
    artifacts = f"arn:aws:s3:::{BUCKET}/*"
    role = world.role("narrow", trust("codebuild.amazonaws.com"), allow("s3:GetObject", resource=artifacts))
    pipeline = built(world, f"{sys.executable} {program}", role=role)
    assert f"I am arn:aws:sts::{ACCOUNT}:assumed-role/{world.prefix}-narrow/AWSCodeBuild-" in pipeline.log(
        "Build"
    )
    said = pipeline.actions()["Build"]["output"]["executionResult"]["externalExecutionSummary"]
    assert "AccessDenied" in said
    assert "s3:ListBucket" in said


def test_a_role_that_may_not_write_artifacts_hands_out_none(world: World) -> None:
    role = world.role("reads", trust("codebuild.amazonaws.com"), allow("s3:GetObject"))
    spec = {
        "version": "0.2",
        "phases": {"build": {"commands": ["true"]}},
        "artifacts": {"files": ["greeting.txt"]},
    }
    build = world.build("Build", world.project("b", spec=spec, role=role), outputArtifacts=[{"name": "Out"}])
    pipeline = world.create("reads", stage("Build", build))
    assert pipeline.ended() == "Failed"
    assert "s3:PutObject" in pipeline.why("Build")


def test_a_role_that_does_not_trust_builds_fails_the_action(world: World) -> None:
    role = world.role("lambdas", trust("lambda.amazonaws.com"), allow("*"))
    pipeline = built(world, "true", role=role)
    assert "its trust policy doesn't admit it" in pipeline.why("Build")


def test_a_build_hands_out_what_its_buildspec_names(world: World) -> None:
    spec = {
        "version": "0.2",
        "phases": {
            "build": {"commands": ["mkdir -p out/deep", "echo 1 > out/deep/.one", "echo 2 > two", "touch no"]}
        },
        "artifacts": {
            "secondary-artifacts": {
                "Out": {"base-directory": "out", "files": ["**/*"]},
                "Rest": {"files": ["*"], "exclude-paths": ["no"]},
            }
        },
    }
    outputs = [{"name": "Out"}, {"name": "Rest"}]
    make = world.build("Make", world.project("make", spec=spec), outputArtifacts=outputs)
    commands = ("ls greeting.txt", "ls -A $CODEBUILD_SRC_DIR_Out/deep", "ls $CODEBUILD_SRC_DIR_Rest")
    take = world.build(
        "Use",
        world.project("use", *commands),
        inputArtifacts=[{"name": "Out"}, {"name": "Files"}, {"name": "Rest"}],
        configuration={"PrimarySource": "Files"},
    )
    pipeline = world.create("artifacts", stage("Make", make), stage("Use", take))
    assert pipeline.ended() == "Succeeded"
    log = pipeline.log("Use")
    assert "\n.one\n" in log
    assert "two" in log
    assert "\nno\n" not in log
    location = pipeline.actions()["Make"]["output"]["outputArtifacts"][0]["s3location"]
    world.session.client("s3").head_object(Bucket=location["bucket"], Key=location["key"])


def test_artifacts_that_match_nothing_fail_the_build(world: World) -> None:
    spec = {
        "version": "0.2",
        "phases": {"build": {"commands": ["true"]}},
        "artifacts": {"base-directory": "cdk.out", "files": ["**/*"]},
    }
    build = world.build("Build", world.project("b", spec=spec), outputArtifacts=[{"name": "Out"}])
    pipeline = world.create("nothing", stage("Build", build))
    assert pipeline.ended() == "Failed"
    assert "no matching artifact paths found: **/* in cdk.out" in pipeline.why("Build")


def test_a_buildspec_can_be_a_file_of_an_artifact(world: World, cloud: LocalCloud, tmp_path: Path) -> None:
    text = "version: 0.2\\nphases: {build: {commands: [echo from the file]}}"
    spec = {
        "version": "0.2",
        "phases": {"build": {"commands": [f"printf '{text}' > own.yaml"]}},
        "artifacts": {"files": "own.yaml"},
    }
    make = world.build("Make", world.project("make", spec=spec), outputArtifacts=[{"name": "Out"}])
    name = f"{world.prefix}-file"
    world.codebuild.create_project(
        name=name,
        source={"type": "CODEPIPELINE", "buildspec": "own.yaml"},
        artifacts={"type": "CODEPIPELINE"},
        environment={"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=world.build_role,
    )
    follow = world.build("Follow", name, inputArtifacts=[{"name": "Out"}])
    wrong = world.build("Wrong", name, runOrder=2)
    pipeline = world.create("file", stage("Make", make), stage("Follow", follow, wrong))
    assert pipeline.ended() == "Failed"
    assert "\nfrom the file" in pipeline.log("Follow")
    assert "own.yaml: there is no such file" in pipeline.why("Wrong")


def test_parameters_and_secrets_are_read_with_the_role(world: World) -> None:
    world.session.client("ssm").put_parameter(Name=f"/{world.prefix}/word", Value="swordfish", Type="String")
    spec = {
        "version": "0.2",
        "env": {"parameter-store": {"WORD": f"/{world.prefix}/word"}},
        "phases": {"build": {"commands": ["echo word $WORD"]}},
    }
    pipeline = built(world, spec=spec)
    assert "ssm:GetParameter" in pipeline.why("Build")
    statement = allow("ssm:GetParameter", "s3:*")
    world.iam.put_role_policy(
        RoleName=world.build_role.rpartition("/")[2],
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    assert pipeline.ended(pipeline.start()) == "Succeeded"
    assert "word swordfish" in pipeline.log("Build")


def test_a_command_can_be_replaced_and_the_log_says_so(world: World, cloud: LocalCloud) -> None:
    command = f"make {world.prefix}"
    cloud.replace_build_command(command, "echo saved results")
    pipeline = built(world, command)
    assert pipeline.execution()["status"] == "Succeeded"
    assert (
        f"Running command {command}\n[Container] replaced, for this rehearsal, by: echo saved"
        in pipeline.log("Build")
    )
    cloud.restore_build_commands()
    assert pipeline.ended(pipeline.start()) == "Failed"


def test_a_stop_that_abandons_ends_the_build_with_all_its_processes(world: World) -> None:
    word = f"86400.{os.getpid()}1"
    pipeline = world.create(
        "stopped",
        stage("Build", world.build("Build", world.project("b", f"sleep {word} & sleep {word}"))),
    )
    wait_for(lambda: len(alive(f"sleep {word}")) >= 2)
    pipeline.client.stop_pipeline_execution(
        pipelineName=pipeline.name, pipelineExecutionId=pipeline.newest, abandon=True, reason="wrong commit"
    )
    assert pipeline.ended() == "Stopped"
    action = pipeline.actions()["Build"]
    assert action["status"] == "Abandoned"
    wait_for(lambda: not alive(f"sleep {word}"))
    build = action["output"]["executionResult"]["externalExecutionId"]
    assert world.codebuild.batch_get_builds(ids=[build])["builds"][0]["buildStatus"] == "STOPPED"


def test_a_stop_that_waits_lets_the_build_end(world: World, tmp_path: Path) -> None:
    waits = world.project("b", f"touch {tmp_path}/begun; until [ -e {tmp_path}/go ]; do sleep 0.05; done")
    pipeline = world.create(
        "waits", stage("Build", world.build("Build", waits)), stage("Gate", approval("Ask"))
    )
    wait_for((tmp_path / "begun").exists)
    stop = {"pipelineName": pipeline.name, "pipelineExecutionId": pipeline.newest}
    pipeline.client.stop_pipeline_execution(**stop, reason="later")
    assert pipeline.execution()["status"] == "Stopping"
    with pytest.raises(ClientError, match="already in a Stopping state"):
        pipeline.client.stop_pipeline_execution(**stop)
    (tmp_path / "go").touch()
    assert pipeline.ended() == "Stopped"
    assert pipeline.actions()["Build"]["status"] == "Succeeded"
    assert "Ask" not in pipeline.actions()


def end_in_order(cloud: LocalCloud) -> None:
    cloud.stop()


def kill(cloud: LocalCloud) -> None:
    os.kill(cloud.connection.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("end", "command"),
    [(end_in_order, "setsid sleep {word} & sleep {word}"), (kill, "sleep {word} & sleep {word}")],
)
def test_nothing_of_a_build_outlives_the_cloud(
    tmp_path: Path, end: Callable[[LocalCloud], None], command: str
) -> None:
    word = f"86400.{os.getpid()}3"
    with LocalCloud.start(accounts=(ACCOUNT,)) as cloud:
        cloud.session(ACCOUNT).client("s3").create_bucket(Bucket=BUCKET)
        repository = Repository(tmp_path / "git")
        repository.commit({"a": "b"})
        cloud.connect_repository(REPOSITORY, repository.folder)
        own = World(cloud, repository, "end")
        project = own.project("b", command.format(word=word))
        own.create("end", stage("Build", own.build("Build", project)))
        wait_for(lambda: len(alive(f"sleep {word}")) >= 2)
        end(cloud)
        wait_for(lambda: not alive(f"sleep {word}"))
