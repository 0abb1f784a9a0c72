"""The installations that `make check` holds to the rules: everything that settings can switch on, in few syntheses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aws_cdk as cdk

from stacks.branch import Branch
from stacks.composition import compose
from stacks.installation import Model
from stacks.network_settings import ENDPOINTS
from stacks.settings import load
from tests.fixtures.trees import two_models
from tests.stacks.installations import SETTINGS, context

ONE_MODEL = {"models": [{"folder": "mammography"}]}
AUDIT = {"data_events": True, "keep_days": 2192}


@dataclass(frozen=True)
class Installation:
    """Settings, and what else makes the stacks differ."""

    name: str
    values: dict[str, Any]
    models: int = 1
    context: dict[str, object] = field(default_factory=dict)


INSTALLATIONS = (
    # Staging, people, networks, a delivery pipeline, a pipeline for versions, an audit trail.
    Installation("full", SETTINGS["versions"] | {"audit": AUDIT}),
    # Delivered by GitHub; two models; networks of its own with every endpoint; the defaults elsewhere.
    Installation(
        "github",
        {
            "delivery": {"by": "github", "repository": "example/cdk-mlops"},
            "accounts": {"staging": "4" * 12},
            "network": {"create": True, "interface_endpoints": list(ENDPOINTS)},
        },
        models=2,
    ),
    # Delivered by Jenkins; Model Monitor; all stages in one account.
    Installation(
        "jenkins",
        ONE_MODEL
        | {
            "delivery": {
                "by": "jenkins",
                "jenkins_principals": ["arn:aws:iam::555555555555:role/agents/jenkins"],
            },
            "monitor": "model-monitor",
            "accounts": dict.fromkeys(("registry", "dev", "prod"), "1" * 12),
        },
    ),
    # A feature branch in dev.
    Installation("branch", SETTINGS["full"], context={"branch": "feature/monotone-age"}),
)


@contextmanager
def composed(
    installation: Installation, out: Path | None = None
) -> Iterator[tuple[cdk.App, tuple[Model, ...]]]:
    """Compose the stacks of an installation, with the context of cdk.json; yield the app and its models.

    Parameters
    ----------
    installation
        Which.
    out
        Folder of the cloud assembly. Default: a temporary one.
    """
    before = {name: os.environ.get(name) for name in ("GIT_COMMIT", "MLOPS_DEFINITIONS")}
    with TemporaryDirectory() as folder:
        os.environ["GIT_COMMIT"] = "0" * 40
        if installation.models == 2:
            os.environ["MLOPS_DEFINITIONS"] = str(two_models(Path(folder)))
        try:
            settings = load(installation.values)
            app = cdk.App(
                context=context() | installation.context,
                analytics_reporting=False,
                outdir=None if out is None else str(out),
            )
            compose(app, settings)
            branch = installation.context.get("branch")
            own = () if branch is None else Branch(str(branch)).settings(settings).models
            yield app, (*settings.models, *own)
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
