"""The variant with Model Monitor gives the verdicts of our own check, from its violations file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.mammography import dataset
from tests.steps.monitor_kit import METHODS, as_batch, judged, lines, monitored, put, rebased, unchanged
from tests.steps.steps_kit import Workbench, shipped_json

# source, change, verdict with Robust, drifted features with Robust, features of violations
CASES = {
    "clean": (dataset.BATCH, unchanged, "ok", set(), set()),
    "drift-of-several": (dataset.OUTLIERS, unchanged, "drift", {"Age", "Margin"}, set()),
    "drift-of-ties": (dataset.BATCH, put(3, "5", slice(0, None, 2)), "drift", {"Margin"}, set()),
    "type": (dataset.BATCH, put(1, "old"), "violation", set(), {"Age"}),
    "completeness": (dataset.BATCH, put(1, "", slice(0, None, 2)), "violation", set(), {"Age"}),
    "unknown-value": (dataset.BATCH, put(2, "9"), "violation", set(), {"Shape"}),
    "negative": (dataset.BATCH, put(1, "-5"), "violation", set(), {"Age"}),
    "missing-column": (
        dataset.BATCH,
        lambda rows: [row[:4] for row in rows],
        "violation",
        set(),
        {"Missing columns"},
    ),
    "extra-column": (
        dataset.BATCH,
        lambda rows: [[*row, "1"] for row in rows],
        "violation",
        set(),
        {"Extra columns"},
    ),
    "drift-and-type": (dataset.OUTLIERS, put(4, "low"), "violation", {"Age", "Margin"}, {"Density"}),
    "drift-and-unknown-value": (dataset.OUTLIERS, put(2, "9"), "violation", {"Age", "Margin"}, {"Shape"}),
}


@pytest.mark.parametrize("deliver", [False, True], ids=["withhold", "deliver"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", CASES)
def test_both_monitors_say_the_same(
    bench: Workbench, part1: Path, files: dict[str, Path], case: str, method: str, deliver: bool
) -> None:
    source, change, verdict, drifted, violated = CASES[case]
    batch = as_batch(change(lines(files, source)))
    baseline = rebased(part1 / "baseline", bench.root / "baseline", method)

    ours = bench.check("own", baseline, batch, "--predictions-on-drift", "deliver" if deliver else "withhold")
    theirs = monitored(bench, "theirs", baseline, batch, deliver=deliver)

    assert judged(theirs) == judged(ours)
    assert (theirs["verdict"], judged(theirs)[3]) == (verdict, violated)
    if method == "Robust":
        assert judged(theirs)[2] == drifted
    assert theirs["rows"] == ours["rows"]
    assert set(bench.prepared("theirs")) == set(bench.prepared("own"))
    if ours["action"] in ("deliver", "announce_and_deliver"):
        assert bench.prepared("theirs") == bench.prepared("own")


OVERRIDES: dict[str, tuple[str, dict[str, Any], Any, str, set[str], set[str]]] = {
    "one-feature-may-differ": (
        dataset.OUTLIERS,
        {"Age": {"distribution_constraints": {"comparison_threshold": 0.9}}},
        unchanged,
        "drift",
        {"Margin"},
        set(),
    ),
    "none-is-compared": (
        dataset.OUTLIERS,
        {
            name: {"distribution_constraints": {"perform_comparison": "Disabled"}}
            for name in ("Age", "Margin")
        },
        unchanged,
        "ok",
        set(),
        set(),
    ),
    "one-in-ten-may-be-mistyped": (
        dataset.BATCH,
        {"Age": {"datatype_check_threshold": 0.9}},
        put(1, "old"),
        "ok",
        set(),
        set(),
    ),
    "constraints-of-one-are-not-evaluated": (
        dataset.BATCH,
        {"Age": {"evaluate_constraints": "Disabled"}},
        put(1, "old", slice(0, 8)),
        "ok",
        set(),
        set(),
    ),
    "the-others-still-are": (
        dataset.BATCH,
        {"Age": {"evaluate_constraints": "Disabled"}},
        put(4, "low"),
        "violation",
        set(),
        {"Density"},
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", OVERRIDES)
def test_both_honour_what_the_baseline_says_of_one_feature(
    bench: Workbench, part1: Path, files: dict[str, Path], case: str, method: str
) -> None:
    source, overrides, change, verdict, drifted, violated = OVERRIDES[case]
    batch = as_batch(change(lines(files, source)))
    baseline = rebased(part1 / "baseline", bench.root / "baseline", method, overrides)

    ours, theirs = bench.check("own", baseline, batch), monitored(bench, "theirs", baseline, batch)

    assert judged(theirs) == judged(ours)
    assert (theirs["verdict"], judged(theirs)[2], judged(theirs)[3]) == (verdict, drifted, violated)
    assert bench.prepared("theirs").keys() == bench.prepared("own").keys()
    if verdict == "ok":
        assert bench.prepared("theirs") == bench.prepared("own")


# --- where the two can't agree


def test_a_few_missing_values_more_are_chance_for_us_and_a_violation_for_model_monitor(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    baseline = rebased(part1 / "baseline", bench.root / "baseline", "Robust")
    batch = as_batch(put(1, "", slice(0, 2))(lines(files)))

    assert bench.check("own", baseline, batch)["verdict"] == "ok"
    theirs = monitored(bench, "theirs", baseline, batch)

    assert judged(theirs) == ("violation", "withhold_violation", set(), {"Age"})
    assert "completeness" in theirs["message"]
    assert list(bench.prepared("theirs")) == ["NOT_PREPARED"]


@pytest.mark.parametrize("cell", ["?", "4.0"])
def test_a_cell_that_is_another_type_to_model_monitor_is_a_violation_there(
    bench: Workbench, part1: Path, files: dict[str, Path], cell: str
) -> None:
    baseline = rebased(part1 / "baseline", bench.root / "baseline", "Robust")
    batch = as_batch(put(2, cell)(lines(files)))

    assert bench.check("own", baseline, batch)["verdict"] == "ok"
    theirs = monitored(bench, "theirs", baseline, batch)

    assert judged(theirs) == ("violation", "withhold_violation", set(), {"Shape"})
    assert theirs["violations"][0]["constraint_check_type"] == "data_type_check"


def test_how_sure_a_drift_must_be_is_asked_by_our_own_check_alone(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    model = shipped_json()
    model["monitor"]["drift_confidence"] = 0.999999
    bench.model_path.write_text(json.dumps(model))
    baseline = rebased(part1 / "baseline", bench.root / "baseline", "Robust")
    found = []
    for moved in range(1, 40):
        batch = as_batch(put(3, "5", slice(0, moved))(lines(files)))
        if monitored(bench, f"theirs-{moved}", baseline, batch)["verdict"] == "drift":
            found.append(bench.check(f"own-{moved}", baseline, batch)["verdict"])
    # the smallest shift that Model Monitor sees isn't sure enough; both see the largest
    assert (found[0], found[-1]) == ("ok", "drift")


@pytest.mark.parametrize(
    ("batch", "ours", "theirs"),
    [
        (
            b"BIRADS,Age,Shape,Margin,Density\n4,57,3,3,3\n",
            {"Header row"},
            {"BIRADS", "Age", "Shape", "Margin", "Density"},
        ),
        (b"4,57,3,3,3\n4,\xff\xfe,3,3,3\n", {"Unreadable file"}, {"Age"}),
        (b'4,57,3,3,3\n"4,57,3,3,3\n', {"Unreadable file"}, {"BIRADS"}),
        (b"4,57,3,3,3\n4,57,3\n", {"Missing columns"}, {"Margin", "Density"}),
    ],
    ids=["header-row", "encoding", "quote", "short-row"],
)
def test_a_broken_file_is_a_violation_for_both_under_other_names(
    bench: Workbench, part1: Path, batch: bytes, ours: set[str], theirs: set[str]
) -> None:
    baseline = rebased(part1 / "baseline", bench.root / "baseline", "Robust")

    own, other = bench.check("own", baseline, batch), monitored(bench, "theirs", baseline, batch)

    assert judged(own)[:2] == judged(other)[:2] == ("violation", "withhold_violation")
    assert (judged(own)[3], judged(other)[3] >= theirs) == (ours, True)


@pytest.mark.parametrize("batch", [b"", b"\n\n"])
def test_a_batch_without_rows_is_a_violation_for_both(bench: Workbench, part1: Path, batch: bytes) -> None:
    baseline = rebased(part1 / "baseline", bench.root / "baseline", "Robust")

    own, other = bench.check("own", baseline, batch), monitored(bench, "theirs", baseline, batch)

    assert judged(own)[:2] == judged(other)[:2] == ("violation", "withhold_violation")
    assert (other["rows"], judged(other)[3]) == (0, {"Missing rows"})


def test_chance_and_power_are_known_to_our_own_check_alone(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    baseline = rebased(part1 / "baseline", bench.root / "baseline", "Robust")
    batch = as_batch(lines(files, dataset.OUTLIERS))

    own, other = bench.check("own", baseline, batch), monitored(bench, "theirs", baseline, batch)

    assert {"low_power", "not_compared"} & set(other) == set()
    ours = {item["name"]: item for item in own["features"]}
    for item in other["features"]:
        assert {"p_value", "simple"} & set(item) == set()
        same = ours[item["name"]]
        assert (item["method"], item["threshold"]) == (same["method"], same["threshold"])
        assert item["before"] == pytest.approx(same["before"])
        assert item["after"] == pytest.approx(same["after"])
        # how far a feature lies is told where it drifted
        assert item["distance"] == (pytest.approx(same["distance"]) if same["drifted"] else None)
