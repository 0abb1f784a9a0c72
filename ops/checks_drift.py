"""A batch that drifted must be withheld, must not retrain, because it is a check, and must alert."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ops import runs
from ops.checks_common import Check
from ops.checks_runs import parameters, put_batch, start
from ops.checks_scores import described, shift
from ops.checks_versions import OwnBatch

WAIT_SECONDS = 180
DRIFT = "DataDriftDetected"


def check_drift(check: Check, check_id: str, tested: OwnBatch) -> None:
    """Score a shifted batch and see what became of it.

    Raises
    ------
    CheckError
        Where the drift was not found, not decided about, or not told.
    """
    shifted = shift(tested.batch, described(check.model.folder))
    check.say(f"  every {shifted.feature} is {shifted.value}: that must be found")
    uri = put_batch(check, check_id, "shifted.csv", shifted.text)
    outcome = start(check, parameters(check, uri, tested.version, PredictionsOnDrift="withhold"))
    if outcome.status != "Failed" or DRIFT not in (outcome.reason or ""):
        check.fail(
            f"a batch whose {shifted.feature} is always {shifted.value} to end with {DRIFT}",
            outcome.in_words(),
            f"see the threshold (mlops.thresholds.drift is {check.model.thresholds.drift}) and the monitor's report",
        )
    check.say(f"  {DRIFT}, as expected")
    _decision(check, outcome)
    _alert(check, outcome)


def _decision(check: Check, outcome: runs.Outcome) -> None:
    wanted = "the retrain function to decide not_started about a check"
    found = _wait(
        check,
        f"state/retraining/{outcome.execution_id}.json",
        lambda decision: decision.get("decision") != "starting",
    )
    if found is None:
        check.fail(
            wanted,
            f"no decision within {WAIT_SECONDS} s",
            f"see the log of {check.model.prefix}-{check.stage.name}-retrain and its dead-letter queue",
        )
    said = f"{found.get('decision')} because {found.get('reason')}"
    if found.get("decision") != "not_started" or "check" not in str(found.get("reason")):
        check.fail(wanted, said, "see how the function tells checks apart: by their RunUri")
    check.say(f"  retraining {said}")


def _alert(check: Check, outcome: runs.Outcome) -> None:
    wanted = f"one alert about {outcome.execution_id} with the cause {DRIFT}"
    found = _wait(
        check, f"state/alerts/{outcome.execution_id}.json", lambda alert: alert.get("state") == "sent"
    )
    if found is None:
        check.fail(
            wanted,
            f"none within {WAIT_SECONDS} s",
            f"see the log of mlops-{check.stage.name}-pipeline-notifier and its dead-letter queue",
        )
    if found.get("cause") != DRIFT:
        check.fail(wanted, f"the cause {found.get('cause')}", "see the message that was sent")
    check.say(f"  alert sent: {found.get('subject')}")


def _wait(check: Check, key: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """Return a state object as soon as it is there and done; None where it isn't in time."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        found = check.read_json(key)
        if found is not None and done(found):
            return found
        time.sleep(check.access.poll_seconds)
    return None
