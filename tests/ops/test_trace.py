"""A version's trace: what the registry says, what the stages add, and what is said where they may not be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.errors import CommandError
from ops.trace import Trace, stage_of, trace
from pipeline_code import definitions
from stacks.installation import Stage
from stacks.settings import load
from tests.ops.check_world import HOME, VALUES, World

SETTINGS = load(VALUES)
MODEL = SETTINGS.models[0]
PROD = "s3://sagemaker-mlops-prod-222222222222-us-east-1"
EXECUTION = "arn:aws:sagemaker:us-east-1:222222222222:pipeline/mammo-severity-train-pipeline/execution/abc"
METADATA = {
    "git_commit": "c" * 40,
    "code_uri": f"{PROD}/{HOME}/scripts/{'d' * 64}",
    "definition_sha256": definitions.load("mammography").train_sha256,
    "execution_arn": EXECUTION,
    "data_sha256": "e" * 64,
    "data_rows": "830",
    "cv_auc": "0.91",
    "champion_version": "2",
}


@pytest.fixture
def world() -> World:
    """Version 3 was trained in prod, and approved."""
    world = World(versions=[(3, "Approved"), (2, "Approved")], metadata=dict(METADATA))
    world.executions.append(
        {"arn": EXECUTION, "parameters": [{"Name": "RunUri", "Value": f"{PROD}/{HOME}/train"}]}
    )
    summary = {"files": [{"name": "part1.csv", "rows": 830, "sha256": "f" * 64}]}
    world.put_json(f"{PROD}/{HOME}/train/abc/summary/summary.json", summary)
    return world


def traced(world: World, version: str = "3", closed: tuple[str, ...] = ()) -> Trace:
    """Trace as somebody who has no access to some stages."""

    def session_in(stage: Stage) -> Any:
        if stage.name in closed:
            raise CommandError(f"{stage.name} is account {stage.account}, but no credentials found")
        return world

    return trace(SETTINGS, MODEL, version, world, session_in)


def test_the_registry_names_commit_code_data_champion_and_who_decided(world: World) -> None:
    found = traced(world)
    assert (found.commit, found.code_sha256) == ("c" * 40, "d" * 64)
    assert (found.data_sha256, found.data_rows, found.champion) == ("e" * 64, "830", "2")
    assert found.decided_by == "arn:aws:sts::3:assumed-role/approver/approve-alice"
    assert (found.decided_at, found.decision_note) == ("2026-11-21 09:30:00 UTC", "as good as the last")


def test_the_stage_adds_data_files_and_parameters(world: World) -> None:
    found = traced(world)
    assert found.stage == "prod"
    assert [(one.name, one.rows) for one in found.data_files] == [("part1.csv", 830)]
    assert found.parameters == {"RunUri": f"{PROD}/{HOME}/train"}
    assert found.missing == []


def test_what_a_stage_scored_with_this_version_is_counted(world: World) -> None:
    for name, number, day in (("a", 3, 20), ("b", 3, 21), ("c", 2, 22)):
        scored = {"model_version": number, "rows": 48, "scored_at": f"2026-11-{day}T23:00:00+00:00"}
        world.put_json(f"{PROD}/{HOME}/state/scored/{name}.json", scored)
    assert traced(world).used_for == {
        "dev": "scored no batch",
        "staging": "scored no batch",
        "prod": "scored 2 batches, 96 rows, the last 2026-11-21T23:00:00+00:00",
    }


def test_a_stage_without_access_is_said_in_a_line_and_the_rest_is_told(world: World) -> None:
    found = traced(world, closed=("prod", "staging"))
    assert found.commit == "c" * 40
    assert found.parameters == {}
    assert found.missing == [
        "what staging scored with it: staging is account 444444444444, but no credentials found",
        "data files and parameters of its run, and what prod scored with it: prod is account 222222222222, but no"
        " credentials found",
    ]


def test_parameters_that_may_not_be_read_are_said_and_the_data_still_found(world: World) -> None:
    world.executions.clear()
    found = traced(world)
    assert found.missing == ["the parameters of its run: not yours"]
    assert [one.name for one in found.data_files] == ["part1.csv"]


def test_data_files_that_are_gone_are_said_with_their_place(world: World) -> None:
    del world.objects[f"{PROD}/{HOME}/train/abc/summary/summary.json"]
    (line,) = traced(world).missing
    assert line.startswith(
        f"the data files of its run: {PROD}/{HOME}/train/abc/summary/summary.json is not there"
    )


@pytest.mark.parametrize(
    ("sha256", "words"),
    [
        (
            METADATA["definition_sha256"],
            "the one in definitions/mammography/default/train.json of this clone",
        ),
        ("0" * 64, "not the one of this clone; look at the commit above"),
        (None, "registered before versions carried it"),
    ],
)
def test_the_definition_is_compared_with_the_clones(world: World, sha256: str | None, words: str) -> None:
    if sha256 is None:
        del world.metadata["definition_sha256"]
    else:
        world.metadata["definition_sha256"] = sha256
    assert traced(world).definition_here == words


def test_a_version_of_an_execution_that_is_no_stages_says_so(world: World) -> None:
    world.metadata["execution_arn"] = EXECUTION.replace("222222222222", "999999999999")
    found = traced(world)
    assert found.stage == "unknown"
    assert found.missing == [f"the stage: no stage of these settings has the execution {found.execution_arn}"]


@pytest.mark.parametrize("account", ["111111111111", "444444444444", "222222222222"])
def test_the_stage_is_told_by_the_executions_account(account: str) -> None:
    found = stage_of(SETTINGS, MODEL, EXECUTION.replace("222222222222", account))
    assert found is not None
    assert found.account == account


def test_stages_of_one_account_are_told_by_the_pipelines_name() -> None:
    shared = load({"models": [{"folder": "mammography"}], "accounts": {"dev": "1" * 12, "prod": "1" * 12}})
    for name in ("dev", "prod"):
        arn = f"arn:aws:sagemaker:us-east-1:{'1' * 12}:pipeline/mammo-severity-{name}-train-pipeline/execution/x"
        found = stage_of(shared, shared.models[0], arn)
        assert found is not None
        assert found.name == name


def test_the_files_that_were_approved_are_named_with_who_approved_them_whatever_changed_the_version_last(
    world: World,
) -> None:
    world.metadata |= {
        "approved_by": "arn:aws:sts::3:assumed-role/approver/approve-bob",
        "approved_at": "2026-11-21T09:00:00+00:00",
        "approved_model_version_id": "v1",
        "approved_model_sha256": "abc",
    }
    found = traced(world)
    assert found.decided_by.endswith("/approve-alice")
    assert found.approved_files == {"model": "S3 version v1, sha256 abc"}
    assert "approved    model: S3 version v1, sha256 abc" in found.as_text()
    world.modified_by = "arn:aws:sts::3:assumed-role/mlops-registry-recorder/function"
    found = traced(world)
    assert (found.decided_by, found.decided_at) == (
        "arn:aws:sts::3:assumed-role/approver/approve-bob",
        "2026-11-21T09:00:00+00:00",
    )


def test_a_version_that_waits_has_nobody_who_decided(world: World) -> None:
    world.versions[0] = (3, "PendingManualApproval")
    found = traced(world)
    assert (found.decided_by, found.decided_at) == ("", "")
    assert "status      PendingManualApproval" in found.as_text().splitlines()


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("9", "mammo-severity-model-package has no version 9 "),
        ("newest", "VERSION must be the number of a version, got 'newest'"),
    ],
)
def test_a_version_that_cant_be_is_told(world: World, version: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        traced(world, version)


def test_the_text_tells_people_what_the_json_tells_programs(world: World) -> None:
    found = traced(world)
    text, told = found.as_text(), json.loads(found.as_json())
    for key in ("commit", "code_uri", "definition_sha256", "execution_arn", "data_sha256", "decided_by"):
        assert told[key] in text
    assert "champion    version 2" in text.splitlines()
    assert "parameters  RunUri = " in text
