"""An independent judge of permissions: npm's iam-simulate, in a Node process, for many cases at once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / ".venv" / "bin" / "node"
PROGRAM = Path(__file__).with_name("judge.mjs")


def judged(simulations: Iterable[dict[str, Any]]) -> list[bool]:
    """Return whether each simulation is allowed.

    Raises
    ------
    AssertionError
        Where the judge couldn't understand one: a case that isn't judged proves nothing.
    """
    cases = [json.dumps(one) for one in simulations]
    run = subprocess.run(
        [str(NODE), str(PROGRAM)], input="\n".join(cases) + "\n", capture_output=True, text=True, timeout=300
    )
    answers = run.stdout.splitlines()
    assert len(answers) == len(cases), run.stderr
    strange = [(case, answer) for case, answer in zip(cases, answers, strict=True) if answer not in _WORDS]
    assert not strange, strange[0]
    return [answer == "Allowed" for answer in answers]


_WORDS = ("Allowed", "ImplicitlyDenied", "ExplicitlyDenied")
