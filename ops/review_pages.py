"""A review as a text for terminals, and as one page that needs nothing beside it and fits a phone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ops.review_diff import Change
from ops.review_facts import Review
from ops.review_words import COLUMNS, Section, sections, title

SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_STYLE = Path(__file__).resolve().parent / "review.css"
_FEW = 6  # changes that are shown without a tap


def text(review: Review) -> str:
    """Return the review as lines of text."""
    heading = title(review)
    parts = [heading, "=" * len(heading)]
    for section in sections(review):
        parts += ["", section.title, "-" * len(section.title), *section.intro]
        if section.rows:
            parts += ["", *_columns([COLUMNS, *section.rows])]
        for change in section.changes:
            parts.append(f"  {SIGNS[change.how]} {change.what}")
            parts += [f"      {line}" for line in change.lines]
    return "\n".join(parts) + "\n"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def page(review: Review) -> str:
    """Return the review as an HTML page."""
    body = "".join(_section(one) for one in sections(review))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{escape(title(review))}</title><style>{_STYLE.read_text()}</style></head>"
        f"<body><main><h1>{escape(title(review))}</h1>{body}</main></body></html>\n"
    )


def _section(section: Section) -> str:
    intro = "".join(f"<p>{escape(one)}</p>" for one in section.intro)
    more = _table(section.rows) + _changes(section.changes)
    return f"<section><h2>{escape(section.title)}</h2>{intro}{more}</section>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in COLUMNS)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _changes(changes: Sequence[Change]) -> str:
    if not changes:
        return ""
    listed = f"<ul>{''.join(_change(one) for one in changes)}</ul>"
    if len(changes) <= _FEW:
        return listed
    return f"<details><summary>Show all {len(changes)}</summary>{listed}</details>"


def _change(change: Change) -> str:
    lines = "".join(f"<li><code>{escape(line)}</code></li>" for line in change.lines)
    inner = f'<ul class="lines">{lines}</ul>' if lines else ""
    return f'<li class="{change.how}"><b title="{change.how}">{SIGNS[change.how]}</b> {escape(change.what)}{inner}</li>'
