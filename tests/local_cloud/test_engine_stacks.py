"""CloudFormation on the embedded cloud: what our stacks use, rollback, replacement, Retain, imports."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_cloud.cloud import LocalCloud
from tests.local_cloud.engine_kit import (
    DEV,
    REGISTRY,
    allow,
    deploy_template,
    document,
    eventually,
    make_function,
    make_key,
    make_role,
    settled,
    unique,
)

pytestmark = pytest.mark.cloud

# Answers CloudFormation itself, as our custom resource does, and notes each request it gets.
PROVIDER = """
import boto3, json, urllib.request, time
def handler(event, context):
    properties = event["ResourceProperties"]
    key = f"{time.time_ns()}-{event['RequestType']}-{properties['Name']}-{properties.get('Value', '')}"
    boto3.client("s3").put_object(Bucket="BUCKET", Key=key, Body=b"")
    failed = properties.get("Value") == "bad" and event["RequestType"] != "Delete"
    answer = {
        "Status": "FAILED" if failed else "SUCCESS", "Reason": "bad is refused",
        "PhysicalResourceId": properties["Name"], "StackId": event["StackId"], "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"], "Data": {"Value": properties.get("Value", "")},
    }
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    request.add_header("content-type", "")
    urllib.request.urlopen(request)
"""


class Provider:
    """A custom resource's function and the log of what it was asked."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._s3 = cloud.session(DEV).client("s3")
        self._bucket = unique("bucket")
        self._s3.create_bucket(Bucket=self._bucket)
        role = make_role(cloud, DEV, allow("s3:PutObject"), principal={"Service": "lambda.amazonaws.com"})
        self.arn = make_function(cloud, DEV, PROVIDER.replace("BUCKET", self._bucket), role, Timeout=900)

    def resource(self, name: str, value: str, **more: Any) -> dict[str, Any]:
        properties = {"ServiceToken": self.arn, "Name": name, "Value": value}
        return {"Type": "Custom::Noted", "Properties": properties, **more}

    def asked(self) -> list[str]:
        """Requests so far, as ``Type-Name-Value``."""
        keys = self._s3.list_objects_v2(Bucket=self._bucket).get("Contents", [])
        return [key["Key"].split("-", 1)[1] for key in keys]


@pytest.fixture
def provider(engine: LocalCloud) -> Provider:
    return Provider(engine)


def test_a_failing_update_rolls_back_and_custom_resources_get_the_reverse(
    engine: LocalCloud, provider: Provider
) -> None:
    name = unique("stack")
    deploy_template(engine, DEV, name, {"One": provider.resource("one", "old")})
    broken = provider.resource("two", "bad", DependsOn="One")
    stack = deploy_template(engine, DEV, name, {"One": provider.resource("one", "new"), "Two": broken})
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    asked = provider.asked()
    assert asked[:3] == ["Create-one-old", "Update-one-new", "Create-two-bad"]
    assert sorted(asked[3:]) == ["Delete-two-bad", "Update-one-old"]


def test_the_failing_resource_itself_gets_the_reverse_too(engine: LocalCloud, provider: Provider) -> None:
    name = unique("stack")
    deploy_template(engine, DEV, name, {"One": provider.resource("one", "old")})
    stack = deploy_template(engine, DEV, name, {"One": provider.resource("one", "bad")})
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert provider.asked() == ["Create-one-old", "Update-one-bad", "Update-one-old"]


def test_a_failing_create_deletes_what_was_made(engine: LocalCloud, provider: Provider) -> None:
    topic = unique("topic")
    resources = {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": topic}},
        "One": provider.resource("one", "bad", DependsOn="Topic"),
    }
    stack = deploy_template(engine, DEV, unique("stack"), resources)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    topics = engine.session(DEV).client("sns").list_topics()["Topics"]
    assert not [one for one in topics if one["TopicArn"].endswith(topic)]


def test_a_new_physical_id_replaces_and_deletes_the_old_one_afterwards(
    engine: LocalCloud, provider: Provider
) -> None:
    name = unique("stack")
    deploy_template(engine, DEV, name, {"One": provider.resource("one", "x")})
    deploy_template(engine, DEV, name, {"One": provider.resource("renamed", "x")})
    assert provider.asked() == ["Create-one-x", "Update-renamed-x", "Delete-one-x"]


