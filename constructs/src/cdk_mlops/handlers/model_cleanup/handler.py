"""The custom resource `Custom::ModelCleanup`, called by CloudFormation directly.

Creating and updating it only looks whether there is a bucket. When it is deleted, what a throw-away model has left
goes with it. Whatever happens, CloudFormation gets one answer: also for an unexpected error, and shortly before the
function's time is up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from model_cleanup.cleanup import (
    BadProperties,
    Left,
    NoBucket,
    NotGone,
    Services,
    check_bucket,
    clean_up,
)
from shared import aws, log
from shared.cloudformation import (
    Answer,
    BadRequest,
    Request,
    Responder,
    Watchdog,
    is_unmade,
    put_answer,
    unmade_id,
)

# The answer goes out this long before Lambda ends the function.
MARGIN_SECONDS = 15.0
_DEFAULT_SECONDS = 900.0


def handle(event: dict[str, Any], context: Any) -> None:
    """Answer CloudFormation."""
    try:
        request = Request.parse(event)
    except BadRequest as error:
        log.error("a request that can't be answered", error=str(error))
        raise
    respond(request, context, aws.client, put_answer, time.sleep)


def respond(
    request: Request,
    context: Any,
    client: Callable[[str], Any],
    put: Callable[[str, bytes], None],
    sleep: Callable[[float], None],
) -> None:
    """Do what is asked for and answer; the watchdog answers where the time runs out first."""
    log.info("request", kind=request.kind, request_id=request.request_id, physical_id=request.physical_id)
    responder = Responder(request, put, sleep)
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    seconds = remaining() / 1000 if remaining else _DEFAULT_SECONDS
    known_id = request.physical_id or unmade_id(request)

    def too_late() -> None:
        responder.answer(Answer(known_id, "there is more to delete than fits into 15 minutes: delete again"))

    with Watchdog(seconds - MARGIN_SECONDS, too_late):
        try:
            if request.kind != "Delete":
                left = Left.parse(request.properties)
                check_bucket(left, client("s3"))
                answer = Answer(left.physical_id)
            else:
                if not is_unmade(known_id):
                    left = Left.parse(request.properties)
                    services = Services(client("s3"), client("sagemaker"), client("logs"))
                    clean_up(left, services, sleep, lambda: responder.answered)
                answer = Answer(known_id)
        except (BadProperties, NoBucket, NotGone) as error:
            answer = Answer(known_id, str(error))
        except Exception as error:  # noqa: BLE001 - a stack without an answer hangs for an hour
            log.error("unexpected", error=repr(error))
            answer = Answer(known_id, f"unexpected {type(error).__name__}: {error}")
        responder.answer(answer)
