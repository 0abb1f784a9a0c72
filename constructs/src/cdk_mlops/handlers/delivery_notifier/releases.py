"""The words about model versions on their way to prod, after somebody has approved them in the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from delivery_notifier.events import FAILED, STOPPED, SUCCEEDED, SUPERSEDED, WAITING
from delivery_notifier.facts import Facts
from delivery_notifier.failures import reason_of
from delivery_notifier.route import Route
from shared.alerts import Alert

STAGE = "delivery"


def compose(facts: Facts, route: Route) -> Alert:
    """Write the message of an outcome."""
    return _WRITERS[facts.outcome.state](facts, route)


def _alert(
    facts: Facts,
    route: Route,
    title: str,
    *,
    happened: str,
    why: Sequence[str],
    done: str,
    todo: Sequence[str],
) -> Alert:
    outcome = facts.outcome
    execution = f"Execution {outcome.execution_id}{f' at {outcome.time}' if outcome.time else ''}."
    page = f"The execution: {route.page(outcome.execution_id)}"
    return Alert(
        STAGE,
        route.pipeline,
        f"{_version(facts)} {title}",
        [happened, execution],
        [*why, *([facts.trouble] if facts.trouble else [])],
        [done],
        [*todo, page],
    )


def _version(facts: Facts) -> str:
    known = facts.variables
    return (
        f"version {known['VERSION']} of {known['MODEL']}"
        if {"VERSION", "MODEL"} <= set(known)
        else "a version"
    )


def _command(word: str, facts: Facts) -> str:
    known = facts.variables
    return f"make {word} VERSION={known.get('VERSION', '<number>')} MODEL={known.get('MODEL', '<model>')}"


def _released(facts: Facts, route: Route) -> Alert:
    passed = [one for one in facts.actions if one.name in route.approvals and one.status == "Succeeded"]
    why = [
        f"{one.name} was approved{f' by {one.by}' if one.by else ''}{f': {one.reason}' if one.reason else ''}."
        for one in passed
    ]
    return _alert(
        facts,
        route,
        f"is released to {route.last}",
        happened=f"The version has run in staging and is released: {route.last}'s next run uses it.",
        why=why or ["Its check in staging has passed."],
        done="The release is written into the version (ModelLifeCycle).",
        todo=[f"Nothing. To go back to the version before: {_command('reject', facts)}"],
    )


def _failed(facts: Facts, route: Route) -> Alert:
    first = facts.failed[0] if facts.failed else None
    refused = first is not None and first.name in route.approvals
    title = f"was refused before {route.last}" if refused else "was not released"
    at = f" at {first.name} of {first.stage}" if first else ""
    log = [f"Its log: {first.link}"] if first and first.link else []
    again = "To try again: start the pipeline with this MODEL and VERSION, or retry the stage in the console."
    return _alert(
        facts,
        route,
        title,
        happened=f"The release failed{at}.",
        why=[reason_of(first) if first else facts.status or "CodePipeline names no action that failed."],
        done=f"Nothing changed: {route.last} goes on with the version that it uses.",
        todo=[f"If the version is no good: {_command('reject', facts)}", again, *log],
    )


def _stopped(facts: Facts, route: Route) -> Alert:
    return _alert(
        facts,
        route,
        "was not released: its execution was stopped",
        happened="The release was stopped.",
        why=[facts.status or "Somebody called StopPipelineExecution; CloudTrail says who."],
        done=f"Nothing changed: {route.last} goes on with the version that it uses.",
        todo=["If that was meant, nothing. Else start the pipeline with this MODEL and VERSION again."],
    )


def _waits(facts: Facts, route: Route) -> Alert:
    return _alert(
        facts,
        route,
        f"waits for its release to {route.last}",
        happened=f"{facts.outcome.action} waits for a person.",
        why=["The version is approved in the registry, and its check in staging has passed."],
        done="It was scored in staging with its own test batch.",
        todo=[
            f"Look at it: {_command('trace', facts)}",
            f"Release or refuse it: {route.page()}",
            f"Refused, or unanswered for seven days, it changes nothing in {route.last}.",
        ],
    )


_WRITERS: dict[str, Callable[[Facts, Route], Alert]] = {
    SUCCEEDED: _released,
    FAILED: _failed,
    STOPPED: _stopped,
    SUPERSEDED: _stopped,
    WAITING: _waits,
}
