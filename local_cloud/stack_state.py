"""Follows a CloudFormation stack to the end of an operation, and tells which resource failed first and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.process import LocalCloudError

WAIT_SECONDS = 1200.0
POLL_SECONDS = 0.05
#: States in which a stack never came to be.
NEVER_THERE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS")


class DeploymentError(LocalCloudError):
    """A stack failed; the message names the resource and why."""


def describe(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """Return a stack as DescribeStacks tells it, None where there is none."""
    try:
        stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return stack


def events(cloudformation: Any, name: str) -> list[dict[str, Any]]:
    """Return the events of a stack, newest first."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
    return [event for page in pages for event in page["StackEvents"]]


def event_ids(cloudformation: Any, name: str) -> set[str]:
    """Return the ids of the events of a stack: what was before an operation."""
    return {event["EventId"] for event in events(cloudformation, name)}


def settled(
    cloudformation: Any,
    name: str,
    seen: set[str],
    good: Sequence[str],
    *,
    poll_seconds: float = POLL_SECONDS,
    abandoned: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Wait until a stack has settled.

    Parameters
    ----------
    cloudformation
        A client.
    name
        The stack.
    seen
        Events from before the operation.
    good
        States in which it has done well.
    poll_seconds
        How often to ask.
    abandoned
        Says that nobody waits any more.

    Returns
    -------
    dict
        The stack; its state is ``DELETE_COMPLETE`` where it is gone.

    Raises
    ------
    DeploymentError
        It ended in another state: names the first resource that failed, and the reason.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        stack = describe(cloudformation, name)
        if stack is None:
            return {"StackStatus": "DELETE_COMPLETE"}
        if not stack["StackStatus"].endswith("_IN_PROGRESS") or abandoned():
            break
        if time.monotonic() > deadline:
            raise DeploymentError(
                f"{stack['StackName']} is still {stack['StackStatus']} after {WAIT_SECONDS:.0f} s"
            )
        time.sleep(poll_seconds)
    if stack["StackStatus"] in good or abandoned():
        return stack
    news = [event for event in events(cloudformation, stack["StackId"]) if event["EventId"] not in seen]
    failed = [
        f"{event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason') or 'no reason'}"
        for event in reversed(news)
        if event["ResourceStatus"].endswith("_FAILED")
    ]
    reason = failed[0] if failed else stack.get("StackStatusReason", "no reason")
    if "DescribeEvents" in reason:
        reason = _validation_error(cloudformation, stack["StackId"]) or reason
    raise DeploymentError(f"{stack['StackName']} ended {stack['StackStatus']}: {reason}")


def change_set_created(cloudformation: Any, stack_name: str, name: str) -> bool:
    """Wait until a change set is made; False where it holds no changes.

    Raises
    ------
    DeploymentError
        It could not be made; says why.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = cloudformation.describe_change_set(ChangeSetName=name, StackName=stack_name)
        if found["Status"] in ("CREATE_COMPLETE", "FAILED") or time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    if found["Status"] != "FAILED":
        return True
    reason = found.get("StatusReason", "")
    if "didn't contain changes" in reason or "No updates" in reason:
        return False
    raise DeploymentError(f"{stack_name}: {reason}")


def _validation_error(cloudformation: Any, stack_id: str) -> str | None:
    """What CloudFormation's check before the deployment found; its stack events only point there."""
    for event in cloudformation.describe_events(StackName=stack_id)["OperationEvents"]:
        if event.get("ValidationStatusReason"):
            return (
                f"{event['LogicalResourceId']} ({event['ResourceType']}): {event['ValidationStatusReason']}"
            )
    return None
