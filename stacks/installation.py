"""An installation as the stacks and commands see it: accounts, stages, people, models and their names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

from pipeline_code.definitions import image_uri, monitor_image_uri
from stacks.section import SettingsError, suggestion

StageName = Literal["dev", "staging", "prod"]
PipelineKind = Literal["train", "inference", "quality"]
PIPELINE_KINDS: tuple[PipelineKind, ...] = ("train", "inference", "quality")
RetrainOn = Literal["drift", "violation", "any_failure"]
DeliveredBy = Literal["codepipeline", "github", "jenkins"]
# All that there can be, in the order that a commit passes them; an installation has `Settings.stages`.
STAGES: tuple[StageName, ...] = ("dev", "staging", "prod")
STACKS: Mapping[str, str] = {
    "registry": "RegistryStack",
    "dev": "DevStack",
    "staging": "StagingStack",
    "prod": "ProdStack",
}
_JOB_PREFIX_LENGTH, _JOB_DIGEST_LENGTH = 24, 8
BOOTSTRAP_QUALIFIER = "hnb659fds"  # what `cdk bootstrap` puts into the names of its roles by default


@dataclass(frozen=True)
class People:
    """Who may act: ARNs of users, roles or accounts; nobody by default."""

    approvers: tuple[str, ...]
    data_scientists: tuple[str, ...]
    operators: tuple[str, ...]
    require_mfa: bool


@dataclass(frozen=True)
class Network:
    """Where the jobs of a stage run: two subnets and one security group."""

    subnets: tuple[str, str]
    security_group: str


@dataclass(frozen=True)
class NewNetwork:
    """A network that each stage's stack makes for its jobs.

    Attributes
    ----------
    interface_endpoints
        Services that containers call through it; ours call none.
    s3_prefix_list
        The region's prefix list of S3, where the jobs' security group shall let out to S3 only.
    """

    interface_endpoints: tuple[str, ...]
    s3_prefix_list: str | None


@dataclass(frozen=True)
class Schedule:
    """When batches are scored."""

    expression: str
    time_zone: str
    flexible_minutes: int
    enabled: bool


@dataclass(frozen=True)
class Thresholds:
    """Gates of training and the limit of drift; what the settings don't say is as in model.yaml."""

    auc: float
    champion_margin: float
    drift: float


@dataclass(frozen=True)
class InstanceTypes:
    """What the jobs run on; what the settings don't say is as in model.yaml."""

    processing: str
    training: str
    transform: str


@dataclass(frozen=True)
class BranchOf:
    """What a model on a feature branch has of main's: the definitions, and the data that it reads.

    Attributes
    ----------
    prefix, model_name
        Main's: names of jobs in the definitions begin with the one, keys of the data with the other.
    job_prefix
        What the names of the branch's jobs begin with instead.
    """

    prefix: str
    model_name: str
    job_prefix: str


@dataclass(frozen=True)
class Model:
    """One model: the names that its folder gives it, and how this installation runs it."""

    folder: str
    prefix: str
    model_name: str
    model_package_group: str
    schedule: Schedule
    batch: str
    thresholds: Thresholds
    retrain_on: RetrainOn
    predictions_on_drift: str
    instance_types: InstanceTypes
    reminder_days: int
    retrain_after: tuple[int, int] = (1, 1)  # how many of how many batches must have drifted
    branch_of: BranchOf | None = None

    @property
    def data_name(self) -> str:
        """Return the first part of the keys of its training data and batches."""
        return self.model_name if self.branch_of is None else self.branch_of.model_name


@dataclass(frozen=True)
class Delivery:
    """What carries a commit to prod, from where, and in which account it runs; no section, no delivery.

    ``repository`` and ``connection_arn`` are empty where `by` doesn't need them.
    """

    account: str
    by: DeliveredBy
    repository: str
    branch: str
    connection_arn: str
    jenkins_principals: tuple[str, ...]
    oidc_provider_arn: str | None
    approve_versions: bool


