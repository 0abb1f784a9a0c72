"""A model's wheels go with its code: the same bytes everywhere, nothing that wasn't pinned, and one line otherwise."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline_code import wheel_download, wheels
from pipeline_code.definitions import code_files, code_sha256, write_code
from pipeline_code.lock import StaleDefinition, verify
from pipeline_code.steps.wheel_pins import CONTAINER, Interpreter, this_interpreter
from tests.fixtures.trees import two_models
from tests.fixtures.wheels import build_wheel, digest, keep, pin, pins

ROOT = Path(__file__).resolve().parents[2]
LAPTOP = Interpreter(minor=11, system="macosx", machine="arm64")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_WHEELS", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Compiled definitions of two models; ``wine`` is the one to get wheels."""
    return two_models(tmp_path / "models")


@pytest.fixture
def home(root: Path) -> Path:
    return root.parent / "wine"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows of."""
    for name in [one for one in os.environ if one.startswith("PIP_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def refused(home: Path, *, locked: bool = False) -> str:
    with pytest.raises(wheels.WheelsError) as error:
        wheel_download.get(home, locked=locked)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- with the code


def test_wheels_go_with_the_code_of_their_model_only(root: Path, home: Path, cache: Path) -> None:
    before = {folder: code_sha256(folder, root) for folder in ("mammography", "wine")}
    wheel = build_wheel(home.parent / "made")
    pin(home, wheel)
    keep(cache, wheel)
    files = code_files("wine", root)
    assert files[f"wheels/{wheel.name}"] == wheel.read_bytes()
    assert files["wheels/wheels.txt"] == (home / "wheels.txt").read_bytes()
    assert [name for name in files if name.startswith("wheels/")] == [
        "wheels/greeting-1.2.0-py3-none-any.whl",
        "wheels/wheels.txt",
    ]
    assert list(files) == sorted(files)
    assert not [name for name in code_files("mammography", root) if name.startswith("wheels")]
    assert code_sha256("mammography", root) == before["mammography"]
    assert code_sha256("wine", root) != before["wine"]


def test_the_code_is_the_same_whatever_else_the_cache_holds(
    root: Path, home: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = build_wheel(tmp_path / "a", tag="cp312-cp312-manylinux_2_17_x86_64")
    own = build_wheel(tmp_path / "a", tag="cp311-cp311-macosx_11_0_arm64")
    pin(home, wheel, also=(own,))
    keep(cache, wheel)
    first = code_sha256("wine", root)
    keep(tmp_path / "elsewhere", own, wheel, build_wheel(tmp_path / "b", version="9.0"))
    monkeypatch.setenv("MLOPS_WHEELS", str(tmp_path / "elsewhere"))
    assert code_sha256("wine", root) == first
    written = write_code("wine", tmp_path / "code", root)
    assert sorted(path.name for path in (written / "wheels").iterdir()) == [wheel.name, "wheels.txt"]


def test_a_wheel_that_is_not_at_hand_is_one_line(root: Path, home: Path, cache: Path) -> None:
    pin(home, build_wheel(home.parent / "made"))
    with pytest.raises(ValueError, match="run: make wheels") as error:
        code_files("wine", root)
    assert str(error.value) == (
        f"wine/wheels.txt: the wheel greeting-1.2.0-py3-none-any.whl is not in {cache}; run: make wheels"
    )
    assert code_files("mammography", root)


def test_a_wheel_that_was_changed_in_the_cache_is_not_shipped(root: Path, home: Path, cache: Path) -> None:
    wheel = build_wheel(home.parent / "made")
    pin(home, wheel)
    keep(cache, wheel)
    (cache / digest(wheel) / wheel.name).write_bytes(wheel.read_bytes() + b"\n")
    with pytest.raises(wheels.WheelsError, match="was changed: it doesn't have that sha256"):
        code_files("wine", root)


def test_a_list_that_is_not_what_is_pinned_is_stale(root: Path, home: Path, tmp_path: Path) -> None:
    old, new = build_wheel(tmp_path / "a"), build_wheel(tmp_path / "a", version="2.0")
    pin(home, old)
    verify("wine", root)
    (home / "wheels.txt").write_text(pins(new))
    with pytest.raises(StaleDefinition, match=r"wheels\.sha256: has no wheel of greeting==2\.0"):
        verify("wine", root)
    (home / "wheels.txt").write_text(pins(build_wheel(tmp_path / "b", says="rebuilt")))
    with pytest.raises(StaleDefinition, match=r"is not what wheels\.txt pins for Python 3"):
        verify("wine", root)
    (home / "wheels.txt").unlink()
    with pytest.raises(StaleDefinition, match=r"greeting-1\.2\.0-py3-none-any\.whl is not in wheels\.txt"):
        verify("wine", root)
    verify("mammography", root)


def test_what_is_too_large_to_be_deployed_is_refused_at_synth(
    root: Path, home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = build_wheel(home.parent / "made", says="x" * 300_000)
    pin(home, wheel)
    keep(cache, wheel)
    monkeypatch.setattr(wheels, "MOST_BYTES_A_FILE", 200 * 1024)
    with pytest.raises(
        wheels.WheelsError, match=r"py3-none-any\.whl has 0\.3 MB; one wheel may have 0\.2 MB"
    ):
        code_files("wine", root)
    monkeypatch.setattr(wheels, "MOST_BYTES_A_FILE", 10**6)
    monkeypatch.setattr(wheels, "MOST_BYTES", 200 * 1024)
    with pytest.raises(
        wheels.WheelsError, match=r"its wheels have 0\.3 MB; all of them together may have 0\.2 MB"
    ):
        code_files("wine", root)


# ---- wheels.txt

HASH = f"--hash=sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"# a\n\nidna==3.1 \\\n  {HASH}\nattrs\n", "line 5: attrs is not pinned as attrs==<version>"),
        (f"idna>=3.1 {HASH}", "line 1: idna is not pinned as idna==<version>, got 'idna>=3.1"),
        (f"idna==3.* {HASH}", "line 1: idna is not pinned as"),
        (f"a==1 {HASH}\nidna==3.1\n", "line 2: idna==3.1 has no --hash=sha256"),
        ("idna==3.1 --hash=md5:abc", "line 1: idna==3.1 has '--hash=md5:abc', which is not"),
        (f"idna==3.1 {HASH}0", "which is not --hash=sha256: and 64 digits"),
        (f"idna==3.1 {HASH} attrs==1", "which is not --hash=sha256: and 64 digits"),
        (f"idna==3.1 ; python_version > '3' {HASH}", "line 1: idna has a condition after ';'"),
        (f"--index-url https://a.test/\nidna==3.1 {HASH}", "line 1: '--index-url https://a.test/' is an option"),
        (f"./idna.whl {HASH}", "line 1: './idna.whl"),
        (f"idna @ https://a.test/idna.whl {HASH}", "line 1: idna is not pinned as"),
        (f"Num_Py==2.3 {HASH}\nnumpy==2.3 {HASH}", "line 2: the container has numpy 2.1.0 and keeps it; remove"),
        (f"a.b==1 {HASH}\nc==1 {HASH}\nA-b==2 {HASH}", "line 3: A-b is pinned in line 1 already"),
        ("# nothing\n", "pins no package"),
    ],
)  # fmt: skip
def test_a_line_that_pins_nothing_is_named(home: Path, text: str, said: str) -> None:
    (home / "wheels.txt").write_text(text)
    with pytest.raises(wheels.WheelsError) as error:
        wheels.pins_of(home)
    assert str(error.value).startswith("wine/wheels.txt: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_the_compilers_write_is_read(home: Path) -> None:
    (home / "wheels.txt").write_text(
        f"#\n# by pip-compile\n#\nuvicorn[standard]==0.30.1 \\\n    {HASH} \\\n    --hash=sha256:{'b' * 64}\n"
        f"    # via\n    #   -r in.txt\nRuamel.yaml==1.0 {HASH}  # why\n"
    )
    first, second = wheels.pins_of(home)
    assert (first.name, first.version, first.hashes, first.line) == (
        "uvicorn", "0.30.1", ("a" * 64, "b" * 64), 4,
    )  # fmt: skip
    assert second.key == ("ruamel-yaml", "1")


@pytest.mark.parametrize(
    ("tag", "container", "laptop"),
    [
        ("py3-none-any", True, True),
        ("py2.py3-none-any", True, True),
        ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", True, False),
        ("cp38-abi3-manylinux_2_28_x86_64", True, False),
        ("cp38-abi3-macosx_11_0_arm64", False, True),
        ("cp311-cp311-macosx_10_9_universal2", False, True),
        ("cp313-abi3-manylinux_2_28_x86_64", False, False),
        ("cp311-cp311-manylinux_2_17_x86_64", False, False),
        ("cp312-cp312-manylinux_2_34_x86_64", False, False),
        ("cp312-cp312-manylinux_2_17_aarch64", False, False),
        ("cp312-cp312-musllinux_1_2_x86_64", False, False),
        ("cp313-cp313t-manylinux_2_17_x86_64", False, False),
        ("cp312-cp312-win_amd64", False, False),
        ("py2-none-any", False, False),
        ("pp311-pypy311_pp73-manylinux_2_28_x86_64", False, False),
    ],
)
def test_which_python_takes_which_wheel(tag: str, container: bool, laptop: bool) -> None:
    assert CONTAINER.takes(f"a-1.0-{tag}.whl") is container
    assert CONTAINER.takes(f"a-1.0-1build-{tag}.whl") is container
    assert LAPTOP.takes(f"a-1.0-{tag}.whl") is laptop


def test_files_that_are_no_texts_are_one_line(root: Path, home: Path, tmp_path: Path) -> None:
    pin(home, build_wheel(tmp_path / "a"))
    (home / "wheels.sha256").write_bytes(b"\xff\xfe  \xff.whl\n")
    with pytest.raises(StaleDefinition, match=r"is not named as wheels are.*run: make wheels"):
        verify("wine", root)
    (home / "wheels.txt").write_bytes(b"\xff")
    with pytest.raises(StaleDefinition, match=r"wine/wheels\.txt: is not a text in UTF-8"):
        verify("wine", root)


# ---- make wheels


def test_make_wheels_gets_what_is_pinned_and_writes_the_list(
    root: Path, home: Path, cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = build_wheel(index, "fast", tag="cp312-cp312-manylinux_2_28_x86_64")
    older = build_wheel(index, "fast", tag="cp312-cp312-manylinux_2_17_x86_64")
    newer_libc = build_wheel(index, "fast", tag="cp312-cp312-manylinux_2_39_x86_64")
    plain = build_wheel(index)
    build_wheel(index, version="1.3.0")
    (home / "wheels.txt").write_text(pins(own, older, newer_libc, plain))
    done = subprocess.run(
        ["make", "--no-print-directory", "wheels", "MODEL=wine"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "MLOPS_DEFINITIONS": str(root)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("wine: 2 wheels for the container, 2 of them new\n")
    assert (
        home / "wheels.sha256"
    ).read_text() == f"{digest(own)}  {own.name}\n{digest(plain)}  {plain.name}\n"
    verify("wine", root)
    assert code_files("wine", root)[f"wheels/{own.name}"] == own.read_bytes()

    # a second time nothing is asked for
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    again = wheel_download.get(home, locked=True)
    assert again[0] == "wine: 2 wheels for the container, 0 of them new"


def test_an_empty_cache_gets_the_very_files_of_the_list(home: Path, cache: Path, index: Path) -> None:
    older = build_wheel(index, tag="cp312-cp312-manylinux_2_17_x86_64")
    newer = build_wheel(index, tag="cp312-cp312-manylinux_2_28_x86_64")
    pin(home, older, also=(newer,))
    wheel_download.get(home, locked=True)
    assert (cache / digest(older) / older.name).is_file()
    wheel_download.get(home)
    assert wheels.read_list(home) == {older.name: digest(older)}


def test_where_the_laptop_needs_another_file_it_is_kept_too(
    home: Path, cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = this_interpreter()
    there = replace(CONTAINER, minor=here.minor + 1)
    for module in (wheels, wheel_download):
        monkeypatch.setattr(module, "CONTAINER", there)
    its = f"cp3{there.minor}-cp3{there.minor}-manylinux_2_28_x86_64"
    container, only_there = build_wheel(index, tag=its), build_wheel(index, "other", tag=its)
    own = build_wheel(index, tag=f"cp3{here.minor}-none-any", says="own")
    (home / "wheels.txt").write_text(pins(container, own, only_there))
    said = wheel_download.get(home)
    assert said[1:] == [
        f"wine: other==1.2.0 can't be had for {here}: steps that need it don't run on the embedded cloud here"
    ]
    assert (cache / digest(own) / own.name).read_bytes() == own.read_bytes()
    assert wheels.read_list(home) == {container.name: digest(container), only_there.name: digest(only_there)}


def test_make_wheels_tells_in_one_line_what_it_can_not_get(home: Path, cache: Path, index: Path) -> None:
    mac = build_wheel(index, tag="cp312-cp312-macosx_11_0_arm64")
    (home / "wheels.txt").write_text(pins(mac))
    assert refused(home) == (
        "wine/wheels.txt: pip's index has no wheel of greeting==1.2.0 (line 2) for Python 3.12 on linux x86_64;"
        " choose a version that has one"
    )
    assert not (home / "wheels.sha256").exists()


def test_make_wheels_refuses_what_was_changed_in_the_index(
    home: Path, cache: Path, index: Path, tmp_path: Path
) -> None:
    (home / "wheels.txt").write_text(pins(build_wheel(tmp_path / "before")))
    build_wheel(index, says="something else")
    assert "what the index has of greeting==1.2.0 (line 2) has none of its hashes" in refused(home)
    assert not cache.exists()


def test_what_pip_lets_through_is_checked_once_more(
    home: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "wheels.txt").write_text(pins(build_wheel(tmp_path / "a")))
    for brought, said in (
        (build_wheel(tmp_path / "b", says="something else"), ", which wheels.txt doesn't pin"),
        (
            build_wheel(tmp_path / "b", "stowaway"),
            "pip brought stowaway-1.2.0-py3-none-any.whl, which wheels.txt",
        ),
    ):
        monkeypatch.setattr(wheel_download, "_download", lambda *_, brought=brought: [brought])
        assert said in refused(home)
    assert not cache.exists()


def test_a_build_refuses_a_list_that_was_not_made_again(home: Path, cache: Path, index: Path) -> None:
    pin(home, build_wheel(index))
    (home / "wheels.txt").write_text(pins(build_wheel(index, version="2.0")))
    assert "has no wheel of greeting==2.0" in refused(home, locked=True)


def test_one_new_package_leaves_the_others_as_they_are(home: Path, cache: Path, index: Path) -> None:
    older = build_wheel(index, tag="cp312-cp312-manylinux_2_17_x86_64")
    newer = build_wheel(index, tag="cp312-cp312-manylinux_2_28_x86_64")
    pin(home, older, also=(newer,))
    added = build_wheel(index, "added")
    (home / "wheels.txt").write_text(pins(older, newer, added))
    wheel_download.get(home)
    assert wheels.read_list(home) == {older.name: digest(older), added.name: digest(added)}


def test_the_command_has_an_exit_code_and_one_line(
    root: Path, home: Path, cache: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wheel_download.main(["--root", str(root.parent)]) == 0
    assert "no wheels.txt in" in capsys.readouterr().out
    assert wheel_download.main(["--root", str(root.parent), "--model", "beer"]) == 1
    assert capsys.readouterr().err.startswith("wheels: MODEL=beer: there is no ")
    (home / "wheels.txt").write_text("idna\n")
    assert wheel_download.main(["--root", str(root.parent), "--model", "mammography"]) == 0
    capsys.readouterr()
    assert wheel_download.main(["--root", str(root.parent)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("wheels: wine/wheels.txt: line 1: idna is not pinned")
    assert said.count("\n") == 1
