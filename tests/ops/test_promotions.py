"""Which promotion a rollback goes to, and that nothing but what was recorded is unpacked."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from ops import assembly, promotions
from ops.errors import CommandError
from ops.promotions import Promotion, Promotions, path_to_now, target
from ops.rollback import tags_now
from stacks.settings import load
from tests.stacks.installations import SETTINGS
from tests.stacks.installations import assembly as synthesized

BUCKET = "data"


def promotion(number: int, commit: str, restores: str = "", content: str = "") -> Promotion:
    """Return a record: the number gives its time."""
    return Promotion(
        id=f"r{number}",
        stage="prod",
        stack="ProdStack",
        commit=commit,
        recorded_at=f"2026-11-21T08:00:{number:02}+00:00",
        assembly_sha256=content or f"bytes of {commit}",
        definitions={"train": f"definition of {commit}"},
        rollback=bool(restores),
        restores=restores,
    )


def deployed(commit: str) -> dict[str, dict[str, str] | None]:
    """Return the tags of a pipeline that was deployed by a commit."""
    return {"train": {"mlops:definition": f"definition of {commit}", "mlops:commit": commit}, "old": None}


A, B, C = promotion(1, "a"), promotion(2, "b"), promotion(3, "c")


def ids(records: list[Promotion]) -> list[str]:
    return [record.id for record in path_to_now(records)]


@pytest.mark.parametrize(
    ("records", "path"),
    [
        ([A, B, C], ["r1", "r2", "r3"]),
        ([A, B, promotion(4, "a", "r1")], ["r1"]),
        ([A, B, C, promotion(4, "b", "r2"), promotion(5, "a", "r1")], ["r1"]),
        ([A, B, promotion(4, "a", "r1"), promotion(5, "c")], ["r1", "r5"]),
        ([A, B, promotion(4, "a", "r1"), promotion(5, "b", "r2")], ["r1", "r2"]),
        ([A, B, promotion(4, "b")], ["r1", "r4"]),
        ([A, B, promotion(4, "b", content="other settings")], ["r1", "r2", "r4"]),
    ],
    ids=[
        "each promotion on top",
        "a rollback takes off",
        "two rollbacks take off more",
        "a promotion after a rollback",
        "a rollback forward again",
        "the same bytes once more",
        "the same commit with other settings",
    ],
)
def test_the_path_to_what_is_deployed(records: list[Promotion], path: list[str]) -> None:
    assert ids(records) == path


@pytest.mark.parametrize(
    ("records", "commit", "wanted"),
    [
        ([A, B, C], "c", "r2"),
        ([A, B, C, promotion(4, "b", "r2")], "b", "r1"),
        ([A, B, promotion(4, "a", "r1"), promotion(5, "c")], "c", "r1"),
        ([A, B], "never recorded", "r2"),
        ([A, B, C], "b", "r1"),
    ],
    ids=[
        "the one before",
        "a second rollback goes further back",
        "after a rollback and a promotion, not what was rolled back",
        "the last record where a deployment was never recorded",
        "before what is deployed, though more was recorded",
    ],
)
def test_a_rollback_goes_to(records: list[Promotion], commit: str, wanted: str) -> None:
    assert target(records, deployed(commit), None).id == wanted


@pytest.mark.parametrize("records", [[A], [A, B, promotion(4, "a", "r1")]])
def test_there_is_nothing_before_the_first_promotion(records: list[Promotion]) -> None:
    with pytest.raises(CommandError, match="r1 is the first promotion of this stage: there is no earlier"):
        target(records, deployed("a"), None)


def test_a_stage_without_records_says_so() -> None:
    with pytest.raises(CommandError, match="no promotion has been recorded for this stage"):
        target([], deployed("a"), None)


def test_a_person_may_name_any_record() -> None:
    assert target([A, B, C], deployed("a"), "r3").id == "r3"


def test_an_unknown_id_is_named_with_those_there_are() -> None:
    with pytest.raises(CommandError, match="there is no promotion 'r9'; there are r3, r2, r1"):
        target([A, B, C], deployed("c"), "r9")


def test_a_pipeline_more_or_another_definition_is_another_promotion() -> None:
    assert A.is_deployed(deployed("a"))
    assert not A.is_deployed({"train": None})
    assert not A.is_deployed({})
    assert not A.is_deployed({"train": {"mlops:definition": "definition of a", "mlops:commit": "b"}})


# --- in the bucket


@dataclass
class Bucket:
    """S3 as far as records need it."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def put_object(self, **request: Any) -> None:
        assert (request["Bucket"], request["IfNoneMatch"]) == (BUCKET, "*")
        if request["Key"] in self.objects:
            raise botocore.exceptions.ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[request["Key"]] = request["Body"]

    def get_object(self, **request: str) -> dict[str, Any]:
        if request["Key"] not in self.objects:
            raise botocore.exceptions.ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[request["Key"]])}

    def get_paginator(self, operation: str) -> Bucket:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, **request: str) -> list[dict[str, Any]]:
        found = [key for key in self.objects if key.startswith(request["Prefix"])]
        return [{"Contents": [{"Key": key, "ETag": "e"} for key in found]}]


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def kept(bucket: Bucket) -> Promotions:
    return Promotions(bucket, BUCKET, "prod")


