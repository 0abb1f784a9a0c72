"""Small charts as inline SVG: no script, no font, no file beside the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any


def roc(curves: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> str:
    """Draw ROC curves: name, false positive rates, true positive rates."""
    size, left, top = 260, 44, 12

    def point(x: float, y: float) -> str:
        return f"{left + x * size:.1f},{top + (1 - y) * size:.1f}"

    parts = [
        f'<svg class="chart" viewBox="0 0 {size + left + 16} {size + top + 46}" role="img" aria-label="ROC curves">',
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" class="plot"/>',
        f'<path d="M{point(0, 0)} L{point(1, 1)}" class="chance"/>',
    ]
    for tick in (0.0, 0.5, 1.0):
        x, y = left + tick * size, top + (1 - tick) * size
        parts.append(f'<text x="{x:.0f}" y="{top + size + 17}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{tick:g}</text>')
    middle = left + size / 2
    parts.append(f'<text x="{middle}" y="{top + size + 36}" text-anchor="middle">false positive rate</text>')
    parts.append(
        f'<text transform="translate(12 {top + size / 2}) rotate(-90)" text-anchor="middle">true positive rate</text>'
    )
    for number, (name, false_rates, true_rates) in enumerate(curves):
        points = " ".join(point(x, y) for x, y in zip(false_rates, true_rates, strict=True))
        parts.append(
            f'<polyline points="{points}" class="curve curve-{number}"><title>{escape(name)}</title></polyline>'
        )
    parts.append("</svg>")
    legend = "".join(f'<li class="key-{n}">{escape(name)}</li>' for n, (name, _, _) in enumerate(curves))
    return "".join(parts) + f'<ul class="legend">{legend}</ul>'


def drift_bars(features: Sequence[Mapping[str, Any]]) -> str:
    """Draw how far each feature of a batch lies from the baseline, the farthest first."""
    longest = max([float(feature["distance"]) for feature in features] + [0.01])
    threshold = max(float(feature["threshold"]) for feature in features)
    span = max(longest, threshold) * 1.08
    rows = []
    for feature in features:
        width = 100 * float(feature["distance"]) / span
        state, word = ("drifted", "drifted") if feature["drifted"] else ("steady", "")
        rows.append(
            f'<div class="bar-row {state}"><span class="bar-name">{escape(str(feature["name"]))}</span>'
            f'<span class="bar"><i style="width:{width:.1f}%"></i>'
            f'<b style="left:{100 * float(feature["threshold"]) / span:.1f}%"></b></span>'
            f'<span class="bar-value">{float(feature["distance"]):.3f} {word}</span></div>'
        )
    return f'<div class="bars" role="list">{"".join(rows)}</div>'


def timeline(steps: Sequence[Mapping[str, Any]]) -> str:
    """Draw the demo's steps in their order, with what each one showed."""
    rows = []
    for step in steps:
        rows.append(
            f'<li class="{escape(str(step["kind"]))}"><span class="when">{float(step["at"]):.0f} s</span>'
            f"<div><strong>{escape(str(step['title']))}</strong>"
            + "".join(f"<p>{escape(str(line))}</p>" for line in step["shown"])
            + "</div></li>"
        )
    return f'<ol class="timeline">{"".join(rows)}</ol>'
