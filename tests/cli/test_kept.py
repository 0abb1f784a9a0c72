"""What a destroyed stack left is found by name and through its alias; what can't be taken up as it is, is refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local_cloud.cloud import LocalCloud
from ops import kept
from ops.errors import CommandError

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("kept")]


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud.start() as started:
        yield started


class Account:
    """An account with a template of ours, names of its own a test."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.session = cloud.session(cloud.accounts[0])
        self.kms, self.s3 = self.session.client("kms"), self.session.client("s3")
        self.name = f"t{uuid.uuid4().hex[:10]}"
        self.alias = f"alias/{self.name}"
        key_arn = {"Fn::GetAtt": ["Key", "Arn"]}
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
        rules = [{"ServerSideEncryptionByDefault": default}]
        bucket = {
            "BucketName": self.name,
            "BucketEncryption": {"ServerSideEncryptionConfiguration": rules},
            "VersioningConfiguration": {"Status": "Enabled"},
        }
        group = {
            "ModelPackageGroupName": self.name,
            "ModelPackageGroupDescription": "d",
            "ModelPackageGroupPolicy": {},
        }
        self.template: dict[str, Any] = {
            "Resources": {
                "Bucket": self.resource(kept.BUCKET, bucket),
                "Key": self.resource(kept.KEY, {"KeyPolicy": {}}),
                "Alias": self.resource(kept.ALIAS, {"AliasName": self.alias, "TargetKeyId": key_arn}),
                "Group": self.resource(kept.GROUP, group),
                "Topic": {"Type": "AWS::SNS::Topic"},
                "Gone": {"Type": kept.BUCKET, "Properties": {"BucketName": "gone"}},
            }
        }

    @staticmethod
    def resource(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
        return {"Type": kind, "DeletionPolicy": "Retain", "Properties": properties}

    def make_key(self, alias: str | None = None) -> str:
        key = str(self.kms.create_key()["KeyMetadata"]["KeyId"])
        if alias:
            self.kms.create_alias(AliasName=alias, TargetKeyId=key)
        return key

    def make_bucket(self, key: str) -> None:
        self.s3.create_bucket(Bucket=self.name)
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        rules = [{"ApplyServerSideEncryptionByDefault": default}]
        self.s3.put_bucket_encryption(Bucket=self.name, ServerSideEncryptionConfiguration={"Rules": rules})

    def found(self, **in_stack: str) -> dict[str, kept.Kept]:
        missing = {k: v for k, v in kept.retained(self.template).items() if k not in in_stack}
        return {one.logical_id: one for one in kept.find(self.session, missing, in_stack.get)}

    def refused(self, **in_stack: str) -> str:
        with pytest.raises(CommandError) as error:
            self.found(**in_stack)
        return str(error.value)


@pytest.fixture
def account(cloud: LocalCloud) -> Account:
    return Account(cloud)


def test_nothing_is_found_where_nothing_stayed(account: Account) -> None:
    assert account.found() == {}


def test_all_that_stayed_is_found_by_the_identifier_of_its_type(account: Account) -> None:
    key = account.make_key(account.alias)
    account.make_bucket(key)
    sagemaker = account.session.client("sagemaker")
    for name in (f"{account.name}-longer", account.name):
        arn = sagemaker.create_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupArn"]
    assert {name: one.identifier for name, one in account.found().items()} == {
        "Key": {"KeyId": key},
        "Alias": {"AliasName": account.alias},
        "Bucket": {"BucketName": account.name},
        "Group": {"ModelPackageGroupArn": arn},
    }


def test_an_import_names_only_what_could_not_be_changed_later(account: Account) -> None:
    account.make_bucket(account.make_key(account.alias))
    account.session.client("sagemaker").create_model_package_group(ModelPackageGroupName=account.name)
    bare = {name: one.bare["Properties"] for name, one in account.found().items()}
    assert bare == {
        "Key": {},
        "Alias": {"AliasName": account.alias, "TargetKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
        "Bucket": {"BucketName": account.name},
        "Group": {"ModelPackageGroupName": account.name, "ModelPackageGroupDescription": "d"},
    }


def test_what_goes_with_its_stack_is_not_looked_for(account: Account) -> None:
    assert set(kept.retained(account.template)) == {"Bucket", "Key", "Alias", "Group"}


def test_a_bucket_whose_alias_is_gone_is_refused_with_the_way_to_give_it_back(account: Account) -> None:
    key = account.make_key()
    account.make_bucket(key)
    expected = f"{account.alias} is gone; set it right: aws kms create-alias --alias-name {account.alias}"
    assert f"{expected} --target-key-id {key}" in account.refused()


def test_a_bucket_is_refused_where_its_alias_stands_for_another_key(account: Account) -> None:
    old, new = account.make_key(), account.make_key(account.alias)
    account.make_bucket(old)
    refused = account.refused()
    assert f"stands for {new}" in refused
    assert f"aws kms update-alias --alias-name {account.alias} --target-key-id {old}" in refused


def test_an_alias_is_refused_where_the_stack_has_made_another_key(account: Account) -> None:
    key = account.make_key(account.alias)
    assert f"{account.alias} stands for key {key}, but the stack has made key other" in account.refused(
        Key="other"
    )


def test_a_bucket_is_found_where_the_stack_has_its_key_already(account: Account) -> None:
    key = account.make_key(account.alias)
    account.make_bucket(key)
    assert set(account.found(Key=key, Alias=account.alias)) == {"Bucket"}


def test_a_key_that_waits_for_its_deletion_is_refused_with_the_way_back(account: Account) -> None:
    key = account.make_key(account.alias)
    account.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    fix = f"aws kms cancel-key-deletion --key-id {key} and aws kms enable-key --key-id {key}"
    assert account.refused() == f"the key of {account.alias} is PendingDeletion; run: {fix}"


def test_a_bucket_of_somebody_else_is_told_from_none(account: Account, cloud: LocalCloud) -> None:
    cloud.session(cloud.accounts[1]).client("s3").create_bucket(Bucket=account.name)
    assert f"bucket {account.name} exists, but these credentials may not look at it" in account.refused()


@pytest.mark.parametrize(
    ("properties", "alone"),
    [
        ({"KeyPolicy": {"Resource": "*"}}, True),
        ({"KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]}}, True),
        ({"Arn": {"Fn::Sub": "arn:${AWS::Partition}:x:${Key.Arn}:${!literal}"}}, True),
        ({"Region": {"Ref": "AWS::Region"}}, True),
        ({"Statement": [{"Principal": {"AWS": {"Fn::GetAtt": ["Role", "Arn"]}}}]}, False),
        ({"Arn": {"Fn::Sub": "arn:${Role}"}}, False),
        ({"Size": {"Ref": "SomeParameter"}}, False),
    ],
)
def test_a_definition_that_needs_what_is_not_there_waits_for_the_whole_deployment(
    properties: dict[str, Any], alone: bool
) -> None:
    definition = Account.resource(kept.BUCKET, properties)
    assert kept.Kept("Bucket", definition, {}, "bucket").needs_only({"Key"}) is alone
    behind = kept.Kept("Bucket", {**definition, "DependsOn": ["Policy"]}, {}, "bucket")
    assert not behind.needs_only({"Key"})
