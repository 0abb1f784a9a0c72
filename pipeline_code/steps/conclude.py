"""Conclude Model Monitor's check of a batch: the final verdict, metrics, a page for people, and the rows to score.

Inputs: ``batch``, ``report`` (Model Monitor's files and the verdict made of them), ``statistics`` and ``constraints``
of the baseline, ``history`` of the last batches where there is one. Outputs: ``report`` (verdict.json, metrics.json,
report.html) and ``prepared``: the rows where the verdict's action delivers, else the file NOT_PREPARED that says why
not. Model Monitor knows columns and their statistics, not the model's description: what can't be scored by that is a
violation here, as it is in our own check.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .data_quality import batch_state
from .model import Model, read_model
from .prepare import destinations, write_nothing, write_prepared
from .program import data_files, folder_of, main_exit, one_line, parser, run
from .quality import monitored
from .quality.baseline import STATISTICS, write_json
from .quality.checks import breaches
from .quality.constraints import FeatureConstraint
from .quality.page_files import try_page
from .quality.profile import Profile
from .quality.report import feature_metrics, write_metrics


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the step; return its exit code."""
    given = parser("conclude", "Conclude Model Monitor's check of a batch.").parse_args(arguments)
    return run(lambda: conclude(read_model(given.model), given.input, given.output))


def conclude(model: Model, inputs: Path, output: Path) -> str:
    """Do the step's work; return the exit message.

    Raises
    ------
    DataError
        There is no batch, or the names of its files collide.
    UsageError
        The verdict can't be read.
    """
    batch, given, report = inputs / "batch", inputs / "report", folder_of(output, "report")
    names = [path.relative_to(batch).as_posix() for path in data_files(batch)]
    destinations(names, folder_of(output, "prepared"))  # before anything is written
    verdict = monitored.read_verdict(given / "verdict.json")
    read = monitored.read_profile(given / STATISTICS, model)
    columns = len(read[1].columns) if read is not None else None
    verdict = monitored.in_our_names(verdict, columns, model)
    before, constraints = monitored.read_wanted(inputs, model)
    if verdict["verdict"] != "violation":
        own = batch_state(model, batch).profile()
        verdict = monitored.with_breaches(verdict, own.rows, breaches(own, constraints))
        verdict["rows"] = own.rows
    verdict["monitor"] = "model-monitor"
    verdict["rows"] = int(verdict.get("rows") or 0)  # a condition reads it: it must be a number
    now = {column.name: column for column in read[1].columns} if read is not None else {}
    verdict = monitored.with_features(verdict, now, before, constraints)
    write_json(report / "verdict.json", verdict)
    _show(model, inputs, report, names, read[0] if read is not None else {})
    if read is not None:
        _measure(report, read[1], verdict, constraints)
    if not monitored.delivers(verdict):
        write_nothing(verdict["message"], output / "prepared")
        return f"Completed: nothing is prepared. {verdict['message']}"
    rows = write_prepared(model, batch, output / "prepared", checked=True)
    return f"Completed: {rows} rows are prepared."


def _show(model: Model, inputs: Path, report: Path, names: list[str], statistics: dict[str, Any]) -> None:
    """Write the page where that is possible, with the batch's columns under the model's names."""
    with TemporaryDirectory() as folder:
        named = Path(folder) / STATISTICS
        named.write_text(json.dumps(statistics), encoding="utf-8")
        try_page(
            report,
            next((inputs / "statistics").rglob(STATISTICS), inputs / "statistics" / STATISTICS),
            statistics=named,
            history=inputs / "history" / "history.json",
            model=model.model_name,
            batch=names,
        )


def _measure(
    report: Path,
    profile: Profile,
    verdict: dict[str, Any],
    constraints: dict[str, FeatureConstraint],
) -> None:
    """Write the metrics where that is possible: the verdict stands without them."""
    try:
        measured = feature_metrics(profile, monitored.distances(verdict), constraints)
        write_metrics(report, measured, container=None)
    except Exception as error:  # noqa: BLE001 - whatever it is, it concerns the metrics only
        print(one_line(f"no metrics.json: {type(error).__name__}: {error}"), file=sys.stderr)


if __name__ == "__main__":
    main_exit(main)
