"""Wide made-up data: 20 numeric and 5 categorical columns, 2 % of the cells missing, as CSV and as Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

PART = 500_000
GROUP = 250_000
WHOLE = {16: 5, 17: 10, 18: 100, 19: 10_000}  # column to how many whole numbers it may hold
TEXTS = (3, 8, 30, 200, 2_000)
MISSING = 0.02
LABEL = "label"


def columns() -> list[dict[str, Any]]:
    """Return the columns as model.json describes them."""
    numbers = [{"name": f"n{n}", "type": "integer" if n in WHOLE else "number"} for n in range(20)]
    return numbers + [{"name": f"c{n}", "type": "string"} for n in range(len(TEXTS))]


def model_json() -> str:
    """Return model.json of a model on these columns, whose batches have a header."""
    return json.dumps(
        {
            "model_name": "wide",
            "columns": columns(),
            "target": {"name": LABEL, "type": "integer", "values": [0, 1]},
            "id_column": None,
            "missing": ["", "?"],
            "batch_header": True,
            "holdout": {"salt": "wide", "fraction": 0.2},
            "evaluation": {},
            "monitor": {},
            "hyperparameters": {},
        }
    )


def generate(rows: int, path: Path, *, seed: int, drifted: bool = False, labelled: bool = False) -> None:
    """Write `path` with the endings .csv and .parquet.

    Parameters
    ----------
    drifted
        Whether n0, n9, n17 and c1 are from other distributions.
    labelled
        Whether there is a label too, as training data have.
    """
    csv = parquet = None
    for start in range(0, rows, PART):
        table = _part(min(PART, rows - start), [seed, start], drifted, labelled)
        if csv is None or parquet is None:
            parquet = pq.ParquetWriter(path.with_suffix(".parquet"), table.schema, compression="snappy")
            options = arrow_csv.WriteOptions(quoting_style="none")
            csv = arrow_csv.CSVWriter(path.with_suffix(".csv"), table.schema, write_options=options)
        parquet.write_table(table, row_group_size=GROUP)
        csv.write_table(table)
    for writer in (csv, parquet):
        if writer is not None:
            writer.close()


def _part(rows: int, seed: list[int], drifted: bool, labelled: bool) -> Any:
    rng = np.random.default_rng(seed)

    def absent() -> Any:
        return rng.random(rows) < MISSING

    held: dict[str, Any] = {}
    for number in range(20):
        if number < 8:
            values = rng.normal(number, 1 + number / 10, rows)
        elif number < 12:
            values = rng.lognormal(0, 0.7, rows)
        elif number < 16:
            values = rng.gamma(2, 2, rows)
        else:
            values = rng.integers(0, WHOLE[number], rows).astype(np.float64)
        if drifted and number in (0, 9, 17):
            values = values + (1 if number in WHOLE else 0.6)
        values = values.astype(np.int64) if number in WHOLE else values.round(4)
        held[f"n{number}"] = pa.array(values, mask=absent())
    for number, size in enumerate(TEXTS):
        odds = 1 / np.arange(1, size + 1)
        odds = odds[::-1] if drifted and number == 1 else odds
        chosen = rng.choice(size, rows, p=odds / odds.sum()).astype(np.int32)
        texts = pa.array([f"cat{number}_{text}" for text in range(size)])
        encoded = pa.DictionaryArray.from_arrays(pa.array(chosen, mask=absent()), texts)
        held[f"c{number}"] = encoded.cast(pa.string())
    if labelled:
        held[LABEL] = pa.array(rng.integers(0, 2, rows))
    return pa.table(held)
