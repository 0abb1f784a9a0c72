"""A stage where batches are scored by themselves: prod, and staging, which is made of the same constructs."""

from __future__ import annotations

from typing import Any

from constructs import Construct

from cdk_mlops import (
    BatchMonitoring,
    BatchSchedule,
    FlexibleWindow,
    OperatorRole,
    RetrainAfter,
    RetrainOnDriftRule,
    ScheduledInferencePipeline,
)
from stacks.installation import Model, Settings, StageName
from stacks.model_pipelines import ModelPipelines
from stacks.registry_stack import names_of
from stacks.section import SettingsError
from stacks.stage_stack import StageStack


class ScheduledStageStack(StageStack):
    """Every model's pipelines, started by the schedule, and by drift.

    Parameters
    ----------
    settings
        The installation.
    stage_name
        ``staging`` or ``prod``.
    scheduled
        Whether the schedules are on where the settings enable them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        stage_name: StageName,
        scheduled: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, construct_id, settings=settings, stage_name=stage_name, **kwargs)
        for model in settings.models:
            self._run_by_itself(model, self.models[model.folder], scheduled and model.schedule.enabled)
        people = settings.people
        if people.operators:
            role = OperatorRole(
                self,
                "Operators",
                stage=stage_name,
                principals=people.operators,
                data_bucket=self.data,
                models=[names_of(model) for model in settings.models],
                require_mfa=people.require_mfa,
            )
            for pipelines in self.models.values():
                role.allow(pipelines.inference)
                role.allow(pipelines.quality)

    def _run_by_itself(self, model: Model, pipelines: ModelPipelines, enabled: bool) -> None:
        names = names_of(model)
        stage = self.stage_settings.name
        minutes = model.schedule.flexible_minutes
        window = FlexibleWindow.up_to(minutes) if minutes else None
        scheduled = ScheduledInferencePipeline(
            pipelines,
            "Schedule",
            model=names,
            stage=stage,
            pipeline=pipelines.inference,
            schedule=_schedule(model),
            window=window,
            enabled=enabled,
            alarm_topic=self.alerts.topic,
        )
        judged = ScheduledInferencePipeline(
            pipelines,
            "QualitySchedule",
            model=names,
            stage=stage,
            pipeline=pipelines.quality,
            kind="quality",
            schedule=_schedule(model),
            window=window,
            enabled=enabled,
        )
        retraining = RetrainOnDriftRule(
            pipelines,
            "Retrain",
            model=names,
            stage=stage,
            train_pipeline=pipelines.train,
            inference_pipeline=pipelines.inference,
            data_bucket=self.data,
            registry=self.registry,
            retrain_on=model.retrain_on,
            retrain_after=RetrainAfter(drifted=model.retrain_after[0], of=model.retrain_after[1]),
            reminder_days=model.reminder_days,
        )
        if self.stage_settings.name == "prod":
            # staging scores what a promotion tries: nobody follows its batches from day to day
            BatchMonitoring(
                pipelines,
                "Monitoring",
                model=names,
                stage=stage,
                pipelines=[pipelines.inference, pipelines.train, pipelines.quality],
                data_bucket=self.data,
                features=pipelines.measured,
                alarms=[] if scheduled.alarm is None else [scheduled.alarm],
                alarm_topic=self.alerts.topic,
            )
        if self.checker is not None:
            self.checker.allow(
                names,
                starts=pipelines.inference,
                looks_at=[pipelines.train, pipelines.quality],
                scheduled=scheduled,
            )
        self.alerts.watch(f"{model.prefix}StartDeadLetters", scheduled.dead_letter_queue)
        self.alerts.watch(f"{model.prefix}QualityStartDeadLetters", judged.dead_letter_queue)
        if retraining.dead_letter_queue is not None:
            self.alerts.watch(f"{model.prefix}RetrainDeadLetters", retraining.dead_letter_queue)


def _schedule(model: Model) -> BatchSchedule:
    try:
        return BatchSchedule(expression=model.schedule.expression, time_zone=model.schedule.time_zone)
    except ValueError as error:
        raise SettingsError(f"mlops.schedule of {model.folder}: {error}") from None
