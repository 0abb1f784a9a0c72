"""Opens a page in headless Chromium at several widths and returns what a person would run into."""

from __future__ import annotations

import html
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

WRAPPER = """<!doctype html><body><script>
const seen = {errors: [], widths: {}};
window.collect = (width, frame) => {
  const root = frame.contentDocument.documentElement;
  const names = [...root.querySelectorAll('.bar-name')], bars = [...root.querySelectorAll('.bar')];
  seen.widths[width] = {
    scroll: root.scrollWidth, text: root.innerText.length, names: names.length,
    cut: names.filter((name) => name.scrollWidth > name.clientWidth).length,
    bar: Math.min(...bars.map((bar) => bar.getBoundingClientRect().width)),
  };
  if (Object.keys(seen.widths).length === WIDTHS) document.title = JSON.stringify(seen);
};
</script>FRAMES</body>"""


def browser() -> str:
    """Return the Chromium at hand; without one the test is skipped, but never in CI."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        message = "no Chromium on this machine: install Debian's package chromium to run the page tests"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def look(page: str, widths: list[int], folder: Path) -> dict[int, dict[str, int]]:
    """Return, for each width, how wide the page gets and how much text it shows."""
    frames = "".join(
        f'<iframe width="{width}" height="2000" srcdoc="{html.escape(page)}" onload="collect({width}, this)"></iframe>'
        for width in widths
    )
    wrapper = folder / "wrapper.html"
    wrapper.write_text(WRAPPER.replace("WIDTHS", str(len(widths))).replace("FRAMES", frames))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    run = subprocess.run(
        [
            browser(),
            *flags,
            f"--user-data-dir={folder}/profile",
            "--virtual-time-budget=5000",
            "--dump-dom",
            str(wrapper),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = run.stdout.split("<title>", 1)[1].split("</title>", 1)[0]
    seen = json.loads(html.unescape(title))
    return {int(width): numbers for width, numbers in seen["widths"].items()}
