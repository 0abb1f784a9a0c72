"""What is to be said of a retraining: what was decided by itself, and what people do next."""

from __future__ import annotations

from typing import Any

from pipeline_notifier.facts import Facts
from pipeline_notifier.places import make_run
from pipeline_notifier.words import Place, decide, in_registry
from shared.text import one_line


def decided(decision: dict[str, Any]) -> str:
    """What the retrain function decided, and why."""
    if decision.get("decision") == "started":
        execution = str(decision.get("train_execution_arn", "")).rsplit("/", 1)[-1]
        return (
            f"A retraining was started: execution {execution} of {decision.get('train_pipeline')}. "
            "Its version will wait for approval."
        )
    return f"No retraining was started: {one_line(decision.get('reason', 'no reason was recorded'))}."


def next_step(facts: Facts, place: Place) -> str:
    """What people do about it: approve what comes, decide about what waits, or bring new data."""
    decision = facts.decision or {}
    waiting = decision.get("waiting_version")
    if decision.get("decision") == "started":
        return (
            f"When the new version waits for approval{in_registry(place)}: make versions, "
            f"then {decide('approve', facts)}"
        )
    if waiting:
        return (
            f"Decide about version {waiting}{in_registry(place)}: {decide('approve', facts, waiting)} "
            f"or {decide('reject', facts, waiting)}"
        )
    return (
        f"With newly labelled data: make upload STAGE={place.stage}, "
        f"then {make_run('train', place.stage, facts.model)}"
    )
