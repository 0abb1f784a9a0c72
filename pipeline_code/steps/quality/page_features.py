"""The features on the report's page: a table by distance, their distributions, their missing values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .charts import draw, legend
from .distributions import Bars, Histogram, compare, missing_share
from .page_scores import explained, of_the_model, of_the_scores
from .page_text import counted, finite, listed, name, number, percent, plain, text

Feature = dict[str, Any]
# Steady features are folded away where there are more than this many.
_OPEN = 6


def features_table(features: Sequence[Feature], most: int, not_compared: Sequence[str] = ()) -> str:
    """Return all features by their distance, those that drifted first, and the names of those without one."""
    if not features:
        return (
            "<section><h2>Features by distance</h2><p>No feature could be compared with the training data.</p>"
            f"{_left_out(not_compared)}{explained(not_compared)}</section>"
        )
    # of many features the first are shown; what is about the scores always is
    shown = [*features[:most], *(item for item in features[most:] if of_the_scores(item))]
    span = max(max(_number(item, "distance"), _limit(item) or 0.0) for item in shown) or 0.01
    rows = "".join(_row(item, span * 1.06) for item in shown)
    names = [*(item.get("name") for item in shown), *not_compared]
    return (
        '<section><h2>Features by distance</h2><div class="table"><table>'
        "<caption>How far each feature lies from the training data: those that drifted first, then the farthest. The"
        " line in a bar is the limit.</caption>"
        '<thead><tr><th scope="col">feature</th><th scope="col" class="distance">distance</th>'
        '<th scope="col" class="n">limit</th><th scope="col" class="n wide">mean in training</th>'
        '<th scope="col" class="n wide">mean in the batch</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{_rest(of_the_model(features[most:]))}{_left_out(not_compared)}"
        f"{explained(names)}</section>"
    )


def _left_out(names: Sequence[str]) -> str:
    if not names:
        return ""
    told = [name(item) for item in names[:10]]
    if len(names) > 10:
        told.append(f"{len(names) - 10:,} more")
    return f'<p class="note">Not compared, because a side holds no distribution of it: {listed(told)}.</p>'


def _number(item: Feature, key: str) -> float:
    known = finite(item.get(key))
    return 0.0 if known is None else max(known, 0.0)


def _limit(item: Feature) -> float | None:
    """Return the limit of the distance; ChiSquared's is one of the p-value."""
    return None if item.get("method") == "ChiSquared" else finite(item.get("threshold"))


def _limit_in_words(item: Feature) -> str:
    shown = number(item.get("threshold"))
    return f"p {shown}" if item.get("method") == "ChiSquared" else shown


def _state(item: Feature) -> str:
    if item.get("drifted"):
        return "▲ drifted"
    limit = _limit(item)
    return (
        "chance explains it"
        if limit is not None and _number(item, "distance") > limit
        else "within its limit"
    )


def _distance(item: Feature) -> str:
    known = finite(item.get("distance"))
    return "not known" if known is None else f"{known:.3f}"


def _row(item: Feature, span: float) -> str:
    drifted = bool(item.get("drifted"))
    width, limit = 100 * _number(item, "distance") / span, _limit(item)
    line = "" if limit is None else f'<b style="left:{100 * limit / span:.1f}%"></b>'
    word = " drifted" if drifted else ""
    return (
        f'<tr class="{"drifted" if drifted else "steady"}"><th scope="row">{name(item.get("name"))}</th>'
        f'<td class="distance"><span class="far">{_distance(item)}{word}</span><span class="gauge" aria-hidden="true">'
        f'<i style="width:{width:.1f}%"></i>{line}</span></td>'
        f'<td class="n">{_limit_in_words(item)}</td>'
        f'<td class="n wide">{number(item.get("before"), "-")}</td>'
        f'<td class="n wide">{number(item.get("after"), "-")}</td></tr>'
    )


def _rest(rest: Sequence[Feature]) -> str:
    if not rest:
        return ""
    drifted = sum(1 for item in rest if item.get("drifted"))
    how = f"{drifted:,} of them drifted" if drifted else "none of them drifted"
    return (
        f'<p class="note">And {counted(len(rest), "more feature")}, {how}: all are in'
        " verdict.json beside this page.</p>"
    )


def distributions(
    features: Sequence[Feature], then: Mapping[str, Feature], now: Mapping[str, Feature], most: int
) -> str:
    """Return the distributions in training and in the batch, one over the other."""
    if not features:
        return ""
    shown = features[:most]
    cards = [(bool(item.get("drifted")), _card(item, then, now)) for item in shown]
    moved = "".join(card for drifted, card in cards if drifted)
    steady = [card for drifted, card in cards if not drifted]
    body = f'<div class="cards">{moved}</div>' if moved else ""
    if len(steady) > _OPEN:
        told = f"{counted(len(steady), 'feature')} that did not drift"
        body += f'<details class="more"><summary>{told}</summary><div class="cards">{"".join(steady)}</div></details>'
    elif steady:
        body = f'<div class="cards">{moved}{"".join(steady)}</div>'
    rest = len(features) - len(shown)
    note = f'<p class="note">{rest:,} more are not drawn.</p>' if rest else ""
    return f"<section><h2>Distributions</h2>{legend()}{body}{note}</section>"


