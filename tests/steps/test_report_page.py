"""The page of a check says what the check's files say, drifted features first."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.mammography import dataset
from pipeline_code.steps import check_batch, data_quality
from pipeline_code.steps.quality import page_files
from pipeline_code.steps.quality.page import render
from pipeline_code.steps.quality.page_style import CSS
from pipeline_code.steps.quality.report import write_metrics
from tests.steps.page_kit import (
    Reader,
    categorical,
    drifted_page,
    feature,
    numeric,
    section,
    statistics,
    verdict,
    words,
)
from tests.steps.steps_kit import Workbench


def test_a_check_leaves_its_page_beside_the_verdict(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    found = bench.check("run", part1 / "baseline", files[dataset.OUTLIERS])

    page = (bench.root / "run" / "out" / "report" / "report.html").read_text()

    drifted = [item for item in found["features"] if item["drifted"]]
    assert drifted
    text = words(page)
    assert "mammography-severity-model" in text
    assert dataset.OUTLIERS in text
    for item in drifted:
        assert f"{item['name']} {item['distance']:.3f} drifted" in section(page, "Features by distance")
        assert f"{item['name']} ▲ drifted" in section(page, "Distributions")
    Reader(page)


def test_the_verdict_is_one_sentence_that_names_what_drifted() -> None:
    page = drifted_page()

    assert re.search(
        r"<h1><bdi>Age</bdi> has moved away from the training data; the batch was not scored", page
    )
    assert "1 of 3 features drifted" in words(page)
    assert "▲ drift" in words(page)


def test_a_drifted_batch_that_was_delivered_says_so() -> None:
    found = verdict(feature("Age", 0.3, drifted=True), action="announce_and_deliver")

    text = words(drifted_page(verdict=found))

    assert "the batch was scored all the same" in text
    assert "The predictions were delivered" in text


def test_many_drifted_features_are_counted_in_the_sentence() -> None:
    found = verdict(*(feature(f"f{place}", 0.9 - place / 10, drifted=True) for place in range(6)))

    assert "f0 , f1 , f2 and 3 more features have moved" in words(drifted_page(verdict=found))


def test_drifted_features_come_first_even_where_another_lies_farther() -> None:
    found = verdict(
        feature("far", 0.4, threshold=0.5), feature("near", 0.2, drifted=True), feature("no", 0.0)
    )

    page = drifted_page(verdict=found)

    order = re.findall(r'<th scope="row"><bdi>(\w+)</bdi>', page.split("Features by distance")[1])[:3]
    assert order == ["near", "far", "no"]


def test_a_batch_that_fits_says_so_and_asks_for_nothing() -> None:
    page = drifted_page(verdict=verdict(feature("Age", 0.0), kind="ok"))

    assert "The batch of 48 rows looks like the training data." in words(page)
    assert "Nothing: the batch was passed on" in section(page, "What to do next")
    assert "▲ drifted" not in section(page, "Distributions")


def test_violations_are_shown_with_their_first_example() -> None:
    broken = {
        "feature_name": "Shape",
        "constraint_check_type": "data_type_check",
        "description": "97.9% of the values are Integral; first: batch.csv, line 3: 'oval' is not an integer",
    }

    page = drifted_page(verdict=verdict(feature("Age", 0.0), kind="violation", violations=[broken]))

    assert "The batch of 48 rows breaks 1 rule, so it was not scored." in words(page)
    shown = section(page, "Rules that the batch breaks")
    assert "Shape data_type_check" in shown
    assert "line 3: 'oval' is not an integer" in shown
    steps = section(page, "What to do next")
    assert "Mend the source" in steps
    assert (
        "make run PIPELINE=inference STAGE=prod (or the stage of this batch), with INPUT= the batch" in steps
    )


def test_missing_values_are_listed_the_largest_increase_first() -> None:
    page = drifted_page(
        statistics=statistics(
            10,
            numeric("a", [1.0] * 9, missing=1),
            numeric("b", [1.0] * 5, missing=5),
            numeric("c", [1.0] * 10),
        ),
        baseline=statistics(
            100, numeric("a", [1.0] * 98, missing=2), numeric("b", [1.0] * 100), numeric("c", [1.0] * 100)
        ),
    )

    shown = section(page, "Missing values")
    assert "b 0 % 50 % 5 a 2.0 % 10 % 1" in shown
    assert " c " not in shown


def test_the_trend_shows_the_earlier_batches_and_this_one_last() -> None:
    page = drifted_page()

    shown = section(page, "The last batches")
    assert (
        "Of the last 4 batches 2 drifted and 1 was broken. This is the 2nd drifted batch in a row." in shown
    )
    assert "20 Nov 2026 06:00 ▲ drift 48 Age 0.210 3" in shown
    assert "21 Nov 2026 06:00 (this one) ▲ drift 48 Age 0.310" in shown
    assert "21 Nov 2026 06:00 (this one) ▲ drift 48 Age 0.310 this run's" in shown
    assert "Distance of Age in the last batches, oldest first: 0, broken, 0.21, 0.31." in page


def test_a_history_without_batches_is_said_to_begin() -> None:
    assert "No earlier batch is on record" in words(drifted_page(history=[]))


def test_only_the_last_twenty_batches_are_drawn() -> None:
    old = [
        {"verdict": "ok", "features": {"Age": 0.5}, "checked_at": f"2025-01-{day:02}"} for day in range(1, 31)
    ]

    shown = section(drifted_page(history=old), "The last batches")

    assert "Of the last 20 batches" in shown
    assert "11 Jan 2025" not in shown
    assert "12 Jan 2025" in shown


def test_a_history_of_anything_else_is_drawn_as_far_as_it_goes() -> None:
    odd: list[Any] = ["no batch", {}, {"verdict": 7, "features": [1], "checked_at": None, "rows": "many"}]

    shown = section(drifted_page(history=odd), "The last batches")

    assert shown.count("not known") >= 4


def test_a_batch_too_small_to_tell_says_of_which_features() -> None:
    found = verdict(feature("Age", 0.0), kind="ok", low_power=["Density", "Shape"])

    page = drifted_page(verdict=found)

    assert "Too few rows to tell. In Density and Shape so few rows" in words(page)
    assert "Too few rows" not in words(drifted_page())


def test_method_and_p_value_are_shown_where_the_verdict_has_them() -> None:
    found = verdict(feature("Age", 0.3, drifted=True, method="Robust", p_value=1e-9))

    assert "method Robust; p below 0.0001" in words(drifted_page(verdict=found))


def test_each_chart_says_in_words_what_it_shows() -> None:
    page = drifted_page()

    charts = [given for tag, given in Reader(page).elements if tag == "svg" and given.get("role") == "img"]
    assert len(charts) == 6
    assert all(given["aria-label"] for given in charts)
    assert "Distribution of Ward in training and in this batch. Grown most: south, from 53 % to 56 %." in page
    assert "Shrunk most: north, from 47 % to 42 %" in page


def test_a_value_that_training_never_saw_is_marked() -> None:
    assert "moon (not in training)" in words(drifted_page())


def test_other_numbers_give_another_chart() -> None:
    other = statistics(48, numeric("Age", [90.0 + step / 10 for step in range(48)]))

    assert drifted_page() != drifted_page(statistics=other)
    assert "1 of 3 features" in words(drifted_page(statistics=other))


def test_a_verdict_without_distances_is_shown_as_not_known() -> None:
    found = verdict(feature("Age", None, drifted=True, threshold=None))

    assert "Age not known drifted not known" in section(drifted_page(verdict=found), "Features by distance")


@pytest.mark.parametrize("kind", ["ok", "drift", "violation"])
def test_every_verdict_has_a_word_and_a_sign_beside_its_colour(kind: str) -> None:
    page = drifted_page(verdict=verdict(feature("Age", 0.3, drifted=kind == "drift"), kind=kind))

    badge = re.search(rf'<span class="badge {kind}">(\S) (\w+)</span>', page)
    assert badge is not None


def test_the_page_needs_nothing_beside_it_and_runs_nothing() -> None:
    page = drifted_page()

    assert not re.findall(r"\b(?:src|href|srcset|action)=", page)
    assert "url(" not in page.replace("url(#hatch)", "")
    assert "@import" not in page
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_headings_descend_and_tables_name_their_columns() -> None:
    elements = Reader(drifted_page()).elements

    levels = [int(tag[1]) for tag, _ in elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(given.get("scope") in ("row", "col") for tag, given in elements if tag == "th")


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_text_stands_out_from_its_ground_in_light_and_in_dark() -> None:
    themes = re.findall(r":root \{([^}]*)\}", CSS)[:2]
    assert len(themes) == 2
    for theme in themes:
        colors = dict(re.findall(r"--(\w+):(#[0-9a-f]{6})", theme))
        for ground in ("paper", "panel"):
            for ink in ("ink", "soft", "blue", "orange", "red", "green"):
                light, dark = sorted((_luminance(colors[ink]), _luminance(colors[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground, theme)


def test_ten_thousand_columns_give_a_page_of_fifty_that_counts_the_rest() -> None:
    names = [f"column_{place}" for place in range(10_000)]
    features = [numeric(name, [float(step) for step in range(40)], missing=1) for name in names]
    found = verdict(*(feature(name, 0.9, drifted=place < 60) for place, name in enumerate(names)))

    page = render(found, statistics=statistics(48, *features), baseline=statistics(99, *features))

    assert len(page) < 600_000
    text = words(page)
    assert "60 of 10,000 features drifted" in text
    assert "And 9,950 more features, 10 of them drifted" in text
    assert page.count('<article class="card') == 50


def test_the_report_command_makes_the_page_anew(
    bench: Workbench, part1: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    bench.check("run", part1 / "baseline", files[dataset.OUTLIERS])
    report, baseline = bench.root / "run" / "out" / "report", part1 / "baseline" / "statistics.json"
    (report / "report.html").unlink()
    history = tmp_path / "history.json"
    history.write_text(json.dumps([{"verdict": "ok", "checked_at": "2026-01-02T03:04:05Z"}]))

    arguments = ["report", "--report", str(report), "--statistics", str(baseline), "--history", str(history)]
    assert data_quality.main(arguments) == 0

    assert "02 Jan 2026 03:04" in (report / "report.html").read_text()


def test_the_report_command_names_the_file_that_it_can_not_use(
    bench: Workbench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "verdict.json").write_text("[1]")

    arguments = ["report", "--report", str(tmp_path), "--statistics", str(tmp_path / "statistics.json")]
    assert data_quality.main(arguments) == 2

    assert capsys.readouterr().err == "verdict.json is not an object\n"


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[1, 2]"])
def test_a_history_that_can_not_be_read_costs_the_trend_only(
    bench: Workbench, part1: Path, files: dict[str, Path], content: str
) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", files[dataset.BATCH])
    (inputs / "history").mkdir()
    (inputs / "history" / "history.json").write_text(content)

    assert bench.run(check_batch.main, inputs, bench.root / "run" / "out") == 0

    page = (bench.root / "run" / "out" / "report" / "report.html").read_text()
    assert "No earlier batch is on record" in words(page)


def test_a_page_that_can_not_be_made_never_takes_the_verdict_with_it(
    bench: Workbench,
    part1: Path,
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*given: Any, **named: Any) -> str:
        raise ZeroDivisionError("no page today")

    monkeypatch.setattr(page_files, "render", fails)

    assert bench.check("run", part1 / "baseline", files[dataset.BATCH])["verdict"] == "ok"
    assert "no report.html: ZeroDivisionError: no page today" in capsys.readouterr().err


def test_a_baseline_of_model_monitor_without_names_is_compared_by_position() -> None:
    def page(first: str) -> str:
        baseline = statistics(9, numeric(first, [1.0, 2.0]), categorical("_c1", {"x": 3}))
        batch = statistics(3, numeric("a", [1.0]), categorical("b", {"x": 3}))
        return section(
            render(
                verdict(feature("a", 0.0)),
                statistics=batch,
                baseline=page_files._named_alike(baseline, batch),
            ),
            "Distributions",
        )

    assert "not known on both sides" not in page("_c0")
    assert "not known on both sides" in page("_c7")


def test_a_distance_that_chance_explains_is_no_drift_and_says_so() -> None:
    page = drifted_page(verdict=verdict(feature("Age", 0.3, method="Robust", p_value=0.2), kind="ok"))

    assert "Age chance explains it" in section(page, "Distributions")


def test_the_limit_of_chi_squared_is_one_of_the_p_value() -> None:
    found = feature("Ward", 0.3, method="ChiSquared", p_value=0.02, threshold=0.01)

    page = drifted_page(verdict=verdict(found, kind="ok"))

    assert "Ward 0.300 p 0.01" in section(page, "Features by distance")
    assert "within its limit" in section(page, "Distributions")
    assert '<b style="left' not in page


def test_features_that_were_not_compared_are_named() -> None:
    page = drifted_page(verdict=verdict(feature("Age", 0.0), kind="ok", not_compared=["Ward", "Bed"]))

    assert "Not compared, because a side holds no distribution of it: Ward and Bed ." in words(page)


def test_what_cloudwatch_gets_is_named_as_model_monitor_names_it_and_bounded(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    found = bench.check("run", part1 / "baseline", files[dataset.OUTLIERS])

    lines = json.loads((bench.root / "run" / "out" / "report" / "metrics.json").read_text())["metrics"]
    metrics = {line["MetricName"]: line for line in lines}
    assert len(metrics) == 3 * len(found["features"])
    age = next(item for item in found["features"] if item["name"] == "Age")
    assert metrics["feature_baseline_drift_Age"]["Value"] == age["distance"]
    assert metrics["feature_non_null_Age"]["Value"] == 1.0
    assert metrics["feature_data_Age"]["StatisticValues"]["SampleCount"] == found["rows"]


def test_of_many_features_the_first_fifty_are_measured(tmp_path: Path) -> None:
    features = [[{"MetricName": f"feature_non_null_{place}", "Value": 1.0}] for place in range(60)]

    write_metrics(tmp_path, features, container=tmp_path / "container")

    bounded = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    assert [line["MetricName"] for line in bounded] == [f"feature_non_null_{place}" for place in range(50)]
    assert len((tmp_path / "container" / "data_quality.jsonl").read_text().splitlines()) == 60
