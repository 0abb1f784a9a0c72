"""The loop, step by step; each step checks what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from demo.denials import Thief
from demo.world import APPROVER, Run, World
from ops import data, registry
from ops.registry import Version
from pipeline_code.mammography.dataset import TRUTH
from stacks.installation import StageName

CLEAN, BROKEN, DRIFTED = (
    "mammo-batch-dataset.csv",
    "mammo-batch-dataset-broken.csv",
    "mammo-batch-dataset-outliers.csv",
)


def play(world: World) -> dict[str, Any]:
    """Run the whole loop and return what the page and the summary need of it."""
    story = world.story
    with story.phase("Before any approval"):
        nothing_to_score_with(world)
    with story.phase("Dev trains, a person approves"):
        dev_trains_version_1(world)
        decide(world, "1", "Approved")
    with story.phase("Batches are scored"):
        dev_scores(world)
        prod_scores_by_schedule(world)
    with story.phase("A broken batch only alerts"):
        broken_batch(world)
    with story.phase("A drifted batch retrains"):
        drifted = drifted_batch(world)
        drift_while_a_version_waits(world)
    with story.phase("Labels arrive late"):
        judged = [labels_agree(world), labels_show_a_loss(world)]
    with story.phase("Approve, use, reject, go back"):
        approve_2_and_go_back(world)
    with story.phase("An approved model can't be changed"):
        change_what_was_approved(world)
    page = world.checked(drifted, "report.html").decode()
    return {"drift": world.verdict(drifted), "page": page, "judged": judged}


def nothing_to_score_with(world: World) -> None:
    """Prod's inference without an approved version: a named failure, one alert, no retraining."""
    story = world.story
    with story.step("prod runs inference before any version is approved", kind="alert"):
        run = world.follow("prod before any approval", "prod", world.start("prod", "inference"))
        _failed_with(world, run, "NoApprovedModel")
        _no_training(world, "a missing approval")


def dev_trains_version_1(world: World) -> None:
    """Dev trains on part 1; version 1 waits; the approvers are told with its metrics."""
    story = world.story
    with story.step("dev trains on part 1 of the data"):
        world.follow("dev trains", "dev", world.start("dev", "train"))
        version = _newest(world, "1", "PendingManualApproval")
        story.show(f"version 1 waits: cross-validated AUC {version.metrics['cv_auc']}")
        message = _told(world, "version 1", f"{float(version.metrics['cv_auc']):.4f}")
        story.show(f"approvers are told: {message['subject']}")


def decide(world: World, version: str, status: str) -> None:
    """A person assumes the approver role, with a second factor, and decides."""
    story = world.story
    with story.step(
        f"{APPROVER} sets version {version} to {status}", kind="good" if status == "Approved" else "plain"
    ):
        settings = world.settings
        role = world.cloud.assume(
            settings.approver_role_arn, session_name=APPROVER, by=world.person, mfa=True
        )
        decided = registry.decide(
            role.client("sagemaker"),
            world.model.model_package_group,
            version,
            status,
            f"{APPROVER} looked at it",
        )
        story.check(decided.status == status, f"version {version} is {status}", decided.status)
        story.show("as mlops-registry-approver, with a second factor")


def dev_scores(world: World) -> None:
    """Dev scores the clean batch with version 1."""
    with world.story.step("dev scores a batch", kind="good"):
        run = world.follow("dev scores", "dev", world.start("dev", "inference", _batch(world, "dev", CLEAN)))
        _scored(world, run, version=1)


def prod_scores_by_schedule(world: World) -> None:
    """The schedule starts prod's inference; the clean batch is scored with version 1."""
    story = world.story
    with story.step("23:00 in prod: the schedule starts inference on the clean batch", kind="good"):
        known = set(world.executions("prod", "inference"))
        fire_schedule(world)
        arn = world.wait_for(
            "an execution started by the schedule",
            lambda: next((e for e in world.executions("prod", "inference") if e not in known), None),
        )
        run = world.follow("prod scores by schedule", "prod", arn)
        _scored(world, run, version=1)


