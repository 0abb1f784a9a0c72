"""The role by which GitHub Actions promotes: no long-lived keys, one repository, named branches or environments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_mlops._delivery import DeliveryRole, check_delivery
from cdk_mlops._validation import check_pattern

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"

_REPOSITORY = re.compile(r"[\w.-]+(@\d+/[\w.-]+@\d+|/[\w.-]+)")
_BRANCH = re.compile(r"[\w./-]+")
_ENVIRONMENT = re.compile(r"[\w.-]+( [\w.-]+)*")
_PROVIDER = re.compile(rf"arn:[a-z-]+:iam::\d{{12}}:oidc-provider/{re.escape(ISSUER)}")


class GitHubDeliveryRole(DeliveryRole):
    """A role that jobs of one GitHub repository assume by OpenID Connect; there is no secret to keep or to rotate.

    Who gets it is decided by the token's subject, compared as a whole: the branch that a job runs for, or the
    GitHub environment that it names. A job that names an environment has that as its subject and no branch, so
    what deploys prod should have a role of its own, trusted for an environment with required reviewers only: then
    GitHub issues the token for it after the approval, and no other job of the branch can get there.

    Parameters
    ----------
    repository
        ``owner/name``; as the subject says it: repositories made, renamed or moved since 15 July 2026 have
        the ids in it, ``owner@123/name@456``
        (``gh api repos/OWNER/NAME/actions/oidc/customization/sub``).
    branches, environments
        Whose jobs may assume it, at least one. Names, not patterns.
    provider_arn
        The account's provider for GitHub: an account can have only one. See `add_provider`.
    deploys_to
        Accounts where it may assume the bootstrap's deploy, file publishing and lookup roles.
    looks_up_in
        Further accounts where it may assume the lookup role, which reads. Default: none.
    checkers
        ARNs of further roles that it may assume, such as `StageCheckRole.role_arn`. Default: none.
    region
        Of the bootstrap's roles. Default: the stack's.
    qualifier
        Of the bootstrap's roles. Default: cdk's, ``hnb659fds``.
    role_name
        Default: ``mlops-delivery-github``.
    max_session
        Longest session, 1 to 12 hours. Default: 1 hour.

    Raises
    ------
    ValueError
        If a prop is not as said above.

    See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html#idp_oidc_Create_GitHub
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        repository: str,
        branches: Sequence[str] = (),
        environments: Sequence[str] = (),
        provider_arn: str,
        deploys_to: Sequence[str],
        looks_up_in: Sequence[str] = (),
        checkers: Sequence[str] = (),
        region: str | None = None,
        qualifier: str = "hnb659fds",
        role_name: str = "mlops-delivery-github",
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
        check_pattern(
            "repository", repository, _REPOSITORY, "be owner/name, or owner@id/name@id, without patterns"
        )
        if not (branches or environments):
            raise ValueError("branches and environments are empty: name one whose jobs may assume the role")
        for branch in branches:
            check_pattern("branches", branch, _BRANCH, "be names of branches, without patterns")
        for environment in environments:
            check_pattern("environments", environment, _ENVIRONMENT, "be names of GitHub environments")
        check_pattern("provider_arn", provider_arn, _PROVIDER, f"be the ARN of the provider of {ISSUER}")
        subjects = [f"repo:{repository}:ref:refs/heads/{branch}" for branch in branches]
        subjects += [f"repo:{repository}:environment:{environment}" for environment in environments]
        super().__init__(
            scope,
            construct_id,
            trusted=iam.FederatedPrincipal(
                provider_arn,
                {"StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": subjects}},
                "sts:AssumeRoleWithWebIdentity",
            ),
            description=f"Promotions by GitHub Actions of {repository.split('@')[0]}",
            role_name=role_name,
            deploys_to=deploys_to,
            looks_up_in=looks_up_in,
            checkers=checkers,
            region=region,
            qualifier=qualifier,
            max_session=max_session,
        )

    @staticmethod
    def add_provider(scope: Construct, construct_id: str) -> str:
        """Add the account's OpenID Connect provider for GitHub and return its ARN; an account can have only one.

        See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
        """
        provider = iam.CfnOIDCProvider(
            scope, construct_id, url=f"https://{ISSUER}", client_id_list=[AUDIENCE]
        )
        return provider.attr_arn
