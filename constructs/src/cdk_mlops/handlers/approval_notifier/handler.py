"""Messages of the central registry: a version waits, was approved, was rejected, or has waited for too long.

Runs in the registry account on `SageMaker Model Package State Change`, and on a schedule with `{"action": "remind"}`.
Failures are raised: Lambda tries twice more, then the event lies in the dead-letter queue.
"""

from __future__ import annotations

import os
from typing import Any

from approval_notifier.notifier import BadEvent, Notifier
from shared import aws, environment, log
from shared.claims import PATIENCE_SECONDS, Claims, now_utc
from shared.objects import ObjectStore

EVENT_TYPE = "SageMaker Model Package State Change"


def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer EventBridge or the scheduler."""
    store = ObjectStore(aws.client("s3"), environment.text(os.environ, "ARTIFACTS_BUCKET"))
    notifier = Notifier(
        groups=environment.names(os.environ, "GROUP_NAMES"),
        reminder_days=environment.whole_number(os.environ, "REMINDER_DAYS", 3),
        topic_arn=environment.text(os.environ, "TOPIC_ARN"),
        sagemaker=aws.client("sagemaker"),
        store=store,
        claims=Claims(store, patience=PATIENCE_SECONDS),
        sns=aws.client("sns"),
        now=now_utc,
    )
    request_id = str(getattr(context, "aws_request_id", "") or event.get("id", "unknown"))
    if event.get("action") == "remind":
        outcome = notifier.remind(request_id)
    elif event.get("detail-type") == EVENT_TYPE:
        outcome = notifier.tell_status(event, request_id)
    else:
        raise BadEvent(f"expected '{EVENT_TYPE}' or the action remind, got '{event.get('detail-type')}'")
    log.info("handled", event_id=event.get("id"), outcome=outcome)
    return outcome
