"""What the fuzz tests share: how long they run, and what a well-behaved refusal looks like.

By default a run is short and the same every time: hypothesis derives its examples from the test itself, so a failure
can be repeated and no build fails by chance. ``FUZZ=long make test`` (or ``FUZZ=long pytest tests/fuzz``) searches
thirty times as many examples, other ones in each run; a failure prints the example, which then belongs in the file
as an ``@example``.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

LONG = os.environ.get("FUZZ") == "long"
LINE_LIMIT = 1024  # characters that SageMaker shows of an exit message or a step's failure


def fuzz(examples: int) -> Callable[[Any], Any]:
    """Run a property on so many examples, thirty times as many in a long run."""
    return settings(
        max_examples=examples * 30 if LONG else examples,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def scaled(examples: int) -> int:
    """Return how many examples a loop of its own should run."""
    return examples * 30 if LONG else examples


def one_line(text: str) -> bool:
    """Whether a text is one line that a terminal, a log and a mail show as it is."""
    return (
        bool(text.strip())
        and len(text.splitlines()) == 1
        and not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text.rstrip("\n"))
    )


def files_below(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, links too, by its relative name."""
    return {
        path.relative_to(folder).as_posix(): b"" if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }
