from __future__ import annotations

import json
from pathlib import Path

import pytest

import tests.handlers.conftest  # noqa: F401 - the functions' code is a root of its own
from pipeline_code.mammography import dataset
from tests.steps.steps_kit import Workbench, shipped_json, shipped_model, train


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    return _bench(tmp_path, monkeypatch)


def _bench(root: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(root))
    path = root / "model.json"
    path.write_text(json.dumps(shipped_json()))
    return Workbench(root, path)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The six data files by name."""
    folder = tmp_path_factory.mktemp("data")
    found = dataset.source(Path("data"), offline=True, say=lambda line: None)
    return {path.name: path for path in dataset.prepare(found, folder)}


@pytest.fixture(scope="session")
def part1(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of preprocess on part 1, as in dev."""
    with pytest.MonkeyPatch.context() as patch:
        bench = _bench(tmp_path_factory.mktemp("part1"), patch)
        return bench.preprocess("part1", files[dataset.PART1])


@pytest.fixture(scope="session")
def both_parts(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of preprocess on both parts, as in prod."""
    with pytest.MonkeyPatch.context() as patch:
        bench = _bench(tmp_path_factory.mktemp("both"), patch)
        return bench.preprocess("both", files[dataset.PART1], files[dataset.PART2])


@pytest.fixture(scope="session")
def first_model(part1: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model.tar.gz that part 1 gives."""
    archive = tmp_path_factory.mktemp("model1") / "model.tar.gz"
    return train(part1 / "train" / "train.csv", shipped_model().hyperparameters, archive)


@pytest.fixture(scope="session")
def second_model(both_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model.tar.gz that both parts give."""
    archive = tmp_path_factory.mktemp("model2") / "model.tar.gz"
    return train(both_parts / "train" / "train.csv", shipped_model().hyperparameters, archive)


@pytest.fixture(scope="session")
def evaluated(part1: Path, first_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The baseline that evaluate leaves of part 1, with the scores of the hold-out."""
    with pytest.MonkeyPatch.context() as patch:
        bench = _bench(tmp_path_factory.mktemp("evaluated"), patch)
        quick = shipped_json() | {"evaluation": {"folds": 2, "repeats": 1, "seed": 200}}
        bench.model_path.write_text(json.dumps(quick))
        bench.evaluate("run", part1, first_model)
    return bench.root / "run" / "out" / "baseline"
