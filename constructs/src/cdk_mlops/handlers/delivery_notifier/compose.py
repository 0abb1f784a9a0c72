"""The words of the delivery's messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from delivery_notifier.events import FAILED, STOPPED, SUCCEEDED, SUPERSEDED, UNANSWERED, WAITING
from delivery_notifier.facts import Action, Facts
from delivery_notifier.failures import NO_REASON, reason_of, where_it_stands, words_of
from delivery_notifier.route import Route
from shared.alerts import Alert
from shared.text import shorten

STAGE = "delivery"
COMMIT_LENGTH = 12
REASON_LIMIT = 1_000


def compose(facts: Facts, route: Route) -> Alert:
    """Write the message of an outcome."""
    return _WRITERS[facts.outcome.state](facts, route)


def bare_message(facts: Facts, route: Route, trouble: str) -> Alert:
    """Write a message of little more than the event, for when composing a better one failed."""
    return _alert(
        facts,
        route,
        title=f"{_commit(facts)}: {facts.outcome.state}",
        why=[f"The details could not be put into words ({trouble})."],
        done=["Not known."],
        todo=[_look(facts, route)],
    )


def _alert(
    facts: Facts,
    route: Route,
    *,
    title: str,
    why: Sequence[str],
    done: Sequence[str],
    todo: Sequence[str],
    happened: Sequence[str] = (),
) -> Alert:
    return Alert(STAGE, route.pipeline, title, [*happened, *_about(facts)], why, done, todo)


def _about(facts: Facts) -> list[str]:
    outcome = facts.outcome
    again = f", attempt {outcome.attempt}" if outcome.attempt > 1 else ""
    at = f" at {outcome.time}" if outcome.time else ""
    message = f": {shorten(facts.summary, 200)}" if facts.summary else ""
    lines = [f"Commit {facts.commit}{message}."] if facts.commit else []
    return [*lines, f"Execution {outcome.execution_id}{again}{at}."]


def _commit(facts: Facts) -> str:
    return f"commit {facts.commit[:COMMIT_LENGTH]}" if facts.commit else "a commit"


def _look(facts: Facts, route: Route) -> str:
    return f"The execution: {route.page(facts.outcome.execution_id)}"


def _arrived(facts: Facts, route: Route) -> Alert:
    stages = ", ".join(target for _, target in route.stages)
    return _alert(
        facts,
        route,
        title=f"{_commit(facts)} is in {route.last}",
        happened=[f"The commit has passed every stage and runs in {route.last}."],
        why=_who_let_it_pass(facts, route) or ["Every check has passed."],
        done=[f"It was deployed to, checked in and recorded for: {stages}."],
        todo=[
            f"Nothing. The way back, if it is needed: make rollback STAGE={route.last}",
            _look(facts, route),
        ],
    )


def _who_let_it_pass(facts: Facts, route: Route) -> list[str]:
    passed = [one for one in facts.actions if one.name in route.approvals and one.status == "Succeeded"]
    return [f"{one.name} was approved{_by(one)}{_note(one)}." for one in passed]


def _by(action: Action) -> str:
    return f" by {action.by}" if action.by else ""


def _note(action: Action) -> str:
    return f": {shorten(action.reason, REASON_LIMIT)}" if action.reason else ""


def _failed(facts: Facts, route: Route) -> Alert:
    if not facts.failed:
        return _alert(
            facts,
            route,
            title=f"{_commit(facts)} failed",
            why=[facts.trouble or facts.status or "CodePipeline names no action that failed."],
            done=["Not known: the execution shows which stages were deployed."],
            todo=[_look(facts, route)],
        )
    first, *others = facts.failed
    words = words_of(first, facts, route)
    beside = [f"{one.name} of {one.stage} failed too{_note(one)}." for one in others]
    log = [f"Its log: {first.link}"] if first.link else []
    return _alert(
        facts,
        route,
        title=f"{_commit(facts)} {words.title}",
        happened=[f"{first.name} of {first.stage} failed."],
        why=[words.why, *beside],
        done=words.done,
        todo=[*words.todo, *log, _look(facts, route)],
    )


def _stopped(facts: Facts, route: Route) -> Alert:
    last = facts.last
    at = f" at {last.name} of {last.stage}" if last else ""
    return _alert(
        facts,
        route,
        title=f"{_commit(facts)} was stopped{f' in {last.stage}' if last else ''}",
        happened=[f"The execution was stopped{at}."],
        why=[facts.status or "Somebody called StopPipelineExecution; CloudTrail says who."],
        done=[
            *(where_it_stands(last.stage, facts, route) if last else ["Not known."]),
            "An action that was abandoned may go on in its service: CloudFormation finishes what it began.",
        ],
        todo=[
            "If that was meant, nothing: the next commit passes all stages again.",
            f"To start this one again: {route.page()}",
            _look(facts, route),
        ],
    )


def _overtaken(facts: Facts, route: Route) -> Alert:
    return _alert(
        facts,
        route,
        title=f"{_commit(facts)} was overtaken by a newer one",
        happened=["A newer commit has overtaken this one, which goes no further."],
        why=["While it waited for a stage, a newer execution came to the same place."],
        done=["The newer commit holds this one's changes and goes on."],
        todo=["Nothing.", _look(facts, route)],
    )


def _waits(facts: Facts, route: Route) -> Alert:
    outcome = facts.outcome
    target = route.target(outcome.stage) or route.last
    approval = next((one for one in facts.actions if one.name == outcome.action), None)
    shown = approval.shown if approval else {}
    summary = facts.variable(outcome.stage, "SUMMARY") or shown.get("CustomData", "")
    review = facts.variable(outcome.stage, "REVIEW_URL") or shown.get("ExternalEntityLink", "")
    passed = route.before(outcome.stage)
    return _alert(
        facts,
        route,
        title=f"{_commit(facts)} waits for approval before {target}",
        happened=[f"{outcome.action} waits for a person.", *summary.splitlines()],
        why=[f"No commit comes to {target} without a person's approval."],
        done=[f"It was deployed to and checked in: {', '.join(passed)}."] if passed else [],
        todo=[
            *([f"Read the review: {review}"] if review else []),
            f"Approve or refuse {outcome.action}: {route.page()}",
            f"Refused, or unanswered for seven days, it changes nothing in {target}.",
        ],
    )


def _unanswered(facts: Facts, route: Route) -> Alert:
    outcome = facts.outcome
    build = next(
        (one for one in facts.failed if (one.stage, one.name) == (outcome.stage, outcome.action)), None
    )
    target = route.target(outcome.stage) or outcome.stage
    return _alert(
        facts,
        route,
        title=f"{_commit(facts)} waits: {outcome.action} failed before {target}",
        happened=[
            f"{outcome.action} of {outcome.stage} failed. The approval beside it, which it answers, waits."
        ],
        why=[reason_of(build) if build else facts.trouble or NO_REASON],
        done=where_it_stands(outcome.stage, facts, route),
        todo=[
            f"Refuse the approval of {outcome.stage}, so that the stage ends: {route.page()}",
            "Then mend the cause and push, or retry the stage in the console.",
            *([f"Its log: {build.link}"] if build and build.link else []),
            _look(facts, route),
        ],
    )


_WRITERS: dict[str, Callable[[Facts, Route], Alert]] = {
    SUCCEEDED: _arrived,
    FAILED: _failed,
    STOPPED: _stopped,
    SUPERSEDED: _overtaken,
    UNANSWERED: _unanswered,
    WAITING: _waits,
}
