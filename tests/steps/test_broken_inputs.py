"""Broken batches, by both programs that check them: a violation or one clear line, never a trace, never "ok"."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_code.steps import check_batch, data_quality
from tests.steps.steps_kit import Workbench

ROW = "5,60,3,5,3"
ROWS = [f"{3 + n % 3},{40 + n % 30},{1 + n % 4},{1 + n % 5},{1 + n % 4}" for n in range(60)]
LINE = 4_000_000  # letters; the engine's own tests have the longest ones


def _lines(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _instead(place: int, line: str) -> bytes:
    return _lines(*ROWS[:place], line, *ROWS[place + 1 :])


def _truncated() -> bytes:
    whole = gzip.compress(_lines(*ROWS * 40))
    return whole[: len(whole) // 2]


BROKEN: dict[str, tuple[str, bytes]] = {
    "an empty file": ("b.csv", b""),
    "a file of blank lines": ("b.csv", b"\n\n  \n"),
    "nothing but a header": ("b.csv", _lines("BIRADS,Age,Shape,Margin,Density")),
    "a header on top": ("b.csv", _lines("BIRADS,Age,Shape,Margin,Density", *ROWS)),
    "a header in the middle": ("b.csv", _instead(30, "BIRADS,Age,Shape,Margin,Density")),
    "a header at the end": ("b.csv", _lines(*ROWS, "BIRADS,Age,Shape,Margin,Density")),
    "pandas' numbers as a header": ("b.csv", _lines("0,1,2,3,4", *ROWS)),
    "a row too narrow": ("b.csv", _instead(7, "5,60,3,5")),
    "a row too wide": ("b.csv", _instead(7, "5,60,3,5,3,1")),
    "all rows too wide": ("b.csv", _lines(*[f"{row},1" for row in ROWS])),
    "a semicolon for a comma": ("b.csv", _lines(*[row.replace(",", ";") for row in ROWS])),
    "text in a number": ("b.csv", _instead(7, "5,old,3,5,3")),
    "nan": ("b.csv", _instead(7, "5,NaN,3,5,3")),
    "an infinity": ("b.csv", _instead(7, "5,inf,3,5,3")),
    "minus infinity, in words": ("b.csv", _instead(7, "5,-Infinity,3,5,3")),
    "a number too large for a double": ("b.csv", _instead(7, "5,1e999,3,5,3")),
    "digits of another script": ("b.csv", _instead(7, "5,٦٠,३,5,3")),
    "an unknown value": ("b.csv", _instead(7, "5,60,9,5,3")),
    "a number out of range": ("b.csv", _instead(7, "5,1000,3,5,3")),
    "10,000 columns": ("b.csv", _lines(*[",".join(["1"] * 10_000)] * 20)),
    "a header of 10,000 columns": (
        "b.csv",
        _lines(",".join(["BIRADS", *[f"x{n}" for n in range(9_999)]]), *[",".join(["1"] * 10_000)] * 3),
    ),
    "one very long line": ("b.csv", b"5" * LINE),
    "one very long line of cells": ("b.csv", b"5," * (LINE // 2)),
    "one very long quoted cell": ("b.csv", b'5,"' + b"6" * LINE),
    "a quote that never ends": ("b.csv", _instead(7, '5,"60,3,5,3')),
    "a truncated gzip file": ("b.csv.gz", _truncated()),
    "a gzip file of rubbish": ("b.csv.gz", gzip.compress(bytes(range(256)) * 8)),
    "a truncated parquet file": ("b.parquet", b"PAR1" + bytes(200)),
    "another encoding": ("b.csv", "5,60,3,5,3\n".encode("utf-16")),
    "a byte that is no UTF-8": ("b.csv", _lines(*ROWS) + b"5,6\xff,3,5,3\n"),
    "NUL bytes": ("b.csv", b"\0" * 500),
    "a missing column": ("b.csv", _lines(*[row.rsplit(",", 1)[0] for row in ROWS])),
    "a column of nothing": ("b.csv", _lines(*[row.rsplit(",", 1)[0] + "," for row in ROWS])),
    "all cells missing": ("b.csv", _lines(*["?,?,?,?,?"] * 60)),
}


def _check_batch(bench: Workbench, inputs: Path) -> int:
    return bench.run(check_batch.main, inputs, bench.root / "out")


def _data_quality(bench: Workbench, inputs: Path) -> int:
    (inputs / "batch").rename(inputs / "data")
    paths = {"--model": bench.model_path, "--input": inputs, "--output": bench.root / "out"}
    return data_quality.main(["check", *(word for pair in paths.items() for word in map(str, pair))])


@pytest.mark.parametrize("program", [_check_batch, _data_quality])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_batch_is_a_violation_or_one_clear_line(
    bench: Workbench,
    part1: Path,
    capfd: pytest.CaptureFixture[str],
    program: Callable[[Workbench, Path], int],
    name: str,
) -> None:
    file, content = BROKEN[name]
    inputs = bench.batch_inputs("run", part1 / "baseline", b"")
    (inputs / "batch" / "batch.csv").unlink()
    (inputs / "batch" / file).write_bytes(content)

    code = program(bench, inputs)

    told = capfd.readouterr()
    assert "Traceback" not in told.err + told.out
    assert code in (0, 1)
    if code:
        assert len(told.err.strip().splitlines()) == 1
        assert file in told.err
        return
    verdict = json.loads((bench.root / "out" / "report" / "verdict.json").read_text())
    assert (verdict["verdict"], verdict["action"]) == ("violation", "withhold_violation")
    assert verdict["violations"]
    assert len(verdict["message"]) < 1_024
    assert "\n" not in verdict["message"]
    prepared = bench.root / "out" / "prepared"
    assert [path.name for path in prepared.rglob("*")] in ([], ["NOT_PREPARED"])


def test_a_broken_file_among_good_ones_is_named(bench: Workbench, part1: Path) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", _lines(*ROWS))
    shutil.copy(inputs / "batch" / "batch.csv", inputs / "batch" / "also.csv")
    (inputs / "batch" / "broken.csv").write_bytes(_instead(7, "5,old,3,5,3"))

    assert _check_batch(bench, inputs) == 0

    verdict = json.loads((bench.root / "out" / "report" / "verdict.json").read_text())
    assert verdict["verdict"] == "violation"
    assert "broken.csv, line 8, column Age: 'old' is not a number" in verdict["message"]


def test_a_column_that_the_baseline_does_not_know_is_an_extra_column(bench: Workbench, part1: Path) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", _lines(*ROWS))
    for name in ("statistics", "constraints"):
        path = inputs / name / f"{name}.json"
        described = json.loads(path.read_text())
        del described["features"][2]
        path.write_text(json.dumps(described))

    assert _check_batch(bench, inputs) == 0

    verdict = json.loads((bench.root / "out" / "report" / "verdict.json").read_text())
    assert [(v["feature_name"], v["constraint_check_type"]) for v in verdict["violations"]] == [
        ("Shape", "extra_column_check")
    ]
