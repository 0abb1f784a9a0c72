"""What can be asked of each kind of thing.

The action names follow the Service Authorization Reference:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.permissions.policy import Context

Actions = tuple[str, ...]
Situation = tuple[
    str, Context
]  # the word that the intent has for it, and the condition keys that AWS would set


def named(service: str, names: str) -> Actions:
    return tuple(f"{service}:{name}" for name in names.split())


ENCRYPT = named("kms", "GenerateDataKey")
DATA_KEYS = named("kms", "GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateDataKeyPair")
DECRYPT = named("kms", "Decrypt")
_JOB = "AddTags ListTags"

# Every action that any policy names on a kind of thing, and its neighbours: what must not slip in beside it.
KINDS: Mapping[str, Actions] = {
    "object": named(
        "s3",
        "GetObject GetObjectVersion GetObjectAcl PutObject AbortMultipartUpload PutObjectAcl PutObjectVersionAcl"
        " PutObjectTagging DeleteObject DeleteObjectVersion",
    ),
    "folder": named("s3", "ListBucket ListBucketVersions"),
    "bucket": named(
        "s3",
        "GetBucketAcl GetBucketLocation GetBucketVersioning PutBucketPolicy PutBucketVersioning"
        " PutLifecycleConfiguration DeleteBucket",
    ),
    "key": (
        *DECRYPT,
        *DATA_KEYS,
        *named("kms", "DescribeKey Encrypt ReEncryptFrom ReEncryptTo CreateGrant"),
        *named("kms", "PutKeyPolicy ScheduleKeyDeletion DisableKey UpdateAlias"),
    ),
    "group": named(
        "sagemaker",
        "DescribeModelPackageGroup ListModelPackages CreateModelPackageGroup DeleteModelPackageGroup"
        " PutModelPackageGroupPolicy UpdateModelPackage DescribeModelPackage AddTags",
    ),
    "version": named(
        "sagemaker",
        "DescribeModelPackage ListModelPackages CreateModelPackage UpdateModelPackage DeleteModelPackage CreateModel"
        " DescribeModelPackageGroup AddTags",
    ),
    "pipeline": named(
        "sagemaker",
        "DescribePipeline CreatePipeline UpdatePipeline DeletePipeline StartPipelineExecution"
        " ListPipelineExecutions ListTags AddTags DeleteTags",
    ),
    "execution": named(
        "sagemaker",
        "DescribePipelineExecution DescribePipelineDefinitionForExecution ListPipelineExecutionSteps"
        " ListPipelineParametersForExecution StopPipelineExecution RetryPipelineExecution UpdatePipelineExecution",
    ),
    "processing job": named(
        "sagemaker", f"CreateProcessingJob DescribeProcessingJob StopProcessingJob {_JOB}"
    ),
    "training job": named("sagemaker", f"CreateTrainingJob DescribeTrainingJob StopTrainingJob {_JOB}"),
    "transform job": named("sagemaker", f"CreateTransformJob DescribeTransformJob StopTransformJob {_JOB}"),
    "model": named("sagemaker", "CreateModel DescribeModel DeleteModel AddTags CreateEndpoint"),
    "role": named("sts", "AssumeRole AssumeRoleWithWebIdentity TagSession")
    + named("iam", "PassRole GetRole PutRolePolicy AttachRolePolicy UpdateAssumeRolePolicy DeleteRole"),
    "function": named(
        "lambda",
        "InvokeFunction GetFunction UpdateFunctionCode UpdateFunctionConfiguration AddPermission DeleteFunction",
    ),
    "topic": named("sns", "Publish Subscribe SetTopicAttributes AddPermission DeleteTopic"),
    "queue": named("sqs", "SendMessage ReceiveMessage DeleteMessage PurgeQueue SetQueueAttributes"),
    "schedule": named("scheduler", "CreateSchedule GetSchedule UpdateSchedule DeleteSchedule"),
    "bus": named("events", "PutEvents PutPermission"),
    "rule": named("events", "PutRule PutTargets DisableRule DeleteRule"),
    "log group": named(
        "logs", "CreateLogGroup DescribeLogStreams FilterLogEvents DeleteLogGroup PutRetentionPolicy"
    ),
    "bare log group": named("logs", "CreateLogGroup DescribeLogStreams"),
    "log stream": named("logs", "CreateLogStream PutLogEvents GetLogEvents DeleteLogStream"),
    "images": named("ecr", "BatchCheckLayerAvailability BatchGetImage GetDownloadUrlForLayer PutImage"),
    "interface": named(
        "ec2",
        "CreateNetworkInterface CreateNetworkInterfacePermission DeleteNetworkInterface"
        " DeleteNetworkInterfacePermission",
    ),
    "place": named("ec2", "CreateNetworkInterface"),
    "connection": named("codeconnections", "UseConnection DeleteConnection")
    + named("codestar-connections", "UseConnection DeleteConnection"),
    "project": named("codebuild", "StartBuild StopBuild BatchGetBuilds UpdateProject DeleteProject"),
    "delivery": named(
        "codepipeline",
        "GetPipelineState GetPipelineExecution ListActionExecutions ListPipelineExecutions StartPipelineExecution"
        " StopPipelineExecution UpdatePipeline DeletePipeline",
    ),
    "approval": named("codepipeline", "PutApprovalResult PutActionRevision"),
    # Actions that know no resource: they are asked of an account.
    "account": (
        *named("cloudwatch", "PutMetricData DeleteAlarms"),
        *named("ecr", "GetAuthorizationToken"),
        *named("sagemaker", "ListModels"),
        *named("ec2", "DescribeDhcpOptions DescribeNetworkInterfaces DescribeSecurityGroups DescribeSubnets"),
        *named("ec2", "DescribeVpcs DescribeInstances"),
    ),
}
