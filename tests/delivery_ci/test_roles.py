"""Whom the roles of another CI system trust, and what they may do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import Duration
from aws_cdk.cx_api import SynthesisMessageLevel

from cdk_mlops import GitHubDeliveryRole, JenkinsDeliveryRole
from stacks.section import SettingsError
from stacks.settings import load
from tests.delivery_ci.installations import (
    DEV,
    JENKINS,
    PROD,
    PROVIDER,
    REGISTRY,
    SETTINGS,
    STAGING,
    artifact,
    reaches,
    role,
)
from tests.library.library_app import new_stack, only, template_of
from tests.library.policy_audit import findings
from tests.stacks.installations import CONNECTION

GITHUB, TO_PROD, JENKINS_ROLE = (
    "mlops-delivery-github",
    "mlops-delivery-github-prod",
    "mlops-delivery-jenkins",
)
ISSUER = "token.actions.githubusercontent.com"


def trust(name: str, role_name: str) -> dict[str, Any]:
    (statement,) = role(name, role_name)["AssumeRolePolicyDocument"]["Statement"]
    return dict(statement)


def bootstrap(account: str, *purposes: str) -> set[str]:
    return {f"{account} cdk-hnb659fds-{purpose}-role-{account}-us-east-1" for purpose in purposes}


DEPLOYS = ("deploy", "file-publishing", "lookup")


@pytest.mark.parametrize("name", SETTINGS)
def test_no_policy_and_no_trust_is_wider_than_its_reason(name: str) -> None:
    assert findings(artifact(name).template) == []


@pytest.mark.parametrize(
    ("name", "role_name", "subject"),
    [
        ("github", GITHUB, "repo:example/mlops:ref:refs/heads/main"),
        ("github", TO_PROD, "repo:example/mlops:environment:prod"),
        ("github-staging", GITHUB, "repo:example/mlops:ref:refs/heads/release"),
        ("github-ids", GITHUB, "repo:example@123/mlops@456:ref:refs/heads/main"),
        ("github-ids", TO_PROD, "repo:example@123/mlops@456:environment:prod"),
    ],
)
def test_github_gets_a_role_for_one_subject_only(name: str, role_name: str, subject: str) -> None:
    statement = trust(name, role_name)
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": [subject]}
    }


def test_the_provider_is_made_for_the_audience_of_sts() -> None:
    resources = artifact("github").template["Resources"]
    (provider,) = [one for one in resources.items() if one[1]["Type"] == "AWS::IAM::OIDCProvider"]
    assert provider[1]["Properties"] == {"Url": f"https://{ISSUER}", "ClientIdList": ["sts.amazonaws.com"]}
    assert trust("github", GITHUB)["Principal"] == {"Federated": {"Fn::GetAtt": [provider[0], "Arn"]}}


def test_a_provider_that_exists_is_used() -> None:
    template = artifact("github-staging").template
    assert "AWS::IAM::OIDCProvider" not in json.dumps(template)
    assert trust("github-staging", TO_PROD)["Principal"] == {"Federated": PROVIDER}


def test_the_role_of_the_branch_reaches_everything_but_prod() -> None:
    assert reaches("github-staging", GITHUB) == (
        bootstrap(REGISTRY, *DEPLOYS)
        | bootstrap(DEV, *DEPLOYS)
        | bootstrap(STAGING, *DEPLOYS)
        | bootstrap(PROD, "lookup")
        | {
            f"{DEV} mlops/dev/checker/mlops-dev-checker",
            f"{STAGING} mlops/staging/checker/mlops-staging-checker",
        }
    )


def test_the_role_of_the_environment_reaches_prod_only() -> None:
    assert reaches("github-staging", TO_PROD) == bootstrap(PROD, *DEPLOYS) | {
        f"{PROD} mlops/prod/checker/mlops-prod-checker"
    }


def test_where_prod_shares_its_account_the_user_is_told_what_that_means() -> None:
    (warning,) = artifact("github-one-account").messages
    assert warning.level == SynthesisMessageLevel.WARNING
    assert "prod shares its account with registry and dev" in str(warning.entry.data)


def test_where_prod_is_alone_nothing_is_said() -> None:
    assert list(artifact("github").messages) == []


def test_jenkins_is_exactly_who_is_named() -> None:
    statement = trust("jenkins", JENKINS_ROLE)
    assert statement["Principal"] == {"AWS": JENKINS["jenkins_principals"][0]}
    assert statement["Action"] == "sts:AssumeRole"


def test_jenkins_reaches_every_account_and_checker() -> None:
    accounts = (REGISTRY, DEV, STAGING, PROD)
    checkers = {(DEV, "dev"), (STAGING, "staging"), (PROD, "prod")}
    assert reaches("jenkins", JENKINS_ROLE) == {
        one for account in accounts for one in bootstrap(account, *DEPLOYS)
    } | {f"{account} mlops/{stage}/checker/mlops-{stage}-checker" for account, stage in checkers}


@pytest.mark.parametrize(
    ("name", "role_name", "seconds"),
    [("github", GITHUB, 7200), ("github", TO_PROD, 7200), ("jenkins", JENKINS_ROLE, 3600)],
)
def test_the_roles_are_where_the_checkers_look_for_them(name: str, role_name: str, seconds: int) -> None:
    found = role(name, role_name)
    assert found["Path"] == "/mlops/delivery/build/"
    assert found["MaxSessionDuration"] == seconds


def test_an_external_id_is_asked_for_of_every_principal() -> None:
    stack = new_stack()
    JenkinsDeliveryRole(
        stack,
        "Jenkins",
        principals=["arn:aws:iam::555555555555:role/one", "arn:aws:iam::555555555555:user/two"],
        external_id="promotions",
        deploys_to=[DEV],
    )
    statements = only(template_of(stack), "AWS::IAM::Role", "Jenkins")["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert [one["Condition"] for one in statements] == [
        {"StringEquals": {"sts:ExternalId": "promotions"}} for _ in statements
    ]
    assert {arn for one in statements for arn in [one["Principal"]["AWS"]] if isinstance(arn, str)} | {
        arn
        for one in statements
        if isinstance(one["Principal"]["AWS"], list)
        for arn in one["Principal"]["AWS"]
    } == {"arn:aws:iam::555555555555:role/one", "arn:aws:iam::555555555555:user/two"}


GOOD: dict[str, Any] = {
    "repository": "example/mlops",
    "branches": ["main"],
    "provider_arn": PROVIDER,
    "deploys_to": [DEV],
}


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"repository": "example/*"}, "repository must be owner/name"),
        ({"repository": "mlops"}, "repository must be owner/name"),
        ({"repository": "example@1/mlops"}, "repository must be owner/name"),
        ({"branches": []}, "branches and environments are empty"),
        ({"branches": ["*"]}, "branches must be names of branches, without patterns, got '*'"),
        ({"environments": ["prod:x"]}, "environments must be names of GitHub environments, got 'prod:x'"),
        ({"provider_arn": "arn:aws:iam::1:saml-provider/x"}, "provider_arn must be the ARN of the provider"),
        ({"deploys_to": ["12345"]}, "deploys_to must be a 12-digit account id in quotes, got '12345'"),
        ({"deploys_to": []}, "deploys_to, looks_up_in and checkers are all empty"),
        ({"checkers": ["mlops-dev-checker"]}, "checkers must be ARNs of roles"),
        ({"qualifier": "A B"}, "qualifier must be the bootstrap's qualifier"),
        ({"max_session": Duration.minutes(59)}, "max_session must be from 1 to 12 hours"),
        ({"max_session": Duration.hours(13)}, "max_session must be from 1 to 12 hours, got 13 hours"),
        ({"role_name": "a/b"}, "role_name must be 1 to 64 letters"),
    ],
)
def test_a_wrong_prop_of_githubs_role_is_named(props: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        GitHubDeliveryRole(new_stack(), "Role", **{**GOOD, **props})
    assert message in str(refused.value)


@pytest.mark.parametrize("hours", [1, 12])
def test_sessions_of_one_and_of_twelve_hours_are_accepted(hours: int) -> None:
    GitHubDeliveryRole(new_stack(), "Role", **GOOD, max_session=Duration.hours(hours))


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"principals": []}, "principals must name who may assume the role"),
        ({"principals": ["arn:aws:iam::555555555555:root"]}, "principals must be ARNs of users or roles"),
        ({"principals": ["*"]}, "principals must be ARNs of users or roles"),
        ({"external_id": "x"}, "external_id must be 2 to 1224 letters"),
    ],
)
def test_a_wrong_prop_of_jenkins_role_is_named(props: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"principals": JENKINS["jenkins_principals"], "deploys_to": [DEV]}
    with pytest.raises(ValueError) as refused:
        JenkinsDeliveryRole(new_stack(), "Role", **{**good, **props})
    assert message in str(refused.value)


def test_ids_in_the_repository_are_for_github_only() -> None:
    delivery = {"repository": "example@1/mlops@2", "connection_arn": CONNECTION}
    with pytest.raises(SettingsError) as refused:
        load({"delivery": delivery})
    assert "mlops.delivery.repository must be owner/repository" in str(refused.value)
