"""Wheels and wheels.txt, which a job reads before anything else: used as they are meant, or refused in one line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline_code.steps.program import UsageError
from pipeline_code.steps.wheel_pins import CONTAINER, PinError, key_of, read_pins
from pipeline_code.steps.wheelhouse import unpack
from tests.fuzz.fuzzing import files_below, fuzz, one_line
from tests.fuzz.test_code_and_assembly_archives import archives

LINES = [
    "idna==3.1", " \\", "--hash=sha256:" + "a" * 64, "--hash=sha256:b", "# via", "==", ";", "@ file:///etc", "-r other",
    "idna[extra]", "\x00", "é", "\u2028", "\x1b[31m", "numpy==2", "attrs == 1.0", "\\",
]  # fmt: skip
WORDS = [
    "a",
    "1.0",
    "py3",
    "cp312",
    "none",
    "any",
    "manylinux_2_17_x86_64",
    "manylinux1_x86_64",
    "",
    ".",
    "py",
    "é",
    "²",
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@fuzz(150)
@given(archives())
def test_a_wheel_is_unpacked_below_its_folder_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    home = tmp_path_factory.mktemp("wheel")
    wheel = home / "a-1.0-py3-none-any.whl"
    wheel.write_bytes(content)
    with suppress(UsageError):  # any other error is a fault
        unpack(wheel, home / "target")
    assert {name.split("/")[0] for name in files_below(home)} <= {wheel.name, "target"}
    assert not [path for path in Path(home).rglob("*") if path.is_symlink()]


@fuzz(300)
@given(st.lists(st.sampled_from(["\n", " ", *LINES]) | st.text(max_size=5)).map("".join))
@example("idna==3.1 \\")
@example("\\\nidna==3.1")
@example("idna==3.1 --hash=sha256:" + "a" * 64 + " trailing")
def test_pins_are_whole_or_refused_in_one_line(text: str) -> None:
    try:
        pins = read_pins(text, "wheels.txt")
    except PinError as error:
        said = str(error)
    else:
        said = "pinned"
        assert all(pin.hashes and {*map(len, pin.hashes)} == {64} for pin in pins)
        assert len({pin.key[0] for pin in pins}) == len(pins)
    assert one_line(said), said


@fuzz(300)
@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=3), min_size=4, max_size=7))
def test_any_name_of_a_file_is_one_of_a_wheel_or_refused(parts: list[str]) -> None:
    file = "-".join(parts) + ".whl"
    try:
        key_of(file)
    except PinError:
        assert not CONTAINER.takes(file)
    else:
        assert CONTAINER.takes(file) in (True, False)
