"""What the verbs of the intent mean: which actions on which kinds of things, in which situations."""

from __future__ import annotations

from collections.abc import Mapping

from tests.permissions.jobs import FOR_THE_REGISTRY, ORDAINED
from tests.permissions.kinds import DATA_KEYS, DECRYPT, ENCRYPT, KINDS, Actions, named

ANY = None  # in every situation that no law forbids
Meaning = Mapping[str, Mapping[str, frozenset[str] | None]]


def _verb(actions: Actions, *kinds: str, only: str | None = None) -> Meaning:
    situations = None if only is None else frozenset(only.split(" | "))
    return {kind: dict.fromkeys(actions, situations) for kind in kinds}


_FOR_ITS_ACCOUNT = "for this account | for this account by another's source"
_LOOK = named("sagemaker", "DescribePipeline ListPipelineExecutions ListTags")
_FOLLOW = named(
    "sagemaker",
    "DescribePipelineExecution DescribePipelineDefinitionForExecution ListPipelineExecutionSteps"
    " ListPipelineParametersForExecution",
)
VERBS: Mapping[str, Meaning] = {
    "list": _verb(named("s3", "ListBucket"), "folder"),
    "list versions of": _verb(named("s3", "ListBucketVersions"), "folder"),
    "log requests into": _verb(named("s3", "PutObject"), "object", only="from its source"),
    "encrypt logs with": _verb(
        (*DATA_KEYS, *named("kms", "Decrypt DescribeKey Encrypt ReEncryptFrom ReEncryptTo")),
        "key",
        only="for its log groups",
    ),
    "read": _verb(named("s3", "GetObject"), "object"),
    "read old versions of": _verb(named("s3", "GetObjectVersion"), "object"),
    "write": _verb(named("s3", "PutObject AbortMultipartUpload"), "object"),
    "put": _verb(named("s3", "PutObject"), "object"),
    "set the ACL of": _verb(named("s3", "PutObjectAcl"), "object"),
    "delete": _verb(named("s3", "DeleteObject DeleteObjectVersion"), "object"),
    "look at": _verb(named("s3", "GetBucketAcl GetBucketLocation"), "bucket"),
    "look at the versioning of": _verb(named("s3", "GetBucketVersioning"), "bucket"),
    "fetch": {  # what CDK Pipelines asks for: GetObject*, GetBucket*, List*
        "object": dict.fromkeys(named("s3", "GetObject GetObjectVersion GetObjectAcl"), ANY),
        "folder": dict.fromkeys(named("s3", "ListBucket ListBucketVersions"), ANY),
        "bucket": dict.fromkeys(named("s3", "GetBucketAcl GetBucketLocation GetBucketVersioning"), ANY),
    },
    "decrypt with": _verb(DECRYPT, "key"),
    "decrypt in any way with": _verb(
        named("kms", "Decrypt DescribeKey"),
        "key",
        only="through S3 | through SageMaker | through SQS | directly",
    ),
    "encrypt with": _verb(ENCRYPT, "key"),
    "encrypt and decrypt with": _verb((*DECRYPT, *ENCRYPT), "key"),
    "encrypt outputs of jobs with": _verb(named("kms", "Encrypt"), "key"),
    "send encrypted with": _verb(("kms:Decrypt", *DATA_KEYS), "key"),
    "re-encrypt with": _verb(
        named("kms", "Decrypt DescribeKey Encrypt GenerateDataKey ReEncryptFrom ReEncryptTo"), "key"
    ),
    "encrypt volumes with": _verb(named("kms", "CreateGrant"), "key", only="for an AWS resource"),
    "look up": {
        "group": dict.fromkeys(named("sagemaker", "DescribeModelPackageGroup ListModelPackages"), ANY),
        "version": dict.fromkeys(named("sagemaker", "DescribeModelPackage ListModelPackages"), ANY),
    },
    "find": {
        "group": dict.fromkeys(named("sagemaker", "ListModelPackages"), ANY),
        "version": dict.fromkeys(named("sagemaker", "DescribeModelPackage ListModelPackages"), ANY),
    },
    "count": _verb(named("sagemaker", "ListModelPackages"), "group", "version"),
    "describe": _verb(named("sagemaker", "DescribeModelPackage"), "version"),
    "register as waiting": _verb(named("sagemaker", "CreateModelPackage"), "version", only="waiting"),
    "approve or reject": _verb(named("sagemaker", "UpdateModelPackage"), "version"),
    "describe anew": _verb(named("sagemaker", "UpdateModelPackage"), "version", only="in its description"),
    "mark as released": _verb(named("sagemaker", "UpdateModelPackage"), "version", only="as released to prod"),
    "mark as withdrawn": _verb(named("sagemaker", "UpdateModelPackage"), "version", only="as withdrawn from prod"),
    "remove": _verb(named("sagemaker", "DeleteModelPackage"), "version"),
    "make models of": _verb(named("sagemaker", "CreateModel"), "version"),
    "start": _verb((*_LOOK, *named("sagemaker", "StartPipelineExecution")), "pipeline"),
    "only start": _verb(named("sagemaker", "StartPipelineExecution"), "pipeline"),
    "start and see the runs of": _verb(named("sagemaker", "StartPipelineExecution ListPipelineExecutions"), "pipeline"),
    "see tags of": _verb(named("sagemaker", "ListTags"), "pipeline"),
    "find runs of": _verb(named("sagemaker", "ListPipelineExecutions"), "pipeline"),
    "watch runs of": _verb(named("sagemaker", "DescribePipelineExecution ListPipelineExecutionSteps"), "execution"),
    "look into": {"pipeline": dict.fromkeys(_LOOK, ANY), "execution": dict.fromkeys(_FOLLOW, ANY)},
    "see parameters of runs of": _verb(named("sagemaker", "ListPipelineParametersForExecution"), "execution"),
    "explain runs of": {
        "pipeline": dict.fromkeys(named("sagemaker", "ListTags"), ANY),
        "execution": dict.fromkeys((_FOLLOW[0], *_FOLLOW[2:]), ANY),
    },
    "stop": _verb(named("sagemaker", "StopPipelineExecution"), "execution"),
    "deploy": _verb(
        (*_LOOK, *named("sagemaker", "CreatePipeline UpdatePipeline DeletePipeline AddTags DeleteTags")), "pipeline"
    ),
    "run for the registry": {  # with output under the artifacts key
        kind: {KINDS[kind][0]: frozenset({FOR_THE_REGISTRY})} for kind in ("processing job", "training job")
    },
    "run": {
        kind: dict.fromkeys(KINDS[kind][1:4], ANY) | {KINDS[kind][0]: frozenset({ORDAINED})}
        for kind in ("processing job", "training job", "transform job")
    },
    "manage": {
        "model": dict.fromkeys(named("sagemaker", "DescribeModel AddTags"), ANY)
        | {"sagemaker:CreateModel": frozenset({ORDAINED})}
    },
    "delete models": _verb(named("sagemaker", "DeleteModel"), "model"),
    "pass to SageMaker": _verb(named("iam", "PassRole"), "role", only="to SageMaker"),
    "pass to Scheduler": _verb(named("iam", "PassRole"), "role", only="to Scheduler"),
    "take": _verb(named("sts", "AssumeRole"), "role"),
    "take with tags": _verb(named("sts", "AssumeRole TagSession"), "role"),
    "take with MFA": _verb(named("sts", "AssumeRole"), "role", only="with MFA"),
    "take as a job of main": _verb(named("sts", "AssumeRoleWithWebIdentity"), "role", only="as a job of main"),
    "take as a job of the environment prod": _verb(
        named("sts", "AssumeRoleWithWebIdentity"), "role", only="as a job of the environment prod"
    ),
    "take for this account": _verb(named("sts", "AssumeRole"), "role", only=_FOR_ITS_ACCOUNT),
    "take for this account's pipelines": _verb(named("sts", "AssumeRole"), "role", only="for this account"),
    "call": _verb(named("lambda", "InvokeFunction"), "function"),
    "call by its rules": _verb(named("lambda", "InvokeFunction"), "function", only="from its source"),
    "publish": _verb(named("sns", "Publish"), "topic"),
    "publish alarms": _verb(named("sns", "Publish"), "topic", only=_FOR_ITS_ACCOUNT),
    "send": _verb(named("sqs", "SendMessage"), "queue"),
    "send for its rules": _verb(named("sqs", "SendMessage"), "queue", only="from its source"),
    "make and remove": _verb(named("scheduler", "CreateSchedule DeleteSchedule"), "schedule"),
    "see": {
        "schedule": dict.fromkeys(named("scheduler", "GetSchedule"), ANY),
        "account": dict.fromkeys((*KINDS["account"][4:9],), ANY),
    },
    "announce findings on": _verb(named("events", "PutEvents"), "bus", only="a finding"),
    "write to": _verb(named("logs", "CreateLogStream PutLogEvents"), "log stream"),
    "open": _verb(named("logs", "CreateLogGroup DescribeLogStreams"), "log group", "bare log group"),
    "find streams of": _verb(named("logs", "DescribeLogStreams"), "log group", "bare log group"),
    "clear": _verb(named("logs", "DeleteLogStream"), "log stream"),
    "follow": {
        "log group": dict.fromkeys(named("logs", "FilterLogEvents"), ANY),
        "log stream": dict.fromkeys(named("logs", "GetLogEvents"), ANY),
    },
    "pull": _verb(named("ecr", "BatchCheckLayerAvailability BatchGetImage GetDownloadUrlForLayer"), "images"),
    "log in to": _verb(named("ecr", "GetAuthorizationToken"), "account"),
    "put metrics of its own into": _verb(named("cloudwatch", "PutMetricData"), "account", only="namespace cdk-mlops"),
    "put metrics of jobs into": _verb(named("cloudwatch", "PutMetricData"), "account", only="namespace of jobs"),
    "list models of": _verb(named("sagemaker", "ListModels"), "account"),
    "join": {
        "place": dict.fromkeys(named("ec2", "CreateNetworkInterface"), ANY),
        "interface": {
            "ec2:CreateNetworkInterface": ANY,
            **dict.fromkeys(KINDS["interface"][1:], frozenset({"in a subnet of the jobs"})),
        },
    },
    "use": _verb(KINDS["connection"][::2], "connection"),
    "build": _verb(named("codebuild", "StartBuild BatchGetBuilds"), "project"),
    "read the state of": _verb(named("codepipeline", "GetPipelineState"), "delivery"),
    "read runs of": _verb(named("codepipeline", "GetPipelineExecution ListActionExecutions"), "delivery"),
    "list runs of": _verb(named("codepipeline", "ListPipelineExecutions"), "delivery"),
    "follow runs of": _verb(named("codepipeline", "GetPipelineExecution ListPipelineExecutions"), "delivery"),
    "start a run of": _verb(named("codepipeline", "StartPipelineExecution"), "delivery"),
    "confirm": _verb(named("codepipeline", "PutApprovalResult"), "approval"),
}  # fmt: skip
