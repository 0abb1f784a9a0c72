"""The words of quality runs: what ground truth shows, and why it could not be judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline_notifier import causes
from pipeline_notifier.facts import Facts
from pipeline_notifier.places import again, object_page, show
from pipeline_notifier.retraining import next_step
from pipeline_notifier.words import Place, Words
from shared.text import number, one_line, shorten

CHECK = "ModelQualityCheck"
MOST_SEGMENTS = 20
OPPOSITE = 0.3  # an AUC below it is further from chance than bad luck or a bad model brings
_MESSAGE = 1000
_NOTHING = "nothing judged"


def happened(facts: Facts) -> list[str]:
    """Which ground truth the run was about."""
    if not facts.ground_truth:
        return []
    labels = (facts.run.finding or {}).get("labels")
    told = f" ({labels} labels)" if labels is not None else ""
    return [f"Ground truth: {facts.ground_truth}{told}."]


def done(facts: Facts) -> list[str]:
    """What becomes of the version, or of ground truth that could not be judged."""
    if facts.run.finding is None:
        stands = "Nothing was judged, and what was scored stands."
        if facts.cause.word != causes.STEP_FAILED:
            return [stands]
        return [
            f"{stands} The schedule tries the same labels three times in all, then leaves them alone until they change."
        ]
    kept = "The version stays in use, and its predictions stand."
    if facts.decision or facts.awaited:
        return [kept]
    why = "its AUC is not lost; what is left to people retrains nothing"
    if facts.run.finding.get("retrain") is True:
        why = "in this stage nothing retrains this model by itself"
    return [kept, f"No retraining was started: {why}."]


def lost(facts: Facts, place: Place) -> Words:
    """Ground truth shows that the version is no longer what it was at training."""
    finding = facts.run.finding or {}
    auc, version = _part(finding, "auc"), facts.batch.version or "in use"
    if auc.get("lost"):
        title = (
            f"version {version} has an AUC of {number(auc.get('value'), 2)} by ground truth,"
            f" {number(auc.get('at_training'), 2)} at training"
        )
    elif finding.get("segments"):
        title = f"ground truth shows a loss of version {version} in a segment"
    else:
        title = f"ground truth shows that version {version} has lost its calibration"
    message = shorten(one_line(finding.get("message", "")), _MESSAGE)
    report, region = str(finding.get("reportUri", "")), facts.run.pipeline_arn.region
    key = report.partition("://")[2].partition("/")[2]
    return Words(
        title,
        [f"{causes.QUALITY_LOST}: {message}", *_numbers(finding, auc)],
        [
            f"The report: {show(report, place.stage, region)}",
            f"In the console: {object_page(region, place.data_bucket, key)}",
            *_opposite(auc),
            "Find out what changed: how the labels are made, how the features are, or the world.",
            next_step(facts, place),
        ],
    )


def _opposite(auc: dict[str, Any]) -> list[str]:
    value = auc.get("value")
    if not isinstance(value, int | float) or value >= OPPOSITE:
        return []
    return [
        "The labels are nearly the opposite of the scores: look first whether their two values were swapped."
    ]


def _numbers(finding: dict[str, Any], auc: dict[str, Any]) -> list[str]:
    lines = []
    if auc:
        lines.append(
            f"- AUC: {number(auc.get('value'))} by {finding.get('labels')} labels,"
            f" {number(auc.get('at_training'))} at training (margin {number(auc.get('margin'))})"
        )
    calibration = _part(finding, "calibration")
    if calibration.get("lost"):
        lines.append(
            f"- share of positives less the mean score: {number(calibration.get('value'))},"
            f" {number(calibration.get('at_training'))} at training"
        )
    segments = [one for one in finding.get("segments") or [] if isinstance(one, dict)]
    lines += [
        f"- where {shorten(one_line(one.get('feature')), 80)} is {shorten(one_line(one.get('segment')), 80)}:"
        f" AUC {number(one.get('value'))}, {number(one.get('at_training'))} at training ({one.get('rows')} rows)"
        for one in segments[:MOST_SEGMENTS]
    ]
    return lines


def _part(finding: dict[str, Any], name: str) -> dict[str, Any]:
    part = finding.get(name)
    return part if isinstance(part, dict) else {}


def _not_found(facts: Facts, place: Place) -> Words:
    return Words(
        f"{_NOTHING}, the ground truth is missing",
        [f"{facts.cause.word}: {facts.cause.message}"],
        [
            "Lay the labels (CSV: id,label) where the message says, called as their batch.",
            f"Then: {again(facts, place.stage)}",
        ],
    )


def _not_scored(facts: Facts, place: Place) -> Words:
    return Words(
        f"{_NOTHING}, the batch of the ground truth was not scored",
        [f"{facts.cause.word}: {facts.cause.message}"],
        [
            "Call the ground truth as its batch is called. Was the batch written anew since? Then score it first.",
            f"Then: {again(facts, place.stage)}",
        ],
    )


def _ambiguous(facts: Facts, place: Place) -> Words:
    return Words(
        f"{_NOTHING}, a name is ambiguous",
        [f"{facts.cause.word}: {facts.cause.message}"],
        [
            "Rename one of the objects, or give the ground truth of each batch a folder of its own.",
            f"Then: {again(facts, place.stage)}",
        ],
    )


def _version_gone(facts: Facts, place: Place) -> Words:
    return Words(
        f"{_NOTHING}, the version that scored is gone",
        [f"{facts.cause.word}: {facts.cause.message}"],
        [
            "Its evaluation can't be compared with any more: score the batch with a version that there is,"
            " then judge that."
        ],
    )


def _failed(facts: Facts, place: Place) -> Words:
    step = facts.cause.step
    reason = facts.cause.message or "SageMaker gave no reason."
    if step is None or not step.name.endswith(CHECK):
        at = f" in step {step.name}" if step and step.name else ""
        todo = ["Read the step's log, mend the cause.", f"Start it again: {again(facts, place.stage)}"]
        return Words(f"the quality run failed{at}", [reason], todo)
    return Words(
        "ground truth could not be judged",
        [reason],
        [
            "Where the reason names a line or file of the labels: have it mended where it is made, and delivered to the"
            " same address; the next run judges it.",
            f"Or at once: {again(facts, place.stage)}",
        ],
    )


WRITERS: dict[str, Callable[[Facts, Place], Words]] = {
    causes.GROUND_TRUTH_NOT_FOUND: _not_found,
    causes.BATCH_NOT_SCORED: _not_scored,
    causes.BATCH_AMBIGUOUS: _ambiguous,
    causes.VERSION_NOT_FOUND: _version_gone,
    causes.QUALITY_LOST: lost,
    causes.STEP_FAILED: _failed,
}
