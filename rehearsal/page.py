"""The page at the end: the path of each commit, and what stopped those that must not arrive."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from demo.report import badge, section, table

CSS = Path(__file__).resolve().parent.parent / "demo" / "report.css"
GOOD, BAD = ("Succeeded", "Approved"), ("Failed", "Rejected")


def render(rehearsal: Mapping[str, Any]) -> str:
    """Return the page; ``rehearsal`` is what summary.json holds."""
    parts = "".join(_part(part) for part in rehearsal["parts"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>cdk-mlops: a rehearsal of the delivery</title><style>{CSS.read_text()}</style></head><body><main>"
        f"{_head(rehearsal)}{parts}{_foot(rehearsal)}</main></body></html>\n"
    )


def _head(rehearsal: Mapping[str, Any]) -> str:
    parts = rehearsal["parts"]
    stopped = sum(1 for part in parts if part["stopped_by"])
    arrived = sum(1 for part in parts if part["arrived"])
    actions = sum(len(part["rows"]) for part in parts)
    facts = [
        (arrived, "commits carried to prod"),
        (stopped, "commits stopped, prod untouched"),
        (actions, "actions and steps"),
        (f"{rehearsal['seconds'] / 60:.1f}", "minutes"),
    ]
    items = "".join(
        f"<li><strong>{escape(str(number))}</strong><span>{text}</span></li>" for number, text in facts
    )
    error = rehearsal["facts"].get("error")
    failed = f'<p><span class="badge bad">ended early</span> {escape(error)}</p>' if error else ""
    return (
        "<h1>The delivery pipeline, rehearsed</h1>"
        '<p class="lead">The pipeline that cdk deploy would make on AWS, executed on an embedded cloud: its builds as'
        " local processes under their own roles, its deployments to four accounts, its approvals by a person.</p>"
        f'{failed}<ul class="facts">{items}</ul>'
    )


def _part(part: Mapping[str, Any]) -> str:
    rows = [
        [
            row["stage"],
            row["action"],
            badge(row["result"], _kind(row["result"])),
            f"{row['seconds']:.0f} s",
            row["said"],
        ]
        for row in part["rows"]
    ]
    stopped = (
        f'<p><span class="badge good">stopped</span> {escape(part["stopped_by"])}</p>'
        if part["stopped_by"]
        else ""
    )
    notes = "".join(f'<p class="muted">{escape(note)}</p>' for note in part["notes"])
    body = f'<p class="lead">{escape(part["expectation"])}</p>{stopped}{notes}'
    body += table(["stage", "action", "result", "time", "what it said"], rows, raw={2}) if rows else ""
    return section(f"{part['title']} ({part['seconds']:.0f} s)", body)


def _kind(result: str) -> str:
    return "good" if result in GOOD else "bad" if result in BAD else "warn"


def _foot(rehearsal: Mapping[str, Any]) -> str:
    times = ", ".join(f"{escape(part['title'])} {part['seconds']:.0f} s" for part in rehearsal["parts"])
    return (
        f"<footer><p>{times}. The numbers are in summary.json beside this page.</p>"
        "<p>What a local run proves, and what only AWS can, is in local_cloud/README.md.</p></footer>"
    )
