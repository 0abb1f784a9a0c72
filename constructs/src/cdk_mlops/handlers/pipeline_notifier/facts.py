"""What can be learnt about a run. Each source may fail: the alert says what is missing, and goes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline_notifier.batch import Batch, answer, find_batch
from pipeline_notifier.causes import DRIFT, QUALITY_LOST, VIOLATION, Cause, find_cause, read_step
from pipeline_notifier.events import DELIVERED, Run
from shared import checks, log
from shared.aws import AwsError, error_code, error_text, pages
from shared.objects import ObjectStore, UnreadableObject

# What each value of the tag mlops:retrain-on covers; a wider value covers what a narrower one does.
_COVERED = {"drift": {DRIFT}, "violation": {DRIFT, VIOLATION}}
POLL_SECONDS = 2.0
WAIT_SECONDS = 60.0


@dataclass
class Facts:
    """A run, and what is known of it.

    Parameters
    ----------
    tags
        The pipeline's tags; None where they could not be read.
    decision
        What the retrain function wrote about the run.
    awaited
        Whether the retrain function decides about runs like this.
    ground_truth
        URI of what a quality run judged, or was to judge; empty where that isn't known.
    parameters
        What the run was started with, of inference and quality runs that ended badly.
    check
        Whether the run was a check.
    page
        Key of the check's page in the data bucket; empty where there is none.
    unknown
        What could not be read, and why, in words.
    """

    run: Run
    tags: dict[str, str] | None
    cause: Cause
    execution: dict[str, Any] = field(default_factory=dict)
    verdict: dict[str, Any] | None = None
    decision: dict[str, Any] | None = None
    awaited: bool = False
    batch: Batch = field(default_factory=Batch)
    ground_truth: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    check: bool = False
    page: str = ""
    unknown: list[str] = field(default_factory=list)

    @property
    def model(self) -> str:
        """Name of the model, or the pipeline's name where that isn't known."""
        if self.run.finding and self.run.finding.get("model"):
            return str(self.run.finding["model"])
        return (self.tags or {}).get("mlops:model") or self.run.pipeline

    @property
    def kind(self) -> str:
        """`train`, `inference`, `quality`, or empty where that isn't known."""
        known = (self.tags or {}).get("mlops:kind", "")
        if known or not self.run.finding:
            return known
        return "quality" if self.cause.word == QUALITY_LOST else "inference"

    @property
    def folder(self) -> str:
        """Key prefix of what the run wrote into the data bucket."""
        kind = checks.FOLDER if self.check else self.kind
        return f"{self.model}/{kind}/{self.run.execution_id}"

    @property
    def retrain_on(self) -> str:
        """What the model retrains on; `none` where nothing says."""
        return (self.tags or {}).get("mlops:retrain-on", "none")


