"""One embedded cloud for all engine tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_cloud.cloud import LocalCloud
from tests.local_cloud.engine_kit import DEV, FAKE, PROD, REGISTRY


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalCloud]:
    """A cloud whose SageMaker is a stand-in, so that these tests judge the engine alone."""
    with LocalCloud.start(accounts=(DEV, PROD, REGISTRY), sagemaker_module=FAKE) as cloud:
        yield cloud
