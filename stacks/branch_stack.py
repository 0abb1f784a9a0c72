"""A feature branch in dev: pipelines and a package group of its own beside main's, which go with the branch."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_mlops import DataScientistRole, ModelCleanup, ModelNames, ModelRegistry, StageDataBucket
from stacks.branch import Branch
from stacks.installation import Model, Settings
from stacks.job_networks import network_of_branch
from stacks.model_pipelines import ModelPipelines
from stacks.registry_stack import names_of


class BranchStack(cdk.Stack):
    """Every model's pipelines as the branch has them, in dev's bucket and with dev's key.

    It learns from main's data of dev, which it only reads. Its versions are in groups of dev's account and its
    artifacts in dev's data bucket: nothing of it is known to the registry, staging or prod. When it is destroyed,
    all that it made goes.

    Parameters
    ----------
    settings
        The installation as main has it.
    branch
        The branch.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, branch: Branch, **kwargs: Any
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self._stage, self._branch = settings.stage("dev"), branch
        self._settings = branch.settings(settings)
        key = f"arn:{settings.partition}:kms:{settings.region}:{self._stage.account}:alias/mlops-dev-data"
        self.data = StageDataBucket.from_attributes(
            self, "Data", bucket_name=self._stage.data_bucket_name, key_alias_arn=key
        )
        self.registry = ModelRegistry(
            self,
            "Registry",
            account=self._stage.account,
            region=settings.region,
            artifacts_bucket_name=self.data.bucket_name,
            key=self.data.key,
            stage="dev",
        )
        # Main's prefixes name the constructs: one model has the same logical ids on every branch.
        self.models = {
            model.folder: self._model(main.prefix, model)
            for main, model in zip(settings.models, self._settings.models, strict=True)
        }
        if settings.people.data_scientists:
            self._admit_people()

    def _model(self, construct_id: str, model: Model) -> ModelPipelines:
        names = names_of(model)
        group = sagemaker.CfnModelPackageGroup(
            self,
            f"Group-{construct_id}",
            model_package_group_name=model.model_package_group,
            model_package_group_description=f"Versions of {model.model_name}, of the branch {self._branch.tag}",
            tags=[cdk.CfnTag(key="mlops:model", value=model.model_name), self._tag()],
        )
        cleanup = ModelCleanup(
            self, f"Cleanup-{construct_id}", model=names, stage="dev", data_bucket=self.data
        )
        pipelines = ModelPipelines(
            self,
            construct_id,
            settings=self._settings,
            stage=self._stage,
            model=model,
            names=names,
            data=self.data,
            registry=self.registry,
            network=network_of_branch(self._stage),
        )
        # Deleted the other way round: first what runs and writes, then what it has left, then the empty group.
        cleanup.node.add_dependency(group)
        pipelines.node.add_dependency(cleanup)
        return pipelines

    def _tag(self) -> cdk.CfnTag:
        return cdk.CfnTag(key="mlops:branch", value=self._branch.tag)

    def _admit_people(self) -> None:
        """Let dev's data scientists run the branch's pipelines, read what they made, and approve its versions."""
        names = [names_of(model) for model in self._settings.models]
        role = DataScientistRole(
            self,
            "DataScientists",
            stage="dev",
            principals=self._settings.people.data_scientists,
            data_bucket=self.data,
            require_mfa=self._settings.people.require_mfa,
            prefix=self._branch.people_prefix,
            readable=[pattern for name in names for pattern in _readable(name)],
        )
        for pipelines in self.models.values():
            role.allow(pipelines.train)
            role.allow(pipelines.inference)
            role.allow(pipelines.quality)
        for name in names:
            self.registry.grant_approve(role.role, name, artifacts=False)


def _readable(model: ModelNames) -> tuple[str, str]:
    return f"{model.model_name}/*", f"{model.data}/*"
