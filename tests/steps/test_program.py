from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_code.mammography import dataset
from pipeline_code.steps import program
from tests.steps.steps_kit import shipped_json

STEPS = Path(program.__file__).parent
PROGRAMS = ["preprocess", "evaluate", "check_batch", "conclude", "prepare", "data_quality"]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A code root as the custom resource unpacks it: steps and model.json, nothing else."""
    root = tmp_path / "code"
    shutil.copytree(STEPS, root / "steps", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "model.json").write_text(json.dumps(shipped_json()))
    return root


def _run(
    code: Path, name: str, *arguments: str, base: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(code)}
    if base is not None:
        environment["SAGEMAKER_BASE_DIR"] = str(base)
    command = [sys.executable, "-m", f"steps.{name}", *arguments]
    return subprocess.run(
        command, env=environment, cwd=code.parent, capture_output=True, text=True, timeout=60
    )


def test_a_step_runs_in_the_containers_folders_without_arguments(
    code: Path, tmp_path: Path, files: dict[str, Path]
) -> None:
    base = tmp_path / "ml"
    (base / "processing" / "input" / "data").mkdir(parents=True)
    shutil.copy(files[dataset.PART1], base / "processing" / "input" / "data")

    done = _run(code, "preprocess", base=base)

    assert (done.returncode, done.stderr) == (0, "")
    assert (base / "processing" / "output" / "train" / "train.csv").is_file()
    assert (base / "output" / "message").read_text() == done.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_tells_the_arguments(code: Path, name: str) -> None:
    done = _run(code, name, "--help")

    assert done.returncode == 0
    assert f"python -m steps.{name}" in done.stdout


def test_an_unknown_argument_has_the_exit_code_of_bad_usage(code: Path) -> None:
    done = _run(code, "preprocess", "--colour", "red")

    assert done.returncode == program.BAD_USAGE
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("threshold", ["high", "-0.1", "1.1", "nan"])
def test_a_threshold_that_is_no_share_is_refused(code: Path, threshold: str) -> None:
    done = _run(code, "check_batch", "--drift-threshold", threshold)

    assert done.returncode == program.BAD_USAGE
    assert f"must be a number from 0 to 1, got '{threshold}'" in done.stderr


def test_bad_data_leave_one_line_and_no_trace(code: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "data").mkdir(parents=True)
    (tmp_path / "in" / "data" / "rows.csv").write_text("5,sixty,3,5,3,1\n")

    done = _run(
        code, "preprocess", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"), base=tmp_path
    )

    assert done.returncode == program.BAD_DATA
    assert done.stderr == "rows.csv, line 1, column Age: 'sixty' is not a number\n"
    assert (tmp_path / "output" / "message").read_text() == done.stderr


def test_a_fault_of_the_program_is_told_apart_from_bad_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))

    def work() -> str:
        raise ZeroDivisionError("oh")

    assert program.run(work) == program.FAULT
    told = (tmp_path / "output" / "message").read_text()
    assert told == "fault of the program: ZeroDivisionError: oh\n"


def test_outside_a_container_no_message_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / "nowhere"))

    assert program.run(lambda: "done") == 0
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", PROGRAMS)
def test_starting_a_step_loads_no_heavy_package(code: Path, name: str) -> None:
    program_text = (
        f"import sys, steps.{name}; "
        "print(*sorted({'boto3', 'yaml', 'pandas', 'pyarrow', 'sklearn', 'scipy', 'xgboost'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program_text],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(code)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "text", ["1e999", "-1E+309", f"1{'0' * 400}.0", f"1{'0' * 250}e99", "[1e00000000309]", "NaN", "-Infinity"]
)
def test_a_file_with_a_number_beyond_any_is_no_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match="is no number of JSON"):
        program.read_json(tmp_path / "x.json")


@pytest.mark.parametrize("text", ["1e300", "1e-400", "0.5", f"1{'0' * 250}", '"1e999"'])
def test_a_file_with_a_number_that_is_only_large_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert program.read_json(tmp_path / "x.json") == json.loads(text)
