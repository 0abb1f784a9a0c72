"""The words of the registry's messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from approval_notifier.packages import Package
from shared.alerts import Alert
from shared.aws import console_host
from shared.registry import APPROVED, PENDING, Version
from shared.text import moment, waiting_for

STAGE = "registry"
# Sessions of the functions and builds that change a version without deciding about it.
_OF_THE_MACHINERY = re.compile(r":assumed-role/mlops-(?:registry-recorder|delivery-[a-z]+)/")
SECOND_FACTOR = (
    "The approver role asks for a second factor by default: add MFA_SERIAL=<device ARN> MFA_CODE=<code>."
)


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
    who = _who(package)
    note = package.described.get("ApprovalDescription")
    effect = (
        f"Every stage's next inference run uses version {package.number}, unless a newer one is approved."
        if approved
        else "No run uses it any more; the next ones use the newest version that is approved."
    )
    asked = [] if who else [f"Who decided: CloudTrail of account {package.arn.account}, UpdateModelPackage."]
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
        todo=[f"To take it back: {_command(back, package)}", SECOND_FACTOR, *asked],
    )


def _who(package: Package) -> str:
    """Who decided, where SageMaker says so; a session's name is the last part of both.

    What records an approval, or releases a version, changes it too: then the record says who approved it.
    """
    person = package.described.get("LastModifiedBy") or {}
    identity = person.get("IamIdentity") or {}
    last = str(person.get("UserProfileName") or identity.get("Arn") or identity.get("PrincipalId") or "")
    recorded = package.properties.get("approved_by", "")
    return recorded if recorded and _OF_THE_MACHINERY.search(last) else last


def _command(word: str, package: Package) -> str:
    # the command knows models, not package groups
    return f"make {word} VERSION={package.number} MODEL={package.known_model or '<model>'}"


def how_to_decide(package: Package) -> list[str]:
    """How a version is approved or rejected: by command and in the console."""
    arn, region = package.arn, package.arn.region
    command = f"aws sagemaker update-model-package --region {region} --model-package-arn {arn} --model-approval-status"
    return [
        f"Approve: {_command('approve', package)}, or as the approver role: {command} Approved",
        f"Reject: {_command('reject', package)}, or: {command} Rejected",
        SECOND_FACTOR,
        f"In the console of account {arn.account}: https://{console_host(region)}/sagemaker/home?region={region}"
        f" - SageMaker Studio, Models, {package.group}, version {package.number}.",
    ]


def reminder(waiting: Sequence[tuple[Package, Version]], days: int, now: datetime) -> Alert:
    """Tell of all versions that have waited for long."""
    lines, commands = [], []
    for package, version in waiting:
        since = version.created or now
        age = waiting_for((now - since).total_seconds() / 86_400)
        lines.append(f"- version {version.number} of {package.group}: since {moment(since)}, {age}")
        commands.append(f"- {_command('approve', package)}, or {_command('reject', package)}")
    count = len(waiting)
    return Alert(
        stage=STAGE,
        model=waiting[0][0].group if len({package.group for package, _ in waiting}) == 1 else "all models",
        title=f"{count} version{'s wait' if count != 1 else ' waits'} for approval",
        happened=["These versions still wait:", *lines],
        why=[f"Nobody has approved or rejected them for {days} day{'s' if days != 1 else ''} or more."],
        done=["While a version waits, drift starts no further retraining."],
        todo=["Decide about each (make versions lists them):", *commands, SECOND_FACTOR],
    )
