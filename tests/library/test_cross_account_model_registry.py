"""The registry: what it admits, what it grants, and whom it tells."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_mlops import CrossAccountModelRegistry, ModelNames, RegistryStage
from tests.library.library_app import (
    DEV,
    MAMMO,
    PROD,
    REGION,
    REGISTRY,
    STAGES,
    model,
    new_stack,
    only,
    registry_template,
    resources,
    template_of,
)


def registry(**props: Any) -> cdk.Stack:
    stack = new_stack("Registry", REGISTRY)
    CrossAccountModelRegistry(stack, "Registry", **{"stages": STAGES, "models": [MAMMO], **props})
    return stack


def bucket_statements() -> dict[str, Any]:
    policy = only(registry_template(), "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    return {one.get("Sid", "Tls"): one for one in policy}


def group_statements(template: dict[str, Any]) -> dict[str, Any]:
    group = only(template, "AWS::SageMaker::ModelPackageGroup")
    return {one["Sid"]: one for one in group["ModelPackageGroupPolicy"]["Statement"]}


def test_the_artifacts_bucket_is_private_versioned_and_encrypted_with_the_shared_key() -> None:
    bucket = only(registry_template(), "AWS::S3::Bucket")
    assert bucket["BucketName"] == f"sagemaker-mlops-artifacts-{REGISTRY}-{REGION}"
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rule = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    # An approved model that was overwritten must still be found, however late.
    assert "NoncurrentVersionExpiration" not in bucket["LifecycleConfiguration"]["Rules"][0]


def test_the_artifacts_bucket_refuses_plain_http() -> None:
    statement = bucket_statements()["Tls"]
    assert (statement["Effect"], statement["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


@pytest.mark.parametrize(
    ("sid", "stage", "account"), [("Stage1Write", "dev", DEV), ("Stage2Write", "prod", PROD)]
)
def test_only_train_roles_of_a_stage_write_and_only_below_its_own_prefix(
    sid: str, stage: str, account: str
) -> None:
    statement = bucket_statements()[sid]
    assert "s3:PutObject" in statement["Action"]
    assert json.dumps(statement["Resource"]).count(f"/*/{stage}/*") == 1
    pattern = statement["Condition"]["ArnLike"]["aws:PrincipalArn"]["Fn::Join"][1][-1]
    assert pattern == f":iam::{account}:role/mlops/{stage}/train/*"


@pytest.mark.parametrize(
    ("sid", "stage", "other"), [("Stage1NotElsewhere", "dev", "prod"), ("Stage2NotElsewhere", "prod", "dev")]
)
def test_no_key_that_also_names_the_stage_lets_it_write_into_another_or_the_state(
    sid: str, stage: str, other: str
) -> None:
    statement = bucket_statements()[sid]
    assert (statement["Effect"], statement["Action"]) == ("Deny", ["s3:PutObject", "s3:AbortMultipartUpload"])
    ends = [resource["Fn::Join"][1][-1].split("/", 1)[1] for resource in statement["Resource"]]
    assert ends == ["_state/*", f"*/{other}/*"]
    assert f"role/mlops/{stage}/*" in json.dumps(statement["Condition"])


def test_the_group_admits_versions_only_from_train_roles_and_only_as_waiting() -> None:
    statement = group_statements(registry_template())["TrainRolesRegister"]
    assert statement["Action"] == "sagemaker:CreateModelPackage"
    assert statement["Condition"]["StringEquals"] == {
        "sagemaker:ModelApprovalStatus": "PendingManualApproval"
    }
    assert "role/mlops/dev/train/*" in json.dumps(statement["Condition"])


def test_no_resource_policy_lets_another_account_change_a_status() -> None:
    assert "UpdateModelPackage" not in json.dumps(group_statements(registry_template()))


def test_a_group_policy_can_admit_whole_accounts_but_keeps_versions_waiting() -> None:
    found = group_statements(template_of(registry(admit_by_role_path=False)))
    assert "Condition" not in found["StagesUse"] or not found["StagesUse"]["Condition"]
    assert "ArnLike" not in found["TrainRolesRegister"]["Condition"]
    assert "StringEquals" in found["TrainRolesRegister"]["Condition"]


def test_group_bucket_and_key_stay_when_the_stack_goes() -> None:
    for kind in ("AWS::SageMaker::ModelPackageGroup", "AWS::S3::Bucket", "AWS::KMS::Key"):
        for resource in resources(registry_template(), kind).values():
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_approvers_assume_their_role_with_multi_factor_authentication() -> None:
    role = only(registry_template(), "AWS::IAM::Role", "Approver")
    assert (role["RoleName"], role["Path"]) == ("mlops-registry-approver", "/mlops/registry/approver/")
    trust = role["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Principal"] == {"AWS": f"arn:aws:iam::{REGISTRY}:user/grace"}
    assert trust["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


def test_multi_factor_authentication_can_be_waived() -> None:
    template = template_of(registry(approvers=[f"arn:aws:iam::{REGISTRY}:root"], require_mfa=False))
    trust = only(template, "AWS::IAM::Role", "Approver")["AssumeRolePolicyDocument"]["Statement"][0]
    assert "Condition" not in trust


def test_there_is_no_approver_role_without_approvers() -> None:
    assert not [name for name in resources(template_of(registry()), "AWS::IAM::Role") if "Approver" in name]


def test_approvers_are_told_when_a_version_waits_or_was_decided_and_reminded_daily() -> None:
    rules = [one["Properties"] for one in resources(registry_template(), "AWS::Events::Rule").values()]
    waiting = next(rule for rule in rules if "Rejected" in json.dumps(rule.get("EventPattern")))
    assert waiting["EventPattern"]["detail"]["ModelApprovalStatus"] == [
        "PendingManualApproval",
        "Approved",
        "Rejected",
    ]
    reminder = next(rule for rule in rules if "remind" in rule["Targets"][0].get("Input", ""))
    assert reminder["ScheduleExpression"] == "rate(1 day)"
    assert reminder["Targets"][0]["Input"] == '{"action":"remind"}'
    for rule in rules:
        assert rule["Targets"][0]["RetryPolicy"]["MaximumRetryAttempts"] == 2
        assert rule["Targets"][0]["DeadLetterConfig"]


def test_a_message_or_a_record_that_could_not_be_made_rings_an_alarm() -> None:
    template = registry_template()
    alarms = [one["Properties"] for one in resources(template, "AWS::CloudWatch::Alarm").values()]
    (topic,) = resources(template, "AWS::SNS::Topic")
    queues, functions = (
        sorted(resources(template, f"AWS::{kind}")) for kind in ("SQS::Queue", "Lambda::Function")
    )
    assert [name.startswith("RegistryApprovalRecorder") for name in (queues[0], functions[0])] == [True, True]
    watched = {one["AlarmName"]: one["Dimensions"][0]["Value"] for one in alarms}
    assert watched == {
        "mlops-registry-recorder-dead-letters": {"Fn::GetAtt": [queues[0], "QueueName"]},
        "mlops-registry-recorder-errors": {"Ref": functions[0]},
        "mlops-registry-notifier-dead-letters": {"Fn::GetAtt": [queues[1], "QueueName"]},
        "mlops-registry-notifier-errors": {"Ref": functions[1]},
    }
    assert all(one["AlarmActions"] == [{"Ref": topic}] for one in alarms)


def test_the_notifier_knows_the_groups_and_the_days() -> None:
    function = only(registry_template(), "AWS::Lambda::Function", "Notifier")
    variables = function["Environment"]["Variables"]
    assert variables["GROUP_NAMES"] == MAMMO.package_group
    assert variables["REMINDER_DAYS"] == "3"
    assert function["Handler"] == "approval_notifier.handler.handle"


def recorder_statements() -> dict[str, dict[str, Any]]:
    """All that the function may do that records approvals, by Sid or by action where there is none."""
    template = registry_template()
    role = only(template, "AWS::IAM::Role", "ApprovalRecorder")
    policy = only(template, "AWS::IAM::Policy", "ApprovalRecorder")
    return {
        one.get("Sid", json.dumps(one["Action"])): one
        for document in (role["Policies"][0]["PolicyDocument"], policy["PolicyDocument"])
        for one in document["Statement"]
    }


def test_what_records_an_approval_changes_versions_only_in_requests_that_name_no_status_and_no_life_cycle() -> (
    None
):
    (change,) = [one for one in recorder_statements().values() if "Update" in json.dumps(one["Action"])]
    assert change["Action"] == "sagemaker:UpdateModelPackage"
    names_neither = {"sagemaker:ModelApprovalStatus": "true", "sagemaker:ModelLifeCycle:stage": "true"}
    assert change["Condition"] == {"Null": names_neither}
    assert json.dumps(change["Resource"]).endswith(f':model-package/{MAMMO.package_group}/*"]]}}')


def test_what_records_an_approval_reads_artifacts_and_writes_nothing_but_its_claims() -> None:
    objects = {
        json.dumps(one["Action"]): json.dumps(one["Resource"])
        for one in recorder_statements().values()
        if "Object" in json.dumps(one["Action"])
    }
    written = [resource for action, resource in objects.items() if "Put" in action or "Delete" in action]
    assert len(written) == 1
    assert "/_state/records/*" in written[0]
    assert f"/{MAMMO.model_name}/*" in objects['"s3:GetObject"']


def test_approvals_are_recorded_and_once_an_hour_all_are_looked_at() -> None:
    template = registry_template()
    rules = {key: one["Properties"] for key, one in resources(template, "AWS::Events::Rule").items()}
    of_recorder = [rule for key, rule in rules.items() if key.startswith("RegistryApprovalRecorder")]
    (approved,), (sweep,) = (
        [rule for rule in of_recorder if part in rule] for part in ("EventPattern", "ScheduleExpression")
    )
    assert approved["EventPattern"]["detail"] == {"ModelApprovalStatus": ["Approved"]}
    assert sweep["ScheduleExpression"] == "rate(1 hour)"
    assert sweep["Targets"][0]["Input"] == '{"action":"sweep"}'
    function = only(template, "AWS::Lambda::Function", "ApprovalRecorder")
    assert function["Environment"]["Variables"]["GROUP_NAMES"] == MAMMO.package_group


def test_only_the_functions_of_the_steps_see_which_s3_versions_artifacts_are_and_none_deletes_any() -> None:
    allowed = bucket_statements()
    (compare,) = [one for one in allowed.values() if "ListBucketVersions" in json.dumps(one["Action"])]
    roles = [
        arn["Fn::Join"][1][-1].split(":role", 1)[1]
        for arn in compare["Condition"]["ArnLike"]["aws:PrincipalArn"]
    ]
    assert {role.split("/")[3] for role in roles} == {"resolver", "recorder"}
    assert allowed["StagesRead"]["Action"] == "s3:GetObject"
    assert "Delete" not in json.dumps([one for one in allowed.values() if one["Effect"] == "Allow"])


def test_the_topic_is_encrypted_with_a_key_of_its_own_and_mails_the_approvers() -> None:
    template = registry_template()
    topic = only(template, "AWS::SNS::Topic")
    assert "AlertsKey" in json.dumps(topic["KmsMasterKeyId"])
    subscription = only(template, "AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "approvers@example.com")


def test_an_existing_group_is_not_made_again() -> None:
    template = template_of(registry(existing_groups=[MAMMO.package_group]))
    assert not resources(template, "AWS::SageMaker::ModelPackageGroup")


def granted(grant: str, **props: Any) -> list[dict[str, Any]]:
    stack = new_stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    imported = CrossAccountModelRegistry.from_attributes(stack, "Registry", account=REGISTRY, region=REGION)
    getattr(imported, grant)(role, MAMMO, **props)
    return list(only(template_of(stack), "AWS::IAM::Policy")["PolicyDocument"]["Statement"])


def test_a_grant_to_register_allows_waiting_versions_only() -> None:
    found = [
        one
        for one in granted("grant_register", stage="dev")
        if one["Action"] == "sagemaker:CreateModelPackage"
    ]
    assert [one["Condition"] for one in found] == [
        {
            "StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"},
            "Null": {"sagemaker:ModelLifeCycle:stage": "true"},
        }
    ]


def test_a_grant_to_register_writes_below_the_stages_prefix_only() -> None:
    put = next(one for one in granted("grant_register", stage="dev") if "s3:PutObject" in one["Action"])
    assert put["Resource"]["Fn::Join"][1][-1].endswith("/mammography-severity-model/dev/*")


@pytest.mark.parametrize("grant", ["grant_read_approved", "grant_approve"])
def test_other_grants_neither_register_nor_write(grant: str) -> None:
    text = json.dumps(granted(grant))
    assert "CreateModelPackage" not in text
    assert "s3:PutObject" not in text


def test_only_the_grant_to_approve_changes_a_status() -> None:
    assert "UpdateModelPackage" in json.dumps(granted("grant_approve"))
    assert "UpdateModelPackage" not in json.dumps(granted("grant_read_approved"))
    assert "UpdateModelPackage" not in json.dumps(granted("grant_register", stage="dev"))


def test_a_group_in_mixed_case_is_named_in_both_cases() -> None:
    mixed = ModelNames(prefix="p", model_name="m", package_group="My-Group")
    stack = new_stack()
    imported = CrossAccountModelRegistry.from_attributes(stack, "Registry", account=REGISTRY, region=REGION)
    names = [arn.rsplit("/", 1)[1] for arn in imported.group_resources(mixed)]
    assert names == ["My-Group", "my-group"]


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"stages": []}, "stages must name at least one"),
        ({"models": []}, "models must name at least one"),
        (
            {"stages": [RegistryStage("dev", DEV), RegistryStage("dev", PROD)]},
            "stages must not name 'dev' twice",
        ),
        ({"models": [MAMMO, MAMMO]}, "models must not name 'mammo-severity-model-package' twice"),
        ({"existing_groups": ["other"]}, "existing_groups must be package groups of the models, got 'other'"),
        ({"approvers": ["grace"]}, "approvers must be the ARN of a user, a role or an account"),
        ({"alert_email": "grace"}, "email must be one e-mail address, got 'grace'"),
        ({"reminder_days": 0}, "reminder_days must be a whole number from 1 to 30, got 0"),
        ({"reminder_days": 31}, "reminder_days must be a whole number from 1 to 30, got 31"),
        ({"artifacts_bucket_name": "My_Bucket"}, "artifacts_bucket_name must be"),
        ({"models": [model(n) for n in range(1000)]}, "at most 3500 characters together"),
        ({"removal": cdk.RemovalPolicy.DESTROY}, "cdk-mlops:allow-destroy"),
    ],
)
def test_fails_for_props_that_cant_be(props: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        registry(**props)
    assert message in str(caught.value)


@pytest.mark.parametrize("account", ["12345", "1234567890123", "12345678901a"])
def test_fails_for_a_stage_whose_account_has_not_twelve_digits(account: str) -> None:
    with pytest.raises(ValueError, match=f"account must be a 12-digit account id in quotes, got '{account}'"):
        RegistryStage("dev", account)
