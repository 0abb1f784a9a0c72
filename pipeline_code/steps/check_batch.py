"""Check a batch against the baseline, then prepare it for scoring in the same job.

Inputs: ``batch``, ``statistics``, ``constraints``, and ``history`` of the last batches where there is one. Outputs:
``report`` (verdict.json, Model Monitor's three files, metrics.json, and report.html for people) and ``prepared``:
the rows to score where the verdict's action delivers, else the file NOT_PREPARED that says why not. A drift or a
violation is a result: the exit code is 0, and the pipeline's conditions act.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .data_quality import add_drift_threshold
from .data_quality import check_batch as check
from .model import Model, read_model
from .prepare import destinations, write_nothing, write_prepared
from .program import data_files, folder_of, main_exit, parser, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the step; return its exit code."""
    options = parser("check_batch", "Check a batch and prepare it for scoring.")
    options.add_argument(
        "--predictions-on-drift",
        choices=("withhold", "deliver"),
        default="withhold",
        help="whether a batch that has drifted is scored (default: %(default)s)",
    )
    add_drift_threshold(options)
    given = options.parse_args(arguments)
    return run(
        lambda: check_and_prepare(
            read_model(given.model),
            given.input,
            given.output,
            deliver_on_drift=given.predictions_on_drift == "deliver",
            drift_threshold=given.drift_threshold,
        )
    )


def check_and_prepare(
    model: Model,
    inputs: Path,
    output: Path,
    *,
    deliver_on_drift: bool = False,
    drift_threshold: float | None = None,
) -> str:
    """Do the step's work; return the exit message.

    Raises
    ------
    DataError
        There is no batch, or the names of its files collide.
    UsageError
        The baseline can't be read.
    """
    batch = inputs / "batch"
    names = [path.relative_to(batch).as_posix() for path in data_files(batch)]
    destinations(names, output / "prepared")  # before anything is written: a verdict that delivers must hold
    verdict, message = check(
        model,
        batch,
        inputs,
        folder_of(output, "report"),
        drift_threshold=drift_threshold,
        deliver_on_drift=deliver_on_drift,
    )
    prepared = folder_of(output, "prepared")
    if verdict.delivers:
        write_prepared(model, batch, prepared, checked=True)
    else:
        write_nothing(verdict.message, prepared)
    return f"{message} {verdict.message}" if verdict.verdict != "ok" else message


if __name__ == "__main__":
    main_exit(main)
