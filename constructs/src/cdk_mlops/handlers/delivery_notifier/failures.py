"""What a failure means for each stage, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from delivery_notifier.facts import Action, Facts
from delivery_notifier.route import Route
from shared.text import shorten

REASON_LIMIT = 1_000
NO_REASON = "CodePipeline gives no reason."


@dataclass(frozen=True)
class Words:
    """Parts of a message about a failure; the title goes on after the commit."""

    title: str
    why: str
    done: list[str]
    todo: list[str]


def words_of(action: Action, facts: Facts, route: Route) -> Words:
    """Tell a failure by where in the pipeline it happened."""
    target = route.target(action.stage)
    if target is None:
        title, todo = _before_any_stage(action)
    elif action.name in route.approvals:
        title = f"was refused before {target}"
        todo = ["Nothing, or push a better commit. To ask again: retry the stage in the console."]
    elif action.is_approval:
        title = f"lacks a confirmation of its permissions in {target}"
        todo = [
            "If what widens is meant: retry the stage in the console, and confirm. If not: change it and push."
        ]
    elif action.stack:
        title = f"could not be deployed to {target} ({action.stack})"
        todo = [
            f"Read the events of {action.stack} in CloudFormation, mend the cause and push.",
            "Was the cause outside of the commit: retry the stage in the console.",
        ]
    elif _deployed(action.stage, facts):
        title = f"failed its check in {target}"
        todo = _after_a_check(target, route)
    else:
        title = f"did not reach {target}: {action.name} failed"
        todo = ["Read its log. Mend the cause and push, or retry the stage in the console."]
    return Words(title, reason_of(action), where_it_stands(action.stage, facts, route, action), todo)


def where_it_stands(stage: str, facts: Facts, route: Route, failed: Action | None = None) -> list[str]:
    """Tell of each stage of the installation what it runs now, when a commit got no further than here."""
    before, after, target = route.before(stage), route.after(stage), route.target(stage)
    lines = [f"{_names(before)} {_verb(before, 'runs', 'run')} this commit."] if before else []
    if target is None:
        return [*lines, f"Nothing was deployed: {_names(after)} {_verb(after, 'is', 'are')} as before."]
    deployed = _deployed(stage, facts)
    if failed is not None and failed.stack and failed.name.endswith("Deploy"):
        lines.append(
            f"CloudFormation rolls {failed.stack} back by itself, and each pipeline in it gets its previous "
            "definition again. Its status says when that is done."
        )
        lines += [] if deployed else [f"{target} runs its previous definitions."]
    elif not deployed:
        lines.append(f"Nothing was deployed to {target}.")
    if deployed:
        lines.append(f"{_names(deployed)} {_verb(deployed, 'was', 'were')} deployed, with this commit.")
    return lines + ([f"{_names(after)} {_verb(after, 'is', 'are')} untouched."] if after else [])


def _before_any_stage(action: Action) -> tuple[str, list[str]]:
    retry = "Was the cause outside of the commit: retry the stage in the console."
    if action.category == "Source":
        return "could not be fetched", [
            "See whether the connection to the repository is still available.",
            retry,
        ]
    if action.stage == "UpdatePipeline":
        return "could not update the pipeline", [
            "Read the log and the events of DeliveryStack in CloudFormation, mend the cause and push.",
            retry,
        ]
    if action.stage == "Assets":
        return "could not publish its files", ["Read the log.", retry]
    return "failed its tests or its synthesis", [
        "Read the log, mend the cause and push. The same on a laptop: make check test synth",
    ]


def _after_a_check(target: str, route: Route) -> list[str]:
    back = f"make rollback STAGE={target}"
    if target == route.last:
        return [f"Bring the previous definitions back: {back}", "Then mend the cause and push."]
    return [
        f"Mend the cause and push. To have the previous definitions back in {target} meanwhile: {back}",
        "Was the cause outside of the commit: retry the stage in the console.",
    ]


def reason_of(action: Action) -> str:
    """Say why an action failed: a person's note, or the build's or CloudFormation's words."""
    if action.is_approval and action.by:
        note = f": {action.reason}" if action.reason else ", without a note."
        return shorten(f"Refused by {action.by}{note}", REASON_LIMIT)
    return shorten(action.reason, REASON_LIMIT) or NO_REASON


def _deployed(stage: str, facts: Facts) -> list[str]:
    """Stacks that this execution deployed in a stage of the pipeline."""
    return [
        one.stack
        for one in facts.actions
        if one.stage == stage and one.stack and one.name.endswith("Deploy") and one.status == "Succeeded"
    ]


def _names(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _verb(names: Sequence[str], one: str, many: str) -> str:
    return one if len(names) == 1 else many
