"""statistics.json: a profile as Model Monitor writes it, and read back as a baseline."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .profile import ColumnProfile, Profile
from .sketch import kll, points_of


def describe(profile: Profile) -> dict[str, Any]:
    """Return statistics.json for a profile.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-statistics.html
    """
    return {
        "version": 0.0,
        "dataset": {"item_count": profile.rows},
        "features": [_describe_column(column) for column in profile.columns],
    }


def _describe_column(column: ColumnProfile) -> dict[str, Any]:
    common = {"num_present": column.present, "num_missing": column.missing}
    head = {"name": column.name, "inferred_type": column.inferred_type}
    if column.categories is not None:
        ranked = sorted(column.categories.items(), key=lambda item: (-item[1], item[0]))
        buckets = [{"value": value, "count": count} for value, count in ranked]
        return head | {
            "string_statistics": {
                "common": common,
                "distinct_count": float(len(ranked)),
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
        rows=int(described.get("dataset", {}).get("item_count", 0)),
        columns=tuple(_read_column(feature) for feature in described["features"]),
    )


def _read_column(feature: dict[str, Any]) -> ColumnProfile:
    numeric, text = feature.get("numerical_statistics"), feature.get("string_statistics")
    statistics = numeric or text or {}
    common = statistics.get("common") or {}
    shared = {
        "name": feature["name"],
        "inferred_type": feature["inferred_type"],
        "present": int(common.get("num_present", 0)),
        "missing": int(common.get("num_missing", 0)),
    }
    distribution = statistics.get("distribution") or {}
    if numeric:
        return ColumnProfile(
            **shared,
            points=points_of(distribution.get("kll") or {}),
            mean=float(numeric.get("mean", 0.0)),
            std_dev=float(numeric.get("std_dev", 0.0)),
            total=float(numeric.get("sum", 0.0)),
            minimum=float(numeric.get("min", 0.0)),
            maximum=float(numeric.get("max", 0.0)),
        )
    buckets = (distribution.get("categorical") or {}).get("buckets")
    if not buckets:
        return ColumnProfile(**shared)
    return ColumnProfile(**shared, categories=Counter({str(b["value"]): int(b["count"]) for b in buckets}))
