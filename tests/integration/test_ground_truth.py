"""Ground truth that arrives late: judged once, told once, retrained once, and only where it shows a loss."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from demo.lookout import Run
from ops import runs
from tests.fixtures.trees import two_models
from tests.fixtures.wine_data import training_rows, write_batch, write_training_file
from tests.integration.loop import Loop, words
from tests.integration.test_drift import measured

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-c")]

NAME = "november.csv"
CHECK = "ModelQualityCheck"


@pytest.fixture(scope="module")
def both(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Loop]]:
    """Two models, each with an approved version: the first learnt in dev, from what prod's batch doesn't hold."""
    tree, wines = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_DEFINITIONS", str(two_models(tree)))
        with Loop.installed({"models": [{"folder": "mammography"}, {"folder": "wine"}]}, files) as installed:
            mammography, wine = installed, installed.of("wine")
            mammography.upload("dev", "prod")
            wine.files = wines
            write_training_file(wines)
            write_batch(wines, rows=200)
            wine.upload("prod")
            mammography.train_and_approve()
            wine.train_and_approve("prod")
            yield {"mammography": mammography, "wine": wine}


@pytest.fixture(scope="module")
def labels(both: dict[str, Loop]) -> list[int]:
    """Labels of a batch that prod has scored, in the order of its rows; ids are the rows' numbers."""
    loop = both["mammography"]
    rows = (loop.files / "mammo-train-dataset-part2.csv").read_text().splitlines()[1:]
    cells = [row.rsplit(",", 1) for row in rows]
    batch = loop.put("prod", f"data/batch-dataset/{NAME}", "".join(f"{left}\n" for left, _ in cells))
    run = loop.score("prod", batch, PredictionsOnDrift="deliver")
    assert (run.outcome.status, run.rows_scored) == ("Succeeded", len(rows)), run.outcome.in_words()
    return [int(float(label)) for _, label in cells]


def deliver(loop: Loop, truth: Mapping[Any, object] | str, name: str = NAME) -> str:
    """Lay down ground truth: lines of id and label."""
    text = truth if isinstance(truth, str) else "".join(f"{id_},{label}\n" for id_, label in truth.items())
    return loop.put("prod", f"data/ground-truth/{name}", text)


def judge(loop: Loop, **parameters: str) -> Run:
    return loop.run("prod", "quality", **parameters)


def judged(loop: Loop, run: Run) -> bool:
    """Whether a run judged anything; else it ended well with nothing done."""
    done = any(name.endswith(CHECK) for name in run.outcome.steps)
    if not done:
        assert run.outcome.status == "Succeeded", run.outcome.in_words()
        assert loop.keys("prod", f"quality/{run.outcome.execution_id}") == []
    return done


def report(loop: Loop, run: Run) -> Any:
    home = f"s3://{loop.stage('prod').data_bucket_name}/{loop.model.model_name}/quality"
    return loop.read_json(f"{home}/{run.outcome.execution_id}/model-quality/model-quality.json", "prod")


def records(loop: Loop) -> dict[str, Any]:
    """What was found, by the run that found it."""
    bucket = loop.stage("prod").data_bucket_name
    found = [
        loop.read_json(f"s3://{bucket}/{key}", "prod")
        for key in loop.keys("prod", "state/quality/")
        if not key.endswith(".tries.json")
    ]
    return {one["execution_id"]: one for one in found}


def test_without_ground_truth_a_run_ends_well_with_nothing_done(
    both: dict[str, Loop], labels: list[int]
) -> None:
    for loop in both.values():
        assert not judged(loop, judge(loop))
        assert loop.keys("prod", "state/quality/") == []


def test_the_schedule_starts_a_run(both: dict[str, Loop]) -> None:
    loop = both["mammography"]
    before = loop.executions("prod", "quality")
    account, name = loop.settings.accounts["prod"], f"{loop.model.prefix}-prod-quality"
    loop.cloud.fire_schedules(account, loop.region, name=name)
    arn = loop.wait_for(
        "an execution started by the schedule",
        lambda: next((one for one in loop.executions("prod", "quality") if one not in before), None),
    )
    assert not judged(loop, loop.follow("by the schedule", "prod", arn))