@pytest.fixture(scope="module")
def stack() -> assembly.StackAssembly:
    return assembly.find(Path(synthesized("default").directory), "ProdStack")


def at(second: int) -> datetime:
    return datetime(2026, 11, 21, 8, 0, second, tzinfo=UTC)


def test_a_record_is_read_as_it_was_written(kept: Promotions, stack: assembly.StackAssembly) -> None:
    written = kept.add(stack, b"archive", now=at(0))
    assert written.id == "20261121T080000Z-000000000000"
    assert kept.all() == [written]
    assert kept.archive(written) == b"archive"
    assert written.definitions == stack.definitions


def test_records_come_in_the_order_of_their_time(kept: Promotions, stack: assembly.StackAssembly) -> None:
    later, earlier = kept.add(stack, b"b", now=at(9)), kept.add(stack, b"a", now=at(3))
    assert kept.all() == [earlier, later]


def test_a_rollback_of_a_rollback_restores_the_promotion_itself(
    kept: Promotions, stack: assembly.StackAssembly
) -> None:
    first = kept.add(stack, b"a", now=at(0))
    back = kept.add(stack, b"a", now=at(1), restores=first)
    again = kept.add(stack, b"a", now=at(2), restores=back)
    assert (back.rollback, back.restores, again.restores) == (True, first.id, first.id)


def test_a_record_is_never_overwritten(
    kept: Promotions, bucket: Bucket, stack: assembly.StackAssembly
) -> None:
    first = kept.add(stack, b"a", now=at(0))
    before = dict(bucket.objects)
    with pytest.raises(CommandError, match="exists already; records are never overwritten"):
        kept.add(stack, b"b", now=at(0))
    assert bucket.objects == before
    assert kept.archive(first) == b"a"


def test_an_archive_without_its_record_counts_for_nothing(kept: Promotions, bucket: Bucket) -> None:
    bucket.objects["_promotions/20261121T080000Z-abc/assembly.zip"] = b"a"
    assert kept.all() == []


def test_an_archive_that_was_changed_is_refused(
    kept: Promotions, bucket: Bucket, stack: assembly.StackAssembly
) -> None:
    record = kept.add(stack, b"a", now=at(0))
    bucket.objects[f"_promotions/{record.id}/assembly.zip"] = b"b"
    with pytest.raises(
        CommandError, match=r"was changed since it was recorded: its sha256 is .*; nothing was"
    ):
        kept.archive(record)