def fire_schedule(world: World) -> None:
    """Move the clock to the schedule's time."""
    scheduler = world.client("prod", "scheduler")
    names = [schedule["Name"] for schedule in scheduler.list_schedules()["Schedules"]]
    # the other one of the model starts its quality pipeline
    name = next(name for name in names if name == f"{world.model.prefix}-prod-inference")
    world.cloud.fire_schedules(world.settings.accounts["prod"], world.region, name=name)


def broken_batch(world: World) -> None:
    """The blog's broken file: a violation, one alert, no retraining."""
    with world.story.step("prod gets a broken batch (a header where none belongs)", kind="alert"):
        run = world.follow(
            "prod broken batch", "prod", world.start("prod", "inference", _batch(world, "prod", BROKEN))
        )
        _failed_with(world, run, "DataQualityViolated")
        _no_training(world, "a broken batch")


def drifted_batch(world: World) -> Run:
    """A drifted batch: an alert that names features and distances; training starts by itself; version 2 waits."""
    story = world.story
    with story.step("prod gets a batch from an older population", kind="drift"):
        run = world.follow(
            "prod drifted batch", "prod", world.start("prod", "inference", _batch(world, "prod", DRIFTED))
        )
        alert = _failed_with(world, run, "DataDriftDetected")
        for feature in [f for f in world.verdict(run)["features"] if f["drifted"]]:
            name, distance = feature["name"], f"{feature['distance']:.3g}"
            told = name in alert["body"] and distance in alert["body"]
            story.check(told, f"the alert names {name} and its distance {distance}", alert["body"])
            story.show(f"{name} lies {distance} from the training data")
    with story.step("retraining starts by itself in prod, on both parts", kind="drift"):
        arn = world.wait_for("a retraining", lambda: next(iter(world.executions("prod", "train")), None))
        world.follow("prod retrains", "prod", arn)
        version = _newest(world, "2", "PendingManualApproval")
        story.check(
            version.trained_in == world.settings.accounts["prod"],
            "version 2 comes from prod",
            version.trained_in,
        )
        story.show(
            f"version 2 waits: AUC {version.metrics['cv_auc']}, against version 1 on the same hold-out rows"
            f" {float(version.metrics['gain_over_champion']):+.4f}"
        )
        _told(world, "version 2", f"{float(version.metrics['cv_auc']):.4f}")
    return run


def drift_while_a_version_waits(world: World) -> None:
    """Drift again: nothing starts, and the alert says why."""
    story = world.story
    with story.step("the same drift again, while version 2 waits", kind="drift"):
        run = world.follow(
            "prod drift again", "prod", world.start("prod", "inference", _batch(world, "prod", DRIFTED))
        )
        alert = _failed_with(world, run, "DataDriftDetected")
        story.check("version 2" in alert["body"], "the alert says that version 2 waits", alert["body"])
        story.check(len(world.executions("prod", "train")) == 1, "no second retraining")
        reason = next(line for line in alert["body"].splitlines() if "version 2" in line)
        story.show(reason.strip())


def labels_agree(world: World) -> Any:
    """The labels of a batch that was scored: as good as at training, so there are numbers and no message."""
    with world.story.step("the labels of prod's first batch arrive", kind="good"):
        found = _judged(world, "prod by its labels", _labels())
        world.story.check(
            (found["verdict"], found["action"]) == ("ok", "none"), "the model holds", found["message"]
        )
    return found


