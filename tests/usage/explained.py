"""What is granted and never exercised on the embedded cloud: why it is granted, and the page of AWS that asks for it.

Short on purpose. An entry that explains nothing any more fails a test, and so does a link that isn't AWS's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.usage.granted import Grant

_DOCS = "https://docs.aws.amazon.com/"
_JOB_ROLES = f"{_DOCS}sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms"


@dataclass(frozen=True)
class Explained:
    """Grants of some actions to some holders, with the reason for them.

    Attributes
    ----------
    holders, actions
        Names or patterns.
    why
        Who needs it, and that the embedded cloud doesn't ask.
    link
        Where AWS says so.
    on
        A part of the resource. Default: any resource.
    """

    holders: Sequence[str]
    actions: Sequence[str]
    why: str
    link: str
    on: str = ""

    def covers(self, grant: Grant) -> bool:
        """Whether a grant is one of these."""
        return (
            any(fnmatchcase(grant.holder, one) for one in self.holders)
            and any(fnmatchcase(grant.action, one) for one in self.actions)
            and any(self.on in one for one in grant.resources)
        )


_JOBS = ("train", "inference")
EXPLAINED: tuple[Explained, ...] = (
    # -- what SageMaker does as a job's role, where the embedded cloud runs a process --
    Explained(
        _JOBS,
        ("ecr:*", "logs:*", "cloudwatch:PutMetricData", "ec2:*", "kms:CreateGrant"),
        "SageMaker pulls a job's image, writes its log and metrics, joins its network and encrypts its volume as the"
        " job's role; here it is a process with files",
        _JOB_ROLES,
    ),
    Explained(
        _JOBS,
        ("kms:Encrypt",),
        "SageMaker asks it of a role whose job names the key of its outputs by an alias; here aliases are looked up",
        f"{_DOCS}sagemaker/latest/APIReference/API_OutputDataConfig.html",
    ),
    Explained(
        _JOBS,
        ("sagemaker:AddTags",),
        "Pipelines tags the jobs and models of an execution, which asks for it where they are created; here none are",
        f"{_DOCS}service-authorization/latest/reference/list_amazonsagemaker.html",
    ),
    Explained(
        _JOBS,
        ("sagemaker:StopTransformJob",),
        "a run that is stopped stops its job as the pipeline's role; tried with jobs of the other kinds, which last",
        f"{_DOCS}sagemaker/latest/APIReference/API_StopPipelineExecution.html",
    ),
    # -- what people do in the console --
    Explained(
        ("data-scientist", "operator"),
        ("logs:FilterLogEvents", "logs:GetLogEvents"),
        "people read why a job failed; here a job writes a file, which no log group holds",
        f"{_DOCS}sagemaker/latest/dg/logging-cloudwatch.html",
    ),
    # -- what other services do --
    Explained(
        _JOBS,
        ("s3:AbortMultipartUpload",),
        "SageMaker uploads what is large in parts, and gives an upload up, or its parts stay; here files are copied",
        f"{_DOCS}AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions",
    ),
    Explained(
        ("build *",),
        (
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "s3:GetBucketAcl",
            "s3:GetBucketLocation",
            "s3:GetObjectVersion",
        ),
        "CodeBuild writes a build's log and fetches its input, by version, as the build's role; here both are files",
        f"{_DOCS}codebuild/latest/userguide/setting-up-service-role.html",
    ),
    Explained(
        ("build synth", "pipeline *"),
        ("kms:DescribeKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
        "CodeBuild and CodePipeline ask for these where they leave encrypted artifacts; S3 here needs a data key only",
        f"{_DOCS}codebuild/latest/userguide/setting-up-kms.html",
    ),
    Explained(
        ("pipeline *",),
        ("s3:GetBucket*", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObjectAcl", "kms:Decrypt"),
        "CodePipeline carries artifacts between actions as the pipeline's role; here they lie in a folder",
        f"{_DOCS}codepipeline/latest/userguide/how-to-custom-role.html",
    ),
    Explained(
        ("*",),
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        "Lambda writes a function's log as the function's role; here it is a file",
        f"{_DOCS}lambda/latest/dg/lambda-intro-execution-role.html",
        on="/aws/lambda/",
    ),
    Explained(
        ("*",),
        ("sqs:SendMessage",),
        "Lambda, EventBridge and Scheduler send what they could not deliver; no run here fails in this way",
        f"{_DOCS}lambda/latest/dg/invocation-async-retain-records.html",
        on="DEAD-LETTERS",
    ),
    Explained(
        ("logs.*.amazonaws.com",),
        ("kms:*",),
        "CloudWatch Logs encrypts log groups with the key that they name",
        f"{_DOCS}AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
    ),
    Explained(
        ("logging.s3.amazonaws.com",),
        ("s3:PutObject",),
        "S3 delivers access logs itself",
        f"{_DOCS}AmazonS3/latest/userguide/enable-server-access-logging.html",
    ),
    Explained(
        ("events.amazonaws.com", "cloudwatch.amazonaws.com"),
        ("kms:Decrypt", "kms:GenerateDataKey[*]"),
        "a service that publishes to an encrypted topic needs its key, both actions",
        f"{_DOCS}sns/latest/dg/sns-key-management.html#compatibility-with-aws-services",
        on="-alerts",
    ),
)


def reasons(grants: Iterable[Grant]) -> dict[Grant, Explained]:
    """Return the first entry for each grant that has one."""
    found = {}
    for grant in grants:
        entry = next((one for one in EXPLAINED if one.covers(grant)), None)
        if entry:
            found[grant] = entry
    return found