def test_ground_truth_that_agrees_leaves_numbers_and_a_record_only(
    both: dict[str, Loop], labels: list[int]
) -> None:
    loop = both["mammography"]
    uri = deliver(loop, dict(enumerate(labels, 1)))
    run = judge(loop)
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    found = report(loop, run)
    assert (found["verdict"], found["action"], found["rows"]["joined"]) == ("ok", "none", len(labels))
    (kept,) = records(loop).values()
    assert (kept["verdict"], kept["ground_truth_uri"], kept["model_version"]) == ("ok", uri, "1")
    assert kept["auc"]["value"] == found["auc"]["value"] > 0.85
    for name, value in {
        "AucByGroundTruth": found["auc"]["value"],
        "AucAtTraining": found["auc"]["at_training"],
        "RowsLabelled": len(labels),
        "ModelQualityLost": 0,
    }.items():
        assert measured(loop, name) == [pytest.approx(value)], name
    assert loop.messages("prod") == []
    assert loop.executions("prod", "train") == []
    assert not judged(loop, judge(loop))


@pytest.fixture(scope="module")
def lost(both: dict[str, Loop], labels: list[int]) -> Run:
    """The run that found the loss, with the retraining that it started at its end."""
    loop = both["mammography"]
    deliver(loop, {number: 1 - label for number, label in enumerate(labels, 1)})
    run = judge(loop)
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    decision = loop.decision("prod", run)
    assert (decision["decision"], decision["cause"]) == ("started", "model_quality"), decision
    retrained = loop.follow("retrained", "prod", decision["train_execution_arn"])
    assert retrained.outcome.status == "Succeeded", retrained.outcome.in_words()
    return run


def test_a_loss_is_told_once_and_retrains_once(both: dict[str, Loop], lost: Run, labels: list[int]) -> None:
    loop = both["mammography"]
    found = report(loop, lost)
    assert (found["verdict"], found["action"]) == ("loss", "announce_and_retrain")
    (alert,) = loop.alerts(lost)
    now, then = found["auc"]["value"], found["auc"]["at_training"]
    assert alert["subject"] == (
        "[prod] mammography-severity-model: version 1 has an AUC of"
        f" {now:.2f} by ground truth, {then:.2f} at training"
    )
    training = loop.executions("prod", "train")
    assert len(training) == 1
    for line in (
        f"Execution {lost.outcome.execution_id} of mammo-severity-quality-pipeline (prod) judged",
        f"/data/batch-dataset/{NAME}, scored with version 1.",
        f"/data/ground-truth/{NAME} ({len(labels)} labels).",
        f"AUC {now:.3f} of {len(labels)} labelled rows against {then:.3f} at training",
        f"A retraining was started: execution {training[0].rsplit('/', 1)[-1]} of mammo-severity-train-pipeline.",
        f"/quality/{lost.outcome.execution_id}/model-quality/model-quality.json -",
    ):
        assert line in alert["body"], line
    assert "Not known" not in alert["body"]
    assert [version.trained_in for version in loop.versions()] == ["111111111111", "222222222222"]
    assert records(loop)[lost.outcome.execution_id]["action"] == "announce_and_retrain"
    assert 1 in measured(loop, "ModelQualityLost")


def test_the_same_labels_are_not_judged_again(both: dict[str, Loop], lost: Run) -> None:
    loop = both["mammography"]
    before = len(loop.messages("prod"))
    assert not judged(loop, judge(loop))
    # one that a person names is judged, and tells nobody what was told
    named = judge(loop, ground_truth_input=f"{home_of(loop)}/ground-truth/{NAME}")
    assert judged(loop, named)
    assert report(loop, named)["verdict"] == "loss"
    assert named.outcome.execution_id not in records(loop)
    assert len(loop.messages("prod")) == before
    assert len(loop.executions("prod", "train")) == 1


