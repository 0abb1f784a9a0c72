"""The words of an alert: what happened, why, what was done by itself, what to do next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline_notifier import causes, quality, versions
from pipeline_notifier.events import DELIVERED, QUALITY_LOST
from pipeline_notifier.facts import Facts, decision_key
from pipeline_notifier.places import (
    UNKNOWN_BATCH,
    again,
    bucket_page,
    fetch,
    make_run,
    object_page,
    start_again,
    step_logs,
    version_wanted,
)
from pipeline_notifier.retraining import decided, next_step
from pipeline_notifier.words import Place, Words
from shared.alerts import Alert
from shared.checks import OF_A_CHECK
from shared.text import number, one_line, short_number, shorten

MOST_FEATURES = 20
MESSAGE_LIMIT = 1500
# Nobody expects a retraining from these.
_NOTHING_TO_SCORE = (
    causes.NO_APPROVED_MODEL,
    causes.VERSION_NOT_FOUND,
    causes.VERSION_NOT_APPROVED,
    causes.APPROVAL_NOT_RECORDED,
    causes.ARTIFACT_CHANGED,
    causes.BATCH_NOT_FOUND,
    causes.BATCH_ALREADY_SCORED,
)
_RETRAINS_ON = {
    "drift": "drift only",
    "violation": "drift and on data-quality violations",
    "any_failure": "any failure of its inference pipeline",
    "none": "nothing by itself",
}


def compose(facts: Facts, place: Place) -> Alert:
    """Write the alert of a run."""
    writers = {**_WRITERS, **quality.WRITERS} if facts.kind == "quality" else _WRITERS
    words = writers.get(facts.cause.word, _step_failed)(facts, place)
    return Alert(
        stage=place.stage,
        model=facts.model,
        title=f"check: {words.title}" if facts.check else words.title,
        happened=_happened(facts, place),
        why=[*words.why, *(f"Not known: {trouble}." for trouble in facts.unknown)],
        done=_done(facts, place),
        todo=[
            *_report(facts, place),
            *(_check_todo(facts, place) if facts.check else words.todo),
            *_where(facts, place),
        ],
    )


def bare_alert(facts: Facts, place: Place, trouble: str) -> Alert:
    """Write an alert of little more than the event, for when composing a better one failed."""
    return Alert(
        stage=place.stage,
        model=facts.model,
        title=f"pipeline {facts.run.pipeline}: {facts.run.status}",
        happened=_happened(facts, place),
        why=[facts.cause.message or "Not known.", f"The details could not be put into words ({trouble})."],
        done=["Not known."],
        todo=[
            f"Look at the execution {facts.run.execution_id} in SageMaker Studio, Pipelines, {facts.run.pipeline}."
        ],
    )


def _happened(facts: Facts, place: Place) -> list[str]:
    run = facts.run
    outcome = {
        "Failed": "failed",
        "Stopped": "was stopped",
        DELIVERED: "found drift and delivered its predictions",
        QUALITY_LOST: "judged the model by ground truth and found a loss",
    }
    at = f" at {run.time}" if run.time else ""
    lines = [
        f"Execution {run.execution_id} of {run.pipeline} ({place.stage}) {outcome.get(run.status, run.status)}{at}."
    ]
    if facts.batch.uri:
        lines.append(_batch(facts))
    lines += quality.happened(facts)
    if facts.cause.step and facts.cause.step.name:
        lines.append(f"Step: {facts.cause.step.name}.")
    return lines


def _batch(facts: Facts) -> str:
    rows = (facts.verdict or {}).get("rows")
    size = f" ({rows} rows)" if rows is not None else ""
    scored = "scored" if facts.run.finding or facts.kind == "quality" else "to be scored"
    version = f", {scored} with version {facts.batch.version}" if facts.batch.version else ""
    return f"Batch: {facts.batch.uri}{size}{version}."


def _done(facts: Facts, place: Place) -> list[str]:
    lines = []
    if facts.cause.word in (causes.DRIFT, causes.VIOLATION):
        delivered = facts.run.status == DELIVERED
        kept = (
            "The predictions were delivered."
            if delivered
            else "The batch was withheld: no predictions were written."
        )
        lines.append(kept)
    if facts.kind == "quality":
        lines += quality.done(facts)
    if facts.decision:
        lines.append(decided(facts.decision))
    elif facts.awaited:
        where = f"s3://{place.data_bucket}/{decision_key(facts)}"
        lines.append(
            f"Whether a retraining starts was not decided yet when this was sent; it will be written to {where}."
        )
    elif facts.kind == "inference" and facts.cause.word not in _NOTHING_TO_SCORE:
        why = f"this model retrains on {_RETRAINS_ON.get(facts.retrain_on, facts.retrain_on)}"
        lines.append(f"No retraining was started: {OF_A_CHECK if facts.check else why}.")
    elif facts.cause.word == causes.REJECTED:
        lines.append("Nothing was registered; the approved version stays in use.")
    return lines


def _report(facts: Facts, place: Place) -> list[str]:
    """Where the page of a finding is, and how to open it on a phone or at a desk."""
    if not facts.page or facts.cause.word not in (causes.DRIFT, causes.VIOLATION):
        return []
    region, uri = facts.run.pipeline_arn.region, f"s3://{place.data_bucket}/{facts.page}"
    return [
        f"Look at the batch beside the training data: {uri}",
        f"Open it in the console: {object_page(region, place.data_bucket, facts.page)}",
        f"Or at your desk: {fetch(uri, place.stage, region)}",
    ]


def _where(facts: Facts, place: Place) -> list[str]:
    run = facts.run
    region = run.pipeline_arn.region
    lines = (
        step_logs(facts.cause.step, region)
        if facts.cause.step and facts.cause.word == causes.STEP_FAILED
        else []
    )
    if facts.kind:
        lines.append(f"Files of the run: {bucket_page(region, place.data_bucket, f'{facts.folder}/')}")
    lines.append(f"The run: SageMaker Studio, Pipelines, {run.pipeline}, execution {run.execution_id}.")
    return lines


def _check_todo(facts: Facts, place: Place) -> list[str]:
    lines = ["The run was a delivery's check of this stage: nobody waits for its predictions."]
    if facts.cause.word == causes.DRIFT:
        lines.append(
            "A check shifts a batch on purpose to see this very message. Where it passed, there is nothing to do."
        )
    lines.append(f"Where the check failed: mend the cause, then make check-stage STAGE={place.stage}")
    return lines


def _batch_not_found(facts: Facts, place: Place) -> Words:
    return Words(
        "nothing scored, the batch is missing",
        [f"{facts.cause.word}: {facts.cause.message}"],
        [
            'Deliver the batch to the address above, or mend the model\'s "batch" in cdk.json and deploy.',
            f"Then: {again(facts, place.stage)}",
        ],
    )


def _batch_ambiguous(facts: Facts, place: Place) -> Words:
    return Words(
        "nothing scored, the batch's name is ambiguous",
        [f"BatchAmbiguous: {facts.cause.message}"],
        [
            "Rename one of the objects, or give each batch a folder of its own.",
            f"Then score it: {again(facts, place.stage)}",
        ],
    )


def _batch_already_scored(facts: Facts, place: Place) -> Words:
    return Words(
        "nothing scored, this batch was scored already",
        [f"BatchAlreadyScored: {facts.cause.message}"],
        [
            "If no new batch was due, nothing. If one was, find out why it wasn't delivered.",
            f"To score this one again: {again(facts, place.stage, RESCORE='true')}",
        ],
    )


def drifted(facts: Facts) -> list[dict[str, Any]]:
    """Features that drifted, from the verdict or from the finding's event."""
    source = facts.verdict or facts.run.finding or {}
    features = source.get("features", [])
    return [item for item in features if isinstance(item, dict) and item.get("drifted", True)]


