"""Order, branches, retries and ends of a run, with handlers that only take notes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from local_cloud.runner.definition import parse
from local_cloud.runner.execution import Attempt, PipelineRun, StepFailed, StepHandler, StepProgress
from local_cloud.runner.resolve import ExecutionIdentity, Resolver, StepOutcome
from local_cloud.runner.retry import THROTTLING, RetryPolicy, exception_type_of_call, exception_type_of_job
from tests.local_cloud_sagemaker.definitions import compare, condition, fail, get, pipeline

IDENTITY = ExecutionIdentity("p", "arn", "id", "arn/execution/id", datetime.now(UTC))


class Watched:
    """A run and what its listener was told."""

    def __init__(self, definition: str, work: StepHandler, max_parallel: int | None = None) -> None:
        self.steps: dict[str, StepProgress] = {}
        self.statuses: list[tuple[str, str]] = []
        self.ended: tuple[str, str | None] | None = None
        resolver = Resolver(IDENTITY, {}, lambda _: b"{}")
        self.run = PipelineRun(parse(json.loads(definition)), resolver, {"Work": work}, self, max_parallel)

    def step_changed(self, progress: StepProgress, previous_status: str | None) -> None:
        self.steps[progress.name] = progress
        self.statuses.append((progress.name, progress.status))

    def run_ended(self, status: str, failure_reason: str | None) -> None:
        self.ended = (status, failure_reason)

    def to_end(self) -> Watched:
        self.run.run()
        return self

    def order(self, status: str = "Succeeded") -> list[str]:
        return [name for name, told in dict.fromkeys(self.statuses) if told == status]


def work(name: str, *after: str, **more: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "Work",
        "Arguments": more.pop("arguments", {}),
        "DependsOn": list(after),
        **more,
    }


def done(_: Attempt) -> StepOutcome:
    return StepOutcome({"Value": "x"})


def failing(*names: str) -> StepHandler:
    def handler(attempt: Attempt) -> StepOutcome:
        if attempt.step.name in names:
            raise StepFailed("broken")
        return StepOutcome()

    return handler


def test_steps_run_after_those_they_depend_on() -> None:
    watched = Watched(pipeline(work("C", "B"), work("B", "A"), work("A")), done).to_end()
    assert watched.order() == ["A", "B", "C"]
    assert watched.ended == ("Succeeded", None)


def test_a_reference_is_a_dependency() -> None:
    definition = pipeline(work("B", arguments={"In": {"Deep": [get("Steps.A.Value")]}}), work("A"))
    assert Watched(definition, done).to_end().order() == ["A", "B"]


def test_independent_steps_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=5)

    def meet(_: Attempt) -> StepOutcome:
        together.wait()
        return StepOutcome()

    watched = Watched(pipeline(work("A"), work("B"), work("C")), meet).to_end()
    assert watched.ended == ("Succeeded", None)


def test_no_more_steps_run_at_once_than_the_pipeline_allows() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def count(_: Attempt) -> StepOutcome:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.02)
        with lock:
            now[0] -= 1
        return StepOutcome()

    Watched(pipeline(*(work(f"S{i}") for i in range(6))), count, max_parallel=2).to_end()
    assert most[0] == 2


@pytest.mark.parametrize(("left", "taken", "skipped"), [(1, "Then", "Else"), (2, "Else", "Then")])
def test_only_the_branch_that_holds_is_run(left: int, taken: str, skipped: str) -> None:
    check = condition("Check", compare("Equals", left, 1), then=[work("Then")], otherwise=[work("Else")])
    watched = Watched(pipeline(check), done).to_end()
    assert taken in watched.steps
    assert skipped not in watched.steps
    assert watched.steps["Check"].metadata == {"Condition": {"Outcome": str(left == 1)}}


def test_steps_in_a_branch_keep_their_order() -> None:
    check = condition("Check", compare("Equals", 1, 1), then=[work("B", "A"), work("A")])
    assert Watched(pipeline(check), done).to_end().order() == ["Check", "A", "B"]


def test_sides_that_cannot_be_compared_fail_the_condition_step() -> None:
    check = condition("Check", compare("Equals", "1", 1), then=[work("A")])
    watched = Watched(pipeline(check), done).to_end()
    assert "can't compare '1'" in str(watched.steps["Check"].failure_reason)


def test_a_failed_step_ends_the_run_and_its_dependants_never_start() -> None:
    watched = Watched(pipeline(work("A"), work("B", "A")), failing("A")).to_end()
    assert watched.ended == ("Failed", "Step failure: One or multiple steps failed.")
    assert "B" not in watched.steps


def test_a_fail_step_fails_with_its_message() -> None:
    watched = Watched(pipeline(fail("End", "enough is enough")), done).to_end()
    assert watched.steps["End"].failure_reason == "enough is enough"
    assert watched.steps["End"].metadata == {"Fail": {"ErrorMessage": "enough is enough"}}


def test_a_handler_that_breaks_fails_its_step_and_not_the_engine() -> None:
    def broken(_: Attempt) -> StepOutcome:
        raise RuntimeError("a fault of ours")

    watched = Watched(pipeline(work("A")), broken).to_end()
    assert watched.steps["A"].failure_reason == "InternalServerError: RuntimeError: a fault of ours"


def test_a_step_of_a_type_without_handler_says_so() -> None:
    watched = Watched(pipeline({"Name": "E", "Type": "EMR", "Arguments": {}}), done).to_end()
    assert watched.steps["E"].failure_reason == "UnsupportedStep: steps of type EMR aren't emulated"


def test_a_stopped_run_starts_no_further_step() -> None:
    started = threading.Event()

    def until_stopped(attempt: Attempt) -> StepOutcome:
        started.set()
        assert attempt.stop.wait(5)
        return StepOutcome()

    watched = Watched(pipeline(work("A"), work("B", "A")), until_stopped)
    runner = threading.Thread(target=watched.to_end)
    runner.start()
    assert started.wait(5)
    watched.run.stop()
    runner.join(5)
    assert watched.ended == ("Stopped", None)
    assert "B" not in watched.steps


def throttled(times: int) -> tuple[StepHandler, Callable[[], int]]:
    calls = [0]

    def handler(_: Attempt) -> StepOutcome:
        calls[0] += 1
        if calls[0] <= times:
            raise StepFailed("slow down", THROTTLING)
        return StepOutcome()

    return handler, lambda: calls[0]


POLICY = {"ExceptionType": [THROTTLING], "IntervalSeconds": 0.01, "BackoffRate": 1.0, "MaxAttempts": 2}


def test_a_matching_retry_policy_tries_again() -> None:
    handler, calls = throttled(2)
    watched = Watched(pipeline(work("A", RetryPolicies=[POLICY])), handler).to_end()
    assert watched.ended == ("Succeeded", None)
    assert (calls(), watched.steps["A"].attempt_count) == (3, 3)


def test_a_retry_policy_gives_up_after_its_last_attempt() -> None:
    handler, calls = throttled(3)
    watched = Watched(pipeline(work("A", RetryPolicies=[POLICY])), handler).to_end()
    assert watched.steps["A"].failure_reason == "slow down"
    assert calls() == 3


def test_a_failure_that_no_policy_names_is_not_tried_again() -> None:
    handler, calls = throttled(1)
    other = {**POLICY, "ExceptionType": ["SageMaker.RESOURCE_LIMIT"]}
    Watched(pipeline(work("A", RetryPolicies=[other])), handler).to_end()
    assert calls() == 1


def test_waiting_times_grow_by_the_backoff_rate_until_the_policy_expires() -> None:
    policy = RetryPolicy(frozenset({THROTTLING}), 2, 3.0, expire_after_minutes=1)
    assert [policy.delay(n, 0) for n in range(4)] == [2, 6, 18, 54]
    assert policy.delay(4, 0) is None
    assert policy.delay(0, 59) is None


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ThrottlingException", 400, "Step.THROTTLING"),
        ("InternalFailure", 500, "Step.SERVICE_FAULT"),
        ("ResourceLimitExceeded", 400, "SageMaker.RESOURCE_LIMIT"),
        ("AccessDeniedException", 403, None),
    ],
)
def test_refused_calls_are_retried_by_their_kind(code: str, status: int, expected: str | None) -> None:
    assert exception_type_of_call(code, status) == expected


def test_failed_jobs_are_retried_only_for_faults_of_the_service() -> None:
    assert exception_type_of_job("InternalServerError: disk") == "SageMaker.JOB_INTERNAL_ERROR"
    assert exception_type_of_job("CapacityError: none") == "SageMaker.CAPACITY_ERROR"
    assert exception_type_of_job("AlgorithmError: yours") is None
