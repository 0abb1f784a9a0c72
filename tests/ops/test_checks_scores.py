"""Scores are compared by id and to a thousandth; a shifted batch is drift and nothing else."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from ops.checks_scores import ScoresError, described, largest_difference, parse, shift
from pipeline_code.steps.model import Model


def column(name: str, kind: str = "number", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def model(*columns: dict[str, Any], header: bool = False, id_column: str | None = None) -> dict[str, Any]:
    return {"batch_header": header, "id_column": id_column, "missing": ["?", ""], "columns": list(columns)}


def test_scores_are_read_by_id() -> None:
    assert parse("0,0.25\nb-2,1e-3\n\n", "f") == {"0": 0.25, "b-2": 0.001}


@pytest.mark.parametrize(
    "line", ["0,nan", "0,inf", "0,", "0", "0,x", "0,0.1,0.2", "id,score"], ids=lambda line: f"'{line}'"
)
def test_fails_for_a_line_that_is_no_score(line: str) -> None:
    with pytest.raises(ScoresError, match=r"f, line 2, is not id,score: '"):
        parse(f"1,0.5\n{line}\n", "f")


def test_fails_for_an_id_that_comes_twice() -> None:
    with pytest.raises(ScoresError, match="f has the id '1' twice"):
        parse("1,0.5\n1,0.5\n", "f")


def test_the_largest_difference_counts() -> None:
    found, expected = {"a": 0.5, "b": 0.25}, {"b": 0.25, "a": 0.498}
    assert largest_difference(found, expected) == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"a": 0.1}, "1 scores instead of 2: without the ids b"),
        ({"a": 0.1, "b": 0.1, "c": 0.1}, "3 scores instead of 2: with the ids c"),
        ({}, "0 scores instead of 2: without the ids a, b"),
    ],
)
def test_fails_for_ids_that_are_missing_or_too_many(found: dict[str, float], message: str) -> None:
    with pytest.raises(ScoresError, match=message):
        largest_difference(found, {"a": 0.1, "b": 0.1})


def test_fails_where_no_scores_were_expected_at_all() -> None:
    with pytest.raises(ScoresError, match="no scores at all"):
        largest_difference({}, {})


def test_the_number_that_has_its_largest_value_least_often_is_shifted_to_it() -> None:
    batch = "1,10,a\n2,9,b\n2,?,a\n,8,a\n"
    found = shift(batch, model(column("Grade"), column("Age"), column("Kind", "string")))
    assert (found.feature, found.value) == ("Age", "10")
    assert found.text == "1,10,a\n2,10,b\n2,?,a\n,10,a\n"


def test_numbers_are_compared_as_numbers() -> None:
    assert shift("9\n10\n", model(column("Age"))).value == "10"


def test_header_and_ids_stay_as_they_are() -> None:
    batch = "Bottle,Age\nb-1,3\nb-2,4\n"
    found = shift(batch, model(column("Age"), header=True, id_column="Bottle"))
    assert found.text == "Bottle,Age\nb-1,4\nb-2,4\n"


def test_a_model_of_texts_gets_the_rarest_one_everywhere() -> None:
    found = shift("red\nred\nrose\n", model(column("Kind", "string")))
    assert found.text == "rose\nrose\nrose\n"


def test_fails_for_a_batch_without_values() -> None:
    with pytest.raises(ValueError, match="no feature with a value"):
        shift("?\n?\n\n", model(column("Age")))


def test_the_shipped_models_shifted_batch_stays_within_what_its_description_allows() -> None:
    about = described("mammography")
    batch = "5,40,1,1,3\n4,62,2,1,?\n5,96,4,5,2\n"
    found = shift(batch, about)
    assert found.feature in ("Age", "Shape", "Margin", "Density")
    columns = Model.from_json(about).columns
    for row in csv.reader(found.text.splitlines()):
        for of, cell in zip(columns, row, strict=True):
            assert cell in ("?", "") or of.fault(of.parse(cell)) is None
