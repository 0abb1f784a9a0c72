"""Starts and ends the server process, and finds out whether anything of it is left."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_ACCOUNT = "111111111111"
SAGEMAKER_SERVICE = "local_cloud.sagemaker.service"
CODEPIPELINE_SERVICE = "local_cloud.codepipeline.service"
#: Environment variable with the file that decisions about permissions are appended to; see `adapter.recording`.
RECORD_VARIABLE = "LOCAL_CLOUD_RECORD"
#: Name of the sessions of `LocalCloud.service_session`: what a thief would hold, which no service of ours uses.
STOLEN_SESSION = "service-session"
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_PACKAGE_PARENT = Path(__file__).resolve().parent.parent


class LocalCloudError(RuntimeError):
    """The embedded cloud can't do what was asked; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to reach a running embedded cloud.

    Attributes
    ----------
    port, plain_port
        Loopback ports: the one that counts as TLS and the one that doesn't.
    pid
        The server's process id, which is also its process group's.
    """

    port: int
    plain_port: int
    pid: int


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that points at AWS."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def spawn(
    *,
    work_dir: Path,
    port: int = 0,
    plain_port: int = 0,
    default_account: str = DEFAULT_ACCOUNT,
    detached: bool = False,
    temporary: bool = False,
    sagemaker_module: str = SAGEMAKER_SERVICE,
    record: Path | None = None,
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a server process and wait until it serves.

    Parameters
    ----------
    work_dir
        Where it may write.
    port, plain_port
        Wanted ports; 0 for any. A taken one is stepped around.
    default_account
        Account of requests without credentials.
    detached
        Let it outlive this process. Default: it ends with it.
    temporary
        Let it remove the folder at its end.
    sagemaker_module
        Name of the module with the SageMaker service.
    record
        File that decisions about permissions are appended to. Default: that of ``LOCAL_CLOUD_RECORD``, else none.

    Raises
    ------
    LocalCloudError
        It did not start; says why.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "local_cloud", "serve", "--work-dir", str(work_dir.resolve())]
    command += ["--port", str(port), "--plain-port", str(plain_port), "--default-account", default_account]
    command += ["--sagemaker-module", sagemaker_module, *(["--detached"] if detached else [])]
    command += ["--temporary"] if temporary else []
    with (work_dir / "stderr.log").open("ab") as errors:
        process = subprocess.Popen(
            command,
            cwd=_PACKAGE_PARENT,
            env=clean_environment() | ({RECORD_VARIABLE: str(record.resolve())} if record else {}),
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            # A group of its own: Ctrl-C in the terminal reaches the caller only, who ends it in order.
            start_new_session=True,
        )
    try:
        return process, _await_ready(process, work_dir)
    except BaseException:
        end(process)
        raise


def _await_ready(process: subprocess.Popen[bytes], work_dir: Path) -> Connection:
    assert process.stdout is not None  # noqa: S101  it is a pipe
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(_START_SECONDS) else b""
    ready: dict[str, Any] = json.loads(line) if line.startswith(b"{") else {}
    if "port" not in ready:
        reason = (
            ready.get("error")
            or _last_line(work_dir / "stderr.log")
            or f"no answer in {_START_SECONDS:.0f} s"
        )
        raise LocalCloudError(f"the embedded cloud did not start: {reason}")
    return Connection(port=ready["port"], plain_port=ready["plain_port"], pid=ready["pid"])


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else ""


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and all that it started: SIGTERM, then SIGKILL."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    # The group outlives its leader while a function or a step is still running.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _group_is_alive(pid: int) -> bool:
    """Whether a process group has a member that still runs; the dead that nobody has waited for don't count."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # macOS says so of a group whose members are all dying
    states = [_state_in_group(stat, pid) for stat in Path("/proc").glob("[0-9]*/stat")]
    return not any(states) or any(state not in ("", "Z", "X") for state in states)


def _state_in_group(stat: Path, group: int) -> str:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[0] if fields[2] == str(group) else ""


def wait_until_gone(pid: int, seconds: float = _STOP_SECONDS) -> bool:
    """Wait until nothing of a process group runs; whether that came to pass.

    Parameters
    ----------
    pid
        The group's id, which is its leader's.
    seconds
        How long to wait at most.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not _group_is_alive(pid):
            return True
        time.sleep(0.05)
    return False
