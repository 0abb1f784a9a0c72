"""The commands of a delivery: check a stage, record what was promoted, go back; and trace a version."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops import assembly, promotions, rollback, trace
from ops.assembly import StackAssembly
from ops.checks import check_stage
from ops.checks_common import Access
from ops.checks_session import build_session
from ops.data import ROOT
from ops.errors import CommandError
from ops.sessions import in_build, session_for
from stacks.installation import STACKS, Settings, Stage

LOCAL_POLL_SECONDS = 0.3
AWS_POLL_SECONDS = 10.0
Say = Callable[[str], None]


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def stage_session(settings: Settings, stage: Stage) -> Any:
    """Return a session in a stage: of its checker in a build, else of the person's own."""
    if in_build():
        return build_session(
            settings.checker_role_arn(stage.name), settings.region, name=f"mlops-check-{stage.name}"
        )
    return session_for(stage.name, stage.account, stage.region)


def poll_seconds(session: Any) -> float:
    """Return how long to wait between two looks: shorter on the embedded cloud, where jobs take seconds."""
    local = urlsplit(session.client("sts").meta.endpoint_url).hostname in ("127.0.0.1", "localhost")
    return LOCAL_POLL_SECONDS if local else AWS_POLL_SECONDS


def check(settings: Settings, options: argparse.Namespace) -> None:
    """Check a stage that was just deployed."""
    stage = settings.known_stage(options.stage)
    stack = _assembly(stage, options)
    models = (settings.model(options.model),) if options.model else settings.models
    session = stage_session(settings, stage)
    # The checker may read the registry from its own account; a person has a profile there.
    registry = (
        session if in_build() else session_for("registry", settings.accounts["registry"], settings.region)
    )
    access = Access.of(session, registry, poll_seconds=poll_seconds(session))
    check_stage(settings, stage, models, access, stack, version=options.version, say=say)


def record(settings: Settings, options: argparse.Namespace) -> None:
    """Record what was promoted to a stage."""
    stage = settings.known_stage(options.stage)
    stack = _assembly(stage, options)
    rollback.record(settings, stage, stage_session(settings, stage), stack, say=say)


def list_promotions(settings: Settings, options: argparse.Namespace) -> None:
    """List what was promoted to a stage."""
    stage = settings.known_stage(options.stage)
    session = stage_session(settings, stage)
    records = promotions.Promotions(session.client("s3"), stage.data_bucket_name, stage.name).all()
    tags = rollback.tags_now(settings, stage, session.client("sagemaker"), records)
    say(promotions.table(records, tags))


def roll_back(settings: Settings, options: argparse.Namespace) -> None:
    """Bring a stage back to an earlier promotion, by the person's own credentials."""
    stage = settings.known_stage(options.stage)
    session = session_for(stage.name, stage.account, stage.region)
    work = ROOT / "build" / "rollback" / stage.name
    rollback.roll_back(settings, stage, session, work, to=options.to, say=say)


def trace_version(settings: Settings, options: argparse.Namespace) -> None:
    """Say what made a version."""
    if not options.version:
        raise CommandError("VERSION is missing; see the numbers with: make versions")
    if options.model is None and len(settings.models) > 1:
        choices = " or ".join(f"MODEL={model.folder}" for model in settings.models)
        raise CommandError(f"there are several models; name one: {choices}")
    model = settings.model(options.model) if options.model else settings.models[0]
    registry = session_for("registry", settings.accounts["registry"], settings.region).client("sagemaker")
    found = trace.trace(
        settings,
        model,
        options.version,
        registry,
        lambda stage: session_for(stage.name, stage.account, stage.region),
    )
    say(found.as_json() if options.json else found.as_text())


def _assembly(stage: Stage, options: argparse.Namespace) -> StackAssembly:
    folder = Path(options.assembly or "cdk.out")
    return assembly.find(folder if folder.is_absolute() else ROOT / folder, STACKS[stage.name])


COMMANDS = {
    "check-stage": check,
    "record": record,
    "promotions": list_promotions,
    "rollback": roll_back,
    "trace": trace_version,
}
