"""The dev account: data scientists train, and try inference with the definitions that prod will run."""

from __future__ import annotations

from typing import Any

from constructs import Construct

from cdk_mlops import DataScientistRole
from stacks.installation import Settings
from stacks.registry_stack import names_of
from stacks.stage_stack import StageStack


class DevStack(StageStack):
    """Every model's pipelines, started by data scientists.

    Parameters
    ----------
    settings
        The installation.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, settings=settings, stage_name="dev", **kwargs)
        for model in settings.models:
            if self.checker is not None:
                pipelines = self.models[model.folder]
                looks_at = [pipelines.inference, pipelines.quality]
                self.checker.allow(names_of(model), starts=pipelines.train, looks_at=looks_at)
        people = settings.people
        if people.data_scientists:
            role = DataScientistRole(
                self,
                "DataScientists",
                stage="dev",
                principals=people.data_scientists,
                data_bucket=self.data,
                require_mfa=people.require_mfa,
            )
            for pipelines in self.models.values():
                role.allow(pipelines.train)
                role.allow(pipelines.inference)
                role.allow(pipelines.quality)
