"""The monitor's speed and memory, beside a scan with polars and Evidently's report: measured in one run, as ratios."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import monitor_data

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "bench" / "monitor"
PEERS = ROOT / "build" / "bench" / "peers"
PINS = ROOT / "benchmarks" / "requirements-peers.txt"
MILLION = 1_000_000

EVIDENTLY_SHARE = 1 / 20  # of Evidently's CPU time, at most
CSV_SCANS, PARQUET_SCANS = 2.0, 3.5  # polars scans that a check may cost
LARGE_SECONDS, LARGE_MB = 60.0, 2_000
SMALL_SECONDS = 1.0
LINEAR = 1.25  # times the cost a row at 10M rows that one of 100M may be


@dataclass(frozen=True)
class Cost:
    """What a process took: CPU seconds, seconds, and megabytes at its peak."""

    cpu: float
    seconds: float
    memory: float

    def __str__(self) -> str:
        return f"{self.cpu:7.2f} CPU s {self.seconds:7.2f} s {self.memory:6.0f} MB"


def measured(command: Sequence[str | Path], *, folder: Path = ROOT, fine: Sequence[int] = (0,)) -> Cost:
    """Run a command and return what it took; an exit code that isn't fine ends the benchmark."""
    started = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in fine:
        raise SystemExit(f"bench: {command} left with {process.returncode}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / unit)


def peers() -> Path:
    """Return the Python of the pinned environment of the peers, made where it is missing."""
    python, pinned = PEERS / "bin" / "python", PEERS / PINS.name
    if not pinned.is_file() or pinned.read_bytes() != PINS.read_bytes():
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, PEERS], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "-r", PINS], check=True)
        pinned.write_bytes(PINS.read_bytes())
    return python


class Monitor:
    """Our command on made-up data."""

    def __init__(self) -> None:
        self.model = WORK / "model.json"
        self.model.write_text(monitor_data.model_json())

    def run(self, mode: str, name: str, files: Sequence[Path], *, baseline: Path | None = None) -> Cost:
        """Run a mode on links to files and return what it took."""
        inputs = WORK / name / "in"
        (inputs / "data").mkdir(parents=True)
        for number, path in enumerate(files):
            os.link(path, inputs / "data" / f"{number}{path.suffix}")
        if baseline is not None:
            for kind in ("statistics", "constraints"):
                (inputs / kind).mkdir()
                os.link(baseline / "out" / "baseline" / f"{kind}.json", inputs / kind / f"{kind}.json")
        command = [sys.executable, "-m", "steps.data_quality", mode, "--model", self.model]
        return measured(
            [*map(str, command), "--input", inputs, "--output", WORK / name / "out"],
            folder=ROOT / "pipeline_code",
        )


def run() -> dict[str, Any]:
    """Measure everything; return numbers, lines for a person, and what is beyond its limit."""
    subprocess.run(["rm", "-rf", WORK], check=True)
    WORK.mkdir(parents=True)
    try:
        return _run()
    finally:
        subprocess.run(["rm", "-rf", WORK], check=True)


def _run() -> dict[str, Any]:
    python, here = peers(), ROOT / "benchmarks" / "peers"
    made = [
        f"generate({MILLION}, Path({str(WORK / 'reference')!r}), seed=1, labelled=True)",
        f"generate({MILLION}, Path({str(WORK / 'batch')!r}), seed=2, drifted=True)",
        f"generate({10 * MILLION}, Path({str(WORK / 'large')!r}), seed=3)",
        f"generate(1_000, Path({str(WORK / 'small')!r}), seed=4)",
    ]
    # by another process: what this one has held at its peak would be counted as each child's
    code = "from pathlib import Path; from benchmarks.monitor_data import generate; " + "; ".join(made)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    monitor, known = Monitor(), WORK / "baseline"
    csv, parquet = WORK / "large.csv", WORK / "large.parquet"
    costs = {
        "baseline of 1M rows, CSV": monitor.run("baseline", "baseline", [WORK / "reference.csv"]),
        "check of 1M, CSV": monitor.run("check", "c1", [WORK / "batch.csv"], baseline=known),
        "Evidently, 1M against 1M": measured(
            [python, here / "evidently_drift.py", WORK / "reference.csv", WORK / "batch.csv"]
        ),
        "polars scan of 10M, CSV": measured([python, here / "polars_scan.py", csv]),
        "check of 10M, CSV": monitor.run("check", "c10", [csv], baseline=known),
        "polars scan of 10M, Parquet": measured([python, here / "polars_scan.py", parquet]),
        "check of 10M, Parquet": monitor.run("check", "p10", [parquet], baseline=known),
        "check of 100M, Parquet": monitor.run("check", "p100", [parquet] * 10, baseline=known),
        "check of 1,000, CSV": monitor.run("check", "small", [WORK / "small.csv"], baseline=known),
    }
    drifted = json.loads((WORK / "c1" / "out" / "report" / "verdict.json").read_text())
    return _result(costs, [found["name"] for found in drifted["features"] if found["drifted"]])


def _result(costs: dict[str, Cost], drifted: list[str]) -> dict[str, Any]:
    ours = costs["baseline of 1M rows, CSV"].cpu + costs["check of 1M, CSV"].cpu
    large, small = costs["check of 100M, Parquet"], costs["check of 1,000, CSV"]
    limits = [
        ("of Evidently's CPU", ours / costs["Evidently, 1M against 1M"].cpu, EVIDENTLY_SHARE),
        (
            "polars scans, CSV",
            costs["check of 10M, CSV"].cpu / costs["polars scan of 10M, CSV"].cpu,
            CSV_SCANS,
        ),
        (
            "polars scans, Parquet",
            costs["check of 10M, Parquet"].cpu / costs["polars scan of 10M, Parquet"].cpu,
            PARQUET_SCANS,
        ),
        ("seconds for 100M rows of Parquet, ten names of one file", large.seconds, LARGE_SECONDS),
        ("MB for 100M rows", large.memory, float(LARGE_MB)),
        ("seconds for 1,000 rows, start-up included", small.seconds, SMALL_SECONDS),
        ("times the cost a row of 10M at 100M", large.cpu / costs["check of 10M, Parquet"].cpu / 10, LINEAR),
    ]
    lines = [f"{name:<28} {cost}" for name, cost in costs.items()]
    lines.append(f"drifted, of n0, n9, n17, c1: {', '.join(drifted)}")
    lines += [f"{value:7.3f} {what}; limit {limit:.3g}" for what, value, limit in limits]
    return {
        "costs": {name: vars(cost) for name, cost in costs.items()},
        "ratios": {what: round(value, 3) for what, value, _ in limits},
        "lines": lines,
        "failures": [
            f"monitor: {value:.3f} {what}; the limit is {limit:.3g}"
            for what, value, limit in limits
            if value > limit
        ],
    }


if __name__ == "__main__":
    outcome = run()
    print("\n".join(outcome["lines"]))
    for failure in outcome["failures"]:
        print(f"bench: {failure}", file=sys.stderr)
    sys.exit(1 if outcome["failures"] else 0)
