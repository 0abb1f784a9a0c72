"""The accounts, bootstrapped: as ``make bootstrap-help`` says, with policies no wider than what the stacks hold."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from ops import cdk
from rehearsal import settings
from rehearsal.world import ROOT, World

SCRIPTS = Path("build") / "bootstrap"


def bootstrap(world: World) -> list[str]:
    """Bootstrap the accounts of the first commit by the scripts, and staging's as plain as can be; return the scripts.

    Staging joins later: its owner has bootstrapped it already, without knowing what will be deployed.
    """
    world.desk.make("synth")
    world.desk.make("bootstrap-help", "ASSEMBLY=cdk.out")
    scripts = sorted(path.name for path in (world.desk.folder / SCRIPTS).glob("*.sh"))
    lines = [f"bash {shlex.quote(str(SCRIPTS / name))}" for name in scripts]
    lines.append(_plain(world))
    env = world.desk.environment() | {"CDK_DISABLE_CLI_TELEMETRY": "true", "CI": "true"}
    env["PATH"] = f"{_tools(world)}:{env.get('PATH', '')}"
    world.desk.run(["bash", "-c", side_by_side(lines)], env=env)
    return scripts


def side_by_side(lines: Iterable[str]) -> str:
    """Return a shell program that runs commands at the same time and fails where one does."""
    started = [f"( {line} ) & started+=($!)" for line in lines]
    return "\n".join(
        [
            "started=()",
            *started,
            'for one in "${started[@]}"; do wait "$one" || failed=1; done',
            'exit "${failed:-0}"',
        ]
    )


def _plain(world: World) -> str:
    trusted, account = settings.ACCOUNTS["registry"], settings.ACCOUNTS["staging"]
    words = [
        *(str(cdk.NODE), str(cdk.CLI), "bootstrap", f"aws://{account}/{settings.REGION}"),
        *("--profile", "mlops-staging", "--trust", trusted, "--trust-for-lookup", trusted),
        *("--cloudformation-execution-policies", "arn:aws:iam::aws:policy/AdministratorAccess"),
    ]
    return f"cd {shlex.quote(str(world.work))} && {shlex.join(words)}"


def _tools(world: World) -> Path:
    """Return a folder with the AWS CLI, or what stands for it."""
    folder = world.work / "tools"
    folder.mkdir()
    python = ROOT / ".venv" / "bin" / "python"
    program = folder / "aws"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(str(python))} -m rehearsal.aws_cli "$@"\n'
    )
    program.chmod(0o755)
    return folder
