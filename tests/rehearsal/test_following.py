"""An execution of the delivery pipeline is followed: rows, approvals, restarts, retries."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.approver import Answer, Approver
from rehearsal.errors import RehearsalError
from rehearsal.following import Ended, Follower, row_of, said_by, waiting_approval
from rehearsal.path import Part, Record
from tests.rehearsal.recorded import RecordedPipeline, action

SOURCE = action("Source", "Code", said="Deliver")
TESTED = action("Build", "Synth", at=1, said="1,900 passed\ntemplates are in cdk.out")


def approval(status: str = "InProgress", **more: Any) -> dict[str, Any]:
    return action("Prod", "PromoteToProd", status, category="Approval", at=9, **more)


def follower(client: RecordedPipeline, approver: Approver | None = None, **more: Any) -> Follower:
    record = Record()
    record.parts.append(Part("A promotion"))
    return Follower(
        client, "mlops-delivery", record, approver or Approver(always=True), poll_seconds=0, **more
    )


def test_each_action_is_told_once_in_the_order_of_their_starts() -> None:
    client = RecordedPipeline(
        ("one", [("InProgress", [SOURCE]), ("InProgress", [SOURCE, TESTED]), ("Succeeded", [SOURCE, TESTED])])
    )
    ended = follower(client).deliver()
    assert ended.status == "Succeeded"
    assert [row.action for row in ended.rows] == ["Code", "Synth"]


def test_what_ends_with_the_execution_is_told() -> None:
    running = action("Build", "Synth", "InProgress", at=1)
    client = RecordedPipeline(
        (
            "one",
            [("InProgress", [SOURCE, running]), ("Succeeded", [SOURCE, running]), ("Succeeded", [TESTED])],
        )
    )
    assert [row.action for row in follower(client).deliver().rows] == ["Code", "Synth"]


def test_the_line_of_a_stopped_execution_names_stage_action_and_reason() -> None:
    failed = action(
        "Build", "Synth", "Failed", said="collecting\nFAILED tests/test_a.py::test_b", code="JobFailed"
    )
    ended = follower(RecordedPipeline(("one", [("Failed", [SOURCE, failed])]))).deliver()
    assert ended.line == "Build/Synth: FAILED tests/test_a.py::test_b"


def test_an_approval_is_answered_once_with_its_token() -> None:
    waiting = ("InProgress", [SOURCE, approval()])
    client = RecordedPipeline(("one", [waiting, waiting, ("Succeeded", [SOURCE, approval("Succeeded")])]))
    client.tokens["Prod", "PromoteToProd"] = "a-token"
    follower(client).deliver()
    assert [(one["token"], one["result"]["status"]) for one in client.answers] == [("a-token", "Approved")]


def test_an_approval_whose_token_comes_a_moment_later_is_answered_then() -> None:
    waiting = ("InProgress", [SOURCE, approval()])
    client = RecordedPipeline(("one", [waiting, waiting, ("Succeeded", [SOURCE, approval("Succeeded")])]))
    state, looks = client.get_pipeline_state, iter(({}, {("Prod", "PromoteToProd"): "a-token"}))

    def later(**given: Any) -> dict[str, Any]:
        client.tokens.update(next(looks, {}))
        return state(**given)

    client.get_pipeline_state = later  # type: ignore[method-assign]
    follower(client).deliver()
    assert [one["token"] for one in client.answers] == ["a-token"]


def test_a_refusal_is_passed_on_with_its_reason() -> None:
    client = RecordedPipeline(
        (
            "one",
            [
                ("InProgress", [approval()]),
                ("Failed", [approval("Failed", said="not today", code="Rejected")]),
            ],
        )
    )
    client.tokens["Prod", "PromoteToProd"] = "a-token"
    approver = Approver(always=True, scripted={"PromoteToProd": Answer(False, "not today")})
    ended = follower(client, approver).deliver()
    assert client.answers[0]["result"] == {"status": "Rejected", "summary": "not today"}
    assert (ended.failed and ended.failed.result, ended.line) == ("Rejected", "Prod/PromoteToProd: not today")


def test_nobody_is_asked_while_the_gate_beside_the_approval_still_compares() -> None:
    gate = action("Prod", "Permissions", "InProgress")
    assert waiting_approval([gate, approval()], set()) is None
    assert waiting_approval([action("Prod", "Permissions"), approval()], set()) is not None


def test_an_approval_that_the_gate_has_answered_meanwhile_is_left_alone() -> None:
    client = RecordedPipeline(("one", [("InProgress", [approval()]), ("Succeeded", [approval("Succeeded")])]))
    follower(client).deliver()
    assert client.answers == []


def test_a_pipeline_that_changed_itself_is_followed_in_its_new_execution() -> None:
    updated = action("UpdatePipeline", "SelfMutate", "Abandoned")
    client = RecordedPipeline(
        ("one", [("InProgress", [SOURCE]), ("Cancelled", [SOURCE, updated])]),
        ("two", [("Succeeded", [action("Source", "Code", execution=2)])]),
    )

    def restart(ended: Any) -> None:
        if ended["actionName"] == "SelfMutate":
            client.restart()

    ended = follower(client, on_action=restart).deliver()
    assert (ended.execution_id, ended.status) == ("two", "Succeeded")


def test_a_retry_tells_only_what_is_new_and_tries_the_stage_that_failed() -> None:
    failed = action("Prod", "Check", "Failed", said="no data", code="JobFailed")
    again = action("Prod", "Check", at=5, execution=2)
    client = RecordedPipeline(("one", [("Failed", [SOURCE, failed]), ("Succeeded", [SOURCE, failed, again])]))
    following = follower(client)
    ended = following.retry(following.deliver())
    assert [row.result for row in ended.rows] == ["Succeeded"]
    assert client.retried[0]["stageName"] == "Prod"


def test_there_is_nothing_to_retry_where_nothing_failed() -> None:
    with pytest.raises(RehearsalError, match="no action has failed"):
        follower(RecordedPipeline()).retry(Ended("one", "Succeeded"))


def test_a_pipeline_that_did_not_start_when_it_was_made_is_told() -> None:
    with pytest.raises(RehearsalError, match="did not start"):
        follower(RecordedPipeline()).of_creation()


@pytest.mark.parametrize(
    ("status", "code", "result"),
    [("Succeeded", "", "Approved"), ("Failed", "Rejected", "Rejected"), ("Abandoned", "", "Abandoned")],
)
def test_an_approval_has_words_of_its_own(status: str, code: str, result: str) -> None:
    assert row_of(approval(status, code=code)).result == result


def test_a_row_has_the_seconds_that_the_action_took() -> None:
    assert row_of(action("Build", "Synth", seconds=270)).seconds == 270


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ("", ""),
        ("first\n\nlast\n", "last"),
        (
            "...F\nFAILED tests/a.py::b - x\n1 failed, 9 passed in 2s",
            "FAILED tests/a.py::b - x (1 failed, 9 passed in 2s)",
        ),
        ("....\n9 passed in 2s", "9 passed in 2s"),
        (
            "/a/b/cloud/actions/123/Build-Synth-1/src/source/model.yaml: has changed",
            "model.yaml: has changed",
        ),
    ],
)
def test_what_a_build_said_is_its_last_line_with_files_named_from_its_folder(summary: str, said: str) -> None:
    assert said_by(summary) == said