def test_more_labels_are_judged_again_and_retrain_nothing_twice(
    both: dict[str, Loop], lost: Run, labels: list[int]
) -> None:
    """Ids that are missing, unknown or there twice are counted and named."""
    loop = both["mammography"]
    flipped = [f"{number},{1 - label}" for number, label in enumerate(labels, 1)][2:]
    odd = ["x7,1", flipped[0], f"4,{labels[3]}"]  # of no prediction; repeated; contradictory
    deliver(loop, "id,label\n" + "\n".join([*flipped, *odd]) + "\n")
    run = judge(loop)
    found = report(loop, run)
    assert {kind: (one["count"], one["first"]) for kind, one in found["ids"].items() if one["count"]} == {
        "missing": (2, ["1", "2"]),
        "unknown": (1, ["x7"]),
        "duplicate_labels": (1, ["3"]),
        "conflicting_labels": (1, ["4"]),
    }
    decision = loop.decision("prod", run)
    assert (decision["decision"], decision["waiting_version"]) == ("not_started", 2)
    (alert,) = loop.alerts(run)
    for line in (
        "2 predictions have no ground truth: '1', '2'.",
        "1 ids of ground truth have no prediction: 'x7'.",
        "1 labels are repeated and count once: '3'.",
        "1 ids have different labels and don't count: '4'.",
        "No retraining was started: version 2 of mammo-severity-model-package in account 333333333333 waits",
    ):
        assert line in alert["body"], line
    assert len(loop.executions("prod", "train")) == 1


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ("1,0\n2,maybe\n", f"{NAME}, line 2, column Severity: 'maybe' is not an integer"),
        ("1,0,0\n", f"{NAME}, line 1: has 3 cells; expected 2: id,label"),
        ("id,label\n", f"the ground truth holds no line: {NAME} has no rows"),
        ("nobody,1\n", "none of the 1 ids of ground truth is among the"),
    ],
    ids=["text", "width", "no-rows", "no-id"],
)
def test_broken_ground_truth_fails_the_run_with_one_line(
    both: dict[str, Loop], labels: list[int], truth: str, said: str
) -> None:
    loop = both["mammography"]
    uri = deliver(loop, truth)
    known = len(records(loop))
    run = judge(loop)
    assert run.outcome.failed_step == f"Mammo-{CHECK}"
    assert said in words(run)
    assert "\n" not in words(run)
    (alert,) = loop.alerts(run)
    assert alert["subject"] == "[prod] mammography-severity-model: ground truth could not be judged"
    assert said in alert["body"]
    assert (
        f"make run PIPELINE=quality STAGE=prod MODEL=mammography-severity-model INPUT={uri}" in alert["body"]
    )
    assert len(records(loop)) == known


def test_what_is_broken_is_left_after_three_tries_and_named_in_one_line_where_it_is_empty(
    both: dict[str, Loop], labels: list[int]
) -> None:
    loop = both["mammography"]
    uri = deliver(loop, "1\n")
    tried = [judge(loop) for _ in range(3)]
    assert [run.outcome.status for run in tried] == ["Failed"] * 3
    assert not judged(loop, judge(loop))
    deliver(loop, "")
    assert not judged(loop, judge(loop))
    run = judge(loop, ground_truth_input=uri)
    assert words(run).startswith(f"GroundTruthNotFound: {uri} does not exist or is empty: lay the labels")
    (alert,) = loop.alerts(run)
    assert alert["subject"].endswith(": nothing judged, the ground truth is missing")


def test_another_model_is_judged_by_ids_and_neither_touches_the_other(
    both: dict[str, Loop], lost: Run
) -> None:
    mammography, wine = both["mammography"], both["wine"]
    before = len(mammography.keys("prod", "state/quality/")), len(wine.executions("prod", "train"))
    scored = wine.score(
        "prod", wine.put_batch("prod", "wine-batch-dataset.csv"), PredictionsOnDrift="deliver"
    )
    assert scored.outcome.status == "Succeeded", scored.outcome.in_words()
    (record,) = wine.keys("prod", "state/scored/")
    batch = wine.read_json(f"s3://{wine.stage('prod').data_bucket_name}/{record}", "prod")["batch_uri"]
    name = batch.partition("/data/batch-dataset/")[2]
    truth = {row[0]: row[-1] for row in reversed(training_rows(200, 8))}
    # files of a folder come one after the other
    halves = [dict(list(truth.items())[:100]), dict(list(truth.items())[100:])]
    joined = []
    for place, half in enumerate(halves):
        deliver(wine, half, f"{name}/{place}.csv")
        run = judge(wine)
        found = report(wine, run)
        assert (found["verdict"], found["rows"]["predictions"]) == ("ok", 200), found["message"]
        joined.append(found["rows"]["joined"])
    assert joined == [100, 200]
    assert not judged(wine, judge(wine))
    after = len(mammography.keys("prod", "state/quality/")), len(wine.executions("prod", "train"))
    assert after == before
    assert not [one for one in wine.messages("prod") if "wine" in one["subject"]]


def home_of(loop: Loop) -> str:
    return f"s3://{loop.stage('prod').data_bucket_name}/{loop.model.model_name}/data"


def test_steps_are_those_of_the_contract(both: dict[str, Loop], lost: Run) -> None:
    steps = runs.steps_of(both["mammography"].client("prod", "sagemaker"), lost.outcome.execution_arn)
    assert [step["StepName"] for step in steps] == [
        f"Mammo-{name}" for name in ("ResolveGroundTruth", "CheckGroundTruth", CHECK, "RecordModelQuality")
    ]
    answers = {one["Name"]: one["Value"] for one in steps[0]["Metadata"]["Lambda"]["OutputParameters"]}
    assert (answers["found"], answers["waiting"], answers["model_version"]) == ("true", "0", "1")
    assert json.dumps(answers).count("none") == 0