@dataclass(frozen=True)
class Audit:
    """What is written down about who used what."""

    data_events: bool
    keep_days: int


@dataclass(frozen=True)
class Stage:
    """One stage as its stack sees it."""

    name: StageName
    account: str
    region: str
    network: Network | NewNetwork | None
    alert_topic_name: str
    shares_account: bool

    def retrain_on(self, model: Model) -> str:
        """Return what retrains a model by itself in this stage: nothing in dev."""
        return "none" if self.name == "dev" else model.retrain_on

    def pipeline_name(self, model: Model, kind: PipelineKind) -> str:
        """Return a pipeline's name; it carries the stage where two stages share an account."""
        middle = f"-{self.name}" if self.shares_account else ""
        return f"{model.prefix}{middle}-{kind}-pipeline"

    def job_prefix(self, model: Model) -> str | None:
        """Return what names of jobs begin with instead of the model's prefix; None where it is that.

        Where two stages share an account it carries the stage, so that the roles of one reach no job of the other. A
        job's name keeps 24 characters of its own.
        """
        if not self.shares_account:
            return None
        whole = f"{model.prefix}-{self.name}"
        if len(whole) <= _JOB_PREFIX_LENGTH:
            return whole
        digest = hashlib.sha256(whole.encode()).hexdigest()[:_JOB_DIGEST_LENGTH]
        head = model.prefix[: _JOB_PREFIX_LENGTH - len(f"-{digest}-{self.name}")].rstrip("-")
        return f"{head}-{digest}-{self.name}"

    @property
    def data_bucket_name(self) -> str:
        """Return the name of the stage's data bucket."""
        return f"sagemaker-mlops-{self.name}-{self.account}-{self.region}"

    @property
    def notification_topic_name(self) -> str:
        """Return the name of the alert topic; it carries the stage where two stages share an account."""
        return f"{self.alert_topic_name}-{self.name}" if self.shares_account else self.alert_topic_name


