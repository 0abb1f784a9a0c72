"""What CloudFormation must be allowed for each type of resource in our templates: reviewed by hand, type by type.

The starting point is what each type's schema says that its handlers call (`handlers.permissions`); a test compares the
two. Left out are actions for properties that no stack of ours uses, with the reason, in `LEFT_OUT`.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
"""

from __future__ import annotations

from dataclasses import dataclass

_TAGS = ("TagResource", "UntagResource", "ListTagsForResource")


@dataclass(frozen=True)
class Rule:
    """What one type of resource needs.

    Attributes
    ----------
    actions
        On resources with our names.
    on
        Those resources: ``{prefix}`` stands for what names begin with, ``{stack}`` for a stack's name, ``{lower}`` for
        that in lower case, ``{topic}`` for the alert topics' name, ``{group}`` for a model package group, and
        ``{arn}`` for partition, service, region and account.
    anywhere
        Actions that know no resource.
    passes
        Services that a role is handed to.
    """

    actions: tuple[str, ...]
    on: tuple[str, ...]
    anywhere: tuple[str, ...] = ()
    passes: tuple[str, ...] = ()


def _of(service: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{service}:{name}" for name in names)


_ROLES = ("arn:{p}:iam::{a}:role/mlops/*",)
_FUNCTIONS = ("arn:{p}:lambda:{r}:{a}:function:{prefix}-*",)
_BUCKETS = ("arn:{p}:s3:::sagemaker-mlops-*-{a}-{r}", "arn:{p}:s3:::{lower}-*")
_QUEUES = ("arn:{p}:sqs:{r}:{a}:{stack}-*",)
_TOPICS = ("arn:{p}:sns:{r}:{a}:{topic}*", "arn:{p}:sns:{r}:{a}:mlops-*")

RULES: dict[str, Rule] = {
    "AWS::CloudWatch::Alarm": Rule(
        _of("cloudwatch", "PutMetricAlarm", "DeleteAlarms", "DescribeAlarms", *_TAGS),
        ("arn:{p}:cloudwatch:{r}:{a}:alarm:{prefix}-*",),
    ),
    "AWS::CloudTrail::Trail": Rule(
        _of(
            "cloudtrail",
            "CreateTrail",
            "UpdateTrail",
            "DeleteTrail",
            "GetTrail",
            "GetTrailStatus",
            "GetEventSelectors",
            "GetInsightSelectors",
            "GetEventConfiguration",
            "PutEventSelectors",
            "StartLogging",
            "StopLogging",
            "AddTags",
            "RemoveTags",
            "ListTags",
        ),
        ("arn:{p}:cloudtrail:{r}:{a}:trail/mlops-*",),
        anywhere=_of("cloudtrail", "DescribeTrails"),
    ),
    "AWS::CodeBuild::Project": Rule(
        # Its schema lists no permissions; https://docs.aws.amazon.com/codebuild/latest/userguide/auth-and-access-control-permissions-reference.html
        _of("codebuild", "CreateProject", "UpdateProject", "DeleteProject", "BatchGetProjects"),
        ("arn:{p}:codebuild:{r}:{a}:project/mlops-*",),
        passes=("codebuild.amazonaws.com",),
    ),
    "AWS::CodePipeline::Pipeline": Rule(
        _of(
            "codepipeline",
            "CreatePipeline",
            "UpdatePipeline",
            "DeletePipeline",
            "GetPipeline",
            "GetPipelineState",
            "StartPipelineExecution",
            *_TAGS,
        ),
        ("arn:{p}:codepipeline:{r}:{a}:mlops-*",),
        passes=("codepipeline.amazonaws.com",),
    ),
    "AWS::Events::Rule": Rule(
        _of(
            "events",
            "PutRule",
            "DeleteRule",
            "DescribeRule",
            "PutTargets",
            "RemoveTargets",
            "ListTargetsByRule",
            *_TAGS,
        ),
        ("arn:{p}:events:{r}:{a}:rule/{stack}-*",),
        passes=("events.amazonaws.com",),
    ),
    "AWS::IAM::OIDCProvider": Rule(
        _of(
            "iam",
            "CreateOpenIDConnectProvider",
            "DeleteOpenIDConnectProvider",
            "GetOpenIDConnectProvider",
            "UpdateOpenIDConnectProviderThumbprint",
            "AddClientIDToOpenIDConnectProvider",
            "RemoveClientIDFromOpenIDConnectProvider",
            "TagOpenIDConnectProvider",
            "UntagOpenIDConnectProvider",
            "ListOpenIDConnectProviderTags",
        ),
        ("arn:{p}:iam::{a}:oidc-provider/token.actions.githubusercontent.com",),
    ),
    "AWS::IAM::Policy": Rule(_of("iam", "PutRolePolicy", "DeleteRolePolicy", "GetRolePolicy"), _ROLES),
    "AWS::IAM::Role": Rule(
        _of(
            "iam",
            "CreateRole",
            "DeleteRole",
            "GetRole",
            "UpdateRole",
            "UpdateRoleDescription",
            "UpdateAssumeRolePolicy",
            "PutRolePolicy",
            "DeleteRolePolicy",
            "GetRolePolicy",
            "ListRolePolicies",
            "ListAttachedRolePolicies",
            "TagRole",
            "UntagRole",
        ),
        _ROLES,
    ),
    "AWS::KMS::Alias": Rule(
        _of("kms", "CreateAlias", "DeleteAlias", "UpdateAlias"),
        ("arn:{p}:kms:{r}:{a}:alias/mlops-*", "arn:{p}:kms:{r}:{a}:key/*"),
        anywhere=_of("kms", "ListAliases"),
    ),
    "AWS::KMS::Key": Rule(
        _of(
            "kms",
            "DescribeKey",
            "EnableKey",
            "DisableKey",
            "EnableKeyRotation",
            "DisableKeyRotation",
            "GetKeyPolicy",
            "PutKeyPolicy",
            "GetKeyRotationStatus",
            "ListResourceTags",
            "TagResource",
            "UntagResource",
            "UpdateKeyDescription",
            "ScheduleKeyDeletion",
        ),
        ("arn:{p}:kms:{r}:{a}:key/*",),  # a key has no name, and its alias comes after it
        anywhere=_of("kms", "CreateKey"),
    ),
    "AWS::Lambda::Function": Rule(
        _of(
            "lambda",
            "CreateFunction",
            "DeleteFunction",
            "GetFunction",
            "UpdateFunctionCode",
            "UpdateFunctionConfiguration",
            "GetFunctionCodeSigningConfig",
            "GetFunctionRecursionConfig",
            "GetFunctionScalingConfig",
            "GetRuntimeManagementConfig",
            "PutFunctionConcurrency",
            "DeleteFunctionConcurrency",
            "TagResource",
            "UntagResource",
        ),
        _FUNCTIONS,
        passes=("lambda.amazonaws.com",),
    ),
    "AWS::Lambda::Permission": Rule(
        _of("lambda", "AddPermission", "RemovePermission", "GetPolicy"), _FUNCTIONS
    ),
    "AWS::Logs::LogGroup": Rule(
        _of(
            "logs",
            "CreateLogGroup",
            "DeleteLogGroup",
            "PutRetentionPolicy",
            "DeleteRetentionPolicy",
            "AssociateKmsKey",
            "DisassociateKmsKey",
            "DescribeIndexPolicies",
            "GetDataProtectionPolicy",
            *_TAGS,
        ),
        (
            "arn:{p}:logs:{r}:{a}:log-group:/aws/lambda/{prefix}-*",
            "arn:{p}:logs:{r}:{a}:log-group:/aws/codebuild/mlops-*",
        ),
        anywhere=_of("logs", "DescribeLogGroups", "DescribeResourcePolicies"),
    ),
    "AWS::S3::Bucket": Rule(
        _of(
            "s3",
            "CreateBucket",
            "DeleteBucket",
            "ListBucket",
            "GetAccelerateConfiguration",
            "GetAnalyticsConfiguration",
            "GetBucket*",  # the configuration: objects are s3:GetObject
            "GetEncryptionConfiguration",
            "GetIntelligentTieringConfiguration",
            "GetInventoryConfiguration",
            "GetLifecycleConfiguration",
            "GetMetricsConfiguration",
            "GetReplicationConfiguration",
            "ListTagsForResource",
            "PutBucketLogging",
            "PutBucketOwnershipControls",
            "PutBucketPublicAccessBlock",
            "PutBucketTagging",
            "PutBucketVersioning",
            "PutEncryptionConfiguration",
            "PutLifecycleConfiguration",
            "TagResource",
            "UntagResource",
        ),
        _BUCKETS,
    ),
    "AWS::S3::BucketPolicy": Rule(
        _of("s3", "PutBucketPolicy", "DeleteBucketPolicy", "GetBucketPolicy"), _BUCKETS
    ),
    "AWS::SNS::Subscription": Rule(
        _of("sns", "Subscribe", "ListSubscriptionsByTopic"),
        _TOPICS,
        anywhere=_of("sns", "Unsubscribe", "GetSubscriptionAttributes", "SetSubscriptionAttributes"),
    ),
    "AWS::SNS::Topic": Rule(
        _of(
            "sns",
            "CreateTopic",
            "DeleteTopic",
            "GetTopicAttributes",
            "SetTopicAttributes",
            "GetDataProtectionPolicy",
            "ListSubscriptionsByTopic",
            *_TAGS,
        ),
        _TOPICS,
    ),
    "AWS::SNS::TopicPolicy": Rule(_of("sns", "SetTopicAttributes", "GetTopicAttributes"), _TOPICS),
    "AWS::SQS::Queue": Rule(
        _of(
            "sqs",
            "CreateQueue",
            "DeleteQueue",
            "GetQueueAttributes",
            "GetQueueUrl",
            "SetQueueAttributes",
            "ListQueueTags",
            "TagQueue",
            "UntagQueue",
        ),
        _QUEUES,
    ),
    "AWS::SQS::QueuePolicy": Rule(_of("sqs", "SetQueueAttributes", "GetQueueAttributes"), _QUEUES),
    "AWS::SageMaker::ModelPackageGroup": Rule(
        _of(
            "sagemaker",
            "CreateModelPackageGroup",
            "DeleteModelPackageGroup",
            "DescribeModelPackageGroup",
            "PutModelPackageGroupPolicy",
            "GetModelPackageGroupPolicy",
            "DeleteModelPackageGroupPolicy",
            "AddTags",
            "DeleteTags",
            "ListTags",
        ),
        ("arn:{p}:sagemaker:{r}:{a}:model-package-group/{group}*",),
    ),
    "AWS::Scheduler::Schedule": Rule(
        _of("scheduler", "CreateSchedule", "UpdateSchedule", "DeleteSchedule", "GetSchedule"),
        ("arn:{p}:scheduler:{r}:{a}:schedule/default/{prefix}-*",),
        passes=("scheduler.amazonaws.com",),
    ),
}

#: Custom resources: CloudFormation calls their function.
CUSTOM = Rule(_of("lambda", "InvokeFunction"), _FUNCTIONS)

#: What every stack needs: the version of the bootstrap, which templates check, and the files of its functions.
ALWAYS = (
    Rule(_of("ssm", "GetParameters"), ("arn:{p}:ssm:{r}:{a}:parameter/cdk-bootstrap/{q}/version",)),
    Rule(_of("s3", "GetObject", "GetObjectVersion"), ("arn:{p}:s3:::cdk-{q}-assets-{a}-{r}/*",)),
)

#: Actions of the schemas that nobody needs here, and why.
LEFT_OUT: dict[str, tuple[str, ...]] = {
    "it lists what is in an account, which only an import looks for": (
        "CloudTrail:ListTrails",
        "codepipeline:ListPipelines",
        "events:ListRules",
        "iam:ListRoles",
        "kms:ListKeys",
        "lambda:ListFunctions",
        "s3:ListAllMyBuckets",
        "sagemaker:ListModelPackageGroups",
        "scheduler:ListSchedules",
        "sns:ListSubscriptions",
        "sns:ListTopics",
        "sqs:ListQueues",
        "iam:ListOpenIDConnectProviders",
    ),
    "no role of ours has managed policies or a boundary": (
        "iam:AttachRolePolicy",
        "iam:DetachRolePolicy",
        "iam:DeleteRolePermissionsBoundary",
        "iam:PutRolePermissionsBoundary",
    ),
    "there are no users or groups": (
        "iam:DeleteGroupPolicy",
        "iam:DeleteUserPolicy",
        "iam:GetGroupPolicy",
        "iam:GetUserPolicy",
        "iam:PutGroupPolicy",
        "iam:PutUserPolicy",
    ),
    "no function has a network, file system, layer, signing or key of its own": (
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "elasticfilesystem:DescribeMountTargets",
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "lambda:AssociateRuntimeAlias",
        "lambda:DeleteFunctionCodeSigningConfig",
        "lambda:GetCodeSigningConfig",
        "lambda:GetLayerVersion",
        "lambda:PassCapacityProvider",
        "lambda:PublishVersion",
        "lambda:PutFunctionCodeSigningConfig",
        "lambda:PutFunctionRecursionConfig",
        "lambda:PutFunctionScalingConfig",
        "lambda:PutRuntimeManagementConfig",
        "s3files:ListMountTargets",
    ),
    "no log group has a policy, index or delivery": (
        "firehose:TagDeliveryStream",
        "logs:CreateLogDelivery",
        "logs:DeleteDataProtectionPolicy",
        "logs:DeleteIndexPolicy",
        "logs:DeleteResourcePolicy",
        "logs:PutBearerTokenAuthentication",
        "logs:PutDataProtectionPolicy",
        "logs:PutIndexPolicy",
        "logs:PutLogGroupDeletionProtection",
        "logs:PutResourcePolicy",
        "s3:REST.PUT.OBJECT",
    ),
    "no bucket has access lists, analytics, replication, a website or tables": (
        "s3:CreateBucketMetadataTableConfiguration",
        "s3:DeleteBucketAnalyticsConfiguration",
        "s3:DeleteBucketCors",
        "s3:DeleteBucketEncryption",
        "s3:DeleteBucketLifecycle",
        "s3:DeleteBucketMetadataTableConfiguration",
        "s3:DeleteBucketMetricsConfiguration",
        "s3:DeleteBucketReplication",
        "s3:DeleteBucketWebsite",
        "s3:DeleteObject",
        "s3:PutAccelerateConfiguration",
        "s3:PutAnalyticsConfiguration",
        "s3:PutBucketAbac",
        "s3:PutBucketAcl",
        "s3:PutBucketCORS",
        "s3:PutBucketNotification",
        "s3:PutBucketObjectLockConfiguration",
        "s3:PutBucketReplication",
        "s3:PutBucketWebsite",
        "s3:PutIntelligentTieringConfiguration",
        "s3:PutInventoryConfiguration",
        "s3:PutMetricsConfiguration",
        "s3:PutObjectAcl",
        "s3:PutObjectLockConfiguration",
        "s3:PutReplicationConfiguration",
        "s3:UpdateBucketMetadataAnnotationTableConfiguration",
        "s3:UpdateBucketMetadataInventoryTableConfiguration",
        "s3:UpdateBucketMetadataJournalTableConfiguration",
        "s3tables:CreateNamespace",
        "s3tables:CreateTable",
        "s3tables:CreateTableBucket",
        "s3tables:GetTable",
        "s3tables:GetTableMetadataLocation",
        "s3tables:PutTableBucketPolicy",
        "s3tables:PutTableEncryption",
        "s3tables:PutTablePolicy",
        "s3tables:UpdateTableMetadataLocation",
    ),
    "the trail is one account's, and has no insights, context or log group": (
        "CloudTrail:PutEventConfiguration",
        "CloudTrail:PutInsightSelectors",
        "iam:CreateServiceLinkedRole",
        "organizations:DescribeOrganization",
        "organizations:ListAWSServiceAccessForOrganization",
    ),
    "no topic has a data protection policy": ("sns:PutDataProtectionPolicy",),
    "nobody stops the transitions between stages in a template": (
        "codepipeline:DisableStageTransition",
        "codepipeline:EnableStageTransition",
    ),
}
