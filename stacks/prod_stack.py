"""The prod account: scheduled, monitored inference, retraining on drift, operators."""

from __future__ import annotations

from typing import Any

from constructs import Construct

from stacks.installation import Settings
from stacks.scheduled_stage_stack import ScheduledStageStack


class ProdStack(ScheduledStageStack):
    """Every model's pipelines, started by the schedule, and by drift.

    Parameters
    ----------
    settings
        The installation.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, settings=settings, stage_name="prod", scheduled=True, **kwargs)
