"""One embedded cloud for all delivery tests of a worker."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cloud.cloud import LocalCloud
from tests.local_cloud_delivery.world import ACCOUNT, BUCKET, REPOSITORY, Repository, World

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with pytest.MonkeyPatch.context() as patch:
        # What a build must not see of whoever started the cloud, and what it must.
        patch.setenv("MLOPS_SETTINGS", "secret.json")
        patch.setenv("VIRTUAL_ENV", "/nowhere")
        patch.setenv("GIT_COMMIT", "0" * 40)
        patch.setenv("PIP_INDEX_URL", "https://packages.example.com")
        patch.setenv("AWS_PROFILE", "production")
        started = LocalCloud.start(accounts=(ACCOUNT,))
    with started:
        started.session(ACCOUNT).client("s3").create_bucket(Bucket=BUCKET)
        yield started


@pytest.fixture(scope="session")
def repository(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("git") / "repository")
    made.commit({"greeting.txt": "hello\n", "folder/file.txt": "inside\n"}, "Say hello\n\nTo all")
    cloud.connect_repository(REPOSITORY, made.folder)
    return made


@pytest.fixture
def world(cloud: LocalCloud, repository: Repository) -> World:
    return World(cloud, repository, f"t{os.getpid()}-{next(_numbers)}")


@pytest.fixture
def own_repository(cloud: LocalCloud, tmp_path: Path) -> Repository:
    """A repository that a test may commit to."""
    return Repository(tmp_path / "own")
