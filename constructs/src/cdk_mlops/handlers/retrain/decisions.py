"""One decision a run, whatever events tell of it and however often.

Two objects keep it so, both written under conditions:

- `state/retraining/<execution id>.json`: the decision. The first event that writes it wins. It is written as
  `starting`, with the event's id, before the pipeline is started: whoever meets it in that state (a retry, a duplicate
  at the same moment) starts the pipeline with that id as token, which starts nothing twice, and completes it.
- `state/retraining/last.json`: the last retraining. Two runs that find drift at the same moment compete for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from retrain.conditions import Settings, Situation, assess, replaced
from retrain.repetition import too_few
from retrain.triggers import Trigger
from shared import log
from shared.checks import OF_A_CHECK, is_check, run_parameters
from shared.objects import ObjectStore
from shared.text import one_line, parse_time, shorten

# A claim of last.json that started nothing for this long is given up: its invocation and all its retries are over.
STALE_AFTER = timedelta(minutes=30)
STARTING, STARTED, NOT_STARTED = "starting", "started", "not_started"


class StateConflict(Exception):
    """Others wrote the same state again and again; raised so that Lambda tries again later."""


@dataclass(frozen=True)
class Retrainer:
    """Decides and starts, with everything it reaches."""

    settings: Settings
    store: ObjectStore
    sagemaker: Any
    now: Callable[[], datetime]

    def decide(self, trigger: Trigger) -> dict[str, Any]:
        """Decide about a run, or return what was decided already."""
        key = self._key(trigger.execution_id)
        recorded = self.store.read_json(key)
        if recorded is None:
            decision = self._new_decision(trigger)
            if not self.store.create_json(key, decision):
                recorded = self.store.read_json(key)
                if recorded is None:
                    raise StateConflict(f"{self.store.uri(key)} was removed while it was read")
                decision = recorded.value
        else:
            decision = recorded.value
        if decision.get("decision") != STARTING:
            return decision
        decision = self._complete(decision)
        self.store.write_json(key, decision)
        return decision

    def _new_decision(self, trigger: Trigger) -> dict[str, Any]:
        last = self.store.read_json(self._last_key)
        being_started = self._being_started(last.value if last else None, trigger.execution_id)
        if self._is_check(trigger):
            situation = Situation(OF_A_CHECK)
        elif being_started:
            situation = Situation(being_started)
        else:
            situation = self._assess(trigger, last.value if last else None)
        return {
            "decision": NOT_STARTED if situation.blocked else STARTING,
            "reason": situation.blocked or _because(trigger),
            "reminder": situation.reminder,
            "waiting_version": situation.waiting,
            "cause": trigger.cause,
            "execution_id": trigger.execution_id,
            "pipeline": trigger.pipeline,
            "train_pipeline": self.settings.train_pipeline,
            "train_execution_arn": None,
            "data_digest": situation.data_digest,
            "event_id": trigger.event_id,
            "decided_at": self.now().isoformat(timespec="seconds"),
        }

    def _assess(self, trigger: Trigger, last: dict[str, Any] | None) -> Situation:
        settings = self.settings
        waits = too_few(self.store, settings.model_name, trigger, settings.drifted, settings.of)
        if waits or (waits := replaced(self.sagemaker, settings.group_arn, trigger)):
            return Situation(waits)
        return assess(settings, self.sagemaker, self.store, last, self.now())

    def _is_check(self, trigger: Trigger) -> bool:
        if not trigger.execution_arn:
            return trigger.check
        run_uri = run_parameters(self.sagemaker, trigger.execution_arn).get("RunUri", "")
        return is_check(run_uri, self.settings.data_bucket, self.settings.model_name)

    def _complete(self, decision: dict[str, Any]) -> dict[str, Any]:
        rival = self._take_last(decision)
        if rival:
            reason = f"a retraining was just started because of run {rival}: wait for its version"
            return {**decision, "decision": NOT_STARTED, "reason": reason}
        answer = self.sagemaker.start_pipeline_execution(
            PipelineName=self.settings.train_pipeline,
            PipelineExecutionDisplayName=_display_name(decision["execution_id"]),
            PipelineExecutionDescription=shorten(one_line(decision["reason"]), 3072),
            ClientRequestToken=decision["event_id"].ljust(32, "0")[:128],
        )
        arn = answer["PipelineExecutionArn"]
        self.store.write_json(self._last_key, {**self._last(decision), "train_execution_arn": arn})
        log.info("retraining started", execution=arn, because_of=decision["execution_id"])
        return {**decision, "decision": STARTED, "train_execution_arn": arn}

    def _take_last(self, decision: dict[str, Any]) -> str | None:
        """Make last.json tell of this run; the id of the run that was faster, where one was."""
        mine = decision["execution_id"]
        for _ in range(5):
            last = self.store.read_json(self._last_key)
            if last is None:
                if self.store.create_json(self._last_key, self._last(decision)):
                    return None
                continue
            if last.value.get("execution_id") == mine:
                return None
            started = bool(last.value.get("train_execution_arn"))
            same_data = last.value.get("data_digest") == decision["data_digest"]
            if (started and same_data) or (not started and not self._stale(last.value)):
                return str(last.value.get("execution_id"))
            if self.store.replace_json(self._last_key, self._last(decision), last.etag):
                return None
        raise StateConflict(f"{self.store.uri(self._last_key)} is written by others all the time")

    def _being_started(self, last: dict[str, Any] | None, execution_id: str) -> str:
        if (
            not last
            or last.get("train_execution_arn")
            or last.get("execution_id") == execution_id
            or self._stale(last)
        ):
            return ""
        return f"a retraining is just being started because of run {last.get('execution_id')}: wait for its version"

    def _stale(self, last: dict[str, Any]) -> bool:
        since = parse_time(last.get("started_at"))
        return since is None or self.now() - since > STALE_AFTER

    def _last(self, decision: dict[str, Any]) -> dict[str, Any]:
        return {
            "execution_id": decision["execution_id"],
            "data_digest": decision["data_digest"],
            "event_id": decision["event_id"],
            "started_at": decision["decided_at"],
            "train_execution_arn": None,
        }

    def _key(self, execution_id: str) -> str:
        return f"{self.settings.model_name}/state/retraining/{execution_id}.json"

    @property
    def _last_key(self) -> str:
        return f"{self.settings.model_name}/state/retraining/last.json"


def _because(trigger: Trigger) -> str:
    words = {
        "drift": "the batch drifted from the training baseline",
        "model_quality": "ground truth shows that the version has lost AUC since its training",
        "violation": "the batch failed its data-quality checks",
        "failure": "the run failed, and this model retrains on any failure",
        "step": "a step failed that this model retrains on",
    }
    detail = f": {shorten(one_line(trigger.message), 800)}" if trigger.message else ""
    return f"run {trigger.execution_id} of {trigger.pipeline}: {words[trigger.cause]}{detail}"


def _display_name(execution_id: str) -> str:
    # SageMaker: letters, digits and single dashes, at most 82
    return "-".join(part for part in f"retrain-{execution_id}".split("-") if part)[:82].rstrip("-")
