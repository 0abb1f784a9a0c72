"""One name for the same thing in every installation: accounts, stages, models and ids don't matter to a permission."""

from __future__ import annotations

import re
from collections.abc import Sequence

_STAGES = "dev|staging|prod"
_ROLE = re.compile(r"arn:[^:]*:iam::[^:]*:role/mlops/([\w*-]+)/([\w*-]+)/(.+)")
_BUILDS = re.compile(rf"mlops-(?:(?:delivery-)(?!pipeline))?(.+?)(?:-(?:{_STAGES})|-pipeline)?")
# The models of the tests' installations, longest names first; a branch appends two hyphens and more.
_MODELS = re.compile(
    r"(?:mammo-severity-model-package|wine-quality-model-package|mammography-severity-model|wine-quality-model"
    r"|mammo-severity|wine-quality)(?:--[a-z0-9]+(?:-(?!(?:dev|staging|prod|train|inference|quality)\b)[a-z0-9]+)*)?"
)
# In this order: what a bucket is for first, then what differs within its name or key.
_REPLACED: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"sagemaker-mlops-artifacts-\d{12}-[a-z0-9-]+?-\d(?=/|$)", "ARTIFACTS-BUCKET"),
        (r"sagemaker-mlops-delivery-\d{12}-[a-z0-9-]+?-\d(?=/|$)", "DELIVERY-BUCKET"),
        (rf"sagemaker-mlops-(?:{_STAGES})-\d{{12}}-[a-z0-9-]+?-\d(?=/|$)", "DATA-BUCKET"),
        (r"cdk-\w+-assets-\d{12}-[a-z0-9-]+?-\d(?=/|$)", "CDK-ASSETS-BUCKET"),
        (r"sagemaker-mlops-delivery-artifacts-\d{12}-[a-z0-9-]+?-\d(?=/|$)", "PIPELINE-BUCKET"),
        (r"(?<=:)\w+Stack(?:-[a-z0-9-]+)?-\w+DeadLetters\w*(?:-\w+)?", "DEAD-LETTERS"),
        (r"arn:aws[a-z-]*:", "arn:"),
        (r":[a-z]{2}-[a-z]+-\d:", ":REGION:"),
        (r"\b\d{12}\b", "ACCOUNT"),
        (r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", "ID"),
        (r"\b[0-9a-f]{64}\b", "SHA256"),
        (r"\d{8}T\d{6}Z-[0-9a-f]+", "ID"),
        (r"(/execution|/train|/inference|/quality|/checks|/STAGE)/[a-z0-9]{12}(?=/|$|-|\.)", r"\1/ID"),
        (r":key/[^*/]+$", ":key/WITHOUT-ALIAS"),
        (rf"/(?:{_STAGES})/", "/STAGE/"),
        (rf"-(?:{_STAGES})(?=-|/|:|$)", ""),
        (r"/STAGE/[a-z0-9]{12}/", "/STAGE/ID/"),
        (r"(?<=[/-])[a-z0-9]*\d[a-z0-9]*(?:-[a-zA-Z0-9]{8,12})+(?:-\d+)?(?=/|$)", "ID"),
        (r"\b[0-9a-f]{8}(?:[0-9a-f]{4,56})?\b", "ID"),
        (r"/\d+(?=/|$|-)", "/N"),
    )
)
# What only things have that were used, and patterns don't.
_OF_RUNS: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"(MODEL-(?:train|inference))-(?!pipeline)[^/:]+", r"\1-JOB"),
        (r"(/scripts/SHA256)/.+", r"\1/CODE"),
        (r"(/data/[^/]+)/.+", r"\1/FILE"),
        (r"(/state/[^/]+|/_state/[^/]+)/.+?(\.tries\.json)?$", r"\1/NAME\2"),
        (r"(/(?:predictions|prepared))/.+", r"\1/FILE"),
        (r"(/checks/batches)/.+", r"\1/ID/FILE"),
        (r"(/_promotions)/[^/]+/", r"\1/ID/"),
        (r"(PIPELINE-BUCKET)/.+", r"\1/ARTIFACT"),
        (r"(DELIVERY-BUCKET/reviews)/.+", r"\1/NAME"),
        (r"(:schedule/default/mlops-check)-.+", r"\1-ID"),
        (r"(log-stream:[^/]+)/.+", r"\1/STREAM"),
    )
)


def purpose(principal: str) -> str | None:
    """Return what a role of ours is for; None for who isn't a role of ours.

    Parameters
    ----------
    principal
        ARN of a role, or a pattern for some.
    """
    role = _ROLE.fullmatch(principal)
    if role is None:
        return None
    stage, found, name = role.groups()
    if found in ("build", "pipeline"):
        step = _BUILDS.fullmatch(name)
        return f"{found} {step[1] if step else name}"
    return f"{stage} {found}" if stage in ("registry", "delivery") else found


def holder(principal: str) -> str | None:
    """Return who a recorded decision counts for: a purpose, a service, or a person; None for an account's root."""
    if re.fullmatch(r"[a-z0-9.-]+\.amazonaws\.com", principal):
        return principal
    if ":user/" in principal or ":oidc-provider/" in principal:
        return "a person or another system"
    return purpose(principal)


def resource(arn: str) -> str:
    """Return an ARN, or a pattern for some, without what differs between installations and runs."""
    found = _MODELS.sub("MODEL", arn)
    for pattern, by in _REPLACED:
        found = pattern.sub(by, found)
    return found


def place(arn: str) -> str:
    """Return where something was done, without the names that a run gives to its things.

    Parameters
    ----------
    arn
        As it was recorded.
    """
    found = resource(arn)
    for pattern, by in _OF_RUNS:
        found = pattern.sub(by, found)
    return found