def _drift(facts: Facts, place: Place) -> Words:
    features = drifted(facts)
    message = facts.cause.message or one_line((facts.run.finding or {}).get("message", ""))
    why = ["DataDriftDetected:" if features else f"DataDriftDetected: {shorten(message, MESSAGE_LIMIT)}"]
    why += [_drift_line(item) for item in features[:MOST_FEATURES]]
    if len(features) > MOST_FEATURES:
        why.append(f"- and {len(features) - MOST_FEATURES} more")
    told = ", ".join(f"{item.get('name')} {short_number(item.get('distance'))}" for item in features)
    return Words(f"data drift in {told}" if told else "data drift", why, _drift_todo(facts, place))


def _drift_line(item: dict[str, Any]) -> str:
    distance, limit = short_number(item.get("distance")), short_number(item.get("threshold"))
    # the robust distance is the simple one less what chance explains
    corrected = item.get("simple") is not None and item["simple"] != item.get("distance")
    far = f"{distance} beyond what chance explains" if corrected else f"distance {distance}"
    line = f"- {_name(item.get('name'))}: {far} (limit {limit})"
    before, after = item.get("before"), item.get("after")
    if before is None or after is None:
        return line
    return f"{line}, mean {number(before, 2)} in training and {number(after, 2)} in the batch"


