"""One alert a run: find out, claim, publish, mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline_notifier.compose import bare_alert, compose
from pipeline_notifier.events import Run
from pipeline_notifier.facts import FactFinder, Facts
from pipeline_notifier.words import Place
from shared import log
from shared.alerts import Alert, publish
from shared.claims import Claims
from shared.objects import ObjectStore, UnreadableObject

# Kept for claiming (which may wait for a duplicate), publishing and marking after the wait for a decision.
RESERVE_SECONDS = 40.0
STAGE_TAG = "mlops:stage"


@dataclass(frozen=True)
class Notifier:
    """Everything that an alert needs."""

    place: Place
    topic_arn: str
    finder: FactFinder
    store: ObjectStore
    claims: Claims
    sns: Any

    def notify(self, run: Run, request_id: str, seconds_left: float) -> dict[str, Any]:
        """Send the alert of a run, unless the pipeline isn't ours or the alert was sent already.

        Raises
        ------
        ClaimedElsewhere
            Another invocation is sending it: Lambda asks again later.
        """
        tags = self.finder.tags(run)
        # tags that can't be read make an alert: a needless one is better than a lost one
        if tags is not None and not run.finding and tags.get(STAGE_TAG) != self.place.stage:
            return {
                "alert": "ignored",
                "reason": f"{run.pipeline} is no pipeline of the stage {self.place.stage}",
            }
        key = f"{_model_folder(run, tags)}/state/alerts/{run.claim_name}.json"
        if self._is_sent(key):
            return {"alert": "sent before", "key": key}
        facts = self.finder.gather(run, tags, max(0.0, seconds_left - RESERVE_SECONDS))
        alert = self._write(facts)
        about = {
            "subject": alert.subject,
            "execution_id": run.execution_id,
            "status": run.status,
            "pipeline": run.pipeline,
        }
        about["cause"] = facts.cause.word
        if not self.claims.acquire(key, request_id, about):
            return {"alert": "sent before", "key": key}
        message_id = publish(self.sns, self.topic_arn, alert)
        self.claims.mark_sent(key, request_id, {**about, "message_id": message_id, "topic": self.topic_arn})
        return {"alert": "sent", "key": key, "subject": alert.subject, "message_id": message_id}

    def _is_sent(self, key: str) -> bool:
        try:
            claim = self.store.read_json(key)
        except UnreadableObject:
            return False
        return claim is not None and claim.value.get("state") == "sent"

    def _write(self, facts: Facts) -> Alert:
        try:
            return compose(facts, self.place)
        except Exception as error:  # noqa: BLE001 - whatever shape a verdict has, its alert must go out
            log.error("the alert could not be composed", execution=facts.run.execution_id, error=repr(error))
            return bare_alert(facts, self.place, type(error).__name__)


def _model_folder(run: Run, tags: dict[str, str] | None) -> str:
    if run.finding and run.finding.get("model"):
        return str(run.finding["model"])
    # a pipeline whose model isn't known keeps its alerts apart
    return (tags or {}).get("mlops:model") or "_unknown"
