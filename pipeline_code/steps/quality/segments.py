"""Parts of the data that a model may serve worse than others: a feature's values, bins of a number, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Column, value_text
from ..scoring import Floats
from .auc import Area, area, measured

FEW = 10  # distinct values up to which each is a segment
BINS = 4


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Rows that are alike in one feature.

    Attributes
    ----------
    label
        What people read: a value, ``46 to 57`` (the lower end included), ``missing``.
    low, high
        A value where they are the same, else the ends of a bin; None without an end, and where the value is missing.
    rows
        Of the version's hold-out.
    area
        The AUC there; nothing where a class has too few rows.
    """

    feature: str
    label: str
    low: float | None
    high: float | None
    missing: bool
    rows: int = 0
    area: Area | None = None

    def holds(self, values: Floats) -> NDArray[np.bool_]:
        """Return which rows belong to the segment, by the feature's values as the model sees them."""
        absent: NDArray[np.bool_] = np.isnan(values)
        if self.missing:
            return absent
        inside: NDArray[np.bool_] = ~absent
        if self.low is not None and self.low == self.high:
            inside &= values == self.low
            return inside
        if self.low is not None:
            inside &= values >= self.low
        if self.high is not None:
            inside &= values < self.high
        return inside

    def as_json(self) -> dict[str, Any]:
        """Return what evaluation.json holds."""
        return {
            "feature": self.feature,
            "segment": self.label,
            "low": self.low,
            "high": self.high,
            "missing": self.missing,
            "rows": self.rows,
            "auc": None
            if self.area is None
            else {"value": round(self.area.value, 6), "standard_deviation": round(self.area.error, 6)},
        }


def segments(columns: Sequence[Column], features: Floats, labels: Floats, scores: Floats) -> list[Segment]:
    """Return the segments of a hold-out and how the model does in each.

    Parameters
    ----------
    features
        Rows by features, as the model sees them; NaN is missing.
    labels, scores
        One a row.
    """
    found = []
    for column, values in zip(columns, features.T, strict=True):
        for segment in _of(column, values):
            inside = segment.holds(values)
            found.append(
                Segment(
                    feature=segment.feature,
                    label=segment.label,
                    low=segment.low,
                    high=segment.high,
                    missing=segment.missing,
                    rows=int(inside.sum()),
                    area=measured(labels[inside], scores[inside]),
                )
            )
    return found


def _of(column: Column, values: Floats) -> list[Segment]:
    known = np.unique(values[~np.isnan(values)])
    whole = column.type != "number" or bool((known == known.round()).all())
    if column.values or (whole and len(known) <= FEW):
        found = [_value(column, float(value)) for value in known]
    else:
        inner = np.unique(np.quantile(values[~np.isnan(values)], np.linspace(0, 1, BINS + 1)[1:-1]))
        edges = [None, *(float(f"{edge:.6g}") for edge in inner), None]
        found = [_bin(column.name, low, high) for low, high in pairwise(edges)]
    if np.isnan(values).any():
        found.append(Segment(feature=column.name, label="missing", low=None, high=None, missing=True))
    return found


def _value(column: Column, value: float) -> Segment:
    told = value_text(column.values[int(value)]) if column.type == "string" else value_text(value)
    return Segment(feature=column.name, label=told, low=value, high=value, missing=False)


def _bin(name: str, low: float | None, high: float | None) -> Segment:
    if low is None:
        label = f"below {high:g}"
    elif high is None:
        label = f"{low:g} or more"
    else:
        label = f"{low:g} to {high:g}"
    return Segment(feature=name, label=label, low=low, high=high, missing=False)


def read_segments(described: Sequence[dict[str, Any]]) -> list[Segment]:
    """Return the segments that evaluation.json holds.

    Raises
    ------
    KeyError, TypeError, ValueError
        They aren't such.
    """
    return [_read(item) for item in described]


def _read(item: dict[str, Any]) -> Segment:
    rows, held = int(item["rows"]), item["auc"]
    return Segment(
        feature=str(item["feature"]),
        label=str(item["segment"]),
        low=None if item["low"] is None else float(item["low"]),
        high=None if item["high"] is None else float(item["high"]),
        missing=bool(item["missing"]),
        rows=rows,
        area=None
        if held is None
        else area(float(held["value"]), float(held["standard_deviation"]), rows / 2, rows / 2),
    )
