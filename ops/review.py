"""``make review``: what a person sees who is asked to let a commit into a stage."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import boto3

from ops import review_facts, review_pages, review_words
from ops.review_facts import Review
from stacks.installation import Settings, Stage

_CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


def run(
    settings: Settings,
    stage: Stage,
    folder: Path,
    work: Path,
    *,
    say: Callable[[str], None],
    env: Mapping[str, str] = os.environ,
) -> None:
    """Write the review, and where the environment says so, put it where others can read it.

    Parameters
    ----------
    folder
        The assembly.
    work
        Where ``<stage>/review.html``, ``review.txt`` and ``summary.txt`` go.
    env
        ``REVIEW_BUCKET``: bucket that the page goes to, as ``reviews/<commit>/<stage>.html``. Default: none.
        ``REVIEW_EXPORTS``: file for the shell, with ``SUMMARY`` and ``REVIEW_URL``. Default: none.
    """
    review = review_facts.collect(settings, stage, folder)
    text, summary = review_pages.text(review), review_words.summary(review)
    target = work / stage.name
    target.mkdir(parents=True, exist_ok=True)
    page = review_pages.page(review)
    for name, content in (("review.html", page), ("review.txt", text), ("summary.txt", summary + "\n")):
        (target / name).write_text(content)
    say(text.rstrip("\n"))
    say(f"\nthe same as a page: {target / 'review.html'}")
    url = ""
    if bucket := env.get("REVIEW_BUCKET"):
        key = object_key(review)
        boto3.Session(region_name=settings.region).client("s3").put_object(
            Bucket=bucket, Key=key, Body=page.encode(), ContentType="text/html; charset=utf-8"
        )
        url = console_url(settings, bucket, key)
        say(f"and for everybody who may read {bucket}: {url}")
    if exports := env.get("REVIEW_EXPORTS"):
        path = Path(exports)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(shell_lines({"SUMMARY": summary, "REVIEW_URL": url}))


def object_key(review: Review) -> str:
    """Return where the page goes in the bucket of reviews."""
    return f"reviews/{review.commit}/{review.stage}.html"


def console_url(settings: Settings, bucket: str, key: str) -> str:
    """Return where the AWS console shows an object."""
    host = _CONSOLES.get(settings.partition, "console.aws.amazon.com")
    return f"https://{settings.region}.{host}/s3/object/{bucket}?region={settings.region}&prefix={key}"


def shell_lines(values: Mapping[str, str]) -> str:
    """Return assignments that a shell can source, whatever the values hold."""
    return "".join(f"{name}={shlex.quote(review_words.harmless(value))}\n" for name, value in values.items())
