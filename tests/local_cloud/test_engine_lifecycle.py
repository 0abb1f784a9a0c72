"""An embedded cloud starts, steps around taken ports, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local_cloud import keeper
from local_cloud.cloud import LocalCloud
from local_cloud.process import LocalCloudError, wait_until_gone
from tests.local_cloud.engine_kit import DEV, FAKE, make_function, make_role

pytestmark = pytest.mark.cloud
ROOT = Path(__file__).resolve().parents[2]


def start_with_a_running_function(work_dir: Path | None = None) -> LocalCloud:
    """A cloud with a Lambda worker process."""
    cloud = LocalCloud.start(work_dir=work_dir, sagemaker_module=FAKE)
    role = make_role(cloud, DEV, principal={"Service": "lambda.amazonaws.com"})
    function = make_function(cloud, DEV, "def handler(event, context):\n    return 1", role)
    cloud.session(DEV).client("lambda").invoke(FunctionName=function)
    return cloud


def test_stopping_leaves_no_process_and_no_file() -> None:
    cloud = start_with_a_running_function()
    folder = cloud._temporary
    assert folder is not None
    assert folder.exists()
    cloud.stop()
    assert wait_until_gone(cloud.connection.pid)
    assert not folder.exists()
    cloud.stop()


def test_it_writes_only_below_its_work_folder(tmp_path: Path) -> None:
    with start_with_a_running_function(tmp_path / "work"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_a_taken_port_is_stepped_around() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with LocalCloud.start(port=port, sagemaker_module=FAKE) as cloud:
            assert cloud.connection.port != port
            assert cloud.is_alive()


def test_it_listens_on_loopback_only(engine: LocalCloud) -> None:
    for port in (engine.connection.port, engine.connection.plain_port):
        with socket.socket() as outside:
            # The whole of 127/8 is the host itself; only 127.0.0.1 is bound.
            assert outside.connect_ex(("127.0.0.2", port)) != 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_the_program_that_started_it(number: signal.Signals) -> None:
    program = (
        "import time; from tests.local_cloud.test_engine_lifecycle import start_with_a_running_function as start\n"
        "cloud = start(); print(cloud.connection.pid, cloud._temporary, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    pid, folder = parent.stdout.readline().split()
    parent.send_signal(number)
    parent.wait(10)
    parent.stdout.close()
    assert wait_until_gone(int(pid))
    # A killed parent can't tidy up; the server does.
    assert not Path(folder).exists()


def test_a_killed_server_takes_its_functions_with_it() -> None:
    cloud = start_with_a_running_function()
    os.kill(cloud.connection.pid, signal.SIGKILL)
    cloud.stop()
    assert wait_until_gone(cloud.connection.pid)


def test_a_server_that_cannot_start_says_why_in_one_line() -> None:
    with pytest.raises(
        LocalCloudError, match="did not start: ModuleNotFoundError: No module named 'no_such'"
    ) as error:
        LocalCloud.start(sagemaker_module="no_such")
    assert "\n" not in str(error.value)


def test_fails_when_an_account_id_is_too_short() -> None:
    with pytest.raises(ValueError, match="12-digit ids, got '123'"):
        LocalCloud.start(accounts=["123"])


def test_up_status_and_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, work = tmp_path / "local-cloud.json", tmp_path / "work"
    monkeypatch.setattr("local_cloud.cloud.SAGEMAKER_SERVICE", FAKE)
    assert keeper.down(record) == 0
    assert keeper.status(record, work) == 3
    assert capsys.readouterr().out.count("No embedded cloud is running") == 2
    try:
        assert keeper.up(accounts=[DEV], region="us-east-1", port=0, record=record, work_dir=work) == 0
        pid = json.loads(record.read_text())["pid"]
        assert f"AWS_PROFILE=local-{DEV}" in capsys.readouterr().out
        assert keeper.up(accounts=[DEV], region="us-east-1", record=record, work_dir=work) == 0
        assert "already running" in capsys.readouterr().out
        assert keeper.status(record, work) == 0
        environment = {"AWS_CONFIG_FILE": str(work / "aws-config"), "AWS_PROFILE": f"local-{DEV}"}
        program = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
        found = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == DEV
    finally:
        keeper.down(record)
    assert wait_until_gone(pid)
    assert not record.exists()
