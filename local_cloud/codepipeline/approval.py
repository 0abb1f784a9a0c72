"""The manual approval action."""

from __future__ import annotations

import threading
import time
import uuid

from local_cloud.codepipeline.errors import ActionAbandoned, ActionFailed, ServiceError
from local_cloud.codepipeline.model import ActionRun, Work

_SEVEN_DAYS_MINUTES = 7 * 24 * 60


class ApprovalAction:
    """Waits for somebody's answer.

    See https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals.html
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._answers: dict[str, tuple[str, str, str]] = {}
        self._abandoned: set[str] = set()

    def run(self, work: Work) -> None:
        """Wait until it is answered, abandoned or seven days old."""
        run = work.run
        minutes = float(run.declaration.get("timeoutInMinutes") or _SEVEN_DAYS_MINUTES)
        with self._changed:
            run.token = str(uuid.uuid4())
            answered = self._changed.wait_for(
                lambda: run.run_id in self._answers or run.run_id in self._abandoned, timeout=minutes * 60
            )
            answer = self._answers.pop(run.run_id, None)
            run.token = ""
            self._abandoned.discard(run.run_id)
        if not answered:
            raise ActionFailed(f"No answer within {minutes:.0f} minutes", code="JobTimedOut")
        if answer is None:
            raise ActionAbandoned
        status, summary, by = answer
        run.updated_by, run.summary = by, summary
        if status == "Rejected":
            raise ActionFailed(summary or "Rejected", code="Rejected", summary=summary)

    def abandon(self, work: Work) -> None:
        """Stop waiting."""
        with self._changed:
            self._abandoned.add(work.run.run_id)
            self._changed.notify_all()

    def answer(self, run: ActionRun | None, token: str, status: str, summary: str, by: str) -> float:
        """Take an answer and return when it was taken.

        Raises
        ------
        ServiceError
            Nobody waits for one, or the token is another's.
        """
        with self._changed:
            if run is None or not run.token:
                raise ServiceError(
                    "ApprovalAlreadyCompletedException",
                    "The approval action has already been approved or rejected.",
                )
            if run.token != token:
                raise ServiceError("InvalidApprovalTokenException", "The approval token is invalid.")
            self._answers[run.run_id] = (status, summary, by)
            run.token = ""
            self._changed.notify_all()
        return time.time()
