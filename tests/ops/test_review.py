"""The review in words: the text, the page, the summary, and what a build takes along."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ops import review, review_pages, review_words
from ops.review_diff import Change
from ops.review_facts import Models
from stacks.settings import load
from tests.ops.reviews import busy, first, version

NASTY = "a'b\"c #{stage.x} ${HOME} $(touch gone) `id` \x00\x07\n\r\t\u2028 \u00e9 end"


class Seen(HTMLParser):
    """What a page loads, and whether its elements are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        self.scripts += tag == "script"
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("made", [first, busy])
def test_the_page_needs_nothing_beside_it_and_is_well_formed(made: object) -> None:
    seen = Seen()
    seen.feed(review_pages.page(made()))  # type: ignore[operator]
    seen.close()
    assert (seen.loads, seen.open, seen.scripts) == ([], [], 0)


def test_what_comes_from_templates_is_escaped() -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in review_pages.page(busy())


def test_many_changes_are_folded_and_few_are_not() -> None:
    assert review_pages.page(busy()).count("<details>") == 1
    assert "<details>" not in review_pages.page(first())


def test_a_first_promotion_reads_well() -> None:
    text = review_pages.text(first())
    assert "It is the first promotion: nothing is deployed to prod yet." in text
    assert "no version has been registered yet." in text
    assert "p-train-pipeline is new." in text
    assert "none" not in text.replace("none is approved", "")


def test_page_and_text_say_the_same() -> None:
    text, page = review_pages.text(busy()), review_pages.page(busy())
    for words in ("waits for approval", "eta: 0.1 -&gt; 0.03", "1 permission widens.", "7 changed"):
        assert words in page
        assert words.replace("&gt;", ">") in text


def test_the_version_in_use_is_shown_beside_the_newest_ones() -> None:
    text = review_pages.text(busy())
    assert "version 1 is in use (cv AUC 0.9001" in text
    assert (
        "the newest, version 3, waits for approval (cv AUC 0.9003, hold-out 0.9208, +0.0123 over version 2"
        in text
    )
    assert "  1 (in use)  approved " in text


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (Models("m", (version(1),), version(1)), "version 1 is in use and the newest"),
        (
            Models("m", (version(1, "PendingManualApproval"),), None),
            "none is approved yet; the newest, version 1, waits",
        ),
        (Models("m", (version(2, "Rejected"),), version(1)), "the newest, version 2, is rejected"),
    ],
)
def test_the_state_of_a_model_is_one_sentence(models: Models, words: str) -> None:
    assert words in review_words.summary(replace(busy(), models=(models,)))


def test_a_version_without_metrics_is_shown_all_the_same() -> None:
    bare = replace(version(1), metrics={})
    text = review_pages.text(replace(busy(), models=(Models("m", (bare,), None),)))
    assert "cv AUC -" in text


# --- the summary and what a build takes along


def test_the_summary_is_one_plain_line_however_much_there_is() -> None:
    models = tuple(Models(f"model-{number}" + NASTY, (version(1),), None) for number in range(30))
    summary = review_words.summary(replace(busy(), models=models))
    assert len(summary) <= 900
    assert summary.endswith(" ...")
    assert all(32 <= ord(char) < 127 for char in summary)
    assert "#{" not in summary


def test_the_shell_gets_back_what_was_meant_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "exports.sh").write_text(
        review.shell_lines({"SUMMARY": NASTY, "REVIEW_URL": "https://x/?a=1&b=2"})
    )
    script = '. ./exports.sh; export SUMMARY REVIEW_URL; printf "%s|%s" "$SUMMARY" "$REVIEW_URL"'
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    summary, url = done.stdout.split("|")
    assert summary == "a'b\"c # {stage.x} $ {HOME} $(touch gone) `id` ?? ? end"
    assert url == "https://x/?a=1&b=2"
    assert [path.name for path in tmp_path.iterdir()] == ["exports.sh"]


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "eu-central-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_the_console_is_that_of_the_partition(region: str, host: str) -> None:
    settings = load({"models": [{"folder": "mammography"}], "region": region})
    url = review.console_url(settings, "bucket", review.object_key(busy()))
    assert url == f"https://{host}/s3/object/bucket?region={region}&prefix=reviews/{'b' * 40}/prod.html"


def test_a_change_without_lines_is_one_line_of_text() -> None:
    text = review_pages.text(replace(first(), resources=(Change("removed", "queue q"),)))
    assert text.endswith("  - queue q\n")
