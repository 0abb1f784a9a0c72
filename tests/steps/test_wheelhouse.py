"""Packages that came with the code: steps import them, and what isn't exactly what was pinned stops a job at once."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from local_cloud.runner.sandbox import WHEELS, Sandbox
from pipeline_code import wheels
from pipeline_code.steps import program, wheelhouse
from pipeline_code.steps.wheel_pins import CONTAINER, OF_THE_CONTAINER, this_interpreter
from tests.fixtures.wheels import build_wheel, digest, keep, pins

HERE = this_interpreter()
OWN_STEP = """
import importlib.metadata, json, sys
import greeting
print(json.dumps([greeting.WORD, importlib.metadata.version("greeting"), "zipfile" in sys.modules]))
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A job's code with a step of a user's own and a wheelhouse, as `write_code` makes it."""
    root = tmp_path / "code"
    shutil.copytree(
        Path(program.__file__).parent, root / "steps", ignore=shutil.ignore_patterns("__pycache__")
    )
    (root / "steps" / "own_step.py").write_text(OWN_STEP)
    (root / "steps" / "empty_step.py").write_text("import sys\nprint('zipfile' in sys.modules)\n")
    put(root, build_wheel(tmp_path / "made"))
    return root


def put(code: Path, *made: Path, also: tuple[Path, ...] = ()) -> None:
    """Ship wheels; `also` are files that are pinned but not shipped."""
    shutil.rmtree(code / "wheels", ignore_errors=True)
    (code / "wheels").mkdir()
    for wheel in made:
        shutil.copy(wheel, code / "wheels")
    (code / "wheels" / "wheels.txt").write_text(pins(*made, *also))


def run(
    code: Path, step: str = "own_step", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a step as a container does, in an environment like that of the embedded cloud."""
    sandbox = Sandbox(code.parent / "job")
    return subprocess.run(
        [sys.executable, "-m", f"steps.{step}"],
        env=sandbox.environment({}, {"PYTHONPATH": str(code), **(environment or {})}),
        cwd=sandbox.folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def refused(code: Path, environment: dict[str, str] | None = None) -> str:
    """Run a step that must be stopped; return its one line, which is the job's exit message too."""
    done = run(code, environment=environment)
    message = code.parent / "job" / "opt" / "ml" / "output" / "message"
    assert (done.returncode, done.stdout) == (program.BAD_USAGE, "")
    assert done.stderr.count("\n") == 1
    assert message.read_text() == done.stderr
    return done.stderr.strip()


def test_a_step_imports_what_came_with_the_code(code: Path) -> None:
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, '["hello", "1.2.0", true]\n', "")
    assert list((code.parent / "job" / "tmp").iterdir()) == []  # what was unpacked is gone


def test_a_job_without_wheels_does_nothing_for_them(code: Path) -> None:
    shutil.rmtree(code / "wheels")
    done = run(code, "empty_step")
    assert (done.returncode, done.stdout) == (0, "False\n")
    assert "No module named 'greeting'" in run(code).stderr


def test_the_pinned_version_wins_over_an_installed_one_and_nothing_over_python_itself() -> None:
    path = [
        "/job",
        "/code",
        "/usr/lib/python312.zip",
        "/usr/lib/python3.12",
        "/usr/lib/python3.12/site-packages",
    ]
    assert wheelhouse.place_of_packages(path) == 4
    assert wheelhouse.place_of_packages(["/code", "/usr/lib/python3/dist-packages"]) == 1
    assert wheelhouse.place_of_packages(["/code", "/usr/lib/python3.12"]) == 2


def test_a_package_named_as_one_of_python_or_of_ours_changes_neither(code: Path, tmp_path: Path) -> None:
    put(code, build_wheel(tmp_path / "odd", more={"colorsys.py": "ODD = 1\n", "ours.py": "ODD = 1\n"}))
    (code / "ours.py").write_text("ODD = 0\n")
    (code / "steps" / "own_step.py").write_text(
        "import colorsys, greeting, ours\nprint(greeting.WORD, hasattr(colorsys, 'ODD'), ours.ODD)\n"
    )
    assert run(code).stdout == "hello False 0\n"


def test_a_newer_version_than_the_machine_s_is_what_is_imported(code: Path, tmp_path: Path) -> None:
    put(code, build_wheel(tmp_path / "odd", "boto3", "99.0", says="pinned"))
    (code / "steps" / "own_step.py").write_text("import boto3\nprint(boto3.WORD)\n")
    assert run(code).stdout == "pinned\n"


def test_a_wheel_that_was_changed_is_refused(code: Path) -> None:
    (wheel,) = (code / "wheels").glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"\n")
    assert refused(code) == (
        f"wheels/{wheel.name}: has sha256 {digest(wheel)}, which wheels.txt doesn't pin for greeting==1.2.0:"
        " the file was changed"
    )


def test_a_wheel_that_nobody_pinned_is_refused(code: Path, tmp_path: Path) -> None:
    shutil.copy(build_wheel(tmp_path / "odd", "stowaway"), code / "wheels")
    assert refused(code) == "wheels/stowaway-1.2.0-py3-none-any.whl: is not in wheels.txt, so it isn't used"


def test_a_wheel_that_is_pinned_and_missing_is_named(code: Path) -> None:
    (wheel,) = (code / "wheels").glob("*.whl")
    wheel.unlink()
    assert refused(code) == "wheels: holds no wheel of greeting==1.2.0, which wheels.txt pins"


