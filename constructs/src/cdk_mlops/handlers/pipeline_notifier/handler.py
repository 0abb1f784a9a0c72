"""One readable message for each failed or stopped execution of the stage, for delivered drift, and for lost AUC.

Failures are raised: Lambda tries twice more, then the event lies in the dead-letter queue.
"""

from __future__ import annotations

import os
import time
from typing import Any

from pipeline_notifier.events import read_run
from pipeline_notifier.facts import WAIT_SECONDS, FactFinder
from pipeline_notifier.notifier import RESERVE_SECONDS, Notifier
from pipeline_notifier.words import Place
from shared import aws, environment, log
from shared.aws import Arn
from shared.claims import PATIENCE_SECONDS, Claims
from shared.objects import ObjectStore


def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer EventBridge."""
    place = Place(
        stage=environment.text(os.environ, "STAGE"),
        data_bucket=environment.text(os.environ, "DATA_BUCKET"),
        registry_account=environment.text(os.environ, "REGISTRY_ACCOUNT", ""),
    )
    topic_arn = environment.text(os.environ, "TOPIC_ARN")
    run = read_run(event, place.stage, Arn.parse(topic_arn).partition)
    if run is None:
        outcome: dict[str, Any] = {"alert": "ignored", "reason": "the event asks for no alert"}
    else:
        store = ObjectStore(aws.client("s3"), place.data_bucket)
        finder = FactFinder(aws.client("sagemaker"), store, time.sleep, time.monotonic)
        notifier = Notifier(
            place, topic_arn, finder, store, Claims(store, patience=PATIENCE_SECONDS), aws.client("sns")
        )
        outcome = notifier.notify(run, request_id(event, context), seconds_left(context))
    log.info("handled", event_id=event.get("id"), outcome=outcome)
    return outcome


def request_id(event: dict[str, Any], context: Any) -> str:
    """Id of the invocation: the same when Lambda tries an event again."""
    return str(getattr(context, "aws_request_id", "") or event.get("id", "unknown"))


def seconds_left(context: Any) -> float:
    """Time until Lambda ends the function."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return remaining() / 1000 if remaining else WAIT_SECONDS + RESERVE_SECONDS
