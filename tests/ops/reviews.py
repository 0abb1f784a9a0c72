"""Reviews for tests: a first promotion, and one where much is different."""

from __future__ import annotations

from ops.assembly import CODE, COMMIT, DEFINITION
from ops.registry import Version
from ops.review_diff import Change
from ops.review_facts import Models, Pipeline, Review

OLD, NEW = "a" * 40, "b" * 40


def version(number: int, status: str = "Approved", champion: str = "none", **metrics: str) -> Version:
    known = {
        "cv_auc": f"0.90{number:02}",
        "holdout_auc": "0.9208",
        "gain_over_champion": "0.0123" if champion != "none" else "1.0",
        "champion_version": champion,
        "data_rows": "830",
        "execution_arn": "arn:aws:sagemaker:us-east-1:111111111111:pipeline/p/execution/e",
    }
    return Version(number, f"arn:{number}", status, "2026-11-21 07:33", known | metrics, "s3://b/k")


def tags(definition: str, code: str, commit: str) -> dict[str, str]:
    return {DEFINITION: definition * 64, CODE: code * 64, COMMIT: commit}


def first() -> Review:
    """Nothing deployed, nothing trained."""
    return Review(
        stage="prod",
        account="222222222222",
        stack="ProdStack",
        commit=NEW,
        deployed_commit=None,
        models=(Models("mammography-severity-model", (), None),),
        pipelines=(
            Pipeline("p-train-pipeline", None, tags("1", "2", NEW), (Change("added", "2 steps: A, B"),)),
        ),
        resources=(Change("added", "role worker"),),
        widening=(
            "ProdStack: is not deployed yet, so all that it permits is new (9 roles, 9 resources with a policy)",
        ),
    )


def busy() -> Review:
    """A newer version waits, a definition and a role differ."""
    changes = (
        Change("added", "step Mammo-Explain (Processing)"),
        Change("changed", "step Mammo-Train", ("Arguments.HyperParameters.eta: 0.1 -> 0.03",)),
        Change("changed", "parameter AucScoreThreshold: 0.85 -> 0.9"),
    )
    many = tuple(
        Change("changed", f"function mammo-severity-prod-{name}", ("its code", "MemorySize: 256 -> 512"))
        for name in ("retrain", "resolver", "recorder", "notifier", "provider", "scheduler", "other")
    )
    return Review(
        stage="prod",
        account="222222222222",
        stack="ProdStack",
        commit=NEW,
        deployed_commit=OLD,
        models=(
            Models(
                "mammography-severity-model",
                (version(3, "PendingManualApproval", "2"), version(2, "Rejected", "1")),
                version(1),
            ),
        ),
        pipelines=(
            Pipeline("p-train-pipeline", tags("1", "2", OLD), tags("3", "4", NEW), changes),
            Pipeline("p-inference-pipeline", tags("5", "2", OLD), tags("5", "4", NEW), ()),
        ),
        resources=(*many, Change("removed", "bucket <script>alert(1)</script> (it stays, out of the stack)")),
        widening=("ProdStack: role worker may now do s3:* on arn:aws:s3:::data/*",),
    )
