"""What another CI system needs of AWS to promote: roles that it takes without long-lived keys, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from constructs import Construct

from cdk_mlops import GitHubDeliveryRole, JenkinsDeliveryRole
from stacks.installation import BOOTSTRAP_QUALIFIER, Delivery, Settings

GITHUB_ENVIRONMENT = "prod"  # its required reviewers are the approval; .github/workflows/promote.yml names it
# A train run in dev is waited for in one job: jobs of GitHub don't renew what they took.
SESSION = cdk.Duration.hours(2)


class CiDeliveryStack(cdk.Stack):
    """The delivery stack of an installation that GitHub Actions or Jenkins promotes: the roles they take.

    GitHub gets two. ``mlops-delivery-github`` is for jobs of the branch, and reaches all accounts but prod's, where
    it may only look. ``mlops-delivery-github-prod`` is for jobs of the GitHub environment ``prod``, and so only
    there after its reviewers approved. AWS can't tell one step of Jenkins from another: ``mlops-delivery-jenkins``
    reaches all accounts.

    Parameters
    ----------
    settings
        The installation.
    delivery
        Which CI system, of which repository and branch or by which principals.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, delivery: Delivery
    ) -> None:
        super().__init__(
            scope, construct_id, env=cdk.Environment(account=delivery.account, region=settings.region)
        )
        if delivery.by == "github":
            self.roles = self._github(settings, delivery)
        elif delivery.by == "jenkins":
            role = JenkinsDeliveryRole(
                self,
                "Jenkins",
                principals=delivery.jenkins_principals,
                deploys_to=list(settings.accounts.values()),
                checkers=[settings.checker_role_arn(stage) for stage in settings.stages],
                qualifier=BOOTSTRAP_QUALIFIER,
            )
            self.roles = {"jenkins": role.role_arn}
        else:
            raise ValueError(f"delivery.by must be github or jenkins here, got '{delivery.by}'")

    def _github(self, settings: Settings, delivery: Delivery) -> dict[str, str]:
        provider = delivery.oidc_provider_arn
        if provider is None:
            provider = GitHubDeliveryRole.add_provider(self, "GitHubProvider")
        prod = settings.accounts["prod"]
        before = {name: account for name, account in settings.accounts.items() if name != "prod"}
        if prod in before.values():
            sharing = " and ".join(name for name, account in before.items() if account == prod)
            cdk.Annotations.of(self).add_warning_v2(
                "mlops:prod-shares-its-account",
                f"prod shares its account with {sharing}: what deploys {sharing} can deploy prod too, so the"
                f" reviewers of the GitHub environment {GITHUB_ENVIRONMENT} can't keep the branch out of prod",
            )

        def checkers(stages: Sequence[str]) -> list[str]:
            return [settings.checker_role_arn(stage) for stage in stages]

        to_prod = GitHubDeliveryRole(
            self,
            "GitHubProd",
            repository=delivery.repository,
            environments=[GITHUB_ENVIRONMENT],
            provider_arn=provider,
            deploys_to=[prod],
            checkers=checkers(["prod"]),
            qualifier=BOOTSTRAP_QUALIFIER,
            role_name="mlops-delivery-github-prod",
            max_session=SESSION,
        )
        to_the_others = GitHubDeliveryRole(
            self,
            "GitHub",
            repository=delivery.repository,
            branches=[delivery.branch],
            provider_arn=provider,
            deploys_to=list(before.values()),
            looks_up_in=[prod],
            checkers=checkers([stage for stage in settings.stages if stage != "prod"]),
            qualifier=BOOTSTRAP_QUALIFIER,
            max_session=SESSION,
        )
        return {"github": to_the_others.role_arn, "github-prod": to_prod.role_arn}
