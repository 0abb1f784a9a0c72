"""Who read, wrote and approved what: a trail of CloudTrail for buckets, in a bucket and with a key of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_mlops._removal import checked_removal
from cdk_mlops._statements import arn
from cdk_mlops._validation import check_bucket_name, check_pattern, check_range, check_stage
from cdk_mlops.access_logs_bucket import AccessLogsBucket
from cdk_mlops.kms_shared_key import KmsSharedKey

_BUCKET_ARN = re.compile(r"arn:[a-z-]+:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CLOUDTRAIL = "cloudtrail.amazonaws.com"


class AuditTrail(Construct):
    """Every read and write of objects in the named buckets, and every change by an API call in this account and region.

    Reads and writes of objects are data events, which AWS bills by the event. Registering, approving and deleting
    model package versions, and changing the policy of their group, are management events. Files are encrypted,
    versioned and kept when the stack goes; digests show whether one was changed or deleted.

    Parameters
    ----------
    stage
        Such as ``registry``; names trail, bucket and key: ``mlops-<stage>-audit``,
        ``sagemaker-mlops-<stage>-audit-<account>-<region>`` and ``alias/mlops-<stage>-audit``.
    bucket_arns
        The buckets whose objects are watched. At least one.
    keep_days
        Days that files stay, 1 to 3653. Default: 365.
    access_logs
        Where S3 logs each request to the trail's own bucket. Default: nowhere.
    removal
        Default: bucket and key stay. Destroying needs the context flag ``cdk-mlops:allow-destroy`` too.

    Attributes
    ----------
    bucket, key
        Where files lie, and what encrypts them.
    trail
        The `cloudtrail.CfnTrail`.

    Raises
    ------
    ValueError
        If a prop can't be right, or files would be destroyed without the context flag.

    See https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        bucket_arns: Sequence[str],
        keep_days: int = 365,
        access_logs: AccessLogsBucket | None = None,
        removal: RemovalPolicy | None = None,
    ) -> None:
        check_stage("stage", stage)
        if not bucket_arns:
            raise ValueError("bucket_arns must name at least one bucket, got none")
        for one in bucket_arns:
            check_pattern(
                "bucket_arns", one, _BUCKET_ARN, "be ARNs of buckets such as arn:aws:s3:::my-bucket"
            )
        check_range("keep_days", keep_days, 1, 3653)
        stack = Stack.of(scope)
        bucket_name = f"sagemaker-mlops-{stage}-audit-{stack.account}-{stack.region}"
        check_bucket_name("stage", bucket_name)
        removal = checked_removal(scope, removal)
        super().__init__(scope, construct_id)
        name = f"mlops-{stage}-audit"
        self._trail_arn = arn(self, "cloudtrail", f"trail/{name}")
        self.key = self._key(stage, removal)
        self.bucket = self._bucket(bucket_name, keep_days, removal)
        if access_logs is not None:
            access_logs.collect(self.bucket, bucket_name)
        self.trail = cloudtrail.CfnTrail(
            self,
            "Resource",
            trail_name=name,
            s3_bucket_name=self.bucket.bucket_name,
            kms_key_id=self.key.key.key_arn,
            is_logging=True,
            enable_log_file_validation=True,
            is_multi_region_trail=False,
            include_global_service_events=False,
            advanced_event_selectors=[
                _selector("Objects", _objects(bucket_arns)),
                _selector("Changes", [("eventCategory", ["Management"]), ("readOnly", ["false"])]),
            ],
        )
        if self.bucket.policy is not None:
            # CloudTrail tries to write when it is made.
            self.trail.node.add_dependency(self.bucket.policy)

    def _key(self, stage: str, removal: RemovalPolicy) -> KmsSharedKey:
        key = KmsSharedKey(
            self,
            "Key",
            alias_name=f"alias/mlops-{stage}-audit",
            description=f"Encrypts the audit trail of {stage}",
            removal=removal,
        )
        trails = arn(self, "cloudtrail", "trail/*", region="*")
        key.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="TrailEncrypts",
                principals=[iam.ServicePrincipal(_CLOUDTRAIL)],
                actions=["kms:GenerateDataKey*"],
                resources=["*"],
                conditions={
                    "StringEquals": {"aws:SourceArn": self._trail_arn},
                    "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": trails},
                },
            )
        )
        key.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="TrailDescribes",
                principals=[iam.ServicePrincipal(_CLOUDTRAIL)],
                actions=["kms:DescribeKey"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceArn": self._trail_arn}},
            )
        )
        return key

    def _bucket(self, name: str, keep_days: int, removal: RemovalPolicy) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=name,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key.key,
            bucket_key_enabled=True,
            enforce_ssl=True,
            versioned=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            removal_policy=removal,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="old-files",
                    expiration=Duration.days(keep_days),
                    noncurrent_version_expiration=Duration.days(30),
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                )
            ],
        )
        own = {"StringEquals": {"aws:SourceArn": self._trail_arn}}
        written = {"s3:x-amz-acl": "bucket-owner-full-control"}
        for sid, action, resource, conditions in (
            ("TrailLooks", "s3:GetBucketAcl", bucket.bucket_arn, own),
            (
                "TrailWrites",
                "s3:PutObject",
                f"{bucket.bucket_arn}/AWSLogs/{Stack.of(self).account}/*",
                {"StringEquals": {**own["StringEquals"], **written}},
            ),
        ):
            bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=sid,
                    principals=[iam.ServicePrincipal(_CLOUDTRAIL)],
                    actions=[action],
                    resources=[resource],
                    conditions=conditions,
                )
            )
        return bucket


def _objects(bucket_arns: Sequence[str]) -> list[tuple[str, list[str]]]:
    return [
        ("eventCategory", ["Data"]),
        ("resources.type", ["AWS::S3::Object"]),
        ("resources.ARN", [f"{one}/" for one in bucket_arns]),
    ]


def _selector(
    name: str, fields: Sequence[tuple[str, list[str]]]
) -> cloudtrail.CfnTrail.AdvancedEventSelectorProperty:
    # An object's ARN begins with its bucket's; all else is equal to one value.
    return cloudtrail.CfnTrail.AdvancedEventSelectorProperty(
        name=name,
        field_selectors=[
            cloudtrail.CfnTrail.AdvancedFieldSelectorProperty(field=field, starts_with=values)
            if field == "resources.ARN"
            else cloudtrail.CfnTrail.AdvancedFieldSelectorProperty(field=field, equal_to=values)
            for field, values in fields
        ],
    )
