"""The central model registry: artifacts, package groups, who of other accounts may use them, and who approves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import CfnTag, Duration, RemovalPolicy, Stack, Token
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_mlops._alarms import function_alarm, queue_alarm
from cdk_mlops._functions import METRIC_NAMESPACE, HandlerFunction
from cdk_mlops._removal import checked_removal
from cdk_mlops._roles import people_role
from cdk_mlops._statements import Statement, arn, grant, iam_arn, list_bucket, read_objects, write_objects
from cdk_mlops._validation import check_account, check_bucket_name, check_principal, check_range, check_stage
from cdk_mlops.access_logs_bucket import AccessLogsBucket
from cdk_mlops.alert_topic import AlertTopic
from cdk_mlops.approval_recorder import ApprovalRecorder
from cdk_mlops.kms_shared_key import ExternalPrincipals, KmsSharedKey, SharedKey
from cdk_mlops.model_names import ModelNames
from cdk_mlops.model_registry import REGISTERED_AS, WAITING, ModelRegistry
from cdk_mlops.stage_data_bucket import secure_bucket

ARTIFACTS_ALIAS = "alias/mlops-artifacts"
_STAGE = "registry"
Conditions = Mapping[str, Mapping[str, object]]
# Lambda allows 4 KB for all variables of a function.
_MAX_GROUP_NAMES = 3500


@dataclass(frozen=True)
class RegistryStage:
    """A stage that the registry admits: roles below ``/mlops/<name>/`` read, below ``/mlops/<name>/train/`` register.

    Parameters
    ----------
    name
        Such as ``dev``.
    account
        12-digit id. Two stages may share an account, and one may lie in the registry's.

    Raises
    ------
    ValueError
        If one can't be right.
    """

    name: str
    account: str

    def __post_init__(self) -> None:
        """Check the values."""
        check_stage("name", self.name)
        check_account("account", self.account)


class CrossAccountModelRegistry(ModelRegistry):
    """Artifacts bucket and key, a package group a model, the approver role, and alerts when a version waits.

    What was approved is recorded on each version (`ApprovalRecorder`), so that stages use these very files.

    The bucket's and the key's policy grow with the stages, never with the models: they admit a stage's role
    path, and each role's own policy narrows to its model. The registry can be deployed before any role of the
    stages exists.

    Parameters
    ----------
    stages
        Who reads and registers. At least one; names may not repeat.
    models
        The models, each with a package group of its own. Groups of models in ``existing_groups`` are not created.
    existing_groups
        Names of package groups that exist already. Their resource policy can't be changed here: admit the
        stages there.
    approvers
        ARNs of the people (users, roles, accounts) who may assume the approver role. Default: nobody, then
        there is no role.
    require_mfa
        Default: approvers need multi-factor authentication.
    artifacts_bucket_name
        Default: ``sagemaker-mlops-artifacts-<account>-<region>``.
    alert_email, alert_topic_name
        Who is told when a version waits. Default: no subscription; topic ``mlops-registry-alerts``.
    reminder_days
        Days after which approvers are reminded of a waiting version, 1 to 30. Default: 3.
    admit_by_role_path
        Default: group policies admit a stage's roles by path. Set False where SageMaker refuses
        ``aws:PrincipalArn`` there; they then admit the accounts of the stages as a whole, which delegates to
        the identity policies there.
    access_logs
        Where S3 logs each request to the artifacts bucket. Default: nowhere.
    removal
        Default: all stays when the stack goes. Destroying needs the context flag ``cdk-mlops:allow-destroy`` too.

    Raises
    ------
    ValueError
        If a prop can't be right; the line says which and why.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-version.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stages: Sequence[RegistryStage],
        models: Sequence[ModelNames],
        existing_groups: Sequence[str] = (),
        approvers: Sequence[str] = (),
        require_mfa: bool = True,
        artifacts_bucket_name: str | None = None,
        alert_email: str | None = None,
        alert_topic_name: str | None = None,
        reminder_days: int = 3,
        admit_by_role_path: bool = True,
        access_logs: AccessLogsBucket | None = None,
        removal: RemovalPolicy | None = None,
    ) -> None:
        _check(stages, models, existing_groups)
        for approver in approvers:
            check_principal("approvers", approver)
        check_range("reminder_days", reminder_days, 1, 30)
        stack = Stack.of(scope)
        bucket_name = (
            f"sagemaker-mlops-artifacts-{stack.account}-{stack.region}"
            if artifacts_bucket_name is None
            else artifacts_bucket_name
        )
        check_bucket_name("artifacts_bucket_name", bucket_name)
        removal = checked_removal(scope, removal)
        key = KmsSharedKey(
            scope,
            f"{construct_id}Key",
            alias_name=ARTIFACTS_ALIAS,
            description="Encrypts model artifacts, metrics and baselines, whichever stage trained them",
            external_principals=[principals for stage in stages for principals in _key_users(stage)],
            removal=removal,
        )
        super().__init__(
            scope,
            construct_id,
            account=stack.account,
            region=stack.region,
            artifacts_bucket_name=bucket_name,
            key=key,
        )
        self.stages = tuple(stages)
        self.models = tuple(models)
        self.artifacts_bucket = secure_bucket(
            self,
            "Artifacts",
            bucket_name=bucket_name,
            key=key,
            removal=removal,
            access_logs=access_logs,
            keep_old_versions=True,  # an approved model that was overwritten must still be found
        )
        self._admit_to_bucket()
        self.package_groups = {
            model.package_group: self._package_group(model, removal, admit_by_role_path)
            for model in models
            if model.package_group not in existing_groups
        }
        self.alerts = AlertTopic(
            self, "Alerts", stage=_STAGE, topic_name=alert_topic_name, email=alert_email, removal=removal
        )
        self.notifier = self._notifier(reminder_days)
        topic, queue = self.alerts.topic, self.notifier.dead_letter_queue
        function_alarm(self, "NotifierErrors", stage=_STAGE, function=self.notifier.function, topic=topic)
        if queue is not None:
            queue_alarm(self, "NotifierDeadLetters", stage=_STAGE, queue=queue, topic=topic)
        self.approval_recorder = ApprovalRecorder(
            self, "ApprovalRecorder", registry=self, models=models, alerts=self.alerts
        )
        self.approver_role: iam.Role | None = None
        if approvers:
            self.approver_role = people_role(
                self,
                "Approver",
                stage=_STAGE,
                purpose="approver",
                principals=approvers,
                require_mfa=require_mfa,
                description="People who approve or reject model versions",
            )
            grant(self.approver_role, self.approve_all_statements(models))

    @staticmethod
    def from_attributes(
        scope: Construct,
        construct_id: str,
        *,
        account: str,
        region: str,
        artifacts_bucket_name: str | None = None,
        key_alias_name: str = ARTIFACTS_ALIAS,
    ) -> ModelRegistry:
        """Use a registry of this or another account by its names.

        Grants add identity statements only; the registry's bucket, key and group policies can't be changed
        from here. They admit roles below ``/mlops/<stage>/`` of the stages the registry was made with.

        Parameters
        ----------
        account, region
            Where the registry is.
        artifacts_bucket_name
            Default: ``sagemaker-mlops-artifacts-<account>-<region>``.
        key_alias_name
            Default: ``alias/mlops-artifacts``.
        """
        check_account("account", account)
        name = (
            f"sagemaker-mlops-artifacts-{account}-{region}"
            if artifacts_bucket_name is None
            else artifacts_bucket_name
        )
        key = SharedKey(
            scope, f"{construct_id}Key", alias_name=key_alias_name, account=account, region=region
        )
        return ModelRegistry(
            scope, construct_id, account=account, region=region, artifacts_bucket_name=name, key=key
        )

    def on_version_waiting(
        self, construct_id: str, *, target: events.IRuleTarget | None = None
    ) -> events.Rule:
        """Return a rule for versions that wait for approval, of all groups of the account; duplicates are normal."""
        return self._rule(construct_id, [WAITING], target)

    def on_version_approved(
        self, construct_id: str, *, target: events.IRuleTarget | None = None
    ) -> events.Rule:
        """Return a rule for versions that were approved, of all groups of the account; duplicates are normal."""
        return self._rule(construct_id, ["Approved"], target)

    def _rule(self, construct_id: str, statuses: list[str], target: events.IRuleTarget | None) -> events.Rule:
        return events.Rule(
            self,
            construct_id,
            description=f"Model versions that became {' or '.join(statuses)}",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Model Package State Change"],
                detail={"ModelApprovalStatus": statuses},
            ),
            targets=None if target is None else [target],
        )

    def _notifier(self, reminder_days: int) -> HandlerFunction:
        notices = "_state/notices/*"
        all_groups, all_versions = (
            arn(self, "sagemaker", f"{kind}/*") for kind in ("model-package-group", "model-package")
        )
        function = HandlerFunction(
            self,
            "Notifier",
            handler="approval_notifier",
            name="approval-notifier",
            prefix="mlops",
            stage=_STAGE,
            purpose="notifier",
            description="Tells approvers that a model version waits, with its metrics, and what was decided",
            # Metadata of all groups: a list of them would outgrow the role's policy with the models.
            statements=[
                Statement("ListVersions", ["sagemaker:ListModelPackages"], [all_groups, all_versions]),
                Statement("ReadVersions", ["sagemaker:DescribeModelPackage"], [all_versions]),
                list_bucket("NoticesList", self.artifacts_bucket_arn, [notices]),
                read_objects("NoticesRead", self.artifacts_bucket_arn, [notices]),
                write_objects("NoticesWrite", self.artifacts_bucket_arn, [notices]),
                *self.key.statements("encrypt_decrypt", sid="ArtifactsKey"),
                *self.alerts.publish_statements(),
            ],
            environment={
                "TOPIC_ARN": self.alerts.topic.topic_arn,
                "ARTIFACTS_BUCKET": self.artifacts_bucket_name,
                "GROUP_NAMES": ",".join(model.package_group for model in self.models),
                "REMINDER_DAYS": str(reminder_days),
                "METRIC_NAMESPACE": METRIC_NAMESPACE,
            },
            timeout=Duration.seconds(60),
            log_key=self.key,
            started_by_events=True,
        )
        self._rule("VersionChanged", [WAITING, "Approved", "Rejected"], function.as_target())
        events.Rule(
            self,
            "Reminder",
            description="Once a day: are there versions that have waited too long?",
            schedule=events.Schedule.rate(Duration.days(1)),
            targets=[function.as_target(message=events.RuleTargetInput.from_object({"action": "remind"}))],
        )
        return function

    def _admit_to_bucket(self) -> None:
        readers = [self._role_pattern(stage, "*") for stage in self.stages]
        everyone = {"ArnLike": {"aws:PrincipalArn": readers}}
        admit = self.artifacts_bucket.add_to_resource_policy
        admit(
            self._resource_statement("StagesList", ["s3:ListBucket"], [self.artifacts_bucket_arn], everyone)
        )
        admit(
            self._resource_statement(
                "StagesRead", ["s3:GetObject"], [f"{self.artifacts_bucket_arn}/*"], everyone
            )
        )
        comparing = [
            self._role_pattern(stage, below)
            for stage in self.stages
            for below in ("resolver/*", "recorder/*")
        ]
        admit(
            self._resource_statement(
                # are a version's files still those that were approved?
                "StagesCompare",
                ["s3:ListBucketVersions"],
                [self.artifacts_bucket_arn],
                {"ArnLike": {"aws:PrincipalArn": comparing}},
            )
        )
        for number, stage in enumerate(self.stages, start=1):
            admit(
                self._resource_statement(
                    f"Stage{number}Write",
                    ["s3:PutObject", "s3:AbortMultipartUpload"],
                    [f"{self.artifacts_bucket_arn}/*/{stage.name}/*"],
                    {"ArnLike": {"aws:PrincipalArn": self._role_pattern(stage, "train/*")}},
                    [stage],
                )
            )
            # A pattern's "*" crosses slashes: without this <model>/prod/x/dev/y would be dev's to write.
            others = [f"*/{other.name}/*" for other in self.stages if other.name != stage.name]
            admit(
                self._resource_statement(
                    f"Stage{number}NotElsewhere",
                    ["s3:PutObject", "s3:AbortMultipartUpload"],
                    [f"{self.artifacts_bucket_arn}/{key}" for key in ("_state/*", *others)],
                    {"ArnLike": {"aws:PrincipalArn": self._role_pattern(stage, "*")}},
                    [stage],
                    effect=iam.Effect.DENY,
                )
            )

    def _package_group(
        self, model: ModelNames, removal: RemovalPolicy, by_role_path: bool
    ) -> sagemaker.CfnModelPackageGroup:
        group = sagemaker.CfnModelPackageGroup(
            self,
            f"Group-{model.package_group}",
            model_package_group_name=model.package_group,
            model_package_group_description=f"Versions of {model.model_name}, from all stages",
            model_package_group_policy=self._group_policy(model, by_role_path).to_json(),
            tags=[CfnTag(key="mlops:model", value=model.model_name)],
        )
        group.apply_removal_policy(removal)
        return group

    def _group_policy(self, model: ModelNames, by_role_path: bool) -> iam.PolicyDocument:
        def roles(pattern: str) -> Conditions:
            if not by_role_path:
                return {}
            return {
                "ArnLike": {"aws:PrincipalArn": [self._role_pattern(stage, pattern) for stage in self.stages]}
            }

        group, versions = self.group_resources(model), self.version_resources(model)
        look = ["sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"]
        use = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages", "sagemaker:CreateModel"]
        return iam.PolicyDocument(
            statements=[
                self._resource_statement("StagesLook", look, group, roles("*")),
                self._resource_statement("StagesUse", use, versions, roles("*")),
                self._resource_statement(
                    "TrainRolesRegister",
                    ["sagemaker:CreateModelPackage"],
                    versions,
                    {**roles("train/*"), **REGISTERED_AS},
                ),
            ]
        )

    def _resource_statement(
        self,
        sid: str,
        actions: Sequence[str],
        resources: Sequence[str],
        conditions: Conditions,
        stages: Sequence[RegistryStage] | None = None,
        effect: iam.Effect = iam.Effect.ALLOW,
    ) -> iam.PolicyStatement:
        # A role that doesn't exist yet is rejected as a principal; its account's root is not. The condition
        # names the role.
        accounts = dict.fromkeys(stage.account for stage in (self.stages if stages is None else stages))
        return iam.PolicyStatement(
            sid=sid,
            effect=effect,
            principals=[iam.ArnPrincipal(iam_arn(self, "root", account=account)) for account in accounts],
            actions=list(actions),
            resources=list(resources),
            conditions=conditions,
        )

    def _role_pattern(self, stage: RegistryStage, below: str) -> str:
        return iam_arn(self, f"role/mlops/{stage.name}/{below}", account=stage.account)


