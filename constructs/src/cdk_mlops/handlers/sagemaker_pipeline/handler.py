"""The custom resource `Custom::SageMakerPipeline`, called by CloudFormation directly.

Whatever happens, CloudFormation gets one answer: also for an unexpected error, and shortly before the function's time
is up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sagemaker_pipeline.code_archive import BadArchive
from sagemaker_pipeline.definition import BadDefinition
from sagemaker_pipeline.lifecycle import Lifecycle
from sagemaker_pipeline.pipelines import Pipelines, Refused
from sagemaker_pipeline.properties import BadProperties
from shared import aws, log
from shared.cloudformation import (
    Answer,
    BadRequest,
    Request,
    Responder,
    Watchdog,
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
    respond(request, context, aws.client, put_answer, time.sleep, time.monotonic)


def respond(
    request: Request,
    context: Any,
    client: Callable[[str], Any],
    put: Callable[[str, bytes], None],
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> None:
    """Do what is asked for and answer; the watchdog answers where the time runs out first."""
    log.info("request", kind=request.kind, request_id=request.request_id, physical_id=request.physical_id)
    responder = Responder(request, put, sleep)
    seconds = seconds_left(context)
    # an id that a Delete knows to leave alone; what exists already keeps its own
    fallback_id = request.physical_id or unmade_id(request)

    def too_late() -> None:
        doing = f"the function's time ran out during {request.kind}: run the operation again"
        responder.answer(Answer(fallback_id, f"{doing} ({log_place(context)})"))

    with Watchdog(seconds - MARGIN_SECONDS, too_late):
        try:
            lifecycle = Lifecycle(
                request=request,
                s3=client("s3"),
                pipelines=Pipelines(client("sagemaker"), sleep),
                clock=clock,
                sleep=sleep,
                deadline=clock() + seconds,
                abandoned=lambda: responder.answered,
            )
            answer = lifecycle.run()
        except (BadArchive, BadDefinition, BadProperties, Refused) as error:
            answer = Answer(fallback_id, str(error))
        except Exception as error:  # noqa: BLE001 - a stack without an answer hangs for an hour
            log.error("unexpected", error=repr(error))
            answer = Answer(fallback_id, f"unexpected {type(error).__name__}: {error} ({log_place(context)})")
        responder.answer(answer)


def seconds_left(context: Any) -> float:
    """Time until Lambda ends the function."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return remaining() / 1000 if remaining else _DEFAULT_SECONDS


def log_place(context: Any) -> str:
    """Where the log of this invocation is."""
    group = getattr(context, "log_group_name", None)
    return f"log {group}, {getattr(context, 'log_stream_name', '')}" if group else "see the function's log"
