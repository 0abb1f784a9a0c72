"""The Lambda step that tells what a run found or did; actions, inputs and outputs are in docs/architecture.md."""

from __future__ import annotations

import os
from typing import Any

from run_recorder.recorder import (
    BadRequest,
    BadVerdict,
    EventRefused,
    FileMissing,
    PredictionsMissing,
    Recorder,
    Settings,
)
from run_recorder.verdicts import MESSAGE_LIMIT
from shared import aws, environment, log
from shared.artifacts import ModelArtifactChanged
from shared.claims import now_utc
from shared.objects import ObjectStore, UnreadableObject
from shared.text import one_line, shorten

NAMED = (
    BadRequest,
    BadVerdict,
    EventRefused,
    FileMissing,
    ModelArtifactChanged,
    PredictionsMissing,
    UnreadableObject,
    aws.Malformed,
)


def load_settings() -> Settings:
    """Read the environment."""
    stage, model, bucket = (
        environment.text(os.environ, name) for name in ("STAGE", "MODEL_NAME", "DATA_BUCKET")
    )
    return Settings(stage, model, bucket, environment.text(os.environ, "METRIC_NAMESPACE", "cdk-mlops"))


def record(recorder: Recorder, event: dict[str, Any]) -> dict[str, str]:
    """Do what the step asks for.

    Raises
    ------
    BadRequest
        The action is unknown or an input is missing.
    """
    actions = {
        "announce_finding": recorder.announce_finding,
        "explain_rejection": recorder.explain_rejection,
        "record_predictions": recorder.record_predictions,
        "read_violations": recorder.read_violations,
        "record_quality": recorder.record_quality,
    }
    action = str(event.get("action", ""))
    if action not in actions:
        raise BadRequest(f"the step's input 'action' must be one of {', '.join(actions)}, got '{action}'")
    return actions[action](event)


def handle(event: dict[str, Any], context: object) -> dict[str, str]:
    """Answer a Lambda step."""
    recorder = Recorder(
        settings=load_settings(),
        open_bucket=lambda bucket: ObjectStore(aws.client("s3"), bucket),
        events=aws.client("events"),
        cloudwatch=aws.client("cloudwatch"),
        now=now_utc,
    )
    try:
        answer = record(recorder, event)
    except NAMED as error:
        # the same words with their name in front: all that people see of it is the step's failure reason
        named = type(error)(shorten(f"{type(error).__name__}: {one_line(error)}", MESSAGE_LIMIT))
        log.warning("the run stops", action=event.get("action"), reason=str(named))
        raise named from None
    log.info("recorded", action=event.get("action"), outcome=answer)
    return answer
