"""What a run tells the world: findings, rejections, predictions, and what ground truth says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from run_recorder.metrics import put_feature_metrics, put_metrics
from run_recorder.quality import Quality
from run_recorder.verdicts import LISTED, MESSAGE_LIMIT, BadVerdict, Verdict, from_violations
from shared import log
from shared.artifacts import FILES, ModelArtifactChanged, in_words, look_at
from shared.aws import AwsError, split_uri
from shared.checks import is_check
from shared.history import drifted_in_a_row, record_batch
from shared.objects import ObjectStore, ObjectSummary, UnreadableObject
from shared.quality_records import Judged, record_key
from shared.text import number, one_line, shorten

FINDINGS = {"drift": "DriftDetected", "violation": "ViolationDetected"}
EVENT_SOURCE = "cdk-mlops"
EVENT_TYPE = "Batch Finding"
# What a record of a scored or judged batch says about where its code came from.
ORIGIN = ("code_uri", "git_commit", "definition_sha256")


class BadRequest(Exception):
    """The step's inputs are not what the contract says."""


class FileMissing(Exception):
    """A file that an earlier step should have written isn't there."""


class EventRefused(Exception):
    """EventBridge didn't take the event."""


class PredictionsMissing(Exception):
    """The transform wrote no predictions."""


@dataclass(frozen=True)
class Settings:
    """What the function knows from its environment."""

    stage: str
    model_name: str
    data_bucket: str
    namespace: str


