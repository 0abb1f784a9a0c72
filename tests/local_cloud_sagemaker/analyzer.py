"""Stands in for Model Monitor's analyzer: a row count as statistics, a violation where the baseline had more rows."""

from __future__ import annotations

import json
import os
from pathlib import Path

given = dict(os.environ)
source, output = Path(given["dataset_source"]), Path(given["output_path"])
rows = sum(len(file.read_text().splitlines()) for file in source.iterdir())
(output / "statistics.json").write_text(json.dumps({"dataset": {"item_count": rows}}))
(output / "constraints.json").write_text(json.dumps({"features": []}))
if "baseline_statistics" in given:
    before = json.loads(Path(given["baseline_statistics"]).read_text())["dataset"]["item_count"]
    violations = [{"feature_name": "rows"}] if rows < before else []
    (output / "constraint_violations.json").write_text(json.dumps({"violations": violations}))
