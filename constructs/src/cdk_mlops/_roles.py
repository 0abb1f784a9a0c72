"""How every role of the library is named, placed and trusted."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_mlops._statements import Statement, document, place_of


def role_path(stage: str, purpose: str) -> str:
    """Return the path that shared policies admit roles by."""
    return f"/mlops/{stage}/{purpose}/"


def role_name(stage: str, purpose: str, prefix: str = "mlops") -> str:
    """Return a role's name: the model's prefix, or ``mlops`` where all models share the role."""
    return f"{prefix}-{stage}-{purpose}"


def service_role(
    scope: Construct,
    construct_id: str,
    *,
    stage: str,
    purpose: str,
    service: str,
    description: str,
    statements: Sequence[Statement],
    prefix: str = "mlops",
    trust_conditions: dict[str, dict[str, object]] | None = None,
) -> iam.Role:
    """Return a role that one service may assume, with its whole policy inline: one resource a role."""
    principal = iam.ServicePrincipal(service)
    return iam.Role(
        scope,
        construct_id,
        role_name=role_name(stage, purpose, prefix),
        path=role_path(stage, purpose),
        description=description,
        assumed_by=principal.with_conditions(trust_conditions) if trust_conditions else principal,
        inline_policies={"Policy": document(statements)} if statements else None,
    )


def own_account(scope: Construct) -> dict[str, dict[str, object]]:
    """Return the condition by which a service may act for this account only (confused deputy)."""
    return {"StringEquals": {"aws:SourceAccount": place_of(scope).account}}


def people_role(
    scope: Construct,
    construct_id: str,
    *,
    stage: str,
    purpose: str,
    principals: Sequence[str],
    require_mfa: bool,
    description: str,
    prefix: str = "mlops",
) -> iam.Role:
    """Return a role that the named people may assume, with multi-factor authentication unless said otherwise."""
    people = iam.CompositePrincipal(*[iam.ArnPrincipal(arn) for arn in principals])
    trusted = (
        people.with_conditions({"Bool": {"aws:MultiFactorAuthPresent": "true"}}) if require_mfa else people
    )
    return iam.Role(
        scope,
        construct_id,
        role_name=role_name(stage, purpose, prefix),
        path=role_path(stage, purpose),
        description=description,
        assumed_by=trusted,
        max_session_duration=Duration.hours(1),
    )
