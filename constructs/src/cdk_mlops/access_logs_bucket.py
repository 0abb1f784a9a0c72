"""The bucket to which S3 writes who asked for what in other buckets of the account."""

from __future__ import annotations

from typing import cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_mlops._removal import checked_removal
from cdk_mlops._statements import place_of
from cdk_mlops._validation import check_bucket_name, check_range, check_stage


class AccessLogsBucket(Construct):
    """A bucket for S3's server access logs: TLS only, versioned, kept when the stack goes.

    Encrypted by S3 (SSE-S3): its log delivery can't write to a bucket with a key of KMS. Logs arrive below
    ``<name of the bucket>/``, mostly within hours, and not each request is sure to be there; what must be complete
    is `AuditTrail`'s.

    Parameters
    ----------
    stage
        Such as ``dev``; becomes part of the name.
    bucket_name
        Default: ``sagemaker-mlops-<stage>-logs-<account>-<region>``.
    keep_days
        Days that logs stay, 1 to 3653. Default: 365.
    removal
        Default: the bucket stays. Destroying needs the context flag ``cdk-mlops:allow-destroy`` too.

    Attributes
    ----------
    bucket
        The `s3.Bucket`.

    Raises
    ------
    ValueError
        If a prop can't be right, or logs would be destroyed without the context flag.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        bucket_name: str | None = None,
        keep_days: int = 365,
        removal: RemovalPolicy | None = None,
    ) -> None:
        check_stage("stage", stage)
        check_range("keep_days", keep_days, 1, 3653)
        stack = Stack.of(scope)
        name = f"sagemaker-mlops-{stage}-logs-{stack.account}-{stack.region}"
        name = name if bucket_name is None else bucket_name
        check_bucket_name("bucket_name", name)
        removal = checked_removal(scope, removal)
        super().__init__(scope, construct_id)
        self._collected = 0
        self.bucket = s3.Bucket(
            self,
            "Resource",
            bucket_name=name,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            versioned=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            removal_policy=removal,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="old-logs",
                    expiration=Duration.days(keep_days),
                    noncurrent_version_expiration=Duration.days(30),
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                )
            ],
        )

    def collect(self, bucket: s3.Bucket, prefix: str) -> None:
        """Log the requests to a bucket of the same account and region.

        Parameters
        ----------
        bucket
            Which one.
        prefix
            What the keys of its logs begin with; a slash is added.
        """
        self._collected += 1
        # Through the L1: what CDK's own property does depends on a feature flag.
        resource = cast(s3.CfnBucket, bucket.node.default_child)
        resource.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=self.bucket.bucket_name, log_file_prefix=f"{prefix}/"
        )
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid=f"AccessLogs{self._collected}",
                principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[f"{self.bucket.bucket_arn}/{prefix}/*"],
                conditions={
                    "ArnLike": {"aws:SourceArn": bucket.bucket_arn},
                    "StringEquals": {"aws:SourceAccount": place_of(self).account},
                },
            )
        )
