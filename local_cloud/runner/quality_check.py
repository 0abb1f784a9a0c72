"""Stands in for Model Monitor's analyzer: a program that the engine's user names."""

from __future__ import annotations

import os
import shlex

from local_cloud.runner.jobs import JobError

ANALYZER_VARIABLE = "LOCAL_CLOUD_ANALYZER"


def analyzer(image: str) -> list[str]:
    """Return the command that runs in place of an image without an entrypoint.

    It gets the environment that the analyzer's container gets (``dataset_source``, ``dataset_format``,
    ``output_path``, ``baseline_statistics``, ``baseline_constraints``, ...) with its paths relocated, and writes the
    analyzer's files to ``output_path``.

    Raises
    ------
    JobError
        There is none: the environment variable ``LOCAL_CLOUD_ANALYZER`` of the engine is not set.
    """
    command = os.environ.get(ANALYZER_VARIABLE, "")
    if not command:
        raise JobError(
            f"UnsupportedStep: image {image} has no ContainerEntrypoint and can't be pulled here; set "
            f"{ANALYZER_VARIABLE} to the command that does its work"
        )
    return shlex.split(command)
