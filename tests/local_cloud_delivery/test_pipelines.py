"""Pipelines on the embedded cloud: order, variables, approvals, stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.cloud import LocalCloud
from tests.local_cloud_delivery.world import (
    ACCOUNT,
    REPOSITORY,
    Pipeline,
    Repository,
    World,
    allow,
    approval,
    stage,
    wait_for,
)

pytestmark = pytest.mark.cloud


def refused(call: Any, **arguments: Any) -> str:
    """Return the code of the error that a call ends in."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_a_created_pipeline_carries_the_head_of_its_branch_through_its_stages(world: World) -> None:
    project = world.project("show", "cat greeting.txt", "ls -A", "echo at $CODEBUILD_RESOLVED_SOURCE_VERSION")
    pipeline = world.create("one", stage("Build", world.build("Show", project)))
    assert pipeline.ended() == "Succeeded"
    revision = pipeline.execution()["artifactRevisions"][0]
    assert revision["name"] == "Files"
    assert revision["revisionSummary"].startswith("Say hello")
    assert pipeline.actions()["Take"]["output"]["outputVariables"]["CommitId"] == revision["revisionId"]
    log = pipeline.log("Show")
    assert "hello" in log
    assert f"at {revision['revisionId']}" in log
    assert ".git" not in log


def test_actions_of_one_run_order_run_together_and_the_next_ones_wait_for_them(
    world: World, tmp_path: Path
) -> None:
    # Each of the two waits for the other's file: one after the other, neither would end.
    def meets(own: str, other: str) -> str:
        wait = f"until [ -e {tmp_path}/{other} ]; do sleep 0.05; done"
        return world.project(own, f"touch {tmp_path}/{own}", f"timeout 10 bash -c '{wait}'")

    last = world.project("last", f"ls {tmp_path}/a {tmp_path}/b")
    pipeline = world.create(
        "together",
        stage(
            "Build",
            world.build("Last", last, runOrder=2),
            world.build("A", meets("a", "b")),
            world.build("B", meets("b", "a")),
        ),
    )
    assert pipeline.ended() == "Succeeded"
    actions = pipeline.actions()
    assert actions["Last"]["startTime"] >= max(actions[name]["lastUpdateTime"] for name in "AB")


def test_variables_of_the_source_of_the_pipeline_and_of_builds_reach_later_actions(world: World) -> None:
    spec = {
        "version": "0.2",
        "env": {"exported-variables": ["SUMMARY"]},
        "phases": {"build": {"commands": ["export SUMMARY='two lines\nand \"quotes\"'"]}},
    }
    told = (
        '[{"name": "TOLD", "value": "#{Taken.CommitMessage}", "type": "PLAINTEXT"},'
        ' {"name": "GREETED", "value": "#{variables.WHOM} #{codepipeline.PipelineExecutionId}"}]'
    ).replace("#{Taken.CommitMessage}", "#{Taken.BranchName}")
    show = world.project("show", 'echo "told $TOLD $GREETED"')
    pipeline = world.create(
        "variables",
        stage("First", world.build("Make", world.project("make", spec=spec), namespace="Made")),
        stage("Second", world.build("Show", show, configuration={"EnvironmentVariables": told})),
        stage("Third", approval("Ask", configuration={"CustomData": "Made: #{Made.SUMMARY}"})),
        variables=[{"name": "WHOM", "defaultValue": "nobody"}],
    )
    execution = pipeline.newest
    pipeline.answer("Third", "Ask", "Approved")
    assert pipeline.ended(execution) == "Succeeded"
    assert f"told main nobody {execution}" in pipeline.log("Show")
    asked = pipeline.actions()["Ask"]["input"]["resolvedConfiguration"]["CustomData"]
    assert asked == 'Made: two lines\nand "quotes"'
    started = pipeline.start(variables=[{"name": "WHOM", "value": "world"}])
    pipeline.answer("Third", "Ask", "Approved")
    assert pipeline.ended(started) == "Succeeded"
    assert f"told main world {started}" in pipeline.log("Show")
    assert pipeline.execution(started)["variables"] == [{"name": "WHOM", "resolvedValue": "world"}]


