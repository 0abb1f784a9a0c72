"""What widens around the statements: who has them, who may become whom, what protects a resource."""

from __future__ import annotations

from typing import Any

import pytest

from ops.iam.widening import compare
from tests.ops.iam_templates import (
    ACCOUNT,
    DENY,
    LAMBDA,
    READ,
    document,
    on_bucket,
    policy,
    role,
    template,
    trusts,
    widens,
)

WRITE = READ | {"Action": "s3:PutObject"}
MANAGED = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"


def by(principal: Any, **more: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Principal": principal,
        "Resource": "arn:aws:s3:::data/*",
    } | more


# --- roles and their policies


def test_a_new_role_widens_and_says_who_can_become_it_and_what_it_may_do() -> None:
    (line,) = widens({}, {"Role": role(READ, RoleName="worker")})
    assert line == (
        "ProdStack: role worker is new; can be assumed by lambda.amazonaws.com; may do s3:GetObject (1 statements)"
    )


def test_a_role_that_goes_widens_nothing() -> None:
    assert widens({"Role": role(READ, DENY)}, {}) == []


def test_a_renamed_role_is_a_new_one() -> None:
    (line,) = widens({"Role": role(READ, RoleName="old")}, {"Role": role(READ, RoleName="new")})
    assert "role new is new" in line


def test_a_role_under_another_path_is_a_new_one() -> None:
    old, new = (role(READ, RoleName="worker", Path=path) for path in ("/mlops/dev/", "/mlops/prod/"))
    assert "is new" in widens({"Role": old}, {"Role": new})[0]


def test_a_role_of_the_same_name_under_another_logical_id_is_the_same() -> None:
    assert widens({"Old": role(READ, RoleName="worker")}, {"New": role(READ, RoleName="worker")}) == []


def test_a_statement_that_moves_from_the_role_to_a_policy_of_its_own_widens_nothing() -> None:
    old = {"Role": role(READ, RoleName="worker")}
    new = {"Role": role(RoleName="worker"), "Policy": policy(READ, roles=[{"Ref": "Role"}])}
    assert widens(old, new) == widens(new, old) == []


def test_a_policy_that_is_attached_by_name_counts_for_the_role_of_that_name() -> None:
    old = {"Role": role(READ, RoleName="worker")}
    assert widens(old, {"Role": role(RoleName="worker"), "Policy": policy(READ, roles=["worker"])}) == []


def test_a_policy_for_a_second_role_widens_that_one() -> None:
    roles = {"A": role(READ, RoleName="a"), "B": role(DENY, RoleName="b")}
    old = roles | {"Policy": policy(WRITE, roles=[{"Ref": "A"}])}
    new = roles | {"Policy": policy(WRITE, roles=[{"Ref": "A"}, {"Ref": "B"}])}
    (line,) = widens(old, new)
    assert "role b may now do s3:PutObject" in line


def test_a_managed_policy_that_is_attached_widens() -> None:
    (line,) = widens({"Role": role(READ)}, {"Role": role(READ, ManagedPolicyArns=[MANAGED])})
    assert f"role Role now has {MANAGED}" in line


def test_a_managed_policy_of_aws_that_goes_widens_nothing() -> None:
    assert widens({"Role": role(READ, ManagedPolicyArns=[MANAGED])}, {"Role": role(READ)}) == []


@pytest.mark.parametrize("arn", ["arn:aws:iam::aws:policy/AWSDenyAll", f"arn:aws:iam::{ACCOUNT}:policy/ours"])
def test_a_managed_policy_that_goes_and_may_have_denied_something_widens(arn: str) -> None:
    (line,) = widens({"Role": role(READ, ManagedPolicyArns=[arn])}, {"Role": role(READ)})
    assert f"no longer has {arn}" in line


def test_the_statements_of_the_templates_own_managed_policy_are_read() -> None:
    def of(statement: Any) -> dict[str, Any]:
        managed = policy(statement, roles=[], kind="AWS::IAM::ManagedPolicy")
        return {
            "Role": role(READ, RoleName="worker", ManagedPolicyArns=[{"Ref": "Managed"}]),
            "Managed": managed,
        }

    assert widens({"Role": role(READ, RoleName="worker")}, of(READ)) == []
    lines = widens(of(READ), of(WRITE))
    assert [line.split(" may now")[0] for line in lines] == [
        "ProdStack: managed policy Managed",
        "ProdStack: role worker",
    ]


