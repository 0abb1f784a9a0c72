"""Acceptance: no FullAccess, no service:*, no resource * without a reason, one service a trust, constant size."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.library.library_app import only, registry_template, resources, stage_template
from tests.library.policy_audit import findings, identity_statements


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_policies_of_a_stage_are_narrow(stage: str) -> None:
    assert findings(stage_template(stage)) == []


def test_the_policies_of_a_stage_in_a_vpc_are_narrow() -> None:
    assert findings(stage_template("prod", vpc=True)) == []


def test_the_policies_of_the_registry_are_narrow() -> None:
    assert findings(registry_template()) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"Action": "s3:*"}, "action s3:*"),
        ({"Action": ["s3:GetObject", "*"]}, "action *"),
        ({"Resource": "*"}, "resource * without condition or reason"),
        ({"Resource": "*", "Sid": "ReadKnowsNoResource"}, "s3:GetObject does know resources"),
        ({"NotAction": "s3:PutObject"}, "NotAction"),
    ],
)
def test_the_audit_finds_a_statement_that_is_too_wide(change: dict[str, Any], finding: str) -> None:
    statement = {
        "Effect": "Allow",
        "Sid": "Read",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::b/*",
        **change,
    }
    role = {
        "Policies": [{"PolicyDocument": {"Statement": [statement]}}],
        "AssumeRolePolicyDocument": _trust("a"),
    }
    assert any(finding in line for line in findings(_template(role)))


@pytest.mark.parametrize(
    "change",
    [
        {"ManagedPolicyArns": ["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"]},
        {
            "ManagedPolicyArns": [
                {"Fn::Join": ["", ["arn:", {"Ref": "P"}, ":iam::aws:policy/AdministratorAccess"]]}
            ]
        },
        {
            "AssumeRolePolicyDocument": {
                "Statement": [{"Principal": {"Service": ["a.amazonaws.com", "b.amazonaws.com"]}}]
            }
        },
        {"AssumeRolePolicyDocument": {"Statement": [{"Principal": {"AWS": "arn:aws:iam::1:root"}}]}},
        {
            "AssumeRolePolicyDocument": {"Statement": {"Principal": {"AWS": "*"}}},
            "Path": "/mlops/dev/operator/",
        },
    ],
)
def test_the_audit_finds_a_role_that_is_too_wide(change: dict[str, Any]) -> None:
    assert len(findings(_template({"AssumeRolePolicyDocument": _trust("a"), **change}))) == 1


def test_bucket_and_key_policies_are_no_larger_with_a_hundred_models_than_with_two() -> None:
    two, hundred = registry_template(2), registry_template(100)
    for kind in ("AWS::S3::BucketPolicy", "AWS::KMS::Key", "AWS::SNS::TopicPolicy"):
        assert json.dumps(resources(two, kind)) == json.dumps(resources(hundred, kind))


def test_a_group_policy_fits_twice_into_what_sagemaker_takes() -> None:
    group = only(registry_template(), "AWS::SageMaker::ModelPackageGroup")
    assert len(json.dumps(group["ModelPackageGroupPolicy"])) < 20_480 / 2


def test_the_approvers_policies_fit_with_a_hundred_models() -> None:
    template = registry_template(100)
    for kind, limit in (("AWS::IAM::Policy", 10_240), ("AWS::IAM::ManagedPolicy", 6_144)):
        for name, resource in resources(template, kind).items():
            assert _size(resource["Properties"]["PolicyDocument"]) <= limit, name
    assert len(resources(template, "AWS::IAM::ManagedPolicy")) <= 10


@pytest.mark.parametrize("vpc", [False, True])
def test_a_roles_inline_policies_fit_into_what_iam_takes(vpc: bool) -> None:
    for name, role in resources(stage_template("prod", vpc=vpc), "AWS::IAM::Role").items():
        size = sum(_size(policy["PolicyDocument"]) for policy in role["Properties"].get("Policies", []))
        assert size < 10_240, f"{name}: {size}"


def test_a_model_costs_at_most_thirty_resources() -> None:
    one, two = stage_template("prod"), stage_template("prod", 2)
    assert len(two["Resources"]) - len(one["Resources"]) <= 30


def test_two_models_of_a_stage_name_nothing_of_each_others() -> None:
    template = stage_template("prod", 2)
    roles = [one["Properties"] for one in resources(template, "AWS::IAM::Role").values()]
    own = [role for role in roles if str(role.get("RoleName", "")).startswith("model-0-")]
    assert len(own) == 7
    for role in own:
        text = json.dumps(list(identity_statements("AWS::IAM::Role", role)))
        assert "model-1" not in text


def _size(document: dict[str, Any]) -> int:
    """Return the length that IAM counts: without white space, tokens as what they stand for."""
    document = copy.deepcopy(document)
    text = json.dumps(_resolved(document), separators=(",", ":"))
    return len(text)


def _resolved(value: Any) -> Any:
    if isinstance(value, dict):
        if "Fn::Join" in value:
            return "".join(str(_resolved(part)) for part in value["Fn::Join"][1])
        if "Ref" in value:
            return "aws" if value["Ref"] == "AWS::Partition" else "x" * 60
        if "Fn::GetAtt" in value:
            return "x" * 110
        return {key: _resolved(one) for key, one in value.items()}
    return [_resolved(one) for one in value] if isinstance(value, list) else value


def _trust(service: str) -> dict[str, Any]:
    return {"Statement": [{"Principal": {"Service": f"{service}.amazonaws.com"}}]}


def _template(role: dict[str, Any]) -> dict[str, Any]:
    return {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": role}}}
