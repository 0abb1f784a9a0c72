"""Decides whether a finding or a failure starts the train pipeline, starts it, and writes the decision down.

Whatever goes wrong here is raised: Lambda tries twice more, then the event lies in the dead-letter queue.
"""

from __future__ import annotations

import os
from typing import Any

from retrain.conditions import Settings
from retrain.decisions import Retrainer
from retrain.triggers import RETRAIN_ON, read_trigger
from shared import aws, environment, log
from shared.claims import now_utc
from shared.objects import ObjectStore


def load_settings() -> Settings:
    """Read the environment."""
    return Settings(
        stage=environment.text(os.environ, "STAGE"),
        model_name=environment.text(os.environ, "MODEL_NAME"),
        data_bucket=environment.text(os.environ, "DATA_BUCKET"),
        train_pipeline=environment.text(os.environ, "TRAIN_PIPELINE_NAME"),
        group_arn=environment.text(os.environ, "MODEL_PACKAGE_GROUP_ARN"),
        train_prefix=environment.text(os.environ, "TRAIN_PREFIX"),
        retrain_on=environment.one_of(os.environ, "RETRAIN_ON", RETRAIN_ON, "drift"),
        reminder_days=environment.whole_number(os.environ, "REMINDER_DAYS", 3),
        drifted=environment.whole_number(os.environ, "RETRAIN_AFTER_DRIFTED", 1),
        of=environment.whole_number(os.environ, "RETRAIN_AFTER_OF", 1),
    )


def decide(retrainer: Retrainer, event: dict[str, Any]) -> dict[str, Any]:
    """Decide about an event; what this model doesn't retrain on is ignored and leaves no trace but a log line."""
    trigger = read_trigger(event)
    if trigger is None:
        return {"decision": "ignored", "reason": "the event tells of nothing that retrains"}
    if trigger.model not in (None, retrainer.settings.model_name):
        return {"decision": "ignored", "reason": f"the event is about the model {trigger.model}"}
    if trigger.pipeline == retrainer.settings.train_pipeline:
        # or a train pipeline that fails would start itself for ever
        return {"decision": "ignored", "reason": "a failed training starts no training"}
    if not trigger.covered(retrainer.settings.retrain_on):
        reason = f"this model retrains on {retrainer.settings.retrain_on}, not on {trigger.cause}"
        return {"decision": "ignored", "reason": reason}
    return retrainer.decide(trigger)


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer EventBridge."""
    settings = load_settings()
    retrainer = Retrainer(
        settings, ObjectStore(aws.client("s3"), settings.data_bucket), aws.client("sagemaker"), now_utc
    )
    decision = decide(retrainer, event)
    log.info("decided", event_id=event.get("id"), outcome=decision)
    return decision
