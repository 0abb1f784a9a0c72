"""Model archives that were made to do harm, or cut by chance: refused with a line, and nothing is left anywhere.

`tests.fuzz.fuzzing` says how to run more examples.
"""

from __future__ import annotations

import gzip
import os
import pickle
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.runner.jobs import JobError
from local_cloud.runner.model_archive import unpack_model
from pipeline_code.steps import evaluate
from pipeline_code.steps.archive import MEMBER, load_boosters, read_model_bytes
from pipeline_code.steps.program import UsageError
from tests.fuzz.fuzzing import files_below, fuzz, one_line, scaled
from tests.fuzz.trials import Verdicts, mutants, trained
from tests.steps.steps_kit import Workbench, write_archive

ROOT = Path(__file__).parents[2]
ESCAPED = f"{tempfile.gettempdir()}/fuzz-escaped"  # where archives want to write


def pax_record(keyword: str, value: str) -> bytes:
    """Return a record of a pax header; its length, which it begins with, counts its own digits."""
    rest = f" {keyword}={value}\n".encode()
    digits = len(str(len(rest) + 2))
    return str(len(rest) + digits).encode() + rest


MODEL = b"{" + b"model" * 100
TYPES = [
    tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
    tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, b"L", b"x", b"g", b"Z",
]  # fmt: skip
NAMES = [
    MEMBER, f"./{MEMBER}", f"/{MEMBER}", f"../{MEMBER}", "../../escaped", ESCAPED, "a/../../escaped",
    f"{MEMBER}/{MEMBER}", "", ".", "..", "\n", f"{MEMBER}\n", "caf\u00e9", "x" * 300, "\x1b[31m",
]  # fmt: skip


def packed(tar: bytes) -> bytes:
    return gzip.compress(tar, 1)


def header(name: str, kind: bytes, size: int, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape")


def member(name: str, kind: bytes, content: bytes, link: str = "", declared: int | None = None) -> bytes:
    padding = b"\0" * (-len(content) % 512)
    return header(name, kind, len(content) if declared is None else declared, link) + content + padding


members = st.builds(
    member,
    st.sampled_from(NAMES),
    st.sampled_from(TYPES),
    st.sampled_from([MODEL, b"{}", b"", b"\x80\x04.", pax_record("path", ESCAPED), b"17 size=99999999\n"]),
    st.sampled_from(["", "/etc/passwd", "../../../etc/passwd", MEMBER]),
    st.none() | st.sampled_from([0, 1, 2**33, 2**40, 2**62, -1, -512, -(2**40)]),
)


def read(archive: Path) -> bytes | None:
    """Read an archive; None where it is refused, which any other error would not be."""
    with suppress(UsageError):
        return read_model_bytes(archive)
    return None


def refused(archive: Path) -> str:
    with pytest.raises(UsageError) as error:
        read_model_bytes(archive)
    return str(error.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@fuzz(250)
@given(st.lists(members, max_size=4), st.booleans())
def test_an_archive_gives_the_bytes_of_its_one_plain_file_or_a_line(
    folder: Path, parts: list[bytes], ended: bool
) -> None:
    archive = folder / "model.tar.gz"
    archive.write_bytes(packed(b"".join(parts) + (b"\0" * 1024 if ended else b"")))
    content = read(archive)
    if content is not None:
        held = [found for part in parts if (found := part[512 : 512 + len(content)]) == content]
        assert held
        assert content.startswith(b"{")
    assert set(files_below(folder)) == {"model.tar.gz"}
    assert not Path(ESCAPED).exists()


@fuzz(250)
@given(st.data())
def test_a_damaged_archive_never_gives_other_bytes(folder: Path, data: st.DataObject) -> None:
    good = bytearray(packed(member(MEMBER, tarfile.REGTYPE, MODEL * 20) + b"\0" * 1024))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(10, len(good) - 1))
        good[place] = data.draw(st.integers(0, 255))
    archive = folder / "damaged.tar.gz"
    archive.write_bytes(bytes(good[: data.draw(st.sampled_from([len(good), place]))]))
    assert read(archive) in (None, MODEL * 20)
    archive.unlink()


def test_an_archive_whose_headers_unpack_to_gigabytes_is_refused_within_a_megabyte(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    with gzip.open(archive, "wb", 1) as out:
        out.write(header("long", b"L", 2**31))
        for _ in range(64):
            out.write(b"a" * 2**20)
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from pipeline_code.steps.archive import read_model_bytes\n"
        "from pipeline_code.steps.program import UsageError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_model_bytes(Path(sys.argv[1]))\n"
        "except UsageError as error: print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 20_000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(archive)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "model.tar.gz unpacks to more than its one file xgboost-model; only that may be in it",
        "True",
    ]


def test_an_archive_of_headers_about_headers_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    chain = member("x", b"x", b"11 path=ab\n") * 500
    archive.write_bytes(packed(chain + member(MEMBER, tarfile.REGTYPE, MODEL)))
    assert refused(archive) == (
        "model.tar.gz is not a readable tar.gz archive: its headers are nested too deeply"
    )


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([(MEMBER, tarfile.SYMTYPE, b"")], "only a file xgboost-model may be in it"),
        ([(MEMBER, tarfile.LNKTYPE, b"")], "only a file xgboost-model may be in it"),
        ([(MEMBER, tarfile.CHRTYPE, b"")], "only a file xgboost-model may be in it"),
        ([(f"/{MEMBER}", tarfile.REGTYPE, MODEL)], "only a file xgboost-model may be in it"),
        ([(f"../{MEMBER}", tarfile.REGTYPE, MODEL)], "only a file xgboost-model may be in it"),
        ([(MEMBER, tarfile.REGTYPE, MODEL)] * 2, "also holds 'xgboost-model'"),
        ([(MEMBER, tarfile.REGTYPE, pickle.dumps({"a": 1}))], "pickles are refused"),
        ([(MEMBER, tarfile.REGTYPE, b"binf" + MODEL)], "pickles are refused"),
    ],
)
def test_each_way_out_of_the_archive_is_refused_by_name(
    tmp_path: Path, parts: list[tuple[str, bytes, bytes]], said: str
) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(packed(b"".join(member(*part, link="/etc/passwd") for part in parts)))
    assert said in refused(archive)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    with Verdicts(tmp_path_factory.mktemp("trials") / "model") as server:
        yield server


