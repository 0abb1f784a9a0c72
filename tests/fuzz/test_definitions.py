"""Compiled definitions that were changed, and texts that mean something to a shell, on their way into a job.

`tests.fuzz.fuzzing` says how to run more examples.
"""

from __future__ import annotations

import copy
import json
import random
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from local_cloud.runner.process import ProcessPool
from local_cloud.runner.sandbox import Sandbox
from local_cloud.runner.transfer import TransferError, download
from local_cloud.sagemaker.definition_rules import check_definition
from local_cloud.sagemaker.errors import ServiceError
from ops.review import shell_lines
from pipeline_code.definitions import definitions_root, load
from pipeline_code.lock import StaleDefinition, verify
from pipeline_code.validate import errors
from tests.fuzz.fuzzing import files_below, fuzz, one_line
from tests.handlers.fake_aws import FakeS3

COMPILED = load("mammography", "vpc")
DEFINITIONS = [
    json.loads(path.read_text()) for path in (COMPILED.train, COMPILED.inference, COMPILED.quality)
]
ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 10**30, "", "x", "a\nb", "\ud800", [], {}, [None], [1], {"a": {"b": []}}),
    *({"Get": "Steps.X.Y"}, {"Get": None}, {"Std:Join": {}}, {"Std:Join": {"On": None, "Values": [1]}}),
    *({"Std:JsonGet": {"Path": 1}}, "$(touch escaped)", "Processing", "Condition", "../..", "x" * 3000),
]
# What a shell, an interpreter or a path would act on.
TEXTS = [
    "$(touch escaped)", "`touch escaped`", "; touch escaped", "| touch escaped", "&& touch escaped", "a\ntouch escaped",
    "'; touch escaped; '", '"; touch escaped; "', "$HOME", "${IFS}", "*", "~", "--help", "-c", "\\", "a b", "\t",
    "caf\u00e9", "#", "!!", "%0a",
]  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a JSON value: its holder and its key."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


@st.composite
def changed(draw: st.DrawFn) -> str:
    """Return a compiled definition with one or two changes, as text; now and then no JSON at all."""
    definition = copy.deepcopy(draw(st.sampled_from(DEFINITIONS)))
    source = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(source.choice([1, 1, 2])):
        found = list(places(definition))
        holder, key = source.choice(found)
        other, place = source.choice(found)
        match source.choice(["set", "set", "drop", "double", "move"]):
            case "set":
                holder[key] = copy.deepcopy(source.choice(ODD))
            case "drop":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case _ if key in holder if isinstance(holder, dict) else True:
                holder[key] = copy.deepcopy(other[place])
    text = json.dumps(definition)
    return source.choice([text] * 20 + [text[: source.randrange(len(text))], "[" * 100_000, "null", "[]", ""])


@fuzz(150)
@given(changed())
def test_a_changed_definition_is_refused_in_lines_or_is_one_that_both_checkers_take(text: str) -> None:
    said = errors(text)
    event("refused by the compiler's check" if said else "taken by the compiler's check")
    for line in said:
        assert one_line(line), line
    # a ServiceError is AWS's answer to CreatePipeline; any other error would be a trace
    with suppress(ServiceError):
        check_definition(text)
        event("taken by the embedded cloud")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(definitions_root().parent / "mammography", tmp_path / "mammography")
    shutil.copytree(definitions_root(), tmp_path / "definitions")
    return tmp_path / "definitions"


@pytest.mark.parametrize(
    "content", [b"", b"[", b"\xff", b"[" * 100_000, b"{}", b'{"sources": 1, "bodies": []}']
)
def test_a_lock_that_is_none_ends_in_one_line(root: Path, content: bytes) -> None:
    (root / "mammography" / "lock.json").write_bytes(content)
    with pytest.raises(StaleDefinition) as error:
        verify("mammography", root)
    assert one_line(str(error.value))


def test_any_changed_byte_of_a_compiled_file_is_seen(root: Path) -> None:
    source = random.Random("bytes")
    for path in sorted((root / "mammography").rglob("*.json")):
        sound = path.read_bytes()
        place = source.randrange(len(sound))
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        with pytest.raises(StaleDefinition) as error:
            verify("mammography", root)
        assert one_line(str(error.value))
        path.write_bytes(sound)
    verify("mammography", root)


def test_an_argument_reaches_a_job_as_it_is_and_no_shell_reads_it(tmp_path: Path) -> None:
    sandbox, pool = Sandbox(tmp_path / "job"), ProcessPool()
    program = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['GIVEN']]))"
    command = sandbox.command(["python3", "-c", program], TEXTS)
    try:
        code = pool.run(
            "job", command, environment=sandbox.environment({}, {"GIVEN": TEXTS[0]}), folder=sandbox.folder,
            stdout=sandbox.stdout, stderr=sandbox.stderr,
        )  # fmt: skip
    finally:
        pool.close()
    assert (code, json.loads(sandbox.stdout.read_text())) == (0, [TEXTS, TEXTS[0]])
    assert not list(tmp_path.rglob("escaped"))


def test_what_a_review_hands_to_a_shell_is_text_only(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.write_text(shell_lines({f"V{number}": text for number, text in enumerate(TEXTS)}))
    names = " ".join(f'"$V{number}"' for number in range(len(TEXTS)))
    done = subprocess.run(
        ["/bin/sh", "-c", f". {shlex.quote(str(exports))}; printf '%s\\n' {names}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == len(TEXTS)
    assert [path.name for path in tmp_path.iterdir()] == ["exports"]


@pytest.mark.parametrize(
    "key", ["../escaped", "a/../../escaped", "//etc/escaped", "x" * 300, "a", "a/b", "\n", "-rf", "$(id)"]
)
def test_a_key_of_s3_is_a_file_of_the_jobs_folder_or_a_line(tmp_path: Path, key: str) -> None:
    s3 = Paginated("bucket")
    for name in ("a/b", key):
        s3.put("bucket", f"in/{name}", b"rows")
    with suppress(TransferError):
        download(s3, "s3://bucket/in/", tmp_path / "work" / "channel", "role")
    assert all(name.startswith("work/channel/") for name in files_below(tmp_path))


class Paginated(FakeS3):
    """A bucket that boto3's paginators ask."""

    def get_paginator(self, name: str) -> Paginated:
        assert name == "list_objects_v2"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        return [self.list_objects_v2(**request)]