@dataclass(frozen=True)
class Recorder:
    """The five actions, with everything they reach."""

    settings: Settings
    open_bucket: Callable[[str], ObjectStore]
    events: Any
    cloudwatch: Any
    now: Callable[[], datetime]

    def announce_finding(self, event: dict[str, Any]) -> dict[str, str]:
        """Put the `Batch Finding` event and say what was found."""
        finding = required(event, "finding")
        if finding not in FINDINGS:
            raise BadRequest(f"the step's input 'finding' must be drift or violation, got '{finding}'")
        uri = required(event, "verdict_uri")
        document = self._read(uri)
        verdict = Verdict.parse(document)
        message = verdict.describe(finding)
        check = self._is_check(uri)
        if not check:
            # before the event: whoever decides about a retraining looks at the last batches
            self._remember(event, document)
        self._put_event(
            {
                "finding": finding,
                "stage": self.settings.stage,
                "model": self.settings.model_name,
                "pipelineName": required(event, "pipeline_name"),
                "pipelineExecutionId": required(event, "execution_id"),
                "batchUri": str(event.get("batch_uri", "")),
                "modelVersion": str(event.get("model_version", "")),
                "delivered": str(event.get("delivered", "false")).lower() == "true",
                "reportUri": uri,
                "pageUri": self._page_uri(uri),
                "message": message,
                "features": verdict.drifted[:LISTED],
                "violations": [_short(violation) for violation in verdict.violations[:LISTED]],
                "check": check,
            }
        )
        if not check:
            self._metrics({FINDINGS[finding]: 1, **self._found(document)})
            self._feature_metrics(uri)
        return {"message": message}

    def explain_rejection(self, event: dict[str, Any]) -> dict[str, str]:
        """Say by which numbers the new model missed the gate."""
        auc, threshold = required(event, "cv_auc"), required(event, "threshold")
        gain, least = required(event, "gain_over_champion"), required(event, "min_gain")
        champion = str(event.get("champion_version", "none"))
        reasons = []
        if not _at_least(auc, threshold):
            reasons.append(
                f"its cross-validated AUC {number(auc, 4)} is below the threshold {number(threshold, 4)}"
            )
        if not _at_least(gain, least):
            rival = "the champion" if champion in ("none", "") else f"version {champion}, the champion,"
            reasons.append(
                f"its hold-out AUC minus that of {rival} is {number(gain, 4)}, below the least gain {number(least, 4)}"
            )
        if not reasons:
            raise BadRequest(
                f"the gate is passed by cv_auc={auc}, gain_over_champion={gain}: there is nothing to explain"
            )
        return {"message": shorten("the new model is not registered: " + "; ".join(reasons), MESSAGE_LIMIT)}

    def record_predictions(self, event: dict[str, Any]) -> dict[str, str]:
        """Note that a batch is scored, after looking whether the predictions exist; a check is not noted.

        SageMaker reads artifact and baseline by their keys, after ResolveModel has looked at them. Nobody in a stage
        may delete an object's version, so a file that was written in between still shows here.

        Raises
        ------
        ModelArtifactChanged
            A file of the version was written while the run used it; nothing is noted.
        PredictionsMissing
            There are none.
        """
        uri, digest = required(event, "predictions_uri"), required(event, "batch_digest")
        bucket, key = split_uri(uri)
        found = [item for item in self.open_bucket(bucket).listing(key) if item.size and _below(item, key)]
        if not found:
            raise PredictionsMissing(
                f"there is no prediction below {uri}: the transform ended without output"
            )
        self._refuse_changed(event, uri)
        if self._is_check(uri):
            return {"predictions_uri": uri}
        execution_id = required(event, "execution_id")
        verdict_uri, verdict = self._verdict_of(execution_id)
        rows = _count(str(event.get("rows", "")))
        if rows is None and verdict is not None:
            # pipelines whose steps can't pass it on
            rows = _count(str(verdict.get("rows", "")))
        record = {
            "batch_uri": str(event.get("batch_uri", "")),
            "batch_digest": digest,
            "model_version": required(event, "model_version"),
            "predictions_uri": uri,
            "files": len(found),
            "rows": rows,
            "execution_id": execution_id,
            "scored_at": self.now().isoformat(timespec="seconds"),
            **{name: str(event.get(name, "")) for name in ORIGIN},
        }
        own = self.open_bucket(self.settings.data_bucket)
        own.write_json(f"{self.settings.model_name}/state/scored/{digest}.json", record)
        self._metrics({"BatchScored": 1, **({"RowsScored": rows} if rows is not None else {})})
        if verdict is not None:
            self._remember(event, verdict)
            # a drift that is delivered was announced, with its numbers
            if verdict.get("verdict") == "ok":
                self._metrics(self._found(verdict))
                self._feature_metrics(verdict_uri)
        return {"predictions_uri": uri}

    def _refuse_changed(self, event: dict[str, Any], predictions_uri: str) -> None:
        number = required(event, "model_version")
        uris = [required(event, f"{name}_uri") for name in FILES]
        used = required(event, "file_versions").split()
        if len(used) != len(uris):
            raise BadRequest(
                f"the step's input 'file_versions' must hold {len(uris)} ids, got '{' '.join(used)}'"
            )
        warning = f"the predictions in {predictions_uri} must not be used"
        for (uri, now), version_id in zip(look_at(self.open_bucket, uris).items(), used, strict=True):
            if now is None:
                raise ModelArtifactChanged(
                    f"{uri} of version {number} was deleted while the run used it: {warning}"
                )
            if now.version_id != version_id:
                raise ModelArtifactChanged(
                    f"{in_words(now, number)}, while the run used S3 version {version_id}: {warning}"
                )

    def read_violations(self, event: dict[str, Any]) -> dict[str, str]:
        """Turn Model Monitor's report into action and message, and write verdict.json beside it."""
        folder = required(event, "report_uri").rstrip("/").removesuffix("/constraint_violations.json")
        bucket, key = split_uri(folder)
        store = self.open_bucket(bucket)
        report = store.read_json(f"{key}/constraint_violations.json")
        statistics = store.read_json(f"{key}/statistics.json")
        # a batch without violations may come without the file, but never without statistics
        if report is None and statistics is None:
            raise FileMissing(
                f"there is neither constraint_violations.json nor statistics.json below {folder}"
            )
        document = from_violations(
            report.value if report else {},
            statistics.value if statistics else {},
            str(event.get("predictions_on_drift", "withhold")).strip().lower(),
        )
        store.write_json(f"{key}/verdict.json", document)
        return {
            "action": document["action"],
            "message": shorten(one_line(document["message"]), MESSAGE_LIMIT),
        }

    def record_quality(self, event: dict[str, Any]) -> dict[str, str]:
        """Note what ground truth said about a version, and put the `Batch Finding` event where that is a loss.

        Of labels that were judged before, nothing is told again: a person had them judged anew, or two runs met. The
        event comes before the record: where it is refused, the next run judges anew.
        """
        uri = required(event, "report_uri")
        names = ("batch_digest", "ground_truth_digest", "model_version")
        judged = Judged(*(required(event, name) for name in names))
        execution_id, pipeline = required(event, "execution_id"), required(event, "pipeline_name")
        quality = Quality.parse(self._read(uri))
        own = self.open_bucket(self.settings.data_bucket)
        key = record_key(self.settings.model_name, judged)
        earlier = self._look(own, key)
        if earlier is not None and earlier.get("execution_id") != execution_id:
            log.info("judged before", record=own.uri(key), by=earlier.get("execution_id"))
            return {"message": quality.message}
        places = {name: str(event.get(name, "")) for name in ("batch_uri", "ground_truth_uri")}
        if quality.announced:
            self._put_event(
                {
                    **quality.detail,
                    "stage": self.settings.stage,
                    "model": self.settings.model_name,
                    "pipelineName": pipeline,
                    "pipelineExecutionId": execution_id,
                    "batchUri": places["batch_uri"],
                    "groundTruthUri": places["ground_truth_uri"],
                    "modelVersion": judged.version,
                    # the predictions have been out for long
                    "delivered": True,
                    "reportUri": uri,
                    "check": False,
                }
            )
        record = {
            "verdict": quality.verdict,
            "action": quality.action,
            "message": quality.message,
            "labels": quality.labels,
            "auc": quality.auc,
            "model_version": judged.version,
            "batch_digest": judged.batch_digest,
            "ground_truth_digest": judged.ground_truth_digest,
            **places,
            "report_uri": uri,
            "execution_id": execution_id,
            "judged_at": self.now().isoformat(timespec="seconds"),
            **{name: str(event.get(name, "")) for name in ORIGIN},
        }
        own.write_json(key, record)
        self._metrics(quality.metrics)
        return {"message": quality.message}

    def _is_check(self, uri: str) -> bool:
        return is_check(uri, self.settings.data_bucket, self.settings.model_name)

    def _read(self, uri: str) -> dict[str, Any]:
        bucket, key = split_uri(uri)
        document = self.open_bucket(bucket).read_json(key)
        if document is None:
            raise FileMissing(f"there is no verdict at {uri}: the step before should have written it")
        return document.value

    def _verdict_of(self, execution_id: str) -> tuple[str, dict[str, Any] | None]:
        """Where a batch's verdict lies, and what it holds; None where that can't be read."""
        own = self.open_bucket(self.settings.data_bucket)
        key = f"{self.settings.model_name}/inference/{execution_id}/data-quality/verdict.json"
        return own.uri(key), self._look(own, key)

    def _page_uri(self, verdict_uri: str) -> str:
        """Where the page of the check lies, or nothing where there is none."""
        bucket, key = split_uri(f"{verdict_uri.rpartition('/')[0]}/report.html")
        store = self.open_bucket(bucket)
        try:
            return store.uri(key) if store.exists(key) else ""
        except AwsError as error:
            log.warning("whether there is a page is not known", error=str(error))
            return ""

    def _remember(self, event: dict[str, Any], verdict: dict[str, Any]) -> None:
        record_batch(
            self.open_bucket(self.settings.data_bucket),
            self.settings.model_name,
            verdict,
            started_at=str(event.get("started_at", "")),
            execution_id=required(event, "execution_id"),
            model_version=str(event.get("model_version", "")),
            batch_uri=str(event.get("batch_uri", "")),
            batch_digest=str(event.get("batch_digest", "")),
            now=self.now(),
        )

    def _feature_metrics(self, verdict_uri: str) -> None:
        settings = self.settings
        bucket, key = split_uri(f"{verdict_uri.rpartition('/')[0]}/metrics.json")
        document = self._look(self.open_bucket(bucket), key)
        put_feature_metrics(
            self.cloudwatch, settings.namespace, settings.stage, settings.model_name, document
        )

    def _look(self, store: ObjectStore, key: str) -> dict[str, Any] | None:
        """What a file of the check holds; None where there is none, or it can't be read."""
        try:
            document = store.read_json(key)
        except (*AwsError, UnreadableObject) as error:
            log.warning("a file of the check could not be read", key=key, error=str(error))
            return None
        return document.value if document else None

    def _put_event(self, detail: dict[str, Any]) -> None:
        entry = {"Source": EVENT_SOURCE, "DetailType": EVENT_TYPE, "Detail": json.dumps(detail)}
        answer = self.events.put_events(Entries=[entry])
        # PutEvents answers 200 even where it took nothing
        if answer.get("FailedEntryCount"):
            failed = answer.get("Entries", [{}])[0]
            raise EventRefused(f"PutEvents failed: {failed.get('ErrorCode')}: {failed.get('ErrorMessage')}")

    def _found(self, verdict: dict[str, Any]) -> dict[str, float]:
        """What a check found, in numbers; whether drift goes on is known where the batch isn't broken."""
        if verdict.get("verdict") not in ("ok", "drift"):
            return _distances(verdict)
        own = self.open_bucket(self.settings.data_bucket)
        return {**_distances(verdict), "DriftedInARow": drifted_in_a_row(own, self.settings.model_name)}

    def _metrics(self, values: dict[str, float]) -> None:
        settings = self.settings
        put_metrics(self.cloudwatch, settings.namespace, settings.stage, settings.model_name, values)


