"""Records which files an approval is about, and looks every hour whether they still are the same.

Runs in the registry account on `SageMaker Model Package State Change` (Approved), and on a schedule with
`{"action": "sweep"}`. Failures are raised: Lambda tries twice more, then the event lies in the dead-letter queue.
"""

from __future__ import annotations

import os
from typing import Any

from approval_recorder.recorder import BadEvent, Recorder
from approval_recorder.refusals import Refusals
from shared import aws, environment, log
from shared.claims import PATIENCE_SECONDS, Claims
from shared.objects import ObjectStore

EVENT_TYPE = "SageMaker Model Package State Change"


def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer EventBridge or the scheduler."""
    store = ObjectStore(aws.client("s3"), environment.text(os.environ, "ARTIFACTS_BUCKET"))
    request_id = str(getattr(context, "aws_request_id", "") or event.get("id", "unknown"))
    refusals = Refusals(
        topic_arn=environment.text(os.environ, "TOPIC_ARN"),
        sns=aws.client("sns"),
        claims=Claims(store, patience=PATIENCE_SECONDS),
        request_id=request_id,
    )
    recorder = Recorder(
        groups=environment.names(os.environ, "GROUP_NAMES"),
        role_name=environment.text(os.environ, "ROLE_NAME"),
        sagemaker=aws.client("sagemaker"),
        open_bucket=lambda bucket: ObjectStore(aws.client("s3"), bucket),
        refusals=refusals,
    )
    if event.get("action") == "sweep":
        outcome = recorder.sweep()
    elif event.get("detail-type") == EVENT_TYPE:
        outcome = recorder.answer(event)
    else:
        raise BadEvent(f"expected '{EVENT_TYPE}' or the action sweep, got '{event.get('detail-type')}'")
    log.info("handled", event_id=event.get("id"), outcome=outcome)
    return outcome
