"""A stage's data bucket and its key."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest

from cdk_mlops import StageDataBucket
from tests.library.library_app import DEV, REGION, new_stack, only, resources, template_of


def data_template(**props: Any) -> dict[str, Any]:
    stack = new_stack(context={"cdk-mlops:allow-destroy": "true"})
    StageDataBucket(stack, "Data", **{"stage": "dev", **props})
    return template_of(stack)


def test_the_bucket_is_named_by_stage_account_and_region() -> None:
    assert only(data_template(), "AWS::S3::Bucket")["BucketName"] == f"sagemaker-mlops-dev-{DEV}-{REGION}"


def test_another_name_can_be_given() -> None:
    assert only(data_template(bucket_name="my-data"), "AWS::S3::Bucket")["BucketName"] == "my-data"


def test_the_bucket_is_encrypted_with_the_stages_key() -> None:
    template = data_template()
    assert only(template, "AWS::KMS::Alias")["AliasName"] == "alias/mlops-dev-data"
    rule = only(template, "AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
    (key,) = resources(template, "AWS::KMS::Key")
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == {"Fn::GetAtt": [key, "Arn"]}


def test_the_bucket_is_private_versioned_and_refuses_plain_http() -> None:
    template = data_template()
    bucket = only(template, "AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (statement,) = only(template, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


@pytest.mark.parametrize(("removal", "policy"), [(None, "Retain"), (cdk.RemovalPolicy.DESTROY, "Delete")])
def test_bucket_and_key_stay_unless_told_otherwise(removal: cdk.RemovalPolicy | None, policy: str) -> None:
    template = data_template(removal=removal)
    for kind in ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::KMS::Alias"):
        assert [one["DeletionPolicy"] for one in resources(template, kind).values()] == [policy]


@pytest.mark.parametrize("stage", ["d", "Dev", "dev_1", "x" * 17, "-dev"])
def test_fails_for_a_stage_that_cant_be_part_of_a_name(stage: str) -> None:
    with pytest.raises(ValueError, match="stage must be 2 to 16 lower-case letters"):
        data_template(stage=stage)


@pytest.mark.parametrize("stage", ["qa", "x" * 16, "pre-prod"])
def test_a_stage_has_2_to_16_characters(stage: str) -> None:
    assert only(data_template(stage=stage), "AWS::S3::Bucket")


@pytest.mark.parametrize("name", ["ab", "a" * 64, "My-Bucket", "bucket_1"])
def test_fails_for_a_name_that_no_bucket_can_have(name: str) -> None:
    with pytest.raises(ValueError, match="bucket_name must be 3 to 63 lower-case letters"):
        data_template(bucket_name=name)


def test_what_lies_below_a_prefix_can_go_by_itself_and_the_rest_stays() -> None:
    stack = new_stack()
    StageDataBucket(stack, "Data", stage="dev").expire("my-model/checks/", after=cdk.Duration.days(7))
    rules = only(template_of(stack), "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    expiring = {rule["Id"]: rule for rule in rules if "ExpirationInDays" in rule}
    assert [(rule["Prefix"], rule["ExpirationInDays"]) for rule in expiring.values()] == [
        ("my-model/checks/", 7)
    ]
