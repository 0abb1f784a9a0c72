"""What a run that succeeded came to, in words."""

from __future__ import annotations

from typing import Any

import pytest

from ops.runs import result_of


def function(**outputs: str) -> dict[str, Any]:
    """Return a Lambda step as SageMaker describes it."""
    listed = [{"Name": name, "Value": value} for name, value in outputs.items()]
    return {"Metadata": {"Lambda": {"OutputParameters": listed}}}


ARN = "arn:aws:sagemaker:us-east-1:333333333333:model-package/group/7"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], ""),
        ([{"Metadata": {"ProcessingJob": {"Arn": "arn:x"}}}], ""),
        (
            [function(champion_version="6"), {"Metadata": {"RegisterModel": {"Arn": ARN}}}],
            "version 7 is registered and waits for approval: make versions",
        ),
        (
            [function(model_version="6"), function(predictions_uri="s3://b/p/")],
            "predictions by version 6 are in s3://b/p/",
        ),
        (
            [function(found="true", waiting="0", predictions_uri="s3://b/p/"), function(message="AUC 0.9.")],
            "AUC 0.9.",
        ),
        ([function(found="true", waiting="2"), function(message="AUC 0.9.")], "AUC 0.9. 2 more wait."),
    ],
)
def test_a_run_tells_what_it_came_to(steps: list[dict[str, Any]], words: str) -> None:
    assert result_of(steps) == words


def test_a_run_that_judged_nothing_says_so_and_how_to_judge_once_more() -> None:
    words = result_of([function(found="false", waiting="0", predictions_uri="none", model_version="none")])
    assert words.startswith("there was nothing new to judge")
    assert "INPUT=<name>" in words
