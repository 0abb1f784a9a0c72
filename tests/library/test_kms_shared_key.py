"""The key that other accounts may use, and for no more than they need."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_mlops import ExternalPrincipals, KmsSharedKey
from tests.library.library_app import DEV, REGION, REGISTRY, new_stack, only, resources, template_of

ALIAS_ARN = f"arn:aws:kms:{REGION}:{REGISTRY}:alias/mlops-artifacts"


def key_template(*principals: ExternalPrincipals) -> dict[str, Any]:
    stack = new_stack()
    KmsSharedKey(stack, "Key", alias_name="alias/mine", external_principals=principals)
    return template_of(stack)


def granted(jobs: bool = False) -> list[dict[str, Any]]:
    stack = new_stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    KmsSharedKey.from_alias_arn(stack, "Key", ALIAS_ARN).grant_encrypt_decrypt(role, jobs=jobs)
    return list(only(template_of(stack), "AWS::IAM::Policy")["PolicyDocument"]["Statement"])


def test_the_key_rotates_and_stays_with_its_alias() -> None:
    template = key_template()
    key = next(iter(resources(template, "AWS::KMS::Key").values()))
    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["DeletionPolicy"] == "Retain"
    assert next(iter(resources(template, "AWS::KMS::Alias").values()))["DeletionPolicy"] == "Retain"


def test_an_external_statement_is_bounded_by_role_path_and_service() -> None:
    principals = ExternalPrincipals(account=DEV, role_path="/mlops/dev/*")
    statement = only(key_template(principals), "AWS::KMS::Key")["KeyPolicy"]["Statement"][1]
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Principal"]["AWS"]["Fn::Join"][1][-1] == f":iam::{DEV}:root"
    pattern = statement["Condition"]["ArnLike"]["aws:PrincipalArn"]["Fn::Join"][1][-1]
    assert pattern == f":iam::{DEV}:role/mlops/dev/*"
    assert f"s3.{REGION}.amazonaws.com*" in statement["Condition"]["StringLike"]["kms:ViaService"]


def test_only_encrypt_decrypt_lets_others_encrypt() -> None:
    statement = only(key_template(ExternalPrincipals(account=DEV, use="encrypt_decrypt")), "AWS::KMS::Key")[
        "KeyPolicy"
    ]["Statement"][1]
    assert "kms:GenerateDataKey" in statement["Action"]


def test_who_only_encrypts_is_not_let_decrypt_once_more() -> None:
    principals = ExternalPrincipals(account=DEV, use="encrypt")
    statement = only(key_template(principals), "AWS::KMS::Key")["KeyPolicy"]["Statement"][1]
    assert statement["Action"] == "kms:GenerateDataKey"


def test_whose_jobs_name_the_key_for_their_outputs_encrypts_directly_too() -> None:
    principals = ExternalPrincipals(account=DEV, use="encrypt", job_outputs=True)
    statement = only(key_template(principals), "AWS::KMS::Key")["KeyPolicy"]["Statement"][1]
    assert statement["Action"] == ["kms:GenerateDataKey", "kms:Encrypt"]
    assert granted(jobs=True)[0]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"]
    assert granted()[0]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]


def test_a_grant_names_the_key_by_its_alias_in_the_owning_account() -> None:
    (statement,) = granted()
    assert statement["Resource"]["Fn::Join"][1][-1] == f":kms:{REGION}:{REGISTRY}:key/*"
    assert statement["Condition"] == {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/mlops-artifacts"}
    }


def test_a_grant_for_volumes_creates_grants_for_aws_resources_only() -> None:
    statement = granted(jobs=True)[1]
    assert statement["Action"] == "kms:CreateGrant"
    assert statement["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
    assert "ForAnyValue:StringEquals" in statement["Condition"]


def test_fails_to_grant_to_a_principal_without_a_policy() -> None:
    stack = new_stack()
    somebody = iam.ArnPrincipal(f"arn:aws:iam::{DEV}:role/theirs")
    key = KmsSharedKey.from_alias_arn(stack, "Key", ALIAS_ARN)
    with pytest.raises(ValueError, match="grantee must have a policy that can be changed here"):
        key.grant_decrypt(somebody)


def test_destroying_needs_the_prop_and_the_context_flag() -> None:
    stack = new_stack(context={"cdk-mlops:allow-destroy": True})
    KmsSharedKey(stack, "Key", alias_name="alias/mine", removal=cdk.RemovalPolicy.DESTROY)
    key = next(iter(resources(template_of(stack), "AWS::KMS::Key").values()))
    assert key["DeletionPolicy"] == "Delete"


@pytest.mark.parametrize(
    "context", [{}, {"cdk-mlops:allow-destroy": False}, {"cdk-mlops:allow-destroy": "no"}]
)
def test_fails_to_destroy_without_the_context_flag(context: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="set the context flag cdk-mlops:allow-destroy to true"):
        KmsSharedKey(
            new_stack(context=context), "Key", alias_name="alias/mine", removal=cdk.RemovalPolicy.DESTROY
        )


@pytest.mark.parametrize("alias", ["mlops", "alias/", "alias/aws/s3", "alias/a b"])
def test_fails_for_an_alias_that_cant_be_one(alias: str) -> None:
    with pytest.raises(ValueError, match="alias_name must begin with alias/"):
        KmsSharedKey(new_stack(), "Key", alias_name=alias)


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"account": "12345"}, "account must be a 12-digit account id in quotes, got '12345'"),
        ({"account": DEV, "role_path": "mlops/dev/*"}, "role_path must be"),
        (
            {"account": DEV, "use": "everything"},
            "use must be one of decrypt, encrypt, encrypt_decrypt, got 'everything'",
        ),
        ({"account": DEV, "via": ()}, "via must name at least one service"),
    ],
)
def test_fails_for_external_principals_that_cant_be(props: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        ExternalPrincipals(**props)
    assert message in str(caught.value)


def test_an_account_may_be_a_token() -> None:
    assert ExternalPrincipals(account=cdk.Aws.ACCOUNT_ID).account


@pytest.mark.parametrize("arn", ["alias/mlops-artifacts", f"arn:aws:kms:{REGION}:{REGISTRY}:key/1234"])
def test_fails_to_import_by_anything_but_an_alias_arn(arn: str) -> None:
    with pytest.raises(ValueError, match="alias_arn must be arn:aws:kms"):
        KmsSharedKey.from_alias_arn(new_stack(), "Key", arn)
