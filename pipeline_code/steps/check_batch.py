"""Check a batch against the baseline, then prepare it for scoring in the same job.

Inputs: ``batch``, ``statistics``, ``constraints``, ``history`` of the last batches where there is one, and ``model``
where the predictions are to be compared too. Outputs: ``report`` (verdict.json, Model Monitor's three files,
metrics.json, and report.html for people) and ``prepared``: the rows to score where the verdict's action delivers, else
the file NOT_PREPARED that says why not. A drift or a violation is a result: the exit code is 0, and the pipeline's
conditions act.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .data_quality import add_drift_threshold
from .data_quality import check_batch as check
from .model import Model, read_model
from .prepare import destinations, write_nothing, write_prepared
from .program import data_files, folder_of, main_exit, parser, run, sole_file

if TYPE_CHECKING:
    from .quality.predictions import Scored
    from .quality.report import Verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the step; return its exit code."""
    options = parser("check_batch", "Check a batch and prepare it for scoring.")
    add_predictions_on_drift(options)
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


def add_predictions_on_drift(target: argparse.ArgumentParser) -> None:
    """Add ``--predictions-on-drift``."""
    target.add_argument(
        "--predictions-on-drift",
        choices=("withhold", "deliver"),
        default="withhold",
        help="whether a batch that has drifted is scored (default: %(default)s)",
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
    batch, prepared = inputs / "batch", output / "prepared"
    names = [path.relative_to(batch).as_posix() for path in data_files(batch)]
    targets = destinations(names, prepared)  # before anything is written: a verdict that delivers must hold

    def score(rows: int) -> Scored:
        from .quality.predictions import score_batch

        booster = load_model(inputs / "model")
        write_prepared(model, batch, folder_of(output, "prepared"), checked=True)
        return score_batch(booster, targets, rows, len(model.columns))

    verdict, message = check(
        model,
        batch,
        inputs,
        folder_of(output, "report"),
        drift_threshold=drift_threshold,
        deliver_on_drift=deliver_on_drift,
        score=score if (inputs / "model").is_dir() else None,
    )
    folder_of(output, "prepared")
    written = all(path.exists() for path in targets)
    if verdict.delivers and not written:
        write_prepared(model, batch, prepared, checked=True)
    elif not verdict.delivers:
        for path in targets:
            path.unlink(missing_ok=True)  # rows that were written to be scored here; nobody else shall
        write_nothing(verdict.message, folder_of(output, "prepared"))
    return with_finding(message, verdict)


def load_model(folder: Path) -> Any:
    """Return the booster in the input folder of a model.

    Raises
    ------
    UsageError
        There is no archive, or it can't be read.
    """
    from .archive import load_boosters  # only where it is needed: XGBoost takes a while to load

    return load_boosters([sole_file(folder, "model.tar.gz")])[0]


def with_finding(message: str, verdict: Verdict) -> str:
    """Return the exit message of a check, with what was found."""
    return f"{message} {verdict.message}" if verdict.verdict != "ok" else message


if __name__ == "__main__":
    main_exit(main)
