"""One embedded cloud for all engine tests of a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_cloud.cloud import LocalCloud
from tests.local_cloud.engine_kit import DEV, FAKE, PROD, REGISTRY


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalCloud]:
    """A cloud whose SageMaker is a stand-in, so that these tests judge the engine alone."""
    with LocalCloud.start(accounts=(DEV, PROD, REGISTRY), sagemaker_module=FAKE) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Synthesizes the CDK application beside, with a value for its custom resource, once each."""
    made: dict[str, Path] = {}

    def synthesize(value: str) -> Path:
        if value not in made:
            made[value] = tmp_path_factory.mktemp("cdk") / "cdk.out"
            command = [sys.executable, str(Path(__file__).parent / "cdk_app" / "app.py")]
            context = f'{{"value": "{value}"}}'
            settings = {
                "CDK_OUTDIR": str(made[value]),
                "CDK_CONTEXT_JSON": context,
                "CDK_VALIDATION": "false",
            }
            subprocess.run(
                command, env={**os.environ, **settings}, check=True, capture_output=True, text=True
            )
        return made[value]

    return synthesize
