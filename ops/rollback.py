"""Bring a stage back: deploy the assembly of an earlier promotion, so that CloudFormation's picture stays true."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops import assembly, cdk, promotions
from ops.assembly import StackAssembly
from ops.checks_common import CheckError
from ops.checks_deployed import NotAllowed, compare, tags_of
from ops.promotions import Promotion, Promotions
from stacks.installation import PIPELINE_KINDS, STACKS, Settings, Stage


def tags_now(
    settings: Settings, stage: Stage, sagemaker: Any, records: Sequence[Promotion]
) -> dict[str, Mapping[str, str] | None]:
    """Return the tags of every pipeline that the stage has, or had in any promotion, by name."""
    tags: dict[str, Mapping[str, str] | None] = {}
    recorded = {name for one in records for name in one.definitions}
    names = {kind: {stage.pipeline_name(model, kind) for model in settings.models} for kind in PIPELINE_KINDS}
    always = names["train"] | names["inference"]
    for name in sorted(always | names["quality"] | recorded):
        try:
            tags[name] = tags_of(settings, stage, sagemaker, name)
        except NotAllowed:
            if name in always:
                raise
            # A checker knows nothing of a model that the installation has no more, nor one that was deployed before
            # there were quality pipelines of these.
            tags[name] = None
    return tags


def record(
    settings: Settings, stage: Stage, session: Any, stack: StackAssembly, *, say: Callable[[str], None]
) -> Promotion:
    """Record what is deployed to a stage: the assembly at hand, which must be just that.

    Raises
    ------
    CheckError
        Where something else is deployed.
    CommandError
        Where it can't be recorded.
    """
    compare(settings, stage, session.client("sagemaker"), stack, say=say)
    kept = Promotions(session.client("s3"), stage.data_bucket_name, stage.name)
    promotion = kept.add(stack, stack.pack(), now=datetime.now(UTC))
    say(f"{stage.name}: recorded {promotion.id} in s3://{kept.bucket}/{promotions.PREFIX}")
    return promotion


def roll_back(
    settings: Settings,
    stage: Stage,
    session: Any,
    work: Path,
    *,
    to: str | None,
    say: Callable[[str], None],
) -> Promotion:
    """Deploy an earlier promotion once more and record that; return the record.

    Parameters
    ----------
    settings, stage
        What is rolled back.
    session
        In the stage's account, of somebody who may deploy there.
    work
        Folder for the assembly and the log; it is emptied.
    to
        Id of a promotion. Default: the one before what is deployed.
    say
        Gets what a person should know, a line each.

    Raises
    ------
    CommandError
        Where there is nothing to go back to, the archive isn't what was recorded, or the deployment failed.
    """
    kept = Promotions(session.client("s3"), stage.data_bucket_name, stage.name)
    sagemaker = session.client("sagemaker")
    records = kept.all()
    before = tags_now(settings, stage, sagemaker, records)
    chosen = promotions.target(records, before, to)
    content = kept.archive(chosen)
    shutil.rmtree(work, ignore_errors=True)
    folder = work / "assembly"
    promotions.unpack(content, folder)
    stack = assembly.find(folder, STACKS[stage.name])
    say(f"{stage.name}: has commit {_commits(before)}; goes back to {chosen.id}, commit {chosen.commit[:12]}")
    _deploy(stack, session, work)
    _verify(settings, stage, sagemaker, stack, chosen)
    restored = kept.add(stack, content, now=datetime.now(UTC), restores=chosen)
    say(
        f"{stage.name}: has commit {chosen.commit[:12]} again, with the definitions recorded then; recorded as"
        f" {restored.id}. The main branch is as it was: its next promotion deploys it again"
    )
    return restored


def _deploy(stack: StackAssembly, session: Any, work: Path) -> None:
    profile = session.profile_name
    arguments = ["deploy", stack.name, "--app", str(stack.folder), "--require-approval", "never"]
    arguments += [] if profile == "default" else ["--profile", profile]
    endpoint = _own_endpoint(session)
    with cdk.Command(
        arguments, cdk.environment(endpoint), work / "deploy.log", folder=stack.folder
    ) as command:
        command.finish()


def _own_endpoint(session: Any) -> dict[str, str]:
    """Return the variables that point the CLI at the embedded cloud, where the session's profile names one."""
    url = session.client("sts").meta.endpoint_url
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost")
    return {"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_S3": url} if local else {}


def _verify(
    settings: Settings, stage: Stage, sagemaker: Any, stack: StackAssembly, chosen: Promotion
) -> None:
    """See that the pipelines are those that were recorded: what the record says, and what the assembly says."""
    if stack.definitions != dict(chosen.definitions) or stack.commit != chosen.commit:
        raise CheckError(
            f"{stage.name}: expected the definitions of the record {chosen.id}; found others in its assembly, which is"
            " deployed now; choose another promotion: TO=<id>"
        )
    compare(settings, stage, sagemaker, stack, say=lambda line: None)


def _commits(tags: Mapping[str, Mapping[str, str] | None]) -> str:
    found = sorted({one.get("mlops:commit", "unknown")[:12] for one in tags.values() if one is not None})
    return " and ".join(found) or "none"
