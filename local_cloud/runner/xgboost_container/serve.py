"""Scoring as the container does it in a batch transform; run as a program: ``serve MODEL REQUESTS``.

`REQUESTS` is a JSON file with a list of ``{"input": path, "output": path, "source": text}``: each input holds lines of
CSV as they would be sent to the container. A refusal is written to standard error as ``STATUS reason``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from local_cloud.runner.xgboost_container.csv_data import CsvError, parse
from local_cloud.runner.xgboost_container.lean import xgboost


class RefusedError(ValueError):
    """The container answers a request with an HTTP error."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status


def load(model: Path) -> xgboost.Booster:
    """Return the booster in a folder, as the container finds it: the one file in it.

    Raises
    ------
    RefusedError
        There isn't exactly one file, or XGBoost can't read it.
    """
    files = [path for path in model.rglob("*") if path.is_file()]
    if len(files) != 1:
        names = ", ".join(sorted(path.name for path in files)) or "nothing"
        raise RefusedError(500, f"the model archive must hold one file, xgboost-model; it holds {names}")
    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(files[0].read_bytes()))
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise RefusedError(500, f"the model can't be loaded: {' '.join(str(error).split())[:300]}") from error
    return booster


def score(booster: xgboost.Booster, lines: list[str]) -> list[str]:
    """Return a score a line of CSV.

    Raises
    ------
    RefusedError
        415 where a cell isn't a number (a header, above all), 400 where the number of columns isn't the model's.
    """
    try:
        rows = parse(lines)
    except CsvError as error:
        raise RefusedError(415, f"Unable to decode payload: {error}") from error
    if not rows.size:
        return []
    if rows.shape[1] != booster.num_features():
        raise RefusedError(
            400,
            f"Unable to evaluate payload provided: Feature size of csv inference data {rows.shape[1]} is not "
            f"consistent with feature size of trained model {booster.num_features()}.",
        )
    scores = booster.predict(xgboost.DMatrix(rows), validate_features=False)
    if scores.ndim == 1:
        return [str(float(value)) for value in scores]
    return [",".join(str(float(value)) for value in np.asarray(row)) for row in scores]


def main(arguments: list[str]) -> int:
    """Answer all requests in turn; the first refusal ends it."""
    model, requests = map(Path, arguments)
    source = "the model"
    try:
        booster = load(model)
        for request in json.loads(requests.read_text()):
            source = request["source"]
            lines = Path(request["input"]).read_text().splitlines()
            Path(request["output"]).write_text("".join(f"{line}\n" for line in score(booster, lines)))
    except RefusedError as refusal:
        sys.stderr.write(f"{refusal} ({source})\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
