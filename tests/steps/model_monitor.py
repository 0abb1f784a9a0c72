"""A small Model Monitor, for tests: the analyzer's environment, files and words, by its published description.

It shares no code with our monitor. Read it with what is published of the original:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-violations.html
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-contract-outputs.html
Unlike the original before Deequ's PR #765 it ranks tied values right. It runs as a program of its own, too: the
embedded cloud's ``LOCAL_CLOUD_ANALYZER``.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import statistics
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]
WHOLE = re.compile(r"[+-]?\d+")
DEFAULTS: Json = {
    "evaluate_constraints": "Enabled",
    "emit_metrics": "Enabled",
    "datatype_check_threshold": 1.0,
    "domain_content_threshold": 1.0,
    "distribution_constraints": {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": "Robust",
        "categorical_comparison_threshold": 0.1,
        "categorical_drift_method": "LInfinity",
    },
}


def analyze(given: Mapping[str, str], edited: Json | None = None) -> None:
    """Do what the container does with this environment.

    Parameters
    ----------
    edited
        What a person has made of the constraints that it suggests: the `monitoring_config`, and by a feature's name
        its `overrides`. Default: nothing.
    """
    header = bool(json.loads(given["dataset_format"])["csv"]["header"])
    names, columns = _columns(Path(given["dataset_source"]), header)
    output = Path(given["output_path"])
    output.mkdir(parents=True, exist_ok=True)
    baseline, constraints = (_json(given.get(f"baseline_{kind}")) for kind in ("statistics", "constraints"))
    wanted = {one["name"]: one for one in (constraints or {}).get("features", [])}
    described = [_feature(name, cells, wanted.get(name)) for name, cells in zip(names, columns, strict=True)]
    rows = len(columns[0]) if columns else 0
    _write(
        output / "statistics.json", {"version": 0.0, "dataset": {"item_count": rows}, "features": described}
    )
    _write(output / "constraints.json", _suggested(described, edited or {}))
    if constraints is not None:
        known = {one["name"]: one for one in (baseline or {}).get("features", [])}
        general = _merged(DEFAULTS, constraints.get("monitoring_config") or {})
        found = _structure(names, wanted) if rows else []
        for one, cells in zip(described, columns, strict=True):
            if one["name"] in wanted:
                found += _checked(one, cells, wanted[one["name"]], known.get(one["name"]), general)
        _write(output / "constraint_violations.json", {"violations": found})


def _json(path: str | None) -> Any:
    return None if path is None else json.loads(Path(path).read_text())


def _write(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content, indent=2))


def _columns(folder: Path, header: bool) -> tuple[list[str], list[list[str]]]:
    """Read as Spark does: permissively, the first line says how many columns there are."""
    names: list[str] = []
    rows: list[list[str]] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        lines = [line for line in csv.reader(path.read_text("utf-8", "replace").splitlines()) if line]
        if lines and not names:
            names = (
                [cell.strip() for cell in lines[0]] if header else [f"_c{at}" for at in range(len(lines[0]))]
            )
        rows += lines[1:] if header else lines
    return names, [[row[at].strip() if at < len(row) else "" for row in rows] for at in range(len(names))]


def _kind(cell: str) -> str:
    if WHOLE.fullmatch(cell):
        return "Integral"
    try:
        return "Fractional" if math.isfinite(float(cell)) else "String"
    except ValueError:
        return "String"


def _feature(name: str, cells: list[str], wanted: Json | None) -> Json:
    held = [cell for cell in cells if cell]
    kinds = Counter(map(_kind, held))
    inferred = next((kind for kind in ("String", "Fractional", "Integral") if kinds[kind]), "Unknown")
    text = (wanted["inferred_type"] if wanted else inferred) == "String"
    common = {"num_present": len(held), "num_missing": len(cells) - len(held)}
    head = {"name": name, "inferred_type": inferred}
    if text:
        shares = Counter(held).most_common()
        buckets = [{"value": value, "count": float(count)} for value, count in shares]
        return {
            **head,
            "string_statistics": {
                "common": common,
                "distinct_count": float(len(shares)),
                "distribution": {"categorical": {"buckets": buckets}},
            },
        }
    numbers = sorted(float(cell) for cell in held if _kind(cell) != "String")
    moments = {
        "mean": statistics.fmean(numbers) if numbers else 0.0,
        "sum": math.fsum(numbers),
        "std_dev": statistics.pstdev(numbers) if numbers else 0.0,
        "min": numbers[0] if numbers else 0.0,
        "max": numbers[-1] if numbers else 0.0,
    }
    kll = {
        "buckets": _buckets(numbers),
        "sketch": {"parameters": {"c": 0.64, "k": 2048.0}, "data": [numbers]},
    }
    return {**head, "numerical_statistics": {"common": common, **moments, "distribution": {"kll": kll}}}


def _buckets(numbers: list[float]) -> list[Json]:
    if not numbers:
        return []
    low, width = numbers[0], (numbers[-1] - numbers[0]) / 10
    counts = Counter(min(9, int((number - low) / width)) if width else 9 for number in numbers)
    return [
        {"lower_bound": low + at * width, "upper_bound": low + (at + 1) * width, "count": float(counts[at])}
        for at in range(10)
    ]


def _suggested(described: list[Json], edited: Json) -> Json:
    features = []
    for one in described:
        held = one.get("numerical_statistics") or one["string_statistics"]
        cells = held["common"]["num_present"] + held["common"]["num_missing"]
        feature = {
            "name": one["name"],
            "inferred_type": one["inferred_type"],
            "completeness": held["common"]["num_present"] / cells if cells else 1.0,
        }
        if "string_statistics" in one:
            values = [bucket["value"] for bucket in held["distribution"]["categorical"]["buckets"]]
            feature["string_constraints"] = {"domains": values}
        else:
            feature["num_constraints"] = {"is_non_negative": held["min"] >= 0}
        overrides = edited.get("overrides", {}).get(one["name"])
        features.append(feature | ({"monitoringConfigOverrides": overrides} if overrides else {}))
    config = _merged(DEFAULTS, edited.get("monitoring_config", {}))
    return {"version": 0.0, "features": features, "monitoring_config": config}


def _merged(config: Json, more: Json) -> Json:
    inner = {**config["distribution_constraints"], **(more.get("distribution_constraints") or {})}
    return {**config, **more, "distribution_constraints": inner}


def _violation(name: str, check: str, told: str) -> Json:
    return {"feature_name": name, "constraint_check_type": check, "description": told}


def _structure(names: list[str], wanted: Json) -> list[Json]:
    kind = "missing" if len(names) < len(wanted) else "extra"
    if len(names) == len(wanted):
        return []
    told = (
        f"There are {kind} columns in current dataset. Number of columns in current dataset: {len(names)},"
        f" Number of columns in baseline constraints: {len(wanted)}"
    )
    return [_violation(f"{kind.capitalize()} columns", f"{kind}_column_check", told)]


def _checked(one: Json, cells: list[str], wanted: Json, known: Json | None, general: Json) -> list[Json]:
    config = _merged(general, wanted.get("monitoringConfigOverrides") or {})
    name, found, held = one["name"], [], [cell for cell in cells if cell]
    if config["evaluate_constraints"] == "Enabled":
        fitting = {"Fractional": ("Integral", "Fractional"), "Integral": ("Integral",)}
        allowed = fitting.get(wanted["inferred_type"])
        share = sum(_kind(cell) in allowed for cell in held) / len(held) if held and allowed else 1.0
        if share < config["datatype_check_threshold"]:
            kind, least = wanted["inferred_type"], config["datatype_check_threshold"]
            told = (
                f"Data type match requirement is not met. Expected data type: {kind}, Expected match:"
                f" {least:.1%}. Observed: Only {share:.2%} of data is {kind}."
            )
            found.append(_violation(name, "data_type_check", told))
        if len(held) / len(cells) < wanted["completeness"] - 1e-12:
            told = (
                f"Completeness requirement is not met. Expected: {wanted['completeness']}."
                f" Observed: {len(held) / len(cells)}"
            )
            found.append(_violation(name, "completeness_check", told))
        domains = (wanted.get("string_constraints") or {}).get("domains")
        share = sum(cell in domains for cell in held) / len(held) if held and domains else 1.0
        if share < config["domain_content_threshold"]:
            told = (
                "Value match requirement is not met. Expected match:"
                f" {config['domain_content_threshold']:.1%}. Observed: {share:.2%}"
            )
            found.append(_violation(name, "categorical_values_check", told))
    if known is not None and config["distribution_constraints"]["perform_comparison"] == "Enabled":
        found += _drift(one, known, config["distribution_constraints"])
    return found


def _drift(one: Json, known: Json, config: Json) -> list[Json]:
    text = "string_statistics" in one
    threshold = config["categorical_comparison_threshold" if text else "comparison_threshold"]
    now, then = _counts(one), _counts(known)
    n, m = sum(now.values()), sum(then.values())
    if not n or not m:
        return []
    if text:
        distance = max(abs(now[value] / n - then[value] / m) for value in now | then)
    else:
        both = sorted(now | then)
        ranks = [
            [sum(side[value] for value in both[: at + 1]) for at in range(len(both))] for side in (now, then)
        ]
        distance = max(abs(a / n - b / m) for a, b in zip(*ranks, strict=True))
    if config["comparison_method"] == "Robust":
        distance = max(0.0, distance - 1.8 * math.sqrt((n + m) / (n * m)))
    if distance <= threshold:
        return []
    told = f"Baseline drift distance: {distance} exceeds threshold: {threshold}"
    return [_violation(one["name"], "baseline_drift_check", told)]


def _counts(one: Json) -> Counter[Any]:
    if "string_statistics" in one:
        buckets = one["string_statistics"]["distribution"]["categorical"]["buckets"]
        return Counter({bucket["value"]: bucket["count"] for bucket in buckets})
    counts: Counter[Any] = Counter()
    for level, items in enumerate(one["numerical_statistics"]["distribution"]["kll"]["sketch"]["data"]):
        for item in items:
            counts[item] += 2**level
    return counts


if __name__ == "__main__":
    analyze(os.environ, json.loads(sys.argv[1]) if sys.argv[1:] else None)