def test_a_permissions_boundary_that_goes_or_changes_widens() -> None:
    old = {"Role": role(READ, PermissionsBoundary="arn:aws:iam::1:policy/limit")}
    assert "and now has none" in widens(old, {"Role": role(READ)})[0]
    other = {"Role": role(READ, PermissionsBoundary="arn:aws:iam::1:policy/other")}
    assert "another one, arn:aws:iam::1:policy/other" in widens(old, other)[0]
    assert widens({"Role": role(READ)}, old) == []


def test_a_function_that_gets_another_role_widens() -> None:
    def of(name: str) -> dict[str, Any]:
        roles = {"A": role(READ, RoleName="a"), "B": role(WRITE, RoleName="b")}
        properties = {"FunctionName": "f", "Role": {"Fn::GetAtt": [name, "Arn"]}}
        return roles | {"F": {"Type": "AWS::Lambda::Function", "Properties": properties}}

    (line,) = widens(of("A"), of("B"))
    assert f"function f now runs with the role arn:aws:iam::{ACCOUNT}:role/b" in line
    assert widens(of("A"), of("A")) == []


# --- trust


def test_a_wider_trust_widens() -> None:
    other = LAMBDA | {"Principal": {"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}}
    (line,) = trusts(LAMBDA, other)
    assert line == "ProdStack: role Role can now be assumed by ec2.amazonaws.com"
    assert trusts(other, LAMBDA) == []


def test_a_trust_that_loses_its_condition_widens() -> None:
    bound = LAMBDA | {"Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}
    (line,) = trusts(bound, LAMBDA)
    assert line.endswith(
        "lambda.amazonaws.com without a condition; before if aws:SourceAccount StringEquals 1"
    )
    assert trusts(LAMBDA, bound) == []


def test_a_trust_that_also_lets_tag_sessions_widens() -> None:
    (line,) = trusts(LAMBDA, LAMBDA | {"Action": ["sts:AssumeRole", "sts:TagSession"]})
    assert "(sts:TagSession)" in line


def test_a_trust_in_everybody_widens() -> None:
    person = LAMBDA | {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ada"}}
    (line,) = trusts(person, LAMBDA | {"Principal": {"AWS": "*"}})
    assert "can now be assumed by everybody" in line
    assert trusts(LAMBDA | {"Principal": "*"}, person) == []


def test_an_account_by_its_number_is_its_root() -> None:
    number, root = (
        LAMBDA | {"Principal": {"AWS": name}} for name in (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
    )
    assert trusts(number, root) == trusts(root, number) == []


def test_a_person_is_not_within_their_account() -> None:
    root = LAMBDA | {"Principal": {"AWS": ACCOUNT}}
    assert trusts(root, LAMBDA | {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ada"}}) != []


# --- resources with a policy


def test_a_principal_that_comes_widens() -> None:
    (line,) = on_bucket([by({"AWS": "1" * 12})], [by({"AWS": ["1" * 12, "2" * 12]})])
    assert (
        line == "ProdStack: bucket data now lets account 222222222222 do s3:GetObject on arn:aws:s3:::data/*"
    )


def test_all_but_some_principals_are_more_than_one() -> None:
    new = {key: value for key, value in by({}).items() if key != "Principal"} | {
        "NotPrincipal": {"AWS": "2" * 12}
    }
    (line,) = on_bucket([by({"AWS": "1" * 12})], [new])
    assert "lets all but account 222222222222 do" in line


def test_a_bucket_policy_that_goes_takes_its_denials_along() -> None:
    denial = by({"AWS": "*"}, Effect="Deny", Action="s3:*")
    (line,) = on_bucket([denial, by({"AWS": "1" * 12})], [])
    assert line == "ProdStack: bucket data no longer denies: everybody s3:* on arn:aws:s3:::data/*"
    assert on_bucket([by({"AWS": "1" * 12})], []) == []


@pytest.mark.parametrize(("stays", "lines"), [("Retain", 1), ("Delete", 0)])
def test_the_denials_of_a_bucket_that_goes_matter_where_the_bucket_stays(stays: str, lines: int) -> None:
    old = {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "data"}, "DeletionPolicy": stays},
        "Policy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": document(by("*", Effect="Deny"))},
        },
    }
    assert len(widens(old, {})) == lines


def test_a_bucket_that_loses_its_block_of_the_public_widens() -> None:
    def of(**properties: Any) -> dict[str, Any]:
        return {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "data"} | properties}}

    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    closed = of(PublicAccessBlockConfiguration=dict.fromkeys(names, True))
    half = of(PublicAccessBlockConfiguration=dict.fromkeys(names, True) | {"BlockPublicPolicy": False})
    assert "no longer protected by BlockPublicPolicy" in widens(closed, half)[0]
    assert widens(half, closed) == []
    assert "no access control list" in widens(of(), of(AccessControl="PublicRead"))[0]


def test_a_grant_in_a_key_policy_widens_under_the_keys_alias() -> None:
    def of(*principals: str) -> dict[str, Any]:
        statement = {
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Principal": {"AWS": list(principals)},
        }
        return {
            "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": document(statement)}},
            "Alias": {
                "Type": "AWS::KMS::Alias",
                "Properties": {"AliasName": "alias/ours", "TargetKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
            },
        }

    (line,) = widens(of("1" * 12), of("1" * 12, "2" * 12))
    assert line == "ProdStack: key alias/ours now lets account 222222222222 do kms:Decrypt"


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::SageMaker::ModelPackageGroup", {"ModelPackageGroupName": "g"}),
        ("AWS::Events::EventBus", {"Name": "bus"}),
        ("AWS::ECR::Repository", {"RepositoryName": "r"}),
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_policy_is_found_wherever_a_resource_has_it(
    kind: str, properties: dict[str, Any], as_text: bool
) -> None:
    import json

    def of(*statements: Any) -> dict[str, Any]:
        body: Any = document(*statements)
        return {
            "One": {
                "Type": kind,
                "Properties": properties | {"Policy": json.dumps(body) if as_text else body},
            }
        }

    assert len(widens(of(by({"AWS": "1" * 12})), of(by({"AWS": "2" * 12})))) == 1
    assert widens(of(by({"AWS": "1" * 12})), of(by({"AWS": "1" * 12}))) == []


