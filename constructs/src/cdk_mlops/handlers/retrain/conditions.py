"""When a retraining is due: nothing trains, nothing waits for approval, and there is something new to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from retrain.triggers import MODEL_QUALITY, Trigger
from shared.aws import Arn, pages
from shared.objects import ObjectStore, digest
from shared.registry import APPROVED, PENDING, Version, group_name, list_versions, newest_number
from shared.text import is_version, moment, waiting_for


@dataclass(frozen=True)
class Settings:
    """What the function knows from its environment."""

    stage: str
    model_name: str
    data_bucket: str
    train_pipeline: str
    group_arn: str
    train_prefix: str
    retrain_on: str
    reminder_days: int
    # how many of how many batches must have drifted
    drifted: int = 1
    of: int = 1


@dataclass(frozen=True)
class Situation:
    """What the decision is made from.

    Parameters
    ----------
    blocked
        Why nothing is started, in words that say what to do; empty where a retraining is due.
    data_digest
        SHA-256 of the listing of the training data.
    waiting
        Number of the version that waits for approval.
    """

    blocked: str
    data_digest: str = ""
    waiting: int | None = None
    reminder: bool = False


def assess(
    settings: Settings, sagemaker: Any, store: ObjectStore, last: dict[str, Any] | None, now: datetime
) -> Situation:
    """Look at train executions, versions and training data, and say whether a retraining is due."""
    running = running_execution(sagemaker, settings.train_pipeline)
    if running:
        return Situation(
            f"the train pipeline is running already (execution {running}): wait for its version, then decide about it"
        )
    waiting = waiting_version(sagemaker, settings.group_arn)
    if waiting:
        return _blocked_by(waiting, settings, now)
    prefix = settings.train_prefix.rstrip("/") + "/"
    files = [item for item in store.listing(prefix) if item.size]
    if not files:
        return Situation(
            f"there is no training data below {store.uri(prefix)}: upload it, then start the train pipeline"
        )
    fingerprint = digest(files)
    if last and last.get("data_digest") == fingerprint and last.get("train_execution_arn"):
        return Situation(
            f"the training data below {store.uri(prefix)} are the same as at the last retraining "
            f"({last.get('started_at', 'time unknown')}): upload newly labelled data, then start the train pipeline",
            fingerprint,
        )
    return Situation("", fingerprint)


def _blocked_by(waiting: Version, settings: Settings, now: datetime) -> Situation:
    age = now - waiting.created if waiting.created else timedelta(0)
    since = (
        f" since {moment(waiting.created)}, {waiting_for(age.total_seconds() / 86_400)}"
        if waiting.created
        else ""
    )
    reminder = age >= timedelta(days=settings.reminder_days)
    owner = (
        f" in account {Arn.parse(settings.group_arn).account}"
        if settings.group_arn.startswith("arn:")
        else ""
    )
    decided = f"VERSION={waiting.number} MODEL={settings.model_name}"
    text = (
        f"version {waiting.number} of {group_name(settings.group_arn)}{owner} waits for approval{since}: "
        f"approve it (make approve {decided}) or reject it (make reject {decided})"
    )
    return Situation(f"Reminder: {text}" if reminder else text, waiting=waiting.number, reminder=reminder)


def replaced(sagemaker: Any, group: str, trigger: Trigger) -> str:
    """Return which version took the place of one that ground truth shows to have lost; nothing where none did.

    Labels arrive long after the predictions: the version that made them may be out of use, and what lasts shows in the
    labels of its successor.
    """
    if trigger.cause != MODEL_QUALITY or not is_version(trigger.model_version):
        return ""
    newest = newest_number(list_versions(sagemaker, group, APPROVED))
    if newest <= int(trigger.model_version):
        return ""
    return (
        f"the finding is about version {trigger.model_version}, and version {newest} was approved since: wait for"
        " ground truth of what it scores, or start the train pipeline yourself"
    )


def running_execution(sagemaker: Any, pipeline: str) -> str | None:
    """Id of an execution of the pipeline that is going on."""
    summaries = pages(
        sagemaker.list_pipeline_executions,
        "PipelineExecutionSummaries",
        PipelineName=pipeline,
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=100,
    )
    for summary in summaries:
        if summary.get("PipelineExecutionStatus") in ("Executing", "Stopping"):
            return str(summary["PipelineExecutionArn"]).rsplit("/", 1)[-1]
    return None


def waiting_version(sagemaker: Any, group: str) -> Version | None:
    """The newest version that waits for approval and is newer than every approved one."""
    pending = list_versions(sagemaker, group, PENDING)
    if not pending:
        return None
    approved = newest_number(list_versions(sagemaker, group, APPROVED))
    return pending[0] if pending[0].number > approved else None