@pytest.mark.parametrize("form", ["json", "ubj"])
def test_a_model_that_passes_its_trial_scores_without_a_crash_or_a_hang(
    verdicts: Verdicts, form: str
) -> None:
    seen = {verdicts.of(content) for content in mutants(form, scaled(45))}

    # killed: the process of the trial was, by XGBoost's own fault; refused: with a line
    assert seen <= {"scores", "refused", "killed"}
    assert {"scores", "refused"} <= seen


@pytest.mark.parametrize("form", ["json", "ubj"])
def test_a_sound_model_comes_out_of_its_trial_as_it_went_in(tmp_path: Path, form: str) -> None:
    import numpy as np
    import xgboost

    archive = write_archive(tmp_path / "model.tar.gz", {MEMBER: trained(form)})
    (tried,) = load_boosters([archive])
    sound = xgboost.Booster()
    sound.load_model(bytearray(trained(form)))
    rows = xgboost.DMatrix(np.random.default_rng(2).random((500, 5)))

    assert (tried.predict(rows) == sound.predict(rows)).all()
    assert tried.save_raw("json") == sound.save_raw("json")


@pytest.mark.parametrize("change", ["cycle", "outside", "feature", "widths"])
def test_a_model_whose_trees_are_none_is_refused_before_it_scores(verdicts: Verdicts, change: str) -> None:
    assert verdicts.of(next(mutants("json", 1, change=change))) == "refused"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{" + os.urandom(5000), "XGBoost can't read"),
        (b'{"learner": {}}', "XGBoost can't read"),
        (b"{" + b"[" * 200_000, "XGBoost can't read"),
        (
            b"{L\x00\x00\x00\x00\x00\x00\x00\x04name[$D#L\x00\x00\x7f\xff\xff\xff\xff\xff",
            "XGBoost can't read",
        ),
        (pickle.dumps(print), "pickles are refused"),
    ],
    ids=["garbage", "empty", "deep", "huge", "pickle"],
)
def test_evaluate_ends_with_one_line_and_exit_code_2_whatever_the_model_is(
    bench: Workbench, part1: Path, content: bytes, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    inputs = bench.root / "in"
    for name in ("train", "holdout", "summary", "baseline"):
        shutil.copytree(part1 / name, inputs / name)
    (inputs / "model").mkdir()
    (inputs / "champion").mkdir()
    (inputs / "champion" / "NO_CHAMPION").touch()
    write_archive(inputs / "model" / "model.tar.gz", {MEMBER: content})

    assert bench.run(evaluate.main, inputs, bench.root / "out") == 2
    assert said in bench.message
    assert one_line(capfd.readouterr().err)
    assert not files_below(bench.root / "out")


@fuzz(150)
@given(st.lists(members, max_size=4))
def test_the_embedded_cloud_unpacks_only_plain_files_into_the_model_folder(
    folder: Path, parts: list[bytes]
) -> None:
    work = folder / "job"
    shutil.rmtree(work, ignore_errors=True)
    (work / "packed").mkdir(parents=True)
    archive, model = work / "packed" / "model.tar.gz", work / "opt" / "model"
    archive.write_bytes(packed(b"".join(parts)))
    with suppress(JobError):
        unpack_model(archive, model, "s3://bucket/model.tar.gz")
    outside = {name for name in files_below(folder) if not name.startswith(("job/opt/model/", "model.tar"))}
    assert outside == {"job/packed/model.tar.gz"}
    assert not any(path.is_symlink() for path in work.rglob("*"))
    assert not Path(ESCAPED).exists()


def test_no_code_of_ours_can_unpickle_anything() -> None:
    unsafe = re.compile(
        r"^\s*(import|from)\s+(pickle|cPickle|_pickle|joblib|dill|cloudpickle|shelve|marshal)\b"
        r"|\b(read_pickle|allow_pickle\s*=\s*True|yaml\.(unsafe_load|full_load)\(|yaml\.load\((?!.*Loader)|\beval\(|\bexec\()",
        re.MULTILINE,
    )
    folders = ["pipeline_code", "constructs/src", "local_cloud", "ops", "stacks", "demo", "rehearsal"]
    files = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    assert len(files) > 150
    assert {path.name: found[0] for path in files if (found := unsafe.search(path.read_text()))} == {}
