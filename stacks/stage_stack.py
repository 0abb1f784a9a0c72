"""What dev and prod have in common: data, alerts, and the pipelines of every model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aws_cdk as cdk
from constructs import Construct

from cdk_mlops import (
    AccessLogsBucket,
    AlertTopic,
    CrossAccountModelRegistry,
    PipelineAlerts,
    StageCheckRole,
    StageDataBucket,
)
from stacks.branch import MARK
from stacks.installation import Model, Settings, StageName
from stacks.job_networks import network_of
from stacks.model_pipelines import ModelPipelines, removal_of
from stacks.registry_stack import names_of

_CHECKS_STAY = cdk.Duration.days(7)
# Whoever looks back a year finds the batches of the same season; the last twenty are what is read by programs.
_BATCHES_STAY = cdk.Duration.days(400)


class StageStack(cdk.Stack):
    """The data bucket and key of a stage, its alerts, and every model's pipelines.

    Where there is a delivery, it may check the stage by a role of its own, `checker`.

    Parameters
    ----------
    settings
        The installation.
    stage_name
        ``dev`` or ``prod``.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, stage_name: StageName, **kwargs: Any
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self.settings = settings
        self.stage_settings = stage = settings.stage(stage_name)
        logs = AccessLogsBucket(
            self,
            "AccessLogs",
            stage=stage.name,
            keep_days=settings.audit.keep_days,
            removal=removal_of(settings),
        )
        self.data = StageDataBucket(
            self,
            "Data",
            stage=stage.name,
            bucket_name=stage.data_bucket_name,
            access_logs=logs,
            removal=removal_of(settings),
        )
        self.registry = CrossAccountModelRegistry.from_attributes(
            self,
            "Registry",
            account=settings.accounts["registry"],
            region=settings.region,
            artifacts_bucket_name=settings.artifacts_bucket_name,
        )
        topic = AlertTopic(
            self,
            "Topic",
            stage=stage.name,
            topic_name=stage.notification_topic_name,
            email=settings.email,
            removal=removal_of(settings),
        )
        self.alerts = PipelineAlerts(
            self,
            "Alerts",
            stage=stage.name,
            data_bucket=self.data,
            alerts=topic,
            registry_account=settings.accounts["registry"],
            # Whoever runs a feature branch follows it; its removal stops what runs, and that is no news.
            ignored=[f"*{MARK}*"] if stage.account == settings.accounts["dev"] else [],
        )
        checkers = settings.checkers_of(stage.name)
        self.checker = (
            StageCheckRole(
                self,
                "Checker",
                stage=stage.name,
                principals=checkers,
                data_bucket=self.data,
                registry=self.registry,
            )
            if checkers
            else None
        )
        self._network = network_of(self, stage, data=self.data, registry=self.registry)
        self.models = {model.folder: self._pipelines(model) for model in settings.models}

    def _pipelines(self, model: Model) -> ModelPipelines:
        self.data.expire(f"{model.model_name}/checks/", after=_CHECKS_STAY)
        self.data.expire(f"{model.model_name}/state/batches/", after=_BATCHES_STAY)
        return ModelPipelines(
            self,
            model.prefix,
            settings=self.settings,
            stage=self.stage_settings,
            model=model,
            names=replace(names_of(model), job_prefix=self.stage_settings.job_prefix(model)),
            data=self.data,
            registry=self.registry,
            network=self._network,
        )