def test_a_pipeline_whose_variables_need_values_starts_when_it_gets_them(world: World) -> None:
    project = world.project("show", 'echo "version $VERSION"')
    variables = '[{"name": "VERSION", "value": "#{variables.VERSION}"}]'
    build = world.build("Show", project, configuration={"EnvironmentVariables": variables})
    pipeline = world.create(
        "needs", stage("Build", build), variables=[{"name": "VERSION"}], executionMode="QUEUED"
    )
    listed = pipeline.client.list_pipeline_executions(pipelineName=pipeline.name)
    assert listed["pipelineExecutionSummaries"] == []
    assert refused(pipeline.start) == "ValidationException"
    given = [[{"name": "VERSION", "value": value}] for value in ("1", "2", "3")]
    started = [pipeline.start(variables=one) for one in given]
    assert [pipeline.ended(one) for one in started] == ["Succeeded"] * 3, "in a queue none is superseded"
    assert "version 3" in pipeline.log("Show")


def test_a_variable_that_nobody_has_set_fails_the_action_that_names_it(world: World) -> None:
    ask = approval("Ask", configuration={"CustomData": "#{Made.SUMMARY}"})
    pipeline = world.create("unset", stage("Ask", ask))
    assert pipeline.ended() == "Failed"
    assert "#{Made.SUMMARY}" in pipeline.why("Ask")
    assert "Taken.CommitId" in pipeline.why("Ask")


def test_an_approval_waits_and_lets_the_execution_go_on(world: World) -> None:
    pipeline = world.create("approved", stage("Gate", approval("Ask")))
    token = pipeline.token("Gate", "Ask")
    answer = {
        "pipelineName": pipeline.name,
        "stageName": "Gate",
        "actionName": "Ask",
        "result": {"status": "Approved", "summary": "looks fine"},
    }
    put = world.codepipeline.put_approval_result
    assert refused(put, **answer, token="0" * 8 + "-0000-0000-0000-" + "0" * 12) == (
        "InvalidApprovalTokenException"
    )
    put(**answer, token=token)
    assert pipeline.ended() == "Succeeded"
    state = pipeline.action_state("Gate", "Ask")["latestExecution"]
    assert (state["status"], state["summary"]) == ("Succeeded", "looks fine")
    assert state["lastUpdatedBy"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert "token" not in state
    assert refused(put, **answer, token=token) == "ApprovalAlreadyCompletedException"


def test_a_refused_approval_stops_the_execution_with_its_summary(world: World) -> None:
    after = world.project("after", "true")
    pipeline = world.create(
        "refused", stage("Gate", approval("Ask")), stage("After", world.build("After", after))
    )
    pipeline.answer("Gate", "Ask", "Rejected", "not on a Friday")
    assert pipeline.ended() == "Failed"
    actions = pipeline.actions()
    assert "After" not in actions
    assert actions["Ask"]["status"] == "Failed"
    assert actions["Ask"]["output"]["executionResult"]["externalExecutionSummary"] == "not on a Friday"


def test_who_may_approve_one_action_may_not_approve_another(world: World, cloud: LocalCloud) -> None:
    pipeline = world.create("rights", stage("Gate", approval("Ask"), approval("Other")))
    arn = f"arn:aws:codepipeline:us-east-1:{ACCOUNT}:{pipeline.name}"
    person = world.role(
        "approver",
        {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        ]},
        allow("codepipeline:PutApprovalResult", resource=f"{arn}/Gate/Ask"),
        allow("codepipeline:GetPipelineState", resource=arn),
    )  # fmt: skip
    client = cloud.assume(person, session_name="grace").client("codepipeline")
    for name, allowed in (("Other", False), ("Ask", True)):
        answer = {
            "pipelineName": pipeline.name,
            "stageName": "Gate",
            "actionName": name,
            "result": {"status": "Approved", "summary": "yes"},
            "token": pipeline.token("Gate", name),
        }
        if allowed:
            client.put_approval_result(**answer)
        else:
            assert refused(client.put_approval_result, **answer) == "AccessDeniedException"
    assert refused(client.start_pipeline_execution, name=pipeline.name) == "AccessDeniedException"
    wait_for(lambda: pipeline.actions()["Ask"].get("updatedBy", "").endswith("/grace"))
    pipeline.client.stop_pipeline_execution(
        pipelineName=pipeline.name, pipelineExecutionId=pipeline.newest, reason="enough"
    )
    assert pipeline.ended() == "Stopped"


