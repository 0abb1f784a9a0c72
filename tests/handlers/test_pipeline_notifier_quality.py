"""Alerts of quality runs: a loss that ground truth shows, and ground truth that could not be judged."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.fake_aws import refusal
from tests.handlers.notifier_world import DATA, RUN, World, lambda_error

PIPELINE = "mammo-severity-quality-pipeline"
TRUTH = "s3://data/model/data/ground-truth/nov.csv"
BATCH = "s3://data/model/data/batch-dataset/nov.csv"
REPORT = f"s3://data/model/quality/{RUN}/model-quality/model-quality.json"
AUC = {"value": 0.71, "at_training": 0.912, "drop": 0.202, "margin": 0.05, "lost": True}
MESSAGE = "AUC 0.710 of 96 labelled rows against 0.912 at training: a drop of 0.202, with a chance of 1e-05."
KEY = f"model/state/alerts/{RUN}-model-quality.json"


@pytest.fixture
def world() -> World:
    return World(kind="quality")


def loss(world: World, **more: Any) -> dict[str, Any]:
    detail = {
        "finding": "model_quality",
        "retrain": True,
        "message": MESSAGE,
        "labels": 96,
        "auc": AUC,
        "calibration": {"value": 0.02, "at_training": 0.01, "lost": False},
        "segments": [],
        "features": [],
        "modelVersion": "3",
        "batchUri": BATCH,
        "groundTruthUri": TRUTH,
        "reportUri": REPORT,
    }
    return world.finding(**{**detail, **more})


def judging(world: World, step: str, reason: str, found: bool = True) -> None:
    """Let a run fail in a step, after the resolver had answered."""
    world.fails(f"Mammo-{step}", reason)
    answers = {"found": "true", "ground_truth_uri": TRUTH, "batch_uri": BATCH, "model_version": "3"}
    outputs = [{"Name": name, "Value": value} for name, value in answers.items()]
    resolved = {"StepName": "Mammo-ResolveGroundTruth", "Metadata": {"Lambda": {"OutputParameters": outputs}}}
    if found:
        world.sagemaker.steps[0] |= resolved
    world.sagemaker.parameters = {"ground_truth_input": "s3://data/model/data/ground-truth/"}


def test_a_lost_auc_is_one_message_with_numbers_what_was_done_and_what_to_do(world: World) -> None:
    world.decides(
        decision="started", train_execution_arn="arn/execution/t1", train_pipeline="the-train-pipeline"
    )
    assert world.notify(loss(world)) == "sent"
    assert world.notify(loss(world), request_id="two") == "sent before"
    assert world.subject == "[prod] model: version 3 has an AUC of 0.71 by ground truth, 0.91 at training"
    for line in (
        f"Execution {RUN} of {PIPELINE} (prod) judged the model by ground truth and found a loss at",
        f"Batch: {BATCH}, scored with version 3.",
        f"Ground truth: {TRUTH} (96 labels).",
        f"ModelQualityLost: {MESSAGE}",
        "- AUC: 0.710 by 96 labels, 0.912 at training (margin 0.050)",
        "The version stays in use, and its predictions stand.",
        "A retraining was started: execution t1 of the-train-pipeline. Its version will wait for approval.",
        f"The report: aws s3 cp --profile mlops-prod --region eu-central-1 {REPORT} -",
        f"prefix=model/quality/{RUN}/model-quality/model-quality.json",
        "When the new version waits for approval in the registry account 111111111111: make versions",
        f"Files of the run: https://eu-central-1.console.aws.amazon.com/s3/buckets/data?region=eu-central-1&prefix=model/quality/{RUN}/",
    ):
        assert line in world.body, line
    assert world.s3.json(DATA, KEY)["cause"] == "ModelQualityLost"
    assert "Not known" not in world.body


@pytest.mark.parametrize(("value", "told"), [(0.07, True), (0.29, True), (0.31, False), (0.5, False)])
def test_labels_that_are_the_opposite_of_the_scores_are_looked_at_first(
    world: World, value: float, told: bool
) -> None:
    assert world.notify(loss(world, auc={**AUC, "value": value})) == "sent"
    assert ("look first whether their two values were swapped" in world.body) is told


def test_why_no_retraining_was_started_is_told(world: World) -> None:
    reason = "version 4 of g waits for approval since 2026-11-19 23:00 UTC, 1 day: approve it"
    world.decides(decision="not_started", reason=reason, waiting_version=4)
    world.notify(loss(world))
    assert f"No retraining was started: {reason}." in world.body
    assert "Decide about version 4 in the registry account 111111111111: make approve VERSION=4" in world.body


def test_a_decision_that_is_not_there_yet_is_waited_for(world: World) -> None:
    world.notify(loss(world))
    assert world.clock.seconds > 0
    assert (
        "Whether a retraining starts was not decided yet when this was sent; it will be written to "
        f"s3://data/model/state/retraining/{RUN}.json." in world.body
    )


def test_in_a_stage_where_nothing_retrains_nobody_waits_for_a_decision() -> None:
    world = World(retrain_on="none", kind="quality")
    world.notify(loss(world))
    assert world.clock.seconds == 0
    assert "No retraining was started: in this stage nothing retrains this model by itself." in world.body


@pytest.mark.parametrize(
    ("change", "subject", "line"),
    [
        (
            {
                "segments": [
                    {"feature": "Age", "segment": "up to 45", "rows": 20, "value": 0.6, "at_training": 0.9}
                ]
            },
            "ground truth shows a loss of version 3 in a segment",
            "- where Age is up to 45: AUC 0.600, 0.900 at training (20 rows)",
        ),
        (
            {"calibration": {"value": 0.3, "at_training": 0.01, "lost": True}},
            "ground truth shows that version 3 has lost its calibration",
            "- share of positives less the mean score: 0.300, 0.010 at training",
        ),
    ],
)
def test_what_people_decide_about_says_so_and_waits_for_no_decision(
    world: World, change: dict[str, Any], subject: str, line: str
) -> None:
    world.notify(loss(world, retrain=False, auc={**AUC, "lost": False}, **change))
    assert world.subject == f"[prod] model: {subject}"
    assert line in world.body
    assert (
        "No retraining was started: its AUC is not lost; what is left to people retrains nothing."
        in world.body
    )
    assert world.clock.seconds == 0
    assert "With newly labelled data: make upload STAGE=prod, then make run PIPELINE=train" in world.body


def test_an_odd_finding_makes_an_alert_all_the_same(world: World) -> None:
    world.sagemaker.fail("ListTags", refusal("AccessDeniedException"))
    assert (
        world.notify(loss(world, auc=None, segments=["x"], calibration=3, labels=None, message=None))
        == "sent"
    )
    assert "the pipeline's tags could not be read" in world.body
    assert (
        f"Files of the run: https://eu-central-1.console.aws.amazon.com/s3/buckets/data?region=eu-central-1&prefix=model/quality/{RUN}/"
        in world.body
    )


def test_ground_truth_that_can_not_be_read_says_where_it_lies_and_how_to_go_on(world: World) -> None:
    judging(world, "ModelQualityCheck", "ClientError: nov.csv line 2, Severity: 'maybe' is not 0 or 1")
    assert world.notify() == "sent"
    assert world.subject == "[prod] model: ground truth could not be judged"
    for line in (
        "nov.csv line 2, Severity: 'maybe' is not 0 or 1",
        f"Batch: {BATCH}, scored with version 3.",
        f"Ground truth: {TRUTH}.",
        "Nothing was judged, and what was scored stands. The schedule tries the same labels three times in all, then",
        "delivered to the same address; the next run judges it.",
        f"Or at once: make run PIPELINE=quality STAGE=prod MODEL=model INPUT={TRUTH}",
    ):
        assert line in world.body, line
    assert "retraining" not in world.body


@pytest.mark.parametrize(
    ("kind", "message", "title"),
    [
        (
            "GroundTruthNotFound",
            f"{TRUTH} does not exist or is empty",
            "nothing judged, the ground truth is missing",
        ),
        (
            "BatchNotScored",
            f"the batch {BATCH} was not",
            "nothing judged, the batch of the ground truth was not scored",
        ),
        ("BatchAmbiguous", f"{TRUTH} is an object, but", "nothing judged, a name is ambiguous"),
        (
            "VersionNotFound",
            "version 3 of g does not exist",
            "nothing judged, the version that scored is gone",
        ),
        (
            "ModelArtifactChanged",
            "s3://a/e.json of version 3 is S3",
            "nothing judged, a file of version 3 was changed",
        ),
        (
            "IncompleteVersion",
            "g/3 has no evaluation",
            "the quality run failed in step Mammo-ResolveGroundTruth",
        ),
    ],
)
def test_what_the_resolver_says_is_told_in_words_of_this_pipeline(
    world: World, kind: str, message: str, title: str
) -> None:
    judging(world, "ResolveGroundTruth", lambda_error(kind, f"{kind}: {message}"), found=False)
    world.sagemaker.parameters = {"ground_truth_input": TRUTH}
    assert world.notify() == "sent"
    assert world.subject == f"[prod] model: {title}"
    assert f"{kind}: {message}" in world.body
    assert "scored with" not in world.body
    assert "to score" not in world.body.lower()
    if kind != "VersionNotFound":
        assert f"make run PIPELINE=quality STAGE=prod MODEL=model INPUT={TRUTH}" in world.body


def test_a_stopped_run_names_no_ground_truth_where_it_was_told_none(world: World) -> None:
    world.sagemaker.parameters = {"ground_truth_input": "s3://data/model/data/ground-truth/"}
    world.notify(world.event("Stopped"))
    assert world.subject == "[prod] model: the quality run was stopped"
    assert "Start it again: make run PIPELINE=quality STAGE=prod MODEL=model\n" in world.body
    assert "Ground truth" not in world.body
