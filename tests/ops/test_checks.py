"""What a check of a stage asks for, and the one line it ends with where something is not as it must be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.credentials
import pytest

from ops import checks_drift, checks_runs, checks_session
from ops import checks_versions as versions
from ops.assembly import StackAssembly
from ops.checks import check_stage
from ops.checks_common import CheckError, lead_seconds
from ops.checks_runs import Traces
from ops.checks_versions import OwnBatch
from ops.errors import CommandError
from ops.runs import Outcome
from stacks.installation import StageName
from tests.ops.check_world import FOLDER, HOME, World
from tests.stacks.installations import CONNECTION

STAGING = "s3://sagemaker-mlops-staging-444444444444-us-east-1"
PROD = "s3://sagemaker-mlops-prod-222222222222-us-east-1"
OWN = {
    "Arn": "arn:aws:sagemaker:us-east-1:444444444444:pipeline/mammo-severity-inference-pipeline",
    "RoleArn": "arn:aws:iam::444444444444:role/mlops/staging/scheduler/mammo-severity-staging-scheduler",
    "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:444444444444:dead-letters"},
    "RetryPolicy": {"MaximumRetryAttempts": 185},
}
TESTED = OwnBatch(3, "5,40,1,1,3\n5,62,2,1,2\n", "1,0.5\n2,0.25\n")
RUN = "run0"


@pytest.fixture
def world() -> World:
    """Version 3 waits and has a test batch; both stages have their schedules."""
    world = World(versions=[(4, "Rejected"), (3, "PendingManualApproval"), (2, "Approved"), (1, "Approved")])
    world.objects[f"{FOLDER}/check_batch.csv"] = TESTED.batch.encode()
    world.objects[f"{FOLDER}/check_scores.csv"] = TESTED.scores.encode()
    world.schedules["mammo-severity-staging-inference"] = OWN
    world.schedules["mammo-severity-prod-inference"] = OWN
    return world


def predicted(world: World, text: str, bucket: str = STAGING) -> None:
    world.objects[f"{bucket}/{HOME}/checks/{RUN}/predictions/part.csv.out"] = text.encode()


def outcome(status: str = "Succeeded") -> Outcome:
    arn = f"arn:aws:sagemaker:us-east-1:4:pipeline/mammo-severity-inference-pipeline/execution/{RUN}"
    return Outcome("mammo-severity-inference-pipeline", arn, status, 1.0)


def run_check(world: World, stage: StageName, version: str | None = None) -> list[str]:
    """Check a stage whose assembly has no pipelines to compare; return what it says."""
    said: list[str] = []
    check = world.check(stage, said.append)
    nothing = StackAssembly("Stack", Path(), {}, {})
    nothing.__dict__["pipelines"] = {}
    check_stage(
        check.settings, check.stage, [check.model], check.access, nothing, version=version, say=said.append
    )
    return said


# --- which version


def test_staging_tries_the_newest_version_that_is_not_rejected(world: World) -> None:
    found = versions.newest(world.check("staging"))
    assert found is not None
    assert found.number == 3


def test_prod_uses_the_newest_that_is_approved(world: World) -> None:
    found = versions.in_use(world.check("prod"))
    assert found is not None
    assert found.number == 2


@pytest.mark.parametrize("name", ["check_batch.csv", "check_scores.csv"])
def test_a_version_without_a_test_batch_fails_staging_and_is_told_in_prod(world: World, name: str) -> None:
    del world.objects[f"{FOLDER}/{name}"]
    with pytest.raises(
        CheckError, match="expected a test batch with version 3 of mammo-severity-model-package"
    ):
        run_check(world, "staging")
    assert any(
        "version 2 of mammo-severity-model-package was registered without" in s
        for s in run_check(world, "prod")
    )
    assert world.executions == []


def test_where_versions_are_released_prod_uses_the_newest_that_is(world: World) -> None:
    delivery = {"repository": "a/b", "connection_arn": CONNECTION, "approve_versions": True}
    check = world.check("prod", values={"delivery": delivery})
    assert versions.in_use(check) is None
    world.released = {1}
    found = versions.in_use(check)
    assert found is not None
    assert found.number == 1


def test_a_version_that_is_named_is_tried_even_if_it_is_not_the_newest(world: World) -> None:
    predicted(world, TESTED.scores, PROD)
    said = run_check(world, "prod", "1")
    assert "prod: scores the test batch of mammo-severity-model-package version 1" in said
    assert {"Name": "ModelVersion", "Value": "1"} in world.executions[0]["parameters"]


@pytest.mark.parametrize("stage", ["staging", "prod"])
def test_a_version_that_is_not_there_is_told_with_those_that_are(world: World, stage: StageName) -> None:
    with pytest.raises(CheckError, match=r"expected version 9 of .*; found the versions 4, 3, 2, 1; see"):
        run_check(world, stage, "9")


def test_dev_makes_a_version_and_tries_none(world: World) -> None:
    with pytest.raises(CommandError, match="VERSION is for STAGE=staging and STAGE=prod"):
        run_check(world, "dev", "3")


def test_a_version_is_of_one_model() -> None:
    world = World()
    check = world.check("prod")
    nothing = StackAssembly("Stack", Path(), {}, {})
    two = [check.model, replace(check.model, folder="wine")]
    with pytest.raises(CommandError, match="name it: MODEL=mammography or MODEL=wine"):
        check_stage(
            check.settings, check.stage, two, check.access, nothing, version="1", say=lambda line: None
        )


# --- the schedule


def test_the_one_off_schedule_is_like_the_stages_own_and_goes_afterwards(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECK_LEAD_SECONDS", "30")
    check = world.check("staging")
    before = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    given = checks_runs.parameters(check, "s3://batch", 3)
    checks_runs.start_by_schedule(check, checks_runs.own_schedule(check), "some-id", given)
    (made,) = world.made
    assert made["Name"] == "mlops-check-staging-some-id"
    assert {key: made["Target"][key] for key in ("Arn", "RoleArn", "DeadLetterConfig")} == {
        key: OWN[key] for key in ("Arn", "RoleArn", "DeadLetterConfig")
    }
    moment = datetime.strptime(made["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)")
    assert timedelta(seconds=30) <= moment - before <= timedelta(seconds=32)
    assert made["ActionAfterCompletion"] == "DELETE"
    assert {one["Name"]: one["Value"] for one in world.executions[0]["parameters"]} == {
        "RunUri": f"{STAGING}/{HOME}/checks",
        "transform_input": "s3://batch",
        "ModelVersion": "3",
        "Rescore": "true",
    }
    assert sorted(world.schedules) == ["mammo-severity-prod-inference", "mammo-severity-staging-inference"]


def test_a_schedule_that_starts_nothing_is_told_with_its_dead_letters_and_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECK_LEAD_SECONDS", "1")
    monkeypatch.setattr(checks_runs, "LATE_SECONDS", -0.9)
    world.fires = False
    check = world.check("staging")
    with pytest.raises(
        CheckError, match=r"found no execution .* look into the dead-letter queue dead-letters"
    ):
        checks_runs.start_by_schedule(
            check, checks_runs.own_schedule(check), "id", {"transform_input": "s3://b"}
        )
    assert "mlops-check-staging-id" not in world.schedules


@pytest.mark.parametrize("stage", ["staging", "prod"])
def test_a_stage_without_its_schedule_fails(world: World, stage: StageName) -> None:
    del world.schedules[f"mammo-severity-{stage}-inference"]
    with pytest.raises(
        CheckError, match=f"{stage}: expected the schedule mammo-severity-{stage}-inference; found none"
    ):
        run_check(world, stage)


@pytest.mark.parametrize("change", [{"Arn": "arn:aws:sagemaker:us-east-1:4:pipeline/other"}, {"RoleArn": ""}])
def test_a_schedule_of_another_target_or_without_a_role_fails(world: World, change: dict[str, str]) -> None:
    world.schedules["mammo-severity-prod-inference"] = {**OWN, **change}
    with pytest.raises(
        CheckError, match="to start pipeline/mammo-severity-inference-pipeline; found arn:aws"
    ):
        run_check(world, "prod")


@pytest.mark.parametrize("text", ["0", "3601", "-1", "1.5", "soon"])
def test_a_lead_that_cant_be_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECK_LEAD_SECONDS", text)
    with pytest.raises(CommandError, match=f"must be a whole number from 1 to 3600, got '{text}'"):
        lead_seconds()


# --- scores and traces


def test_scores_as_registered_pass(world: World) -> None:
    predicted(world, "1,0.5005\n2,0.25\n")
    said = checks_runs.compare_scores(world.check("staging"), outcome(), TESTED)
    assert said == "2 scores as registered (largest difference 0.000500)"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,0.5011\n2,0.25\n", "a difference of 0.0011 in s3://"),
        ("1,0.5\n", "1 scores instead of 2: without the ids 2"),
        ("1,0.5\n2,nan\n", "line 2, is not id,score: '2,nan'"),
        ("", "0 scores instead of 2"),
    ],
)
def test_other_scores_fail(world: World, text: str, found: str) -> None:
    predicted(world, text)
    with pytest.raises(CheckError) as failed:
        checks_runs.compare_scores(world.check("staging"), outcome(), TESTED)
    assert "staging: expected the scores that version 3 was registered with, to within 0.001" in str(
        failed.value
    )
    assert found in str(failed.value)


def test_what_other_runs_leave_meanwhile_is_no_trace_of_a_check(world: World) -> None:
    world.put_json(f"{PROD}/{HOME}/state/scored/a.json", {"execution_id": "earlier"})
    traces = Traces(world.check("prod"))
    world.put_json(f"{PROD}/{HOME}/state/scored/a.json", {"execution_id": "nightly"})
    world.put_json(f"{PROD}/{HOME}/state/scored/b.json", {"execution_id": "nightly"})
    world.objects[f"{PROD}/{HOME}/inference/nightly/predictions/x.out"] = b"1,0.5\n"
    traces.none_of(outcome())


@pytest.mark.parametrize("key", ["state/scored/b.json", f"inference/{RUN}/predictions/x.out"])
def test_a_trace_of_the_check_itself_fails(world: World, key: str) -> None:
    traces = Traces(world.check("prod"))
    world.put_json(f"{PROD}/{HOME}/{key}", {"execution_id": RUN})
    with pytest.raises(CheckError, match=f"to leave no trace beside checks/; found .*{key}"):
        traces.none_of(outcome())


def test_a_run_that_fails_is_told_with_step_and_reason(world: World) -> None:
    world.outcome = ("Failed", "Mammo-ResolveModel", "ModelArtifactChanged: model.tar.gz was written later")
    with pytest.raises(CheckError, match="failed at Mammo-ResolveModel: ModelArtifactChanged: model"):
        run_check(world, "prod")


# --- drift


def drift(world: World, **objects: dict[str, Any]) -> None:
    """See a drift through that left these decision and alert objects."""
    world.outcome = ("Failed", "Mammo-DriftFail", "DataDriftDetected: Age 0.9")
    for kind, value in objects.items():
        world.put_json(f"{STAGING}/{HOME}/state/{kind}/{RUN}.json", value)
    checks_drift.check_drift(world.check("staging"), "id", TESTED)


DECIDED = {"decision": "not_started", "reason": "the run was a check, and a check never retrains"}
SENT = {"state": "sent", "cause": "DataDriftDetected", "subject": "[staging] model: check: data drift"}


def test_a_drift_that_is_withheld_decided_about_and_told_passes(world: World) -> None:
    drift(world, retraining=DECIDED, alerts=SENT)
    (batch,) = [body for uri, body in world.objects.items() if uri.endswith("/checks/batches/id/shifted.csv")]
    assert batch == b"5,62,1,1,3\n5,62,2,1,2\n"
    assert {"Name": "PredictionsOnDrift", "Value": "withhold"} in world.executions[0]["parameters"]


@pytest.mark.parametrize(
    ("objects", "found"),
    [
        ({"alerts": SENT}, "found no decision within"),
        ({"retraining": {**DECIDED, "decision": "starting"}, "alerts": SENT}, "found no decision within"),
        ({"retraining": {"decision": "started", "reason": "drift"}, "alerts": SENT}, "found started because"),
        (
            {"retraining": {"decision": "not_started", "reason": "version 3 waits"}, "alerts": SENT},
            "found not_started because version 3 waits",
        ),
        ({"retraining": DECIDED}, "found none within"),
        ({"retraining": DECIDED, "alerts": {**SENT, "state": "claimed"}}, "found none within"),
        ({"retraining": DECIDED, "alerts": {**SENT, "cause": "StepFailed"}}, "found the cause StepFailed"),
    ],
)
def test_a_drift_that_is_not_seen_through_fails(
    world: World, objects: dict[str, dict[str, Any]], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_drift, "WAIT_SECONDS", 0.02)
    with pytest.raises(CheckError, match=found):
        drift(world, **objects)


@pytest.mark.parametrize(
    "ended", [("Succeeded", "", ""), ("Failed", "Mammo-Transform", "out of memory")], ids=["scored", "broke"]
)
def test_a_drift_that_does_not_end_the_run_as_such_fails(world: World, ended: tuple[str, str, str]) -> None:
    world.outcome = ended
    with pytest.raises(
        CheckError, match="expected a batch whose Age is always 62 to end with DataDriftDetected"
    ):
        checks_drift.check_drift(world.check("staging"), "id", TESTED)


# --- the build's session


def test_a_builds_session_is_renewed_when_it_nears_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(self: Any) -> dict[str, str]:
        asked.append(self._role_arn)
        soon = datetime.now(UTC) + timedelta(minutes=1)
        keys = {"access_key": f"key{len(asked)}", "secret_key": "secret", "token": "token"}
        return {**keys, "expiry_time": soon.isoformat()}

    monkeypatch.setattr(botocore.credentials.AssumeRoleCredentialFetcher, "fetch_credentials", fetch)
    monkeypatch.setattr(boto3.Session, "client", lambda self, service: _Sts())
    session = checks_session.build_session("arn:aws:iam::1:role/checker", "us-east-1", name="check")
    first = session.get_credentials().get_frozen_credentials().access_key
    second = session.get_credentials().get_frozen_credentials().access_key
    assert first != second
    assert set(asked) == {"arn:aws:iam::1:role/checker"}


class _Sts:
    def get_caller_identity(self) -> dict[str, str]:
        return {}
