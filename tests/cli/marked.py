"""Finds what a program left running: every process that carries a mark in its environment."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

MARK = "CDK_MLOPS_TEST_MARK"


def marked(mark: str) -> list[str]:
    """Return the command lines of the processes that carry the mark; the dead don't count."""
    wanted = f"{MARK}={mark}"
    if not Path("/proc/self/environ").exists():  # macOS
        listed = subprocess.run(["ps", "axeww", "-o", "command"], capture_output=True, text=True, check=True)
        return [line for line in listed.stdout.splitlines() if wanted in line]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
        except OSError:
            continue  # it has ended meanwhile, or is somebody else's
    return found


def left_running(mark: str, seconds: float = 10.0) -> list[str]:
    """Return what still carries the mark after a while."""
    end = time.monotonic() + seconds
    while left := marked(mark):
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    return left
