"""Composition root: settings -> stacks; nothing else."""

from __future__ import annotations

import sys

from stacks.section import SettingsError
from stacks.settings import load


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
