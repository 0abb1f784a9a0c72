"""The page shows the run's own numbers, to a person on a phone as on a desk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from demo import report
from tests.demo.pages import look


def evaluation(holdout: float, champion: float | None) -> dict[str, Any]:
    return {
        "binary_classification_metrics": {
            "receiver_operating_characteristic_curve": {
                "false_positive_rates": [0.0, 0.1, 1.0],
                "true_positive_rates": [0.0, 0.8, 1.0],
            }
        },
        "gate": {"cv_auc": 0.9012, "cv_auc_sd": 0.003, "holdout_auc": holdout, "champion_auc": champion},
        "data": {"rows": 822},
        "attributions": {"BIRADS": 1.4, "Age": 0.6},
    }


def judged(verdict: str, action: str, auc: float, message: str) -> dict[str, Any]:
    numbers = {"value": auc, "at_training": 0.921}
    return {
        "verdict": verdict,
        "action": action,
        "auc": numbers,
        "rows": {"joined": 48},
        "message": message,
    }


def story() -> dict[str, Any]:
    run = {
        "name": "prod drifted <batch>",
        "pipeline": "mammo-severity-inference-pipeline",
        "status": "Failed",
        "failed_step": "Mammo-DriftFail",
        "model_version": 1,
        "rows_scored": None,
        "seconds": 4.2,
    }
    return {
        "summary": {
            "dataset": {"source": "original file", "rows": 961},
            "stacks": {"RegistryStack": "CREATE_COMPLETE", "DevStack": "CREATE_COMPLETE"},
            "versions": [{}, {}],
            "runs": [
                run,
                run | {"name": "prod scores", "status": "Succeeded", "failed_step": None, "rows_scored": 48},
            ],
            "retrains": 1,
            "denied": [
                {"who": "prod's train role", "action": "s3:GetObject", "what": "reads", "allowed": False}
            ],
            "phases": {"Deploy": 12.0},
            "seconds": 77.0,
        },
        "timeline": [
            {"title": "drift & more", "kind": "drift", "at": 31.5, "shown": ["Age lies 0.310 away"]}
        ],
        "versions": [
            {"version": 1, "trained_in": "dev", "status": "Approved", "evaluation": evaluation(0.91, None)},
            {"version": 2, "trained_in": "prod", "status": "Rejected", "evaluation": evaluation(0.92, 0.905)},
        ],
        "messages": [
            {"subject": "[prod] a subject", "topic": "a-topic", "body": "What happened\nx <script>"}
        ],
        "judged": [
            judged("ok", "none", 0.93, "AUC 0.930 of 48 labelled rows"),
            judged("loss", "announce_and_retrain", 0.58, "AUC 0.580 of 48 <labelled> rows"),
        ],
        "batch_page": "<!doctype html><p>Age moved</p>",
        "drift": {
            "message": "Age drifted",
            "features": [
                {"name": "Age", "distance": 0.31, "threshold": 0.1, "drifted": True},
                {"name": "Shape", "distance": 0.02, "threshold": 0.1, "drifted": False},
            ],
        },
    }


def text_of(page: str) -> str:
    return re.sub(r"<[^>]+>", " ", page)


def test_the_page_tells_the_numbers_of_the_run() -> None:
    text = text_of(report.render(story()))
    for expected in (
        "961 rows",
        "77 seconds",
        "0.901 ± 0.003",
        "0.905",
        "0.310 drifted",
        "[prod] a subject",
        "denied",
    ):
        assert expected in text


def test_drifted_features_come_first() -> None:
    text = text_of(report.render(story()))
    assert text.index("0.310") < text.index("0.020")


def test_other_numbers_give_another_page() -> None:
    other = story()
    other["versions"][1]["evaluation"]["gate"]["cv_auc"] = 0.777
    assert "0.777 ±" in text_of(report.render(other))


def test_the_monitors_own_page_of_the_drifted_batch_is_in_it() -> None:
    page = report.render(story() | {"batch_page": '<!doctype html><p class="x">Age moved</p>'})
    assert 'srcdoc="&lt;!doctype html&gt;&lt;p class=&quot;x&quot;&gt;Age moved&lt;/p&gt;"' in page


def test_what_labels_said_is_told_with_its_verdict() -> None:
    text = text_of(report.render(story()))
    assert re.search(r"48\s+0\.930\s+0\.921\s+as at training\s+AUC 0\.930 of 48 labelled rows", text)
    assert re.search(r"48\s+0\.580\s+0\.921\s+lost\s+AUC 0\.580 of 48 &lt;labelled&gt; rows", text)
    assert re.search(r"1\s+loss shown by late labels, told once", text)


def test_what_labels_said_in_words_has_the_width_of_the_table() -> None:
    page = report.render(story())
    assert '<tr class="told"><td colspan="4">AUC 0.930 of 48 labelled rows</td></tr>' in page
    assert page.index("AUC 0.930 of") < page.index(">lost<") < page.index("AUC 0.580 of")


def test_a_distance_that_is_no_gap_between_distributions_is_told_as_what_it_is() -> None:
    text = text_of(report.render(story()))
    assert (
        "distance of (attributions) is how much of what the features contribute to the scores has moved"
        in text
    )


def test_what_comes_from_outside_is_escaped() -> None:
    page = report.render(story())
    assert "x &lt;script&gt;" in page
    assert "prod drifted &lt;batch&gt;" in page
    assert "<script" not in page


def test_the_page_needs_nothing_beside_it() -> None:
    page = report.render(story())
    assert not re.findall(r'(?:src|href)="[^"#]', page)
    assert "url(" not in page.replace("url(#", "")
    assert "@import" not in page


def test_nothing_runs_over_the_edge_on_a_phone_or_a_desk(tmp_path: Path) -> None:
    seen = look(report.render(story()), [390, 1280], tmp_path)
    for width, numbers in seen.items():
        assert numbers["scroll"] <= width
        assert numbers["text"] > 500


def test_no_name_of_a_bar_is_cut_on_a_phone_or_a_desk(tmp_path: Path) -> None:
    told = story()
    told["drift"]["features"] += [
        {"name": name, "distance": 0.12, "threshold": 0.1, "drifted": True}
        for name in ("(attributions)", "a_column_with_a_name_that_nobody_would_break_into_lines" * 2)
    ]
    seen = look(report.render(told), [390, 1280], tmp_path)
    for width, numbers in seen.items():
        assert numbers["names"] == 4, width
        assert numbers["cut"] == 0, width
        assert numbers["bar"] >= 36, width
