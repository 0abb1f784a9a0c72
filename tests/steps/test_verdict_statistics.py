"""What a verdict says of chance: p-values and methods, and what so few rows could not have shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.mammography import dataset
from tests.steps.steps_kit import Workbench, original_rows, shipped_json


def _rows(start: int, size: int) -> bytes:
    rows = original_rows()[::3][start : start + size]
    return ("\n".join(",".join(row[:-1]) for row in rows) + "\n").encode()


def test_a_batch_of_48_rows_fits_and_proves_little(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    verdict = bench.check("run", part1 / "baseline", files[dataset.BATCH])

    assert (verdict["verdict"], verdict["action"]) == ("ok", "deliver")
    assert verdict["rows"] < 100
    assert verdict["low_power"] == [feature["name"] for feature in verdict["features"]]
    assert verdict["message"] == (
        f"{verdict['rows']} rows fit the baseline, but are too few to show a shift by half a standard deviation or 20"
        " points of share in Age, BIRADS, Density, Margin, Shape."
    )


def test_a_batch_of_250_rows_could_have_shown_it(bench: Workbench, part1: Path) -> None:
    verdict = bench.check("run", part1 / "baseline", _rows(0, 250))

    assert (verdict["verdict"], verdict["low_power"]) == ("ok", [])
    assert verdict["message"] == "250 rows fit the baseline."


def test_a_column_with_few_values_present_has_low_power_by_itself(bench: Workbench, part1: Path) -> None:
    described = json.loads((part1 / "baseline" / "constraints.json").read_text())
    described["features"][4]["monitoringConfigOverrides"] = {"evaluate_constraints": "Disabled"}
    baseline = bench.root / "baseline"
    baseline.mkdir()
    (baseline / "constraints.json").write_text(json.dumps(described))
    (baseline / "statistics.json").write_bytes((part1 / "baseline" / "statistics.json").read_bytes())
    lines = _rows(0, 250).decode().splitlines()
    batch = [line if n < 40 else line.rsplit(",", 1)[0] + ",?" for n, line in enumerate(lines)]

    verdict = bench.check("run", baseline, ("\n".join(batch) + "\n").encode())

    assert (verdict["verdict"], verdict["low_power"]) == ("ok", ["Density"])


def test_what_drifted_has_shown_it(bench: Workbench, part1: Path, files: dict[str, Path]) -> None:
    verdict = bench.check("run", part1 / "baseline", files[dataset.OUTLIERS])

    drifted = [feature for feature in verdict["features"] if feature["drifted"]]
    assert {feature["name"] for feature in drifted} & set(verdict["low_power"]) == set()
    assert all(feature["p_value"] < 0.002 for feature in drifted)
    assert {feature["method"] for feature in verdict["features"]} == {"Robust"}


def _with_site(bench: Workbench, **monitor: Any) -> Path:
    """Return the baseline of training data with a column of texts."""
    described = shipped_json()
    described["columns"] = [
        described["columns"][0],
        {"name": "Site", "type": "string", "values": ["l", "r", "b"]},
    ]
    described["monitor"] |= monitor
    bench.model_path.write_text(json.dumps(described))
    training = bench.root / "training.csv"
    training.write_text("".join(f"{3 + n % 3},{'lllrrb'[n // 3 % 6]},{n % 2}\n" for n in range(1_800)))
    return bench.preprocess("train", training) / "baseline"


@pytest.mark.parametrize(
    ("monitor", "method", "drifted"),
    [
        ({}, "Robust LInfinity", False),
        (
            {
                "comparison_method": "Simple",
                "comparison_threshold": 0.1,
                "categorical_comparison_threshold": 0.1,
            },
            "Simple LInfinity",
            True,
        ),
        (
            {"categorical_drift_method": "ChiSquared", "categorical_comparison_threshold": 0.01},
            "ChiSquared",
            True,
        ),
    ],
)
def test_texts_are_compared_by_the_models_method(
    bench: Workbench, monitor: dict[str, Any], method: str, drifted: bool
) -> None:
    baseline = _with_site(bench, **monitor)
    # half, a third and a sixth in training; 12 points more of the rarest here
    sites = "l" * 47 + "r" * 25 + "b" * 28
    batch = "".join(f"{3 + n % 3},{site}\n" for n, site in enumerate(sites))

    verdict = bench.check("run", baseline, batch.encode())

    (site,) = [feature for feature in verdict["features"] if feature["name"] == "Site"]
    assert (site["method"], site["drifted"]) == (method, drifted)
    assert site["simple"] == pytest.approx(0.28 - 1 / 6, abs=0.02)
    assert (verdict["verdict"] == "drift") == drifted
    if method == "ChiSquared":
        assert site["p_value"] < site["threshold"] == 0.01
        assert "Site (p-value" in verdict["message"]
