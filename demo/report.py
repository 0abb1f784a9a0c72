"""The page at the end of the demo: what happened, with the run's own numbers; one file that needs nothing beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from demo import charts

HERE = Path(__file__).resolve().parent
QUALITY = {"ok": "good", "loss": "bad"}
PICTURE = HERE.parent / "docs" / "loop.svg"


def render(story: Mapping[str, Any]) -> str:
    """Return the page of a run; ``story`` is what the scenario collected (see `demo.summary`)."""
    summary = story["summary"]
    picture = re.sub(r"\s+", " ", PICTURE.read_text())
    sections = [
        _head(summary, story),
        f'<div class="picture">{picture}</div>',
        section("What happened, in order", charts.timeline(story["timeline"])),
        section("Two versions of the model", _versions(story)),
        section("Which features drifted, and how far", _drift(story)),
        section("What labels said of version 1, weeks later", _judged(story["judged"])),
        section("Every run", _runs(summary["runs"])),
        section("Every alert a person got", _alerts(story["messages"])),
        section("Who was denied what", _denied(summary["denied"])),
        _foot(summary),
    ]
    css = (HERE / "report.css").read_text()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>cdk-mlops: the loop, run</title><style>{css}</style></head><body><main>"
        + "".join(sections)
        + "</main></body></html>\n"
    )


def section(title: str, body: str) -> str:
    """Return a section of a page."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _head(summary: Mapping[str, Any], story: Mapping[str, Any]) -> str:
    failed = [run for run in summary["runs"] if run["status"] == "Failed"]
    scored = sum(run["rows_scored"] or 0 for run in summary["runs"])
    facts = [
        (len(summary["stacks"]), "stacks in three accounts"),
        (len(summary["versions"]), "model versions registered"),
        (scored, "rows scored"),
        (len(failed), "runs failed on purpose, one alert each"),
        (
            sum(found["verdict"] == "loss" for found in story["judged"]),
            "loss shown by late labels, told once",
        ),
        (summary["retrains"], "retraining, started by drift"),
        (len(summary["denied"]), "forbidden calls, all denied"),
    ]
    items = "".join(
        f"<li><strong>{number}</strong><span>{escape(text)}</span></li>" for number, text in facts
    )
    dataset = summary["dataset"]
    rows = "" if str(dataset["rows"]) in dataset["source"] else f", {dataset['rows']} rows"
    return (
        "<h1>From training to retraining, across three accounts</h1>"
        f'<p class="lead">The same stacks, pipelines and permissions that deploy to AWS, run on an embedded cloud in'
        f" {summary['seconds']:.0f} seconds on real data: {escape(dataset['source'])}{rows}.</p>"
        f'<ul class="facts">{items}</ul>'
    )


def _versions(story: Mapping[str, Any]) -> str:
    curves, rows = [], []
    for version in story["versions"]:
        evaluation = version["evaluation"]
        curve = evaluation["binary_classification_metrics"]["receiver_operating_characteristic_curve"]
        gate = evaluation["gate"]
        name = f"version {version['version']}, hold-out AUC {gate['holdout_auc']:.3f}"
        curves.append((name, curve["false_positive_rates"], curve["true_positive_rates"]))
        champion = "none" if gate["champion_auc"] is None else f"{gate['champion_auc']:.3f}"
        rows.append(
            [
                str(version["version"]),
                version["trained_in"],
                f"{gate['cv_auc']:.3f} ± {gate['cv_auc_sd']:.3f}",
                f"{gate['holdout_auc']:.3f}",
                champion,
                str(evaluation["data"]["rows"]),
                version["status"],
            ]
        )
    header = [
        "version",
        "trained in",
        "AUC, cross-validated",
        "AUC, hold-out",
        "champion, same rows",
        "rows",
        "now",
    ]
    left, right = charts.roc(curves), table(header, rows) + _attributions(story)
    return f'<div class="columns"><div>{left}</div><div>{right}</div></div>'


