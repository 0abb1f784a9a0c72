"""Conditions of GitHub Actions and Jenkins."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.ci_steps import github_jobs, jenkins_stages
from rehearsal.errors import RehearsalError
from rehearsal.expressions import filled, holds

ROOT = Path(__file__).resolve().parents[2]
VALUES = {"failure()": "false", "needs.dev.result": "success", "needs.gate.outputs.widens": "false", "a": "1"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("${{ needs.dev.result == 'success' }}", True),
        ("needs.dev.result == 'failure'", False),
        ("!failure()", True),
        ("!failure() && needs.dev.result == 'success'", True),
        ("failure() || needs.dev.result == 'success'", True),
        ("!failure() && (needs.gate.outputs.widens == 'true' || a == '1')", True),
        ("needs.gate.outputs.widens", False),
        ("needs.gate.outputs.widens != 'true'", True),
        ("needs.nobody.result == 'success'", False),
        ("failure() || failure() && a == '1'", False),
    ],
)
def test_a_condition_holds_as_github_reads_it(expression: str, expected: bool) -> None:
    assert holds(expression, VALUES) is expected


@pytest.mark.parametrize("expression", ["a ==", "(a", "a b", "a ? b", "contains(a, 'b')"])
def test_what_is_not_known_here_is_told(expression: str) -> None:
    with pytest.raises(RehearsalError, match="the condition"):
        holds(expression, VALUES)


def test_expressions_within_a_text_are_filled() -> None:
    assert filled("arn:${{ a }}/${{ nobody }}.", VALUES) == "arn:1/."


def test_every_condition_of_the_promotion_can_be_read() -> None:
    jobs = github_jobs(ROOT / ".github/workflows/promote.yml") + jenkins_stages(ROOT / "Jenkinsfile")
    conditions = {one for job in jobs for step in job.steps for one in step.conditions}
    conditions |= {job.condition for job in jobs if job.condition}
    assert len(conditions) > 5
    for condition in conditions:
        holds(condition, {})
