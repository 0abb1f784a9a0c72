"""Both stages and the registry in one account: all works, under names that carry the stage, without cross-talk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.loop import Loop, words
from tests.stacks.installations import SETTINGS

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]

DRIFTED = "mammo-batch-dataset-outliers.csv"


@pytest.fixture(scope="module")
def together(files: Path) -> Iterator[Loop]:
    """One account for all; version 1 is trained in dev and approved."""
    with Loop.installed(SETTINGS["one-account"], files) as installed:
        installed.upload("dev", "prod")
        installed.train_and_approve()
        yield installed


def test_both_stages_score_with_the_same_version(together: Loop) -> None:
    runs = {stage: together.score(stage) for stage in together.settings.stages}
    for stage, run in runs.items():
        assert (run.outcome.status, run.rows_scored, run.model_version) == (
            "Succeeded",
            together.rows_in(),
            1,
        )
        assert run.outcome.pipeline == f"mammo-severity-{stage}-inference-pipeline"
    scores = [together.predictions(stage, run) for stage, run in runs.items()]
    assert scores[0] == scores[1]


def test_drift_in_dev_is_told_in_dev_and_retrains_nothing(together: Loop) -> None:
    told = len(together.messages("prod"))
    run = together.score("dev", together.put_batch("dev", DRIFTED))
    assert words(run).startswith("DataDriftDetected: ")
    (alert,) = together.alerts(run)
    assert alert["subject"].startswith("[dev] ")
    assert "No retraining was started: this model retrains on nothing by itself" in alert["body"]
    assert len(together.messages("prod")) == told
    assert together.executions("prod", "train") == []
    assert len(together.executions("dev", "train")) == 1


def test_drift_in_prod_is_told_in_prod_and_retrains_there(together: Loop) -> None:
    told, trained = len(together.messages("dev")), len(together.executions("dev", "train"))
    run = together.score("prod", together.put_batch("prod", DRIFTED))
    (alert,) = together.alerts(run)
    assert alert["subject"].startswith("[prod] ")
    (retraining,) = together.executions("prod", "train")
    assert ":pipeline/mammo-severity-prod-train-pipeline/" in retraining
    assert together.follow("retrained", "prod", retraining).outcome.status == "Succeeded"
    assert len(together.messages("dev")) == told
    assert len(together.executions("dev", "train")) == trained
