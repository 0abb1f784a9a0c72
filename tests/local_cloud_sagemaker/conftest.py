"""One embedded cloud for all SageMaker tests of a worker, started only where a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_cloud.cloud import LocalCloud
from tests.local_cloud.engine_kit import DEV, PROD, REGISTRY


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud.start(accounts=(DEV, PROD, REGISTRY)) as started:
        yield started
