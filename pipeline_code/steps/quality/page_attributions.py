"""Which features the scores come from, on the report's page."""

from __future__ import annotations

from typing import Any

from .page_text import finite, name, percent


def attributions(verdict: dict[str, Any], most: int) -> str:
    """Return each feature's share in the scores, in training and in the batch; nothing where it wasn't looked at."""
    held = verdict.get("attributions")
    if not isinstance(held, dict):
        return ""
    listed = held.get("features")
    found = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    if not found:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{name(item.get("name"))}</th><td class="n">{_share(item.get("before"))}</td>'
        f'<td class="n">{_share(item.get("after"))}</td></tr>'
        for item in found[:most]
    )
    rest = len(found) - most
    note = f'<p class="note">And {rest:,} more: see verdict.json beside this page.</p>' if rest > 0 else ""
    return (
        '<section id="attributions"><h2>What the scores come from</h2>'
        f'<p>{_told(held)}</p><div class="table"><table><caption>Each feature\'s share of all contributions to the'
        ' scores, the largest in training first.</caption><thead><tr><th scope="col">feature</th>'
        '<th scope="col" class="n">in training</th><th scope="col" class="n">in the batch</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}</section>"
    )


def _share(value: Any) -> str:
    known = finite(value)
    return "not known" if known is None else percent(known)


def _told(held: dict[str, Any]) -> str:
    moved, score = finite(held.get("moved")), finite(held.get("ndcg"))
    parts = [
        "▲ The scores come from other features than in training."
        if held.get("drifted")
        else "As in training."
    ]
    if moved is not None:
        parts.append(f"{percent(moved)} of all contributions have moved to other features.")
    if score is not None:
        parts.append(f"The order of the features agrees to {score:.3f} (NDCG, 1 is the same order).")
    return " ".join(parts)