class FactFinder:
    """Reads what can be read."""

    def __init__(
        self,
        sagemaker: Any,
        store: ObjectStore,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._sagemaker = sagemaker
        self._store = store
        self._sleep = sleep
        self._clock = clock

    def tags(self, run: Run) -> dict[str, str] | None:
        """Read the pipeline's tags; None where that failed."""
        try:
            found = pages(self._sagemaker.list_tags, "Tags", ResourceArn=str(run.pipeline_arn))
        except AwsError as error:
            log.error("the pipeline's tags could not be read", pipeline=run.pipeline, error=error_text(error))
            return None
        return {tag["Key"]: tag["Value"] for tag in found}

    def gather(self, run: Run, tags: dict[str, str] | None, seconds_left: float) -> Facts:
        """Read everything about a run, and wait for the retrain function where it decides about it."""
        unknown: list[str] = [] if tags is not None else ["the pipeline's tags could not be read"]
        execution = self._execution(run, unknown)
        steps = self._steps(run, unknown) if run.finding is None else []
        failed = [read_step(step) for step in steps if step.get("StepStatus") == "Failed"]
        reason = str(execution.get("FailureReason", ""))
        if run.finding:
            cause = Cause(DRIFT if run.status == DELIVERED else QUALITY_LOST, "")
        else:
            cause = find_cause(run.status, failed, reason)
        facts = Facts(run, tags, cause, execution, unknown=unknown)
        facts.batch = find_batch(run.finding, steps, cause.message)
        if facts.kind == "inference":
            self._look_for_check(facts)
            facts.verdict = self._read(f"{facts.folder}/data-quality/verdict.json", unknown)
            facts.page = self._page(facts)
        elif facts.kind == "quality":
            self._look_for_ground_truth(facts, steps)
        if facts.kind in ("inference", "quality"):
            facts.awaited = covered(facts)
            # a rule on a named step decides about runs that the model's setting doesn't cover: one look
            facts.decision = self._decision(facts, min(WAIT_SECONDS, seconds_left) if facts.awaited else 0.0)
        return facts

    def _look_for_ground_truth(self, facts: Facts, steps: list[dict[str, Any]]) -> None:
        if facts.run.finding:
            facts.ground_truth = str(facts.run.finding.get("groundTruthUri") or "")
            return
        self._look_for_parameters(facts)
        asked = facts.parameters.get("ground_truth_input", "")
        # the folder of all ground truth is what every run looks into
        named = "" if asked.rstrip("/").endswith("/ground-truth") else asked
        facts.ground_truth = answer(steps, "ground_truth_uri") or named

    def _look_for_parameters(self, facts: Facts) -> None:
        try:
            facts.parameters = checks.run_parameters(self._sagemaker, facts.run.execution_arn)
        except AwsError as error:
            facts.unknown.append(f"the run's parameters could not be listed ({error_code(error)})")

    def _look_for_check(self, facts: Facts) -> None:
        if facts.run.finding:
            facts.check = facts.run.finding.get("check") is True
            return
        self._look_for_parameters(facts)
        facts.check = checks.is_check(facts.parameters.get("RunUri", ""), self._store.bucket, facts.model)

    def _execution(self, run: Run, unknown: list[str]) -> dict[str, Any]:
        try:
            return dict(self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=run.execution_arn))
        except AwsError as error:
            unknown.append(f"the execution could not be described ({error_code(error)})")
            return {}

    def _steps(self, run: Run, unknown: list[str]) -> list[dict[str, Any]]:
        try:
            return list(
                pages(
                    self._sagemaker.list_pipeline_execution_steps,
                    "PipelineExecutionSteps",
                    PipelineExecutionArn=run.execution_arn,
                    SortOrder="Ascending",
                )
            )
        except AwsError as error:
            unknown.append(f"the steps could not be listed ({error_code(error)})")
            return []

    def _read(self, key: str, unknown: list[str]) -> dict[str, Any] | None:
        try:
            document = self._store.read_json(key)
        except (*AwsError, UnreadableObject) as error:
            unknown.append(f"{self._store.uri(key)} could not be read ({error_code(error)})")
            return None
        return document.value if document else None

    def _page(self, facts: Facts) -> str:
        """Key of the check's page; empty where there is none, or where that can't be told: it is an extra."""
        key = f"{facts.folder}/data-quality/report.html"
        try:
            return key if self._store.exists(key) else ""
        except AwsError as error:
            log.warning("whether there is a page is not known", key=key, error=error_text(error))
            return ""

    def _decision(self, facts: Facts, seconds: float) -> dict[str, Any] | None:
        key = decision_key(facts)
        until = self._clock() + seconds
        while True:
            trouble: list[str] = []
            decision = self._read(key, trouble)
            # "starting" becomes started or not_started within a moment
            if decision and decision.get("decision") != "starting":
                return decision
            if self._clock() + POLL_SECONDS > until:
                facts.unknown.extend(trouble)
                return None
            self._sleep(POLL_SECONDS)


def decision_key(facts: Facts) -> str:
    """Where the retrain function writes what it decided about the run."""
    return f"{facts.model}/state/retraining/{facts.run.execution_id}.json"


def covered(facts: Facts) -> bool:
    """Whether the retrain function decides about this run."""
    if facts.kind == "quality":
        lost = facts.run.finding is not None and facts.run.finding.get("retrain") is True
        return lost and facts.retrain_on != "none"
    if facts.retrain_on == "any_failure":
        return facts.run.status in ("Failed", DELIVERED)
    return facts.run.status != "Stopped" and facts.cause.word in _COVERED.get(facts.retrain_on, set())
