"""The report of a check as one page: what was found, what to do, and the distributions that show why.

One self-contained HTML file that needs neither a script nor anything beside it, made of the files of the check. Only
the standard library, so that it can be made wherever those files are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from .charts import PATTERNS
from .page_attributions import attributions
from .page_features import distributions, features_table, missing_values
from .page_scores import ATTRIBUTIONS, drifted_scores, of_the_model, states
from .page_style import CSS
from .page_text import counted, finite, listed, name, number, plain, text
from .page_trend import trend_section

REPORT = "report.html"
# Nothing but the page's own style may load, whatever its texts hold.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
MOST_SHOWN = 50
_NAMED = 3
_WORDS = {"ok": "✓ fits", "drift": "▲ drift", "violation": "✕ broken"}


def render(
    verdict: dict[str, Any],
    *,
    statistics: dict[str, Any],
    baseline: dict[str, Any],
    history: Sequence[dict[str, Any]] = (),
    model: str = "",
    batch: str = "",
    checked_at: datetime | None = None,
) -> str:
    """Return the page.

    Parameters
    ----------
    verdict
        What verdict.json holds.
    statistics, baseline
        What statistics.json of the batch and of the baseline hold.
    history
        The batches before this one, oldest first; each as the runs' records have it.
    model, batch
        Names for the head of the page. Default: none.
    checked_at
        Default: now.
    """
    then, now = _by_name(baseline), _by_name(statistics)
    features = _ranked(verdict)
    moment = (checked_at or datetime.now(UTC)).astimezone(UTC)
    sections = [
        _head(verdict, features, _rows(baseline), model, batch, moment),
        _next(verdict),
        _violations(verdict),
        features_table(features, MOST_SHOWN, _texts(verdict.get("not_compared"))),
        # attributions have no distribution to draw
        distributions([item for item in features if item.get("name") != ATTRIBUTIONS], then, now, MOST_SHOWN),
        attributions(verdict, MOST_SHOWN),
        missing_values(then, now, MOST_SHOWN),
        trend_section(history, verdict, features, moment),
        _foot(features),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(_title(verdict, model))}</title><style>{CSS}</style></head><body>{PATTERNS}<main>"
        + "\n".join(section for section in sections if section)
        + "</main></body></html>\n"
    )


def _by_name(statistics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    features = statistics.get("features")
    return {
        str(feature.get("name")): feature
        for feature in (features if isinstance(features, list) else ())
        if isinstance(feature, dict)
    }


def _items(verdict: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = verdict.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _rows(statistics: dict[str, Any]) -> float | None:
    dataset = statistics.get("dataset")
    return finite(dataset.get("item_count")) if isinstance(dataset, dict) else None


def _ranked(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the features, those that drifted first, the farthest of each kind first."""
    features = _items(verdict, "features")
    return sorted(features, key=lambda item: (not item.get("drifted"), -_or_zero(item.get("distance"))))


def _or_zero(value: Any) -> float:
    known = finite(value)
    return 0.0 if known is None else known


def _kind(verdict: dict[str, Any]) -> str:
    kind = str(verdict.get("verdict"))
    return kind if kind in _WORDS else "violation"


def _title(verdict: dict[str, Any], model: str) -> str:
    what = {"ok": "batch fits", "drift": "data drift", "violation": "broken batch"}[_kind(verdict)]
    return f"{what}: {plain(model)}" if model else what


def sentence(verdict: dict[str, Any], features: Sequence[dict[str, Any]]) -> str:
    """Return the verdict in one sentence of HTML.

    Parameters
    ----------
    features
        Those of the verdict, drifted ones first.
    """
    rows = f"The batch of {counted(int(_or_zero(verdict.get('rows'))), 'row')}"
    kind = _kind(verdict)
    if kind == "ok":
        return f"{rows} looks like the training data."
    if kind == "violation":
        count = len(_items(verdict, "violations"))
        return f"{rows} breaks {counted(count, 'rule')}, so it was not scored."
    scored = "was scored all the same" if _delivers(verdict) else "was not scored"
    return f"{_moved(features)}; the batch {scored}."


def _moved(features: Sequence[dict[str, Any]]) -> str:
    """Return what has moved: features by their names, then what is about the scores."""
    drifted = [name(item.get("name")) for item in of_the_model(features) if item.get("drifted")]
    scores = drifted_scores(features)
    if not drifted and scores:
        subject = listed(scores)
        have = "have" if scores[0] == "the version's scores" else "has"
        return f"{subject[0].upper()}{subject[1:]} {have} moved away from training, though no feature has"
    told = drifted[:_NAMED]
    if len(drifted) > _NAMED:
        told.append(counted(len(drifted) - _NAMED, "more feature"))
    have = "has" if len(drifted) == 1 else "have"
    also = f", and so {'has' if scores[0].startswith('what') else 'have'} {listed(scores)}" if scores else ""
    return f"{listed(told) if told else 'The data'} {have} moved away from the training data{also}"


def _delivers(verdict: dict[str, Any]) -> bool:
    return str(verdict.get("action")) in ("deliver", "announce_and_deliver")


