"""Compressed files of several streams: read whole, or a problem; never as a shorter file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline_code.steps.model import Model
from pipeline_code.steps.parts import batch_parts
from pipeline_code.steps.quality.blocks import opened
from pipeline_code.steps.quality.layout import Layout
from pipeline_code.steps.quality.stream import read_state
from pipeline_code.steps.quality.unpacked import CHUNK, Unpacked
from pipeline_code.steps.rows import Problem
from tests.steps.stream_kit import model

LINES = [f"{n % 90},1,{n}.5,a,x\n".encode() for n in range(3000)]
FIRST, SECOND = b"".join(LINES[:1000]), b"".join(LINES[1000:])
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: bytes(pa.compress(content, "zstd", asbytes=True)),
}


def _flipped(packed: bytes) -> bytes:
    """Return a stream with a bit of its header flipped: the first read of it fails."""
    return bytes([packed[0], packed[1] ^ 1]) + packed[2:]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit": _flipped,
    "a flipped bit in the middle": lambda packed: (
        packed[: len(packed) // 2] + bytes([packed[len(packed) // 2] ^ 1]) + packed[len(packed) // 2 + 1 :]
    ),
    "text for a stream": lambda packed: b"5,60,3,5,3\n" * 20,
    "text after the last stream": lambda packed: packed + b"5,60,3,5,3\n",
    "a stream cut off": lambda packed: packed[:-9],
    "a stream cut off in its header": lambda packed: packed[:3],
}


def _problems(path: Path, held: Model, small: int) -> tuple[int, list[Problem]]:
    state = read_state(Layout.of_batch(held), [(path, path.name)], small=small, block_size=4000)
    return state.rows, list(state.problems)


@pytest.mark.parametrize("small", [-1, 1 << 30], ids=["blocks", "rows"])
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("suffix", PACKERS)
def test_damage_beyond_the_first_stream_is_a_problem_of_the_file(
    tmp_path: Path, suffix: str, damage: str, small: int
) -> None:
    pack, path = PACKERS[suffix], tmp_path / f"b.csv{suffix}"
    path.write_bytes(pack(FIRST) + DAMAGE[damage](pack(SECOND)))

    rows, problems = _problems(path, model(), small)

    assert rows == 0
    assert [problem.kind for problem in problems] == ["unreadable"]
    if damage != "a flipped bit in the middle":  # bzip2 may give other bytes before it finds out
        assert "the compressed file is broken or cut off: " in problems[0].text


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_a_stream_of_zeros_is_a_problem_of_the_file(tmp_path: Path, suffix: str) -> None:
    packed = PACKERS[suffix](SECOND)
    path = tmp_path / f"b.csv{suffix}"
    path.write_bytes(PACKERS[suffix](FIRST) + bytes(len(packed) // 4 * 4 + 1) + packed)

    assert [problem.kind for problem in _problems(path, model(), -1)[1]] == ["unreadable"]


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_a_damaged_stream_is_a_problem_where_each_row_is_prepared(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"b.csv{suffix}"
    path.write_bytes(PACKERS[suffix](FIRST) + _flipped(PACKERS[suffix](SECOND)))
    problems: list[Problem] = []

    for _ in batch_parts(path, path.name, model(), problems):
        pass

    assert [problem.kind for problem in problems] == ["unreadable"]


@pytest.mark.parametrize("suffix", PACKERS)
def test_streams_are_read_one_after_another(tmp_path: Path, suffix: str) -> None:
    pack, path = PACKERS[suffix], tmp_path / f"b.csv{suffix}"
    path.write_bytes(pack(FIRST) + pack(b"") + b"".join(pack(line) for line in LINES[1000:]))

    with opened(path) as file:
        parts = list(iter(lambda: file.read(1000), b""))

    assert b"".join(parts) == FIRST + SECOND
    assert {len(part) for part in parts[:-1]} == {1000}


@pytest.mark.parametrize("between", [0, 4, 4 * CHUNK + 8])
@pytest.mark.parametrize("after", [0, 4, CHUNK])
def test_zeros_pad_the_streams_of_an_xz_file(between: int, after: int) -> None:
    packed = lzma.compress(FIRST) + bytes(between) + lzma.compress(SECOND) + bytes(after)

    assert Unpacked.xz(io.BytesIO(packed)).read(1 << 20) == FIRST + SECOND


@pytest.mark.parametrize("zeros", [1, 6, CHUNK + 3])
def test_zeros_that_are_no_padding_are_refused(zeros: int) -> None:
    unpacked = Unpacked.xz(io.BytesIO(lzma.compress(FIRST) + bytes(zeros)))

    assert unpacked.read(len(FIRST)) == FIRST
    with pytest.raises(OSError, match=f"^{zeros} zeros follow a stream, which isn't a multiple of four$"):
        unpacked.read(1)


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_a_stream_that_holds_far_more_than_its_size_is_read_bit_by_bit(suffix: str) -> None:
    packed = PACKERS[suffix](bytes(100 << 20))
    unpacked = (Unpacked.xz if suffix == ".xz" else Unpacked.bzip2)(io.BytesIO(packed))

    tracemalloc.start()
    held = sum(len(part) for part in iter(lambda: unpacked.read(1 << 20), b""))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert held == 100 << 20
    assert most < 20 << 20
