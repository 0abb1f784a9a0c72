"""The message to approvers about an approved version whose files aren't what was registered or approved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from shared.alerts import Alert, publish
from shared.claims import Claims
from shared.objects import ObjectVersion

STAGE = "registry"
FOLDER = "_state/records"


@dataclass(frozen=True)
class Refusals:
    """Sends one message for each set of files that is refused, however often it is looked at.

    Parameters
    ----------
    request_id
        Of the invocation.
    """

    topic_arn: str
    sns: Any
    claims: Claims
    request_id: str

    def tell(
        self,
        *,
        group: str,
        model: str,
        number: int,
        why: str,
        current: Mapping[str, ObjectVersion | None],
        recorded: bool,
    ) -> dict[str, Any]:
        """Tell approvers, unless they know of these very files.

        Parameters
        ----------
        recorded
            Whether it was recorded before which files were approved.
        """
        seen = sorted(f"{uri} {found.version_id if found else 'gone'}" for uri, found in current.items())
        digest = sha256("\n".join(seen).encode()).hexdigest()[:12]
        key = f"{FOLDER}/{group}/{number}-{digest}.json"
        alert = _alert(group, model, number, why, recorded)
        about = {"group": group, "version": number, "subject": alert.subject, "reason": why}
        if not self.claims.acquire(key, self.request_id, about):
            return {"record": "refused", "reason": why, "told": "before"}
        message_id = publish(self.sns, self.topic_arn, alert)
        self.claims.mark_sent(key, self.request_id, {**about, "message_id": message_id})
        return {"record": "refused", "reason": why, "told": message_id}


def _alert(group: str, model: str, number: int, why: str, recorded: bool) -> Alert:
    done = (
        "The record of what was approved stays: every run that would use the version fails with "
        "ModelArtifactChanged until these files are the approved ones again."
        if recorded
        else "It was not recorded what was approved: every run that would use the version fails."
    )
    return Alert(
        stage=STAGE,
        model=model,
        title=f"version {number} is approved, but its files were changed",
        happened=[f"Version {number} of {group} is approved.", f"ModelArtifactChanged: {why}."],
        why=["Whoever trains may write artifacts; an approval is about the files that were registered only."],
        done=[done],
        todo=[
            f"Take the version out of use: make reject VERSION={number} MODEL={model}",
            "Find out who wrote the file: CloudTrail's data events, the object's versions in S3.",
            "To use the version after all, see the runbook, ModelArtifactChanged.",
        ],
    )
