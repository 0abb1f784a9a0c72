"""The last batches on the report's page: the verdicts, and how the distances of this batch's features went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from .charts import MARKS, TrendPoint, trend, trend_legend
from .page_text import finite, name, number, plain, text

MOST_BATCHES = 20
MOST_FEATURES = 6
_WORDS = {"ok": "✓ fits", "drift": "▲ drift", "violation": "✕ broken"}


def trend_section(
    history: Sequence[dict[str, Any]],
    verdict: dict[str, Any],
    features: Sequence[dict[str, Any]],
    moment: datetime,
) -> str:
    """Return the trend over the last batches, the present one last.

    Parameters
    ----------
    history
        The batches before, oldest first.
    features
        Of this batch, in the order in which the page shows them.
    """
    before = [item for item in history if isinstance(item, dict)][-(MOST_BATCHES - 1) :]
    head = "<section><h2>The last batches</h2>"
    if not before:
        return f"{head}<p>No earlier batch is on record: the trend begins with this one.</p></section>"
    distances = {str(item.get("name")): item.get("distance") for item in features}
    this = {
        "verdict": verdict.get("verdict"),
        "rows": verdict.get("rows"),
        "checked_at": moment.isoformat(),
        "features": distances,
    }
    batches = [*before, this]
    cards = "".join(_card(item, batches) for item in features[:MOST_FEATURES])
    return (
        f"{head}<p>{_summary(batches)}</p>{trend_legend()}"
        f'<div class="cards">{cards}</div>{_table(batches)}</section>'
    )


def _verdict(batch: dict[str, Any]) -> str:
    kind = str(batch.get("verdict"))
    return kind if kind in MARKS else "ok"


def _summary(batches: Sequence[dict[str, Any]]) -> str:
    kinds = [_verdict(batch) for batch in batches]
    row = 0
    for kind in reversed(kinds):
        if kind != "drift":
            break
        row += 1
    told = (
        f"Of the last {len(batches)} batches {kinds.count('drift')} drifted and {kinds.count('violation')}"
        f" {'was' if kinds.count('violation') == 1 else 'were'} broken."
    )
    return f"{told} This is the {_ordinal(row)} drifted batch in a row." if row > 1 else told


def _ordinal(count: int) -> str:
    ending = "th" if count % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count}{ending}"


def _distance(batch: dict[str, Any], feature: str) -> float | None:
    known = batch.get("features")
    return finite(known.get(feature)) if isinstance(known, dict) else None


def _card(item: dict[str, Any], batches: Sequence[dict[str, Any]]) -> str:
    feature = str(item.get("name"))
    points = [
        TrendPoint(
            day=_moment(batch.get("checked_at"), "%d %b"),
            # a broken batch says nothing about the world, whatever is left to compare in it
            distance=None if _verdict(batch) == "violation" else _distance(batch, feature),
            verdict=_verdict(batch),
        )
        for batch in batches
    ]
    known = [_in_words(point) for point in points]
    told = f"Distance of {plain(feature)} in the last batches, oldest first: {', '.join(known)}."
    drifted = "drifted" if item.get("drifted") else "steady"
    limit = None if item.get("method") == "ChiSquared" else finite(item.get("threshold"))
    return (
        f'<article class="card {drifted}"><header><h3>{name(feature)}</h3>'
        f'<span class="state">now {known[-1]}</span></header>{trend(points, limit, told)}</article>'
    )


def _in_words(point: TrendPoint) -> str:
    if point.verdict == "violation":
        return "broken"
    return "not known" if point.distance is None else number(round(point.distance, 3))


def _table(batches: Sequence[dict[str, Any]]) -> str:
    rows = "".join(_row(batch, last=at == len(batches) - 1) for at, batch in enumerate(batches))
    return (
        '<details><summary>the batches in a table</summary><div class="table"><table><thead><tr>'
        '<th scope="col">checked (UTC)</th><th scope="col">verdict</th><th scope="col" class="n">rows</th>'
        '<th scope="col">farthest</th><th scope="col" class="n wide">version</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _row(batch: dict[str, Any], *, last: bool) -> str:
    features = batch.get("features")
    known = [
        (distance, str(key))
        for key, value in (features.items() if isinstance(features, dict) else ())
        if (distance := finite(value)) is not None
    ]
    farthest = max(known, default=(0.0, ""))
    told = f"{name(farthest[1])} {farthest[0]:.3f}" if farthest[0] > 0 else "-"
    # the check isn't told which version it checks for; the record that is written after it has the number
    version = "this run's" if last else text(batch.get("model_version") or "-", 20)
    return (
        f'<tr><th scope="row">{_moment(batch.get("checked_at"))}{" (this one)" if last else ""}</th>'
        f'<td>{_WORDS[_verdict(batch)]}</td><td class="n">{number(batch.get("rows"))}</td>'
        f'<td>{told}</td><td class="n wide">{version}</td></tr>'
    )


def _moment(stamp: object, form: str = "%d %b %Y %H:%M") -> str:
    try:
        moment = datetime.fromisoformat(str(stamp).replace("Z", "+00:00"))
    except ValueError:
        return "not known"
    return moment.astimezone(UTC).strftime(form)
