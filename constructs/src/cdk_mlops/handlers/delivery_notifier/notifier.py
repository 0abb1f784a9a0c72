"""One message an outcome: find out, claim, publish, mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from delivery_notifier import releases
from delivery_notifier.compose import bare_message, compose
from delivery_notifier.events import UNANSWERED, Outcome
from delivery_notifier.facts import FactFinder, Facts
from delivery_notifier.route import Route
from shared import log
from shared.alerts import Alert, publish
from shared.claims import Claims

FOLDER = "state/notices"


@dataclass(frozen=True)
class Notifier:
    """Everything that a message needs."""

    route: Route
    topic_arn: str
    finder: FactFinder
    claims: Claims
    sns: Any

    def tell(self, outcome: Outcome, request_id: str) -> dict[str, Any]:
        """Send the message of an outcome, unless it was sent already.

        Raises
        ------
        ClaimedElsewhere
            Another invocation is sending it: Lambda asks again later.
        """
        facts = self.finder.gather(self.route.pipeline, outcome)
        if outcome.state == UNANSWERED and facts.answered(outcome.stage):
            return {"notice": "ignored", "reason": "its approval was answered: the execution's end is told"}
        alert = self._write(facts)
        key = f"{FOLDER}/{self.route.pipeline}/{outcome.claim_name}.json"
        about = {
            "subject": alert.subject,
            "execution_id": outcome.execution_id,
            "status": outcome.state,
            "commit": facts.commit,
        }
        if not self.claims.acquire(key, request_id, about):
            return {"notice": "sent before", "key": key}
        message_id = publish(self.sns, self.topic_arn, alert)
        self.claims.mark_sent(key, request_id, {**about, "message_id": message_id})
        return {"notice": "sent", "key": key, "subject": alert.subject, "message_id": message_id}

    def _write(self, facts: Facts) -> Alert:
        try:
            return releases.compose(facts, self.route) if self.route.releases else compose(facts, self.route)
        except Exception as error:  # noqa: BLE001 - whatever CodePipeline answers, its message must go out
            log.error(
                "the message could not be composed", execution=facts.outcome.execution_id, error=repr(error)
            )
            return bare_message(facts, self.route, type(error).__name__)
