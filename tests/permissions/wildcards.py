"""Every wildcard in a policy, with the reason why it is one, and where AWS or the design asks for it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from tests.permissions.estate import Estate

_DOCS = "https://docs.aws.amazon.com"
_REFERENCE = f"{_DOCS}/service-authorization/latest/reference"
_NO_RESOURCE = "the action knows no resource"
# Pattern of a wildcard as `shown` writes it: reason, link.
REASONS: Mapping[str, tuple[str, str]] = {
    r"ec2:Describe\w+ on \*": (_NO_RESOURCE, f"{_REFERENCE}/list_amazonec2.html"),
    r"ecr:GetAuthorizationToken on \*": (
        _NO_RESOURCE,
        f"{_REFERENCE}/list_amazonelasticcontainerregistry.html",
    ),
    r"cloudwatch:PutMetricData on \*": (
        f"{_NO_RESOURCE}; a condition names the namespace",
        f"{_REFERENCE}/list_amazoncloudwatch.html",
    ),
    r"Deny \S+ on \*": ("a denial is to hold everywhere", f"{_DOCS}/sagemaker/latest/dg/security-iam.html"),
    r"key/\*": (
        "a key's id isn't known before it exists; a condition names its alias",
        f"{_DOCS}/kms/latest/developerguide/alias-authorization.html",
    ),
    r"log-group:\S+": (
        "the log streams of one group, which their writer names",
        f"{_REFERENCE}/list_amazoncloudwatchlogs.html",
    ),
    r"(model-package|model-package-group)/\*": (
        "metadata of every group: a list of them would outgrow the role's policy with the models",
        f"{_DOCS}/IAM/latest/UserGuide/reference_iam-quotas.html",
    ),
    r"model-package/<group>/\*": ("all versions of one model", f"{_REFERENCE}/list_amazonsagemaker.html"),
    r"(model|(processing|training|transform)-job)/<prefix>-(train|inference)-\*": (
        "SageMaker appends the execution's id to a job's name",
        f"{_DOCS}/sagemaker/latest/dg/build-and-manage-access.html",
    ),
    r"network-interface/\*": (
        "an interface has no name before it exists; a condition names the subnets",
        f"{_DOCS}/sagemaker/latest/dg/sagemaker-roles.html",
    ),
    r"pipeline/\*(/execution/\*)?": (
        "alerts explain any pipeline of the stage that fails",
        f"{_REFERENCE}/list_amazonsagemaker.html",
    ),
    r"pipeline/<prefix>-(train|inference|quality)-pipeline/execution/\*": (
        "executions of one pipeline: their ids aren't known",
        f"{_REFERENCE}/list_amazonsagemaker.html",
    ),
    r"schedule/default/mlops-check-<stage>-\*": (
        "one-off schedules of checks, each with an id",
        f"{_REFERENCE}/list_amazoneventbridgescheduler.html",
    ),
    r"cdk-hnb659fds-assets/\*\.json": (
        "a stack that rolls back asks for the definition before this one",
        f"{_DOCS}/cdk/v2/guide/bootstrapping-env.html",
    ),
    r"(sagemaker-mlops|DeliveryStack-Artifacts)\S*/\S*": (
        "objects below a prefix: their names aren't known",
        f"{_DOCS}/AmazonS3/latest/userguide/example-bucket-policies.html",
    ),
    r"policy: kms:\*": (
        "a key's account owns it: without this nobody could ever change its policy",
        f"{_DOCS}/kms/latest/developerguide/key-policy-default.html",
    ),
    r"policy: kms:(GenerateDataKey|ReEncrypt)\*": (
        "what AWS asks for where a service encrypts",
        f"{_DOCS}/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
    ),
    r"policy: s3:(GetBucket|GetObject|List)\*": (
        "CDK Pipelines lets the deploying roles fetch the sources",
        f"{_DOCS}/cdk/v2/guide/cdk-pipeline.html",
    ),
}


def wildcards(estate: Estate) -> list[tuple[str, int, str, str]]:
    """Return each wildcard of the estate: as shown, how often, its reason and its link.

    Raises
    ------
    ValueError
        For one without a reason.
    """
    counted: Counter[str] = Counter()
    for role in estate.roles.values():
        for statement in role.identity:
            for resource in statement.resources or ():
                if resource == "*":
                    effect = "" if statement.allow else "Deny "
                    counted.update(f"{effect}{action} on *" for action in statement.actions or ())
                elif "*" in resource:
                    counted[shown(resource)] += 1
            counted.update(f"identity: {action}" for action in statement.actions or () if "*" in action)
    for _, policy in estate.policies.values():
        for statement in policy:
            if statement.allow:
                counted.update(f"policy: {action}" for action in statement.actions or () if "*" in action)
    return [(name, counted[name], *_reason(name)) for name in sorted(counted)]


def _reason(name: str) -> tuple[str, str]:
    for pattern, found in REASONS.items():
        if re.fullmatch(pattern, name):
            return found
    raise ValueError(
        f"the wildcard '{name}' has no reason in wildcards.py: give it one, or write what it stands for"
    )


def shown(resource: str) -> str:
    """Return a resource without what differs between models, stages and accounts."""
    text = resource.removeprefix("arn:aws:s3:::") if ":s3:::" in resource else resource.split(":", 5)[5]
    for pattern, word in (
        (r"mammo-severity-model-package|wine-quality-model-package", "<group>"),
        (r"mammography-severity-model|wine-quality-model", "<model>"),
        (r"mammo-severity|wine-quality", "<prefix>"),
        (r"-\d{12}-us-east-1", ""),
        (r"Artifacts[0-9A-F]{8}", "Artifacts"),
        (r"(?<![a-z])(dev|staging|prod)(?![a-z])", "<stage>"),
    ):
        text = re.sub(pattern, word, text)
    return text
