"""`python -m steps.data_quality`: its modes, what they leave, their exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.mammography import dataset
from pipeline_code.steps import data_quality
from pipeline_code.steps.quality import csv_stream, stream
from tests.steps.steps_kit import Workbench

ROOT = Path(__file__).resolve().parents[2]


def _run(bench: Workbench, mode: str, inputs: Path, name: str, *more: str) -> int:
    return data_quality.main(
        [
            mode,
            "--model",
            str(bench.model_path),
            "--input",
            str(inputs),
            "--output",
            str(bench.root / name),
            *more,
        ]
    )


def _inputs(bench: Workbench, baseline: Path, **folders: list[Path]) -> Path:
    inputs = bench.root / f"in-{len(list(bench.root.iterdir()))}"
    for kind in ("statistics", "constraints"):
        (inputs / kind).mkdir(parents=True)
        shutil.copy(baseline / "baseline" / f"{kind}.json", inputs / kind)
    for folder, paths in folders.items():
        (inputs / folder).mkdir()
        for path in paths:
            shutil.copy(path, inputs / folder)
    return inputs


def _verdict(bench: Workbench, name: str) -> dict[str, Any]:
    return dict(json.loads((bench.root / name / "report" / "verdict.json").read_text()))


@pytest.fixture
def shards(bench: Workbench, files: dict[str, Path]) -> list[Path]:
    """The drifted batch in three files."""
    lines = files[dataset.OUTLIERS].read_text().splitlines(keepends=True)
    paths = []
    for number in range(3):
        paths.append(bench.root / f"part-{number}.csv")
        paths[-1].write_text("".join(lines[number::3]))
    return paths


def test_the_baseline_of_training_files_is_that_of_preprocess(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    data = bench.root / "training" / "data"
    data.mkdir(parents=True)
    shutil.copy(files[dataset.PART1], data)

    assert _run(bench, "baseline", data.parent, "out") == 0

    for name in ("statistics.json", "constraints.json"):
        assert (bench.root / "out" / "baseline" / name).read_text() == (part1 / "baseline" / name).read_text()


def test_training_data_that_do_not_fit_have_no_baseline(bench: Workbench, files: dict[str, Path]) -> None:
    data = bench.root / "training" / "data"
    data.mkdir(parents=True)
    (data / "a.csv").write_text("5,60,3,5,3,1\n5,old,3,5,3,1\n5,61,3,5,3,\n")

    assert _run(bench, "baseline", data.parent, "out") == 1
    assert bench.message == "a.csv, line 2, column Age: 'old' is not a number (and 1 more problems)"
    assert not (bench.root / "out").exists()


def test_states_of_shards_in_any_order_give_the_verdict_of_one_instance(
    bench: Workbench, part1: Path, shards: list[Path]
) -> None:
    assert _run(bench, "check", _inputs(bench, part1, data=shards), "whole") == 0
    for order in ([0, 1, 2], [2, 0, 1]):
        states = []
        for place, number in enumerate(order):
            name = f"shard-{order[0]}-{number}"
            assert (
                _run(bench, "check", _inputs(bench, part1, data=[shards[number]]), name, "--state-only") == 0
            )
            (written,) = (bench.root / name / "state").iterdir()
            states.append(written.rename(written.with_name(f"state-{place}.npz")))

        merged = f"merged-{order[0]}"
        assert _run(bench, "merge", _inputs(bench, part1, states=states), merged, "--instances", "3") == 0

        assert _verdict(bench, merged) == _verdict(bench, "whole")
        for name in ("statistics.json", "constraint_violations.json"):
            assert (bench.root / merged / "report" / name).read_text() == (
                bench.root / "whole" / "report" / name
            ).read_text()
    assert _verdict(bench, "whole")["verdict"] == "drift"


def test_an_instance_without_files_leaves_an_empty_state_and_a_lost_state_is_missed(
    bench: Workbench, part1: Path, shards: list[Path]
) -> None:
    for name, paths in (("one", shards), ("none", [])):
        assert _run(bench, "check", _inputs(bench, part1, data=paths), name, "--state-only") == 0
    one, none = (next((bench.root / name / "state").iterdir()) for name in ("one", "none"))

    both = _inputs(bench, part1, states=[one, none])
    assert _run(bench, "merge", both, "out", "--instances", "2") == 0
    assert _verdict(bench, "out")["rows"] > 0

    assert _run(bench, "merge", _inputs(bench, part1, states=[one]), "out", "--instances", "2") == 2
    assert bench.message == "1 states of 2 instances are in the folder 'states'"
    assert _run(bench, "merge", _inputs(bench, part1, states=[none]), "out") == 1
    assert bench.message == "no data file in the input folder of any instance"
    assert _run(bench, "merge", _inputs(bench, part1, states=[]), "out") == 2
    assert bench.message == "no state*.npz in the input folder 'states'"


def test_instances_of_a_job_name_their_states_after_themselves(
    bench: Workbench, part1: Path, shards: list[Path]
) -> None:
    (bench.root / "config").mkdir()
    (bench.root / "config" / "resourceconfig.json").write_text(
        '{"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]}'
    )

    assert _run(bench, "check", _inputs(bench, part1, data=shards), "out", "--state-only") == 0

    assert [path.name for path in (bench.root / "out" / "state").iterdir()] == ["state-algo-2.npz"]


@pytest.mark.parametrize(
    ("batch", "code"), [(dataset.BATCH, 0), (dataset.OUTLIERS, 4), (dataset.BROKEN, 4), (None, 1)]
)
def test_with_exit_code_findings_are_told_apart_from_bad_data(
    bench: Workbench, part1: Path, files: dict[str, Path], batch: str | None, code: int
) -> None:
    inputs = _inputs(bench, part1, data=[files[batch]] if batch else [])

    assert _run(bench, "check", inputs, "out", "--exit-code") == code
    assert _run(bench, "check", inputs, "quiet") == (0 if batch else 1)


def test_a_large_batch_is_read_by_the_engine_and_says_how_far_it_is(
    bench: Workbench,
    part1: Path,
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    large = bench.root / "large.csv"
    large.write_text("".join(line + "\n" for line in files[dataset.BATCH].read_text().splitlines()) * 10_000)
    assert large.stat().st_size > stream.SMALL
    monkeypatch.setattr(stream, "SILENT", 0.0)
    monkeypatch.setattr(csv_stream.CsvStream, "_by_rows", None)  # a block that fits needs no row reader

    assert _run(bench, "check", _inputs(bench, part1, data=[large]), "out") == 0

    assert _verdict(bench, "out")["rows"] == len(large.read_text().splitlines())
    assert "% of the data" in capsys.readouterr().err


def test_a_check_of_a_thousand_rows_takes_less_than_a_second_of_a_processor(
    bench: Workbench, part1: Path, files: dict[str, Path]
) -> None:
    batch = bench.root / "b.csv"
    batch.write_text("\n".join((files[dataset.BATCH].read_text().splitlines() * 30)[:1000]) + "\n")
    inputs = _inputs(bench, part1, data=[batch])
    timed = (
        "import sys, time; from steps import data_quality;"
        "code = data_quality.main(sys.argv[1:]); print(time.process_time()); sys.exit(code)"
    )

    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            timed,
            "check",
            "--model",
            bench.model_path,
            "--input",
            inputs,
            "--output",
            bench.root,
        ],
        cwd=ROOT / "pipeline_code",
        capture_output=True,
        text=True,
        check=True,
    )

    assert float(ran.stdout.splitlines()[-1]) < 1
