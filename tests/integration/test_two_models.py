"""Two models in one installation, each retrained on something else: they never touch what is the other's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.lookout import Run
from tests.fixtures.trees import two_models
from tests.fixtures.wine_data import write_batch, write_training_file
from tests.integration.loop import Loop, is_denied, words

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-b")]

SETTINGS = {
    "models": [
        {"folder": "mammography", "retrain_on": "any_failure"},
        {"folder": "wine", "retrain_on": "violation"},
    ]
}


@pytest.fixture(scope="module")
def both(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Loop]]:
    """Both models installed, with the training data of both in prod; nothing is trained yet."""
    tree, wines = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_DEFINITIONS", str(two_models(tree)))
        with Loop.installed(SETTINGS, files) as installed:
            mammography, wine = installed, installed.of("wine")
            mammography.upload("prod")
            wine.files = wines
            write_training_file(wines)
            write_batch(wines)
            wine.upload("prod")
            yield {"mammography": mammography, "wine": wine}


@pytest.fixture(scope="module")
def trained(both: dict[str, Loop]) -> dict[str, Loop]:
    """Both with an approved version: one was trained because a run failed, the other was asked for."""
    mammography, wine = both["mammography"], both["wine"]
    failed = mammography.score("prod")
    assert words(failed).startswith("NoApprovedModel: ")
    decision = mammography.decision("prod", failed)
    assert decision["decision"] == "started", decision
    assert "retrains on any failure" in decision["reason"]
    (alert,) = mammography.alerts(failed)
    assert "A retraining was started: execution " in alert["body"]
    retrained = mammography.follow("retrained", "prod", decision["train_execution_arn"])
    assert retrained.outcome.status == "Succeeded", retrained.outcome.in_words()
    mammography.set_status(1, "Approved")
    wine.train_and_approve("prod")
    return both


@pytest.fixture(scope="module")
def scored(trained: dict[str, Loop]) -> dict[str, Run]:
    """A batch of each, scored."""
    batches = {"mammography": "mammo-batch-dataset.csv", "wine": "wine-batch-dataset.csv"}
    return {name: loop.score("prod", loop.put_batch("prod", batches[name])) for name, loop in trained.items()}


def test_each_model_scores_with_its_own_version(trained: dict[str, Loop], scored: dict[str, Run]) -> None:
    outcomes = {name: (run.outcome.status, run.rows_scored) for name, run in scored.items()}
    assert outcomes == {
        "mammography": ("Succeeded", trained["mammography"].rows_in()),
        "wine": ("Succeeded", 60),
    }
    assert trained["wine"].predictions("prod", scored["wine"])[0].startswith("b00001,")
    assert [len(loop.versions()) for loop in trained.values()] == [1, 1]


def test_a_violation_retrains_the_model_that_asks_for_it_and_no_other(trained: dict[str, Loop]) -> None:
    wine, mammography = trained["wine"], trained["mammography"]
    before = len(mammography.executions("prod", "train")), len(wine.executions("prod", "train"))
    header, *rows = (wine.files / "wine-batch-dataset.csv").read_text().splitlines()
    broken = [row.rsplit(",", 1)[0] + ",green" for row in rows]
    run = wine.score(
        "prod", wine.put("prod", "data/batch-dataset/green.csv", "\n".join([header, *broken]) + "\n")
    )
    assert words(run).startswith("DataQualityViolated: ")
    decision = wine.decision("prod", run)
    assert (decision["decision"], decision["cause"]) == ("started", "violation")
    (alert,) = wine.alerts(run)
    assert alert["subject"].startswith("[prod] wine-quality-model: broken batch")
    assert "A retraining was started: execution " in alert["body"]
    assert "mammo" not in alert["body"].replace("mammography-model-notification", "")
    wine.follow("retrained", "prod", decision["train_execution_arn"])
    after = len(mammography.executions("prod", "train")), len(wine.executions("prod", "train"))
    assert after == (before[0], before[1] + 1)


def test_a_mere_failure_does_not_retrain_a_model_that_retrains_on_violations(
    trained: dict[str, Loop],
) -> None:
    wine = trained["wine"]
    before = len(wine.executions("prod", "train"))
    run = wine.score("prod", f"s3://{wine.stage('prod').data_bucket_name}/wine-quality-model/nowhere.csv")
    assert words(run).startswith("BatchNotFound: ")
    (alert,) = wine.alerts(run)
    assert "What was done by itself\n  Nothing.\n" in alert["body"]
    assert len(wine.executions("prod", "train")) == before


def test_a_check_that_fails_does_not_retrain_even_a_model_that_retrains_on_any_failure(
    trained: dict[str, Loop],
) -> None:
    mammography = trained["mammography"]
    before = len(mammography.executions("prod", "train"))
    home = f"s3://{mammography.stage('prod').data_bucket_name}/{mammography.model.model_name}/checks"
    run = mammography.score("prod", f"{home}/batches/nowhere.csv", RunUri=home)
    assert words(run).startswith("BatchNotFound: ")
    decision = mammography.decision("prod", run)
    assert (decision["decision"], decision["cause"]) == ("not_started", "failure")
    assert decision["reason"] == "the run was a check, and a check never retrains"
    (alert,) = mammography.alerts(run)
    assert alert["subject"].startswith("[prod] mammography-severity-model: check: nothing scored")
    assert len(mammography.executions("prod", "train")) == before


def test_a_batch_of_a_models_own_making_with_ids_and_header_gives_its_scores(
    trained: dict[str, Loop],
) -> None:
    wine = trained["wine"]
    evaluation = wine.evaluation_folder(1)
    batch = wine.put("prod", "checks/batches/c1/check_batch.csv", wine.read(f"{evaluation}/check_batch.csv"))
    home = f"s3://{wine.stage('prod').data_bucket_name}/{wine.model.model_name}/checks"
    run = wine.score("prod", batch, RunUri=home, ModelVersion="1")
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    (key,) = wine.keys("prod", f"checks/{run.outcome.execution_id}/predictions/")
    scores = wine.read(f"s3://{wine.stage('prod').data_bucket_name}/{key}", "prod")
    assert scores == wine.read(f"{evaluation}/check_scores.csv")
    assert scores.startswith(b"check-1,")


PURPOSES = ("train", "inference", "resolver", "recorder", "retrain")
SERVICES = {"train": "sagemaker.amazonaws.com", "inference": "sagemaker.amazonaws.com"}


@pytest.fixture(scope="module")
def belongings(trained: dict[str, Loop], scored: dict[str, Run]) -> dict[str, Belongings]:
    """What each model has, now that a batch of each is scored."""
    assert {run.outcome.status for run in scored.values()} == {"Succeeded"}
    return {name: Belongings.of(loop) for name, loop in trained.items()}


def session_of(loop: Loop, purpose: str) -> Any:
    """Return a session of the model's role in prod, as its service gets it."""
    service = SERVICES.get(purpose, "lambda.amazonaws.com")
    return loop.cloud.service_session(loop.role("prod", purpose), service=service)


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize(("mine", "others"), [("mammography", "wine"), ("wine", "mammography")])
def test_no_role_reaches_what_is_the_other_models(
    trained: dict[str, Loop], belongings: dict[str, Belongings], mine: str, others: str, purpose: str
) -> None:
    calls = belongings[others].calls(session_of(trained[mine], purpose))
    assert [name for name, call in calls.items() if not is_denied(call)] == []