def _head(
    verdict: dict[str, Any],
    features: Sequence[dict[str, Any]],
    trained_rows: float | None,
    model: str,
    batch: str,
    moment: datetime,
) -> str:
    kind = _kind(verdict)
    about = " · ".join(
        part
        for part in ("Batch check", text(model), text(batch, 200), f"{moment:%d %B %Y, %H:%M} UTC")
        if part
    )
    own = of_the_model(features)
    drifted = sum(1 for item in own if item.get("drifted"))
    facts = [
        (number(verdict.get("rows")), "rows in the batch"),
        (number(trained_rows), "rows in the training data"),
        (f"{drifted:,} of {len(own):,}", "</span><span>".join(["features drifted", *states(features)])),
        (f"{len(_items(verdict, 'violations')):,}", "rules broken"),
    ]
    items = "".join(f"<li><strong>{value}</strong><span>{told}</span></li>" for value, told in facts)
    return (
        f'<p class="kicker">{about}</p><p><span class="badge {kind}">{_WORDS[kind]}</span></p>'
        f'<h1>{sentence(verdict, features)}</h1><ul class="facts">{items}</ul>{_low_power(verdict)}'
        f"{_monitor(verdict)}"
    )


def _monitor(verdict: dict[str, Any]) -> str:
    if verdict.get("monitor") != "model-monitor":
        return ""
    return (
        '<p class="note" id="monitor"><strong>Checked by Model Monitor.</strong> It tells a distance only where a'
        " feature has drifted, and neither what chance explains nor what so few rows could not have shown.</p>"
    )


def _low_power(verdict: dict[str, Any]) -> str:
    weak = _texts(verdict.get("low_power"))
    if not weak:
        return ""
    told = [name(item) for item in weak[:10]]
    if len(weak) > 10:
        told.append(f"{len(weak) - 10:,} more")
    return (
        f'<p class="note" id="low-power"><strong>Too few rows to tell.</strong> In {listed(told)} so few rows could'
        " not have shown a shift by half a standard deviation, or by 20 points of a value's share: that nothing was"
        " found there says little. Larger batches, or several taken together, say more.</p>"
    )


def _next(verdict: dict[str, Any]) -> str:
    versions = "Does a version wait for approval? <code>make versions</code>, look at its metrics,"
    stage = "(or the stage of this batch)"
    steps = {
        "ok": ["Nothing: the batch was passed on to be scored."],
        "violation": [
            "Nothing was scored and nothing retrained: a broken batch says nothing about the world.",
            "Mend the source, and have the batch delivered again to the same address.",
            f"Then score it: <code>make run PIPELINE=inference STAGE=prod</code> {stage}, with <code>INPUT=</code> the"
            " batch, as in the alert.",
        ],
        "drift": [
            "Find out whether the world changed or the feed did: the batch is sound, but its distribution has moved.",
            f"{versions} then <code>make approve VERSION=n</code> or <code>make reject VERSION=n</code>.",
            "None waits? Retraining was started, or the alert says why not. It takes newer training data, which an"
            f" administrator of the stage brings: <code>make upload STAGE=prod</code> {stage}. Prod then"
            " retrains by itself at a later drift; an administrator need not wait for that:"
            " <code>make run PIPELINE=train STAGE=prod</code>.",
            "The predictions were delivered; use them with care until this is settled."
            if _delivers(verdict)
            else "To score the batch all the same, use the command in the alert.",
        ],
    }[_kind(verdict)]
    items = "".join(f"<li>{step}</li>" for step in steps)
    return f'<section class="next"><h2>What to do next</h2><ul>{items}</ul></section>'


def _violations(verdict: dict[str, Any]) -> str:
    found = _items(verdict, "violations")
    if not found:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{name(item.get("feature_name"))}</th>'
        f"<td>{text(item.get('constraint_check_type'))}</td>"
        f"<td><bdi>{text(item.get('description'), 400)}</bdi></td></tr>"
        for item in found[:MOST_SHOWN]
    )
    rest = len(found) - MOST_SHOWN
    more = f'<p class="note">And {rest:,} more: see verdict.json beside this page.</p>' if rest > 0 else ""
    return (
        '<section><h2>Rules that the batch breaks</h2><div class="table"><table>'
        '<thead><tr><th scope="col">where</th><th scope="col">check</th><th scope="col">what, with the first'
        f" example</th></tr></thead><tbody>{rows}</tbody></table></div>{more}</section>"
    )


def _foot(features: Sequence[dict[str, Any]]) -> str:
    known = any(item.get("name") == ATTRIBUTIONS for item in features)
    moved = (
        " Of (attributions): the share of all contributions that has moved to other features."
        if known
        else ""
    )
    return (
        "<footer><p>Distance: the largest gap between the two cumulative distributions (of a text: between the"
        f" shares of its values).{moved} Where the method is Robust, less what chance explains at these numbers of"
        " rows, so that 0 is no more than noise. A feature has drifted where its distance is above its limit and chance"
        " doesn't explain it, so many features considered; with ChiSquared, where its p-value is below its limit.</p>"
        "<p>The numbers are in verdict.json and statistics.json beside this page; they are what pipelines and alerts"
        " act on.</p></footer>"
    )
