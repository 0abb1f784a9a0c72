"""summary.json: every outcome of a run, in its own numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from demo.world import World


def collect(
    world: World,
    *,
    dataset: Mapping[str, Any],
    stacks: Mapping[str, str],
    denied: Sequence[Mapping[str, Any]],
    drift: Mapping[str, Any],
    judged: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what the page shows; its part ``summary`` is what summary.json holds."""
    versions = [
        {
            "version": version.version,
            "account": version.trained_in,
            "auc": float(version.metrics["cv_auc"]),
            "status": version.status,
            "trained_in": _stage_of(world, version.trained_in),
            "evaluation": world.evaluation(version),
        }
        for version in world.versions()
    ]
    messages = [message for account in ("registry", "dev", "prod") for message in world.messages(account)]
    summary = {
        "dataset": dict(dataset),
        "stacks": dict(stacks),
        "versions": [{key: v[key] for key in ("version", "account", "auc", "status")} for v in versions],
        "runs": [run.as_row() for run in world.runs],
        "alerts": [{"subject": m["subject"], "topic": m["topic"]} for m in messages],
        "drifted_features": [
            {"name": f["name"], "distance": f["distance"]} for f in drift["features"] if f["drifted"]
        ],
        "model_quality": [
            {
                "labels": found["rows"]["joined"],
                "auc": found["auc"]["value"],
                "auc_at_training": found["auc"]["at_training"],
                "verdict": found["verdict"],
                "action": found["action"],
            }
            for found in judged
        ],
        "retrains": len(world.executions("prod", "train")),
        "denied": [
            {key: call[key] for key in ("principal", "who", "action", "what", "allowed")} for call in denied
        ],
        "phases": world.story.phases,
        "seconds": round(world.story.seconds, 1),
    }
    return {
        "summary": summary,
        "timeline": world.story.timeline,
        "versions": versions,
        "messages": messages,
        "drift": drift,
        "judged": list(judged),
    }


def _stage_of(world: World, account: str) -> str:
    names = [name for name, number in world.settings.accounts.items() if number == account]
    return names[0] if names else account
