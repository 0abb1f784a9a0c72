"""A batch checked as the variant with Model Monitor does, in folders: analyzer, function, program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline_code.mammography import dataset
from pipeline_code.steps import conclude
from tests.steps.model_monitor import analyze
from tests.steps.steps_kit import Workbench

Json = dict[str, Any]
USUAL = ("4", "57", "3", "3", "3")
METHODS = {
    "Robust": {"comparison_method": "Robust", "comparison_threshold": 0.0},
    "Simple": {"comparison_method": "Simple", "comparison_threshold": 0.25},
}


def rebased(baseline: Path, target: Path, method: str, overrides: dict[str, Json] | None = None) -> Path:
    """Write a baseline as Model Monitor names it for headerless files, with a method and overrides of features."""
    target.mkdir(parents=True)
    for kind in ("statistics", "constraints"):
        content = json.loads((baseline / f"{kind}.json").read_text())
        content["features"] = [one for one in content["features"] if one["name"] != "(prediction)"]
        for place, feature in enumerate(content["features"]):
            if kind == "constraints" and feature["name"] in (overrides or {}):
                feature["monitoringConfigOverrides"] = (overrides or {})[feature["name"]]
            feature["name"] = f"_c{place}"
        if kind == "constraints":
            content["monitoring_config"]["distribution_constraints"] |= METHODS[method]
        (target / f"{kind}.json").write_text(json.dumps(content))
    return target


def monitored(
    bench: Workbench, name: str, baseline: Path, batch: bytes, *, header: bool = False, deliver: bool = False
) -> Json:
    """Check a batch as the variant does: analyzer, function, program; return the last verdict.json."""
    inputs = bench.batch_inputs(name, baseline, batch)
    report = inputs / "report"
    analyze(
        {
            "dataset_source": str(inputs / "batch"),
            "dataset_format": json.dumps({"csv": {"header": header}}),
            "output_path": str(report),
            **{f"baseline_{kind}": str(baseline / f"{kind}.json") for kind in ("statistics", "constraints")},
        }
    )
    return concluded(bench, name, inputs, deliver=deliver)


def concluded(bench: Workbench, name: str, inputs: Path, *, deliver: bool = False) -> Json:
    """Turn the files in the input `report` into the verdict of the variant."""
    from run_recorder.verdicts import from_violations  # which only the steps' tests need on their path

    report = inputs / "report"
    violations, statistics = (
        json.loads((report / f"{file}.json").read_text()) for file in ("constraint_violations", "statistics")
    )
    document = from_violations(violations, statistics, "deliver" if deliver else "withhold")
    (report / "verdict.json").write_text(json.dumps(document))
    assert bench.run(conclude.main, inputs, bench.root / name / "out") == 0, bench.message
    return dict(json.loads((bench.root / name / "out" / "report" / "verdict.json").read_text()))


def judged(verdict: Json) -> tuple[str, str, set[str], set[str]]:
    """Return what both must agree on."""
    return (
        verdict["verdict"],
        verdict["action"],
        {item["name"] for item in verdict["features"] if item["drifted"]},
        {item["feature_name"] for item in verdict["violations"]},
    )


def lines(files: dict[str, Path], name: str = dataset.BATCH) -> list[list[str]]:
    """Return a batch's rows as Model Monitor takes them without complaint: nothing missing, whole numbers as such."""
    table = [line.split(",") for line in files[name].read_text().splitlines()]
    return [
        [
            usual if cell in ("", "?") else cell.removesuffix(".0")
            for cell, usual in zip(row, USUAL, strict=True)
        ]
        for row in table
    ]


def as_batch(rows: list[list[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()


def put(at: int, value: str, rows: slice | int = 0) -> Callable[[list[list[str]]], list[list[str]]]:
    """Return a change of a column's cells in some rows."""

    def change(table: list[list[str]]) -> list[list[str]]:
        for row in [table[rows]] if isinstance(rows, int) else table[rows]:
            row[at] = value
        return table

    return change


def unchanged(table: list[list[str]]) -> list[list[str]]:
    return table