def _name(value: object) -> str:
    return shorten(one_line(value), 80)


def _drift_todo(facts: Facts, place: Place) -> list[str]:
    lines = [
        "Find out whether the world changed or the feed did: compare the batch with the baseline.",
        next_step(facts, place),
    ]
    if facts.run.status != DELIVERED:
        batch = facts.batch.uri or UNKNOWN_BATCH
        version = version_wanted(facts, "ModelVersion")
        command = start_again(
            facts.run, place.stage, transform_input=batch, PredictionsOnDrift="deliver", **version
        )
        lines.append(f"To score the batch all the same: {command}")
    return lines


def _violation(facts: Facts, place: Place) -> Words:
    violations = [item for item in (facts.verdict or {}).get("violations", []) if isinstance(item, dict)]
    # the sentence says the same as the lines below it
    sentence = "" if violations else f" {shorten(facts.cause.message, MESSAGE_LIMIT)}"
    why = [f"DataQualityViolated:{sentence}"]
    for item in violations[:MOST_FEATURES]:
        detail = shorten(one_line(item.get("description", "")), 300)
        why.append(f"- {_name(item.get('feature_name'))}: {item.get('constraint_check_type')}, {detail}")
    if len(violations) > MOST_FEATURES:
        why.append(f"- and {len(violations) - MOST_FEATURES} more")
    checks = sorted({str(item.get("constraint_check_type")) for item in violations})
    title = f"broken batch, {', '.join(checks)}" if checks else "broken batch, data quality violated"
    todo = [
        "Have the batch repaired where it is made, and delivered to the same address.",
        f"Then score it: {again(facts, place.stage)}",
    ]
    return Words(title, why, todo)


def _rejected(facts: Facts, place: Place) -> Words:
    return Words(
        "the new model was rejected by the gate",
        [f"ModelRejected: {facts.cause.message}"],
        [
            "Compare evaluation.json of this run with the champion's, and look at the training data.",
            f"With other data or hyperparameters: {make_run('train', place.stage, facts.model)}",
        ],
    )


def _stopped(facts: Facts, place: Place) -> Words:
    who = facts.execution.get("LastModifiedBy") or {}
    name = who.get("UserProfileName") or (who.get("IamIdentity") or {}).get("Arn")
    why = [f"It was stopped by {name}." if name else "Someone or something called StopPipelineExecution."]
    if facts.cause.message:
        why.append(facts.cause.message)
    kind = facts.kind or "pipeline"
    return Words(
        f"the {kind} run was stopped",
        why,
        [
            "If that was meant, nothing. Else CloudTrail's StopPipelineExecution says who did it.",
            f"Start it again: {again(facts, place.stage)}",
        ],
    )


def _step_failed(facts: Facts, place: Place) -> Words:
    step = facts.cause.step
    at = f" in step {step.name}" if step and step.name else ""
    return Words(
        f"the {facts.kind or facts.run.pipeline} run failed{at}",
        [facts.cause.message or "SageMaker gave no reason."],
        ["Read the step's log, mend the cause.", f"Start it again: {again(facts, place.stage)}"],
    )


_WRITERS: dict[str, Callable[[Facts, Place], Words]] = {
    causes.NO_APPROVED_MODEL: versions.no_approved_model,
    causes.VERSION_NOT_FOUND: versions.version_not_found,
    causes.VERSION_NOT_APPROVED: versions.version_not_approved,
    causes.APPROVAL_NOT_RECORDED: versions.approval_not_recorded,
    causes.ARTIFACT_CHANGED: versions.artifact_changed,
    causes.BATCH_NOT_FOUND: _batch_not_found,
    causes.BATCH_AMBIGUOUS: _batch_ambiguous,
    causes.BATCH_ALREADY_SCORED: _batch_already_scored,
    causes.DRIFT: _drift,
    causes.VIOLATION: _violation,
    causes.REJECTED: _rejected,
    causes.STOPPED: _stopped,
    causes.STEP_FAILED: _step_failed,
}
