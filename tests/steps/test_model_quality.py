"""Ground truth that comes later: joined by id, compared with the version at training, oddities counted and named."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pipeline_code.steps.model import Column, ModelQuality, value_text
from pipeline_code.steps.quality.calibration import calibration
from pipeline_code.steps.quality.model_quality import assess, read_evaluation
from pipeline_code.steps.quality.segments import Segment
from tests.steps.quality_kit import Floats, checked, evaluation, labelled, lay_out
from tests.steps.steps_kit import Workbench, shipped_json

HELD_OUT = slice(0, 300)
LATER = slice(300, 800)


def _later() -> tuple[Floats, Floats, Floats]:
    order = np.random.default_rng(4).permutation(len(labelled()[1]))
    features, labels, scores = (part[order] for part in labelled())
    return features[LATER], labels[LATER], scores[LATER]


@pytest.fixture(scope="module")
def at_training() -> dict[str, Any]:
    """evaluation.json of a version whose hold-out isn't among the later rows."""
    order = np.random.default_rng(4).permutation(len(labelled()[1]))
    features, labels, scores = (part[order][HELD_OUT] for part in labelled())
    return evaluation(features, labels, scores)


def _lines(values: Floats, first: int = 1) -> str:
    return "".join(f"{number},{value_text(value)}\n" for number, value in enumerate(values.tolist(), first))


def _batch(features: Floats) -> str:
    return "".join(
        ",".join("" if np.isnan(cell) else value_text(cell) for cell in row) + "\n"
        for row in features.tolist()
    )


def _worse(labels: Floats, share: float) -> Floats:
    rng = np.random.default_rng(3)
    return np.where(rng.random(len(labels)) < share, 1 - labels, labels)


def test_an_id_is_waited_for_once_and_not_when_its_label_came_in_another_line(
    bench: Workbench, at_training: dict[str, Any]
) -> None:
    truth = "1,\n2,\n2,\n3,\n1,0\n" + "".join(f"{number},{number % 2}\n" for number in range(4, 40))
    inputs = lay_out(bench.root / "in", _lines(np.linspace(0, 1, 40)), truth, at_training)

    code, report = checked(bench, inputs)

    assert (code, report["rows"]["joined"]) == (0, 37)
    assert report["ids"]["unlabelled"] == {"count": 2, "first": ["2", "3"]}


def test_labels_of_which_none_is_known_yet_are_waited_for(
    bench: Workbench, at_training: dict[str, Any]
) -> None:
    inputs = lay_out(bench.root / "in", "1,0.5\n2,0.7\n", "1,\n2,\n", at_training)

    code, report = checked(bench, inputs, "--exit-code")

    assert (code, report["verdict"], report["action"]) == (0, "not_enough", "wait")
    assert (report["rows"]["joined"], report["ids"]["unlabelled"]["count"]) == (0, 2)
    assert "2 have no label yet: '1', '2'" in report["message"]


def test_labels_like_those_of_the_holdout_are_no_loss(bench: Workbench, at_training: dict[str, Any]) -> None:
    features, labels, scores = _later()
    inputs = lay_out(
        bench.root / "in", _lines(scores), _lines(labels), at_training, {"b.csv": _batch(features)}
    )

    code, report = checked(bench, inputs, "--exit-code")

    assert (code, report["verdict"], report["action"]) == (0, "ok", "none")
    assert report["rows"] == {
        "predictions": 500,
        "ground_truth": 500,
        "joined": 500,
        "positives": int(labels.sum()),
        "negatives": int((1 - labels).sum()),
    }
    assert all(kind == {"count": 0, "first": []} for kind in report["ids"].values())
    assert abs(report["auc"]["drop"]) < 0.05
    assert 0.05 < report["auc"]["detectable"] < 0.15
    assert bench.message.startswith("Completed: AUC 0.")
    assert "so many labels show a drop of 0." in bench.message
    assert sum(row["rows"] for row in report["calibration"]["bins"]) == 500
    assert {segment["feature"] for segment in report["segments"] if segment["auc"]} >= {
        "Age",
        "Shape",
        "Margin",
    }


def test_a_drop_beyond_margin_and_noise_is_a_loss_that_retrains(
    bench: Workbench, at_training: dict[str, Any]
) -> None:
    _, labels, scores = _later()
    inputs = lay_out(bench.root / "in", _lines(scores), _lines(_worse(labels, 0.25)), at_training)

    code, report = checked(bench, inputs, "--exit-code")

    assert (code, report["verdict"], report["action"]) == (4, "loss", "announce_and_retrain")
    assert report["auc"]["lost"]
    assert report["auc"]["drop"] > report["auc"]["margin"] == 0.05
    assert report["auc"]["p_value"] < 0.005
    assert bench.message.startswith("CompletedWithLoss: AUC 0.7")
    assert report["segments"] == []
    assert checked(bench, inputs)[0] == 0


