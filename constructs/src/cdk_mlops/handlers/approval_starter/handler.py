"""Starts the pipeline that releases a version when somebody has approved it.

Failures are raised: Lambda tries twice more, then the event lies in the dead-letter queue.
"""

from __future__ import annotations

import os
from typing import Any

from approval_starter.starter import Starter
from shared import aws, environment, log


def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer EventBridge."""
    starter = Starter(
        pipeline=environment.text(os.environ, "PIPELINE_NAME"),
        source_action=environment.text(os.environ, "SOURCE_ACTION"),
        delivery=environment.text(os.environ, "DELIVERY_PIPELINE_NAME"),
        delivered_stage=environment.text(os.environ, "DELIVERED_STAGE"),
        models=dict(_pair(one) for one in environment.names(os.environ, "MODELS")),
        sagemaker=aws.client("sagemaker"),
        codepipeline=aws.client("codepipeline"),
    )
    outcome = starter.start(event)
    log.info("handled", event_id=event.get("id"), outcome=outcome)
    return outcome


def _pair(text: str) -> tuple[str, str]:
    group, _, model = text.partition("=")
    if not group or not model:
        raise environment.EnvironmentProblem(
            f"the environment variable MODELS must hold pairs such as my-group=my_model, got '{text}'"
        )
    return group, model
