"""In which situations each action is tried: the condition keys that AWS would set, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.permissions.jobs import SUBNETS, Home, is_job, job_situations
from tests.permissions.policy import Context
from tests.permissions.world import STRANGER

Situation = tuple[str, Context]  # the word that the intent has for it, and the keys

_STATUS, _STAGE, _STATE = (
    "sagemaker:modelapprovalstatus",
    "sagemaker:modellifecycle:stage",
    "sagemaker:modellifecycle:stagestatus",
)
_MFA: Sequence[Situation] = [
    ("with MFA", {"aws:multifactorauthpresent": ("true",)}),
    ("without MFA", {"aws:multifactorauthpresent": ("false",)}),
    ("with a key", {}),
]
_GITHUB = "token.actions.githubusercontent.com"
_FOR_AWS = {"aud": "sts.amazonaws.com"}
_MAIN, _PROD = "repo:example/cdk-mlops:ref:refs/heads/main", "repo:example/cdk-mlops:environment:prod"
# What a token of GitHub's says of the job that bears it:
# https://docs.github.com/en/actions/reference/security/oidc
_TOKENS: Mapping[str, Mapping[str, str]] = {
    "as a job of main": {**_FOR_AWS, "sub": _MAIN},
    "as a job of the environment prod": {**_FOR_AWS, "sub": _PROD},
    "as a job of another branch": {**_FOR_AWS, "sub": _MAIN.replace("main", "maintenance")},
    "as a job of a tag": {**_FOR_AWS, "sub": _MAIN.replace("heads", "tags")},
    "as a job of a pull request": {**_FOR_AWS, "sub": "repo:example/cdk-mlops:pull_request"},
    "as a job of another environment": {**_FOR_AWS, "sub": _PROD.replace("prod", "production")},
    "as a job of another repository": {**_FOR_AWS, "sub": _MAIN.replace("cdk-mlops", "cdk-mlops2")},
    "as a job of another repository's environment": {**_FOR_AWS, "sub": _PROD.replace("cdk-mlops", "other")},
    "as a job of a fork": {**_FOR_AWS, "sub": _MAIN.replace("example", "stranger")},
    "as a job of main for another audience": {"aud": "https://github.com/example", "sub": _MAIN},
    "as a job of prod for another audience": {"aud": "https://github.com/example", "sub": _PROD},
    "as a job of main for nobody": {"sub": _MAIN},
    "as a job of prod for nobody": {"sub": _PROD},
    "as nobody": _FOR_AWS,
}
_BY_TOKEN: Sequence[Situation] = [
    (word, {f"{_GITHUB}:{key}": (value,) for key, value in claims.items()})
    for word, claims in _TOKENS.items()
]
_BY_ACTION: Mapping[str, Sequence[Situation]] = {
    "kms:CreateGrant": [
        ("for an AWS resource", {"kms:grantisforawsresource": ("true",)}),
        ("for anybody", {"kms:grantisforawsresource": ("false",)}),
        ("unsaid", {}),
    ],
    "iam:PassRole": [
        *(
            (f"to {name}", {"iam:passedtoservice": (f"{name.lower()}.amazonaws.com",)})
            for name in ("SageMaker", "Scheduler", "Lambda")
        ),
        ("unsaid", {}),
    ],
    "sts:AssumeRole": _MFA,
    "sts:AssumeRoleWithWebIdentity": _BY_TOKEN,
    "sts:TagSession": [*_MFA, *_BY_TOKEN[:2]],
    "sagemaker:CreateModelPackage": [
        ("waiting", {_STATUS: ("PendingManualApproval",)}),
        ("approved", {_STATUS: ("Approved",)}),
        (
            "waiting but released",
            {_STATUS: ("PendingManualApproval",), _STAGE: ("prod",), _STATE: ("released",)},
        ),
        ("unsaid", {}),
    ],
    "sagemaker:UpdateModelPackage": [
        ("as approved", {_STATUS: ("Approved",)}),
        ("as released to prod", {_STAGE: ("prod",), _STATE: ("released",)}),
        ("as withdrawn from dev", {_STAGE: ("dev",), _STATE: ("withdrawn",)}),
        ("as withdrawn and approved", {_STAGE: ("prod",), _STATE: ("withdrawn",), _STATUS: ("Approved",)}),
        ("as withdrawn from prod", {_STAGE: ("prod",), _STATE: ("withdrawn",)}),
        ("as released to dev", {_STAGE: ("dev",), _STATE: ("released",)}),
        ("as a draft for prod", {_STAGE: ("prod",), _STATE: ("draft",)}),
        ("as released and approved", {_STAGE: ("prod",), _STATE: ("released",), _STATUS: ("Approved",)}),
        ("in its description", {}),
    ],
    "events:PutEvents": [
        ("a finding", {"events:source": ("cdk-mlops",), "events:detail-type": ("Batch Finding",)}),
        ("another source", {"events:source": ("other",), "events:detail-type": ("Batch Finding",)}),
        (
            "one of two sources",
            {"events:source": ("cdk-mlops", "x"), "events:detail-type": ("Batch Finding",)},
        ),
        (
            "one of two events",
            {"events:source": ("cdk-mlops",), "events:detail-type": ("Batch Finding", "x")},
        ),
        ("no source", {"events:detail-type": ("Batch Finding",)}),
        ("no event", {"events:source": ("cdk-mlops",)}),
        ("another event", {"events:source": ("cdk-mlops",), "events:detail-type": ("Other",)}),
        ("unsaid", {}),
    ],
    "cloudwatch:PutMetricData": [
        ("namespace cdk-mlops", {"cloudwatch:namespace": ("cdk-mlops",)}),
        ("namespace of jobs", {"cloudwatch:namespace": ("/aws/sagemaker/TrainingJobs",)}),
        ("namespace of other services", {"cloudwatch:namespace": ("/aws/other",)}),
        ("another namespace", {"cloudwatch:namespace": ("other",)}),
    ],
}
_SECURE = {"aws:securetransport": ("true",)}
_INSECURE = {"aws:securetransport": ("false",)}
WITHOUT_TLS = "without TLS"


def situations(
    action: str, kind: str, arn: str, account: str, service: str | None, sources: Sequence[str], home: Home
) -> Sequence[Situation]:
    """Return the situations to try, the most ordinary first.

    Parameters
    ----------
    action, kind, arn, account
        What is asked of which thing.
    service
        The AWS service that asks; None for roles and people.
    sources
        ARNs of the rules or buckets that may lead to the thing.
    home
        Of who asks.
    """
    if service is not None:
        return _of_a_service(action, kind, account, service, sources, arn)
    if is_job(action) and kind != "version":
        return job_situations(action, home)
    if action in _BY_ACTION:
        return _BY_ACTION[action]
    if kind == "interface" and action != "ec2:CreateNetworkInterface":
        place = f"{':'.join(arn.split(':')[:4])}:{home.account}:subnet/"
        return [
            *(("in a subnet of the jobs", {"ec2:subnet": (place + one,)}) for one in SUBNETS),
            *(
                ("in a stranger's subnet", {"ec2:subnet": (place.replace(home.account, STRANGER) + one,)})
                for one in SUBNETS
            ),
            ("in another subnet", {"ec2:subnet": (f"{place}subnet-0fffffffffffffff0",)}),
            ("unsaid", {}),
        ]
    if kind == "key":
        region = arn.split(":")[3]
        via = {"through S3": "s3", "through SageMaker": "sagemaker", "through SQS": "sqs"}
        return [
            *((word, {"kms:viaservice": (f"{name}.{region}.amazonaws.com",)}) for word, name in via.items()),
            ("directly", {}),
        ]
    # Of a topic's actions only publishing can be bound to TLS: the others aren't data.
    if action.split(":")[0] in ("s3", "sqs") or action == "sns:Publish":
        return [("over TLS", _SECURE), (WITHOUT_TLS, _INSECURE)]
    return [("", {})]


def _of_a_service(
    action: str, kind: str, account: str, service: str, sources: Sequence[str], arn: str
) -> Sequence[Situation]:
    name = service.split(".amazonaws", 1)[0].split(".")[0]
    region = arn.split(":")[3] if arn.count(":") > 3 and arn.split(":")[3] else "us-east-1"
    if name == "logs" and kind == "key":
        return _of_log_groups(sources, account, region)

    def source(owner: str, resource: str) -> Context:
        return {
            "aws:sourceaccount": (owner,),
            "aws:sourcearn": (f"arn:aws:{name}:{region}:{owner}:{resource}",),
            **_SECURE,
        }

    # A rule's ARN or a pipeline's: whatever acts for the account.
    own = source(account, "rule/another" if name == "events" else "pipeline/any")
    theirs = source(STRANGER, "pipeline/any")
    found: list[Situation] = [
        ("for this account", own),
        ("for this account by another's source", {**own, "aws:sourcearn": theirs["aws:sourcearn"]}),
        ("for another account by this one's source", {**own, "aws:sourceaccount": (STRANGER,)}),
        ("for another account", theirs),
        ("for nobody", _SECURE),
    ]
    if name == "logging":
        found.append(("from another source", {**own, "aws:sourcearn": ("arn:aws:s3:::other",)}))
    if name in ("events", "logging"):
        for one in sources:
            found.insert(0, ("from its source", {**own, "aws:sourcearn": (one,)}))
            strange = {**own, "aws:sourcearn": (one.replace(account, STRANGER),)}
            if strange["aws:sourcearn"] != (one,):
                found.append(("from a stranger's source", strange))
            if name == "logging":  # a bucket's ARN doesn't say whose it is
                theirs = {**own, "aws:sourcearn": (one,), "aws:sourceaccount": (STRANGER,)}
                found.append(("from a source that another account has now", theirs))
    if action.startswith("s3:") or action in ("sns:Publish", "sqs:SendMessage"):
        found.append((WITHOUT_TLS, {**found[0][1], **_INSECURE}))
    return found


def _of_log_groups(groups: Sequence[str], account: str, region: str) -> Sequence[Situation]:
    key = "kms:encryptioncontext:aws:logs:arn"
    others = [
        f"arn:aws:logs:{region}:{account}:log-group:{name}"
        for name in ("/other", "/aws/other/x", "/aws/codebuild/x")
    ]
    return [
        *(("for its log groups", {key: (one,)}) for one in groups),
        *(("for another log group", {key: (one,)}) for one in others),
        *(("for a stranger's log group", {key: (one.replace(account, STRANGER),)}) for one in groups),
        ("unsaid", {}),
    ]
