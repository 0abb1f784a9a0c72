"""The events that may ask for a message, read into one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from delivery_notifier.route import Route

PIPELINE_EVENT = "CodePipeline Pipeline Execution State Change"
ACTION_EVENT = "CodePipeline Action Execution State Change"
SUCCEEDED, FAILED, STOPPED, SUPERSEDED = "SUCCEEDED", "FAILED", "STOPPED", "SUPERSEDED"
WAITING = "WAITING"  # our word for an approval that has started
UNANSWERED = "UNANSWERED"  # and for one whose build has failed, so that only a person can answer it
ENDS = (SUCCEEDED, FAILED, STOPPED, SUPERSEDED)


class BadEvent(Exception):
    """An event that isn't what its detail-type promises."""


@dataclass(frozen=True)
class Outcome:
    """What happened to one execution of the pipeline.

    Parameters
    ----------
    attempt
        How often the execution was tried: a stage that is retried keeps the execution's id.
    state
        One of `ENDS`, or `WAITING`, or `UNANSWERED`.
    stage, action
        Of the approval that waits, or of the build that should have answered it; empty for an end.
    """

    execution_id: str
    attempt: int
    state: str
    time: str
    stage: str = ""
    action: str = ""

    @property
    def claim_name(self) -> str:
        """Name of the message's claim: events come more than once."""
        where = f"-{self.stage}-{self.action}" if self.action else ""
        return f"{self.execution_id}-{self.attempt}{where}-{self.state.lower()}"


def read_outcome(event: dict[str, Any], route: Route) -> Outcome | None:
    """Read an event; None where it asks for no message.

    Raises
    ------
    BadEvent
        A part is missing, so that it can't be told which execution is meant.
    """
    kind, detail = event.get("detail-type"), event.get("detail")
    if kind not in (PIPELINE_EVENT, ACTION_EVENT) or not isinstance(detail, dict):
        raise BadEvent(f"no message is known for events of the detail-type '{kind}'")
    if detail.get("pipeline") != route.pipeline:
        return None
    execution_id, state = _needed(detail, "execution-id"), _needed(detail, "state")
    attempt = _attempt(detail.get("pipeline-execution-attempt"))
    time = str(event.get("time", ""))
    if kind == PIPELINE_EVENT:
        return Outcome(execution_id, attempt, state, time) if state in ENDS else None
    stage, action = _needed(detail, "stage"), _needed(detail, "action")
    if state == "STARTED" and action in route.approvals:
        return Outcome(execution_id, attempt, WAITING, time, stage, action)
    if state == "FAILED" and action in route.gates:
        return Outcome(execution_id, attempt, UNANSWERED, time, stage, action)
    return None


def _attempt(value: object) -> int:
    if value is None:
        return 1
    # JSON that came by way of an event bus may have made 1.0 of it
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < 1e6:
        return int(value)
    raise BadEvent(f"pipeline-execution-attempt must be a number from 1, got {value!r}")


def _needed(source: dict[str, Any], name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str) or not value:
        raise BadEvent(f"the event has no '{name}'")
    return value
