"""Composition root: settings -> stacks; nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stacks.section import SettingsError
from stacks.settings import load

NODE = Path(__file__).resolve().parent / ".venv" / "bin" / "node"
if NODE.exists():  # so that `cdk` works without make, on a machine without a Node of its own
    os.environ.setdefault("JSII_NODE", str(NODE))
    os.environ.setdefault("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")


def main() -> int:
    """Synthesize the stacks of the settings; a mistake is one line and exit code 1."""
    try:
        settings = load()
        from stacks.composition import (
            synthesize,
        )  # CDK takes a second to import: a mistake is told before that

        synthesize(settings)
    except (SettingsError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