def test_executions_are_listed_by_the_stage_that_they_passed_and_in_pages(world: World) -> None:
    pipeline = world.create("listed", stage("Gate", approval("Ask")))
    first = pipeline.newest
    pipeline.answer("Gate", "Ask", "Approved")
    assert pipeline.ended(first) == "Succeeded"
    second = pipeline.start()
    wait_for(lambda: "Ask" in pipeline.actions(second))
    pipeline.answer("Gate", "Ask", "Rejected")
    assert pipeline.ended(second) == "Failed"
    listing = pipeline.client.list_pipeline_executions

    def ids(**arguments: Any) -> list[str]:
        found = listing(pipelineName=pipeline.name, **arguments)["pipelineExecutionSummaries"]
        return [one["pipelineExecutionId"] for one in found]

    assert ids() == [second, first]
    assert ids(filter={"succeededInStage": {"stageName": "Gate"}}) == [first]
    page = listing(pipelineName=pipeline.name, maxResults=1)
    assert ids(maxResults=1, nextToken=page["nextToken"]) == [first]


def test_a_failed_stage_can_be_retried_from_its_failed_actions(world: World, tmp_path: Path) -> None:
    fails_once = world.project("once", f"test -e {tmp_path}/there")
    counts = world.project("counts", f"echo run >> {tmp_path}/count")
    pipeline = world.create(
        "retried",
        stage(
            "Build",
            world.build("Fails", fails_once),
            world.build("Counts", counts),
            world.build("Follows", counts, runOrder=2),
        ),
        stage("Last", world.build("Last", counts)),
    )
    execution = pipeline.newest
    assert pipeline.ended(execution) == "Failed"
    (tmp_path / "there").touch()
    retry = {"pipelineName": pipeline.name, "stageName": "Build", "retryMode": "FAILED_ACTIONS"}
    pipeline.client.retry_stage_execution(**retry, pipelineExecutionId=execution)
    assert pipeline.ended(execution) == "Succeeded"
    assert (tmp_path / "count").read_text().count("run") == 3, "the one that had succeeded ran once"
    assert (
        refused(pipeline.client.retry_stage_execution, **retry, pipelineExecutionId=execution)
        == "StageNotRetryableException"
    )


def test_a_newer_execution_supersedes_one_that_waits(world: World) -> None:
    pipeline = world.create("superseded", stage("Gate", approval("Ask")))
    first = pipeline.newest
    pipeline.token("Gate", "Ask")
    second = pipeline.start()
    wait_for(lambda: inbound(pipeline, "Gate") == [second])
    third = pipeline.start()
    assert pipeline.ended(second) == "Superseded"
    pipeline.answer("Gate", "Ask", "Rejected")
    assert pipeline.ended(first) == "Failed"
    wait_for(lambda: "Ask" in pipeline.actions(third))
    pipeline.answer("Gate", "Ask", "Approved")
    assert pipeline.ended(third) == "Succeeded"


def inbound(pipeline: Pipeline, name: str) -> list[str]:
    """Return the executions that wait before a stage."""
    stages = pipeline.client.get_pipeline_state(name=pipeline.name)["stageStates"]
    found = next(one for one in stages if one["stageName"] == name)
    return [one["pipelineExecutionId"] for one in found.get("inboundExecutions", [])]


