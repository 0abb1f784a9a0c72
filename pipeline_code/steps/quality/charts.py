"""Small charts as inline SVG: no script, no font, no file beside the page.

Colour is never all that tells two things apart: training data are hatched and dashed, the batch is solid. Every
chart carries a text that says what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .distributions import Bars, Histogram
from .page_text import number, percent, plain, text

WIDTH = 340
LEFT, RIGHT, TOP, BOTTOM = 38, 8, 10, 22
PLOT = 120
ROW = 42
# Shapes of a batch's verdict in a trend: what tells them apart without colour.
MARKS = {"ok": "circle", "drift": "diamond", "violation": "cross"}

# One pattern for all charts of a page.
PATTERNS = (
    '<svg class="patterns" width="0" height="0" aria-hidden="true" focusable="false"><defs>'
    '<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line x1="0" y1="0" x2="0" y2="5" class="hatching"/></pattern></defs></svg>'
)


def draw(found: Bars | Histogram, told: str) -> str:
    """Draw the two distributions of a feature; `told` says in words what is to be seen."""
    if isinstance(found, Histogram):
        return _histogram(found, told)
    return _upright(found, told) if found.numeric else _lying(found, told)


def _svg(height: float, told: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(told)}">'
        + "".join(parts)
        + "</svg>"
    )


def _ceiling(shares: Sequence[float]) -> float:
    """Return where the scale of shares ends: at the next step that reads well."""
    highest = max(shares)
    for step in (0.02, 0.04, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0):
        if highest <= step:
            return step
    return 1.0


def _scale(top: float) -> list[str]:
    parts = []
    for share in (0.0, top / 2, top):
        y = TOP + PLOT * (1 - share / top)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" class="grid"/>')
        label = f"{100 * share:g} %"
        parts.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    return parts


def _upright(bars: Bars, told: str) -> str:
    """Draw a pair of bars for each number."""
    top = _ceiling([*bars.before, *bars.after])
    slot = (WIDTH - LEFT - RIGHT) / len(bars.labels)
    wide = min(slot * 0.4, 26)
    parts = _scale(top)
    for place, (label, before, after) in enumerate(zip(bars.labels, bars.before, bars.after, strict=True)):
        middle = LEFT + slot * (place + 0.5)
        for share, x, kind in ((before, middle - wide, "was"), (after, middle, "now")):
            tall = PLOT * share / top
            parts.append(
                f'<rect x="{x:.1f}" y="{TOP + PLOT - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}" class="{kind}"/>'
            )
        shown = text(label, 9)
        parts.append(f'<text x="{middle:.1f}" y="{TOP + PLOT + 16}" text-anchor="middle">{shown}</text>')
    return _svg(TOP + PLOT + BOTTOM, told, parts)


def _lying(bars: Bars, told: str) -> str:
    """Draw a pair of lying bars for each text, with room for the text above."""
    span, parts = WIDTH - 64.0, []
    top = _ceiling([*bars.before, *bars.after])
    for place, (label, before, after) in enumerate(zip(bars.labels, bars.before, bars.after, strict=True)):
        y = place * ROW
        new = " (not in training)" if not before else ""
        parts.append(f'<text x="0" y="{y + 11}" class="label">{text(label, 40)}{new}</text>')
        for share, at, kind in ((before, y + 16, "was"), (after, y + 27, "now")):
            parts.append(
                f'<rect x="0" y="{at}" width="{span * share / top:.1f}" height="9" class="{kind}"/>'
                f'<text x="{span * share / top + 4:.1f}" y="{at + 8}" class="small">{percent(share)}</text>'
            )
    return _svg(len(bars.labels) * ROW + 2, told, parts)


def _histogram(found: Histogram, told: str) -> str:
    """Draw two step lines over one scale: training dashed over a hatched area, the batch solid."""
    top = _ceiling([*found.before, *found.after])
    low, high = found.edges[0], found.edges[-1]

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    def steps(shares: Sequence[float]) -> str:
        path = [f"M{x(low):.1f},{TOP + PLOT}"]
        for at, share in enumerate(shares):
            y = TOP + PLOT * (1 - share / top)
            path.append(f"V{y:.1f}H{x(found.edges[at + 1]):.1f}")
        return "".join(path) + f"V{TOP + PLOT}"

    parts = _scale(top)
    parts.append(f'<path d="{steps(found.before)}Z" class="was-area"/>')
    parts.append(f'<path d="{steps(found.before)}" class="was-line"/>')
    parts.append(f'<path d="{steps(found.after)}" class="now-line"/>')
    count = len(found.edges) - 1
    every = max(1, -(-count // 5))
    for at in range(0, count + 1, every):
        value = found.edges[at]
        shown = ("≤ " if at == 0 and found.cut_low else "") + number(value)
        anchor = "start" if at == 0 else "end" if at == count else "middle"
        parts.append(
            f'<text x="{x(value):.1f}" y="{TOP + PLOT + 16}" text-anchor="{anchor}">{escape(shown)}</text>'
        )
    return _svg(TOP + PLOT + BOTTOM, told, parts)


def legend() -> str:
    """Return the key of all charts of distributions."""
    was = '<svg width="26" height="12" aria-hidden="true"><rect x="1" y="1" width="24" height="10" class="was"/></svg>'
    now = '<svg width="26" height="12" aria-hidden="true"><rect x="1" y="1" width="24" height="10" class="now"/></svg>'
    return f'<ul class="legend"><li>{was} training data (hatched)</li><li>{now} this batch (solid)</li></ul>'


@dataclass(frozen=True, kw_only=True)
class TrendPoint:
    """A batch in a trend.

    Attributes
    ----------
    day
        When it was checked, in a few letters.
    distance
        None where it isn't known: the line has a gap. A broken batch has its mark above that gap.
    verdict
        Gives the mark its shape.
    """

    day: str
    distance: float | None
    verdict: str


def trend(points: Sequence[TrendPoint], threshold: float | None, told: str) -> str:
    """Draw the distances of a feature over the last batches, the present one last."""
    tall, top, bottom = 92.0, 10.0, 24.0
    highest = max([point.distance or 0.0 for point in points] + [threshold or 0.0, 0.05]) * 1.1
    step = (WIDTH - LEFT - RIGHT - 12) / max(1, len(points) - 1)

    def place(at: int, distance: float) -> tuple[float, float]:
        return LEFT + 6 + step * at, top + (tall - top - bottom) * (1 - distance / highest)

    base = place(0, 0.0)[1]
    parts = [f'<line x1="{LEFT}" y1="{base:.1f}" x2="{WIDTH - RIGHT}" y2="{base:.1f}" class="grid"/>']
    parts.append(f'<text x="{LEFT - 5}" y="{base + 4:.1f}" text-anchor="end">0</text>')
    if threshold:
        y = place(0, threshold)[1]
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" class="limit"/>')
    most = max((point.distance or 0.0 for point in points), default=0.0)
    if most > 0.02:
        y = place(0, most)[1]
        parts.append(
            f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{number(round(most, 2))}</text>'
        )
    path, pen = "", "M"
    for at, point in enumerate(points):
        if point.distance is None:
            pen = "M"
            continue
        x, y = place(at, point.distance)
        path, pen = f"{path}{pen}{x:.1f},{y:.1f}", "L"
    parts.append(f'<path d="{path or "M0,0"}" class="trend"/>')
    for at, point in enumerate(points):
        last = at == len(points) - 1
        if point.distance is not None:
            parts.append(mark(*place(at, point.distance), point.verdict, last=last))
        elif point.verdict == "violation":  # at no height of the scale
            x = place(at, 0.0)[0]
            parts.append(f'<line x1="{x:.1f}" y1="{top + 4}" x2="{x:.1f}" y2="{base:.1f}" class="grid"/>')
            parts.append(mark(x, top - 3, point.verdict, last=last))
    for point, x, anchor in ((points[0], LEFT, "start"), (points[-1], WIDTH - RIGHT, "end")):
        parts.append(f'<text x="{x}" y="{tall - 6:.0f}" text-anchor="{anchor}">{text(point.day, 12)}</text>')
    return _svg(tall, told, parts)


def mark(x: float, y: float, verdict: str, *, last: bool = False) -> str:
    """Draw a batch: a circle that fits, a diamond that drifted, a cross that is broken; the present one larger."""
    size = 5.0 if last else 3.4
    kind = plain(verdict) if verdict in MARKS else "ok"
    if MARKS[kind] == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size * 0.8:.1f}" class="mark {kind}"/>'
    if MARKS[kind] == "diamond":
        shape = f"M{x:.1f},{y - size:.1f}l{size},{size}l{-size},{size}l{-size},{-size}Z"
        return f'<path d="{shape}" class="mark {kind}"/>'
    shape = f"M{x - size:.1f},{y - size:.1f}l{2 * size},{2 * size}m0,{-2 * size}l{-2 * size},{2 * size}"
    return f'<path d="{shape}" class="mark {kind}"/>'


def trend_legend() -> str:
    """Return the key of the marks of a trend."""
    words = {"ok": "fits the training data", "drift": "drifted", "violation": "broken: no distance"}
    items = "".join(
        f'<li><svg width="16" height="14" aria-hidden="true">{mark(8, 7, kind)}</svg> {word}</li>'
        for kind, word in words.items()
    )
    return f'<ul class="legend">{items}</ul>'