def labels_show_a_loss(world: World) -> Any:
    """Corrected labels, which the scores don't fit: one alert, and no second retraining while version 2 waits."""
    story = world.story
    with story.step(
        "they are corrected (every second one turned around), and the scores don't fit", kind="alert"
    ):
        corrected = {row: 1 - label if row % 2 else label for row, label in _labels().items()}
        found = _judged(world, "prod by corrected labels", corrected)
        story.check(found["action"] == "announce_and_retrain", "the AUC is lost", found["message"])
        run = world.runs[-1]
        run.told = True
        alert = world.settle(run)
        story.check("ground truth" in alert["subject"], "the alert is about ground truth", alert["subject"])
        reason = next((line for line in alert["body"].splitlines() if "version 2" in line), "")
        story.check(bool(reason), "the alert says that version 2 waits", alert["body"])
        story.check(len(world.executions("prod", "train")) == 1, "no second retraining")
        story.show(reason.strip())
    return found


def _labels() -> dict[int, int]:
    lines = (data.ROOT / "data" / TRUTH).read_text().splitlines()[1:]
    return {int(row): int(label) for row, label in (line.split(",") for line in lines)}


def _judged(world: World, name: str, labels: Mapping[int, int]) -> Any:
    """Lay down the labels of the clean batch, let the quality pipeline judge, and return what it found."""
    stage = world.stage("prod")
    key = f"{data.ground_truth_prefix(world.model)}{CLEAN}"
    text = "".join(f"{row},{label}\n" for row, label in labels.items())
    world.client("prod", "s3").put_object(Bucket=stage.data_bucket_name, Key=key, Body=text.encode())
    run = world.follow(name, "prod", world.start("prod", "quality"))
    world.story.check(run.outcome.status == "Succeeded", f"{name} is judged", run.outcome.in_words())
    found = world.judged(run)
    world.story.check(found["rows"]["joined"] == len(labels), "every label has its prediction", found["rows"])
    world.story.show(found["message"])
    return found


def approve_2_and_go_back(world: World) -> None:
    """Approved, version 2 is used, until a thief changes it; rejected, the next run is back on version 1."""
    decide(world, "2", "Approved")
    with world.story.step("the next prod run uses version 2", kind="good"):
        run = world.follow(
            "prod on version 2", "prod", world.start("prod", "inference", _batch(world, "prod", CLEAN))
        )
        _scored(world, run, version=2)
    with world.story.step("a thief with prod's train role overwrites version 2's baseline", kind="alert"):
        _overwrite(world, "prod", "2", "constraints")
        _refused(world, "prod on a changed baseline", "2")
    decide(world, "2", "Rejected")
    with world.story.step("the next prod run is back on version 1", kind="good"):
        run = world.follow(
            "prod back on 1", "prod", world.start("prod", "inference", _batch(world, "prod", CLEAN))
        )
        _scored(world, run, version=1)


def change_what_was_approved(world: World) -> None:
    """Dev's train role may write below its prefix: what it writes over an approved model is not used."""
    story = world.story
    with story.step("a thief with dev's train role overwrites the approved model", kind="alert"):
        bucket, key, written = _overwrite(world, "dev", "1", "model")
        _refused(world, "prod on a changed model", "1")
    with story.step("an administrator of the registry uncovers the approved file", kind="good"):
        world.client("registry", "s3").delete_object(Bucket=bucket, Key=key, VersionId=written)
        parameters = {**_batch(world, "prod", CLEAN), "Rescore": "true"}
        run = world.follow(
            "prod on the approved model again", "prod", world.start("prod", "inference", parameters)
        )
        _scored(world, run, version=1)


def _overwrite(world: World, stage: StageName, version: str, file: str) -> tuple[str, str, str]:
    """Write a file of a version with the stolen train role of its stage; return bucket, key and new S3 version."""
    package = world.client("registry", "sagemaker").describe_model_package(
        ModelPackageName=next(one.arn for one in world.versions() if str(one.version) == version)
    )
    known = package["CustomerMetadataProperties"]
    world.story.check(
        f"approved_{file}_version_id" in known, f"version {version}'s approval is recorded", known
    )
    uri = (
        package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        if file == "model"
        else package["DriftCheckBaselines"]["ModelDataQuality"][file.title()]["S3Uri"]
    )
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    thief = Thief(world)
    role = thief.role(stage, f"{stage}/train/{world.model.prefix}-{stage}-train")
    answer = thief.client(role, "s3").put_object(Bucket=bucket, Key=key, Body=b"forged")
    world.story.show(f"S3 takes {uri}: the role may write there, and S3 knows no approval")
    return bucket, key, str(answer["VersionId"])


