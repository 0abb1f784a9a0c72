"""The words of the registry's messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from approval_notifier.packages import Package
from shared.alerts import Alert
from shared.aws import console_host
from shared.registry import APPROVED, PENDING, Version
from shared.text import moment, waiting_for

STAGE = "registry"


def status_message(package: Package, status: str) -> Alert:
    """Tell approvers of a new version, or of a decision about one."""
    if status == PENDING:
        return _waits(package)
    return _decided(package, approved=status == APPROVED)


def _waits(package: Package) -> Alert:
    return Alert(
        stage=STAGE,
        model=package.model,
        title=f"version {package.number} waits for approval",
        happened=[f"Version {package.number} of {package.group} was registered.", *package.describe()],
        why=["A train run passed its gate; no version is used before a person has approved it."],
        done=["Nothing: the newest approved version stays in use."],
        todo=how_to_decide(package),
    )


def _decided(package: Package, *, approved: bool) -> Alert:
    word = "approved" if approved else "rejected"
    who = (package.described.get("LastModifiedBy") or {}).get("UserProfileName") or (
        (package.described.get("LastModifiedBy") or {}).get("IamIdentity") or {}
    ).get("Arn")
    note = package.described.get("ApprovalDescription")
    effect = (
        f"Every stage's next inference run uses version {package.number}, unless a newer one is approved."
        if approved
        else "No run uses it any more; the next ones use the newest version that is approved."
    )
    back = "reject" if approved else "approve"
    return Alert(
        stage=STAGE,
        model=package.model,
        title=f"version {package.number} was {word}",
        happened=[
            f"Version {package.number} of {package.group} was {word}{f' by {who}' if who else ''}.",
            effect,
        ],
        why=[str(note) if note else "No note was left with the decision."],
        done=["Nothing needed to be: each run asks the registry when it starts."],
        todo=[f"To take it back: make {back} VERSION={package.number}."],
    )


def how_to_decide(package: Package) -> list[str]:
    """How a version is approved or rejected: by command and in the console."""
    arn, region = package.arn, package.arn.region
    command = f"aws sagemaker update-model-package --region {region} --model-package-arn {arn} --model-approval-status"
    return [
        f"Approve: make approve VERSION={package.number}, or as the approver role: {command} Approved",
        f"Reject: make reject VERSION={package.number}, or: {command} Rejected",
        f"In the console of account {arn.account}: https://{console_host(region)}/sagemaker/home?region={region}"
        f" - SageMaker Studio, Models, {package.group}, version {package.number}.",
    ]


def reminder(waiting: Sequence[tuple[str, Version]], days: int, now: datetime) -> Alert:
    """Tell of all versions that have waited for long."""
    lines = []
    for group, version in waiting:
        since = version.created or now
        age = waiting_for((now - since).total_seconds() / 86_400)
        lines.append(f"- version {version.number} of {group}: since {moment(since)}, {age}")
    count = len(waiting)
    return Alert(
        stage=STAGE,
        model=waiting[0][0] if len({group for group, _ in waiting}) == 1 else "all models",
        title=f"{count} version{'s wait' if count != 1 else ' waits'} for approval",
        happened=["These versions still wait:", *lines],
        why=[f"Nobody has approved or rejected them for {days} day{'s' if days != 1 else ''} or more."],
        done=["While a version waits, drift starts no further retraining."],
        todo=[
            "Decide about each: make versions, then make approve VERSION=<number> or make reject VERSION=<number>."
        ],
    )
