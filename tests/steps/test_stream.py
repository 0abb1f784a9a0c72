"""The engine that streams gives what the row reader gives."""

from __future__ import annotations

import bz2
import gzip
import lzma
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline_code.steps.model import Model
from pipeline_code.steps.quality.blocks import BLOCK, LONGEST_LINE
from pipeline_code.steps.quality.ids import Ids
from pipeline_code.steps.quality.layout import Layout
from pipeline_code.steps.quality.stream import read_state
from tests.steps.stream_kit import by_rows, csv_files, model, plain

FAST = -1  # bytes up to which files are read row by row


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stream") / "b.csv"


def _streamed(path: Path, held: Model, size: int) -> dict[str, Any]:
    """Return what the engine makes of a file, read in blocks of so many bytes."""
    return plain(
        read_state(Layout.of_batch(held), [(path, path.name)], small=FAST, block_size=size).profile()
    )


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=csv_files(), header=st.booleans(), size=st.sampled_from([40, 90, 300, 5000]))
def test_a_file_gives_the_same_profile_and_problems_in_blocks_as_row_by_row(
    file: Path, content: bytes, header: bool, size: int
) -> None:
    held = model(id_column="id", header=header)
    file.write_bytes(content)

    streamed = _streamed(file, held, size)
    expected = plain(by_rows(file, "b.csv", held))

    if [kind for _, kind, _ in expected["problems"]] == ["unreadable"]:
        # the row reader looks at all bytes before it reads rows; a stream may come upon a broken row before
        assert "unreadable" in [kind for _, kind, _ in streamed["problems"]]
    else:
        assert streamed == expected


def _write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_first_of_many_mistyped_cells_is_told_with_line_and_value_and_the_others_are_counted(
    tmp_path: Path,
) -> None:
    lines = [f"{n % 90},1,{n}.5,a,x" for n in range(3000)]
    for place in range(500, 3000, 50):
        lines[place] = "old,1,NaN,a,x"
    path = _write(tmp_path / "b.csv", lines)

    problems = _streamed(path, model(), 2000)["problems"]

    assert problems == [
        ("b.csv, line 501, column count: 'old' is not an integer", "type", 50),
        ("b.csv, line 501, column size: 'NaN' is not a number; a missing value is '' or '?'", "type", 50),
    ]


def test_lines_are_counted_across_quoted_line_breaks_and_blank_lines(tmp_path: Path) -> None:
    lines = ["1,1,1,a,x", '1,1,1,a,"two\nlines"', "", "1,1,1,a,x"] * 400
    path = _write(tmp_path / "b.csv", [*lines, "1,1,1,a"])

    problems = _streamed(path, model(), 900)["problems"]

    assert problems == [
        ("b.csv, line 2001: has 4 cells; expected 5: count,level,size,kind,note", "missing_column", 1)
    ]


@pytest.mark.parametrize(
    ("suffix", "opener"), [(".gz", gzip.open), (".bz2", bz2.open), (".xz", lzma.open), (".zst", None)]
)
def test_a_compressed_file_is_read_as_what_it_holds(tmp_path: Path, suffix: str, opener: Any) -> None:
    whole = _write(tmp_path / "b.csv", [f"{n % 90},1,{n}.5,a,x" for n in range(3000)])
    packed = tmp_path / f"b.csv{suffix}"
    if opener is None:
        packed.write_bytes(pa.compress(whole.read_bytes(), "zstd", asbytes=True))
    else:
        with opener(packed, "wb") as out:
            out.write(whole.read_bytes())

    assert _streamed(packed, model(), 4000)["columns"] == _streamed(whole, model(), 4000)["columns"]


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".xz"])
def test_a_compressed_file_that_is_cut_off_counts_nothing_and_is_named(tmp_path: Path, suffix: str) -> None:
    content = "\n".join(f"{n % 90},1,{n}.5,a,x" for n in range(20_000)).encode()
    packed = {
        ".gz": gzip.compress(content),
        ".xz": lzma.compress(content),
        ".zst": pa.compress(content, "zstd", asbytes=True),
    }[suffix]
    path = tmp_path / f"b.csv{suffix}"
    path.write_bytes(packed[: len(packed) * 3 // 4])

    found = _streamed(path, model(), 4000)

    assert found["rows"] == 0
    ((told, kind, _),) = found["problems"]
    assert kind == "unreadable"
    assert "the compressed file is broken or cut off" in told


def test_a_line_without_end_is_refused_before_it_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    with path.open("wb") as out:
        out.write(b"1,1,1,a,x\n")
        out.truncate(1 << 30)  # a gigabyte of zeros that takes no space

    started = time.process_time()
    problems = _streamed(path, model(), BLOCK)["problems"]

    assert time.process_time() - started < 2
    assert [told for told, _, _ in problems] == [
        f"b.csv: a row is longer than {LONGEST_LINE:,} bytes: it is not a CSV file of rows"
    ]


def test_ids_that_repeat_across_blocks_are_told_with_the_line_and_counted(tmp_path: Path) -> None:
    held = model(id_column="id")
    names = [f"r{n}" for n in range(2000)]
    names[1500], names[1700], names[1800], names[1900] = "r3", "r1699", "", 'r"'
    path = _write(tmp_path / "b.csv", [f"{name},1,1,1,a,x" for name in names])

    problems = _streamed(path, held, 1000)["problems"]

    assert problems == [
        ("b.csv, line 1501, column id: 'r3' is the id of an earlier row too", "value", 2),
        ("b.csv, line 1801, column id: every row needs an id", "missing", 1),
        (
            "b.csv, line 1901, column id: 'r\"' holds a comma, quote or line break, or what can't be printed",
            "type",
            1,
        ),
    ]


def test_more_ids_than_are_remembered_are_looked_at_in_part() -> None:
    ids = Ids(most=1000)
    ids.add(ids.digests([f"r{n}" for n in range(6000)]))

    again = ids.repeated(ids.digests([f"r{n}" for n in range(6000)]))

    assert ids.share in (1 / 8, 1 / 16)
    assert 0.5 < again / (6000 * ids.share) < 1.5
    assert ids.repeated(ids.digests([f"s{n}" for n in range(6000)])) == 0


def test_problems_of_a_later_file_are_counted_with_those_of_the_first(tmp_path: Path) -> None:
    first = _write(tmp_path / "1.csv", ["1,9,1,a,x"] * 300)
    second = _write(tmp_path / "2.csv", ["1,9,1,a,x", "1,1,1,a,x"] * 300)

    state = read_state(
        Layout.of_batch(model()), [(first, "1.csv"), (second, "2.csv")], small=FAST, block_size=500
    )

    assert [(str(p), p.times) for p in state.problems] == [
        ("1.csv, line 1, column level: '9' is not one of 1, 2, 3", 600)
    ]
    assert state.files == {"1.csv": 300, "2.csv": 600}
