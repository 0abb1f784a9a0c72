"""What the tests of the steps share: the shipped model, its data, and runs of steps in folders."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_code.mammography import dataset
from pipeline_code.model_config import load_model
from pipeline_code.steps import check_batch, evaluate, preprocess
from pipeline_code.steps.model import Model

Main = Callable[[Sequence[str] | None], int]


def shipped_json() -> dict[str, Any]:
    """Return the shipped model.json."""
    return dict(json.loads(json.dumps(load_model("mammography").as_json())))


def shipped_model(**changes: Any) -> Model:
    """Return the shipped model as the steps read it, with some keys of model.json changed."""
    return Model.from_json(shipped_json() | changes)


@dataclass
class Workbench:
    """A code root with model.json, and folders to run steps in.

    Attributes
    ----------
    root
        ``/opt/ml`` of the steps that run here.
    """

    root: Path
    model_path: Path

    def run(self, main: Main, inputs: Path, output: Path, *more: str) -> int:
        """Run a step's main on folders."""
        return main(["--model", str(self.model_path), "--input", str(inputs), "--output", str(output), *more])

    @property
    def message(self) -> str:
        """The exit message of the last step."""
        return (self.root / "output" / "message").read_text().strip()

    def preprocess(self, name: str, *files: Path) -> Path:
        """Preprocess training files; return the folder of outputs."""
        data = self.root / name / "in" / "data"
        data.mkdir(parents=True)
        for file in files:
            shutil.copy(file, data)
        output = self.root / name / "out"
        assert self.run(preprocess.main, data.parent, output) == 0, self.message
        return output

    def evaluate(
        self, name: str, prepared: Path, archive: Path, champion: Path | None = None
    ) -> dict[str, Any]:
        """Evaluate a model on prepared rows; return evaluation.json."""
        inputs = self.root / name / "in"
        for folder in ("train", "holdout", "summary", "baseline"):
            shutil.copytree(prepared / folder, inputs / folder)
        (inputs / "model").mkdir()
        shutil.copy(archive, inputs / "model" / "model.tar.gz")
        (inputs / "champion").mkdir()
        if champion is None:
            (inputs / "champion" / "NO_CHAMPION").touch()
        else:
            shutil.copy(champion, inputs / "champion" / "model.tar.gz")
        output = self.root / name / "out"
        version = "none" if champion is None else "1"
        assert self.run(evaluate.main, inputs, output, "--champion-version", version) == 0, self.message
        return dict(json.loads((output / "evaluation" / "evaluation.json").read_text()))

    def check(self, name: str, baseline: Path, batch: Path | bytes, *more: str) -> dict[str, Any]:
        """Check a batch against a baseline's folder; return verdict.json."""
        inputs = self.batch_inputs(name, baseline, batch)
        assert self.run(check_batch.main, inputs, self.root / name / "out", *more) == 0, self.message
        return dict(json.loads((self.root / name / "out" / "report" / "verdict.json").read_text()))

    def batch_inputs(self, name: str, baseline: Path, batch: Path | bytes) -> Path:
        """Lay out the inputs of check_batch."""
        inputs = self.root / name / "in"
        for folder in ("batch", "statistics", "constraints"):
            (inputs / folder).mkdir(parents=True)
        for folder in ("statistics", "constraints"):
            shutil.copy(baseline / f"{folder}.json", inputs / folder)
        if isinstance(batch, bytes):
            (inputs / "batch" / "batch.csv").write_bytes(batch)
        else:
            shutil.copy(batch, inputs / "batch")
        return inputs

    def prepared(self, name: str) -> dict[str, str]:
        """Return the files of the prepared output and what they hold."""
        folder = self.root / name / "out" / "prepared"
        return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def train(rows: Path, hyperparameters: dict[str, str], archive: Path) -> Path:
    """Train as the container does and write its model.tar.gz."""
    import numpy as np
    import xgboost

    held = np.genfromtxt(rows, delimiter=",")
    parameters = dict(hyperparameters)
    rounds = int(parameters.pop("num_round"))
    booster = xgboost.train({**parameters, "nthread": 1}, xgboost.DMatrix(held[:, 1:], held[:, 0]), rounds)
    write_archive(archive, {"xgboost-model": bytes(booster.save_raw("ubj"))})
    return archive


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    """Write a tar.gz with these files."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def original_rows() -> list[list[str]]:
    """Return the rows of the best source at hand, as texts without repairs."""
    found = dataset.source(Path("data"), offline=True, say=lambda line: None)
    lines = found.path.read_text().splitlines()
    return [[cell.strip() for cell in line.split(",")] for line in lines if line and not line.startswith("@")]
