"""What lies below a model's name in a data bucket, by the nouns of the intent: see docs/architecture.md."""

from __future__ import annotations

from tests.permissions.world import DIGEST, RUN

DATA_OBJECTS = (
    ("training data", "data/train-dataset/part1.csv"),
    ("batches", "data/batch-dataset/2026/11/batch.csv"),
    ("ground truth", "data/ground-truth/2026/11/batch.csv"),
    ("code", f"scripts/{DIGEST}/steps/train.py"),
    ("code", f"scripts/_complete/{DIGEST}.json"),
    ("train runs", f"train/{RUN}/holdout/rows.csv"),
    ("predictions", f"inference/{RUN}/predictions/batch.csv.out"),
    ("predictions", f"inference/{RUN}/prepared/batch.csv"),
    ("predictions", f"inference/{RUN}/history/other.json"),
    ("histories", f"inference/{RUN}/history/history.json"),
    ("verdicts", f"inference/{RUN}/data-quality/verdict.json"),
    ("reports", f"inference/{RUN}/data-quality/statistics.json"),
    ("check runs", f"checks/{RUN}/predictions/batch.csv.out"),
    ("check runs", f"checks/{RUN}/history/other.json"),
    ("check histories", f"checks/{RUN}/history/history.json"),
    ("check verdicts", f"checks/{RUN}/data-quality/verdict.json"),
    ("check reports", f"checks/{RUN}/data-quality/statistics.json"),
    ("check batches", "checks/batches/1/check_batch.csv"),
    ("quality runs", f"quality/{RUN}/other/file.csv"),
    ("quality runs", f"quality/{RUN}/model-quality/other.json"),
    ("quality reports", f"quality/{RUN}/model-quality/model-quality.json"),
    ("quality records", f"state/quality/{DIGEST}/{DIGEST}-1.json"),
    ("quality tries", f"state/quality/{DIGEST}/{DIGEST}-1.tries.json"),
    ("scored records", f"state/scored/{DIGEST}.json"),
    ("records of batches", f"state/batches/20261121T080000Z-{RUN}.json"),
    ("retrain decisions", f"state/retraining/{RUN}.json"),
    ("alert records", f"state/alerts/{RUN}.json"),
    ("other state", f"state/other/{RUN}.json"),
    ("what nobody knows", "other/file.csv"),
)
# What a branch reads of main's; below its own name nobody looks for it.
MAINS = ("training data", "batches", "ground truth", "all data", "what nobody knows")
NESTED = (
    f"inference/{RUN}/data-quality/verdict.json",
    f"checks/{RUN}/data-quality/verdict.json",
    f"state/retraining/{RUN}.json",
    f"state/alerts/{RUN}.json",
)
DATA_FOLDERS = (("all of a model", ""), ("all data", "data/"), ("all state", "state/"))
