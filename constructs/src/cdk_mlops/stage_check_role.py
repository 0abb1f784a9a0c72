"""The role by which a delivery pipeline's builds check a stage that was just deployed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_mlops._roles import role_name, role_path
from cdk_mlops._statements import Statement, arn, document, grant, iam_arn, list_bucket, read_objects
from cdk_mlops._validation import check_pattern, check_stage, is_token
from cdk_mlops.model_names import ModelNames
from cdk_mlops.model_registry import ModelRegistry
from cdk_mlops.pipeline import Pipeline
from cdk_mlops.scheduled_inference_pipeline import ScheduledInferencePipeline
from cdk_mlops.stage_data_bucket import DataBucket

_PURPOSE = "checker"
_ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::(\d{12}):role/[\w+=,.@/-]+")


class StageCheckRole(Construct):
    """A role that named build roles assume to check a stage: start a model's pipeline, follow it, read what it left.

    The role is ``/mlops/<stage>/checker/mlops-<stage>-checker``; the registry admits it by that path. Its trust
    names the accounts of the build roles with the condition ``aws:PrincipalArn``, so that the stage can be
    deployed before the build roles exist. It deletes no data and changes no pipeline; what a check writes lies
    below ``<model_name>/checks/``, records of promotions below ``_promotions/``.

    Parameters
    ----------
    stage
        Such as ``staging``.
    principals
        ARNs of the roles that may assume it, such as the delivery pipeline's build role. At least one.
    data_bucket
        The stage's data.
    registry
        Where versions and their evaluations are read.

    Attributes
    ----------
    role
        The `iam.Role`.
    role_arn
        Its ARN, made from its name.

    Raises
    ------
    ValueError
        If a principal is no role's ARN, or there is none.

    See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        principals: Sequence[str],
        data_bucket: DataBucket,
        registry: ModelRegistry,
    ) -> None:
        check_stage("stage", stage)
        by_account = _by_account(principals)
        super().__init__(scope, construct_id)
        self._stage, self._data, self._registry = stage, data_bucket, registry
        name = role_name(stage, _PURPOSE)
        self.role_arn = iam_arn(self, f"role{role_path(stage, _PURPOSE)}{name}")
        self._schedules = arn(self, "scheduler", f"schedule/default/mlops-check-{stage}-*")
        # A role that doesn't exist yet can't be a principal: its account's root under the condition can.
        trusted = [
            iam.ArnPrincipal(iam_arn(self, "root", account=account)).with_conditions(
                {"ArnEquals": {"aws:PrincipalArn": roles}}
            )
            for account, roles in by_account.items()
        ]
        self.role = iam.Role(
            self,
            "Resource",
            role_name=name,
            path=role_path(stage, _PURPOSE),
            description=f"Builds that check {stage} after a deployment",
            assumed_by=trusted[0] if len(trusted) == 1 else iam.CompositePrincipal(*trusted),
            # An assumed role that assumes this one can't have it longer.
            max_session_duration=Duration.hours(1),
            inline_policies={"Policy": document(self._shared_statements())},
        )

    def allow(
        self,
        model: ModelNames,
        *,
        starts: Pipeline,
        looks_at: Sequence[Pipeline] = (),
        scheduled: ScheduledInferencePipeline | None = None,
    ) -> None:
        """Let it check a model.

        Parameters
        ----------
        model
            The model whose versions, check runs and state it reads.
        starts
            The pipeline that it starts and follows.
        looks_at
            Further pipelines whose tags it compares. Default: none.
        scheduled
            Whose role and target its own one-off schedules take. Default: it makes no schedules of this model.
        """
        pipelines = [starts, *(one for one in looks_at if one is not starts)]
        bucket, home = self._data.bucket_arn, model.model_name
        read = [
            f"{home}/checks/*",
            *(f"{home}/state/{what}/*" for what in ("retraining", "alerts", "scored")),
        ]
        statements = [
            *starts.start_statements(),
            *starts.follow_statements(),
            Statement("Tags", ["sagemaker:ListTags"], [one.pipeline_arn for one in pipelines]),
            *self._registry.find_statements(model),
            read_objects(
                "Evaluations", self._registry.artifacts_bucket_arn, [f"{model.model_name}/*/evaluation/*"]
            ),
            # Names only of what lies beside: is there training data, and did a check leave predictions?
            list_bucket("DataList", bucket, [*read, f"{home}/inference/*", f"{home}/data/train-dataset/*"]),
            read_objects("DataRead", bucket, read),
            *self._data.write_statements("Checks", f"{home}/checks/*"),
        ]
        if scheduled is not None:
            own = arn(self, "scheduler", f"schedule/default/{scheduled.schedule.name}")
            to_scheduler = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
            manage = ["scheduler:CreateSchedule", "scheduler:DeleteSchedule"]
            statements += [
                Statement("FindRun", ["sagemaker:ListPipelineExecutions"], [starts.pipeline_arn]),
                starts.parameters_statement(),
                Statement("CheckSchedules", manage, [self._schedules]),
                Statement("StageSchedule", ["scheduler:GetSchedule"], [own]),
                Statement("PassScheduleRole", ["iam:PassRole"], [scheduled.role.role_arn], to_scheduler),
            ]
        grant(self.role, statements)

    def _shared_statements(self) -> list[Statement]:
        return [
            *self._data.read_statements("Promotions", "_promotions/*"),
            *self._data.write_statements("Promotions", "_promotions/*"),
            *self._data.key.statements("encrypt_decrypt", sid="DataKey"),
            *self._registry.key.statements("decrypt", sid="ArtifactsKey"),
        ]


def _by_account(principals: Sequence[str]) -> dict[str, list[str]]:
    if not principals:
        raise ValueError("principals must name the roles that check the stage, got none")
    found: dict[str, list[str]] = {}
    for principal in principals:
        if is_token(principal):
            raise ValueError(f"principals must be written out, not tokens, got '{principal}'")
        check_pattern(
            "principals", principal, _ROLE_ARN, "be ARNs of roles (arn:aws:iam::<account>:role/<path><name>)"
        )
        found.setdefault(principal.split(":")[4], []).append(principal)
    return found
