"""A review in words: the same sentences for the page, the text and the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ops import assembly
from ops.registry import Version
from ops.review_diff import Change
from ops.review_facts import Models, Pipeline, Review

MOST_SUMMARY = 900  # characters: an approval's text takes 1,000
_STATUS = {"PendingManualApproval": "waits for approval", "Approved": "approved", "Rejected": "rejected"}
COLUMNS = ("version", "status", "cv AUC", "hold-out", "gain", "rows", "trained in", "created")


@dataclass(frozen=True)
class Section:
    """One part of a review.

    Attributes
    ----------
    title
        Its heading.
    intro
        What there is to say first, a sentence each.
    rows
        A table below `COLUMNS`; empty where there is none.
    changes
        What differs, with the lines that tell how.
    """

    title: str
    intro: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()
    changes: tuple[Change, ...] = ()


def title(review: Review) -> str:
    """Return the heading of all."""
    return f"Promotion of {review.commit[:12]} to {review.stage}"


def sections(review: Review) -> list[Section]:
    """Return the parts of a review, the most important first."""
    return [
        Section("What is promoted", tuple(_what(review))),
        *(_model_section(models, review.stage) for models in review.models),
        Section("Pipelines", tuple(_pipelines_in_words(review))),
        *(_pipeline_section(one) for one in review.pipelines if one.changes),
        Section(
            "Permissions that widen",
            (_permissions_in_words(review),),
            changes=tuple(Change("added", line) for line in review.widening),
        ),
        Section(f"Resources of {review.stack}", (_resources_in_words(review),), changes=review.resources),
    ]


def summary(review: Review) -> str:
    """Return one line of at most 900 plain characters, which a variable of CodePipeline can carry."""
    parts = [f"{title(review)} ({_since(review)})."]
    parts += [_model_in_words(models, review.stage) for models in review.models]
    parts += list(_pipelines_in_words(review))
    parts += [_permissions_in_words(review), _resources_in_words(review)]
    text = harmless(" ".join(parts))
    return text if len(text) <= MOST_SUMMARY else f"{text[: MOST_SUMMARY - 4]} ..."


def harmless(text: str) -> str:
    """Return a text in plain characters on one line, without what CodePipeline would take for a variable."""
    plain = "".join(char if 32 <= ord(char) < 127 else " " if char.isspace() else "?" for char in text)
    plain = plain.replace("#{", "# {").replace("${", "$ {")
    return " ".join(plain.split())


# --- what


def _since(review: Review) -> str:
    if review.deployed_commit is None:
        return f"the first: nothing is deployed to {review.stage} yet"
    if review.deployed_commit == review.commit:
        return f"{review.stage} has this commit already"
    return f"{review.stage} has {review.deployed_commit[:12]}"


def _what(review: Review) -> Iterator[str]:
    yield f"Commit {review.commit} to stage {review.stage}, account {review.account}, stack {review.stack}."
    if review.deployed_commit is None:
        yield f"It is the first promotion: nothing is deployed to {review.stage} yet."
    elif review.deployed_commit == review.commit:
        yield f"{review.stage.title()} was deployed from this commit already."
    else:
        yield f"{review.stage.title()} was deployed from {review.deployed_commit}."


# --- models


def _model_section(models: Models, stage: str) -> Section:
    return Section(
        f"Model {models.name}",
        (_model_in_words(models, stage),),
        rows=tuple(_row(version, models.champion) for version in _with_champion(models)),
    )


def _with_champion(models: Models) -> list[Version]:
    shown = list(models.versions)
    if models.champion and models.champion.version not in [one.version for one in shown]:
        shown.append(models.champion)
    return shown


def _row(version: Version, champion: Version | None) -> tuple[str, ...]:
    metric = version.metrics.get
    used = " (in use)" if champion and champion.version == version.version else ""
    return (
        f"{version.version}{used}",
        _STATUS.get(version.status, version.status),
        _number(metric("cv_auc")),
        _number(metric("holdout_auc")),
        _gain(version),
        metric("data_rows", "-"),
        version.trained_in,
        version.created,
    )


def _gain(version: Version) -> str:
    """Return how much better it is than the champion of its training; without one there is nothing to compare."""
    compared = version.metrics.get("champion_version", "none") not in ("none", "")
    return _number(version.metrics.get("gain_over_champion"), sign=True) if compared else "-"


def _number(text: str | None, *, sign: bool = False) -> str:
    try:
        return f"{float(text or ''):{'+' if sign else ''}.4f}"
    except ValueError:
        return text or "-"


def _model_in_words(models: Models, stage: str) -> str:
    if not models.versions:
        return f"{models.name}: no version has been registered yet."
    newest, champion = models.versions[0], models.champion
    known = _metrics(newest)
    if champion is None:
        return f"{models.name}: none is approved yet; the newest, version {newest.version}, {_state(newest)} ({known})."
    if champion.version == newest.version:
        return f"{models.name}: version {newest.version} is in use and the newest ({known})."
    return (
        f"{models.name}: version {champion.version} is in use ({_metrics(champion)}); the newest, version"
        f" {newest.version}, {_state(newest)} ({known})."
    )


def _state(version: Version) -> str:
    status = _STATUS.get(version.status, version.status)
    return status if status.startswith("waits") else f"is {status}"


def _metrics(version: Version) -> str:
    metric = version.metrics.get
    words = [f"cv AUC {_number(metric('cv_auc'))}", f"hold-out {_number(metric('holdout_auc'))}"]
    if (gain := _gain(version)) != "-":
        words.append(f"{gain} over version {metric('champion_version')}")
    return ", ".join([*words, f"{metric('data_rows', '-')} rows"])


# --- pipelines, permissions, resources


def _pipelines_in_words(review: Review) -> Iterator[str]:
    for one in review.pipelines:
        if one.new is None:
            yield f"{one.name} goes."
        elif one.old is None:
            yield f"{one.name} is new."
        else:
            yield f"{one.name} {_definition_in_words(one)}; {_code_in_words(one)}."


def _definition_in_words(pipeline: Pipeline) -> str:
    counted = f" ({_counted(pipeline.changes)})" if pipeline.changes else ""
    if pipeline.differs(assembly.DEFINITION):
        return f"gets another definition{counted}"
    return f"keeps its definition, with other parameters{counted}" if counted else "keeps its definition"


def _code_in_words(pipeline: Pipeline) -> str:
    return "its code changes" if pipeline.differs(assembly.CODE) else "its code stays"


def _pipeline_section(pipeline: Pipeline) -> Section:
    return Section(f"Definition of {pipeline.name}", tuple(_digests(pipeline)), changes=pipeline.changes)


def _digests(pipeline: Pipeline) -> Iterator[str]:
    for tag, word in ((assembly.DEFINITION, "Definition"), (assembly.CODE, "Code")):
        old, new = ((tags or {}).get(tag, "none")[:12] for tags in (pipeline.old, pipeline.new))
        if pipeline.old is None:
            yield f"{word} {new}."
        else:
            yield f"{word} {new}, unchanged." if old == new else f"{word} {old} -> {new}."


def _permissions_in_words(review: Review) -> str:
    number = len(review.widening)
    if not number:
        return "No permission widens."
    return f"{number} permission{'s widen' if number > 1 else ' widens'}."


def _resources_in_words(review: Review) -> str:
    return f"Resources: {_counted(review.resources)}." if review.resources else "No resource changes."


def _counted(changes: Sequence[Change]) -> str:
    numbers = Counter(change.how for change in changes)
    return ", ".join(f"{numbers[how]} {how}" for how in ("added", "removed", "changed") if numbers[how])
