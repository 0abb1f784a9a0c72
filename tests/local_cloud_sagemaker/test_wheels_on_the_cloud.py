"""Two models' jobs on the embedded cloud: one has packages with its code, the other has none and sees none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local_cloud.cloud import LocalCloud
from pipeline_code.definitions import code_files
from tests.fixtures.trees import two_models
from tests.fixtures.wheels import build_wheel, keep, pin
from tests.local_cloud.engine_kit import unique
from tests.local_cloud_sagemaker.definitions import pipeline, processing
from tests.local_cloud_sagemaker.stage import ROLE, Run, Stage

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("sagemaker")]

# What a user adds to pipeline_code/steps: a program that says what it could import.
OWN_STEP = """
from pathlib import Path
from .program import base_dir, main_exit, run
try:
    from greeting import WORD
except ImportError:
    WORD = "no greeting here"
def work():
    (base_dir() / "processing/output/said/word.txt").write_text(WORD)
    return f"said {WORD}"
main_exit(lambda _: run(work))
"""


@pytest.fixture(scope="module")
def stage(cloud: LocalCloud) -> Stage:
    return Stage(cloud)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Compiled definitions of two models, of which ``wine`` has a wheel."""
    monkeypatch.setenv("MLOPS_WHEELS", str(tmp_path / "cache"))
    root = two_models(tmp_path / "models")
    wheel = build_wheel(tmp_path / "made", says="hello from a wheel")
    pin(root.parent / "wine", wheel)
    keep(tmp_path / "cache", wheel)
    return root


def run_own_step(stage: Stage, files: Mapping[str, bytes]) -> tuple[Run, str]:
    """Run the step with a model's code as the deployment unpacks it; return how it went and where it wrote."""
    key = unique("wheels")
    for name, content in {**files, "steps/own_step.py": OWN_STEP.encode()}.items():
        stage.s3.put_object(Bucket=stage.bucket, Key=f"{key}/code/{name}", Body=content)
    step = processing(
        "Own",
        stage.uri(f"{key}/code"),
        outputs={"said": stage.uri(f"{key}/said")},
        environment={"PYTHONPATH": "/opt/ml/processing/input/code"},
    )
    arguments: dict[str, Any] = step["Arguments"]
    arguments["AppSpecification"]["ContainerEntrypoint"] = ["python3", "-m", "steps.own_step"]
    arguments["NetworkConfig"] = {"EnableNetworkIsolation": True}
    return stage.run(pipeline(step, parameters=[ROLE])), f"{key}/said/word.txt"


def test_a_step_imports_its_model_s_package_without_a_network(stage: Stage, root: Path) -> None:
    run, said = run_own_step(stage, code_files("wine", root))
    assert run.status == "Succeeded", run.steps
    assert stage.read(said) == "hello from a wheel"


def test_the_other_model_s_jobs_are_as_they_were(stage: Stage, root: Path) -> None:
    run, said = run_own_step(stage, code_files("mammography", root))
    assert run.status == "Succeeded", run.steps
    assert stage.read(said) == "no greeting here"


def test_a_tampered_wheel_fails_the_job_with_one_line(stage: Stage, root: Path) -> None:
    files = code_files("wine", root)
    (name,) = (name for name in files if name.endswith(".whl"))
    run, _ = run_own_step(stage, files | {name: files[name].replace(b"hello", b"HELLO")})
    assert run.status == "Failed"
    reason = run.reason("Own")
    assert f"AlgorithmError: {name}: has sha256 " in reason
    assert "which wheels.txt doesn't pin for greeting==1.2.0: the file was changed, exit code: 2" in reason
    assert "Traceback" not in json.dumps(run.steps, default=str)
