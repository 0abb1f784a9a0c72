"""A definition that isn't what its sources give is found, and named in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_code import lock
from pipeline_code.definitions import code_files, code_sha256, write_code
from pipeline_code.lock import StaleDefinition, main, verify
from tests.fixtures.trees import SECOND, SHIPPED, copy_model, two_models


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy the shipped model and its definitions; return the folder of definitions."""
    return copy_model(SHIPPED, "mammography", tmp_path)


def append(path: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        with (root / path).open("a") as file:
            file.write("\n")

    return change


def remove(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def test_the_shipped_model_is_current() -> None:
    verify("mammography")


def test_the_second_model_is_current() -> None:
    verify("wine", SECOND / "definitions")


def test_copies_of_both_models_are_current(tmp_path: Path) -> None:
    root = two_models(tmp_path)
    verify("mammography", root)
    verify("wine", root)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            append("mammography/default/train.json"),
            "default/train.json: is not what was compiled; don't edit it",
        ),
        (append("mammography/model.json"), "model.json: is not what was compiled; don't edit it by hand"),
        (append("images.json"), "images.json: is not what was compiled; don't edit it by hand"),
        (append("../mammography/model.yaml"), "model.yaml: has changed since it was compiled"),
        (remove("../mammography/model.yaml"), "model.yaml: is missing"),
        (remove("mammography/vpc/inference.json"), "vpc/inference.json: was compiled but is missing"),
        (remove("images.json"), "images.json: is missing"),
        (remove("mammography/lock.json"), "lock.json: is missing, so 'mammography' was never compiled"),
        (append("mammography/default/other.json"), "default/other.json: is not in the lock"),
        (lambda root: (root / "mammography/lock.json").write_text("{}"), "lock.json: is not a lock file"),
    ],
)
def test_fails_in_one_line_that_names_the_file_and_the_command(
    tree: Path, change: Callable[[Path], None], named: str
) -> None:
    change(tree)
    with pytest.raises(StaleDefinition) as failure:
        verify("mammography", tree)
    message = str(failure.value)
    assert named in message
    assert message.endswith("; run: make definitions")
    assert "\n" not in message


@pytest.mark.parametrize("source", lock.SOURCES)
def test_fails_when_a_source_of_the_pipelines_has_changed(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    home = tmp_path / "sources"
    for name in lock.SOURCES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes((SHIPPED / name).read_bytes())
    monkeypatch.setattr(lock, "HERE", home)
    verify("mammography", tree)
    with (home / source).open("a") as file:
        file.write("#\n")
    with pytest.raises(
        StaleDefinition, match=f"{source}: has changed since it was compiled; run: make definitions"
    ):
        verify("mammography", tree)


def test_the_check_is_silent_when_all_is_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_models(tmp_path)
    assert main(["--check", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_check_tells_of_a_stale_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append("wine/vpc/train.json")(two_models(tmp_path))
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_check_tells_of_a_model_that_was_never_compiled(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree.parent / "beer").mkdir()
    (tree.parent / "beer" / "model.yaml").write_text("names: {}\n")
    assert main(["--check", "--root", str(tree.parent)]) == 1
    assert "'beer' was never compiled; run: make definitions" in capsys.readouterr().err


def test_the_check_tells_of_a_folder_without_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert "holds no folder with a model.yaml" in capsys.readouterr().err


def test_jobs_get_the_steps_the_model_and_the_marker_for_no_champion() -> None:
    files = code_files("mammography")
    assert {"steps/preprocess.py", "steps/quality/checks.py", "model.json", "no_champion/NO_CHAMPION"} <= set(
        files
    )
    assert json.loads(files["model.json"])["prefix"] == "mammo-severity"
    assert not [name for name in files if "__pycache__" in name]


def test_the_code_s_digest_is_that_of_its_content(tree: Path) -> None:
    assert code_sha256("mammography", tree) == code_sha256("mammography")
    append("mammography/model.json")(tree)
    assert code_sha256("mammography", tree) != code_sha256("mammography")


def test_the_code_is_written_as_jobs_find_it(tmp_path: Path) -> None:
    target = write_code("mammography", tmp_path / "code")
    written = {
        path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()
    }
    assert written == code_files("mammography")
