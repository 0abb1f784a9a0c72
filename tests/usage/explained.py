"""What is granted and never exercised on the embedded cloud: why it is granted, and the page of AWS that asks for it.

Short on purpose. An entry that explains nothing any more fails a test, and so does a link that isn't AWS's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.usage.granted import Grant

_DOCS = "https://docs.aws.amazon.com/"
_JOB_ROLES = f"{_DOCS}sagemaker/latest/dg/sagemaker-roles.html"
_VPC = f"{_DOCS}sagemaker/latest/dg/train-vpc.html"


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
    Explained(
        _JOBS,
        ("ecr:*",),
        "SageMaker pulls a job's image as the job's role; local steps are processes, without an image",
        _JOB_ROLES,
    ),
    Explained(
        _JOBS,
        ("logs:*", "cloudwatch:PutMetricData"),
        "SageMaker writes a job's log and metrics as the job's role; local steps write to a file",
        _JOB_ROLES,
    ),
    Explained(
        _JOBS,
        ("ec2:*",),
        "SageMaker makes a job's network interfaces as the job's role; there is no network here to join",
        _VPC,
    ),
    Explained(
        _JOBS,
        ("kms:CreateGrant", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKeyWithoutPlaintext"),
        "EBS encrypts a job's volumes under a grant, and SageMaker resolves and tries the keys that a job names",
        f"{_DOCS}sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms",
    ),
    Explained(
        _JOBS,
        ("sagemaker:AddTags", "sagemaker:ListTags"),
        "Pipelines hands a pipeline's tags on to the jobs and models of its steps",
        f"{_DOCS}sagemaker/latest/dg/build-and-manage-access.html",
    ),
    Explained(
        _JOBS,
        ("sagemaker:StopProcessingJob", "sagemaker:StopTrainingJob", "sagemaker:StopTransformJob"),
        "Pipelines stops the jobs of an execution that is stopped, as its role; here a run may end between two jobs",
        f"{_DOCS}sagemaker/latest/APIReference/API_StopPipelineExecution.html",
    ),
    Explained(
        ("*",),
        ("s3:AbortMultipartUpload",),
        "whoever may begin an upload in parts must be able to give it up, or its parts stay and are paid for",
        f"{_DOCS}AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions",
    ),
    Explained(
        ("build *",),
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        "CodeBuild writes a build's log as the build's role; here it is a file",
        f"{_DOCS}codebuild/latest/userguide/setting-up-service-role.html",
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
