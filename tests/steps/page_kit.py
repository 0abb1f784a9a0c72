"""What the tests of the report's page share: small reports made by hand, and a reader of pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any

from pipeline_code.steps.quality.page import render

MOMENT = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
VOID = {"meta", "line", "rect", "path", "circle"}


def numeric(name: str, items: list[float], *, missing: int = 0) -> dict[str, Any]:
    """Return a numeric feature of statistics.json that holds exactly these items."""
    return {
        "name": name,
        "inferred_type": "Fractional",
        "numerical_statistics": {
            "common": {"num_present": len(items), "num_missing": missing},
            "distribution": {"kll": {"buckets": [], "sketch": {"parameters": {}, "data": [items]}}},
        },
    }


def categorical(name: str, counts: dict[str, int], *, missing: int = 0) -> dict[str, Any]:
    """Return a text feature of statistics.json."""
    buckets = [{"value": value, "count": count} for value, count in counts.items()]
    return {
        "name": name,
        "inferred_type": "String",
        "string_statistics": {
            "common": {"num_present": sum(counts.values()), "num_missing": missing},
            "distinct_count": float(len(counts)),
            "distribution": {"categorical": {"buckets": buckets}},
        },
    }


def statistics(rows: int, *features: dict[str, Any]) -> dict[str, Any]:
    """Return statistics.json."""
    return {"version": 0.0, "dataset": {"item_count": rows}, "features": list(features)}


def feature(name: str, distance: float | None, *, drifted: bool = False, **more: Any) -> dict[str, Any]:
    """Return a feature of verdict.json."""
    known = {"name": name, "distance": distance, "threshold": 0.05, "drifted": drifted, "simple": distance}
    return {**known, "before": None, "after": None, **more}


def verdict(*features: dict[str, Any], kind: str = "drift", **more: Any) -> dict[str, Any]:
    """Return verdict.json."""
    action = {"ok": "deliver", "drift": "withhold_drift", "violation": "withhold_violation"}[kind]
    shared = {"verdict": kind, "action": action, "message": "", "rows": 48, "violations": []}
    return {**shared, "features": list(features), **more}


def drifted_page(**changes: Any) -> str:
    """Return the page of a batch with a feature of each kind, one of which drifted."""
    ages = [20.0 + step * 0.37 for step in range(150)]
    parts: dict[str, Any] = {
        "statistics": statistics(
            48,
            numeric("Shape", [1.0] * 30 + [2.0] * 18),
            numeric("Age", [age + 20 for age in ages[:48]], missing=3),
            categorical("Ward", {"north": 20, "south": 27, "moon": 1}),
        ),
        "baseline": statistics(
            150,
            numeric("Shape", [1.0] * 90 + [2.0] * 60),
            numeric("Age", ages, missing=1),
            categorical("Ward", {"north": 70, "south": 80}),
        ),
        "history": [
            {
                "verdict": kind,
                "rows": 48,
                "checked_at": f"2026-11-{day}T06:00:00+00:00",
                "model_version": "3",
                "features": {"Age": distance, "Shape": 0.0, "Ward": 0.01},
            }
            for day, kind, distance in ((18, "ok", 0.0), (19, "violation", 0.02), (20, "drift", 0.21))
        ],
        "model": "mammography",
        "batch": "batch.csv",
        "checked_at": MOMENT,
    }
    found = changes.pop("verdict", None) or verdict(
        feature("Shape", 0.0),
        feature("Age", 0.31, drifted=True, simple=0.46, before=47.6, after=48.8),
        feature("Ward", 0.02),
    )
    return render(found, **{**parts, **changes})


class Reader(HTMLParser):
    """Reads a page strictly: every element must be closed in its turn.

    Attributes
    ----------
    elements
        Tag and attributes of each, in order.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1:] == [tag], f"</{tag}> closes nothing"
        self._open.pop()

    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return tags and the names of their attributes: what text must never change."""
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.elements]


def words(page: str) -> str:
    """Return the page's text, spaces folded."""
    body = page.split("<body>", 1)[1]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


def section(page: str, heading: str) -> str:
    """Return the text of a section."""
    found = re.search(rf"<h2>{heading}</h2>(.*?)</section>", page, re.DOTALL)
    assert found is not None, f"no section '{heading}'"
    return words("<body>" + found.group(1))
