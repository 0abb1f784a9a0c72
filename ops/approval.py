"""A manual approval of a delivery pipeline that is answered, or explained, by a build that runs beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops.errors import CommandError

POLL_SECONDS = 5.0
WAIT_SECONDS = 600.0
_LONGEST_SUMMARY = 512  # characters of an approval's summary
_TAKEN = ("ApprovalAlreadyCompletedException", "InvalidApprovalTokenException")


@dataclass(frozen=True)
class Approval:
    """One manual approval action.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals.html
    """

    pipeline: str
    stage: str
    action: str

    @classmethod
    def parse(cls, text: str) -> Approval:
        """Return the action that ``pipeline/stage/action`` names.

        Raises
        ------
        CommandError
            Where the text has another form.
        """
        parts = text.split("/")
        if len(parts) != 3 or not all(parts):
            raise CommandError(f"APPROVAL must be pipeline/stage/action, got {text!r}")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.pipeline}/{self.stage}/{self.action}"

    def approve(
        self,
        codepipeline: Any,
        summary: str,
        *,
        say: Callable[[str], None],
        wait_seconds: float = WAIT_SECONDS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Wait until the action asks, and approve it.

        Raises
        ------
        CommandError
            Where there is no such action, or it never asks.
        """
        self._answer(
            "Approved", codepipeline, summary, say=say, wait_seconds=wait_seconds, poll_seconds=poll_seconds
        )

    def reject(
        self,
        codepipeline: Any,
        summary: str,
        *,
        say: Callable[[str], None],
        wait_seconds: float = WAIT_SECONDS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Wait until the action asks, and reject it: nobody should wait for what can't be told.

        Raises
        ------
        CommandError
            Where there is no such action, or it never asks.
        """
        self._answer(
            "Rejected", codepipeline, summary, say=say, wait_seconds=wait_seconds, poll_seconds=poll_seconds
        )

    def _answer(
        self,
        status: str,
        codepipeline: Any,
        summary: str,
        *,
        say: Callable[[str], None],
        wait_seconds: float,
        poll_seconds: float,
    ) -> None:
        end = time.monotonic() + wait_seconds
        while not (token := self._token(latest := self._latest(codepipeline))):
            if time.monotonic() >= end:
                if latest.get("status") in ("Succeeded", "Failed"):
                    say(f"{self} doesn't ask: somebody has answered")
                    return
                raise CommandError(
                    f"{self} didn't ask for an approval within {wait_seconds:g} s; if it does, a person must answer"
                )
            time.sleep(poll_seconds)
        refused = codepipeline.exceptions.ClientError
        try:
            codepipeline.put_approval_result(
                pipelineName=self.pipeline,
                stageName=self.stage,
                actionName=self.action,
                result={"summary": summary[:_LONGEST_SUMMARY], "status": status},
                token=token,
            )
        except refused as error:
            if error.response["Error"]["Code"] not in _TAKEN:
                raise
            say(f"{self} was answered by somebody else meanwhile")
            return
        say(f"{self} is {status.lower()}")

    def _latest(self, codepipeline: Any) -> dict[str, Any]:
        """Return what is known of the action's latest run; nothing before the first."""
        state = codepipeline.get_pipeline_state(name=self.pipeline)
        actions = [
            action
            for stage in state["stageStates"]
            if stage["stageName"] == self.stage
            for action in stage.get("actionStates", [])
            if action["actionName"] == self.action
        ]
        if not actions:
            raise CommandError(f"APPROVAL names {self}, but the pipeline has no such action")
        return dict(actions[0].get("latestExecution", {}))

    @staticmethod
    def _token(latest: dict[str, Any]) -> str | None:
        """Return what an answer must carry; None while nobody is asked."""
        return latest.get("token") if latest.get("status") == "InProgress" else None
