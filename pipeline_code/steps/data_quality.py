"""The data-quality monitor as a program: ``baseline`` of training data, ``check`` of a batch.

``baseline``: input ``data`` (training files, with label), output ``baseline``. ``check``: inputs ``data``
(a batch, without label), ``statistics`` and ``constraints``, output ``report``; Model Monitor's baselines
are read too. ``report``: the page of a check from its files. A finding is a result, not an error: the exit code is 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .model import Model, read_model
from .program import add_folders, base_dir, data_files, folder_of, main_exit, run, sole_file
from .quality.baseline import STATISTICS, read_baseline, write_baseline
from .quality.checks import check
from .quality.constraints import suggest
from .quality.page_files import try_page, write_page
from .quality.profile import profile_rows
from .quality.report import Verdict, exit_message, judge, metrics_of, write_metrics, write_report
from .rows import FileRows, Problem, read_batch_file, read_training_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m steps.data_quality", description=__doc__)
    modes = parser.add_subparsers(dest="mode", required=True)
    for mode, told in (("baseline", "describe training data"), ("check", "check a batch against a baseline")):
        add_folders(modes.add_parser(mode, help=told))
    add_drift_threshold(modes.choices["check"])
    _add_report(modes.add_parser("report", help="make the page of a check anew, from its files"))
    given = parser.parse_args(arguments)
    if given.mode == "report":
        return run(lambda: f"Completed: {write_page(given.report, given.statistics, history=given.history)}")
    if given.mode == "baseline":
        return run(lambda: baseline(read_model(given.model), given.input / "data", given.output))
    return run(
        lambda: check_batch(
            read_model(given.model),
            given.input / "data",
            given.input,
            folder_of(given.output, "report"),
            drift_threshold=given.drift_threshold,
        )[2]
    )


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report", type=Path, required=True, help="folder with verdict.json and statistics.json of a check"
    )
    parser.add_argument("--statistics", type=Path, required=True, help="statistics.json of the baseline")
    parser.add_argument("--history", type=Path, help="history.json, the batches before (default: none)")


def add_drift_threshold(parser: argparse.ArgumentParser) -> None:
    """Add ``--drift-threshold``."""
    parser.add_argument(
        "--drift-threshold",
        type=_share,
        help="distance above which a feature has drifted (default: as in the baseline's constraints)",
    )


def _share(text: str) -> float:
    with suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, got '{text}'")


def baseline(model: Model, data: Path, output: Path) -> str:
    """Write the baseline of training data.

    Raises
    ------
    DataError
        The data don't fit the model's description.
    """
    files = [
        read_training_file(path, path.relative_to(data).as_posix(), model)
        for path in data_files(data, suffix=".csv")
    ]
    write_baseline(model, files, folder_of(output, "baseline"))
    return f"Completed: baseline of {sum(rows.rows for rows in files)} rows."


def check_batch(
    model: Model,
    batch: Path,
    baseline_root: Path,
    report: Path,
    *,
    drift_threshold: float | None = None,
    deliver_on_drift: bool = False,
) -> tuple[Verdict, list[FileRows], str]:
    """Check a batch and write the report.

    Returns
    -------
    tuple
        The verdict, the batch's rows, and the exit message.

    Raises
    ------
    DataError
        There is no batch.
    UsageError
        The baseline can't be read.
    """
    known, constraints = read_baseline(baseline_root, model, drift_threshold=drift_threshold)
    problems: list[Problem] = []
    files = [
        read_batch_file(path, path.relative_to(batch).as_posix(), model, problems)
        for path in data_files(batch)
    ]
    current = profile_rows(model.columns, files, problems)
    findings = check(
        current,
        known,
        constraints,
        completeness_confidence=model.monitor.completeness_confidence,
        drift_confidence=model.monitor.drift_confidence,
    )
    verdict = judge(current.rows, findings, deliver_on_drift=deliver_on_drift)
    write_report(report, verdict, findings, current, suggest(current, model.columns, model.monitor))
    try_page(
        report,
        sole_file(baseline_root / "statistics", STATISTICS),
        history=baseline_root / "history" / "history.json",
        model=model.model_name,
        batch=[rows.name for rows in files],
    )
    # outside a container there is no base folder
    monitored = base_dir() / "output" / "metrics" / "cloudwatch" if base_dir().is_dir() else None
    write_metrics(report, metrics_of(current, findings, constraints), container=monitored)
    return verdict, files, exit_message(findings)


if __name__ == "__main__":
    main_exit(main)