def test_a_margin_of_the_model_is_kept(bench: Workbench, at_training: dict[str, Any]) -> None:
    described = shipped_json()
    described["monitor"]["model_quality"]["auc_margin"] = 0.3
    bench.model_path.write_text(json.dumps(described))
    _, labels, scores = _later()
    inputs = lay_out(bench.root / "in", _lines(scores), _lines(_worse(labels, 0.2)), at_training)

    report = checked(bench, inputs)[1]

    assert not report["auc"]["lost"]
    assert report["auc"]["margin"] == 0.3


def test_a_shift_of_the_share_of_positives_is_told_and_retrains_nothing(
    bench: Workbench, at_training: dict[str, Any]
) -> None:
    _, labels, scores = _later()
    scaled = scores * 0.6  # the order stays, the scores say too little
    inputs = lay_out(bench.root / "in", _lines(scaled), _lines(labels), at_training)

    report = checked(bench, inputs)[1]

    assert (report["verdict"], report["action"]) == ("loss", "announce")
    assert report["calibration"]["lost"]
    assert report["calibration"]["in_the_large"]["value"] > 0.1
    assert "the share of positives is +0." in report["message"]


def test_a_segment_that_the_model_no_longer_serves_is_named_though_the_whole_has_hardly_lost() -> None:
    rng = np.random.default_rng(6)
    columns = (Column(name="Age", type="number"), Column(name="Kind", type="string", values=("red", "white")))
    features = np.column_stack([rng.normal(50, 10, 8_000), rng.integers(0, 2, 8_000)])
    features[rng.random(8_000) < 0.1, 0] = np.nan
    scores = rng.random(8_000)
    labels = (rng.random(8_000) < scores).astype(float)
    then, now = slice(0, 4_000), slice(4_000, 8_000)
    known = evaluation(features[then], labels[then], scores[then], columns)
    lost = np.isnan(features[:, 0])
    labels[lost] = rng.permutation(labels[lost])

    found = assess(
        labels[now],
        scores[now],
        dict(zip(("Age", "Kind"), features[now].T, strict=True)),
        read_evaluation(json.loads(json.dumps(known))),
        ModelQuality(),
    )

    assert (found.verdict, found.action) == ("loss", "announce")
    assert [(one.segment.feature, one.segment.label) for one in found.lost_segments] == [("Age", "missing")]
    assert {one.segment.label for one in found.segments if one.segment.feature == "Kind"} == {"red", "white"}
    assert len(found.segments) == 4 + 1 + 2


def test_ids_that_do_not_join_are_counted_and_named(bench: Workbench, at_training: dict[str, Any]) -> None:
    _, labels, scores = _later()
    predictions = _lines(scores) + "1,0.5\n" + f"2,{value_text(scores[1])}\n" * 2
    truth = (
        "id,label\n"
        + _lines(labels[:400])
        + f"3,{1 - labels[2]:.0f}\n4,{labels[3]:.0f}\n900,1\n901,0\n450,\n"
    )
    inputs = lay_out(bench.root / "in", predictions, truth, at_training)

    report = checked(bench, inputs)[1]

    assert report["ids"] == {
        "missing": {"count": 100, "first": ["401", "402", "403", "404", "405"]},
        "unknown": {"count": 2, "first": ["900", "901"]},
        "unlabelled": {"count": 1, "first": ["450"]},
        "duplicate_predictions": {"count": 1, "first": ["2"]},
        "conflicting_predictions": {"count": 1, "first": ["1"]},
        "duplicate_labels": {"count": 1, "first": ["4"]},
        "conflicting_labels": {"count": 1, "first": ["3"]},
    }
    assert report["rows"]["joined"] == 398
    for told in (
        "100 predictions have no ground truth: '401', '402', '403', ...",
        "2 ids of ground truth have no prediction: '900', '901'.",
        "1 ids have different labels and don't count: '3'.",
    ):
        assert told in report["message"]


