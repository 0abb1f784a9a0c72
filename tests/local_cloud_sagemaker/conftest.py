"""One embedded cloud for all SageMaker tests of a worker, started only where a test asks for it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.runner.quality_check import ANALYZER_VARIABLE
from tests.local_cloud.engine_kit import DEV, PROD, REGISTRY


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    analyzer = shlex.join([sys.executable, str(Path(__file__).with_name("analyzer.py"))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ANALYZER_VARIABLE, analyzer)
        started = LocalCloud.start(accounts=(DEV, PROD, REGISTRY))
    with started:
        yield started