def _key_users(stage: RegistryStage) -> list[ExternalPrincipals]:
    path = f"/mlops/{stage.name}"
    # Train roles decrypt by the first: no permission is there twice, so that none can be taken back unseen.
    return [
        ExternalPrincipals(account=stage.account, role_path=f"{path}/*", use="decrypt"),
        ExternalPrincipals(
            account=stage.account, role_path=f"{path}/train/*", use="encrypt", job_outputs=True
        ),
    ]


def _check(
    stages: Sequence[RegistryStage], models: Sequence[ModelNames], existing_groups: Sequence[str]
) -> None:
    for prop, given in (("stages", stages), ("models", models)):
        if not given:
            raise ValueError(f"{prop} must name at least one, got none")
    for prop, names in (
        ("stages", [stage.name for stage in stages]),
        ("models", [model.package_group for model in models]),
        ("models", [model.model_name for model in models]),
        ("models", [model.prefix for model in models]),
    ):
        repeated = [
            name for name in dict.fromkeys(names) if names.count(name) > 1 and not Token.is_unresolved(name)
        ]
        if repeated:
            raise ValueError(f"{prop} must not name '{repeated[0]}' twice")
    unknown = set(existing_groups) - {model.package_group for model in models}
    if unknown:
        raise ValueError(f"existing_groups must be package groups of the models, got '{sorted(unknown)[0]}'")
    length = len(",".join(model.package_group for model in models))
    if length > _MAX_GROUP_NAMES:
        raise ValueError(
            f"models must have package group names of at most {_MAX_GROUP_NAMES} characters together, got {length}; "
            "divide them among two registries"
        )
