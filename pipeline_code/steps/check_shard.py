"""Read the part of a batch that this instance of a job was given, and prepare it for scoring.

Inputs: ``batch``, of which each instance has other files, perhaps none, and ``model`` where the predictions are to be
compared too. Outputs: ``state``, what the verdict needs of these files and of the model's scores of them, and
``prepared``, their rows. Whether they are delivered is decided by ``steps.merge_checks``, which sees the states of all
instances; broken rows are its violations, so the exit code is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .check_batch import load_model
from .data_quality import batch_state, leave_state
from .model import Model, read_model
from .prepare import destinations, write_nothing, write_prepared
from .program import files_below, folder_of, main_exit, parser, run
from .quality.checks import is_structural
from .quality.predictions import score_batch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the step; return its exit code."""
    given = parser("check_shard", "Read a part of a batch and prepare it for scoring.").parse_args(arguments)
    return run(lambda: read_and_prepare(read_model(given.model), given.input, given.output))


def read_and_prepare(model: Model, inputs: Path, output: Path) -> str:
    """Do the step's work; return the exit message.

    Raises
    ------
    DataError
        The names of this instance's files collide, or a link leads to no file.
    UsageError
        The model can't be read, or isn't one of such rows.
    """
    batch, prepared = inputs / "batch", folder_of(output, "prepared")
    files = files_below(batch)
    targets = destinations([path.relative_to(batch).as_posix() for path in files], prepared)
    state = batch_state(model, batch)
    # The verdict on these is certain: their rows need not be written, which programs for sound files would do.
    certain = [problem for problem in state.problems if is_structural(problem, model.features)]
    if certain:
        write_nothing(str(certain[0]), prepared)
    elif files:
        booster = load_model(inputs / "model") if state.rows and (inputs / "model").is_dir() else None
        write_prepared(model, batch, prepared, checked=True)
        if booster is not None:
            state.scored = [score_batch(booster, targets, state.rows, len(model.columns))]
    # An instance without files leaves the folder empty: whatever lay there would be scored with the others' rows.
    return leave_state(state, output)


if __name__ == "__main__":
    main_exit(main)
