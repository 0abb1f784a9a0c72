"""Roles that people assume: who may do what by hand. The one exception to one service in each trust."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_mlops._roles import people_role
from cdk_mlops._statements import Statement, arn, grant
from cdk_mlops._validation import check_principal, check_stage
from cdk_mlops.model_names import ModelNames
from cdk_mlops.pipeline import Pipeline
from cdk_mlops.run_recorder import QUALITY
from cdk_mlops.stage_data_bucket import DataBucket

# Where the notifier puts its record of an alert about a pipeline whose tags it could not read.
UNKNOWN = "_unknown"
_PATTERNS_A_STATEMENT = 20  # CDK divides a long policy between statements only


class PipelineUsers(Construct):
    """A role by which people run pipelines by hand and read keys of certain patterns in the stage's data bucket."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        role: iam.IRole,
        data_bucket: DataBucket,
        readable: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id)
        self.role = role
        kinds = ("Processing", "Training", "Transform")
        logs = [arn(self, "logs", f"log-group:/aws/sagemaker/{kind}Jobs:*") for kind in kinds]
        some = [
            readable[start : start + _PATTERNS_A_STATEMENT]
            for start in range(0, len(readable), _PATTERNS_A_STATEMENT)
        ]
        grant(
            role,
            [
                *(one for patterns in some for one in data_bucket.read_statements("Data", *patterns)),
                *data_bucket.key.statements("decrypt", sid="DataKey"),
                Statement("JobLogs", ["logs:GetLogEvents", "logs:FilterLogEvents"], logs),
            ],
        )

    def allow(self, pipeline: Pipeline) -> None:
        """Let them start, follow and stop a pipeline."""
        pipeline.grant_start(self.role)
        pipeline.grant_read(self.role)
        pipeline.grant_stop(self.role)


class DataScientistRole(PipelineUsers):
    """Starts train, inference and quality pipelines of a stage, follows them, and reads the stage's data bucket.

    Parameters
    ----------
    stage
        Such as ``dev``; the role is ``/mlops/<stage>/data-scientist/<prefix>-<stage>-data-scientist``.
    principals
        ARNs of who may assume it. At least one.
    data_bucket
        The stage's data.
    require_mfa
        Default: multi-factor authentication is needed. A service's role, such as Studio's, has none: see
        `from_role`.
    prefix
        Begins the role's name. Default: ``mlops``.
    readable
        Patterns of the keys that it reads. Default: all of the bucket.

    Raises
    ------
    ValueError
        If a principal is no ARN, or there is none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        principals: Sequence[str],
        data_bucket: DataBucket,
        require_mfa: bool = True,
        prefix: str = "mlops",
        readable: Sequence[str] = ("*",),
    ) -> None:
        _check(stage, principals)
        role = people_role(
            scope,
            f"{construct_id}Role",
            stage=stage,
            purpose="data-scientist",
            principals=principals,
            require_mfa=require_mfa,
            description=f"People who start pipelines in {stage} and read their results",
            prefix=prefix,
        )
        super().__init__(scope, construct_id, role=role, data_bucket=data_bucket, readable=readable)

    @staticmethod
    def from_role(
        scope: Construct, construct_id: str, *, role: iam.IRole, data_bucket: DataBucket
    ) -> PipelineUsers:
        """Give an existing role of this account, such as a Studio execution role, the same permissions.

        Its trust policy can't be changed here. Its path is not the stage's, so the registry doesn't admit it.
        """
        return PipelineUsers(scope, construct_id, role=role, data_bucket=data_bucket, readable=["*"])


class OperatorRole(PipelineUsers):
    """Starts inference and quality pipelines of a stage by hand, follows them, and reads results and alerts.

    Parameters as of `DataScientistRole`, without the last two. Training data and code are not readable.

    Parameters
    ----------
    models
        Whose results and alerts they read. At least one.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        principals: Sequence[str],
        data_bucket: DataBucket,
        models: Sequence[ModelNames],
        require_mfa: bool = True,
    ) -> None:
        _check(stage, principals)
        if not models:
            raise ValueError("models must name whose results are read, got none")
        role = people_role(
            scope,
            f"{construct_id}Role",
            stage=stage,
            purpose="operator",
            principals=principals,
            require_mfa=require_mfa,
            description=f"People who run inference in {stage} and read results and alerts",
        )
        # Model by model: the "*" of */inference/* would cross slashes, into training data.
        below_model = ("inference", QUALITY, "state")
        results = [f"{model.model_name}/{below}/*" for model in models for below in below_model]
        alerts = f"{UNKNOWN}/state/alerts/*"
        super().__init__(scope, construct_id, role=role, data_bucket=data_bucket, readable=[*results, alerts])


def _check(stage: str, principals: Sequence[str]) -> None:
    check_stage("stage", stage)
    if not principals:
        raise ValueError(
            "principals must name who may assume the role, got nobody; leave the construct out instead"
        )
    for principal in principals:
        check_principal("principals", principal)