@pytest.mark.parametrize(
    ("kind", "key"), [("AWS::SQS::QueuePolicy", "Queues"), ("AWS::SNS::TopicPolicy", "Topics")]
)
def test_queues_and_topics_have_policies_of_their_own(kind: str, key: str) -> None:
    target = kind.removesuffix("Policy")

    def of(principal: str) -> dict[str, Any]:
        properties = {key: [{"Ref": "It"}], "PolicyDocument": document(by({"Service": principal}))}
        return {"It": {"Type": target, "Properties": {}}, "Policy": {"Type": kind, "Properties": properties}}

    (line,) = widens(of("events.amazonaws.com"), of("s3.amazonaws.com"))
    assert f"{target.rsplit('::')[-1].lower()} It now lets s3.amazonaws.com do" in line


def permission(**properties: Any) -> dict[str, Any]:
    base = {
        "FunctionName": {"Ref": "F"},
        "Action": "lambda:InvokeFunction",
        "Principal": "events.amazonaws.com",
    }
    return {
        "F": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "f"}},
        "P": {"Type": "AWS::Lambda::Permission", "Properties": base | properties},
    }


def test_a_functions_permission_that_loses_its_source_widens() -> None:
    bound = permission(SourceArn="arn:aws:events:us-east-1:222222222222:rule/r")
    (line,) = widens(bound, permission())
    assert "function f now lets events.amazonaws.com do lambda:InvokeFunction without a condition" in line
    assert widens(permission(), bound) == []


def test_a_functions_permission_for_somebody_else_widens() -> None:
    assert "lets account 111111111111 do" in widens(permission(), permission(Principal="1" * 12))[0]


def test_an_event_bus_that_admits_another_account_widens() -> None:
    def of(account: str) -> dict[str, Any]:
        properties = {"StatementId": "s", "Principal": account, "Action": "events:PutEvents"}
        return {"P": {"Type": "AWS::Events::EventBusPolicy", "Properties": properties}}

    (line,) = widens(of("1" * 12), of("2" * 12))
    assert line == "ProdStack: event bus default now lets account 222222222222 do events:PutEvents"


# --- what isn't compared in detail


@pytest.mark.parametrize(
    "kind", ["AWS::IAM::OIDCProvider", "AWS::IAM::AccessKey", "AWS::Lambda::Url", "AWS::RAM::ResourceShare"]
)
def test_what_gives_access_in_another_way_widens_where_it_is_new_or_different(kind: str) -> None:
    one, other = ({"It": {"Type": kind, "Properties": {"Name": name}}} for name in "ab")
    assert "is new" in widens({}, one)[0]
    assert "is changed" in widens(one, other)[0]
    assert widens(one, one) == widens(one, {}) == []


def test_a_stack_that_is_not_deployed_is_told_in_one_line() -> None:
    lines = compare(None, template(A=role(READ), B=role(READ)))
    assert lines == [
        "ProdStack: is not deployed yet, so all that it permits is new (2 roles, 0 resources with a policy)"
    ]