def test_the_same_calls_are_allowed_to_the_models_own_roles(
    trained: dict[str, Loop], belongings: dict[str, Belongings]
) -> None:
    """Else the refusals above could come of a mistake in the calls."""
    for name, loop in trained.items():
        allowed: set[str] = set()
        for purpose in PURPOSES:
            calls = belongings[name].calls(session_of(loop, purpose))
            allowed |= {what for what, call in calls.items() if not is_denied(call)}
        assert allowed == set(calls)


@dataclass(frozen=True)
class Belongings:
    """Where a model's things are."""

    bucket: str
    artifacts: str
    data_prefix: str
    objects: dict[str, str]  # in the bucket of the stage
    model_key: str
    group_arn: str
    version_arn: str

    @classmethod
    def of(cls, loop: Loop) -> Belongings:
        """Look them up."""
        version, artifacts = loop.versions()[0], loop.settings.artifacts_bucket_name
        folders = {
            "training data": "data/train-dataset/",
            "batch": "data/batch-dataset/",
            "code": "scripts/",
            "what was scored": "state/scored/",
        }
        return cls(
            bucket=loop.stage("prod").data_bucket_name,
            artifacts=artifacts,
            data_prefix=f"{loop.model.model_name}/data/train-dataset/",
            objects={name: loop.keys("prod", folder)[0] for name, folder in folders.items()},
            model_key=version.model_data_url.removeprefix(f"s3://{artifacts}/"),
            group_arn=loop.group_arn,
            version_arn=version.arn,
        )

    def calls(self, session: Any) -> dict[str, Callable[[], object]]:
        """Return calls that read each of them."""
        s3, sagemaker = session.client("s3"), session.client("sagemaker")

        def get(bucket: str, key: str) -> Callable[[], object]:
            return lambda: s3.get_object(Bucket=bucket, Key=key)["Body"].read()

        baseline = self.model_key.split("/model/")[0] + "/baseline/statistics.json"
        return {
            **{name: get(self.bucket, key) for name, key in self.objects.items()},
            "model": get(self.artifacts, self.model_key),
            "baseline": get(self.artifacts, baseline),
            "versions": lambda: sagemaker.list_model_packages(ModelPackageGroupName=self.group_arn),
            "version": lambda: sagemaker.describe_model_package(ModelPackageName=self.version_arn),
            "list data": lambda: s3.list_objects_v2(Bucket=self.bucket, Prefix=self.data_prefix),
        }
