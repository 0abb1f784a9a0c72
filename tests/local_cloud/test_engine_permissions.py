"""IAM as the embedded cloud enforces it: roles, S3 with keys, KMS across accounts, PassRole, TLS, MFA."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.cloud import LocalCloud
from tests.local_cloud.engine_kit import (
    DEV,
    PROD,
    REGISTRY,
    allow,
    as_role,
    denied,
    document,
    encrypted_bucket,
    make_function,
    make_key,
    make_role,
    unique,
)

pytestmark = pytest.mark.cloud
VIA_S3 = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}


def shared_bucket(cloud: LocalCloud, role: str, key: str) -> str:
    """A bucket of the registry account that admits one role of another account, by aws:PrincipalArn."""
    name = encrypted_bucket(cloud, REGISTRY, key)
    account = role.split(":")[4]
    statement = {
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        **allow("s3:GetObject", "s3:PutObject", on=f"arn:aws:s3:::{name}/*"),
        "Condition": {"ArnEquals": {"aws:PrincipalArn": role}},
    }
    cloud.session(REGISTRY).client("s3").put_bucket_policy(Bucket=name, Policy=document(statement))
    return name


def test_a_role_may_do_what_its_policy_says_and_nothing_else(engine: LocalCloud) -> None:
    bucket = unique("bucket")
    engine.session(DEV).client("s3").create_bucket(Bucket=bucket)
    s3 = as_role(engine, DEV, allow("s3:PutObject", on=f"arn:aws:s3:::{bucket}/mine/*")).client("s3")
    s3.put_object(Bucket=bucket, Key="mine/a", Body=b"1")
    assert "s3:PutObject" in denied(s3.put_object, Bucket=bucket, Key="other/a", Body=b"1")
    denied(s3.get_object, Bucket=bucket, Key="mine/a")


def test_principal_arn_is_the_role_with_its_path(engine: LocalCloud) -> None:
    role = make_role(engine, PROD, allow("s3:*"), path="/mlops/prod/train/")
    bucket = unique("bucket")
    s3 = engine.session(REGISTRY).client("s3")
    s3.create_bucket(Bucket=bucket)
    for pattern, allowed in (
        (f"arn:aws:iam::{PROD}:role/mlops/prod/*", True),
        (f"arn:aws:iam::{PROD}:role/x/*", False),
    ):
        statement = {"Principal": {"AWS": PROD}, **allow("s3:ListBucket", on=f"arn:aws:s3:::{bucket}")}
        statement["Condition"] = {"ArnLike": {"aws:PrincipalArn": pattern}}
        s3.put_bucket_policy(Bucket=bucket, Policy=document(statement))
        session = engine.assume(role, session_name="test").client("s3")
        if allowed:
            session.list_objects_v2(Bucket=bucket)
        else:
            denied(session.list_objects_v2, Bucket=bucket)


def test_a_role_of_the_same_name_on_another_path_is_another_principal(engine: LocalCloud) -> None:
    role = make_role(engine, PROD, allow("s3:*"), path="/mlops/prod/train/")
    name = role.rpartition("/")[2]
    bucket = unique("bucket")
    s3 = engine.session(REGISTRY).client("s3")
    s3.create_bucket(Bucket=bucket)
    policy = {"Principal": {"AWS": f"arn:aws:iam::{PROD}:role/elsewhere/{name}"}, **allow("s3:*", on="*")}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(policy))
    denied(engine.assume(role, session_name="test").client("s3").list_objects_v2, Bucket=bucket)


def test_reading_another_account_needs_the_identity_policy_too(engine: LocalCloud) -> None:
    role = make_role(engine, PROD)
    bucket = shared_bucket(engine, role, make_key(engine, REGISTRY))
    engine.session(REGISTRY).client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    denied(engine.assume(role, session_name="test").client("s3").get_object, Bucket=bucket, Key="a")


def test_the_root_of_another_account_is_no_master_key(engine: LocalCloud) -> None:
    bucket = unique("bucket")
    engine.session(REGISTRY).client("s3").create_bucket(Bucket=bucket)
    denied(engine.session(PROD).client("s3").list_objects_v2, Bucket=bucket)


def test_an_object_under_a_key_needs_the_key_in_the_same_account(engine: LocalCloud) -> None:
    key = make_key(engine, DEV)
    bucket = encrypted_bucket(engine, DEV, key)
    without = as_role(engine, DEV, allow("s3:*")).client("s3")
    assert "kms:GenerateDataKey" in denied(without.put_object, Bucket=bucket, Key="a", Body=b"1")
    writer = as_role(engine, DEV, allow("s3:*"), allow("kms:GenerateDataKey", on=key, when=VIA_S3)).client(
        "s3"
    )
    writer.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert "kms:Decrypt" in denied(writer.get_object, Bucket=bucket, Key="a")
    reader = as_role(engine, DEV, allow("s3:*"), allow("kms:Decrypt", on=key, when=VIA_S3)).client("s3")
    assert reader.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


def test_via_service_keeps_the_key_from_direct_use(engine: LocalCloud) -> None:
    key = make_key(engine, DEV)
    session = as_role(engine, DEV, allow("kms:*", on=key, when=VIA_S3))
    denied(session.client("kms").encrypt, KeyId=key, Plaintext=b"1")


@pytest.mark.parametrize("identity_allows", [True, False])
@pytest.mark.parametrize("key_allows", [True, False])
def test_a_key_of_another_account_needs_both_sides(
    engine: LocalCloud, identity_allows: bool, key_allows: bool
) -> None:
    use = [allow("kms:Decrypt", "kms:GenerateDataKey", when=VIA_S3)] if identity_allows else []
    role = make_role(engine, PROD, allow("s3:*"), *use)
    admit = {
        "Principal": {"AWS": f"arn:aws:iam::{PROD}:root"},
        **allow("kms:Decrypt", "kms:GenerateDataKey"),
        "Condition": {"ArnEquals": {"aws:PrincipalArn": role}},
    }
    bucket = shared_bucket(engine, role, make_key(engine, REGISTRY, *([admit] if key_allows else [])))
    s3 = engine.assume(role, session_name="test").client("s3")
    if identity_allows and key_allows:
        s3.put_object(Bucket=bucket, Key="a", Body=b"1")
        assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    else:
        denied(s3.put_object, Bucket=bucket, Key="a", Body=b"1")


def test_a_bucket_can_name_its_key_by_an_alias_of_another_account(engine: LocalCloud) -> None:
    alias = f"alias/{unique('shared')}"
    admit = {"Principal": {"AWS": f"arn:aws:iam::{PROD}:root"}, **allow("kms:*")}
    key = make_key(engine, REGISTRY, admit, alias=alias)
    bucket = encrypted_bucket(engine, PROD, f"arn:aws:kms:us-east-1:{REGISTRY}:{alias}")
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
    where = f"arn:aws:kms:us-east-1:{REGISTRY}:key/*"
    session = as_role(engine, PROD, allow("s3:*"), allow("kms:GenerateDataKey", on=where, when=condition))
    session.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    other = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/other"}}
    session = as_role(engine, PROD, allow("s3:*"), allow("kms:GenerateDataKey", on=where, when=other))
    denied(session.client("s3").put_object, Bucket=bucket, Key="a", Body=b"1")
    assert key


def test_encrypting_by_a_foreign_alias_and_decrypting_by_ciphertext(engine: LocalCloud) -> None:
    alias = f"alias/{unique('shared')}"
    admit = {"Principal": {"AWS": f"arn:aws:iam::{PROD}:root"}, **allow("kms:Encrypt", "kms:Decrypt")}
    key = make_key(engine, REGISTRY, admit, alias=alias)
    kms = as_role(engine, PROD, allow("kms:Encrypt", "kms:Decrypt", on=key)).client("kms")
    answer = kms.encrypt(KeyId=f"arn:aws:kms:us-east-1:{REGISTRY}:{alias}", Plaintext=b"secret")
    assert answer["KeyId"] == key
    assert kms.decrypt(CiphertextBlob=answer["CiphertextBlob"])["Plaintext"] == b"secret"
    stranger = as_role(engine, DEV, allow("kms:*")).client("kms")
    denied(stranger.decrypt, CiphertextBlob=answer["CiphertextBlob"])


def test_an_alias_in_a_policys_resource_grants_nothing(engine: LocalCloud) -> None:
    alias = f"alias/{unique('own')}"
    make_key(engine, DEV, alias=alias)
    kms = as_role(engine, DEV, allow("kms:Encrypt", on=f"arn:aws:kms:us-east-1:{DEV}:{alias}")).client("kms")
    denied(kms.encrypt, KeyId=alias, Plaintext=b"1")


def test_passing_a_role_needs_permission_for_that_service(engine: LocalCloud) -> None:
    passed = make_role(engine, DEV, principal={"Service": "sagemaker.amazonaws.com"})
    create = allow("sagemaker:CreatePipeline")
    for service, allowed in (("sagemaker.amazonaws.com", True), ("lambda.amazonaws.com", False)):
        when = {"StringEquals": {"iam:PassedToService": service}}
        session = as_role(engine, DEV, create, allow("iam:PassRole", on=passed, when=when))
        arguments: dict[str, Any] = {"PipelineName": "p", "RoleArn": passed, "ClientRequestToken": "t" * 32}
        if allowed:
            session.client("sagemaker").create_pipeline(**arguments)
        else:
            assert "iam:PassRole" in denied(session.client("sagemaker").create_pipeline, **arguments)


def test_creating_a_function_passes_its_role(engine: LocalCloud) -> None:
    role = make_role(engine, DEV, principal={"Service": "lambda.amazonaws.com"})
    session = as_role(engine, DEV, allow("lambda:*"))
    arguments = {
        "FunctionName": "f",
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Code": {"ZipFile": b"x"},
    }
    assert "iam:PassRole" in denied(session.client("lambda").create_function, Role=role, **arguments)


def test_a_function_runs_under_its_role(engine: LocalCloud) -> None:
    bucket = unique("bucket")
    engine.session(DEV).client("s3").create_bucket(Bucket=bucket)
    engine.session(DEV).client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    read = f"boto3.client('s3').get_object(Bucket='{bucket}', Key='a')"
    code = f"import boto3\ndef handler(event, context):\n    {read}\n    return 'read'"
    service = {"Service": "lambda.amazonaws.com"}
    for statements, outcome in (([allow("s3:GetObject")], '"read"'), ([], "AccessDenied")):
        role = make_role(engine, DEV, *statements, principal=service)
        arn = make_function(engine, DEV, code, role)
        answer = engine.session(DEV).client("lambda").invoke(FunctionName=arn)
        assert outcome in answer["Payload"].read().decode()


def test_a_function_whose_role_does_not_trust_lambda_cannot_run(engine: LocalCloud) -> None:
    role = make_role(engine, DEV, principal={"Service": "sagemaker.amazonaws.com"})
    arn = make_function(engine, DEV, "def handler(e, c):\n    return 'it has run'", role)
    try:
        payload = engine.session(DEV).client("lambda").invoke(FunctionName=arn)["Payload"].read().decode()
    except ClientError as error:
        payload = str(error)
    assert "it has run" not in payload


def test_a_role_that_trusts_a_service_cannot_be_assumed_by_its_account(engine: LocalCloud) -> None:
    role = make_role(engine, DEV, principal={"Service": "sagemaker.amazonaws.com"})
    denied(engine.assume, role_arn=role, session_name="test")


def test_an_account_in_a_trust_policy_delegates_to_its_identity_policies(engine: LocalCloud) -> None:
    role = make_role(engine, REGISTRY, principal={"AWS": f"arn:aws:iam::{PROD}:root"})
    denied(engine.assume, role_arn=role, session_name="test", by=as_role(engine, PROD))
    caller = as_role(engine, PROD, allow("sts:AssumeRole", on=role))
    assert engine.assume(role, session_name="test", by=caller)
    denied(
        engine.assume, role_arn=role, session_name="test", by=as_role(engine, DEV, allow("sts:AssumeRole"))
    )


def test_mfa_is_present_only_with_a_code(engine: LocalCloud) -> None:
    when = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    role = make_role(engine, REGISTRY, allow("s3:ListAllMyBuckets", when=when), when=when)
    denied(engine.assume, role_arn=role, session_name="test")
    engine.assume(role, session_name="test", mfa=True).client("s3").list_buckets()


def test_mfa_needs_a_registered_device(engine: LocalCloud) -> None:
    when = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    role = make_role(engine, REGISTRY, when=when)
    sts = engine.session(REGISTRY).client("sts")
    serial = f"arn:aws:iam::{REGISTRY}:mfa/nobody"
    denied(sts.assume_role, RoleArn=role, RoleSessionName="test", SerialNumber=serial, TokenCode="123456")


def test_a_tls_only_bucket_refuses_plain_http(engine: LocalCloud) -> None:
    bucket = unique("bucket")
    s3 = engine.session(DEV).client("s3")
    s3.create_bucket(Bucket=bucket)
    where = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": where}
    statement["Condition"] = {"Bool": {"aws:SecureTransport": "false"}}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(statement))
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    denied(engine.session(DEV, plain=True).client("s3").get_object, Bucket=bucket, Key="a")


def test_a_client_cannot_claim_tls_by_a_header(engine: LocalCloud) -> None:
    bucket = unique("bucket")
    s3 = engine.session(DEV).client("s3")
    s3.create_bucket(Bucket=bucket)
    statement: dict[str, Any] = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{bucket}",
    }
    statement["Condition"] = {"Bool": {"aws:SecureTransport": "false"}}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(statement))
    plain = engine.session(DEV, plain=True).client("s3")

    def claim(request: Any, **_: Any) -> None:
        request.headers["X-Forwarded-Proto"] = "https"

    plain.meta.events.register("before-sign.s3.*", claim)
    denied(plain.list_objects_v2, Bucket=bucket)


def test_policy_variables_are_filled(engine: LocalCloud) -> None:
    bucket = unique("bucket")
    engine.session(DEV).client("s3").create_bucket(Bucket=bucket)
    where = f"arn:aws:s3:::{bucket}/${{aws:PrincipalAccount}}/*"
    s3 = as_role(engine, DEV, allow("s3:PutObject", on=where)).client("s3")
    s3.put_object(Bucket=bucket, Key=f"{DEV}/a", Body=b"1")
    denied(s3.put_object, Bucket=bucket, Key=f"{PROD}/a", Body=b"1")


def test_a_condition_of_the_sagemaker_service_is_seen(engine: LocalCloud) -> None:
    when = {"StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}}
    session = as_role(engine, DEV, allow("sagemaker:CreateModelPackage", when=when))
    engine.session(DEV).client("sagemaker").create_model_package_group(ModelPackageGroupName="conditioned")
    package = {"ModelPackageGroupName": "conditioned"}
    sagemaker = session.client("sagemaker")
    sagemaker.create_model_package(**package, ModelApprovalStatus="PendingManualApproval")
    denied(sagemaker.create_model_package, **package, ModelApprovalStatus="Approved")


def test_publishing_to_an_encrypted_topic_needs_its_key(engine: LocalCloud) -> None:
    key = make_key(engine, DEV)
    topic = (
        engine.session(DEV)
        .client("sns")
        .create_topic(Name=unique("topic"), Attributes={"KmsMasterKeyId": key})
    )
    publish = allow("sns:Publish", on=topic["TopicArn"])
    without = as_role(engine, DEV, publish).client("sns")
    denied(without.publish, TopicArn=topic["TopicArn"], Message="x")
    use = allow("kms:GenerateDataKey*", "kms:Decrypt", on=key)
    with_key = as_role(engine, DEV, publish, use).client("sns")
    with_key.publish(TopicArn=topic["TopicArn"], Subject="s", Message="m")
    assert [tuple(message) for message in engine.messages(topic["TopicArn"])] == [("s", "m")]


def test_metrics_can_be_narrowed_to_a_namespace(engine: LocalCloud) -> None:
    when = {"StringEquals": {"cloudwatch:namespace": "ours"}}
    cloudwatch = as_role(engine, DEV, allow("cloudwatch:PutMetricData", when=when)).client("cloudwatch")
    datum = {"MetricName": "m", "Value": 1.0}
    cloudwatch.put_metric_data(Namespace="ours", MetricData=[datum])
    denied(cloudwatch.put_metric_data, Namespace="theirs", MetricData=[datum])


def test_events_can_be_narrowed_to_a_source_each_entry(engine: LocalCloud) -> None:
    bus = f"arn:aws:events:us-east-1:{DEV}:event-bus/default"
    when = {
        "ForAllValues:StringEquals": {"events:source": "ours", "events:detail-type": "Finding"},
        "Null": {"events:source": "false", "events:detail-type": "false"},
    }
    events = as_role(engine, DEV, allow("events:PutEvents", on=bus, when=when)).client("events")
    ours = {"Source": "ours", "DetailType": "Finding", "Detail": "{}"}
    events.put_events(Entries=[ours])
    denied(events.put_events, Entries=[ours, {**ours, "Source": "theirs"}])
    denied(events.put_events, Entries=[{**ours, "DetailType": "Other"}])


def test_listing_can_be_narrowed_to_a_prefix(engine: LocalCloud) -> None:
    bucket = unique("bucket")
    engine.session(DEV).client("s3").create_bucket(Bucket=bucket)
    when = {"StringLike": {"s3:prefix": "mine/*"}}
    s3 = as_role(engine, DEV, allow("s3:ListBucket", on=f"arn:aws:s3:::{bucket}", when=when)).client("s3")
    s3.list_objects_v2(Bucket=bucket, Prefix="mine/data")
    denied(s3.list_objects_v2, Bucket=bucket, Prefix="theirs/")
    denied(s3.list_objects_v2, Bucket=bucket)


def test_deleting_a_log_stream_is_judged_by_the_stream(engine: LocalCloud) -> None:
    owner, group = engine.session(DEV).client("logs"), f"/jobs/{unique('group')}"
    owner.create_log_group(logGroupName=group)
    for stream in ("mine-1", "other-1"):
        owner.create_log_stream(logGroupName=group, logStreamName=stream)
    mine = f"arn:aws:logs:us-east-1:{DEV}:log-group:{group}:log-stream:mine-*"
    logs = as_role(engine, DEV, allow("logs:DeleteLogStream", on=mine)).client("logs")
    logs.delete_log_stream(logGroupName=group, logStreamName="mine-1")
    denied(logs.delete_log_stream, logGroupName=group, logStreamName="other-1")