@dataclass(frozen=True)
class Settings:
    """All settings of an installation."""

    accounts: Mapping[str, str]
    region: str
    people: People
    email: str | None
    networks: Mapping[str, Network | NewNetwork]
    monitor: str
    alert_topic_name: str
    models: tuple[Model, ...]
    delivery: Delivery | None
    audit: Audit
    throw_away: bool
    commit: str

    @cached_property
    def variant(self) -> str:
        """Return which compiled variant of the definitions is used; all stages use the same."""
        parts = (["model-monitor"] if self.monitor == "model-monitor" else []) + (
            ["vpc"] if self.networks else []
        )
        return "-".join(parts) or "default"

    @property
    def stages(self) -> tuple[StageName, ...]:
        """Return the stages that this installation has, in the order that a commit passes them."""
        return tuple(stage for stage in STAGES if stage in self.accounts)

    @property
    def partition(self) -> str:
        """Return the partition that the region lies in."""
        return partition_of(self.region)

    @property
    def image_uri(self) -> str:
        """Return the XGBoost container of the region: account, registry and tag."""
        return image_uri(self.region)

    @property
    def monitor_image_uri(self) -> str:
        """Return Model Monitor's container of the region."""
        return monitor_image_uri(self.region)

    @property
    def images(self) -> list[str]:
        """Return the containers that the jobs run."""
        return [self.image_uri] + ([self.monitor_image_uri] if self.monitor == "model-monitor" else [])

    @property
    def artifacts_bucket_name(self) -> str:
        """Return the name of the bucket in the registry account."""
        return f"sagemaker-mlops-artifacts-{self.accounts['registry']}-{self.region}"

    @property
    def registry_topic_name(self) -> str:
        """Return the topic that approvers are told on."""
        return f"{self.alert_topic_name}-registry"

    def topic_arn(self, account_name: str) -> str:
        """Return the topic that people of ``registry``, ``dev`` or ``prod`` are told on."""
        stages = {stage: self.stage(stage).notification_topic_name for stage in self.stages}
        name = stages.get(cast(StageName, account_name), self.registry_topic_name)
        return f"arn:{self.partition}:sns:{self.region}:{self.accounts[account_name]}:{name}"

    @property
    def approver_role_arn(self) -> str:
        """Return the role that approves and rejects versions."""
        account = self.accounts["registry"]
        return f"arn:{self.partition}:iam::{account}:role/mlops/registry/approver/mlops-registry-approver"

    def version_arn(self, model: Model, number: str) -> str:
        """Return a version of a model in the central registry."""
        place = f"{self.partition}:sagemaker:{self.region}:{self.accounts['registry']}"
        return f"arn:{place}:model-package/{model.model_package_group}/{number}"

    def checker_role_arn(self, stage: str) -> str:
        """Return the role by which a delivery checks a stage."""
        return f"arn:{self.partition}:iam::{self.accounts[stage]}:role/mlops/{stage}/checker/mlops-{stage}-checker"

    def lookup_role_arn(self, account_name: str) -> str:
        """Return the role of the bootstrap that reads what is deployed in ``registry``, ``dev`` ..."""
        account = self.accounts[account_name]
        return bootstrap_role_arn(self.partition, account, self.region, "lookup")

    def delivery_role_arn(self, step: str) -> str:
        """Return the role of a build of the delivery, or of another CI system."""
        account = self.accounts["registry"] if self.delivery is None else self.delivery.account
        return f"arn:{self.partition}:iam::{account}:role/mlops/delivery/build/mlops-delivery-{step}"

    def checkers_of(self, stage: str) -> tuple[str, ...]:
        """Return the roles of the delivery that check a stage; none where there is no delivery."""
        if self.delivery is None:
            return ()
        # Only a job of GitHub's environment prod, which reviewers protect, gets the role for prod.
        github = "github-prod" if stage == "prod" else "github"
        steps = {"codepipeline": f"check-{stage}", "github": github, "jenkins": "jenkins"}
        return (self.delivery_role_arn(steps[self.delivery.by]),)

    def known_stage(self, name: str | None) -> Stage:
        """Return a stage that a person named.

        Raises
        ------
        SettingsError
            Where the installation has no such stage.
        """
        for stage in self.stages:
            if stage == name:
                return self.stage(stage)
        if name == "staging":
            raise SettingsError("there is no staging: name its account under mlops.accounts.staging")
        if name is None:
            raise SettingsError(f"STAGE is missing: {_words(self.stages)}; for example STAGE=dev")
        raise SettingsError(f"STAGE must be {_words(self.stages)}, got {name!r}; for example STAGE=dev")

    def stage(self, name: StageName) -> Stage:
        """Return one stage."""
        return Stage(
            name=name,
            account=self.accounts[name],
            region=self.region,
            network=self.networks.get(name),
            alert_topic_name=self.alert_topic_name,
            shares_account=[self.accounts[one] for one in self.stages].count(self.accounts[name]) > 1,
        )

    def model(self, folder: str) -> Model:
        """Return a model by its folder, prefix or model name."""
        for model in self.models:
            if folder in (model.folder, model.prefix, model.model_name):
                return model
        known = [model.folder for model in self.models]
        raise SettingsError(f"no model '{folder}'{suggestion(folder, known)}; known are {', '.join(known)}")


def bootstrap_role_arn(partition: str, account: str, region: str, purpose: str) -> str:
    """Return a role that ``cdk bootstrap`` made: ``deploy``, ``file-publishing``, ``lookup`` or ``cfn-exec``."""
    return f"arn:{partition}:iam::{account}:role/cdk-{BOOTSTRAP_QUALIFIER}-{purpose}-role-{account}-{region}"


def _words(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def partition_of(region: str) -> str:
    """Return the partition of a region by the prefix of its name."""
    for prefix, partition in (
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eusc-", "aws-eusc"),
    ):
        if region.startswith(prefix):
            return partition
    return "aws"
