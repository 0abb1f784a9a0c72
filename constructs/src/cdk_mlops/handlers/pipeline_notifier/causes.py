"""Why a run ended: a known word in what its steps say, or the step itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared.text import one_line

NO_APPROVED_MODEL = "NoApprovedModel"
VERSION_NOT_FOUND = "VersionNotFound"
VERSION_NOT_APPROVED = "VersionNotApproved"
APPROVAL_NOT_RECORDED = "ApprovalNotRecorded"
ARTIFACT_CHANGED = "ModelArtifactChanged"
BATCH_NOT_FOUND = "BatchNotFound"
BATCH_AMBIGUOUS = "BatchAmbiguous"
BATCH_ALREADY_SCORED = "BatchAlreadyScored"
GROUND_TRUTH_NOT_FOUND = "GroundTruthNotFound"
BATCH_NOT_SCORED = "BatchNotScored"
DRIFT = "DataDriftDetected"
VIOLATION = "DataQualityViolated"
REJECTED = "ModelRejected"
STEP_FAILED = "StepFailed"
STOPPED = "Stopped"
# a finding, which no step's failure says
QUALITY_LOST = "ModelQualityLost"

_WORDS = (
    NO_APPROVED_MODEL,
    VERSION_NOT_FOUND,
    VERSION_NOT_APPROVED,
    APPROVAL_NOT_RECORDED,
    ARTIFACT_CHANGED,
    BATCH_NOT_FOUND,
    BATCH_AMBIGUOUS,
    BATCH_ALREADY_SCORED,
    GROUND_TRUTH_NOT_FOUND,
    BATCH_NOT_SCORED,
    DRIFT,
    VIOLATION,
    REJECTED,
)
_KNOWN = re.compile(rf"\b({'|'.join(_WORDS)}):\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class FailedStep:
    """A step that failed.

    Parameters
    ----------
    jobs
        ARNs of what it ran, by kind: `ProcessingJob`, `TrainingJob`, `TransformJob`, `Lambda` ...
    """

    name: str
    reason: str
    jobs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Cause:
    """Why a run ended badly: one of the words above, and a sentence."""

    word: str
    message: str
    step: FailedStep | None = None


def read_step(step: dict[str, Any]) -> FailedStep:
    """Read one item of ListPipelineExecutionSteps."""
    metadata = step.get("Metadata") or {}
    jobs = tuple(
        (kind, str(part["Arn"]))
        for kind, part in metadata.items()
        if isinstance(part, dict) and part.get("Arn")
    )
    reason = step.get("FailureReason") or (metadata.get("Fail") or {}).get("ErrorMessage") or ""
    return FailedStep(str(step.get("StepName", "")), plain_reason(str(reason)), jobs)


def plain_reason(reason: str) -> str:
    """What a step says, without the JSON and the stack trace in which a Lambda function's error comes."""
    start = reason.find("{")
    if start < 0 or '"errorMessage"' not in reason:
        return one_line(reason)
    try:
        found, _ = json.JSONDecoder().raw_decode(reason[start:])
        message, kind = str(found["errorMessage"]), str(found.get("errorType", ""))
    except (ValueError, KeyError, TypeError):
        return one_line(reason)
    return one_line(message if not kind or message.startswith(f"{kind}:") else f"{kind}: {message}")


def find_cause(status: str, steps: Iterable[FailedStep], execution_reason: str) -> Cause:
    """Tell the cause from the failed steps, then from what the execution says."""
    failed = list(steps)
    if status == "Stopped":
        return Cause(STOPPED, one_line(execution_reason), failed[0] if failed else None)
    whole = FailedStep("", plain_reason(execution_reason))
    for step in [*failed, whole]:
        match = _KNOWN.search(step.reason)
        if match:
            word, message = match.group(1), one_line(match.group(2))
            # the function's message begins with its error's name, and whoever reports it may put it before once more
            while message.startswith(f"{word}:"):
                message = message[len(word) + 1 :].lstrip()
            return Cause(word, message, step if step.name else None)
    first = next((step for step in failed if step.reason), failed[0] if failed else None)
    return Cause(STEP_FAILED, first.reason if first and first.reason else whole.reason, first)
