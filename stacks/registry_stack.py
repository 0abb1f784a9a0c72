"""The registry account: model versions, who may approve them, and who is told."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from cdk_mlops import AccessLogsBucket, AuditTrail, CrossAccountModelRegistry, ModelNames, RegistryStage
from stacks.installation import Model, Settings


def names_of(model: Model) -> ModelNames:
    """Return a model's names as the library takes them."""
    branch = model.branch_of
    return ModelNames(
        prefix=model.prefix,
        model_name=model.model_name,
        package_group=model.model_package_group,
        job_prefix=None if branch is None else branch.job_prefix,
        data_name=None if branch is None else branch.model_name,
    )


class RegistryStack(cdk.Stack):
    """Artifacts, package groups and approvals of all models.

    Parameters
    ----------
    settings
        The installation.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, **kwargs)
        removal = cdk.RemovalPolicy.DESTROY if settings.throw_away else None
        logs = AccessLogsBucket(
            self, "AccessLogs", stage="registry", keep_days=settings.audit.keep_days, removal=removal
        )
        self.registry = CrossAccountModelRegistry(
            self,
            "Registry",
            stages=[RegistryStage(name, settings.accounts[name]) for name in settings.stages],
            models=[names_of(model) for model in settings.models],
            approvers=settings.people.approvers,
            require_mfa=settings.people.require_mfa,
            artifacts_bucket_name=settings.artifacts_bucket_name,
            alert_email=settings.email,
            alert_topic_name=settings.registry_topic_name,
            reminder_days=min(model.reminder_days for model in settings.models),
            access_logs=logs,
            removal=removal,
        )
        if settings.audit.data_events:
            AuditTrail(
                self,
                "Audit",
                stage="registry",
                bucket_arns=[self.registry.artifacts_bucket_arn],
                keep_days=settings.audit.keep_days,
                access_logs=logs,
                removal=removal,
            )
