"""Who answers where a person is needed: the person at the terminal, ``APPROVE=1``, or a failure case's script."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from rehearsal.errors import RehearsalError

YES, NO = ("y", "yes", "a", "approve"), ("n", "no", "r", "refuse")


@dataclass(frozen=True)
class Answer:
    """What was decided, and by whom in words."""

    approved: bool
    note: str


@dataclass
class Approver:
    """Answers approvals.

    Attributes
    ----------
    always
        Whether yes is the answer to everything.
    scripted
        Answers by the name of an action, while a failure case runs: nobody is asked then.
    """

    always: bool
    ask: Callable[[str], str] = input
    scripted: Mapping[str, Answer] | None = field(default=None)

    @classmethod
    def of_this_terminal(cls, stdin: TextIO | None = None) -> Approver:
        """Return the one that the environment and the terminal give.

        Raises
        ------
        RehearsalError
            Where there is neither a terminal nor ``APPROVE=1``: told at the start, not at the first approval.
        """
        said = os.environ.get("APPROVE", "")
        if said not in ("", "0", "1"):
            raise RehearsalError(f"APPROVE must be 1 (approve everything) or be left out, got {said!r}")
        always = said == "1"
        if not always and not (sys.stdin if stdin is None else stdin).isatty():
            raise RehearsalError(
                "somebody must answer the approvals: run it in a terminal, or with APPROVE=1 to approve everything"
            )
        return cls(always=always)

    @contextmanager
    def script(self, answers: Mapping[str, Answer]) -> Iterator[None]:
        """Answer by a script within the block: what isn't in it is approved, and nobody is asked."""
        self.scripted = answers
        try:
            yield
        finally:
            self.scripted = None

    def answer(self, action: str, question: str) -> Answer:
        """Return the answer to a question about an action that waits."""
        if self.scripted is not None:
            return self.scripted.get(action, Answer(True, "approved by the rehearsal"))
        if self.always:
            return Answer(True, "approved by APPROVE=1")
        while True:
            said = self.ask(f"  {question} [approve / refuse] ").strip().lower()
            if said in YES:
                return Answer(True, "approved at the terminal")
            if said in NO:
                return Answer(False, "refused at the terminal")
