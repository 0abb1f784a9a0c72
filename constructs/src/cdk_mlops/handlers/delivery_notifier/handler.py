"""One readable message for each outcome of the delivery pipeline, and for each promotion that waits for a person.

Failures are raised: Lambda tries twice more, then the event lies in the dead-letter queue.
"""

from __future__ import annotations

import os
import time
from typing import Any

from delivery_notifier.events import read_outcome
from delivery_notifier.facts import FactFinder
from delivery_notifier.notifier import Notifier
from delivery_notifier.route import Route
from shared import aws, environment, log
from shared.aws import Arn
from shared.claims import PATIENCE_SECONDS, Claims
from shared.objects import ObjectStore


def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer EventBridge."""
    topic_arn = environment.text(os.environ, "TOPIC_ARN")
    route = _route(event, Arn.parse(topic_arn).region)
    outcome = read_outcome(event, route)
    if outcome is None:
        result: dict[str, Any] = {"notice": "ignored", "reason": "the event asks for no message"}
    else:
        store = ObjectStore(aws.client("s3"), environment.text(os.environ, "STATE_BUCKET"))
        finder = FactFinder(aws.client("codepipeline"), time.sleep)
        claims = Claims(store, patience=PATIENCE_SECONDS)
        notifier = Notifier(route, topic_arn, finder, claims, aws.client("sns"))
        request_id = str(getattr(context, "aws_request_id", "") or event.get("id", "unknown"))
        result = notifier.tell(outcome, request_id)
    log.info("handled", event_id=event.get("id"), outcome=result)
    return result


def _route(event: dict[str, Any], region: str) -> Route:
    """Return the way of what travels in the event's pipeline: of model versions, else of commits."""
    route = Route.read(
        pipeline=environment.text(os.environ, "PIPELINE_NAME"),
        stages=environment.names(os.environ, "STAGES"),
        approvals=environment.names(os.environ, "APPROVALS"),
        region=region,
        gates=environment.names(os.environ, "GATES"),
    )
    releases = environment.text(os.environ, "RELEASES_PIPELINE_NAME", "")
    if not releases or (event.get("detail") or {}).get("pipeline") != releases:
        return route
    approvals = environment.names(os.environ, "RELEASE_APPROVALS")
    return Route(releases, route.stages[-1:], approvals, region, releases=True)
