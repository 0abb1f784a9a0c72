"""Templates that break one rule each, and the same done rightly."""

from __future__ import annotations

from typing import Any

Resources = dict[str, tuple[str, dict[str, Any]]]
EXECUTION = {
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    ]
}
PLAIN = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
)
ENCRYPTED = {
    "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
}
BUCKET = {
    "BucketEncryption": ENCRYPTED,
    "VersioningConfiguration": {"Status": "Enabled"},
    "PublicAccessBlockConfiguration": BLOCKED,
}
KEY = "arn:aws:kms:eu-west-1:111111111111:key/1"


def role(trust: dict[str, Any] | None = None, **more: Any) -> Resources:
    """Return a role."""
    return {
        "Role": (
            "AWS::IAM::Role",
            {"AssumeRolePolicyDocument": EXECUTION if trust is None else trust, **more},
        )
    }


def allowed(action: Any, resource: Any = "arn:aws:s3:::mine/*", **more: Any) -> Resources:
    """Return a role with one statement."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return role(Policies=[{"PolicyName": "P", "PolicyDocument": {"Statement": [statement]}}])


def trusting(*principals: Any, **more: Any) -> Resources:
    """Return a role with a statement of trust for each principal."""
    statements = [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": one, **more} for one in principals
    ]
    return role({"Statement": statements})


def bucket(statements: list[dict[str, Any]] | None = None, **changed: Any) -> Resources:
    """Return a bucket and its policy; a property that is None is left out."""
    properties = {name: value for name, value in {**BUCKET, **changed}.items() if value is not None}
    policy = {
        "Bucket": {"Ref": "Bucket"},
        "PolicyDocument": {"Statement": [PLAIN] if statements is None else statements},
    }
    return {"Bucket": ("AWS::S3::Bucket", properties), "Policy": ("AWS::S3::BucketPolicy", policy)}


def topic(deny: dict[str, Any], **properties: Any) -> Resources:
    """Return a topic and its policy."""
    policy = {"Topics": [{"Ref": "Topic"}], "PolicyDocument": {"Statement": [deny]}}
    return {"Topic": ("AWS::SNS::Topic", properties), "Policy": ("AWS::SNS::TopicPolicy", policy)}


def key(statement: dict[str, Any], **properties: Any) -> Resources:
    """Return a key with one statement in its policy."""
    return {"Key": ("AWS::KMS::Key", {"KeyPolicy": {"Statement": [statement]}, **properties})}


OWNER = {
    "Effect": "Allow",
    "Action": "kms:*",
    "Resource": "*",
    "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
}
PASS = {
    "Resource": "arn:aws:iam::111111111111:role/mine",
    "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
}

#: What breaks which rule.
BROKEN: dict[str, tuple[str, Resources]] = {
    "ManagedPolicy": (
        "MLOPS-IAM-1",
        role(ManagedPolicyArns=["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"]),
    ),
    "ManagedPolicyOfAPartition": (
        "MLOPS-IAM-1",
        role(
            ManagedPolicyArns=[
                {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::aws:policy/ReadOnlyAccess"]]}
            ]
        ),
    ),
    "Service": ("MLOPS-IAM-2", allowed("s3:*")),
    "Everything": ("MLOPS-IAM-2", allowed(["s3:GetObject", "*"])),
    "Verb": ("MLOPS-IAM-2", allowed("s3:Get*")),
    "AttachedService": (
        "MLOPS-IAM-2",
        role()
        | {
            "Policy": (
                "AWS::IAM::Policy",
                {
                    "PolicyName": "p",
                    "Roles": [{"Ref": "Role"}],
                    "PolicyDocument": {
                        "Statement": {
                            "Effect": "Allow",
                            "Action": "sqs:*",
                            "Resource": "arn:aws:sqs:eu-west-1:111111111111:q",
                        }
                    },
                },
            )
        },
    ),
    "BucketForOthers": (
        "MLOPS-IAM-2",
        bucket(
            [
                PLAIN,
                {
                    "Effect": "Allow",
                    "Action": "s3:*",
                    "Resource": "*",
                    "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
                },
            ]
        ),
    ),
    "KeyForAService": (
        "MLOPS-IAM-2",
        key({**OWNER, "Principal": {"Service": "events.amazonaws.com"}}, EnableKeyRotation=True),
    ),
    "AnyResource": ("MLOPS-IAM-3", allowed("s3:GetObject", "*")),
    "AnyResourceBesideOneThatKnowsNone": (
        "MLOPS-IAM-3",
        allowed(["ecr:GetAuthorizationToken", "s3:GetObject"], "*"),
    ),
    "NotAction": (
        "MLOPS-IAM-4",
        role(
            Policies=[
                {
                    "PolicyName": "P",
                    "PolicyDocument": {
                        "Statement": [
                            {"Effect": "Allow", "NotAction": "iam:CreateUser", "Resource": "arn:aws:s3:::a"}
                        ]
                    },
                }
            ]
        ),
    ),
    "NotPrincipal": (
        "MLOPS-IAM-4",
        bucket(
            [
                PLAIN,
                {
                    "Effect": "Allow",
                    "Action": "s3:GetObject",
                    "Resource": "*",
                    "NotPrincipal": {"AWS": "arn:aws:iam::222222222222:root"},
                },
            ]
        ),
    ),
    "TwoServices": (
        "MLOPS-IAM-5",
        trusting({"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]}),
    ),
    "TwoStatementsOfTrust": (
        "MLOPS-IAM-5",
        trusting({"Service": "lambda.amazonaws.com"}, {"Service": "sagemaker.amazonaws.com"}),
    ),
    "ServiceAndAccount": (
        "MLOPS-IAM-5",
        trusting({"Service": "lambda.amazonaws.com"}, {"AWS": "arn:aws:iam::222222222222:root"}),
    ),
    "AnybodyMayAssume": ("MLOPS-IAM-6", trusting({"AWS": "*"})),
    "BucketForAnybody": (
        "MLOPS-IAM-6",
        bucket([PLAIN, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Principal": "*"}]),
    ),
    "PassAnyRole": (
        "MLOPS-IAM-7",
        allowed("iam:PassRole", "arn:aws:iam::111111111111:role/*", Condition=PASS["Condition"]),
    ),
    "PassToAnyService": ("MLOPS-IAM-7", allowed("iam:PassRole", PASS["Resource"])),
    "PlainBucket": ("MLOPS-DATA-1", bucket(BucketEncryption=None)),
    "PlainTopic": ("MLOPS-DATA-1", topic({**PLAIN, "Action": "sns:Publish"})),
    "QueueSwitchedOff": (
        "MLOPS-DATA-1",
        {
            "Queue": ("AWS::SQS::Queue", {"SqsManagedSseEnabled": False}),
            "Policy": (
                "AWS::SQS::QueuePolicy",
                {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Statement": [PLAIN]}},
            ),
        },
    ),
    "PlainTrail": (
        "MLOPS-DATA-1",
        {"Trail": ("AWS::CloudTrail::Trail", {"IsLogging": True, "S3BucketName": "files"})},
    ),
    "HttpBucket": (
        "MLOPS-DATA-2",
        bucket(
            [
                {
                    **PLAIN,
                    "Effect": "Allow",
                    "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
                    "Action": "s3:GetObject",
                }
            ]
        ),
    ),
    "HttpTopic": ("MLOPS-DATA-2", {"Topic": ("AWS::SNS::Topic", {"KmsMasterKeyId": KEY})}),
    "HttpQueue": ("MLOPS-DATA-2", {"Queue": ("AWS::SQS::Queue", {"SqsManagedSseEnabled": True})}),
    "PublicBucket": (
        "MLOPS-DATA-3",
        bucket(PublicAccessBlockConfiguration={**BLOCKED, "BlockPublicPolicy": False}),
    ),
    "ForgetfulBucket": ("MLOPS-DATA-4", bucket(VersioningConfiguration={"Status": "Suspended"})),
    "OldKey": ("MLOPS-DATA-5", key(OWNER)),
}

#: What breaks none, though it is close to it.
RIGHT: dict[str, Resources] = {
    "Bucket": bucket(),
    "Topic": topic({**PLAIN, "Action": "sns:Publish"}, KmsMasterKeyId=KEY),
    "Key": key(OWNER, EnableKeyRotation=True),
    "AsymmetricKey": key(OWNER, KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"),
    "KeyForLogs": key(
        {
            **OWNER,
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
        },
        EnableKeyRotation=True,
    ),
    "KnowsNoResource": allowed(["ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"], "*"),
    "Conditioned": allowed(
        "ec2:CreateNetworkInterface", "*", Condition={"StringEquals": {"ec2:Vpc": "vpc-1"}}
    ),
    "Denied": role(
        Policies=[
            {
                "PolicyName": "P",
                "PolicyDocument": {"Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]},
            }
        ]
    ),
    "OwnManagedPolicy": role(ManagedPolicyArns=["arn:aws:iam::111111111111:policy/mine"]),
    "Pass": allowed("iam:PassRole", PASS["Resource"], Condition=PASS["Condition"]),
    "SeveralPeople": trusting(
        {"AWS": ["arn:aws:iam::111111111111:user/ada", "arn:aws:iam::111111111111:user/grace"]}
    ),
    "OrganizationsBucket": bucket(
        [
            PLAIN,
            {
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": "*",
                "Principal": "*",
                "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
            },
        ]
    ),
}
