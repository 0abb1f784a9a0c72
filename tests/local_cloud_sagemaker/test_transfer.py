"""Which objects an S3 prefix names, and where they land."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from local_cloud.runner.transfer import TransferError, download, objects_under

KEYS = ("p/batch/a.csv", "p/batch/deep/b.csv", "p/batch/", "p/batch2/c.csv", "p/one.csv")


class Bucket:
    """A bucket that knows only what transfers ask of it."""

    def get_paginator(self, _: str) -> Bucket:
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803 - boto3's names
        found = [{"Key": key} for key in KEYS if key.startswith(Prefix)]
        return [{"Contents": found[:2]}, {"Contents": found[2:]}, {}]

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(Key.encode())}


@pytest.mark.parametrize(
    ("uri", "landed"),
    [
        ("s3://b/p/batch/", ["a.csv", "deep/b.csv"]),
        ("s3://b/p/one.csv", ["one.csv"]),
        # As on SageMaker a prefix is a string: without a slash at its end it also takes what begins alike.
        ("s3://b/p/batch", ["a.csv", "deep/b.csv", "batch2/c.csv"]),
    ],
)
def test_a_prefix_takes_all_objects_that_begin_with_it(uri: str, landed: list[str]) -> None:
    assert [relative for _, relative in objects_under(Bucket(), uri, "role")] == landed


def test_objects_keep_their_path_below_the_prefix(tmp_path: Path) -> None:
    files = download(Bucket(), "s3://b/p/batch/", tmp_path, "role")
    assert [file.relative_to(tmp_path).as_posix() for file in files] == ["a.csv", "deep/b.csv"]
    assert files[1].read_text() == "p/batch/deep/b.csv"


def test_nothing_under_a_prefix_is_told_with_the_role() -> None:
    with pytest.raises(TransferError, match=r'No S3 objects found under S3 URL "s3://b/none".*"my-role"'):
        objects_under(Bucket(), "s3://b/none", "my-role")
