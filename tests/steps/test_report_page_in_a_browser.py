"""The page in headless Chromium, on a phone and at a desk: what a person sees first, and that nothing breaks."""

from __future__ import annotations

import html
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.demo.pages import browser
from tests.steps.page_kit import drifted_page, feature, verdict
from tests.steps.test_report_page_texts import NASTY, page_of

PHONE, DESK = 390, 1280
WRAPPER = """<!doctype html><meta charset="utf-8"><body><script>
const seen = [];
window.collect = (frame) => {
  const page = frame.contentDocument, width = frame.clientWidth, root = page.documentElement;
  const top = (element) => Math.round(element.getBoundingClientRect().top);
  seen.push({
    name: frame.title, width, beside: root.scrollWidth - root.clientWidth,
    text: root.innerText, title: page.title, scripts: page.scripts.length,
    hacked: frame.contentWindow.hacked === undefined ? '' : 'hacked',
    rows: [...page.querySelectorAll('tbody th bdi')].map((cell) => cell.innerText),
    cards: [...page.querySelectorAll('.card h3')].map((head) => [head.innerText, top(head)]),
    beyond: [...page.querySelectorAll('main *')].filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width && box.right > root.clientWidth + 0.5 && !element.closest('.table');
    }).length,
    headline: top(page.querySelector('h1')), next: top(page.querySelector('.next')),
    charts: [...page.querySelectorAll('.card svg.chart')].map((chart) => chart.getBoundingClientRect().width),
  });
  if (seen.length === COUNT) document.title = JSON.stringify(seen);
};
</script>FRAMES</body>"""


def look(pages: dict[str, str], widths: list[int], folder: Path) -> tuple[dict[tuple[str, int], Any], str]:
    """Open pages at several widths in one browser; return what is seen by page and width, and what was logged."""
    frames = [
        f'<iframe title="{name}" width="{width}" height="1500" style="border:0" srcdoc="{html.escape(page)}"'
        ' onload="collect(this)"></iframe>'
        for name, page in pages.items()
        for width in widths
    ]
    wrapper = folder / "wrapper.html"
    wrapper.write_text(WRAPPER.replace("COUNT", str(len(frames))).replace("FRAMES", "".join(frames)), "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command = [browser(), *flags, "--enable-logging=stderr", f"--user-data-dir={folder}/profile"]
    run = subprocess.run(
        [*command, "--virtual-time-budget=5000", "--dump-dom", str(wrapper)],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    title = run.stdout.split("<title>", 1)[1].split("</title>", 1)[0]
    found = json.loads(html.unescape(title))
    logged = "\n".join(line for line in run.stderr.splitlines() if "CONSOLE" in line)
    return {(one["name"], one["width"]): one for one in found}, logged


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[tuple[str, int], Any], str]:
    """All pages at both widths, opened once."""
    long = "a_column_with_a_name_that_nobody_would_break_into_lines_" * 3
    many = verdict(
        *(feature(f"{long}{place}", 0.5 - place / 100, drifted=place < 2) for place in range(12)),
        low_power=[long],
    )
    pages = {"drift": drifted_page(), "long": drifted_page(verdict=many), "broken": drifted_page()}
    pages["broken"] = drifted_page(
        verdict=verdict(
            feature("Age", 0.0),
            kind="violation",
            violations=[
                {
                    "feature_name": long,
                    "constraint_check_type": "completeness_check",
                    "description": "x" * 300,
                }
            ],
        )
    )
    pages["scores"] = drifted_page(
        verdict=verdict(
            *(feature(name, 0.3, drifted=True) for name in ("Age", "(prediction)", "(attributions)"))
        )
    )
    for place, nasty in enumerate(NASTY):
        pages[f"nasty{place}"] = page_of(nasty, nasty)
    return look(pages, [PHONE, DESK], tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_drifted_features_are_seen_first(seen: tuple[dict[tuple[str, int], Any], str], width: int) -> None:
    page = seen[0]["drift", width]

    assert page["rows"][:3] == ["Age", "Ward", "Shape"]
    assert page["cards"][0][0] == "Age"
    assert page["cards"][0][1] <= min(top for _, top in page["cards"]) + 1
    assert "Age has moved away from the training data; the batch was not scored." in page["text"]
    assert page["text"].index("0.310 drifted") < page["text"].index("0.020")


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_verdict_and_what_to_do_stand_on_the_first_screen(
    seen: tuple[dict[tuple[str, int], Any], str], width: int
) -> None:
    page = seen[0]["drift", width]

    assert 0 < page["headline"] < 200
    assert page["headline"] < page["next"] < 600


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_what_is_said_of_the_scores_stands_in_lines_below_the_count_of_features(
    seen: tuple[dict[tuple[str, int], Any], str], width: int
) -> None:
    lines = seen[0]["scores", width]["text"].splitlines()

    at = lines.index("1 of 1")
    assert lines[at + 1 : at + 4] == [
        "features drifted",
        "the scores: ▲ drifted",
        "what they come from: ▲ drifted",
    ]


def test_nothing_runs_over_the_edge_on_a_phone_or_at_a_desk(
    seen: tuple[dict[tuple[str, int], Any], str],
) -> None:
    for (name, width), page in seen[0].items():
        assert page["beside"] == 0, (name, width)
        assert page["beyond"] == 0, (name, width)


def test_charts_fill_a_phone_and_stay_small_at_a_desk(
    seen: tuple[dict[tuple[str, int], Any], str],
) -> None:
    assert min(seen[0]["drift", PHONE]["charts"]) > 280
    assert max(seen[0]["drift", DESK]["charts"]) < 470


def test_no_name_in_the_data_runs_anything(seen: tuple[dict[tuple[str, int], Any], str]) -> None:
    for page in seen[0].values():
        assert (page["hacked"], page["scripts"]) == ("", 0)
        assert page["title"].startswith(("data drift: ", "broken batch: ", "data drift"))


def test_the_console_stays_silent(seen: tuple[dict[tuple[str, int], Any], str]) -> None:
    assert seen[1] == ""