def test_an_archive_that_is_gone_is_named(
    kept: Promotions, bucket: Bucket, stack: assembly.StackAssembly
) -> None:
    record = kept.add(stack, b"a", now=at(0))
    del bucket.objects[f"_promotions/{record.id}/assembly.zip"]
    with pytest.raises(CommandError, match="can't be read; choose another promotion: TO="):
        kept.archive(record)


@pytest.mark.parametrize("content", [b"{", b"[]", json.dumps({"stage": "prod"}).encode()])
def test_a_record_that_is_none_is_named(kept: Promotions, bucket: Bucket, content: bytes) -> None:
    bucket.objects["_promotions/x/promotion.json"] = content
    with pytest.raises(CommandError, match=r"_promotions/x/promotion\.json is no record of a promotion"):
        kept.all()


# --- unpacking


def packed(name: str, mode: int = stat.S_IFREG | 0o644) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, "content")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("../outside", stat.S_IFREG | 0o644),
        ("/outside", stat.S_IFREG | 0o644),
        ("a/../../outside", stat.S_IFREG | 0o644),
        ("a\\..\\outside", stat.S_IFREG | 0o644),
        ("C:outside", stat.S_IFREG | 0o644),
        ("link", stat.S_IFLNK | 0o777),
        ("folder/", stat.S_IFDIR | 0o755),
    ],
)
def test_what_is_no_plain_file_below_the_folder_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    folder = tmp_path / "deep" / "folder"
    with pytest.raises(CommandError, match="which is no plain file below its folder; nothing was deployed"):
        promotions.unpack(packed(name, mode), folder)
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()] == []


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is no zip archive"):
        promotions.unpack(b"no zip", tmp_path)


def test_a_recorded_stack_is_found_in_what_is_unpacked(tmp_path: Path, stack: assembly.StackAssembly) -> None:
    promotions.unpack(stack.pack(), tmp_path)
    again = assembly.find(tmp_path, "ProdStack")
    assert again.pipelines == stack.pipelines
    assert again.template == stack.template
    assert again.pack() == stack.pack()


def test_the_table_tells_rollbacks_and_what_is_deployed() -> None:
    lines = promotions.table([A, B, promotion(4, "a", "r1")], deployed("a")).splitlines()
    assert [line.split()[0] for line in lines] == ["id", "r4", "r2", "r1"]
    assert lines[1].endswith("rollback to r1")
    assert lines[3].endswith("deployed now")


def test_the_table_of_a_stage_without_records_says_how_they_come() -> None:
    assert promotions.table([], {}).startswith("no promotion has been recorded yet")


class Checked:
    """A stage's SageMaker, as a checker sees it that may read the tags of some pipelines."""

    def __init__(self, *kinds: str) -> None:
        self.readable = kinds

    def list_tags(self, *, ResourceArn: str) -> dict[str, Any]:  # noqa: N803
        if not any(f"-{kind}-pipeline" in ResourceArn for kind in self.readable):
            error = {"Error": {"Code": "AccessDeniedException", "Message": f"no {ResourceArn}"}}
            raise botocore.exceptions.ClientError(error, "ListTags")
        return {"Tags": [{"Key": "mlops:commit", "Value": "a"}]}


def test_a_checker_from_before_there_were_quality_pipelines_tells_what_it_may_read() -> None:
    installation = load(SETTINGS["default"])
    stage = installation.stage("prod")
    old = promotion(1, "a")
    tags = tags_now(installation, stage, Checked("train", "inference"), [old])
    assert {name: found is not None for name, found in tags.items()} == {
        "mammo-severity-inference-pipeline": True,
        "mammo-severity-quality-pipeline": False,
        "mammo-severity-train-pipeline": True,
        "train": False,
    }
    with pytest.raises(CommandError, match=r"no arn:aws:sagemaker:.*train-pipeline"):
        tags_now(installation, stage, Checked("inference", "quality"), [old])