def test_a_source_that_nobody_has_connected_says_what_to_call(world: World) -> None:
    declaration = world.declaration("lonely", stage("Gate", approval("Ask")))
    declaration["stages"][0]["actions"][0]["configuration"]["FullRepositoryId"] = "some/other"
    world.codepipeline.create_pipeline(pipeline=declaration)
    pipeline = Pipeline(world, declaration["name"])
    assert pipeline.ended() == "Failed"
    assert "connect_repository" in pipeline.why("Take")


def test_a_source_can_be_asked_for_an_older_commit(
    world: World, cloud: LocalCloud, own_repository: Repository
) -> None:
    older = own_repository.commit({"greeting.txt": "old\n"}, "Older")
    own_repository.commit({"greeting.txt": "new\n"}, "Newer")
    cloud.connect_repository("example/two", own_repository.folder)
    declaration = world.declaration("older", stage("Build", world.build("Show", world.project("s", "cat *"))))
    declaration["stages"][0]["actions"][0]["configuration"]["FullRepositoryId"] = "example/two"
    world.codepipeline.create_pipeline(pipeline=declaration)
    pipeline = Pipeline(world, declaration["name"])
    assert pipeline.ended() == "Succeeded"
    assert "new" in pipeline.log("Show")
    wanted = {"actionName": "Take", "revisionType": "COMMIT_ID", "revisionValue": older}
    assert pipeline.ended(pipeline.start(sourceRevisions=[wanted])) == "Succeeded"
    assert "old" in pipeline.log("Show")


def test_an_action_role_without_the_connection_is_refused(world: World) -> None:
    other = world.role("other", trusts(world.pipeline_role), allow("s3:*"))
    declaration = world.declaration("denied", stage("Gate", approval("Ask")))
    declaration["stages"][0]["actions"][0]["roleArn"] = other
    world.codepipeline.create_pipeline(pipeline=declaration)
    pipeline = Pipeline(world, declaration["name"])
    assert pipeline.ended() == "Failed"
    assert "UseConnection" in pipeline.why("Take")


def test_an_action_role_that_does_not_trust_the_pipeline_is_not_assumed(world: World) -> None:
    stranger = world.role("stranger", trusts(f"arn:aws:iam::{ACCOUNT}:user/nobody"), allow("*"))
    build = world.build("Build", world.project("never", "true"))
    pipeline = world.create("untrusted", stage("Build", {**build, "roleArn": stranger}))
    assert pipeline.ended() == "Failed"
    assert f"AssumeRole on role {stranger}" in pipeline.why("Build")


def trusts(principal: str) -> dict[str, Any]:
    """Return a trust policy for one principal."""
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_a_role_without_access_to_the_artifacts_gets_none(world: World) -> None:
    poor = world.role("poor", {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]})  # fmt: skip
    pipeline = world.create(
        "poor", stage("Build", world.build("Build", world.project("p", "true", role=poor)))
    )
    assert pipeline.ended() == "Failed"
    assert "s3:GetObject" in pipeline.why("Build")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"configuration": {}}, "has no ProjectName"),
        ({"inputArtifacts": [{"name": "Nothing"}]}, "takes the artifact Nothing"),
        ({"outputArtifacts": [{"name": "Files"}]}, "another action makes already"),
        ({"actionTypeId": {"category": "Invoke", "owner": "AWS", "provider": "Lambda", "version": "1"}},
         "which the embedded cloud doesn't run"),
    ],
)  # fmt: skip
def test_fails_to_create_what_cannot_run(world: World, change: dict[str, Any], why: str) -> None:
    build = {**world.build("Build", "any"), **change}
    with pytest.raises(ClientError, match=why):
        world.create("wrong", stage("Build", build))


def test_repository_names_that_lead_nowhere_are_refused(cloud: LocalCloud, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="is no git repository"):
        cloud.connect_repository(REPOSITORY + "-none", tmp_path)
