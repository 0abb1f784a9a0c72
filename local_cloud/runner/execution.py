"""Runs the steps of one pipeline execution in the order of their dependencies."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from local_cloud.runner.conditions import ConditionError, all_hold
from local_cloud.runner.definition import Definition, Step
from local_cloud.runner.resolve import ResolveError, Resolver, StepOutcome, as_text
from local_cloud.runner.retry import matching, policies_of

FAILURE_REASON = "Step failure: One or multiple steps failed."
MAX_REASON = 1024


class StepFailed(Exception):  # noqa: N818 - an outcome of a step, as StepStopped is
    """A step has failed; `exception_type` is what a retry policy may name, if anything."""

    def __init__(self, reason: str, exception_type: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason[:MAX_REASON]
        self.exception_type = exception_type


class StepStopped(Exception):  # noqa: N818 - an outcome that was asked for, not an error
    """A step has ended because its execution was stopped."""


@dataclass
class StepProgress:
    """How far a step is; times are seconds since the epoch."""

    name: str
    type: str
    display_name: str | None = None
    description: str | None = None
    status: str = "Starting"
    start_time: float = field(default_factory=time.time)
    end_time: float | None = None
    failure_reason: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    attempt_count: int = 0


class Listener(Protocol):
    """Is told of all that happens in a run; called from any thread."""

    def step_changed(self, progress: StepProgress, previous_status: str | None) -> None:
        """Take note of a step's new status or metadata."""
        ...

    def run_ended(self, status: str, failure_reason: str | None) -> None:
        """Take note of the end of the run: ``Succeeded``, ``Failed`` or ``Stopped``."""
        ...


@dataclass(frozen=True)
class Attempt:
    """What a step handler gets for one try of a step.

    Attributes
    ----------
    step
        The step.
    resolve
        Returns a JSON value with its expressions replaced.
    stop
        Set when the execution is being stopped.
    report
        Call it with the step's metadata as soon as there is something to say.
    """

    step: Step
    resolve: Callable[[Any], Any]
    stop: threading.Event
    report: Callable[[dict[str, Any]], None]


StepHandler = Callable[[Attempt], StepOutcome]


class PipelineRun:
    """One execution of a pipeline.

    Parameters
    ----------
    definition
        A checked definition.
    resolver
        Resolves its expressions.
    handlers
        What runs a step, by step type. Condition and Fail steps are run here.
    listener
        Is told what happens.
    max_parallel
        How many steps may run at the same time. Default: 50.
    """

    def __init__(
        self,
        definition: Definition,
        resolver: Resolver,
        handlers: Mapping[str, StepHandler],
        listener: Listener,
        max_parallel: int | None = None,
    ) -> None:
        self._resolver = resolver
        self._handlers: dict[str, StepHandler] = {**handlers, "Condition": self._decide, "Fail": _fail}
        self._listener = listener
        self._max_parallel = 50 if max_parallel is None else max_parallel
        self._pending = dict(definition.steps)
        self._running: set[str] = set()
        self._succeeded: set[str] = set()
        self._branches: dict[str, bool] = {}
        self._failed = False
        self._stop = threading.Event()
        self._ended: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()

    def stop(self) -> None:
        """Start no further step, stop the running ones, and end as ``Stopped``."""
        self._stop.set()
        self._ended.put(None)

    def run(self) -> None:
        """Run to the end; returns when no step is running any more."""
        while True:
            self._start_ready_steps()
            if not self._running:
                break
            message = self._ended.get()
            if message is None:
                continue
            name, status = message
            self._running.discard(name)
            if status == "Succeeded":
                self._succeeded.add(name)
            elif status == "Failed":
                self._failed = True
        if self._stop.is_set():
            self._listener.run_ended("Stopped", None)
        elif self._failed:
            self._listener.run_ended("Failed", FAILURE_REASON)
        else:
            self._listener.run_ended("Succeeded", None)

    def _start_ready_steps(self) -> None:
        for name, step in list(self._pending.items()):
            if self._failed or self._stop.is_set() or len(self._running) >= self._max_parallel:
                return
            if (
                step.branch
                and self._branches.get(step.branch.condition, step.branch.outcome) != step.branch.outcome
            ):
                del self._pending[name]
            elif step.waits_for <= self._succeeded:
                del self._pending[name]
                self._running.add(name)
                threading.Thread(
                    target=self._run_step, args=(step,), name=f"step-{name}", daemon=True
                ).start()

    def _run_step(self, step: Step) -> None:
        progress = StepProgress(
            step.name, step.type, step.body.get("DisplayName"), step.body.get("Description")
        )
        self._listener.step_changed(progress, None)

        def change(status: str, reason: str | None = None) -> None:
            previous, progress.status, progress.failure_reason = progress.status, status, reason
            if status != "Executing":
                progress.end_time = time.time()
            self._listener.step_changed(progress, previous)

        change("Executing")
        try:
            self._resolver.record(step.name, self._try(step, progress))
        except StepFailed as failure:
            change("Failed", failure.reason)
        except StepStopped:
            change("Stopped")
        except Exception as error:  # noqa: BLE001 - whatever breaks here must end the step, not hang the run
            change("Failed", f"InternalServerError: {type(error).__name__}: {error}"[:MAX_REASON])
        else:
            change("Succeeded")
        self._ended.put((step.name, progress.status))

    def _try(self, step: Step, progress: StepProgress) -> StepOutcome:
        policies = policies_of(step.body)
        used: dict[int, int] = {}
        began = time.monotonic()

        def report(metadata: dict[str, Any]) -> None:
            progress.metadata = metadata
            self._listener.step_changed(progress, progress.status)

        while True:
            progress.attempt_count += 1
            try:
                handler = self._handlers.get(step.type)
                if handler is None:
                    raise StepFailed(f"UnsupportedStep: steps of type {step.type} aren't emulated")
                return handler(Attempt(step, self._resolver.resolve, self._stop, report))
            except ResolveError as error:
                raise StepFailed(f"ClientError: {error}") from error
            except StepFailed as failure:
                policy = matching(policies, failure.exception_type)
                if policy is None:
                    raise
                delay = policy.delay(used.get(id(policy), 0), time.monotonic() - began)
                if delay is None:
                    raise
                used[id(policy)] = used.get(id(policy), 0) + 1
                if self._stop.wait(delay):
                    raise StepStopped from failure

    def _decide(self, attempt: Attempt) -> StepOutcome:
        try:
            outcome = all_hold(attempt.step.arguments["Conditions"], attempt.resolve)
        except ConditionError as error:
            raise StepFailed(f"ClientError: {error}") from error
        attempt.report({"Condition": {"Outcome": "True" if outcome else "False"}})
        self._branches[attempt.step.name] = outcome
        return StepOutcome()


def _fail(attempt: Attempt) -> StepOutcome:
    message = as_text(attempt.resolve(attempt.step.arguments["ErrorMessage"]))
    attempt.report({"Fail": {"ErrorMessage": message[:3072]}})
    raise StepFailed(message)