def test_what_is_retained_stays_when_the_stack_goes(engine: LocalCloud) -> None:
    cloudformation, name, bucket = (
        engine.session(DEV).client("cloudformation"),
        unique("stack"),
        unique("bucket"),
    )
    properties = {"BucketName": bucket}
    kept = {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": properties}
    gone = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{bucket}-gone"}}
    deploy_template(engine, DEV, name, {"Kept": kept, "Gone": gone})
    cloudformation.delete_stack(StackName=name)
    s3 = engine.session(DEV).client("s3")
    eventually(lambda: f"{bucket}-gone" not in [one["Name"] for one in s3.list_buckets()["Buckets"]])
    assert bucket in [one["Name"] for one in s3.list_buckets()["Buckets"]]


def test_a_retained_bucket_is_taken_up_again(engine: LocalCloud) -> None:
    cloudformation, name, bucket = (
        engine.session(DEV).client("cloudformation"),
        unique("stack"),
        unique("bucket"),
    )
    s3 = engine.session(DEV).client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="kept", Body=b"1")
    kept = {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": {"BucketName": bucket}}
    change_set = {"StackName": name, "ChangeSetName": "import"}
    cloudformation.create_change_set(
        **change_set,
        ChangeSetType="CREATE",
        ImportExistingResources=True,
        TemplateBody=json.dumps({"Resources": {"Kept": kept}}),
    )
    eventually(lambda: cloudformation.describe_change_set(**change_set)["Status"] == "CREATE_COMPLETE")
    cloudformation.execute_change_set(**change_set)
    assert settled(engine, DEV, name)["StackStatus"] == "CREATE_COMPLETE"
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"1"


def test_a_bucket_gets_its_encryption_and_its_lifecycle(engine: LocalCloud) -> None:
    key, bucket = make_key(engine, DEV), unique("bucket")
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = [
        {
            "Id": "old",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "Prefix": "a/",
        },
        {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    ]
    properties = {
        "BucketName": bucket,
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": default}
            ]
        },
        "LifecycleConfiguration": {"Rules": rules},
    }
    name = unique("stack")
    deploy_template(engine, DEV, name, {"B": {"Type": "AWS::S3::Bucket", "Properties": properties}})
    s3 = engine.session(DEV).client("s3")
    found = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert found["ApplyServerSideEncryptionByDefault"] == default
    lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert lifecycle[0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert lifecycle[0]["Filter"] == {"Prefix": "a/"}
    assert lifecycle[1]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert s3.put_object(Bucket=bucket, Key="a", Body=b"1")["SSEKMSKeyId"] == key


def test_a_topic_gets_its_key_and_loses_it_again(engine: LocalCloud) -> None:
    key, topic, name = make_key(engine, DEV), unique("topic"), unique("stack")
    sns, arn = engine.session(DEV).client("sns"), f"arn:aws:sns:us-east-1:{DEV}:{topic}"
    for properties, found in (({"KmsMasterKeyId": key}, key), ({}, None)):
        resource = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": topic, **properties}}
        deploy_template(engine, DEV, name, {"T": resource})
        assert sns.get_topic_attributes(TopicArn=arn)["Attributes"].get("KmsMasterKeyId") == found


def test_a_topic_of_a_stack_is_not_open_to_other_accounts(engine: LocalCloud) -> None:
    topic = unique("topic")
    deploy_template(
        engine, DEV, unique("stack"), {"T": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": topic}}}
    )
    arn = f"arn:aws:sns:us-east-1:{DEV}:{topic}"
    sns = engine.session(REGISTRY).client("sns")
    with pytest.raises(sns.exceptions.AuthorizationErrorException):
        sns.publish(TopicArn=arn, Message="x")


def group(name: str, policy: str | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = {"ModelPackageGroupName": name}
    if policy:
        properties["ModelPackageGroupPolicy"] = json.loads(policy)
    return {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": properties}


def test_a_model_package_group_has_its_policy_changed_in_place(engine: LocalCloud) -> None:
    name, stack = unique("group"), unique("stack")
    sagemaker = engine.session(REGISTRY).client("sagemaker")
    for sid in ("first", "second"):
        statement = {**allow("sagemaker:DescribeModelPackage"), "Sid": sid, "Principal": {"AWS": DEV}}
        outputs = {"Arn": {"Value": {"Fn::GetAtt": ["G", "ModelPackageGroupArn"]}}}
        found = deploy_template(
            engine, REGISTRY, stack, {"G": group(name, document(statement))}, Outputs=outputs
        )
        assert found["Outputs"][0]["OutputValue"].endswith(f":model-package-group/{name}")
        policy = json.loads(
            sagemaker.get_model_package_group_policy(ModelPackageGroupName=name)["ResourcePolicy"]
        )
        assert policy["Statement"][0]["Sid"] == sid


def test_a_group_with_versions_keeps_its_stack_from_being_deleted(engine: LocalCloud) -> None:
    stack = unique("stack")
    deploy_template(engine, REGISTRY, stack, {"G": group(unique("full"))})
    engine.session(REGISTRY).client("cloudformation").delete_stack(StackName=stack)
    assert settled(engine, REGISTRY, stack)["StackStatus"] == "DELETE_FAILED"


def test_an_event_bus_policy_is_put_changed_and_removed(engine: LocalCloud) -> None:
    stack, events = unique("stack"), engine.session(REGISTRY).client("events")
    bus = unique("bus")
    events.create_event_bus(Name=bus)

    def policy(account: str) -> dict[str, Any]:
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": account},
            "Action": "events:PutEvents",
            "Resource": "*",
        }
        properties = {"EventBusName": bus, "StatementId": "s", "Statement": statement}
        return {"Type": "AWS::Events::EventBusPolicy", "Properties": properties}

    for account in (DEV, REGISTRY):
        deploy_template(engine, REGISTRY, stack, {"P": policy(account)})
        statements = json.loads(events.describe_event_bus(Name=bus)["Policy"])["Statement"]
        assert [one["Principal"]["AWS"] for one in statements] == [account]
    engine.session(REGISTRY).client("cloudformation").delete_stack(StackName=stack)
    eventually(lambda: not events.describe_event_bus(Name=bus).get("Policy"))


def test_an_accounts_identity_provider_is_made_once_changed_and_removed(engine: LocalCloud) -> None:
    stack, iam = unique("stack"), engine.session(DEV).client("iam")
    host = f"{unique('tokens')}.example.com"

    def provider(*audiences: str) -> dict[str, Any]:
        properties = {"Url": f"https://{host}", "ClientIdList": list(audiences)}
        return {"P": {"Type": "AWS::IAM::OIDCProvider", "Properties": properties}}

    arn = f"arn:aws:iam::{DEV}:oidc-provider/{host}"
    for audience in ("one", "two"):
        deploy_template(engine, DEV, stack, provider(audience))
        found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
        assert found["ClientIDList"] == [audience]
    assert (
        deploy_template(engine, DEV, unique("second"), provider("one"))["StackStatus"] == "ROLLBACK_COMPLETE"
    )
    engine.session(DEV).client("cloudformation").delete_stack(StackName=stack)
    eventually(lambda: arn not in str(iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]))


def test_a_schedule_of_a_stack_keeps_its_time_zone(engine: LocalCloud) -> None:
    role = make_role(engine, DEV, principal={"Service": "scheduler.amazonaws.com"})
    name = unique("schedule")
    properties = {
        "Name": name,
        "ScheduleExpression": "cron(0 23 * * ? *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        "Target": {"Arn": f"arn:aws:sagemaker:us-east-1:{DEV}:pipeline/p", "RoleArn": role},
    }
    deploy_template(
        engine, DEV, unique("stack"), {"S": {"Type": "AWS::Scheduler::Schedule", "Properties": properties}}
    )
    found = engine.session(DEV).client("scheduler").get_schedule(Name=name)
    assert found["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert found["FlexibleTimeWindow"]["MaximumWindowInMinutes"] == 15


def test_a_retained_group_can_be_imported_but_not_by_its_name(engine: LocalCloud) -> None:
    """Its primary identifier is its ARN, which is read-only: AWS imports it only where told to, by that ARN."""
    name, stack = unique("group"), unique("stack")
    arn = engine.session(REGISTRY).client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    cloudformation = engine.session(REGISTRY).client("cloudformation")
    template = json.dumps({"Resources": {"G": {**group(name), "DeletionPolicy": "Retain"}}})
    change_set = {"StackName": stack, "ChangeSetName": "one", "TemplateBody": template}
    cloudformation.create_change_set(**change_set, ChangeSetType="CREATE", ImportExistingResources=True)
    found = cloudformation.describe_change_set(StackName=stack, ChangeSetName="one")
    assert found["Changes"][0]["ResourceChange"]["Action"] == "Add"
    cloudformation.delete_stack(StackName=stack)
    identifier = {"ModelPackageGroupArn": arn["ModelPackageGroupArn"]}
    wanted = {"ResourceType": "AWS::SageMaker::ModelPackageGroup", "LogicalResourceId": "G"}
    cloudformation.create_change_set(
        **{**change_set, "StackName": f"{stack}-2"},
        ChangeSetType="IMPORT",
        ResourcesToImport=[{**wanted, "ResourceIdentifier": identifier}],
    )
    cloudformation.execute_change_set(StackName=f"{stack}-2", ChangeSetName="one")
    assert settled(engine, REGISTRY, f"{stack}-2")["StackStatus"] == "IMPORT_COMPLETE"


def test_a_stack_fails_to_make_an_alias_that_exists(engine: LocalCloud) -> None:
    alias, kms = f"alias/{unique('alias')}", engine.session(DEV).client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    properties = {"AliasName": alias, "TargetKeyId": {"Ref": "Key"}}
    resources = {
        "Key": {"Type": "AWS::KMS::Key"},
        "Alias": {"Type": "AWS::KMS::Alias", "Properties": properties},
    }
    assert deploy_template(engine, DEV, unique("stack"), resources)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"] == key


def test_a_stack_fails_to_make_a_role_that_exists_and_leaves_it_as_it_is(engine: LocalCloud) -> None:
    arn = make_role(engine, DEV, allow("s3:GetObject"))
    name = arn.rsplit("/", 1)[-1]
    trusts = json.loads(document({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}))
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": name, "AssumeRolePolicyDocument": trusts}}
    stack = deploy_template(engine, DEV, unique("stack"), {"Role": role})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    iam = engine.session(DEV).client("iam")
    assert iam.get_role(RoleName=name)["Role"]["Arn"] == arn
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["own"]


def test_an_imported_key_gets_its_policy_with_the_next_update(engine: LocalCloud) -> None:
    """CloudFormation believes what an import says of a resource; only a later change is applied to it."""
    kms, stack = engine.session(DEV).client("kms"), unique("stack")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    resource: dict[str, Any] = {"Type": "AWS::KMS::Key", "DeletionPolicy": "Retain"}
    change_set = {"StackName": stack, "ChangeSetName": "one"}
    cloudformation = engine.session(DEV).client("cloudformation")
    cloudformation.create_change_set(
        **change_set,
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps({"Resources": {"K": resource}}),
        ResourcesToImport=[
            {"ResourceType": resource["Type"], "LogicalResourceId": "K", "ResourceIdentifier": {"KeyId": key}}
        ],
    )
    cloudformation.execute_change_set(**change_set)
    settled(engine, DEV, stack)
    statement = {**allow("kms:*"), "Sid": "Ours", "Principal": {"AWS": f"arn:aws:iam::{DEV}:root"}}
    policy = {"KeyPolicy": json.loads(document(statement)), "EnableKeyRotation": True}
    deploy_template(engine, DEV, stack, {"K": {**resource, "Properties": policy}})
    found = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    assert [one["Sid"] for one in found["Statement"]] == ["Ours"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]


def test_a_bucket_logs_requests_to_another_until_its_stack_says_no_more(engine: LocalCloud) -> None:
    name, bucket = unique("stack"), unique("bucket")
    logs = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{bucket}-logs"}}
    wanted = {"DestinationBucketName": {"Ref": "Logs"}, "LogFilePrefix": "mine/"}
    plain = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}
    logged = {**plain, "Properties": {**plain["Properties"], "LoggingConfiguration": wanted}}  # type: ignore[dict-item]
    s3 = engine.session(DEV).client("s3")
    deploy_template(engine, DEV, name, {"Logs": logs, "Data": logged})
    enabled = s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]
    assert (enabled["TargetBucket"], enabled["TargetPrefix"]) == (f"{bucket}-logs", "mine/")
    deploy_template(engine, DEV, name, {"Logs": logs, "Data": plain})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)