def test_rows_that_the_batch_lacks_are_counted(bench: Workbench, at_training: dict[str, Any]) -> None:
    features, labels, scores = _later()
    inputs = lay_out(
        bench.root / "in", _lines(scores), _lines(labels), at_training, {"b.csv": _batch(features[:490])}
    )

    report = checked(bench, inputs)[1]

    assert report["ids"]["without_features"] == {"count": 10, "first": ["491", "492", "493", "494", "495"]}


@pytest.mark.parametrize(("positives", "verdict"), [(9, "not_enough"), (10, "ok")])
def test_too_few_labels_of_a_class_are_no_verdict(
    bench: Workbench, at_training: dict[str, Any], positives: int, verdict: str
) -> None:
    _, labels, scores = _later()
    kept = np.concatenate([np.flatnonzero(labels == 1)[:positives], np.flatnonzero(labels == 0)[:12]])
    inputs = lay_out(bench.root / "in", _lines(scores[kept]), _lines(labels[kept]), at_training)

    report = checked(bench, inputs, "--exit-code")[1]

    assert report["verdict"] == verdict
    if verdict == "not_enough":
        assert (report["action"], report["auc"]) == ("wait", None)
        assert bench.message.startswith("CompletedWithTooFewLabels: ")
        assert "9 positive and" in bench.message
        assert "10 of each class are needed" in bench.message
        assert report["needed"] == {"positives": 10, "negatives": 10}


def test_a_header_may_name_the_columns_in_any_order(bench: Workbench, at_training: dict[str, Any]) -> None:
    _, labels, scores = _later()
    lines = [f"{value_text(label)},{number}" for number, label in enumerate(labels.tolist(), 1)]
    inputs = lay_out(bench.root / "in", _lines(scores), "Severity,ID\n" + "\n".join(lines), at_training)

    assert checked(bench, inputs)[1]["rows"]["joined"] == 500


def test_an_evaluation_of_an_older_version_is_compared_by_its_auc(
    bench: Workbench, at_training: dict[str, Any]
) -> None:
    old = {"binary_classification_metrics": at_training["binary_classification_metrics"]}
    features, labels, scores = _later()
    inputs = lay_out(bench.root / "in", _lines(scores), _lines(labels), old, {"b.csv": _batch(features)})

    report = checked(bench, inputs)[1]

    assert (report["verdict"], report["segments"]) == ("ok", [])
    assert report["calibration"]["at_training"] is None


def test_scores_that_are_no_probabilities_have_an_auc_and_no_calibration(
    bench: Workbench, at_training: dict[str, Any]
) -> None:
    _, labels, scores = _later()
    inputs = lay_out(bench.root / "in", _lines(scores * 7 - 3), _lines(labels), at_training)

    report = checked(bench, inputs)[1]

    assert (report["verdict"], report["calibration"]) == ("ok", None)


@pytest.mark.parametrize(
    ("predictions", "truth", "code", "told"),
    [
        ("", "1,0\n", 1, "the predictions hold no line: batch.csv.out is empty"),
        ("1,0.5\n", "", 1, "the ground truth holds no line: labels.csv has no rows"),
        ("1,0.5\n", "id,label\n", 1, "the ground truth holds no line: labels.csv has no rows"),
        ("1,0.5\n2,high\n", "1,0\n", 1, "batch.csv.out, line 2, column score: 'high' is not a number"),
        ("1,nan\n", "1,0\n", 1, "batch.csv.out, line 1, column score: 'nan' is not a number"),
        ("1,inf\n", "1,0\n", 1, "batch.csv.out, line 1, column score: 'inf' is not a number"),
        ("1,0.5,0.5\n", "1,0\n", 1, "batch.csv.out, line 1: '1,0.5,0.5' is not a line id,score"),
        ("0.5\n", "1,0\n", 1, "batch.csv.out, line 1: '0.5' is not a line id,score"),
        ("1,0.5\n", "1,2\n", 1, "labels.csv, line 1, column Severity: '2' is not 0 or 1"),
        ("1,0.5\n", "1,sick\n", 1, "labels.csv, line 1, column Severity: 'sick' is not an integer"),
        ("1,0.5\n", "1,NaN\n", 1, "labels.csv, line 1, column Severity: 'NaN' is not an integer"),
        ("1,0.5\n", ",1\n", 1, "labels.csv, line 1, column id: every line needs an id"),
        ("1,0.5\n", "1,0,0\n", 1, "labels.csv, line 1: has 3 cells; expected 2: id,label"),
        (
            "1,0.5\n",
            "id,outcome\n1,0\n",
            1,
            "labels.csv, line 1: the header 'id,outcome' must name id and Severity",
        ),
        ("1,0.5\n", '1,"0\n', 1, "labels.csv, line 1: is not CSV: unexpected end of data"),
        ("1,0.5\n", "1,\udcff\n", 1, "labels.csv: byte 3 is 0xff: the file is not UTF-8"),
        ("1,0.5\n", "1,\0\n", 1, "labels.csv: the file holds NUL bytes: it is not a CSV file"),
        ("1,0.5\n", "1,0\n1,1\n", 1, "no id of the ground truth can be used: 1 have values that disagree"),
        (
            "1,0.5\n",
            "a7,0\n",
            1,
            "none of the 1 ids of ground truth is among the 1 ids of the predictions: the first are 'a7' and '1'",
        ),
    ],
)
def test_a_broken_input_gives_one_clear_line_and_no_verdict(
    bench: Workbench,
    at_training: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
    predictions: str,
    truth: str,
    code: int,
    told: str,
) -> None:
    inputs = lay_out(bench.root / "in", predictions, truth, at_training)

    assert checked(bench, inputs) == (code, {})
    assert bench.message == told
    assert capfd.readouterr().err == told + "\n"


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ("{", "evaluation.json is not JSON: "),
        ("[]", "evaluation.json is not what evaluate writes: "),
        ("{}", "evaluation.json is not what evaluate writes: KeyError('binary_classification_metrics')"),
        (
            '{"binary_classification_metrics": {"auc": {"value": 1.5, "standard_deviation": 0}}}',
            "evaluation.json is not what evaluate writes: ValueError('an AUC of 1.5 ",
        ),
    ],
)
def test_an_evaluation_that_cannot_be_read_is_named(bench: Workbench, described: str, told: str) -> None:
    inputs = lay_out(bench.root / "in", "1,0.5\n", "1,0\n", described)

    assert checked(bench, inputs) == (2, {})
    assert bench.message.startswith(told)


