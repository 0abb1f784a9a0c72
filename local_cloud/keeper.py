"""One embedded cloud that keeps running between commands, and the profiles that point tools at it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local_cloud.cloud import LocalCloud
from local_cloud.process import Connection, LocalCloudError, spawn, wait_until_gone

DEFAULT_PORT = 4566
BUILD = Path(__file__).resolve().parent.parent / "build"
RECORD = BUILD / "local-cloud.json"
WORK_DIR = BUILD / "local-cloud"


def profile_name(account: str) -> str:
    """Name of the AWS profile of an account that was given no name."""
    return f"local-{account}"


def write_profiles(
    path: Path, cloud: LocalCloud, region: str, profiles: Mapping[str, str] | None = None
) -> None:
    """Write an AWS config file with one profile an account, or those that are named.

    Parameters
    ----------
    path
        The file.
    cloud
        Where the profiles point.
    region
        Region of the profiles.
    profiles
        Account of each profile. Default: ``local-<account>`` for every account.
    """
    lines = []
    for name, account in (_profiles(cloud) if profiles is None else profiles).items():
        lines += [
            f"[profile {name}]",
            f"region = {region}",
            f"endpoint_url = {cloud.endpoint}",
            f"aws_access_key_id = {account}",
            "aws_secret_access_key = test",
            "",
        ]
    path.write_text("\n".join(lines))


def _profiles(cloud: LocalCloud) -> dict[str, str]:
    return {profile_name(account): account for account in cloud.accounts}


def running(record: Path = RECORD) -> LocalCloud | None:
    """Return the embedded cloud that ``up`` started, if it still runs."""
    try:
        kept = json.loads(record.read_text())
        connection = Connection(port=kept["port"], plain_port=kept["plain_port"], pid=kept["pid"])
        cloud = LocalCloud(connection, kept["accounts"])
    except (OSError, ValueError, KeyError):
        return None
    return cloud if cloud.is_alive() else None


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _paste(cloud: LocalCloud, work_dir: Path) -> str:
    names = re.findall(r"^\[profile (.+)\]$", (work_dir / "aws-config").read_text(), re.MULTILINE)
    lines = [
        f"export AWS_CONFIG_FILE={work_dir / 'aws-config'}",
        f"export AWS_SHARED_CREDENTIALS_FILE={work_dir / 'aws-config'}",
        f"export AWS_ENDPOINT_URL={cloud.endpoint}",
        f"export AWS_ENDPOINT_URL_S3={cloud.endpoint}",
        "export AWS_EC2_METADATA_DISABLED=true",
        f"export AWS_PROFILE={names[0]}" + (f"   # or {', '.join(names[1:])}" if names[1:] else ""),
    ]
    return "\n".join(f"  {line}" for line in lines)


def up(
    *,
    accounts: Sequence[str],
    region: str,
    profiles: Mapping[str, str] | None = None,
    port: int = DEFAULT_PORT,
    record: Path = RECORD,
    work_dir: Path = WORK_DIR,
) -> int:
    """Start an embedded cloud and keep it running; say how to point tools at it.

    Parameters
    ----------
    accounts
        12-digit ids, one profile each.
    region
        Region of the profiles.
    profiles
        Account of each profile. Default: ``local-<account>`` for every account.
    port
        Wanted port; a free one is taken where it is in use.
    record, work_dir
        Where it is noted that it runs, and where it writes.
    """
    for account in accounts:
        if not (len(account) == 12 and account.isdigit()):
            raise ValueError(f"--accounts must be 12-digit ids, got {account!r}")
    if found := running(record):
        _say(f"An embedded cloud is already running at {found.endpoint}; end it with: make local-down")
        _say(_paste(found, work_dir))
        return 0
    shutil.rmtree(work_dir, ignore_errors=True)
    process, connection = spawn(
        work_dir=work_dir, port=port, plain_port=port + 1, default_account=accounts[0], detached=True
    )
    if process.stdout is not None:
        process.stdout.close()
    process.returncode = 0  # it is meant to outlive this process: no warning about that
    cloud = LocalCloud(connection, accounts)
    write_profiles(work_dir / "aws-config", cloud, region, profiles)
    kept = {
        "pid": connection.pid,
        "port": connection.port,
        "plain_port": connection.plain_port,
        "endpoint": cloud.endpoint,
        "plain_endpoint": cloud.plain_endpoint,
        "accounts": list(accounts),
        "region": region,
    }
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(kept, indent=2) + "\n")
    _say(
        f"An embedded cloud runs at {cloud.endpoint} (without TLS: {cloud.plain_endpoint}). To use it, paste:"
    )
    _say(_paste(cloud, work_dir))
    _say("End it with: make local-down")
    return 0


def down(record: Path = RECORD) -> int:
    """End the embedded cloud that ``up`` started."""
    cloud = running(record)
    if cloud is None:
        record.unlink(missing_ok=True)
        _say("No embedded cloud is running.")
        return 0
    pid = cloud.connection.pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if not wait_until_gone(pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        if not wait_until_gone(pid):
            raise LocalCloudError(
                f"the embedded cloud (process {pid}) doesn't end; end it with: kill -9 {pid}"
            )
    record.unlink(missing_ok=True)
    _say("The embedded cloud has ended; its state is gone.")
    return 0


def status(record: Path = RECORD, work_dir: Path = WORK_DIR) -> int:
    """Say whether an embedded cloud is running; 0 if so, 3 if not."""
    cloud = running(record)
    if cloud is None:
        _say("No embedded cloud is running; start one with: make local-up")
        return 3
    _say(f"An embedded cloud runs at {cloud.endpoint}, accounts {', '.join(cloud.accounts)}.")
    _say(_paste(cloud, work_dir))
    return 0