def test_a_trail_is_made_changed_and_deleted_with_its_stack(engine: LocalCloud) -> None:
    name, trail = unique("stack"), unique("trail")
    fields = [{"Field": "eventCategory", "Equals": ["Management"]}]
    resource = {
        "Type": "AWS::CloudTrail::Trail",
        "Properties": {
            "TrailName": trail,
            "S3BucketName": "files",
            "IsLogging": True,
            "EnableLogFileValidation": True,
            "AdvancedEventSelectors": [{"Name": "Changes", "FieldSelectors": fields}],
        },
    }
    cloudtrail = engine.session(DEV).client("cloudtrail")
    deploy_template(engine, DEV, name, {"Trail": resource})
    assert cloudtrail.get_trail(Name=trail)["Trail"]["LogFileValidationEnabled"] is True
    assert cloudtrail.get_trail_status(Name=trail)["IsLogging"] is True
    (selector,) = cloudtrail.get_event_selectors(TrailName=trail)["AdvancedEventSelectors"]
    assert selector["FieldSelectors"] == fields
    resource["Properties"]["IsLogging"] = False  # type: ignore[index]
    deploy_template(engine, DEV, name, {"Trail": resource})
    assert cloudtrail.get_trail_status(Name=trail)["IsLogging"] is False
    deploy_template(engine, DEV, name, {"Other": {"Type": "AWS::SQS::Queue"}})
    assert cloudtrail.list_trails()["Trails"] == []
