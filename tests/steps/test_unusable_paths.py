"""Paths that can't be read or written: a violation or one line that names them, never a trace."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.mammography import dataset
from pipeline_code.steps import check_batch, check_shard, data_quality, preprocess
from pipeline_code.steps.parts import batch_parts
from pipeline_code.steps.program import BAD_DATA, BAD_USAGE
from pipeline_code.steps.rows import Problem
from tests.steps.steps_kit import Workbench
from tests.steps.stream_kit import model

ROWS = "".join(f"{3 + n % 3},{40 + n % 30},{1 + n % 4},{1 + n % 5},{1 + n % 4}\n" for n in range(60)).encode()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may read files named ``closed``; permissions would not keep an administrator out."""
    opened = io.open

    def refuse(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        if "closed" in Path(str(file)).name and mode.startswith("r"):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, mode, *more, **named)

    monkeypatch.setattr(io, "open", refuse)


def _told(capfd: pytest.CaptureFixture[str]) -> str:
    """Return the one line that a program has left on stderr."""
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    return told.strip()


def _data_quality(bench: Workbench, inputs: Path, *more: str, output: Path | None = None) -> int:
    """Check the batch of inputs."""
    if (inputs / "batch").exists():
        (inputs / "batch").rename(inputs / "data")
    paths = {"--model": bench.model_path, "--input": inputs, "--output": output or bench.root / "out"}
    return data_quality.main(["check", *(word for pair in paths.items() for word in map(str, pair)), *more])


def test_a_folder_for_a_model_is_named(
    bench: Workbench, part1: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", ROWS)
    bench.model_path.unlink()
    bench.model_path.mkdir()

    assert bench.run(check_batch.main, inputs, bench.root / "out") == BAD_USAGE

    assert _told(capfd) == f"'{bench.model_path}' can't be read: Is a directory; name model.json with --model"


@pytest.mark.parametrize("state_only", [False, True])
@pytest.mark.parametrize("below", ["", "deeper"])
def test_an_output_folder_that_is_a_file_is_named(
    bench: Workbench, part1: Path, capfd: pytest.CaptureFixture[str], below: str, state_only: bool
) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", ROWS)
    (bench.root / "file").write_text("")
    output = bench.root / "file" / below

    code = _data_quality(bench, inputs, *["--state-only"] * state_only, output=output)

    name = output / ("state" if state_only else "report")
    assert code == BAD_USAGE
    assert _told(capfd) == (
        f"the output folder '{name}' can't be made: Not a directory; name another with --output"
    )


def test_a_file_where_one_of_the_output_folders_should_be_is_named(
    bench: Workbench, part1: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", ROWS)
    (bench.root / "out").mkdir()
    (bench.root / "out" / "report").write_text("")

    assert _data_quality(bench, inputs) == BAD_USAGE

    assert _told(capfd).endswith("report' can't be made: File exists; name another with --output")


@pytest.mark.parametrize("name", ["closed.csv", "closed.csv.bz2"])
@pytest.mark.usefixtures("closed")
def test_a_file_of_a_batch_that_may_not_be_read_is_a_violation(
    bench: Workbench, part1: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", ROWS)
    (inputs / "batch" / name).write_bytes(ROWS)

    assert _data_quality(bench, inputs) == 0

    assert capfd.readouterr().err == ""
    verdict = json.loads((bench.root / "out" / "report" / "verdict.json").read_text())
    assert (verdict["verdict"], verdict["rows"]) == ("violation", 60)
    assert f"{name}: can't be opened: Permission denied" in verdict["message"]


@pytest.mark.usefixtures("closed")
def test_a_file_that_may_not_be_read_is_a_problem_where_each_row_is_prepared(tmp_path: Path) -> None:
    (tmp_path / "closed.csv").write_bytes(ROWS)
    problems: list[Problem] = []

    assert list(batch_parts(tmp_path / "closed.csv", "closed.csv", model(), problems)) == []

    assert [(problem.kind, str(problem)) for problem in problems] == [
        ("unreadable", "closed.csv: can't be opened: Permission denied")
    ]


@pytest.mark.usefixtures("closed")
def test_a_training_file_that_may_not_be_read_is_bad_data(
    bench: Workbench, files: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    inputs = bench.root / "in"
    (inputs / "data").mkdir(parents=True)
    (inputs / "data" / "closed.csv").write_bytes(files[dataset.PART1].read_bytes())

    assert bench.run(preprocess.main, inputs, bench.root / "out") == BAD_DATA

    assert _told(capfd) == "closed.csv: can't be opened: Permission denied"


def _linked(folder: Path, name: str, target: str) -> None:
    """Lay a link into a folder, and a folder beside it to which it may lead."""
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere" / "more.csv").write_bytes(ROWS)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(target)


LINKS = [
    ("gone.csv", "../elsewhere/gone.csv", "nowhere"),
    ("below/gone.csv", "gone.csv", "nowhere"),  # itself
    ("july", "../elsewhere", "to a folder, which isn't followed"),
]


@pytest.mark.parametrize(("name", "target", "where"), LINKS)
@pytest.mark.parametrize("way", ["check", "state", "shard"])
def test_a_link_in_a_batch_that_leads_to_no_file_is_named(
    bench: Workbench,
    part1: Path,
    capfd: pytest.CaptureFixture[str],
    way: str,
    name: str,
    target: str,
    where: str,
) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", ROWS)
    _linked(inputs / "batch", name, target)

    if way == "shard":
        code = bench.run(check_shard.main, inputs, bench.root / "out")
    else:
        code = _data_quality(bench, inputs, *["--state-only"] * (way == "state"))

    folder = "batch" if way == "shard" else "data"
    assert code == BAD_DATA
    assert _told(capfd) == (
        f"{name} in the input folder '{folder}' is a link that leads {where}; put files there"
    )


def test_a_link_to_a_file_is_read_and_a_hidden_one_is_left_alone(bench: Workbench, part1: Path) -> None:
    inputs = bench.batch_inputs("run", part1 / "baseline", ROWS)
    _linked(inputs / "batch", "more.csv", "../elsewhere/more.csv")
    (inputs / "batch" / ".gone").symlink_to("gone")

    assert _data_quality(bench, inputs) == 0

    verdict = json.loads((bench.root / "out" / "report" / "verdict.json").read_text())
    assert verdict["rows"] == 120