def _card(item: Feature, then: Mapping[str, Feature], now: Mapping[str, Feature]) -> str:
    key = str(item.get("name"))
    drifted = bool(item.get("drifted"))
    found = compare(then.get(key), now.get(key))
    drawn = (
        '<p class="note">Its distribution is not known on both sides, or spans more than can be drawn.</p>'
        if found is None
        else draw(found, told(item, found)) + _numbers(found, plain(key))
    )
    return (
        f'<article class="card {"drifted" if drifted else "steady"}"><header><h3>{name(key)}</h3>'
        f'<span class="state">{_state(item)}</span></header><p>{_details(item)}</p>{drawn}</article>'
    )


def _details(item: Feature) -> str:
    parts = [f"distance {_distance(item)}, limit {_limit_in_words(item)}"]
    simple = finite(item.get("simple"))
    if simple is not None and simple != finite(item.get("distance")):
        parts.append(f"largest gap {simple:.3f} before chance is taken off")
    method, p_value = item.get("method"), finite(item.get("p_value"))
    if method:
        parts.append(f"method {text(method, 30)}")
    if p_value is not None:
        parts.append(f"p {'below 0.0001' if p_value < 1e-4 else f'{p_value:.3g}'}")
    before, after = finite(item.get("before")), finite(item.get("after"))
    if before is not None and after is not None:
        parts.append(f"mean {number(before)} in training, {number(after)} now")
    return "; ".join(parts)


def told(item: Feature, found: Bars | Histogram) -> str:
    """Return what a chart shows in words, for those who don't see it."""
    head = f"Distribution of {plain(item.get('name'))} in training and in this batch."
    labels = _labels(found)
    gaps = [after - before for before, after in zip(found.before, found.after, strict=True)]
    most, least = max(range(len(gaps)), key=gaps.__getitem__), min(range(len(gaps)), key=gaps.__getitem__)
    if gaps[most] <= 0:
        return f"{head} The two are the same."
    return (
        f"{head} Grown most: {plain(labels[most], 40)}, from {percent(found.before[most])} to"
        f" {percent(found.after[most])}. Shrunk most: {plain(labels[least], 40)}, from"
        f" {percent(found.before[least])} to {percent(found.after[least])}."
    )


def _labels(found: Bars | Histogram) -> Sequence[str]:
    if isinstance(found, Bars):
        return found.labels
    edges = found.edges
    labels = [f"{number(low)} to {number(high)}" for low, high in pairwise(edges)]
    if found.cut_low:
        labels[0] = f"{number(edges[1])} or less"
    if found.cut_high:
        labels[-1] = f"{number(edges[-2])} or more"
    return labels


def _numbers(found: Bars | Histogram, feature: str) -> str:
    rows = "".join(
        f'<tr><th scope="row"><bdi>{text(label, 60)}</bdi></th><td class="n">{percent(before)}</td>'
        f'<td class="n">{percent(after)}</td></tr>'
        for label, before, after in zip(_labels(found), found.before, found.after, strict=True)
        if before or after
    )
    return (
        f'<details><summary>in numbers</summary><div class="table"><table><caption>Shares of {text(feature)}</caption>'
        '<thead><tr><th scope="col">value</th><th scope="col" class="n">training</th><th scope="col" class="n">batch'
        f"</th></tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def missing_values(then: Mapping[str, Feature], now: Mapping[str, Feature], most: int) -> str:
    """Return where values are missing, the largest increase first."""
    found = []
    for key, feature in now.items():
        before, after = missing_share(then.get(key)), missing_share(feature)
        if after is not None and (after[1] or (before and before[1])):
            was = before[0] if before is not None else None
            found.append((key, was, after[0], after[1]))
    if not found:
        body = "<p>No value is missing, neither in the batch nor in the training data.</p>"
        return f"<section><h2>Missing values</h2>{body if now else '<p>Not known.</p>'}</section>"
    found.sort(key=lambda row: (-(row[2] - (row[1] or 0.0)), row[0]))
    rows = "".join(
        f'<tr><th scope="row">{name(key)}</th><td class="n">{"not known" if was is None else percent(was)}</td>'
        f'<td class="n">{percent(share)}</td><td class="n">{count:,}</td></tr>'
        for key, was, share, count in found[:most]
    )
    rest = len(found) - most
    note = f'<p class="note">And {counted(rest, "more feature")}.</p>' if rest > 0 else ""
    return (
        '<section><h2>Missing values</h2><div class="table"><table><caption>Share of the cells without a value, the'
        " largest increase first. Whether there are too many is a rule of its own, above.</caption>"
        '<thead><tr><th scope="col">feature</th><th scope="col" class="n">in training</th>'
        '<th scope="col" class="n">in the batch</th><th scope="col" class="n">rows</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}</section>"
    )
