"""Small templates with one policy each, for the tests of what widens."""

from __future__ import annotations

from typing import Any

from ops.iam.templates import Template
from ops.iam.widening import compare

ACCOUNT, REGION = "222222222222", "us-east-1"
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/a/*"}
DENY = {
    "Effect": "Deny",
    "Action": "s3:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
LAMBDA = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}


def document(*statements: Any, version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def role(*statements: Any, trust: Any = LAMBDA, **properties: Any) -> dict[str, Any]:
    """A role with an inline policy."""
    policies = [{"PolicyName": "Policy", "PolicyDocument": document(*statements)}] if statements else []
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": document(trust), "Policies": policies, **properties},
    }


def policy(
    *statements: Any, roles: list[Any], kind: str = "AWS::IAM::Policy", **properties: Any
) -> dict[str, Any]:
    return {
        "Type": kind,
        "Properties": {"PolicyDocument": document(*statements), "Roles": roles, **properties},
    }


def template(**resources: Any) -> Template:
    return Template({"Resources": resources}, stack="ProdStack", account=ACCOUNT, region=REGION)


def widens(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Compare two sets of resources."""
    return compare(template(**old), template(**new))


def grants(old: list[Any], new: list[Any]) -> list[str]:
    """Compare two policies of one role."""
    return widens({"Role": role(*old, RoleName="worker")}, {"Role": role(*new, RoleName="worker")})


def trusts(old: Any, new: Any) -> list[str]:
    """Compare two trusts of one role."""
    return widens({"Role": role(trust=old)}, {"Role": role(trust=new)})


def on_bucket(old: list[Any], new: list[Any]) -> list[str]:
    """Compare two policies of one bucket."""

    def resources(statements: list[Any]) -> dict[str, Any]:
        bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "data"}}
        if not statements:
            return {"Bucket": bucket}
        properties = {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": document(*statements)}
        return {"Bucket": bucket, "Policy": {"Type": "AWS::S3::BucketPolicy", "Properties": properties}}

    return widens(resources(old), resources(new))
