"""A model whose batches several instances check: the verdict is that of one instance, and so is all that follows."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.lookout import Run
from ops import runs
from pipeline_code.definitions import write_code
from tests.fixtures.authoring import shared_wine
from tests.fixtures.wine_data import HEADER, training_rows, write_batch, write_training_file
from tests.integration.loop import Loop, words
from tests.steps.shard_kit import near

pytestmark = [pytest.mark.cloud, pytest.mark.authoring, pytest.mark.xdist_group("integration-b")]

Batch = dict[str, str]


@dataclass
class Shared:
    """The installation, and the program that checks a batch on one instance."""

    loop: Loop
    root: Path
    code: Path

    def score(self, batch: Batch, **parameters: str) -> Run:
        """Score a batch of several files."""
        folder = f"data/batch-dataset/{uuid.uuid4().hex[:8]}"
        uris = [self.loop.put("prod", f"{folder}/{name}", content) for name, content in batch.items()]
        return self.loop.score("prod", f"{uris[0].split(folder)[0]}{folder}/", **parameters)

    def alone(self, batch: Batch) -> Any:
        """Return the verdict of one instance, by the program that a pipeline with one runs."""
        base = self.root / uuid.uuid4().hex
        inputs = base / "in"
        for name, content in batch.items():
            (inputs / "batch" / name).parent.mkdir(parents=True, exist_ok=True)
            (inputs / "batch" / name).write_text(content)
        package = self.loop.client("registry", "sagemaker").describe_model_package(
            ModelPackageName=f"{self.loop.package_arn}/1"
        )
        for kind in ("Statistics", "Constraints"):
            uri = package["DriftCheckBaselines"]["ModelDataQuality"][kind]["S3Uri"]
            (inputs / kind.lower()).mkdir()
            (inputs / kind.lower() / f"{kind.lower()}.json").write_bytes(self.loop.read(uri))
        (inputs / "model").mkdir()
        archive = self.loop.read(package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])
        (inputs / "model" / "model.tar.gz").write_bytes(archive)
        command = [sys.executable, "-m", "steps.check_batch", "--input", str(inputs), "--output"]
        environment = {"PYTHONPATH": str(self.code), "SAGEMAKER_BASE_DIR": str(base)}
        subprocess.run([*command, str(base / "out")], env=environment, check=True, capture_output=True)
        return json.loads((base / "out" / "report" / "verdict.json").read_text())

    def jobs(self, run: Run) -> dict[str, Any]:
        """Return the processing jobs of a run, by step."""
        sagemaker = self.loop.client("prod", "sagemaker")
        found = {}
        for step in runs.steps_of(sagemaker, run.outcome.execution_arn):
            arn = step.get("Metadata", {}).get("ProcessingJob", {}).get("Arn")
            if arn:
                name = arn.rsplit("/", 1)[-1]
                found[step["StepName"]] = sagemaker.describe_processing_job(ProcessingJobName=name)
        return found

    def left(self, run: Run, folder: str) -> list[str]:
        """Return the names of what a run left in a folder of its own."""
        prefix = f"inference/{run.outcome.execution_id}/{folder}/"
        return sorted(key.split(prefix)[1] for key in self.loop.keys("prod", prefix))


@pytest.fixture(scope="module")
def shared(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """The second model, alone, with a check that two instances share; version 1 is trained in prod and approved."""
    root, wines = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wines")
    definitions = shared_wine(root, 2)
    write_training_file(wines)
    write_batch(wines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_DEFINITIONS", str(definitions))
        with Loop.installed({"models": [{"folder": "wine"}]}, wines) as loop:
            loop.upload("prod")
            loop.train_and_approve("prod")
            yield Shared(loop, root / "alone", write_code("wine", root / "code", definitions))


def batch_of(files: int, rows: int = 90, old: str = "", new: str = "") -> Batch:
    """Return a batch in files, one of them in a folder; a text in its rows may be replaced."""
    lines = [",".join(row[:-1]).replace(old, new) + "\n" for row in training_rows(rows, seed=9)]
    names = ["more/0.csv", *(f"{number}.csv" for number in range(1, files))]
    return {name: ",".join(HEADER[:-1]) + "\n" + "".join(lines[n::files]) for n, name in enumerate(names)}


def stronger(batch: Batch) -> Batch:
    """Return a batch whose wines have two percent more alcohol than those of the training."""
    made = {}
    for name, content in batch.items():
        header, *rows = [line.split(",") for line in content.splitlines()]
        raised = [[row[0], str(min(float(row[1]) + 2, 16)), *row[2:]] for row in rows]
        made[name] = "".join(",".join(row) + "\n" for row in [header, *raised])
    return made


def same(found: Any, alone: Any, features: int = 5) -> None:
    """Assert that two verdicts are one: sums are added up in another order, so their last digits may differ."""
    assert len(found["features"]) == features
    assert near(found, alone)


def counts(jobs: dict[str, Any]) -> dict[str, int]:
    return {name: job["ProcessingResources"]["ClusterConfig"]["InstanceCount"] for name, job in jobs.items()}


def test_a_sound_batch_is_scored_whole_with_the_verdict_of_one_instance(shared: Shared) -> None:
    batch = batch_of(5)

    run = shared.score(batch)

    assert (run.outcome.status, run.rows_scored) == ("Succeeded", 90), run.outcome.in_words()
    verdict = shared.loop.verdict(run)
    assert (verdict["action"], verdict["rows"]) == ("deliver", 90)
    same(verdict, shared.alone(batch))
    assert {"(prediction)", "(attributions)"} < {feature["name"] for feature in verdict["features"]}
    assert verdict["attributions"]["rows"] == 90
    ids = [line.split(",")[0] for line in shared.loop.predictions("prod", run)]
    assert sorted(ids) == [f"b{number:05d}" for number in range(1, 91)]
    jobs = shared.jobs(run)
    assert counts(jobs) == {"Wine-DataQualityCheck": 2, "Wine-DataQualityVerdict": 1}
    assert jobs["Wine-DataQualityVerdict"]["ExitMessage"].startswith("Completed: ")
    assert shared.left(run, "states") == ["state-algo-1.npz", "state-algo-2.npz"]
    assert shared.left(run, "prepared") == ["1.csv", "2.csv", "3.csv", "4.csv", "more/0.csv"]
    assert "report.html" in shared.left(run, "data-quality")


def test_a_drifted_batch_is_withheld_and_told_as_by_one_instance(shared: Shared) -> None:
    batch = stronger(batch_of(5))

    run = shared.score(batch)

    assert words(run).startswith("DataDriftDetected: drifted from the training baseline: Alcohol ")
    verdict = shared.loop.verdict(run)
    assert verdict["message"].startswith("90 rows differ from the baseline in 2 features: Alcohol ")
    drifted = [feature["name"] for feature in verdict["features"] if feature["drifted"]]
    assert drifted == ["Alcohol", "(prediction)"]
    same(verdict, shared.alone(batch))
    assert shared.left(run, "predictions") == []
    (alert,) = shared.loop.alerts(run)
    assert alert["subject"].startswith("[prod] wine-quality-model: data drift in ")


def test_what_is_broken_on_one_instance_withholds_the_batch(shared: Shared) -> None:
    batch = batch_of(4)
    batch["2.csv"] += "b00099,12.0\n"
    batch["3.csv"] = batch["3.csv"].replace(",rose", ",green")

    run = shared.score(batch)

    assert words(run).startswith("DataQualityViolated: ")
    assert "2.csv, line " in words(run)
    verdict = shared.loop.verdict(run)
    assert {found["feature_name"] for found in verdict["violations"]} == {"Missing columns", "Kind"}
    same(verdict, shared.alone(batch), features=3)  # nobody asks what the model makes of broken rows
    assert {job["ProcessingJobStatus"] for job in shared.jobs(run).values()} == {"Completed"}
    assert shared.left(run, "states") == ["state-algo-1.npz", "state-algo-2.npz"]
    assert shared.left(run, "predictions") == []


def test_there_may_be_more_instances_than_files(shared: Shared) -> None:
    batch = batch_of(2)

    run = shared.score(batch, ProcessingInstanceCount="3")

    assert (run.outcome.status, run.rows_scored) == ("Succeeded", 90), run.outcome.in_words()
    assert counts(shared.jobs(run)) == {"Wine-DataQualityCheck": 3, "Wine-DataQualityVerdict": 1}
    same(shared.loop.verdict(run), shared.alone(batch))
    assert shared.left(run, "states") == [f"state-algo-{number}.npz" for number in (1, 2, 3)]
    assert shared.left(run, "prepared") == ["1.csv", "more/0.csv"]


def test_one_instance_may_do_it_all_and_a_batch_be_one_object(shared: Shared) -> None:
    batch = batch_of(1)
    (name,) = batch
    uri = shared.loop.put("prod", f"data/batch-dataset/{uuid.uuid4().hex[:8]}/{name}", batch[name])

    run = shared.loop.score("prod", uri, ProcessingInstanceCount="1")

    assert (run.outcome.status, run.rows_scored) == ("Succeeded", 90), run.outcome.in_words()
    assert len(shared.left(run, "states")) == 1


def test_files_whose_rows_would_go_to_one_place_fail_the_run_with_their_names(shared: Shared) -> None:
    batch = batch_of(2)
    batch["1.txt"] = batch["1.csv"]

    run = shared.score(batch)

    assert run.outcome.status == "Failed"
    assert "two files of the batch would both become 1.csv: rename 1.txt" in words(run)
    assert shared.left(run, "predictions") == []
