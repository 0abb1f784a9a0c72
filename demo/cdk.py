"""The real CDK CLI, pointed at the embedded cloud: the commands that a user types for AWS."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.story import DemoError

ROOT = Path(__file__).resolve().parent.parent
NODE = ROOT / ".venv" / "bin" / "node"
CLI = ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk"


def environment(credentials: Mapping[str, str], settings_file: Path) -> dict[str, str]:
    """Return the environment of a CDK command: someone's credentials, the settings, no telemetry, no version check."""
    return {
        **os.environ,
        **credentials,
        "MLOPS_SETTINGS": str(settings_file),
        "JSII_NODE": str(NODE),
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        "CDK_VALIDATION": "false",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CI": "true",  # progress as plain lines on stdout
        "NO_COLOR": "1",
    }


def begin(
    arguments: Sequence[str], env: Mapping[str, str], log: Path, *, folder: Path = ROOT
) -> subprocess.Popen[bytes]:
    """Start a CDK command whose output goes to a log file; where the folder has no cdk.json it needs no synthesis."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        return subprocess.Popen(
            [str(NODE), str(CLI), *arguments],
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def finish(process: subprocess.Popen[bytes], what: str, log: Path) -> str:
    """Wait for a command and return what it printed.

    Raises
    ------
    DemoError
        Where it failed, with the last lines that it printed.
    """
    code = process.wait()
    text = log.read_text(errors="replace")
    if code:
        lines = [line for line in text.splitlines() if line.strip()]
        raise DemoError(f"{what} failed with exit code {code} (log: {log}):\n" + "\n".join(lines[-12:]))
    return text


def run(arguments: Sequence[str], env: Mapping[str, str], log: Path) -> str:
    """Run a CDK command to its end and return what it printed."""
    return finish(begin(arguments, env, log), "cdk " + " ".join(arguments), log)