def required(event: dict[str, Any], name: str) -> str:
    """Read an input of the step.

    Raises
    ------
    BadRequest
        It is missing or empty.
    """
    value = str(event.get(name, "")).strip()
    if not value:
        raise BadRequest(
            f"the step's input '{name}' is missing: compile the pipeline again with make definitions"
        )
    return value


def _at_least(value: str, limit: str) -> bool:
    try:
        return float(value) >= float(limit)
    except ValueError as error:
        raise BadRequest(f"expected two numbers, got '{value}' and '{limit}'") from error


def _distances(verdict: dict[str, Any]) -> dict[str, float]:
    """How many features drifted, and the largest distance where any is known."""
    features = [item for item in verdict.get("features") or () if isinstance(item, dict)]
    known = [item["distance"] for item in features if isinstance(item.get("distance"), int | float)]
    largest = {"LargestDistance": float(max(known))} if known and all(map(math.isfinite, known)) else {}
    return {"FeaturesDrifted": sum(1 for item in features if item.get("drifted")), **largest}


def _count(rows: str) -> int | None:
    try:
        return int(float(rows))
    except (ValueError, OverflowError):
        return None


def _below(item: ObjectSummary, key: str) -> bool:
    return item.key == key or item.key.startswith(key.rstrip("/") + "/")


def _short(violation: dict[str, Any]) -> dict[str, Any]:
    return {**violation, "description": shorten(one_line(violation.get("description", "")), 500)}


__all__ = [
    "BadRequest",
    "BadVerdict",
    "EventRefused",
    "FileMissing",
    "PredictionsMissing",
    "Recorder",
    "Settings",
]
