"""Who of the delivery may do what: every statement of every role is looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.library.policy_audit import as_list, findings, identity_statements
from tests.stacks.delivery_kit import ALL, BOTH, role
from tests.stacks.installations import CONNECTION, SETTINGS, resources, synthesized, template

ACCOUNTS = {
    "registry": "333333333333",
    "dev": "111111111111",
    "staging": "444444444444",
    "prod": "222222222222",
}
HOME = ACCOUNTS["registry"]  # where the delivery runs by default
OF = {"full": tuple(ACCOUNTS), "versions": tuple(ACCOUNTS), "delivered": ("registry", "dev", "prod")}


def bootstrap(purpose: str, *accounts: str) -> set[str]:
    return {
        f"arn:aws:iam::{ACCOUNTS[one]}:role/cdk-hnb659fds-{purpose}-role-{ACCOUNTS[one]}-us-east-1"
        for one in accounts
    }


@cache
def statements(installation: str) -> list[tuple[str, dict[str, Any]]]:
    """Return every statement of the stack's identity policies with the name of the role that it is of."""
    found = template(installation, "DeliveryStack")
    names = {key: one["RoleName"] for key, one in resources(found, "AWS::IAM::Role").items()}

    def walk() -> Iterator[tuple[str, dict[str, Any]]]:
        for key, one in found["Resources"].items():
            owners = [names[key]] if key in names else []
            owners += [names[user["Ref"]] for user in one.get("Properties", {}).get("Roles", [])]
            for statement in identity_statements(one["Type"], one.get("Properties", {})):
                for owner in owners:
                    yield owner, dict(statement)

    return list(walk())


def of(owner: str, installation: str = "full") -> dict[str, dict[str, Any]]:
    """Return a role's statements by Sid."""
    return {one["Sid"]: one for name, one in statements(installation) if name == owner}


def assumed(owner: str, installation: str = "full") -> set[str]:
    """Return the roles that a role may assume."""
    return {
        str(arn)
        for one in of(owner, installation).values()
        if "sts:AssumeRole" in as_list(one["Action"])
        for arn in as_list(one["Resource"])
    }


@pytest.mark.parametrize("installation", ALL)
def test_no_statement_is_too_wide(installation: str) -> None:
    assert findings(template(installation, "DeliveryStack")) == []


@pytest.mark.parametrize("installation", ALL)
def test_every_role_has_statements_that_are_looked_at_here(installation: str) -> None:
    roles = {
        one["RoleName"]
        for one in resources(template(installation, "DeliveryStack"), "AWS::IAM::Role").values()
    }
    assert {name for name, _ in statements(installation)} == roles
    assert all("Sid" in one and one["Effect"] == "Allow" for _, one in statements(installation))


@pytest.mark.parametrize("installation", ALL)
def test_a_wildcard_in_a_resource_is_below_something_that_is_named(installation: str) -> None:
    # the ends that may stay open: objects of a named bucket, streams of a named log group, a key under its alias
    for name, one in statements(installation):
        for resource in as_list(one["Resource"]):
            text = json.dumps(resource)
            if "*" not in text:
                continue
            below_bucket = text.endswith('"/*"]]}') or re.fullmatch(
                r'"arn:aws:s3:::[a-z0-9-]+/[\w/-]*\*"', text
            )
            own_log = re.fullmatch(r'"arn:aws:logs:us-east-1:\d{12}:log-group:/aws/[\w/-]+:\*"', text)
            versions = re.fullmatch(r'"arn:aws:sagemaker:us-east-1:\d{12}:model-package/[\w-]+/\*"', text)
            by_alias = ":key/*" in text and "kms:ResourceAliases" in json.dumps(one.get("Condition"))
            assert below_bucket or own_log or versions or by_alias, (name, one["Sid"], text)


@pytest.mark.parametrize("installation", ALL)
def test_roles_are_assumed_only_by_bootstrap_names_and_checkers_of_the_installations_own_accounts(
    installation: str,
) -> None:
    accounts = OF[installation]
    expected = {
        "mlops-delivery-pipeline": bootstrap("deploy", *accounts),
        "mlops-delivery-selfupdate": bootstrap("deploy", "registry")
        | bootstrap("file-publishing", "registry"),
        "mlops-delivery-assets": bootstrap("file-publishing", *accounts) | bootstrap("lookup", *accounts),
        "mlops-delivery-permissions": bootstrap("lookup", *accounts),
        "mlops-delivery-review": bootstrap("lookup", *accounts),
        **{
            f"mlops-delivery-check-{stage}": {
                f"arn:aws:iam::{ACCOUNTS[stage]}:role/mlops/{stage}/checker/mlops-{stage}-checker"
            }
            for stage in accounts[1:]
        },
    }
    found = {name: assumed(name, installation) for name, _ in statements(installation)}
    assert {name: roles for name, roles in found.items() if roles} == expected


def test_the_build_that_tests_can_deploy_nothing() -> None:
    assert set(of("mlops-delivery-synth")) == {"OwnLogs", "ArtifactsBucket", "Artifacts", "ArtifactsKey"}


def test_only_synth_and_the_source_leave_artifacts() -> None:
    writers = {
        name
        for name, one in statements("full")
        if one["Sid"] == "Artifacts" and "s3:PutObject" in one["Action"]
    }
    assert writers == {"mlops-delivery-synth", "mlops-delivery-pipeline"}


