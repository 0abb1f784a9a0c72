"""The scores and what they come from stand on the page beside the model's features, told apart and explained."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pipeline_code.steps.quality import page_scores, predictions
from pipeline_code.steps.quality.page import render
from tests.steps.page_kit import MOMENT, drifted_page, feature, section, statistics, verdict, words

SCORES, ORIGIN = "(prediction)", "(attributions)"
MEANT = (
    "(prediction): the scores the version gives; (attributions): how much of what the features contribute to the"
    " scores has moved to other features."
)


def of(*names: str, drifted: tuple[str, ...] = (), **more: Any) -> str:
    """Return the page of a batch that has these among its features."""
    found = [feature(name, 0.3, drifted=name in drifted) for name in names]
    return drifted_page(verdict=verdict(*found, **more))


def headline(page: str) -> str:
    """Return the sentence at the head of a page, without markup."""
    found = re.search(r"<h1>(.*?)</h1>", page)
    assert found is not None
    return re.sub(r"<[^>]+>", "", found.group(1))


def trend_of(page: str, name: str) -> str:
    """Return the drawing of a feature's distances over the last batches."""
    found = re.search(
        rf'<svg[^>]*aria-label="Distance of {re.escape(name)} in the last batches.*?</svg>', page
    )
    assert found is not None
    return found.group()


def test_the_page_calls_them_what_the_check_calls_them() -> None:
    assert (page_scores.PREDICTION, page_scores.ATTRIBUTIONS) == (
        predictions.PREDICTION,
        predictions.ATTRIBUTIONS,
    )


def test_they_are_not_counted_as_features_of_the_model() -> None:
    page = of("Age", "Shape", SCORES, ORIGIN, drifted=("Age", SCORES))

    assert "1 of 2 features drifted the scores: ▲ drifted what they come from: no drift" in words(page)


def test_without_them_the_tile_counts_features_only() -> None:
    assert "1 of 3 features drifted 0 rules broken" in words(drifted_page())


@pytest.mark.parametrize(
    ("drifted", "told"),
    [
        (("Age",), "Age has moved away from the training data; the batch was not scored."),
        (
            ("Age", SCORES),
            "Age has moved away from the training data, and so have the version's scores; the batch was not scored.",
        ),
        (
            ("Age", "Shape", ORIGIN),
            "Age and Shape have moved away from the training data, and so has what the version's scores come from;"
            " the batch was not scored.",
        ),
        (
            ("a", "b", "c", "d", SCORES, ORIGIN),
            "a, b, c and 1 more feature have moved away from the training data, and so have the version's scores and"
            " what they come from; the batch was not scored.",
        ),
        (
            (SCORES,),
            "The version's scores have moved away from training, though no feature has; the batch was not scored.",
        ),
        (
            (ORIGIN,),
            "What the version's scores come from has moved away from training, though no feature has; the batch was"
            " not scored.",
        ),
    ],
)
def test_the_headline_names_them_apart_from_the_features(drifted: tuple[str, ...], told: str) -> None:
    assert headline(of(SCORES, ORIGIN, "a", "b", "c", "d", "Age", "Shape", drifted=drifted)) == told


def test_each_is_explained_under_the_table_where_it_occurs() -> None:
    both = section(of("Age", SCORES, ORIGIN), "Features by distance")
    one = section(of("Age", SCORES), "Features by distance")

    assert MEANT in both
    assert "(prediction): the scores the version gives." in one
    assert ORIGIN not in one
    assert 'id="explained"' not in drifted_page()


def test_one_that_was_not_compared_is_explained_too() -> None:
    for names in ((), ("Age",)):
        shown = section(of(*names, not_compared=[SCORES]), "Features by distance")
        assert "(prediction) . (prediction): the scores the version gives." in shown


def test_the_distance_of_attributions_is_told_where_there_is_one() -> None:
    clause = "Of (attributions): the share of all contributions that has moved to other features."

    assert clause in words(of("Age", ORIGIN))
    assert clause not in words(of("Age", SCORES))


def test_of_many_features_they_are_shown_and_the_rest_is_counted_without_them() -> None:
    names = [f"column_{place}" for place in range(60)]
    found = verdict(
        *(feature(name, 0.9, drifted=place < 55) for place, name in enumerate(names)), feature(SCORES, 0.01)
    )

    shown = section(
        render(found, statistics=statistics(9), baseline=statistics(9), checked_at=MOMENT),
        "Features by distance",
    )

    assert "(prediction) 0.010" in shown
    assert "And 10 more features, 5 of them drifted" in shown


def test_the_table_says_how_it_is_sorted() -> None:
    shown = section(drifted_page(), "Features by distance")

    assert "those that drifted first, then the farthest. The line in a bar is the limit." in shown


def test_the_commands_of_a_drift_can_be_typed_as_they_stand() -> None:
    steps = section(drifted_page(), "What to do next")

    assert "make upload STAGE=prod (or the stage of this batch)" in steps
    assert "make run PIPELINE=train STAGE=prod ." in steps
    assert "make approve VERSION=n or make reject VERSION=n" in steps
    assert "an administrator of the stage" in steps


def test_a_broken_batch_leaves_a_gap_in_the_line_and_its_cross_at_no_height_of_the_scale() -> None:
    broken = [
        {"verdict": kind, "checked_at": f"2026-11-{day}T06:00:00+00:00", "features": distances}
        for day, kind, distances in (
            (17, "ok", {"Age": 0.2}),
            (18, "violation", {}),
            (19, "violation", {"Age": 0.0}),
            (20, "ok", {"Age": 0.1}),
        )
    ]

    drawn = trend_of(drifted_page(history=broken), "Age")

    line = re.search(r'<path d="([^"]*)" class="trend"/>', drawn)
    assert line is not None
    assert [part.count("L") for part in line.group(1).split("M")[1:]] == [0, 1]
    crosses = re.findall(r'<path d="M[\d.]+,([\d.]+)l[^"]*" class="mark violation"/>', drawn)
    highest = min(float(y) for y in re.findall(r"[ML][\d.]+,([\d.]+)", line.group(1)))
    assert len(crosses) == 2
    assert all(float(y) < highest for y in crosses)
    assert "oldest first: 0.2, broken, broken, 0.1, 0.31." in drawn


def test_a_present_batch_without_a_distance_does_not_show_that_of_an_earlier_one() -> None:
    unknown = drifted_page(verdict=verdict(feature("Age", None, drifted=True)))
    broken = drifted_page(verdict=verdict(feature("Age", 0.3), kind="violation"))

    assert "Age now not known" in section(unknown, "The last batches")
    assert "Age now broken" in section(broken, "The last batches")
