"""Data for the integration tests, and an installation that several files share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline_code.mammography import dataset
from tests.integration.loop import Loop

PEOPLE = {
    "models": [{"folder": "mammography"}],
    "email": "ml-team@example.com",
    "people": {
        "approvers": ["arn:aws:iam::333333333333:user/alice"],
        "data_scientists": ["arn:aws:iam::111111111111:user/ada"],
        "operators": ["arn:aws:iam::222222222222:user/grace"],
    },
}


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model's data files."""
    folder = tmp_path_factory.mktemp("data")
    dataset.prepare(dataset.source(folder, offline=True), folder)
    return folder


@pytest.fixture(scope="session")
def loop(files: Path) -> Iterator[Loop]:
    """Three accounts with people, data in both stages, version 1 trained in dev and approved.

    A folder beside the training data has a name that begins like theirs: whoever reads it fails on its rows.
    """
    with Loop.installed(PEOPLE, files) as installed:
        installed.upload("dev", "prod")
        installed.put("dev", "data/train-dataset-old/x.csv", "not,a,row\n")
        installed.train_and_approve()
        yield installed
