"""What stands in for a container: relocated paths, environment, last words, and processes that always end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from local_cloud.runner.execution import StepFailed
from local_cloud.runner.process import ProcessPool
from local_cloud.runner.sandbox import Sandbox, last_words
from local_cloud.runner.steps import function_error, lambda_outputs, resource_name
from local_cloud.runner.transfer import TransferError, split_uri

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "job")


def test_every_occurrence_of_the_container_root_is_relocated(sandbox: Sandbox) -> None:
    root = str(sandbox.root)
    assert sandbox.relocate("/opt/ml/a:/opt/ml/b --x=/opt/ml") == f"{root}/a:{root}/b --x={root}"
    assert sandbox.relocate("/opt/mlx /my/opt/ml-x") == "/opt/mlx /my/opt/ml-x"


def test_python_is_this_python(sandbox: Sandbox) -> None:
    assert sandbox.command(["python3", "-m", "steps.x"], ["--in", "/opt/ml/in"]) == [
        sys.executable, "-m", "steps.x", "--in", f"{sandbox.root}/in",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/srv/x", "/opt/mlx", "/opt/ml/../../x"])
def test_a_path_outside_the_container_root_is_refused(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(ValueError, match=r"/opt/ml"):
        sandbox.path(path)


def test_the_environment_holds_nothing_of_the_engine(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("SECRET", "1")
    found = sandbox.environment({"AWS_REGION": "eu-west-1"}, {"PYTHONPATH": "/opt/ml/processing/input/code"})
    assert found["PYTHONPATH"] == f"{sandbox.root}/processing/input/code"
    assert found["AWS_REGION"] == "eu-west-1"
    assert found["OMP_NUM_THREADS"] == "1"
    assert "SECRET" not in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a\n\nb\n", "a\nb"),
        (
            "Traceback (most recent call last):\n  File x\n    f()\nValueError: bad\nvalue\n",
            "ValueError: bad\nvalue",
        ),
        ("1\n2\n3\n4\n5\n6\n", "2\n3\n4\n5\n6"),
    ],
)
def test_the_last_words_of_a_program_say_why(text: str, expected: str) -> None:
    assert last_words(text) == expected


def test_a_failure_file_outranks_what_was_printed(sandbox: Sandbox) -> None:
    sandbox.stderr.write_text("noise")
    assert sandbox.failure_reason(1) == "AlgorithmError: noise, exit code: 1"
    (sandbox.root / "output" / "failure").write_text("the reason")
    assert sandbox.failure_reason(2) == "AlgorithmError: the reason, exit code: 2"


def test_a_failure_reason_has_at_most_1024_characters_and_keeps_its_end(sandbox: Sandbox) -> None:
    sandbox.stderr.write_text("x" * 5000 + "end")
    reason = sandbox.failure_reason(1)
    assert len(reason) == 1024
    assert reason.endswith("end, exit code: 1")


def test_metrics_are_read_line_by_line(sandbox: Sandbox) -> None:
    file = sandbox.root / "output" / "metrics" / "cloudwatch" / "m.jsonl"
    file.write_text('{"MetricName": "a", "Value": 1}\nnot json\n{"MetricName": "b"}\n')
    assert [metric["MetricName"] for metric in sandbox.metrics()] == ["a", "b"]


def test_names_keep_to_63_characters() -> None:
    name = resource_name("p" * 80, "abc123def456", "Step")
    assert len(name) == 63
    assert name.startswith("p" * 39 + "-abc123def456-")
    plain = resource_name(None, "abc123def456", "S" * 64)
    assert len(plain) == 63
    assert plain.startswith("pipelines-abc123def456-SSS")


@pytest.mark.parametrize(
    ("kind", "value", "good"),
    [
        ("String", "x" * 1024, True),
        ("String", "x" * 1025, False),
        ("String", 5, False),
        ("Integer", 5, True),
        ("Integer", True, False),
        ("Float", 1, True),
        ("Boolean", False, True),
        ("Boolean", "false", False),
    ],
)
def test_outputs_of_a_function_have_their_type(kind: str, value: object, good: bool) -> None:
    declared = [{"OutputName": "o", "OutputType": kind}]
    if good:
        assert lambda_outputs(declared, {"o": value, "other": 1}) == {"o": value}
    else:
        with pytest.raises(StepFailed, match="output 'o'"):
            lambda_outputs(declared, {"o": value})


def test_a_missing_output_of_a_function_is_named() -> None:
    with pytest.raises(StepFailed, match="no output 'o'"):
        lambda_outputs([{"OutputName": "o", "OutputType": "String"}], None)


@pytest.mark.parametrize(
    ("answer", "log", "expected"),
    [
        ({"errorType": "KeyError", "errorMessage": "'x'"}, "", "KeyError: 'x'"),
        (
            {"errorType": "Runtime.HandlerError", "errorMessage": "no"},
            "x\nmodule.NoModel: no\n",
            "NoModel: no",
        ),
        ({"errorType": "KeyError", "errorMessage": "KeyError: 'x'"}, "", "KeyError: 'x'"),
        ({"errorType": "Runtime.HandlerError", "errorMessage": "no"}, "", "no"),
        ({"errorMessage": "Task timed out after 3.00 seconds"}, "", "Task timed out after 3.00 seconds"),
    ],
)
def test_the_error_of_a_function_is_told_with_its_type(
    answer: dict[str, str], log: str, expected: str
) -> None:
    assert function_error(answer, log) == expected


@pytest.mark.parametrize("uri", ["http://b/k", "s3:///k", "b/k"])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(TransferError, match="isn't an S3 URI"):
        split_uri(uri)


def start(pool: ProcessPool, folder: Path, code: str, key: str = "job") -> tuple[threading.Thread, list[int]]:
    codes: list[int] = []

    def run() -> None:
        codes.append(
            pool.run(
                key,
                [sys.executable, "-c", code],
                environment={"PATH": os.environ["PATH"]},
                folder=folder,
                stdout=folder / "out",
                stderr=folder / "err",
            )
        )

    thread = threading.Thread(target=run)
    thread.start()
    return thread, codes


def wait_for(probe: object, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if callable(probe) and probe():
            return
        time.sleep(0.02)
    raise AssertionError("it didn't happen")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody has waited for yet is dead.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_a_program_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    thread, codes = start(ProcessPool(), tmp_path, "import sys; print('hi'); sys.exit(3)")
    thread.join(5)
    assert codes == [3]
    assert (tmp_path / "out").read_text() == "hi\n"


def test_a_stopped_program_ends_with_its_children(tmp_path: Path) -> None:
    pool = ProcessPool()
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    thread, codes = start(pool, tmp_path, code)
    wait_for(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_text().endswith("\n"))
    child = int((tmp_path / "out").read_text())
    pool.stop("job")
    thread.join(5)
    assert codes == [128 + signal.SIGTERM]
    wait_for(lambda: not alive(child))


def test_a_program_that_is_stopped_before_it_starts_never_runs(tmp_path: Path) -> None:
    pool = ProcessPool()
    pool.stop("job")
    thread, codes = start(pool, tmp_path, "print('ran')")
    thread.join(5)
    assert codes == [128 + signal.SIGTERM]
    assert (tmp_path / "out").read_text() == ""


def test_a_closed_pool_leaves_no_process(tmp_path: Path) -> None:
    pool = ProcessPool()
    thread, codes = start(pool, tmp_path, "import time; time.sleep(60)")
    wait_for(lambda: pool.process_id("job") is not None)
    pid = pool.process_id("job")
    pool.close()
    thread.join(5)
    assert codes == [128 + signal.SIGKILL]
    assert pid is not None
    assert not alive(pid)


def test_a_killed_engine_takes_its_programs_with_it(tmp_path: Path) -> None:
    engine = f"""
import pathlib, sys
from local_cloud.runner.process import ProcessPool
folder = pathlib.Path({str(tmp_path)!r})
code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
ProcessPool().run("job", [sys.executable, "-c", code], environment={{}}, folder=folder,
                  stdout=folder / "out", stderr=folder / "err")
"""
    process = subprocess.Popen([sys.executable, "-c", engine], cwd=ROOT)
    wait_for(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_text().endswith("\n"))
    program = int((tmp_path / "out").read_text())
    assert alive(program)
    process.kill()
    process.wait()
    wait_for(lambda: not alive(program))
