"""The README promises that each reason an alert gives stands in the runbook."""

from __future__ import annotations

from pathlib import Path

from model_resolver.versions import IncompleteVersion
from pipeline_notifier import causes

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"


def test_the_runbook_has_a_row_for_every_reason() -> None:
    rows = [line.split("|")[1] for line in RUNBOOK.read_text().splitlines() if line.startswith("| `")]
    reasons = [*causes._WORDS, IncompleteVersion.__name__]
    assert [reason for reason in reasons if not any(f"`{reason}`" in row for row in rows)] == []