@pytest.mark.parametrize(("installation", "waves"), [("full", 3), ("delivered", 2)])
def test_the_gate_may_answer_its_own_approvals_and_no_promotion(installation: str, waves: int) -> None:
    approvals = as_list(of("mlops-delivery-permissions", installation)["Confirm"]["Resource"])
    assert len(approvals) == waves
    assert all(one.endswith("/ConfirmPermissions") for one in approvals)
    others = {
        name
        for name, one in statements(installation)
        if any("PutApprovalResult" in action for action in as_list(one["Action"]))
    }
    assert others == {"mlops-delivery-permissions"}


def test_the_gate_does_nothing_but_read_answer_and_tell() -> None:
    own = {"OwnLogs", "ArtifactsBucket", "Artifacts", "ArtifactsKey"}
    assert set(of("mlops-delivery-permissions")) - own == {
        "Lookup",
        "ReadApproval",
        "Confirm",
        "PublishAlerts",
        "AlertsKeyUse",
    }


def test_a_review_is_written_where_reviews_are_and_nowhere_else() -> None:
    assert as_list(of("mlops-delivery-review")["ReviewsWrite"]["Resource"]) == [
        f"arn:aws:s3:::sagemaker-mlops-delivery-{HOME}-us-east-1/reviews/*"
    ]


def test_the_connection_may_be_used_under_both_of_its_names_by_the_pipeline_alone() -> None:
    users = [(name, one) for name, one in statements("full") if "UseConnection" in json.dumps(one["Action"])]
    ((name, statement),) = users
    assert name == "mlops-delivery-pipeline"
    assert sorted(statement["Action"]) == [
        "codeconnections:UseConnection",
        "codestar-connections:UseConnection",
    ]
    assert as_list(statement["Resource"]) == [CONNECTION]


@pytest.mark.parametrize("installation", BOTH)
def test_the_pipeline_starts_exactly_its_own_builds(installation: str) -> None:
    projects = resources(template(installation, "DeliveryStack"), "AWS::CodeBuild::Project").values()
    started = as_list(of("mlops-delivery-pipeline", installation)["Builds"]["Resource"])
    assert sorted(started) == sorted(
        f"arn:aws:codebuild:us-east-1:{HOME}:project/{one['Name']}" for one in projects
    )


@pytest.mark.parametrize("installation", ALL)
def test_builds_run_for_projects_of_this_account_only(installation: str) -> None:
    for one in resources(template(installation, "DeliveryStack"), "AWS::IAM::Role").values():
        if one["Path"] != "/mlops/delivery/build/":
            continue
        (trust,) = one["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "codebuild.amazonaws.com"}
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": HOME}}


def test_a_build_writes_no_log_but_its_own() -> None:
    assert as_list(of("mlops-delivery-review")["OwnLogs"]["Resource"]) == [
        f"arn:aws:logs:us-east-1:{HOME}:log-group:/aws/codebuild/mlops-delivery-review:*"
    ]


@pytest.mark.parametrize("installation", BOTH)
def test_other_accounts_get_artifacts_to_read_for_their_deploy_roles_only(installation: str) -> None:
    found = template(installation, "DeliveryStack")
    deployers = sorted(arn.removeprefix("arn:aws") for arn in bootstrap("deploy", *OF[installation]))
    foreign = [
        statement
        for kind, document in (("AWS::S3::BucketPolicy", "PolicyDocument"), ("AWS::KMS::Key", "KeyPolicy"))
        for one in resources(found, kind).values()
        for statement in one[document]["Statement"]
        if any(
            account in json.dumps(statement["Principal"]) for account in ACCOUNTS.values() if account != HOME
        )
    ]
    assert len(foreign) == 2  # the bucket's and its key's
    for statement in foreign:
        principals = [one["Fn::Join"][1][-1] for one in statement["Principal"]["AWS"]]
        assert sorted(principals) == deployers
        assert not [
            action for action in as_list(statement["Action"]) if "Put" in action or "Encrypt" in action
        ]


def test_every_role_lies_below_the_deliverys_path() -> None:
    for one in resources(template("full", "DeliveryStack"), "AWS::IAM::Role").values():
        assert one["Path"].startswith("/mlops/delivery/")


def test_one_account_for_everything_names_each_role_once() -> None:
    values = SETTINGS["one-account"] | {"delivery": SETTINGS["delivered"]["delivery"]}
    found = dict(synthesized(values).get_stack_by_name("DeliveryStack").template)
    assert findings(found) == []
    (pipeline,) = [
        one
        for one in resources(found, "AWS::IAM::Role").values()
        if one["RoleName"] == "mlops-delivery-pipeline"
    ]
    (deploy,) = [
        one for one in pipeline["Policies"][0]["PolicyDocument"]["Statement"] if one["Sid"] == "Deploy"
    ]
    assert as_list(deploy["Resource"]) == [
        "arn:aws:iam::111111111111:role/cdk-hnb659fds-deploy-role-111111111111-us-east-1"
    ]


def test_the_roles_have_the_names_that_checkers_trust() -> None:
    for step in ("synth", "permissions", "review", "check-dev", "check-staging", "check-prod"):
        assert role(f"mlops-delivery-{step}")["Path"] == "/mlops/delivery/build/"
