"""Compiling: always the same bytes, equal to the committed ones; what can't be compiled is told in a line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.compile import differences, main, write
from tests.definitions.mutations import definition
from tests.fixtures.authoring import authoring, compile_tree, model_tree
from tests.fixtures.trees import ROOT, SECOND, SHIPPED

# Names of accounts as a notebook would give them.
LITERALS = {
    "region": "eu-west-1",
    "role": "arn:aws:iam::111122223333:role/data-scientist",
    "default_bucket": "data",
    "model_artifacts_bucket": "artifacts",
    "model_name": "mine-model",
    "kms_key": "arn:aws:kms:eu-west-1:111122223333:key/1234",
    "model_package_group_name": "mine-group",
    "pipeline_name": "mine",
    "base_job_prefix": "mine",
}


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-a")
def test_compiling_gives_the_committed_files_to_the_byte() -> None:
    done = compile_tree("--check", PYTHONHASHSEED="1", AWS_DEFAULT_REGION="eu-central-1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-b")
def test_compiling_the_second_model_elsewhere_gives_the_committed_files_to_the_byte(tmp_path: Path) -> None:
    # another hash seed, time zone and region, a profile that doesn't exist, and the SDK's own defaults set
    config = tmp_path / "config.yaml"
    defaults = {"Processor": {"NetworkConfig": {"EnableNetworkIsolation": False}}}
    config.write_text(json.dumps({"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": defaults}}}))
    done = compile_tree(
        "--check",
        "--root",
        str(SECOND),
        PYTHONHASHSEED="2",
        TZ="Pacific/Auckland",
        AWS_REGION="us-gov-west-1",
        AWS_PROFILE="nobody",
        HOME=str(tmp_path),
        SAGEMAKER_USER_CONFIG_OVERRIDE=str(config),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-b")
def test_refuses_a_definition_that_sagemaker_would_refuse_and_writes_nothing(tmp_path: Path) -> None:
    root = model_tree(tmp_path, "thresholds:", "instance_types:\n  processing: ml.m5.tiny\nthresholds:")
    done = compile_tree("--root", str(root))
    assert done.returncode == 1
    assert "wine/default/train.json: step Wine-PreProcessing" in done.stderr
    assert "'ml.m5.tiny' is none of the API's values" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (root / "definitions").exists()


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-b")
def test_tells_a_mistake_of_the_model_in_one_line(tmp_path: Path) -> None:
    root = model_tree(tmp_path, "prefix: wine-quality", "prefix: wine-quality-of-the-whole-world")
    done = compile_tree("--root", str(root))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "wine/model.yaml: names.prefix" in done.stderr
    assert "wine-quality-of-the-whole-world" in done.stderr


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-b")
def test_refuses_a_folder_without_models(tmp_path: Path) -> None:
    done = compile_tree("--root", str(tmp_path))
    assert (done.returncode, done.stderr) == (1, f"{tmp_path}: holds no folder with a model.yaml\n")


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-a")
@pytest.mark.parametrize("kind", ["train", "inference", "quality"])
def test_in_a_notebook_the_same_steps_come_with_the_names_that_were_given(kind: str) -> None:
    program = (
        f"from pipeline_code.{kind}_pipeline import get_pipeline\n"
        f"pipeline = get_pipeline(**{LITERALS!r})\n"
        "print(pipeline.name)\n"
        "print(pipeline.definition())\n"
    )
    done = authoring("-c", program, AWS_DEFAULT_REGION="eu-west-1")
    assert done.returncode == 0, done.stderr
    name, text = done.stdout.splitlines()[-2:]
    body: dict[str, Any] = json.loads(text)
    assert name == "mine"
    assert body["Steps"] == json.loads(
        json.dumps(definition(kind)["Steps"])
        .replace("mammo-severity-train-", "mine-train-")
        .replace("mammo-severity-inference-data-quality", "mine-inference-data-quality-check")
        .replace("mammo-severity-inference-model-qualit", "mine-inference-model-quality-check")
        .replace("mammo-severity-inference-", "mine-inference-")
    )
    defaults = {held["Name"]: held.get("DefaultValue") for held in body["Parameters"]}
    assert defaults["RoleArn"] == LITERALS["role"]
    assert defaults["RunUri"] == f"s3://data/mine-model/{kind}"
    assert defaults["ImageUri"] == "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"
    assert defaults["ModelPackageGroupArn"] == "mine-group"
    assert defaults["DataKeyArn"] == LITERALS["kms_key"]
    if kind == "train":
        assert defaults["ArtifactsUri"] == "s3://artifacts/mine-model/dev"
    elif kind == "quality":
        assert defaults["ground_truth_input"] == "s3://data/mine-model/data/ground-truth/"
    else:
        assert (
            defaults["transform_input"] == "s3://data/mine-model/data/batch-dataset/mammo-batch-dataset.csv"
        )


def test_says_what_to_run_where_the_sdk_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert capsys.readouterr().err == (
        "the SageMaker SDK is not in this environment; run: make definitions\n"
    )


def test_says_what_to_run_where_it_is_called_by_the_wrong_python() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline_code.compile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_definitions_that_nothing_makes_any_more_are_removed(tmp_path: Path) -> None:
    write({"a/default/train.json": b"{}\n", "b/default/train.json": b"{}\n"}, tmp_path)
    write({"a/default/train.json": b"{}\n"}, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")] == [
        "a/default/train.json"
    ]


def test_what_would_change_is_named(tmp_path: Path) -> None:
    write({"same.json": b"1", "old.json": b"1", "other.json": b"1"}, tmp_path)
    changed = differences({"same.json": b"1", "other.json": b"2", "new.json": b"1"}, tmp_path)
    assert changed == ["new.json", "old.json", "other.json"]


def test_the_shipped_and_the_second_model_share_the_table_of_images() -> None:
    tables = [(root / "definitions" / "images.json").read_bytes() for root in (SHIPPED, SECOND)]
    assert tables[0] == tables[1]