def test_an_evaluation_that_is_missing_is_named(bench: Workbench) -> None:
    inputs = lay_out(bench.root / "in", "1,0.5\n", "1,0\n", "{}")
    (inputs / "evaluation" / "evaluation.json").unlink()

    assert checked(bench, inputs) == (2, {})
    assert bench.message == "expected one evaluation.json in the input folder 'evaluation', found none"


def test_files_whose_ids_are_row_numbers_are_not_joined_with_each_other(
    bench: Workbench, at_training: dict[str, Any]
) -> None:
    inputs = lay_out(bench.root / "in", {"a.out": "1,0.5\n", "b.out": "1,0.6\n"}, "1,0\n", at_training)

    assert checked(bench, inputs) == (1, {})
    assert bench.message.startswith(
        "2 files of predictions can't be joined: without an id_column in model.yaml"
    )


def test_a_batch_that_cannot_be_read_is_named(bench: Workbench, at_training: dict[str, Any]) -> None:
    _, labels, scores = _later()
    inputs = lay_out(
        bench.root / "in", _lines(scores), _lines(labels), at_training, {"b.csv": "5,60,3\n5,60,3,5,3\n"}
    )

    assert checked(bench, inputs) == (1, {})
    assert bench.message.startswith("b.csv, line 1: has 3 cells; expected 5")


def test_scores_that_say_the_truth_are_calibrated_and_others_are_not() -> None:
    rng = np.random.default_rng(2)
    scores = rng.random(20_000)
    labels = (rng.random(20_000) < scores).astype(float)

    right, wrong = calibration(labels, scores), calibration(labels, scores**2)

    assert right is not None
    assert wrong is not None
    assert len(right.bins) == 10
    assert right.error < 0.02
    assert right.error < 2 * right.error_by_chance
    assert abs(right.excess) < 3 * right.excess_error
    # E[s - s^2] = 1/6 for uniform s
    assert wrong.excess == pytest.approx(1 / 6, abs=0.01)
    assert wrong.error == pytest.approx(1 / 6, abs=0.01)


def test_a_segment_holds_its_lower_end_and_not_its_upper() -> None:
    values = np.array([1.0, 2.0, 3.0, np.nan])

    def held(**ends: Any) -> list[bool]:
        given = {"low": None, "high": None, "missing": False} | ends
        return list(Segment(feature="f", label="", **given).holds(values).tolist())

    assert held(low=1.0, high=3.0) == [True, True, False, False]
    assert held(low=2.0, high=2.0) == [False, True, False, False]
    assert held(high=2.0) == [True, False, False, False]
    assert held(low=2.0) == [False, True, True, False]
    assert held(missing=True) == [False, False, False, True]
