"""statistics.json: a profile as Model Monitor writes it, and read back as a baseline."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from ..model import WHOLE_IN_A_DOUBLE
from .profile import ColumnProfile, Points, Profile
from .sketch import kll, points_of

NOTHING = Points(np.empty(0), np.empty(0))


def describe(profile: Profile) -> dict[str, Any]:
    """Return statistics.json for a profile.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-statistics.html
    """
    return {
        "version": 0.0,
        "dataset": {"item_count": profile.rows},
        "features": [describe_column(column) for column in profile.columns],
    }


def describe_column(column: ColumnProfile) -> dict[str, Any]:
    """Return what statistics.json says of a feature."""
    common = {"num_present": column.present, "num_missing": column.missing}
    head = {"name": column.name, "inferred_type": column.inferred_type}
    if column.categories is not None:
        ranked = sorted(column.categories.items(), key=lambda item: (-item[1], item[0]))
        buckets = [{"value": value, "count": count} for value, count in ranked]
        return head | {
            "string_statistics": {
                "common": common,
                "distinct_count": float(len(ranked) if column.distinct is None else column.distinct),
                "distribution": {"categorical": {"buckets": buckets}},
            }
        }
    return head | {
        "numerical_statistics": {
            "common": common,
            "mean": column.mean,
            "sum": column.total,
            "std_dev": column.std_dev,
            "min": column.minimum,
            "max": column.maximum,
            "distribution": {"kll": kll(column.points) if column.points is not None else {}},
        }
    }


def read_statistics(described: dict[str, Any]) -> Profile:
    """Return the profile that a statistics.json holds, ours or Model Monitor's.

    Raises
    ------
    KeyError, TypeError, ValueError
        It isn't such a file.
    """
    return Profile(
        rows=_count(described.get("dataset", {}), "item_count"),
        columns=tuple(_read_column(feature) for feature in described["features"]),
    )


def _read_column(feature: dict[str, Any]) -> ColumnProfile:
    numeric, text = feature.get("numerical_statistics"), feature.get("string_statistics")
    statistics = numeric or text or {}
    common = statistics.get("common") or {}
    profile = ColumnProfile(
        name=feature["name"],
        inferred_type=feature["inferred_type"],
        present=_count(common, "num_present"),
        missing=_count(common, "num_missing"),
    )
    distribution = statistics.get("distribution") or {}
    if numeric:
        return _with_numbers(profile, numeric, distribution.get("kll") or {})
    buckets = (distribution.get("categorical") or {}).get("buckets")
    if not buckets and (profile.present or not text):
        return profile  # too many different texts for Model Monitor to list
    categories: Counter[str] = Counter()
    for bucket in buckets or ():
        categories[str(bucket["value"])] += _count(bucket, "count")
    distinct = _count(statistics, "distinct_count") if "distinct_count" in statistics else len(categories)
    return replace(
        profile,
        categories=categories,
        others=max(0, profile.present - categories.total()),
        distinct=None if distinct == len(categories) else distinct,
    )


def _with_numbers(profile: ColumnProfile, numeric: dict[str, Any], kll: dict[str, Any]) -> ColumnProfile:
    profile = replace(profile, points=points_of(kll) or (None if profile.present else NOTHING))
    if not profile.present:
        return profile  # what is the mean of nothing? Its writer may have thought of NaN
    return replace(
        profile,
        mean=_number(numeric, "mean"),
        std_dev=_number(numeric, "std_dev"),
        total=_number(numeric, "sum"),
        minimum=_number(numeric, "min"),
        maximum=_number(numeric, "max"),
    )


def _number(described: dict[str, Any], key: str) -> float:
    value = float(described.get(key, 0.0))
    if not math.isfinite(value):
        raise ValueError(f"{key} must be a number, got {value}")
    return value


def _count(described: dict[str, Any], key: str) -> int:
    value = int(_number(described, key))
    if not 0 <= value <= WHOLE_IN_A_DOUBLE:
        raise ValueError(f"{key} must be a count, got {value}")
    return value
