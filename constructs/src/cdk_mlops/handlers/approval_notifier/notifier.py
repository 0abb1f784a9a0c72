"""Tells approvers which versions wait, and everyone what was decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from approval_notifier.messages import reminder, status_message
from approval_notifier.notices import FOLDER, about, notice_key
from approval_notifier.packages import Package, parse_package
from shared import log
from shared.alerts import Alert, publish
from shared.aws import AwsError, error_text
from shared.claims import Claims
from shared.objects import ObjectStore
from shared.registry import APPROVED, PENDING, REJECTED, Version, list_versions, newest_number
from shared.text import parse_time


class BadEvent(Exception):
    """An event that isn't what its detail-type promises."""


@dataclass(frozen=True)
class Notifier:
    """Everything that a message needs.

    Parameters
    ----------
    groups
        Names of the package groups whose versions are told of.
    """

    groups: tuple[str, ...]
    reminder_days: int
    topic_arn: str
    sagemaker: Any
    store: ObjectStore
    claims: Claims
    sns: Any
    now: Callable[[], datetime]

    def tell_status(self, event: dict[str, Any], request_id: str) -> dict[str, Any]:
        """Send the message of a version's status, unless it was sent already.

        Raises
        ------
        BadEvent
            The event names no version.
        """
        detail = event.get("detail")
        if not isinstance(detail, dict):
            raise BadEvent("expected an EventBridge event with a detail")
        status = detail.get("ModelApprovalStatus")
        if (
            status not in (PENDING, APPROVED, REJECTED)
            or detail.get("ModelPackageStatus", "Completed") != "Completed"
        ):
            return {"notice": "ignored", "reason": f"nothing to tell of the status {status}"}
        try:
            package = parse_package(str(detail.get("ModelPackageArn", "")), {})
        except ValueError as error:
            raise BadEvent(str(error)) from error
        if package.group not in self.groups:
            return {"notice": "ignored", "reason": f"{package.group} is no group of ours"}
        event_time = parse_time(event.get("time")) or self.now()
        key = notice_key(self.store, package.group, package.number, status, event_time)
        package = self._described(package)
        extra = {"group": package.group, "version": package.number}
        return self._send(
            key, status_message(package, status), request_id, about(status, event_time, **extra)
        )

    def remind(self, request_id: str) -> dict[str, Any]:
        """Send one message a day that lists the versions which have waited for long."""
        waiting = [
            (self._described(parse_package(version.arn, {})), version)
            for group in self.groups
            for version in self._overdue(group)
        ]
        if not waiting:
            return {"notice": "none", "reason": f"no version waits for {self.reminder_days} days or more"}
        today = self.now().strftime("%Y-%m-%d")
        listed = [f"{package.group}/{version.number}" for package, version in waiting]
        alert = reminder(waiting, self.reminder_days, self.now())
        return self._send(f"{FOLDER}/reminders/{today}.json", alert, request_id, {"versions": listed})

    def _overdue(self, group: str) -> list[Version]:
        pending = list_versions(self.sagemaker, group, PENDING)
        if not pending:
            return []
        # a version older than the approved one waits for nothing
        approved = newest_number(list_versions(self.sagemaker, group, APPROVED))
        limit = self.now() - timedelta(days=self.reminder_days)
        return [
            one
            for one in pending
            if one.number > approved and one.created is not None and one.created <= limit
        ]

    def _described(self, package: Package) -> Package:
        try:
            described = dict(self.sagemaker.describe_model_package(ModelPackageName=str(package.arn)))
        except AwsError as error:
            # approvers are told of a version even where its numbers can't be read
            log.error("the version could not be described", arn=str(package.arn), error=error_text(error))
            return package
        return Package(package.arn, package.group, package.number, described)

    def _send(self, key: str, alert: Alert, request_id: str, record: dict[str, Any]) -> dict[str, Any]:
        record = {**record, "subject": alert.subject}
        if not self.claims.acquire(key, request_id, record):
            return {"notice": "sent before", "key": key}
        message_id = publish(self.sns, self.topic_arn, alert)
        self.claims.mark_sent(key, request_id, {**record, "message_id": message_id})
        return {"notice": "sent", "key": key, "subject": alert.subject, "message_id": message_id}
