"""The staging account: what prod is made of, run by promotions to see that it will do there."""

from __future__ import annotations

from typing import Any

from constructs import Construct

from stacks.installation import Settings
from stacks.scheduled_stage_stack import ScheduledStageStack


class StagingStack(ScheduledStageStack):
    """As prod, with its schedules off: nobody delivers batches to staging, and silence there is no alarm.

    Parameters
    ----------
    settings
        The installation. It must have a staging account.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(
            scope, construct_id, settings=settings, stage_name="staging", scheduled=False, **kwargs
        )
