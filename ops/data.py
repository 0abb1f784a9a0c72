"""Prepare the data files of each model's folder and upload them where its pipelines read them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.exceptions

from ops.errors import CommandError
from pipeline_code.definitions import definitions_root
from stacks.installation import Model, Stage

GROUND_TRUTH = "ground-truth"
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Prepared:
    """Data files, and where their rows came from."""

    source: str
    rows: int
    sha256: str
    files: list[Path]


def prepare(model: Model, folder: Path, *, say: Callable[[str], None]) -> Prepared:
    """Write the model's data files with the ``dataset`` module of its folder and say where the rows came from."""
    name = f"pipeline_code.{model.folder}.dataset"
    try:
        dataset = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise CommandError(
                f"pipeline_code/{model.folder}/ has no dataset.py: put the files that its model.yaml names into"
                f" {folder.name}/"
            ) from None
        raise
    source = dataset.source(folder)
    say(f"{model.model_name}: {source.name}, {source.rows} rows, sha256 {source.sha256[:12]}...")
    files = list(dataset.prepare(source, folder))
    return Prepared(source=source.name, rows=source.rows, sha256=source.sha256, files=files)


def training_files(model: Model, stage: Stage) -> list[str]:
    """Return the names of the files that a stage trains on."""
    return list(_data_files(model)["train"].get(stage.name, []))  # no model trains in staging


def batch_files(model: Model) -> list[str]:
    """Return the names of the batches that come with the model."""
    return list(_data_files(model)["batches"])


def _data_files(model: Model) -> dict[str, Any]:
    described = json.loads((definitions_root() / model.folder / "model.json").read_text())
    return dict(described["data_files"])


def training_prefix(model: Model) -> str:
    """Return the prefix of the training data in a stage's data bucket."""
    return f"{model.data_name}/data/train-dataset/"


def batch_prefix(model: Model) -> str:
    """Return the prefix of the batches in a stage's data bucket."""
    return f"{model.data_name}/data/batch-dataset/"


def ground_truth_prefix(model: Model) -> str:
    """Return the prefix of the batches' ground truth in a stage's data bucket."""
    return f"{model.data_name}/data/{GROUND_TRUTH}/"


def upload(session: Any, stage: Stage, model: Model, folder: Path, *, say: Callable[[str], None]) -> None:
    """Upload the files that a stage trains on, the batches, and what there is of the batches' ground truth.

    Ground truth arrives later: what lies under ``ground-truth/<batch>`` (a file, or a folder of files) goes along.

    Raises
    ------
    CommandError
        Where a file hasn't been prepared, or the bucket refuses.
    """
    s3 = session.client("s3")
    for prefix, names in (
        (training_prefix(model), training_files(model, stage)),
        (batch_prefix(model), batch_files(model)),
    ):
        for path in _existing(folder, names):
            _put(s3, stage, path, prefix + path.name)
            say(f"  s3://{stage.data_bucket_name}/{prefix}{path.name}")
    for path in _ground_truth(model, folder):
        key = ground_truth_prefix(model) + path.relative_to(folder / GROUND_TRUTH).as_posix()
        _put(s3, stage, path, key)
        say(f"  s3://{stage.data_bucket_name}/{key}")


def _ground_truth(model: Model, folder: Path) -> list[Path]:
    homes = [folder / GROUND_TRUTH / name for name in batch_files(model)]
    found = [path for home in homes for path in (home, *home.rglob("*")) if path.is_file()]
    return sorted(path for path in found if not path.name.startswith("."))


def _put(s3: Any, stage: Stage, path: Path, key: str) -> None:
    try:
        s3.put_object(Bucket=stage.data_bucket_name, Key=key, Body=path.read_bytes())
    except botocore.exceptions.ClientError as error:
        raise CommandError(
            f"{path.name} was not uploaded to {stage.data_bucket_name}: {error.response['Error']['Message']};"
            " is the stack deployed?"
        ) from None


def _existing(folder: Path, names: Iterable[str]) -> list[Path]:
    paths = [folder / name for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise CommandError(f"{folder.name}/ lacks {', '.join(missing)}; run: make data")
    return paths


def batch_uri(stage: Stage, model: Model, value: str) -> str:
    """Return the URI of a batch: as it is, or a name below the stage's batch prefix."""
    return (
        value if value.startswith("s3://") else f"s3://{stage.data_bucket_name}/{batch_prefix(model)}{value}"
    )


def ground_truth_uri(stage: Stage, model: Model, value: str) -> str:
    """Return the URI of a batch's ground truth: as it is, or a name below the stage's prefix of it."""
    if value.startswith("s3://"):
        return value
    return f"s3://{stage.data_bucket_name}/{ground_truth_prefix(model)}{value}"
