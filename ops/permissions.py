"""``make permissions``: does what would be deployed let anybody do more than what is deployed?"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions

from ops.approval import POLL_SECONDS, WAIT_SECONDS, Approval
from ops.deployed import Pair, pairs
from ops.errors import CommandError
from ops.iam.templates import Template
from ops.iam.widening import compare
from stacks.installation import Settings, partition_of

NOTHING_WIDENS = "nothing widens"
WIDENS = 3  # the exit code
_LONGEST_MESSAGE = 200_000  # SNS takes 256 KB


def account_names(settings: Settings, text: str | None) -> list[str]:
    """Return the accounts that ``STAGES`` names.

    Raises
    ------
    CommandError
        Where it names none, or one that the installation doesn't have.
    """
    known = list(settings.accounts)
    names = (text or "").replace(",", " ").split()
    for name in names or [""]:
        if name not in known:
            raise CommandError(
                f'STAGES must name some of: {" ".join(known)}; got {name!r}; for example STAGES="registry dev"'
            )
    return list(dict.fromkeys(names))


def widening(found: Sequence[Pair]) -> list[str]:
    """Return what widens in some stacks, one line a statement."""
    lines = []
    for pair in found:
        place = {"stack": pair.stack, "account": pair.account, "region": pair.region}
        place["partition"] = partition_of(pair.region)
        old = None if pair.old is None else Template(pair.old, **place)
        lines += compare(old, Template(pair.new, **place))
    return lines


def run(
    settings: Settings,
    stages: str | None,
    folder: Path,
    approval: str | None,
    *,
    say: Callable[[str], None],
    wait_seconds: float = WAIT_SECONDS,
    poll_seconds: float = POLL_SECONDS,
) -> int:
    """Compare, tell, and where an approval waits, answer it or tell people what to look at.

    Where that can't be told, the approval is rejected with the reason: else it would wait for seven days, and keep
    back what comes after it.

    Parameters
    ----------
    stages
        Accounts whose stacks are compared.
    folder
        The assembly.
    approval
        ``pipeline/stage/action`` of a manual approval that waits at the same time. Default: none does.

    Returns
    -------
    int
        0 where nothing widens, or where people were told; 3 where something widens and no approval waits.
    """
    if not approval:
        return WIDENS if _compare(settings, account_names(settings, stages), folder, say) else 0
    asked = Approval.parse(approval)
    session = boto3.Session(region_name=settings.region)
    wait = {"wait_seconds": wait_seconds, "poll_seconds": poll_seconds}
    try:
        names = account_names(settings, stages)
        lines = _compare(settings, names, folder, say)
        if lines:
            _tell(session, asked, names, settings.commit, lines)
    except Exception as error:  # whatever it is: nobody is told what to look at, so nobody could answer
        _reject(session, asked, error, say=say, **wait)
        raise
    if lines:
        say(f"{asked} waits for a person, who was told")
    else:
        commit = settings.commit[:12]
        summary = f"Approved by make permissions: {NOTHING_WIDENS} in {', '.join(names)} with commit {commit}"
        asked.approve(session.client("codepipeline"), summary, say=say, **wait)
    return 0


def _compare(settings: Settings, names: Sequence[str], folder: Path, say: Callable[[str], None]) -> list[str]:
    lines = widening(pairs(settings, names, folder))
    for line in lines:
        say(line)
    if not lines:
        say(f"{', '.join(names)}: {NOTHING_WIDENS}")
    return lines


def _tell(session: Any, asked: Approval, names: Sequence[str], commit: str, lines: Sequence[str]) -> None:
    topic_arn = os.environ.get("ALERTS_TOPIC_ARN") or os.environ.get("DELIVERY_TOPIC_ARN")
    if not topic_arn:
        raise CommandError("ALERTS_TOPIC_ARN is not set, so nobody can be told what widens")
    subject, body = message(asked, names, commit, lines)
    session.client("sns").publish(TopicArn=topic_arn, Subject=subject, Message=body)


def _reject(
    session: Any,
    asked: Approval,
    error: Exception,
    *,
    say: Callable[[str], None],
    wait_seconds: float,
    poll_seconds: float,
) -> None:
    why = " ".join(str(error).split()) or type(error).__name__
    summary = f"Rejected by make permissions, which broke: {why}"
    try:
        asked.reject(
            session.client("codepipeline"),
            summary,
            say=say,
            wait_seconds=wait_seconds,
            poll_seconds=poll_seconds,
        )
    except (CommandError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as second:
        # The first error is the one to tell; the notifier says that the approval waits.
        say(f"{asked} could not be rejected either: {' '.join(str(second).split())}")


def message(asked: Approval, names: Sequence[str], commit: str, lines: Sequence[str]) -> tuple[str, str]:
    """Return subject and text of the message to people."""
    noun = "permission widens" if len(lines) == 1 else "permissions widen"
    subject = f"[delivery] {asked.pipeline}: {len(lines)} {noun} in {asked.stage}"[:100]
    listed = "\n".join(f"- {line}" for line in lines)
    if len(listed) > _LONGEST_MESSAGE:
        listed = (
            listed[:_LONGEST_MESSAGE].rsplit("\n", 1)[0]
            + "\n- and more: see the log of the action Permissions"
        )
    places = " ".join(names)
    body = f"""What happened
Commit {commit} would let somebody do more in {places} than what is deployed there:
{listed}

Why
What is new was compared with the deployed templates, statement by statement. A line may be about something that was
allowed already in another way: when in doubt, it is listed.

What was done by itself
Nothing was deployed to {places}. The approval {asked} waits, for seven days at most.

What to do next
Read the lines above with the commit. If each is wanted, approve {asked.action} in stage {asked.stage} of the
pipeline {asked.pipeline} in the CodePipeline console; if not, reject it there and revert the commit.
To see the lines again: make permissions STAGES="{places}"
"""
    return subject, body
