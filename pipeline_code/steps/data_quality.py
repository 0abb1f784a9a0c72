"""The data-quality monitor as a program.

baseline  input data (training files, with label); output baseline
check     inputs data (a batch, without label), statistics and constraints; output report; with --state-only
          input data, output state
merge     inputs states (what check --state-only left, on each instance), statistics and constraints; output report
report    the page of a check anew, from its files

Files are CSV (plain, gzip, zstd, xz, bzip2) or Parquet, of any size. Model Monitor's baselines are read too.
A finding is a result, not an error. Exit codes: 0 done; 1 bad data; 2 bad usage; 3 a fault of the program; with
--exit-code 4: violations or drift were found.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from .model import Model, read_model
from .program import (
    DataError,
    UsageError,
    add_folders,
    base_dir,
    data_files,
    files_below,
    folder_of,
    main_exit,
    run,
    sole_file,
)
from .quality.baseline import STATISTICS, read_baseline, write_profile
from .quality.constraints import FeatureConstraint, suggest
from .quality.layout import Layout
from .quality.page_files import try_page, write_page
from .quality.predicted import Score, broken, checked_alone, with_predictions
from .quality.profile import Profile
from .quality.report import Verdict, exit_message, judge, metrics_of, write_metrics, write_report
from .quality.state import DatasetState, merge
from .quality.state_file import read_states, write_state
from .quality.stream import read_state
from .rows import Problem

FOUND = 4
TRAINING = (".csv", ".parquet", ".pq", ".gz", ".zst", ".bz2", ".xz")  # endings of training files


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    given = _parser().parse_args(arguments)
    if given.mode == "report":
        return run(lambda: f"Completed: {write_page(given.report, given.statistics, history=given.history)}")
    if given.mode == "baseline":
        return run(lambda: baseline(read_model(given.model), given.input / "data", given.output))
    if given.mode == "check" and given.state_only:
        return run(lambda: _leave_state(read_model(given.model), given.input / "data", given.output))
    verdicts: list[Verdict] = []

    def work() -> str:
        model, report = read_model(given.model), folder_of(given.output, "report")
        if given.mode == "check":
            verdict, message = check_batch(
                model, given.input / "data", given.input, report, drift_threshold=given.drift_threshold
            )
        else:
            verdict, message = merge_states(
                model,
                given.input / "states",
                given.input,
                report,
                instances=given.instances,
                drift_threshold=given.drift_threshold,
            )
        verdicts.append(verdict)
        return message

    code = run(work)
    found = any(verdict.verdict != "ok" for verdict in verdicts)
    return FOUND if code == 0 and found and given.exit_code else code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steps.data_quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    modes = parser.add_subparsers(dest="mode", required=True)
    for mode, told in (
        ("baseline", "describe training data"),
        ("check", "check a batch against a baseline"),
        ("merge", "give the verdict on a batch whose parts several instances have read"),
    ):
        add_folders(modes.add_parser(mode, help=told))
    for mode in ("check", "merge"):
        add_drift_threshold(modes.choices[mode])
        modes.choices[mode].add_argument(
            "--exit-code", action="store_true", help=f"leave with {FOUND} where violations or drift are found"
        )
    modes.choices["check"].add_argument(
        "--state-only", action="store_true", help="write what merge needs instead of a verdict"
    )
    modes.choices["merge"].add_argument(
        "--instances", type=int, help="how many states there must be (default: as many as there are)"
    )
    _add_report(modes.add_parser("report", help="make the page of a check anew, from its files"))
    return parser


def _leave_state(model: Model, batch: Path, output: Path) -> str:
    return leave_state(batch_state(model, batch), output)


def leave_state(state: DatasetState, output: Path) -> str:
    """Write a state for the instance that merges; return the exit message."""
    write_state(folder_of(output, "state"), state)
    return f"Completed: the state of {state.rows} rows in {len(state.files)} files."


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
    there = data_files(data)
    files = [path for path in there if path.suffix.lower() in TRAINING] or data_files(data, suffix=".csv")
    state = read_state(Layout.of_training(model), named(files, data))
    problems = state.problems
    if not problems and not state.rows:
        problems = (Problem("unreadable", files[0].name, 0, "", "the file holds no rows"),)
    if problems:
        others = sum(problem.times for problem in problems) - 1
        raise DataError(f"{problems[0]}{f' (and {others} more problems)' if others else ''}")
    profile = state.profile()
    features = replace(profile, columns=profile.columns[: len(model.columns)])
    write_profile(model, features, folder_of(output, "baseline"))
    return f"Completed: baseline of {state.rows} rows."


def batch_state(model: Model, batch: Path) -> DatasetState:
    """Return the state of a batch, or of the part of it that this instance of a job was given: perhaps no file."""
    return read_state(Layout.of_batch(model), named(files_below(batch), batch))


def named(files: Sequence[Path], folder: Path) -> list[tuple[Path, str]]:
    """Return files with their names in messages: where they are in their folder."""
    return [(path, path.relative_to(folder).as_posix()) for path in files]


def check_batch(
    model: Model,
    batch: Path,
    baseline_root: Path,
    report: Path,
    *,
    drift_threshold: float | None = None,
    deliver_on_drift: bool = False,
    score: Score | None = None,
) -> tuple[Verdict, str]:
    """Check a batch and write the report.

    Parameters
    ----------
    score
        Scores the batch, of so many rows, where it isn't broken. Default: predictions aren't looked at.

    Returns
    -------
    tuple
        The verdict and the exit message.

    Raises
    ------
    DataError
        There is no batch.
    UsageError
        The baseline can't be read.
    """
    baseline = read_baseline(baseline_root, model, drift_threshold=drift_threshold)
    data_files(batch)
    return _conclude(
        model,
        batch_state(model, batch),
        baseline,
        baseline_root,
        report,
        deliver_on_drift=deliver_on_drift,
        score=score,
        drift_threshold=drift_threshold,
    )


def merge_states(
    model: Model,
    states: Path,
    baseline_root: Path,
    report: Path,
    *,
    instances: int | None = None,
    drift_threshold: float | None = None,
    deliver_on_drift: bool = False,
) -> tuple[Verdict, str]:
    """Merge the states that instances have left and write the report that one instance would have written.

    Parameters
    ----------
    instances
        How many states there must be: a verdict on a part of a batch would be none. Default: as many as there are.

    Returns
    -------
    tuple
        The verdict and the exit message.

    Raises
    ------
    DataError
        No instance found a file of the batch.
    UsageError
        The baseline or a state can't be read, or there aren't as many as there must be.
    """
    return conclude_state(
        model,
        merged_state(model, states, instances=instances),
        baseline_root,
        report,
        drift_threshold=drift_threshold,
        deliver_on_drift=deliver_on_drift,
    )


def merged_state(model: Model, states: Path, *, instances: int | None = None) -> DatasetState:
    """Return the state of a batch from those of its parts; arguments and errors as of `merge_states`."""
    found = read_states(states, model.columns)
    if instances is not None and len(found) != instances:
        raise UsageError(f"{len(found)} states of {instances} instances are in the folder '{states.name}'")
    state = merge(found)
    if not state.files:
        raise DataError("no data file in the input folder of any instance")
    return state


def conclude_state(
    model: Model,
    state: DatasetState,
    baseline_root: Path,
    report: Path,
    *,
    drift_threshold: float | None = None,
    deliver_on_drift: bool = False,
    score: Score | None = None,
) -> tuple[Verdict, str]:
    """Write the report of a batch whose state is known; return the verdict and the exit message.

    Parameters
    ----------
    score
        As of `check_batch`.

    Raises
    ------
    UsageError
        The baseline can't be read.
    """
    return _conclude(
        model,
        state,
        read_baseline(baseline_root, model, drift_threshold=drift_threshold),
        baseline_root,
        report,
        deliver_on_drift=deliver_on_drift,
        score=score,
        drift_threshold=drift_threshold,
    )


def _conclude(
    model: Model,
    state: DatasetState,
    baseline: tuple[Profile, dict[str, FeatureConstraint]],
    baseline_root: Path,
    report: Path,
    *,
    deliver_on_drift: bool,
    score: Score | None = None,
    drift_threshold: float | None = None,
) -> tuple[Verdict, str]:
    known, constraints = baseline
    statistics = sole_file(baseline_root / "statistics", STATISTICS)
    batch = state.profile()
    checked = checked_alone(model, batch, known, constraints)
    if score is not None and not broken(checked.findings) and batch.rows:
        threshold = model.monitor.comparison_threshold if drift_threshold is None else drift_threshold
        checked = with_predictions(
            model, checked, known, statistics, score=lambda: score(batch.rows), threshold=threshold
        )
    verdict = judge(batch.rows, checked.findings, deliver_on_drift=deliver_on_drift)
    if checked.attributions is not None:
        verdict = replace(verdict, attributions=checked.attributions.as_json())
    write_report(
        report, verdict, checked.findings, checked.profile, suggest(batch, model.columns, model.monitor)
    )
    try_page(
        report,
        statistics,
        history=baseline_root / "history" / "history.json",
        model=model.model_name,
        batch=list(state.files),
    )
    # outside a container there is no base folder
    monitored = base_dir() / "output" / "metrics" / "cloudwatch" if base_dir().is_dir() else None
    measured = metrics_of(checked.profile, checked.findings, checked.constraints)
    write_metrics(report, measured, container=monitored)
    return verdict, exit_message(checked.findings)


if __name__ == "__main__":
    main_exit(main)
