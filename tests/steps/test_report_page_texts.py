"""Whatever a column, a category or a file is called: the page shows it, and nothing else changes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_code.steps.quality.distributions import MOST_VALUES, Bars, Histogram, compare, pieces
from pipeline_code.steps.quality.page import render
from pipeline_code.steps.quality.page_text import number, percent, plain
from tests.steps.page_kit import (
    MOMENT,
    Reader,
    categorical,
    drifted_page,
    feature,
    numeric,
    statistics,
    verdict,
    words,
)

NASTY = [
    "<script>window.hacked=1</script>",
    '"><img src=x onerror=window.hacked=1>',
    "'--></style></title><svg onload=window.hacked=1>",
    "\u202eevil\u202c",
    "שלום עולם",
    "a\x1b[31mb\x00c\ud800d",
    "]]>&lt;&amp;&#0;",
    "x" * 10_000,
    "",
]
_KEYS = [
    *(
        "verdict",
        "features",
        "violations",
        "rows",
        "name",
        "distance",
        "threshold",
        "drifted",
        "before",
        "method",
    ),
    *(
        "p_value",
        "low_power",
        "checked_at",
        "dataset",
        "item_count",
        "numerical_statistics",
        "distribution",
        "kll",
    ),
    *("common", "num_present", "num_missing", "sketch", "data", "buckets", "value", "count"),
]
SHORT = st.one_of(st.sampled_from(NASTY), st.text(max_size=30))


def page_of(name: str, category: str) -> str:
    """Return a page on which both texts stand wherever a text of data can stand."""
    counts = {category: 3, "other": 5} if category != "other" else {"other": 8}
    both = statistics(8, numeric(name, [1.0, 2.0]), categorical(f"{name} ", counts, missing=1))
    found = verdict(
        feature(name, 0.4, drifted=True, method=category, p_value=0.5),
        feature(f"{name} ", 0.1),
        violations=[{"feature_name": name, "constraint_check_type": category, "description": name}],
        low_power=[name],
    )
    history = [{"verdict": name, "checked_at": name, "model_version": name, "features": {name: 0.2}}]
    return drifted_page(
        verdict=found, statistics=both, baseline=both, history=history, model=name, batch=category
    )


@settings(max_examples=15, deadline=None)
@given(name=SHORT, category=SHORT)
def test_no_text_of_the_data_adds_an_element_or_an_attribute(name: str, category: str) -> None:
    page = page_of(name, category)

    assert set(Reader(page).shape()) <= set(Reader(page_of("Age", "north")).shape()) | {
        ("td", ()),
        ("bdi", ()),
    }
    assert "<script" not in page
    page.encode("utf-8")


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
def test_a_nasty_name_leaves_the_page_as_it_is_but_for_the_name(nasty: str) -> None:
    page = page_of(nasty, nasty)

    assert Reader(page).shape() == Reader(page_of("Age", "Age")).shape()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b\ud800]", page)
    assert plain(nasty)[:60].strip() in words(page) or not nasty


def test_a_name_of_ten_thousand_letters_is_cut() -> None:
    page = page_of("x" * 10_000, "y" * 10_000)

    assert len(page) < 60_000
    assert "x" * 79 + "…" in page
    assert "x" * 401 not in page


@settings(max_examples=150, deadline=None)
@given(
    before=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
    after=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
)
def test_every_pair_of_distributions_keeps_all_its_items_or_is_not_drawn(
    before: list[float], after: list[float]
) -> None:
    found = compare(numeric("a", before), numeric("a", after))

    if found is None:
        assert len({*before, *after}) > MOST_VALUES
        return
    assert sum(found.before) == pytest.approx(1)
    assert sum(found.after) == pytest.approx(1)
    if isinstance(found, Histogram):
        assert list(found.edges) == sorted(set(found.edges))
        assert len(found.edges) == len(found.before) + 1 == len(found.after) + 1


def test_an_item_of_a_sketch_counts_by_its_level() -> None:
    described = numeric("a", [1.0])
    described["numerical_statistics"]["distribution"]["kll"]["sketch"]["data"] = [[1.0], [2.0], [], [1.0]]

    assert [(piece.low, piece.weight) for piece in pieces(described)] == [(1.0, 9.0), (2.0, 2.0)]


def test_buckets_without_a_sketch_are_spread_over_their_width() -> None:
    bucketed = numeric("a", [])
    bucketed["numerical_statistics"]["distribution"]["kll"]["buckets"] = [
        {"lower_bound": 0.0, "upper_bound": 50.0, "count": 10.0},
        {"lower_bound": 50.0, "upper_bound": 100.0, "count": 30.0},
    ]

    found = compare(bucketed, numeric("a", [float(step) for step in range(100)]))

    assert isinstance(found, Histogram)
    half = found.edges.index(60)
    assert sum(found.before[:half]) == pytest.approx((10 + 30 * 10 / 50) / 40)


def test_one_far_outlier_does_not_squeeze_the_rest_into_one_bin() -> None:
    near = [float(step) / 10 for step in range(400)]

    found = compare(numeric("a", near), numeric("a", [*near[:100], 1e9]))

    assert isinstance(found, Histogram)
    assert found.cut_high
    assert not found.cut_low
    assert sum(1 for share in found.before if share > 0.02) > 5


def test_whole_numbers_are_counted_in_whole_steps() -> None:
    found = compare(numeric("a", [float(step) for step in range(30)]), numeric("a", [3.0, 4.0, 29.0] * 9))

    assert isinstance(found, Histogram)
    assert all(edge.is_integer() for edge in found.edges)


def test_many_categories_are_drawn_as_the_largest_and_the_rest() -> None:
    counts = {f"value {place}": 100 - place for place in range(40)}

    found = compare(categorical("a", counts), categorical("a", counts))

    assert isinstance(found, Bars)
    assert len(found.labels) == MOST_VALUES
    assert found.labels[-1] == f"{40 - MOST_VALUES + 1} other values"
    assert sum(found.after) == pytest.approx(1)


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"numerical_statistics": 7},
        {"string_statistics": {"distribution": {"categorical": {"buckets": "x"}}}},
    ],
)
def test_what_is_no_distribution_is_not_drawn(described: dict[str, Any]) -> None:
    assert compare(described, numeric("a", [1.0])) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((0.0, "0"), (1234567.0, "1,234,567"), (1234.5, "1,234"), (0.123456, "0.123"), (-3.14159, "-3.14")),
        *((1e-7, "1e-07"), (1.7e308, "1.7e+308"), (float("nan"), "not known"), (True, "not known")),
    ],
)
def test_numbers_are_written_as_people_read_them(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0 %"), (0.0001, "under 0.1 %"), (0.056, "5.6 %"), (0.5, "50 %"), (1.0, "100 %")],
)
def test_a_share_above_nothing_never_reads_as_zero(share: float, shown: str) -> None:
    assert percent(share) == shown


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=25, deadline=None)
@given(odd=st.dictionaries(st.sampled_from(_KEYS), JSON, max_size=6), history=st.lists(JSON, max_size=3))
def test_whatever_the_files_hold_there_is_a_page(odd: dict[str, Any], history: list[Any]) -> None:
    page = render(odd, statistics=odd, baseline=odd, history=history, checked_at=MOMENT)

    assert Reader(page).elements[0][0] == "html"
