"""Measure synth, the demo, the jobs and, with MONITOR=1, the monitor; print a table; write build/bench.json.

Fails above the limits.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import monitor, prices
from stacks import settings as app

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bench.json"
SYNTH_GOAL, SYNTH_LIMIT = 2.5, 4.0
DEMO_GOAL, DEMO_LIMIT = 90.0, 180.0
CLOUDFORMATION_LIMIT = 500
EMPTY_APP = (
    "import aws_cdk as cdk\n"
    "app = cdk.App()\n"
    "cdk.Stack(app, 'Empty', env=cdk.Environment(account='111111111111', region='us-east-1'))\n"
    "app.synth()\n"
)


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    """Run a command and return the CPU seconds of it and of the processes it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def synth() -> dict[str, Any]:
    """Compare the synth of our stacks with that of an empty one: interleaved, medians of five, validation off."""
    environment = os.environ | {"CDK_VALIDATION": "false"}
    ours_out, empty_out = str(ROOT / "build/bench/ours"), str(ROOT / "build/bench/empty")
    context = (ROOT / "cdk.json").read_text()
    ours_environment = environment | {
        "CDK_OUTDIR": ours_out,
        "CDK_CONTEXT_JSON": json.dumps(json.loads(context)["context"]),
    }
    ours_times, empty_times = [], []
    for repeat in range(6):
        ours = cpu_seconds([sys.executable, "app.py"], ours_environment)
        empty = cpu_seconds([sys.executable, "-c", EMPTY_APP], environment | {"CDK_OUTDIR": empty_out})
        if repeat:  # the first one warms the caches
            ours_times.append(ours)
            empty_times.append(empty)
    ours, empty = statistics.median(ours_times), statistics.median(empty_times)
    return {
        "cpu_seconds": round(ours, 2),
        "empty_cpu_seconds": round(empty, 2),
        "ratio": round(ours / empty, 2),
    }


def resources() -> dict[str, int]:
    """Count the resources of each synthesized template."""
    return {
        path.name.removesuffix(".template.json"): len(json.loads(path.read_text())["Resources"])
        for path in sorted((ROOT / "build/bench/ours").glob("*.template.json"))
    }


def demo() -> dict[str, Any]:
    """Run the demo and return its wall time by phase and its peak memory."""
    subprocess.run([sys.executable, "-m", "demo"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    summary = json.loads((ROOT / "build/demo/summary.json").read_text())
    return {key: summary[key] for key in ("seconds", "phases", "peak_memory_mb")}


def main() -> int:
    """Print and write everything; return 1 where a limit is passed."""
    result: dict[str, Any] = {"synth": synth(), "resources": resources(), "demo": demo()}
    folder = app.load().models[0].folder
    result["jobs"] = {
        kind: {"ours": prices.ours(folder, kind).as_dict(), "blog": prices.blogs(kind).as_dict()}
        for kind in prices.BLOG
    }
    result["prices"] = {
        "dated": prices.PRICES_DATED,
        "usd_an_hour": prices.USD_AN_HOUR,
        "typical_minutes": prices.TYPICAL_MINUTES,
    }
    measured = monitor.run() if os.environ.get("MONITOR") else None  # minutes, and 4 GB of made-up data
    if measured is not None:
        result["monitor"] = {key: measured[key] for key in ("costs", "ratios")}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))
    if measured is not None:
        print("\n".join(["monitor", *(f"            {line}" for line in measured["lines"])]))
    failures = [
        f"synth takes {result['synth']['ratio']} times an empty stack's CPU; the limit is {SYNTH_LIMIT}"
        if result["synth"]["ratio"] > SYNTH_LIMIT
        else "",
        f"the demo takes {result['demo']['seconds']} s; the limit is {DEMO_LIMIT}"
        if result["demo"]["seconds"] > DEMO_LIMIT
        else "",
    ]
    failures += measured["failures"] if measured is not None else []
    for failure in filter(None, failures):
        print(f"bench: {failure}", file=sys.stderr)
    return 1 if any(failures) else 0


def counted(jobs: int) -> str:
    """Return ``1 job``, ``2 jobs``."""
    return f"{jobs} job{'' if jobs == 1 else 's'}"


def table(result: dict[str, Any]) -> str:
    """Return the measurements as lines for a person."""
    timing, run = result["synth"], result["demo"]
    lines = [
        f"synth       {timing['cpu_seconds']} CPU s, {timing['ratio']} times an empty stack"
        f" ({timing['empty_cpu_seconds']} CPU s); goal {SYNTH_GOAL}, limit {SYNTH_LIMIT}",
        "resources   "
        + ", ".join(f"{name} {count}" for name, count in result["resources"].items())
        + f" (CloudFormation allows {CLOUDFORMATION_LIMIT} a stack)",
        f"demo        {run['seconds']} s, goal {DEMO_GOAL:.0f}, limit {DEMO_LIMIT:.0f};"
        f" largest process {run['peak_memory_mb']} MB",
    ]
    lines += [f"            {seconds:6.1f} s  {phase}" for phase, seconds in run["phases"].items()]
    for kind, both in result["jobs"].items():
        ours, blog = both["ours"], both["blog"]
        lines.append(
            f"{kind:<11} {counted(ours['number'])}, ${ours['usd']:.3f} a run;"
            f" the blog's: {counted(blog['number'])}, ${blog['usd']:.3f}"
        )
    lines.append(
        f"            list prices of {result['prices']['dated']}, us-east-1, ml.m5.xlarge; minutes a job as stated"
        " in benchmarks/prices.py, not measured"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
