"""The commands that CI systems run: delivering an assembly, and what `ops.ci` has for them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from ops import ci, deliver, github
from stacks.installation import Settings


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def _deliver(settings: Settings, options: argparse.Namespace) -> None:
    folder = Path(options.assembly or "cdk.out")
    deliver.deliver(settings, deliver.stages_of(settings, options.stages), folder, say=say)


def _variables(settings: Settings, options: argparse.Namespace) -> None:
    ci.put_out("variables", ci.variables(settings, os.environ), os.environ, say)


def _permissions(settings: Settings, options: argparse.Namespace) -> None:
    ci.put_out("permissions", ci.gate(), os.environ, say)


def _guard(settings: Settings, options: argparse.Namespace) -> None:
    github.check_reviewers(os.environ)


def _in_role(settings: Settings, options: argparse.Namespace) -> None:
    ci.run_in_role(settings, os.environ.get("ROLE"), os.environ.get("TARGET"))


COMMANDS: dict[str, Callable[[Settings, argparse.Namespace], None]] = {
    "deliver": _deliver,
    "ci-variables": _variables,
    "ci-permissions": _permissions,
    "ci-guard": _guard,
    "in-role": _in_role,
}
