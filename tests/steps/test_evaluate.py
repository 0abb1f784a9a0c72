from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline_code.mammography import dataset
from pipeline_code.steps import evaluate
from pipeline_code.steps.cross_validation import cross_validated_auc
from pipeline_code.steps.preprocess import data_digest
from tests.steps.steps_kit import (
    Workbench,
    original_rows,
    shipped_json,
    shipped_model,
    train,
    write_archive,
)


def test_the_shipped_parameters_reach_an_auc_of_090_on_the_original_rows(
    record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repeated, grouped 5-fold cross-validation from scores, on all rows at hand.

    On the original 961 rows the mean must be at least 0.90. The 830 complete rows, which serve where UCI can't be
    reached, are other rows and an easier choice: the same 0.90 is asked there (measured: 0.912).
    """
    model = shipped_model()
    rows = [[float(cell) if cell != "?" else np.nan for cell in row] for row in original_rows()]
    numbers = np.array(rows)
    numbers[numbers[:, 0] == 55, 0] = 5

    areas = cross_validated_auc(numbers[:, :-1], numbers[:, -1], model.hyperparameters, model.evaluation)

    told = f"{len(rows)} rows: AUC {np.mean(areas):.4f} (sd over {len(areas)} repeats {np.std(areas):.4f})"
    record_property("auc", told)
    with capsys.disabled():
        print(f"\n{told}")
    assert len(rows) in (961, 830)
    assert np.mean(areas) >= 0.90


def test_evaluation_json_has_the_gate_the_curve_and_the_attributions(
    bench: Workbench, part1: Path, first_model: Path
) -> None:
    report = bench.evaluate("run", part1, first_model)

    gate, metrics = report["gate"], report["binary_classification_metrics"]
    assert gate["cv_auc"] > 0.88
    assert 0 < gate["cv_auc_sd"] < 0.02
    assert gate["holdout_auc"] == metrics["auc"]["value"] > 0.85
    assert (gate["champion_version"], gate["champion_auc"], gate["gain_over_champion"]) == ("none", None, 1.0)
    curve = metrics["receiver_operating_characteristic_curve"]
    area = np.trapezoid(curve["true_positive_rates"], curve["false_positive_rates"])
    assert area == pytest.approx(gate["holdout_auc"], abs=1e-3)
    assert set(report["attributions"]) == set(dataset.FEATURES)
    assert max(report["attributions"], key=report["attributions"].__getitem__) == "BIRADS"
    summary = json.loads((part1 / "summary" / "summary.json").read_text())
    assert report["data"]["sha256"] == summary["sha256"]


def test_the_baseline_is_copied_with_the_scores_of_the_holdout_as_one_more_feature(
    bench: Workbench, part1: Path, first_model: Path
) -> None:
    report = bench.evaluate("run", part1, first_model)

    copied, source = bench.root / "run" / "out" / "baseline", part1 / "baseline"
    assert (copied / "constraints.json").read_bytes() == (source / "constraints.json").read_bytes()
    statistics, before = (json.loads((folder / "statistics.json").read_text()) for folder in (copied, source))
    predicted = statistics["features"].pop()
    assert statistics == before
    assert predicted["name"] == "(prediction)"
    numbers = predicted["numerical_statistics"]
    assert numbers["common"] == {"num_present": report["data"]["holdout_rows"], "num_missing": 0}
    assert 0 < numbers["min"] < numbers["mean"] < numbers["max"] < 1
    kept = predicted["attributions"]
    assert kept["rows"] == report["data"]["holdout_rows"]
    assert kept["means"] == pytest.approx(report["attributions"], abs=1e-6)


def test_without_a_baseline_of_this_run_none_is_copied(
    bench: Workbench, part1: Path, first_model: Path
) -> None:
    prepared = bench.root / "prepared"
    shutil.copytree(part1, prepared)
    inputs = _inputs(bench, prepared, first_model)
    shutil.rmtree(inputs / "baseline")

    assert bench.run(evaluate.main, inputs, bench.root / "out") == 0
    assert not (bench.root / "out" / "baseline").exists()


def test_champion_and_challenger_are_judged_on_rows_that_neither_trained_on(
    bench: Workbench, part1: Path, both_parts: Path, first_model: Path, second_model: Path
) -> None:
    report = bench.evaluate("run", both_parts, second_model, champion=first_model)

    def features(path: Path) -> set[tuple[str, ...]]:
        return {tuple(line.split(",")[1:]) for line in path.read_text().splitlines()}

    judged = features(both_parts / "holdout" / "holdout.csv")
    assert not judged & features(part1 / "train" / "train.csv")
    assert not judged & features(both_parts / "train" / "train.csv")
    gate = report["gate"]
    assert gate["champion_version"] == "1"
    assert gate["gain_over_champion"] == pytest.approx(gate["holdout_auc"] - gate["champion_auc"], abs=2e-6)
    assert abs(gate["gain_over_champion"]) < 0.02


def test_a_model_against_itself_gains_nothing(bench: Workbench, part1: Path, first_model: Path) -> None:
    gate = bench.evaluate("run", part1, first_model, champion=first_model)["gate"]

    assert gate["gain_over_champion"] == 0.0


def test_shuffled_labels_are_rejected_by_the_gate(bench: Workbench, files: dict[str, Path]) -> None:
    lines = [line.rsplit(",", 1) for line in files[dataset.PART1].read_text().splitlines()]
    labels = np.random.default_rng(7).permutation([label for _, label in lines[1:]])
    shuffled = bench.root / "shuffled.csv"
    shuffled.write_text(
        "\n".join(
            [
                ",".join(lines[0]),
                *(f"{row},{label}" for (row, _), label in zip(lines[1:], labels, strict=True)),
            ]
        )
    )
    prepared = bench.preprocess("shuffled", shuffled)
    archive = train(
        prepared / "train" / "train.csv", shipped_model().hyperparameters, bench.root / "m.tar.gz"
    )

    gate = bench.evaluate("run", prepared, archive)["gate"]

    assert 0.4 < gate["cv_auc"] < 0.6 < shipped_json()["thresholds"]["auc"]


def test_a_champion_of_other_features_is_not_compared_and_the_report_says_so(
    bench: Workbench, part1: Path, first_model: Path
) -> None:
    narrow = bench.root / "narrow.csv"
    narrow.write_text(
        "\n".join(
            ",".join(line.split(",")[:4]) for line in (part1 / "train/train.csv").read_text().splitlines()
        )
    )
    champion = train(narrow, {"objective": "binary:logistic", "num_round": "2"}, bench.root / "narrow.tar.gz")

    gate = bench.evaluate("run", part1, first_model, champion=champion)["gate"]

    assert gate["champion_auc"] is None
    assert gate["note"] == "not compared: the champion expects 3 features, this model has 5"


def _inputs(bench: Workbench, prepared: Path, archive: Path) -> Path:
    inputs = bench.root / "in"
    for folder in ("train", "holdout", "summary", "baseline"):
        shutil.copytree(prepared / folder, inputs / folder)
    (inputs / "champion").mkdir()
    (inputs / "champion" / "NO_CHAMPION").touch()
    (inputs / "model").mkdir()
    shutil.copy(archive, inputs / "model" / "model.tar.gz")
    return inputs


def _pickled() -> bytes:
    return pickle.dumps({"not": "a model"})


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"xgboost-model": b"{}", "evil.py": b""}, "also holds 'evil.py'; only xgboost-model may be in it"),
        ({"../xgboost-model": b"{}"}, "holds '../xgboost-model'; only a file xgboost-model may be in it"),
        ({"model.pkl": _pickled()}, "holds 'model.pkl'"),
        ({"xgboost-model": _pickled()}, "not in XGBoost's UBJSON or JSON format; pickles are refused"),
        ({"xgboost-model": b""}, "not in XGBoost's UBJSON or JSON format"),
        ({"xgboost-model": b"{}"}, "XGBoost can't read xgboost-model in model.tar.gz"),
        ({}, "model.tar.gz is empty; expected xgboost-model in it"),
    ],
)
def test_an_archive_with_anything_but_an_xgboost_model_is_refused(
    bench: Workbench, part1: Path, members: dict[str, bytes], told: str
) -> None:
    archive = write_archive(bench.root / "bad.tar.gz", members)

    assert bench.run(evaluate.main, _inputs(bench, part1, archive), bench.root / "out") == 2
    assert told in bench.message


def test_a_link_in_the_place_of_the_model_is_refused(bench: Workbench, part1: Path) -> None:
    import tarfile

    archive = bench.root / "bad.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("xgboost-model")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)

    assert bench.run(evaluate.main, _inputs(bench, part1, archive), bench.root / "out") == 2
    assert "only a file xgboost-model may be in it" in bench.message


def test_a_model_larger_than_the_limit_is_refused_unread(bench: Workbench, tmp_path: Path) -> None:
    from pipeline_code.steps.archive import read_model_bytes
    from pipeline_code.steps.program import UsageError

    archive = write_archive(tmp_path / "model.tar.gz", {"xgboost-model": b"{" + b" " * 1_000})

    assert len(read_model_bytes(archive, largest=1_001)) == 1_001
    with pytest.raises(UsageError, match="has 1001 bytes; at most 1000 may be"):
        read_model_bytes(archive, largest=1_000)


def test_a_cut_archive_is_named(bench: Workbench, part1: Path, first_model: Path) -> None:
    cut = bench.root / "cut.tar.gz"
    cut.write_bytes(first_model.read_bytes()[:2_000])

    assert bench.run(evaluate.main, _inputs(bench, part1, cut), bench.root / "out") == 2
    assert "model.tar.gz is not a readable tar.gz archive" in bench.message


def test_a_missing_archive_is_named(bench: Workbench, part1: Path, first_model: Path) -> None:
    inputs = _inputs(bench, part1, first_model)
    (inputs / "champion" / "NO_CHAMPION").unlink()

    assert bench.run(evaluate.main, inputs, bench.root / "out") == 2
    assert bench.message == "expected one model.tar.gz in the input folder 'champion', found none"


def test_hyperparameters_that_xgboost_refuses_are_named(
    bench: Workbench, part1: Path, first_model: Path
) -> None:
    described = shipped_json()
    described["hyperparameters"]["max_depth"] = "deep"
    bench.model_path.write_text(json.dumps(described))

    assert bench.run(evaluate.main, _inputs(bench, part1, first_model), bench.root / "out") == 2
    assert "XGBoost refuses the hyperparameters of model.json" in bench.message


def test_a_holdout_of_one_class_is_bad_data(bench: Workbench, part1: Path, first_model: Path) -> None:
    inputs = _inputs(bench, part1, first_model)
    path = inputs / "holdout" / "holdout.csv"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if line.startswith("1,")))

    assert bench.run(evaluate.main, inputs, bench.root / "out") == 1
    assert bench.message == "holdout.csv holds one class only: AUC needs rows of both"


def test_the_digest_of_data_changes_with_a_files_name_and_content() -> None:
    from pipeline_code.steps.rows import FileRows

    first = data_digest([FileRows("a", "1")])

    assert first == data_digest([FileRows("a", "1")])
    assert len({first, data_digest([FileRows("b", "1")]), data_digest([FileRows("a", "2")])}) == 3
