"""The bucket that holds a stage's data, and its key."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_mlops._removal import checked_removal
from cdk_mlops._statements import Statement, grant, list_bucket, place_of, read_objects, write_objects
from cdk_mlops._validation import check_bucket_name, check_stage
from cdk_mlops.access_logs_bucket import AccessLogsBucket
from cdk_mlops.kms_shared_key import KmsSharedKey, SharedKey


class DataBucket(Construct):
    """A bucket by its name, and the key that encrypts it."""

    def __init__(self, scope: Construct, construct_id: str, *, bucket_name: str, key: SharedKey) -> None:
        super().__init__(scope, construct_id)
        self.bucket_name = bucket_name
        self.bucket_arn = f"arn:{place_of(self).partition}:s3:::{bucket_name}"
        self.key = key

    def read_statements(self, sid: str, *patterns: str) -> list[Statement]:
        """Return the permissions to list and read keys of these patterns, decryption not included."""
        return [
            list_bucket(f"{sid}List", self.bucket_arn, patterns),
            read_objects(f"{sid}Read", self.bucket_arn, patterns),
        ]

    def write_statements(self, sid: str, *patterns: str, in_parts: bool = False) -> list[Statement]:
        """Return the permission to write keys of these patterns, large ones in parts, encryption not included."""
        return [write_objects(f"{sid}Write", self.bucket_arn, patterns, in_parts=in_parts)]

    def grant_read(self, grantee: iam.IGrantable, *patterns: str) -> iam.Grant:
        """Let the grantee list and read keys of these patterns, such as ``my-model/inference/*``."""
        return grant(grantee, [*self.read_statements("Data", *patterns), *self.key.statements("decrypt")])

    def grant_write(self, grantee: iam.IGrantable, *patterns: str) -> iam.Grant:
        """Let the grantee write keys of these patterns."""
        writing = self.write_statements("Data", *patterns, in_parts=True)
        return grant(grantee, [*writing, *self.key.statements("encrypt_decrypt")])


def secure_bucket(
    scope: Construct,
    construct_id: str,
    *,
    bucket_name: str,
    key: KmsSharedKey,
    removal: RemovalPolicy,
    access_logs: AccessLogsBucket | None,
    keep_old_versions: bool = False,
) -> s3.Bucket:
    """Return a versioned bucket that only its owner's policies open, over TLS only, encrypted with the key.

    What was overwritten or deleted stays for 90 days, with ``keep_old_versions`` for ever.
    """
    bucket = s3.Bucket(
        scope,
        construct_id,
        bucket_name=bucket_name,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key.key,
        bucket_key_enabled=True,
        enforce_ssl=True,
        versioned=True,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        removal_policy=removal,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="old-versions",
                noncurrent_version_expiration=None if keep_old_versions else Duration.days(90),
                abort_incomplete_multipart_upload_after=Duration.days(7),
                expired_object_delete_marker=True,
            )
        ],
    )
    if access_logs is not None:
        access_logs.collect(bucket, bucket_name)
    return bucket


class StageDataBucket(DataBucket):
    """A stage's data bucket with a key of its own: TLS only, versioned, kept when the stack goes.

    Parameters
    ----------
    stage
        Such as ``dev``; it becomes part of the key's alias ``alias/mlops-<stage>-data``.
    bucket_name
        Default: ``sagemaker-mlops-<stage>-<account>-<region>``.
    access_logs
        Where S3 logs each request to the bucket. Default: nowhere.
    removal
        Default: bucket and key stay. Destroying needs the context flag ``cdk-mlops:allow-destroy`` too.

    Raises
    ------
    ValueError
        If a name can't be one, or data would be destroyed without the context flag.
    """

    key: KmsSharedKey

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        bucket_name: str | None = None,
        access_logs: AccessLogsBucket | None = None,
        removal: RemovalPolicy | None = None,
    ) -> None:
        check_stage("stage", stage)
        stack = Stack.of(scope)
        name = (
            f"sagemaker-mlops-{stage}-{stack.account}-{stack.region}" if bucket_name is None else bucket_name
        )
        check_bucket_name("bucket_name", name)
        removal = checked_removal(scope, removal)
        key = KmsSharedKey(
            scope,
            f"{construct_id}Key",
            alias_name=f"alias/mlops-{stage}-data",
            description=f"Encrypts the data and the job volumes of stage {stage}",
            removal=removal,
        )
        super().__init__(scope, construct_id, bucket_name=name, key=key)
        self.stage = stage
        self.bucket = secure_bucket(
            self, "Resource", bucket_name=name, key=key, removal=removal, access_logs=access_logs
        )

    def expire(self, prefix: str, *, after: Duration) -> None:
        """Let what lies below a prefix go by itself, such as the check runs of a model.

        Parameters
        ----------
        prefix
            Beginning of the keys, with its slash.
        after
            Time after which an object goes. Its older versions go as all others do, after 90 days at most.
        """
        self.bucket.add_lifecycle_rule(
            id=f"expire-{prefix.rstrip('/').replace('/', '-')}", prefix=prefix, expiration=after
        )

    @staticmethod
    def from_attributes(
        scope: Construct, construct_id: str, *, bucket_name: str, key_alias_arn: str
    ) -> DataBucket:
        """Use a bucket that exists. Its policy, encryption and lifecycle can't be changed here."""
        check_bucket_name("bucket_name", bucket_name)
        key = KmsSharedKey.from_alias_arn(scope, f"{construct_id}Key", key_alias_arn)
        return DataBucket(scope, construct_id, bucket_name=bucket_name, key=key)