def _attributions(story: Mapping[str, Any]) -> str:
    newest = story["versions"][-1]["evaluation"]["attributions"]
    ranked = sorted(newest.items(), key=lambda item: -float(item[1]))
    words = ", ".join(f"{escape(name)} {float(value):.2f}" for name, value in ranked)
    return f'<p class="muted">Mean contribution to the score (log-odds), newest version: {words}.</p>'


def _drift(story: Mapping[str, Any]) -> str:
    verdict = story["drift"]
    lines = escape(verdict["message"])
    return (
        f"<p>{lines}</p>{charts.drift_bars(verdict['features'])}"
        '<p class="muted">Distance between the batch and the training data: the largest gap between the two cumulative'
        " distributions, less what chance explains at this size. (prediction) are the scores the version gives; the"
        " distance of (attributions) is how much of what the features contribute to the scores has moved to other"
        " features. The mark is the limit.</p>"
        "<details><summary>The page that the alert links to, as the monitor made it of this batch</summary>"
        '<iframe title="the monitor\'s page of the drifted batch" sandbox'
        f' srcdoc="{escape(story["batch_page"])}"></iframe></details>'
    )


def _judged(judged: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            str(found["rows"]["joined"]),
            f"{found['auc']['value']:.3f}",
            f"{found['auc']['at_training']:.3f}",
            badge({"ok": "as at training", "loss": "lost"}[found["verdict"]], QUALITY[found["verdict"]]),
        ]
        for found in judged
    ]
    header = ["labels", "AUC by them", "AUC at training", "the model is"]
    return table(header, rows, raw={3}, below=[found["message"] for found in judged]) + (
        '<p class="muted">The labels of the first scored batch, as they came and then corrected (every second one'
        " turned around). A drop beyond chance and beyond the margin is told once; it would have retrained, had not"
        " version 2 waited for a person.</p>"
    )


def _runs(runs: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            run["name"],
            run["pipeline"],
            _badge(run["status"]),
            run["failed_step"] or "",
            str(run["model_version"] or ""),
            str(run["rows_scored"] or ""),
            f"{run['seconds']:.1f} s",
        ]
        for run in runs
    ]
    header = ["run", "pipeline", "outcome", "failed at", "version", "rows scored", "time"]
    return table(header, rows, raw={2})


def _alerts(messages: Sequence[Mapping[str, Any]]) -> str:
    return "".join(
        f"<details><summary>{escape(message['subject'])} "
        f'<span class="muted">{escape(message["topic"])}</span></summary>'
        f"<pre>{escape(message['body'])}</pre></details>"
        for message in messages
    )


def _denied(denied: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [call["who"], call["action"], call["what"], _badge("allowed" if call["allowed"] else "denied")]
        for call in denied
    ]
    return table(["who", "action", "what", "answer"], rows, raw={3})


def _foot(summary: Mapping[str, Any]) -> str:
    phases = ", ".join(f"{escape(name)} {seconds:.0f} s" for name, seconds in summary["phases"].items())
    return (
        f"<footer><p>{phases}. The numbers are in summary.json beside this page.</p>"
        "<p>What a local run proves, and what only AWS can, is in local_cloud/README.md. Data: Elter, M. (2007),"
        " Mammographic Mass, UCI Machine Learning Repository, doi:10.24432/C53K6Z.</p></footer>"
    )


def _badge(word: str) -> str:
    return badge(
        word, {"Succeeded": "good", "denied": "good", "Failed": "bad", "allowed": "bad"}.get(word, "warn")
    )


def badge(word: str, kind: str) -> str:
    """Return a word that stands out; ``kind``: good, warn or bad."""
    return f'<span class="badge {kind}">{escape(word)}</span>'


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    raw: frozenset[int] | set[int] = frozenset(),
    below: Sequence[str] = (),
) -> str:
    """Return a table; the cells of the columns in ``raw`` are HTML already.

    ``below`` has a sentence for each row, told under it over the whole width. Default: none.
    """
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{cell if n in raw else escape(cell)}</td>" for n, cell in enumerate(row))
        + "</tr>"
        + (f'<tr class="told"><td colspan="{len(header)}">{escape(below[at])}</td></tr>' if below else "")
        for at, row in enumerate(rows)
    )
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
