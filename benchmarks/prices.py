"""Jobs of a run and their list price, ours beside the blog's: counted from definitions, priced from a dated table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFINITIONS = Path(__file__).resolve().parent.parent / "pipeline_code" / "definitions"

PRICES_DATED = "2026-11"
# On-demand list price in US dollars an hour, us-east-1, from AWS's pricing page: look it up before relying on it.
# https://aws.amazon.com/sagemaker/ai/pricing/
USD_AN_HOUR = {"ml.m5.xlarge": 0.23}
# Minutes a job is billed for on data of this size: mostly the container's work after start; stated, not measured.
TYPICAL_MINUTES = {"Processing": 2.0, "Training": 2.0, "Transform": 3.0, "QualityCheck": 4.0}

# The blog's pipelines, from its definition of them (SEED's step names): which steps start a job.
BLOG: dict[str, list[tuple[str, str]]] = {
    "train": [
        ("Mammo-PreProcessing", "Processing"),
        ("Mammo-Train", "Training"),
        ("Mammo-Eval", "Processing"),
        ("Mammo-DataQualityCheck", "QualityCheck"),
    ],
    "inference": [("Mammo-DataQualityCheck", "QualityCheck"), ("Mammo-Transform", "Transform")],
    "quality": [],  # the blog never asks whether predictions came true
}


@dataclass(frozen=True)
class Cost:
    """What one run starts and costs at list price."""

    jobs: list[str]
    usd: float

    def as_dict(self) -> dict[str, Any]:
        """Return the cost as it stands in bench.json."""
        return {"jobs": self.jobs, "number": len(self.jobs), "usd": round(self.usd, 4)}


def ours(folder: str, kind: str) -> Cost:
    """Count the jobs of the compiled definition: each Processing, Training, Transform or QualityCheck step is one."""
    body = json.loads((DEFINITIONS / folder / "default" / f"{kind}.json").read_text())
    return _cost(
        [(step["Name"], step["Type"]) for step in _flat(body["Steps"]) if step["Type"] in TYPICAL_MINUTES]
    )


def blogs(kind: str) -> Cost:
    """Return the same for the blog's pipeline."""
    return _cost(BLOG[kind])


def _cost(jobs: list[tuple[str, str]]) -> Cost:
    price = USD_AN_HOUR["ml.m5.xlarge"]
    return Cost([name for name, _ in jobs], sum(TYPICAL_MINUTES[kind] / 60 * price for _, kind in jobs))


def _flat(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for step in steps:
        found.append(step)
        if step["Type"] == "Condition":
            found += _flat(step["Arguments"]["IfSteps"]) + _flat(step["Arguments"]["ElseSteps"])
    return found
