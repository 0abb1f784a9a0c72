"""What the roles of CI systems have in common: they may become a few other roles, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_mlops._roles import role_path
from cdk_mlops._statements import Statement, document, iam_arn, place_of
from cdk_mlops._validation import check_account, check_pattern

DELIVERY_PATH = role_path("delivery", "build")
_NAME = re.compile(r"[\w+=,.@-]{1,64}")
_QUALIFIER = re.compile(r"[a-z0-9_-]{1,10}")
_ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+")
_MOST_SESSION_SECONDS = 12 * 60 * 60


class DeliveryRole(Construct):
    """A role that a CI system takes to promote: it may assume the bootstrap's roles and checkers that are named.

    Not made by itself: see `GitHubDeliveryRole` and `JenkinsDeliveryRole`.

    Attributes
    ----------
    role
        The `iam.Role`; its path is ``/mlops/delivery/build/``.
    role_arn
        Its ARN, made from its name.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        trusted: iam.IPrincipal,
        description: str,
        role_name: str,
        deploys_to: Sequence[str],
        looks_up_in: Sequence[str],
        checkers: Sequence[str],
        region: str | None,
        qualifier: str,
        max_session: Duration | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.role_arn = iam_arn(self, f"role{DELIVERY_PATH}{role_name}")
        region = place_of(self).region if region is None else region

        def bootstrap(account: str, purpose: str) -> str:
            name = f"cdk-{qualifier}-{purpose}-role-{account}-{region}"
            return iam_arn(self, f"role/{name}", account=account)

        deployed = list(dict.fromkeys(deploys_to))
        looked_up = list(dict.fromkeys([*deploys_to, *looks_up_in]))
        deploying = [bootstrap(one, purpose) for one in deployed for purpose in ("deploy", "file-publishing")]
        parts = {
            "Deploy": deploying,
            "LookUp": [bootstrap(one, "lookup") for one in looked_up],
            "Check": list(checkers),
        }
        self.role = iam.Role(
            self,
            "Resource",
            role_name=role_name,
            path=DELIVERY_PATH,
            description=description,
            assumed_by=trusted,
            max_session_duration=Duration.hours(1) if max_session is None else max_session,
            inline_policies={
                "Policy": document(
                    [Statement(sid, ["sts:AssumeRole"], arns) for sid, arns in parts.items() if arns]
                )
            },
        )


def check_delivery(
    *,
    role_name: str,
    deploys_to: Sequence[str],
    looks_up_in: Sequence[str],
    checkers: Sequence[str],
    qualifier: str,
    max_session: Duration | None,
) -> None:
    """Check the props that both roles share."""
    check_pattern("role_name", role_name, _NAME, "be 1 to 64 letters, digits and +=,.@_-")
    if not (deploys_to or looks_up_in or checkers):
        raise ValueError(
            "deploys_to, looks_up_in and checkers are all empty: name an account that the role deploys to"
        )
    for prop, accounts in (("deploys_to", deploys_to), ("looks_up_in", looks_up_in)):
        for account in accounts:
            check_account(prop, account)
    for checker in checkers:
        check_pattern("checkers", checker, _ROLE_ARN, "be ARNs of roles (arn:aws:iam::<account>:role/<name>)")
    check_pattern(
        "qualifier", qualifier, _QUALIFIER, "be the bootstrap's qualifier, such as hnb659fds (cdk's default)"
    )
    if max_session is not None and not 3600 <= max_session.to_seconds() <= _MOST_SESSION_SECONDS:
        raise ValueError(
            f"max_session must be from 1 to 12 hours, got {max_session.to_seconds() / 3600:g} hours"
        )
