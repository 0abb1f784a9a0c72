"""Zip archives that two deployments trust: the code asset, and the assembly that a rollback deploys again.

`tests.fuzz.fuzzing` says how to run more examples.
"""

from __future__ import annotations

import io
import json
import random
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import CommandError
from ops.promotions import ARCHIVE, PREFIX, RECORD, Promotions, table, target, unpack
from sagemaker_pipeline.code_archive import BadArchive
from sagemaker_pipeline.code_archive import unpack as unpack_code
from sagemaker_pipeline.properties import Code
from tests.fuzz.fuzzing import files_below, fuzz, one_line
from tests.handlers.fake_aws import FakeS3

CODE = Code(
    "assets", "code.zip", "data", "model/scripts/abc12345", "model/scripts/_complete/abc12345.json", "CodeUri"
)
NAMES = [
    "steps/a.py", "steps/b.py", "steps/a.py", "model.json", "steps", "steps/", "/etc/passwd", "../escaped", "a/../../b",
    "a//b", "./a", "C:\\windows", "C:/windows", "a\\..\\b", "", ".", "..", "\x00a", "a\nb", "\x1b[31m", "é", "x" * 300,
    "_complete/abc12345.json", "-rf", "$(touch escaped)", "a/b/c/d", "\u202egnp",
]  # fmt: skip
MODES = [
    0,
    stat.S_IFREG | 0o644,
    stat.S_IFREG | 0o6777,
    stat.S_IFLNK | 0o777,
    stat.S_IFCHR | 0o600,
    stat.S_IFDIR | 0o755,
]

entries = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from([b"", b"print()", b"/etc/passwd", b"\0" * 100_000]),
    st.sampled_from(MODES),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2]),
)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def zipped(parts: list[tuple[str, bytes, int, int]]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content, mode, method in parts:
            info = zipfile.ZipInfo("name")
            info.filename = info.orig_filename = name
            info.external_attr, info.compress_type = mode << 16, method
            archive.writestr(info, content)
    return held.getvalue()


def refused(work: Callable[[], object]) -> str | None:
    """Return the line with which something is refused, None where it isn't; any other error is a fault."""
    try:
        work()
    except (BadArchive, CommandError) as error:
        line = str(error)
    else:
        return None
    assert one_line(line), line
    return line


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """Return a zip archive of odd entries, or one of sound ones with bytes that were changed."""
    if draw(st.booleans()):
        return zipped(draw(st.lists(entries, max_size=4)))
    content = bytearray(zipped([("steps/a.py", b"print('a')" * 50, 0, 8), ("model.json", b"{}", 0, 0)]))
    source = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(1, 3))):
        place = source.randrange(len(content))
        if source.random() < 0.3:
            content[place : place + 4] = struct.pack("<I", source.choice([0, 1, 2**31, 2**32 - 1]))
        else:
            content[place] = source.randrange(256)
    return bytes(content[: source.choice([len(content), len(content), place])])


@pytest.mark.filterwarnings("ignore:Duplicate name")
@fuzz(150)
@given(archives())
def test_a_code_asset_is_unpacked_below_its_prefix_or_refused(content: bytes) -> None:
    s3 = FakeS3("assets", "data")
    s3.put("assets", "code.zip", content)
    if refused(lambda: unpack_code(s3, CODE)) is not None:
        assert CODE.marker not in s3.objects["data"]
    else:
        listed = s3.json("data", CODE.marker)["files"]
        assert {f"{CODE.folder}/{name}" for name in listed} | {CODE.marker} == set(s3.objects["data"])
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert {name: archive.read(name) for name in listed} == {
                name: s3.objects["data"][f"{CODE.folder}/{name}"] for name in listed
            }
    for key in s3.objects["data"]:
        assert key == CODE.marker or key.startswith(f"{CODE.folder}/")
        assert ".." not in key.split("/")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@fuzz(150)
@given(archives())
def test_an_assembly_is_unpacked_below_its_folder_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    root = tmp_path_factory.mktemp("rollback")
    refusal = refused(lambda: unpack(content, root / "work" / "assembly"))
    assert refusal is None or "nothing was deployed" in refusal
    assert all(name.startswith("work/assembly/") for name in files_below(root))
    for path in root.rglob("*"):
        assert not path.is_symlink()
        assert not path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH)


def test_an_assembly_that_declares_more_than_a_gibibyte_is_not_written(tmp_path: Path) -> None:
    content = bytearray(zipped([("a", b"x" * 100, 0, 8)]))
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 2**31)
    with pytest.raises(CommandError, match="more than 1 GiB"):
        unpack(bytes(content), tmp_path / "assembly")
    assert files_below(tmp_path) == {}


RECORDED: dict[str, Any] = {
    "stage": "prod", "stack": "ProdStack", "commit": "a" * 40, "recorded_at": "2026-11-21T08:00:00+00:00",
    "assembly_sha256": "b" * 64, "definitions": {"p": "c" * 64}, "rollback": False, "restores": "",
}  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


class Listing:
    """As much of S3 as the records need."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def get_paginator(self, name: str) -> Any:
        assert name == "list_objects_v2"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        return [
            {
                "Contents": [
                    {"Key": key, "ETag": ""} for key in self.objects if key.startswith(request["Prefix"])
                ]
            }
        ]

    def get_object(self, **request: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[request["Key"]]), "ETag": '"0"'}


@fuzz(150)
@given(
    st.sampled_from([*RECORDED, "more"]),
    json_values,
    st.sampled_from([b"", b"[", b"\xff", b"null", b"[" * 100_000, None]),
)
def test_a_record_of_a_promotion_that_is_none_ends_in_one_line(
    key: str, value: Any, raw: bytes | None
) -> None:
    record = json.dumps(RECORDED | {key: value}).encode() if raw is None else raw
    name = "20261121T080000Z-aaaaaaaaaaaa"
    kept = Promotions(
        Listing({f"{PREFIX}{name}/{RECORD}": record, f"{PREFIX}{name}/{ARCHIVE}": b""}), "bucket", "prod"
    )

    def roll_back() -> None:
        records = kept.all()
        assert target(records, {"p": {"mlops:definition": "0"}}, None).id == name
        assert one_line(table(records, {}).splitlines()[-1])
        kept.archive(records[0])

    assert refused(roll_back) is not None  # not even the right record fits that archive
