"""A recording says who was let do what, and who was not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.process import RECORD_VARIABLE
from tests.local_cloud.engine_kit import (
    DEV,
    FAKE,
    allow,
    denied,
    encrypted_bucket,
    make_key,
    make_role,
    queue,
    zip_of,
)
from tests.local_cloud.test_engine_events import make_rule

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("recording")]


@dataclass
class Recording:
    """What is recorded while a role writes an encrypted object twice, fails to read it, and makes a function."""

    path: Path
    role: str
    passed: str
    bucket: str
    rule: str
    queue: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def answers(self, principal: str, action: str) -> list[tuple[str, bool]]:
        """Return the resources an action was asked on by somebody, with the answer to each."""
        return [
            (line["resource"], line["allowed"])
            for line in self.lines
            if (line["principal"], line["action"]) == (principal, action)
        ]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("recording") / "new" / "decisions.jsonl"
    with LocalCloud.start(sagemaker_module=FAKE, record=path) as cloud:
        bucket = encrypted_bucket(cloud, DEV, make_key(cloud, DEV, alias="alias/data"))
        passed = make_role(cloud, DEV, path="/passed/", principal={"Service": "lambda.amazonaws.com"})
        may = ("s3:PutObject", "kms:GenerateDataKey", "lambda:CreateFunction", "iam:PassRole")
        role = make_role(cloud, DEV, allow(*may))
        session = cloud.assume(role, session_name="a-name-that-is-not-recorded")
        for _ in range(2):
            session.client("s3").put_object(Bucket=bucket, Key="folder/key", Body=b"rows")
        denied(session.client("s3").get_object, Bucket=bucket, Key="folder/key")
        session.client("lambda").create_function(
            FunctionName="made",
            Runtime="python3.12",
            Handler="index.handler",
            Role=passed,
            Code={"ZipFile": zip_of(index="")},
        )
        _, arn = queue(cloud, DEV, "events.amazonaws.com")
        rule, source = make_rule(cloud, DEV, {"Arn": arn})
        entry = {"Source": source, "DetailType": "any", "Detail": "{}"}
        cloud.session(DEV).client("events").put_events(Entries=[entry])
        thief = cloud.service_session(passed, service="lambda.amazonaws.com")
        denied(thief.client("s3").get_object, Bucket=bucket, Key="folder/key")
    return Recording(path, role, passed, bucket, rule, arn)


def test_a_role_is_recorded_with_its_path_and_without_its_session(recording: Recording) -> None:
    assert recording.answers(recording.role, "s3:PutObject") == [
        (f"arn:aws:s3:::{recording.bucket}/folder/key", True)
    ]
    assert "a-name-that-is-not-recorded" not in recording.path.read_text()


def test_a_refusal_is_recorded_too(recording: Recording) -> None:
    assert recording.answers(recording.role, "s3:GetObject") == [
        (f"arn:aws:s3:::{recording.bucket}/folder/key", False)
    ]


def test_the_key_behind_an_object_is_recorded_by_its_alias(recording: Recording) -> None:
    assert recording.answers(recording.role, "kms:GenerateDataKey") == [
        (f"arn:aws:kms:us-east-1:{DEV}:alias/data", True)
    ]


def test_a_role_that_is_handed_on_is_recorded(recording: Recording) -> None:
    assert recording.answers(recording.role, "iam:PassRole") == [(recording.passed, True)]


def test_a_service_that_a_resource_admits_is_recorded(recording: Recording) -> None:
    assert recording.answers("events.amazonaws.com", "sqs:SendMessage") == [(recording.queue, True)]


def test_what_is_tried_with_a_stolen_session_is_told_apart(recording: Recording) -> None:
    tried = {(line["principal"], line["action"]) for line in recording.lines if line["stolen"]}
    assert tried == {(recording.passed, "s3:GetObject")}


def test_condition_keys_are_recorded_without_their_values(recording: Recording) -> None:
    (asked,) = [line for line in recording.lines if line["action"] == "iam:PassRole"]
    assert "iam:passedtoservice" in asked["condition_keys"]
    (sent,) = [line for line in recording.lines if line["action"] == "sqs:SendMessage"]
    assert "aws:sourcearn" in sent["condition_keys"]
    assert recording.rule not in recording.path.read_text()


def test_clouds_of_other_programs_record_where_the_environment_says(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text('{"kept": true}\n')
    program = (
        "from local_cloud.cloud import LocalCloud\n"
        f"with LocalCloud.start(sagemaker_module={FAKE!r}) as cloud:\n"
        f"    cloud.session({DEV!r}).client('s3').create_bucket(Bucket='made')\n"
    )
    command, root = [sys.executable, "-c", program], Path(__file__).parents[2]
    subprocess.run(command, check=True, cwd=root, env={RECORD_VARIABLE: str(path)})
    kept, created = [json.loads(line) for line in path.read_text().splitlines()]
    assert kept == {"kept": True}
    assert (created["principal"], created["action"]) == (f"arn:aws:iam::{DEV}:root", "s3:CreateBucket")


def test_nothing_is_recorded_where_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RECORD_VARIABLE, raising=False)
    with LocalCloud.start(sagemaker_module=FAKE, work_dir=tmp_path) as cloud:
        cloud.session(DEV).client("s3").create_bucket(Bucket="made")
        written = [one.name for one in tmp_path.rglob("*.jsonl")]
    assert written == []
