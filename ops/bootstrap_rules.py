"""What CloudFormation must be allowed for each type of resource in our templates: reviewed by hand, type by type.

The starting point is what each type's schema says that its handlers call (`handlers.permissions`); a test compares the
two. Left out are actions for properties that no stack of ours uses, with the reason, in `ops.bootstrap_left_out`.
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


def _network(*kinds: str) -> tuple[str, ...]:
    """Return parts of a network, whose ids are EC2's own."""
    return tuple(f"arn:{{p}}:ec2:{{r}}:{{a}}:{kind}/*" for kind in kinds)


_IN, _OUT = (
    (
        f"AuthorizeSecurityGroup{way}",
        f"RevokeSecurityGroup{way}",
        f"UpdateSecurityGroupRuleDescriptions{way}",
    )
    for way in ("Ingress", "Egress")
)
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
    "AWS::CloudWatch::Dashboard": Rule(
        _of("cloudwatch", "PutDashboard", "GetDashboard", "DeleteDashboards", *_TAGS),
        ("arn:{p}:cloudwatch::{a}:dashboard/{prefix}-*",),
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
    "AWS::EC2::FlowLog": Rule(
        _of("ec2", "CreateFlowLogs", "DeleteFlowLogs", "CreateTags", "DeleteTags"),
        _network("vpc", "vpc-flow-log"),
        anywhere=_of("ec2", "DescribeFlowLogs", "DescribeTags"),
        passes=("vpc-flow-logs.amazonaws.com",),
    ),
    "AWS::EC2::RouteTable": Rule(
        _of("ec2", "CreateRouteTable", "DeleteRouteTable", "CreateTags", "DeleteTags"),
        _network("vpc", "route-table"),
        anywhere=_of("ec2", "DescribeRouteTables"),
    ),
    "AWS::EC2::SecurityGroup": Rule(
        _of("ec2", "CreateSecurityGroup", "DeleteSecurityGroup", "CreateTags", "DeleteTags", *_IN, *_OUT),
        _network("vpc", "security-group", "security-group-rule"),
        anywhere=_of("ec2", "DescribeSecurityGroups", "DescribeInstances"),
    ),
    "AWS::EC2::SecurityGroupEgress": Rule(
        _of("ec2", *_OUT),
        _network("security-group", "security-group-rule"),
        anywhere=_of("ec2", "DescribeSecurityGroupRules"),
    ),
    "AWS::EC2::SecurityGroupIngress": Rule(
        _of("ec2", *_IN),
        _network("security-group", "security-group-rule"),
        anywhere=_of("ec2", "DescribeSecurityGroupRules", "DescribeSecurityGroups"),
    ),
    "AWS::EC2::Subnet": Rule(
        _of("ec2", "CreateSubnet", "DeleteSubnet", "ModifySubnetAttribute", "CreateTags", "DeleteTags"),
        _network("vpc", "subnet"),
        anywhere=_of("ec2", "DescribeSubnets", "DescribeNetworkAcls"),
    ),
    "AWS::EC2::SubnetRouteTableAssociation": Rule(
        _of("ec2", "AssociateRouteTable", "DisassociateRouteTable", "ReplaceRouteTableAssociation"),
        _network("subnet", "route-table"),
        anywhere=_of("ec2", "DescribeRouteTables", "DescribeSubnets"),
    ),
    "AWS::EC2::VPC": Rule(
        _of("ec2", "CreateVpc", "DeleteVpc", "ModifyVpcAttribute", "CreateTags", "DeleteTags"),
        _network("vpc"),
        anywhere=_of(
            "ec2",
            "DescribeVpcs",
            "DescribeVpcAttribute",
            "DescribeNetworkAcls",
            "DescribeSecurityGroups",
        ),
    ),
    "AWS::EC2::VPCEndpoint": Rule(
        _of(
            "ec2", "CreateVpcEndpoint", "DeleteVpcEndpoints", "ModifyVpcEndpoint", "CreateTags", "DeleteTags"
        ),
        _network("vpc", "vpc-endpoint", "route-table", "subnet", "security-group"),
        anywhere=_of(
            "ec2", "DescribeVpcEndpoints", "DescribeVpcs", "DescribeSubnets", "DescribeSecurityGroups"
        ),
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
            "arn:{p}:logs:{r}:{a}:log-group:/mlops/*",
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
