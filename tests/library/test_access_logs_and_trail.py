"""Who asked for what: S3's access logs, CloudTrail's trail, and the keys of log groups."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest

import cdk_mlops as mlops
from tests.library.library_app import (
    DEV,
    REGION,
    new_stack,
    only,
    registry_template,
    resources,
    stage_template,
    template_of,
)

BUCKET = "arn:aws:s3:::my-bucket"


def logged_template(**props: Any) -> dict[str, Any]:
    stack = new_stack(context={"cdk-mlops:allow-destroy": "true"})
    logs = mlops.AccessLogsBucket(stack, "Logs", **{"stage": "dev", **props})
    mlops.StageDataBucket(stack, "Data", stage="dev", access_logs=logs)
    return template_of(stack)


def trail_template(**props: Any) -> dict[str, Any]:
    stack = new_stack(context={"cdk-mlops:allow-destroy": "true"})
    logs = mlops.AccessLogsBucket(stack, "Logs", stage="dev")
    given = {"stage": "dev", "bucket_arns": [BUCKET], "access_logs": logs, **props}
    mlops.AuditTrail(stack, "Audit", **given)
    return template_of(stack)


def bucket_named(template: dict[str, Any], part: str) -> tuple[str, dict[str, Any]]:
    (found,) = [
        (name, one)
        for name, one in resources(template, "AWS::S3::Bucket").items()
        if part in one["Properties"]["BucketName"]
    ]
    return found


def statements_on(template: dict[str, Any], bucket: str) -> dict[str, dict[str, Any]]:
    (policy,) = [
        one["Properties"]
        for one in resources(template, "AWS::S3::BucketPolicy").values()
        if one["Properties"]["Bucket"] == {"Ref": bucket}
    ]
    return {one.get("Sid", one["Effect"]): one for one in policy["PolicyDocument"]["Statement"]}


def test_requests_to_the_data_bucket_are_logged_below_its_name() -> None:
    template = logged_template()
    logs, _ = bucket_named(template, "-logs-")
    _, data = bucket_named(template, f"sagemaker-mlops-dev-{DEV}")
    assert data["Properties"]["LoggingConfiguration"] == {
        "DestinationBucketName": {"Ref": logs},
        "LogFilePrefix": f"sagemaker-mlops-dev-{DEV}-{REGION}/",
    }


def test_only_s3s_log_delivery_for_that_bucket_of_this_account_may_write_logs() -> None:
    template = logged_template()
    logs, _ = bucket_named(template, "-logs-")
    data, _ = bucket_named(template, f"sagemaker-mlops-dev-{DEV}")
    written = statements_on(template, logs)
    assert set(written) == {"Deny", "AccessLogs1"}
    statement = written["AccessLogs1"]
    assert (statement["Principal"], statement["Action"]) == (
        {"Service": "logging.s3.amazonaws.com"},
        "s3:PutObject",
    )
    assert statement["Condition"] == {
        "ArnLike": {"aws:SourceArn": {"Fn::GetAtt": [data, "Arn"]}},
        "StringEquals": {"aws:SourceAccount": DEV},
    }
    assert statement["Resource"]["Fn::Join"][1][-1] == f"/sagemaker-mlops-dev-{DEV}-{REGION}/*"


def test_the_bucket_of_logs_is_private_versioned_encrypted_and_refuses_plain_http() -> None:
    template = logged_template()
    logs, bucket = bucket_named(template, "-logs-")
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}  # log delivery knows no other
    assert statements_on(template, logs)["Deny"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(("props", "days"), [({}, 365), ({"keep_days": 2190}, 2190)])
def test_logs_stay_a_year_unless_told_otherwise(props: dict[str, int], days: int) -> None:
    _, bucket = bucket_named(logged_template(**props), "-logs-")
    (rule,) = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == days


@pytest.mark.parametrize("days", [0, 3654])
def test_fails_for_days_that_no_log_is_kept(days: int) -> None:
    with pytest.raises(ValueError, match="keep_days must be"):
        logged_template(keep_days=days)


@pytest.mark.parametrize(("removal", "policy"), [(None, "Retain"), (cdk.RemovalPolicy.DESTROY, "Delete")])
def test_logs_stay_when_the_stack_goes_unless_told_otherwise(
    removal: cdk.RemovalPolicy | None, policy: str
) -> None:
    _, bucket = bucket_named(logged_template(removal=removal), "-logs-")
    assert bucket["DeletionPolicy"] == policy


def test_destroying_logs_needs_the_context_flag_too() -> None:
    with pytest.raises(ValueError, match="cdk-mlops:allow-destroy"):
        mlops.AccessLogsBucket(new_stack(), "L", stage="dev", removal=cdk.RemovalPolicy.DESTROY)


def test_destroying_a_trails_files_needs_the_context_flag_too() -> None:
    stack, destroy = new_stack(), cdk.RemovalPolicy.DESTROY
    with pytest.raises(ValueError, match="cdk-mlops:allow-destroy"):
        mlops.AuditTrail(stack, "T", stage="dev", bucket_arns=[BUCKET], removal=destroy)


def test_the_trail_has_reads_and_writes_of_the_objects_and_every_change_in_the_account() -> None:
    trail = only(trail_template(), "AWS::CloudTrail::Trail")
    objects, changes = trail["AdvancedEventSelectors"]
    assert objects["FieldSelectors"] == [
        {"Field": "eventCategory", "Equals": ["Data"]},
        {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
        {"Field": "resources.ARN", "StartsWith": [f"{BUCKET}/"]},
    ]
    assert changes["FieldSelectors"] == [
        {"Field": "eventCategory", "Equals": ["Management"]},
        {"Field": "readOnly", "Equals": ["false"]},
    ]


def test_the_trail_is_on_encrypted_and_shows_whether_a_file_was_changed() -> None:
    trail = only(trail_template(), "AWS::CloudTrail::Trail")
    assert trail["IsLogging"] is True
    assert trail["EnableLogFileValidation"] is True
    assert "Fn::GetAtt" in trail["KMSKeyId"]


def test_only_this_trail_may_write_into_its_bucket_and_use_its_key() -> None:
    template = trail_template()
    audit, _ = bucket_named(template, "-audit-")
    named = statements_on(template, audit)
    assert set(named) == {"Deny", "TrailLooks", "TrailWrites"}
    key = {one.get("Sid"): one for one in only(template, "AWS::KMS::Key")["KeyPolicy"]["Statement"]}
    for statement in (named["TrailLooks"], named["TrailWrites"], key["TrailEncrypts"], key["TrailDescribes"]):
        assert statement["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
        source = json.dumps(statement["Condition"]["StringEquals"]["aws:SourceArn"])
        assert f":cloudtrail:{REGION}:{DEV}:trail/mlops-dev-audit" in source
    assert named["TrailWrites"]["Resource"]["Fn::Join"][1][-1] == f"/AWSLogs/{DEV}/*"


def test_the_trails_key_rotates_and_its_bucket_is_private_versioned_and_logged_itself() -> None:
    template = trail_template()
    assert only(template, "AWS::KMS::Key")["EnableKeyRotation"] is True
    _, bucket = bucket_named(template, "-audit-")
    assert bucket["DeletionPolicy"] == "Retain"
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "LoggingConfiguration" in bucket["Properties"]


@pytest.mark.parametrize("arns", [[], ["my-bucket"], ["arn:aws:s3:::my-bucket/*"]])
def test_fails_for_buckets_that_a_trail_cant_watch(arns: list[str]) -> None:
    with pytest.raises(ValueError, match="bucket_arns must"):
        trail_template(bucket_arns=arns)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_every_log_group_of_a_stage_is_encrypted_with_the_stages_key(stage: str) -> None:
    template = stage_template(stage)
    alias = only(template, "AWS::KMS::Alias", "Data")
    for group in resources(template, "AWS::Logs::LogGroup").values():
        assert group["Properties"]["KmsKeyId"] == alias["TargetKeyId"]


@pytest.mark.parametrize("function", ["Notifier", "ApprovalRecorder"])
def test_the_registrys_log_groups_are_encrypted_with_the_artifacts_key(function: str) -> None:
    template = registry_template()
    alias = only(template, "AWS::KMS::Alias", "RegistryKey")
    assert only(template, "AWS::Logs::LogGroup", function)["KmsKeyId"] == alias["TargetKeyId"]


def test_cloudwatch_logs_may_use_a_stages_key_for_log_groups_of_functions_only_and_says_so_once() -> None:
    template = stage_template("prod", 2)
    key = only(template, "AWS::KMS::Key", "DataKey")
    found = [
        one
        for one in key["KeyPolicy"]["Statement"]
        if "logs." in json.dumps(one["Principal"].get("Service", ""))
    ]
    (statement,) = found
    assert statement["Principal"] == {"Service": f"logs.{REGION}.amazonaws.com"}
    (condition,) = statement["Condition"]["ArnLike"].items()
    assert condition[0] == "kms:EncryptionContext:aws:logs:arn"
    assert json.dumps(condition[1]).endswith(':log-group:/aws/lambda/*"]]}')


def test_a_log_group_of_a_function_with_an_imported_key_keeps_the_services_own_encryption() -> None:
    stack = new_stack()
    data = mlops.StageDataBucket.from_attributes(
        stack, "Data", bucket_name="mine", key_alias_arn=f"arn:aws:kms:{REGION}:{DEV}:alias/mine"
    )
    model = mlops.ModelNames(prefix="churn", model_name="churn-model", package_group="churn-group")
    registry = mlops.CrossAccountModelRegistry.from_attributes(stack, "Registry", account=DEV, region=REGION)
    mlops.RunRecorder(stack, "Recorder", model=model, stage="dev", data_bucket=data, registry=registry)
    assert "KmsKeyId" not in only(template_of(stack), "AWS::Logs::LogGroup")


def test_a_key_of_another_stack_isnt_used_for_log_groups() -> None:
    first = new_stack("First")
    second = cdk.Stack(first.node.root, "Second", env=cdk.Environment(account=DEV, region=REGION))  # type: ignore[arg-type]
    data = mlops.StageDataBucket(first, "Data", stage="dev")
    model = mlops.ModelNames(prefix="churn", model_name="churn-model", package_group="churn-group")
    registry = mlops.CrossAccountModelRegistry.from_attributes(second, "Registry", account=DEV, region=REGION)
    mlops.RunRecorder(second, "Recorder", model=model, stage="dev", data_bucket=data, registry=registry)
    assert "KmsKeyId" not in only(template_of(second), "AWS::Logs::LogGroup")
