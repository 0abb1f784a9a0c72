"""A test batch and its scores as texts: read, compared, shifted."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline_code.definitions import definitions_root

TOLERANCE = 0.001


class ScoresError(ValueError):
    """Scores that can't be: the message says which and why."""


def parse(text: str, what: str) -> dict[str, float]:
    """Return scores by id from lines ``id,score``.

    Parameters
    ----------
    text
        The lines.
    what
        Whose they are, for the message.

    Raises
    ------
    ScoresError
        Where a line isn't one, an id comes twice, or a score isn't finite.
    """
    scores: dict[str, float] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not row:
            continue
        try:
            row_id, score = row[0], float(row[-1])
        except ValueError:
            raise ScoresError(f"{what}, line {number}, is not id,score: '{','.join(row)}'") from None
        if len(row) != 2 or not math.isfinite(score):
            raise ScoresError(f"{what}, line {number}, is not id,score: '{','.join(row)}'")
        if row_id in scores:
            raise ScoresError(f"{what} has the id '{row_id}' twice")
        scores[row_id] = score
    return scores


def largest_difference(found: Mapping[str, float], expected: Mapping[str, float]) -> float:
    """Return how far any score is from the one expected for its id.

    Raises
    ------
    ScoresError
        Where ids are missing or too many.
    """
    missing, extra = expected.keys() - found.keys(), found.keys() - expected.keys()
    if missing or extra:
        shown = ", ".join(sorted(missing or extra)[:3])
        raise ScoresError(
            f"{len(found)} scores instead of {len(expected)}: {'without' if missing else 'with'} the ids {shown}"
        )
    if not expected:
        raise ScoresError("no scores at all")
    return max(abs(found[row_id] - score) for row_id, score in expected.items())


@dataclass(frozen=True)
class Shifted:
    """A batch of which one feature has been shifted."""

    feature: str
    value: str
    text: str


def shift(batch: str, described: Mapping[str, Any]) -> Shifted:
    """Give one feature the largest value that the batch has of it, in every row that isn't missing it.

    All values stay legal and as many are missing as before: it is drift and nothing else. The feature is the one that
    has its largest value least often. A model without numbers gets a text's rarest value everywhere.

    Parameters
    ----------
    batch
        CSV as a model's test batch is: with a header only where the model's batches have one.
    described
        The model's model.json.
    """
    rows = [row for row in csv.reader(io.StringIO(batch)) if row]
    head, body = (rows[:1], rows[1:]) if described["batch_header"] else ([], rows)
    first = 0 if described["id_column"] is None else 1
    missing = {"", *described["missing"]}
    candidates = []
    for place, column in enumerate(described["columns"], start=first):
        counts = Counter(row[place] for row in body if row[place] not in missing)
        if not counts:
            continue
        text = column["type"] == "string"
        far = min(counts, key=lambda value: (counts[value], value)) if text else max(counts, key=float)
        candidates.append((text, counts[far] / counts.total(), place, str(column["name"]), far))
    if not candidates:
        raise ValueError("the batch has no feature with a value")
    _, _, place, feature, far = min(candidates)
    shifted = [
        [far if at == place and cell not in missing else cell for at, cell in enumerate(row)] for row in body
    ]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([*head, *shifted])
    return Shifted(feature, far, out.getvalue())


def described(folder: str) -> dict[str, Any]:
    """Return a model's compiled model.json."""
    return dict(json.loads((definitions_root() / folder / "model.json").read_text()))