@pytest.mark.parametrize(
    "tag",
    [
        f"cp3{HERE.minor + 1}-cp3{HERE.minor + 1}-{'linux_' + HERE.machine}",
        "py3-none-plan9_x86_64",
        f"cp3{HERE.minor}-cp3{HERE.minor}-manylinux_2_99_{HERE.machine}",
    ],
)
def test_a_wheel_for_another_python_or_platform_is_refused(code: Path, tmp_path: Path, tag: str) -> None:
    wheel = build_wheel(tmp_path / "odd", tag=tag)
    put(code, wheel)
    # an empty name is as good as none: that is how it is on AWS
    assert refused(code, {"STEPS_WHEELS": ""}) == (
        f"wheels/{wheel.name}: is not for {HERE}; wheels.txt must be made for it"
    )
    assert refused(code, {"STEPS_WHEELS": str(tmp_path / "none")}).endswith(
        f"is not for {HERE}; run: make wheels"
    )


def test_the_embedded_cloud_takes_this_machine_s_own_file_if_it_is_pinned(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = build_wheel(tmp_path / "theirs", tag=f"cp3{HERE.minor + 1}-none-any")
    ours = build_wheel(tmp_path / "ours", tag=f"cp3{HERE.minor}-none-any", says="for this machine")
    put(code, theirs, also=(ours,))
    monkeypatch.setenv("MLOPS_WHEELS", str(tmp_path / "cache"))
    keep(tmp_path / "cache", build_wheel(tmp_path / "odd", says="nobody pinned it"), theirs)
    assert "run: make wheels" in refused(code)
    keep(tmp_path / "cache", ours)
    assert run(code).stdout.startswith('["for this machine"')
    path = tmp_path / "cache" / digest(ours) / ours.name
    path.write_bytes(path.read_bytes() + b"\n")
    assert "which wheels.txt doesn't pin for greeting==1.2.0: the file was changed" in refused(code)


def test_the_embedded_cloud_looks_where_make_wheels_writes(tmp_path: Path) -> None:
    assert wheels.CACHE == WHEELS
    assert Sandbox(tmp_path).environment({}, {})["STEPS_WHEELS"] == str(wheels.cache_folder())


@pytest.mark.parametrize(
    ("entry", "mode", "said"),
    [
        ("../out.py", 0o644, "its entry '../out.py' is refused: it must be a plain relative path"),
        ("/elsewhere/out.py", 0o644, "its entry '/elsewhere/out.py' is refused"),
        ("a/./b.py", 0o644, "its entry 'a/./b.py' is refused"),
        ("a\\b.py", 0o644, "is refused: it must be a plain relative path"),
        ("C:b.py", 0o644, "its entry 'C:b.py' is refused"),
        ("link", stat.S_IFLNK | 0o777, "its entry 'link' is refused: it is a link or a device"),
    ],
)
def test_an_entry_that_leads_elsewhere_is_refused(
    code: Path, tmp_path: Path, entry: str, mode: int, said: str
) -> None:
    put(code, build_wheel(tmp_path / "odd", more={entry: "x"}, mode=mode))
    assert said in refused(code)
    assert not (code.parent / "job" / "out.py").exists()


def test_what_is_no_zip_file_or_damaged_or_too_large_is_one_line(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = build_wheel(tmp_path / "odd")
    content = wheel.read_bytes()
    for odd in (b"", b"no zip file", content.replace(b"hello", b"HELLO"), content[: len(content) // 2]):
        wheel.write_bytes(odd)
        put(code, wheel)
        assert f"{wheel.name}: can't be unpacked: " in refused(code)
    wheel.write_bytes(content)
    monkeypatch.setattr(wheelhouse, "MOST_BYTES", 10)
    with pytest.raises(program.UsageError, match="unpacks to more than 0 MB"):
        wheelhouse.unpack(wheel, tmp_path / "target")


def test_libraries_under_data_are_put_where_they_belong_and_scripts_left_out(tmp_path: Path) -> None:
    more = {
        "greeting-1.2.0.data/purelib/extra/one.py": "1",
        "greeting-1.2.0.data/platlib/greeting.libs/two.so": "2",
        "greeting-1.2.0.data/scripts/three": "3",
        "greeting-1.2.0.data/data/share/four": "4",
    }
    wheelhouse.unpack(build_wheel(tmp_path / "odd", more=more), tmp_path / "target")
    found = {path.relative_to(tmp_path / "target").as_posix() for path in (tmp_path / "target").rglob("*.*")}
    assert {"extra/one.py", "greeting.libs/two.so", "greeting/__init__.py"} <= found
    assert not {name for name in found if "three" in name or "four" in name or ".data" in name}


def test_pins_that_can_not_be_read_are_one_line(code: Path) -> None:
    (code / "wheels" / "wheels.txt").write_text("greeting\n")
    assert refused(code).startswith(
        "wheels/wheels.txt: line 1: greeting is not pinned as greeting==<version>"
    )


def test_every_built_in_step_still_starts(code: Path) -> None:
    for name in ("preprocess", "check_batch"):
        done = subprocess.run(
            [sys.executable, "-m", f"steps.{name}", "--help"],
            env={"PYTHONPATH": str(code)}, cwd=code.parent, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


def test_the_container_is_the_one_that_steps_are_tested_for() -> None:
    pinned = (Path(__file__).resolve().parents[2] / "requirements.txt").read_text()
    for name, version in OF_THE_CONTAINER.items():
        assert not version or f"{name}=={version}" in pinned
    assert str(CONTAINER) == "Python 3.12 on linux x86_64"