def _refused(world: World, name: str, version: str) -> None:
    run = world.follow(name, "prod", world.start("prod", "inference", _batch(world, "prod", CLEAN)))
    alert = _failed_with(world, run, "ModelArtifactChanged")
    told = f"a file of version {version} was changed" in alert["subject"]
    world.story.check(told, f"the alert names version {version}", alert["subject"])
    world.story.check(
        str(run.outcome.failed_step).endswith("ResolveModel"),
        "nothing was scored",
        run.outcome.failed_step,
    )


# --- what steps check


def _batch(world: World, stage: StageName, name: str) -> dict[str, str]:
    return {"transform_input": data.batch_uri(world.stage(stage), world.model, name)}


def _scored(world: World, run: Run, *, version: int) -> None:
    story = world.story
    story.check(run.outcome.status == "Succeeded", f"{run.name} succeeds", run.outcome.in_words())
    story.check(run.model_version == version, f"{run.name} uses version {version}", run.model_version)
    rows = world.verdict(run)["rows"]
    story.check(
        run.rows_scored == rows > 0,
        f"every row of {run.name} has a prediction",
        f"{run.rows_scored} of {rows}",
    )
    scores = [
        float(line.split(",")[-1])
        for line in world.predictions(world.settings.known_stage(run.stage).name, run)
    ]
    story.check(all(0 < score < 1 for score in scores), "scores are probabilities", scores[:3])
    story.show(f"{run.rows_scored} rows scored with version {run.model_version}")


def _failed_with(world: World, run: Run, reason: str) -> dict[str, str]:
    story = world.story
    story.check(run.outcome.status == "Failed", f"{run.name} fails", run.outcome.in_words())
    story.check(reason in (run.outcome.reason or ""), f"{run.name} fails with {reason}", run.outcome.reason)
    alert = world.settle(run)
    story.check(
        reason in alert["body"] or reason in alert["subject"], f"the alert says {reason}", alert["subject"]
    )
    return alert


def _no_training(world: World, cause: str) -> None:
    started = world.executions("prod", "train")
    world.story.check(not started, f"{cause} starts no training", started)
    world.story.show("no retraining")


def _newest(world: World, number: str, status: str) -> Version:
    version = world.versions()[-1]
    seen = f"version {version.version} {version.status}"
    world.story.check(
        (str(version.version), version.status) == (number, status), f"version {number} is {status}", seen
    )
    return version


def _told(world: World, *words: str) -> dict[str, str]:
    def look() -> dict[str, str] | None:
        for message in world.messages("registry"):
            text = f"{message['subject']}\n{message['body']}"
            if all(word in text for word in words):
                return message
        return None

    return dict(world.wait_for(f"a message to the approvers with {', '.join(words)}", look))


def counted_alerts(world: World) -> None:
    """Exactly one alert a run that failed or found a loss, none for any other, and none about anything else."""
    for run in world.runs:
        run.alerts = len(world.alerts_about(run.stage, run.outcome.execution_id))
        expected = int(run.told or run.outcome.status != "Succeeded")
        world.story.check(run.alerts == expected, f"{expected} alerts about '{run.name}'", run.alerts)
    for stage in world.settings.stages:
        told = sum(run.alerts for run in world.runs if run.stage == stage)
        subjects = [message["subject"] for message in world.messages(stage)]
        world.story.check(len(subjects) == told, f"{told} messages in {stage}", subjects)
