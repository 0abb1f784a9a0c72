"""The processes of an embedded cloud, found from outside."""

from __future__ import annotations

import subprocess
from pathlib import Path

from local_cloud.cloud import LocalCloud

PROC = Path("/proc")


def programs_of(cloud: LocalCloud, module: str) -> list[int]:
    """Return the processes of a cloud that run a Python module, but not the shells that watch over them."""
    table = _from_proc() if PROC.is_dir() else _from_ps()

    def belongs(pid: int) -> bool:
        while pid != cloud.connection.pid and pid in table:
            pid = table[pid][0]
        return pid == cloud.connection.pid

    return [
        pid
        for pid, (_, command) in table.items()
        if f"-m {module}" in command and not command.startswith("/bin/sh") and belongs(pid)
    ]


def _from_proc() -> dict[int, tuple[int, str]]:
    table = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        table[int(folder.name)] = (parent, command)
    return table


def _from_ps() -> dict[int, tuple[int, str]]:
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return {int(row[0]): (int(row[1]), row[2]) for row in rows if len(row) == 3}
