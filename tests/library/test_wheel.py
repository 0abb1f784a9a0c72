"""The library is installable on its own: its wheel holds the handlers and the typing marker, and no byte code."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build from a copy, so that the tree stays clean; with the installed backend, so that no network is needed."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "constructs", folder / "constructs")
    cache = folder / "constructs" / "src" / "cdk_mlops" / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "stale.cpython-311.pyc").write_bytes(b"byte code")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(folder / "constructs"),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_every_source_file(wheel: zipfile.ZipFile) -> None:
    source = ROOT / "constructs" / "src"
    written = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    assert written <= set(wheel.namelist())
    assert any(name.startswith("cdk_mlops/handlers/") for name in written)


def test_the_wheel_is_typed_and_without_byte_code(wheel: zipfile.ZipFile) -> None:
    assert "cdk_mlops/py.typed" in wheel.namelist()
    assert not [name for name in wheel.namelist() if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_asks_for_cdk_and_constructs_only(wheel: zipfile.ZipFile) -> None:
    metadata = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    needed = [line for line in wheel.read(metadata).decode().splitlines() if line.startswith("Requires-Dist")]
    assert sorted(line.split()[1].split("<")[0].split(">")[0] for line in needed) == [
        "aws-cdk-lib",
        "constructs",
    ]


@pytest.mark.parametrize("folder", ["constructs", "tests/constructs"])
def test_nothing_shadows_the_package_constructs(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()
