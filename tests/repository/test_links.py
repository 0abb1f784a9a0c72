"""What the documents link to is there."""

from __future__ import annotations

import re

import pytest

from tests.repository.test_layout import ROOT, tracked

LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]*))?\)")


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives a document's headings."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    headings = re.findall(r"^#+\s+(.*?)\s*$", prose, flags=re.M)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


DOCUMENTS = [str(path.relative_to(ROOT)) for path in tracked() if path.suffix == ".md"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_and_headings_that_are_there(name: str) -> None:
    document = ROOT / name
    text = document.read_text()
    broken = []
    for target, anchor in LINK.findall(text):
        place = (document.parent / target).resolve() if target else document
        there = place.exists() and (
            not anchor or place.suffix != ".md" or anchor in anchors(place.read_text())
        )
        if not there:
            broken.append(f"{target}#{anchor}" if anchor else target)
    assert broken == []
