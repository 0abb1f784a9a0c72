"""Give the verdict on a batch whose parts the instances of a job have read with ``steps.check_shard``.

Inputs: ``states``, one of each instance, ``statistics``, ``constraints``, and ``history`` of the last batches where
there is one. Output: ``report``, as ``steps.check_batch`` writes it on one instance; predictions are compared where the
states hold scores. A drift or a violation is a result: the exit code is 0, and the pipeline's conditions act.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .check_batch import add_predictions_on_drift, with_finding
from .data_quality import add_drift_threshold, conclude_state, merged_state
from .model import Model, read_model
from .prepare import destinations
from .program import folder_of, main_exit, parser, run
from .quality.pooled import pooled


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the step; return its exit code."""
    options = parser("merge_checks", "Give the verdict on a batch that several instances have read.")
    options.add_argument("--instances", type=int, required=True, help="how many states there must be")
    add_predictions_on_drift(options)
    add_drift_threshold(options)
    given = options.parse_args(arguments)
    return run(
        lambda: merge_and_judge(
            read_model(given.model),
            given.input,
            given.output,
            instances=given.instances,
            deliver_on_drift=given.predictions_on_drift == "deliver",
            drift_threshold=given.drift_threshold,
        )
    )


def merge_and_judge(
    model: Model,
    inputs: Path,
    output: Path,
    *,
    instances: int,
    deliver_on_drift: bool = False,
    drift_threshold: float | None = None,
) -> str:
    """Do the step's work; return the exit message.

    Raises
    ------
    DataError
        No instance had a file, or the prepared rows of two went to the same place.
    UsageError
        A state is missing or can't be read, or the baseline can't; some states hold scores and others don't.
    """
    state = merged_state(model, inputs / "states", instances=instances)
    destinations(list(state.files), output / "prepared")  # no instance saw the names of the others' files
    verdict, message = conclude_state(
        model,
        state,
        inputs,
        folder_of(output, "report"),
        drift_threshold=drift_threshold,
        deliver_on_drift=deliver_on_drift,
        score=(lambda rows: pooled(state.scored, rows)) if state.scored else None,
    )
    return with_finding(message, verdict)


if __name__ == "__main__":
    main_exit(main)
