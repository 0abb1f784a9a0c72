"""Check runs: inference that a delivery starts to try a stage out, known by where the run writes.

Docs: docs/architecture.md, "Check runs".
"""

from __future__ import annotations

from typing import Any

from shared.aws import pages

FOLDER = "checks"
OF_A_CHECK = "the run was a check, and a check never retrains"


def is_check(uri: str, data_bucket: str, model_name: str) -> bool:
    """Whether a run that writes to or below `uri` is a check.

    Parameters
    ----------
    uri
        The run's parameter ``RunUri``, or the URI of something that the run wrote.
    """
    return f"{uri.rstrip('/')}/".startswith(f"s3://{data_bucket}/{model_name}/{FOLDER}/")


def run_parameters(sagemaker: Any, execution_arn: str) -> dict[str, str]:
    """Parameters of an execution: all that it was started with, whether or not also those at their defaults.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListPipelineParametersForExecution.html
    """
    found = pages(
        sagemaker.list_pipeline_parameters_for_execution,
        "PipelineParameters",
        PipelineExecutionArn=execution_arn,
    )
    return {str(one["Name"]): str(one.get("Value", "")) for one in found}
