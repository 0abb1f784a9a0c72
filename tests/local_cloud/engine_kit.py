"""Shared by the engine's tests: a cloud with a stand-in for SageMaker, roles, keys, tiny stacks."""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.cloud import LocalCloud

DEV, PROD, REGISTRY = "111111111111", "222222222222", "333333333333"
FAKE = "tests.local_cloud.fake_sagemaker"


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def allow(*actions: str, on: Any = "*", when: dict[str, Any] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": on}
    return {**statement, "Condition": when} if when else statement


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(principal: dict[str, Any], when: dict[str, Any] | None = None) -> str:
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return document({**statement, "Condition": when} if when else statement)


def make_role(
    cloud: LocalCloud,
    account: str,
    *statements: dict[str, Any],
    path: str = "/mlops/dev/train/",
    principal: dict[str, Any] | None = None,
    when: dict[str, Any] | None = None,
) -> str:
    iam = cloud.session(account).client("iam")
    name = unique("role")
    policy = trust(principal or {"AWS": f"arn:aws:iam::{account}:root"}, when)
    role = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=policy)["Role"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
    return str(role["Arn"])


def as_role(
    cloud: LocalCloud, account: str, *statements: dict[str, Any], path: str = "/mlops/dev/train/"
) -> Any:
    return cloud.assume(make_role(cloud, account, *statements, path=path), session_name="test")


def make_key(cloud: LocalCloud, account: str, *statements: dict[str, Any], alias: str | None = None) -> str:
    kms = cloud.session(account).client("kms")
    root = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    arn = kms.create_key(Policy=document(root, *statements))["KeyMetadata"]["Arn"]
    if alias:
        kms.create_alias(AliasName=alias, TargetKeyId=arn)
    return str(arn)


def encrypted_bucket(cloud: LocalCloud, account: str, key: str) -> str:
    s3, name = cloud.session(account).client("s3"), unique("bucket")
    s3.create_bucket(Bucket=name)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )
    return name


def denied(call: Callable[..., Any], **arguments: Any) -> str:
    """The message of a refusal; fails when the call goes through."""
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in (
            "AccessDenied",
            "AccessDeniedException",
            "AuthorizationError",
        ):
            raise
        return str(error)
    raise AssertionError(f"{call} was allowed")


def eventually(probe: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What the probe finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing came within {seconds} s")


def zip_of(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return buffer.getvalue()


def make_function(cloud: LocalCloud, account: str, code: str, role: str, **options: Any) -> str:
    functions = cloud.session(account).client("lambda")
    answer = functions.create_function(
        FunctionName=unique("function"),
        Runtime="python3.12",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": zip_of(index=code)},
        **options,
    )
    return str(answer["FunctionArn"])


def queue(cloud: LocalCloud, account: str, *senders: str) -> tuple[str, str]:
    """URL and ARN of a queue that admits some services."""
    sqs = cloud.session(account).client("sqs")
    url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    if senders:
        statement = {"Principal": {"Service": list(senders)}, **allow("sqs:SendMessage", on=arn)}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement)})
    return url, arn


def received(cloud: LocalCloud, account: str, url: str) -> list[dict[str, Any]]:
    answer = (
        cloud.session(account)
        .client("sqs")
        .receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    )
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


def deploy_template(
    cloud: LocalCloud, account: str, name: str, resources: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Create or update a stack of a few resources; its description once it has settled."""
    cloudformation = cloud.session(account).client("cloudformation")
    request = {
        "StackName": name,
        "TemplateBody": json.dumps({"Resources": resources, **more}),
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    try:
        cloudformation.create_stack(**request)
    except cloudformation.exceptions.AlreadyExistsException:
        cloudformation.update_stack(**request)
    return settled(cloud, account, name)


def settled(cloud: LocalCloud, account: str, name: str) -> dict[str, Any]:
    cloudformation = cloud.session(account).client("cloudformation")

    def probe() -> Any:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    found: dict[str, Any] = eventually(probe, 30)
    return found
