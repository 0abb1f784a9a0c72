"""The role by which Jenkins promotes: named principals of its account, and nobody else there."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_mlops._delivery import DeliveryRole, check_delivery
from cdk_mlops._validation import check_pattern

_PRINCIPAL = re.compile(r"arn:[a-z-]+:iam::\d{12}:(user|role)/[\w+=,.@/-]+")
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}")


class JenkinsDeliveryRole(DeliveryRole):
    """A role that named users or roles of the Jenkins account assume.

    AWS sees who asks, not which Jenkins job or ``input`` step let them: whoever controls an agent that runs as one
    of the principals can do all that the role can. Give prod a role of its own, for an agent that runs nothing
    but promotions, where that matters.

    Parameters
    ----------
    principals
        ARNs of the users or roles that may assume it, such as the agents' instance role; at least one, and no
        whole account. They must exist, and their own policy must allow ``sts:AssumeRole`` on this role.
    external_id
        Text that must come with the request. Default: none is asked for.
    deploys_to, looks_up_in, checkers, region, qualifier, max_session
        As of `GitHubDeliveryRole`. A role that comes from a role gets sessions of one hour at most.
    role_name
        Default: ``mlops-delivery-jenkins``.

    Raises
    ------
    ValueError
        If a prop is not as said above.

    See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        principals: Sequence[str],
        external_id: str | None = None,
        deploys_to: Sequence[str],
        looks_up_in: Sequence[str] = (),
        checkers: Sequence[str] = (),
        region: str | None = None,
        qualifier: str = "hnb659fds",
        role_name: str = "mlops-delivery-jenkins",
        max_session: Duration | None = None,
    ) -> None:
        check_delivery(
            role_name=role_name,
            deploys_to=deploys_to,
            looks_up_in=looks_up_in,
            checkers=checkers,
            qualifier=qualifier,
            max_session=max_session,
        )
        if not principals:
            raise ValueError("principals must name who may assume the role, got nobody")
        for principal in principals:
            check_pattern(
                "principals",
                principal,
                _PRINCIPAL,
                "be ARNs of users or roles (arn:aws:iam::<account>:role/<name>), not of a whole account",
            )
        if external_id is not None:
            check_pattern(
                "external_id", external_id, _EXTERNAL_ID, "be 2 to 1224 letters, digits and +=,.@:/-"
            )
        jenkins = iam.CompositePrincipal(*[iam.ArnPrincipal(arn) for arn in principals])
        asked = {"StringEquals": {"sts:ExternalId": external_id}}
        super().__init__(
            scope,
            construct_id,
            trusted=jenkins if external_id is None else jenkins.with_conditions(asked),
            description="Promotions by Jenkins",
            role_name=role_name,
            deploys_to=deploys_to,
            looks_up_in=looks_up_in,
            checkers=checkers,
            region=region,
            qualifier=qualifier,
            max_session=max_session,
        )
