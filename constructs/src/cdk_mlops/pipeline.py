"""A pipeline by its name: what others may do with it, its events and its metrics."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_mlops._statements import Statement, arn, grant
from cdk_mlops._validation import is_token


class Pipeline(Construct):
    """A SageMaker pipeline of this account and region, made here or elsewhere."""

    def __init__(self, scope: Construct, construct_id: str, *, pipeline_name: str) -> None:
        super().__init__(scope, construct_id)
        self.pipeline_name = pipeline_name
        # SageMaker writes ARNs of pipelines in lower case.
        lower = pipeline_name if is_token(pipeline_name) else pipeline_name.lower()
        self.pipeline_arn = arn(self, "sagemaker", f"pipeline/{lower}")
        self.execution_arns = f"{self.pipeline_arn}/execution/*"

    def start_statements(self) -> list[Statement]:
        """Return the permission to start it."""
        return [Statement("StartPipeline", ["sagemaker:StartPipelineExecution"], [self.pipeline_arn])]

    def follow_statements(self) -> list[Statement]:
        """Return the permissions to follow an execution whose ARN is known."""
        follow = ["sagemaker:DescribePipelineExecution", "sagemaker:ListPipelineExecutionSteps"]
        return [Statement("FollowExecutions", follow, [self.execution_arns])]

    def parameters_statement(self) -> Statement:
        """Return the permission to see what executions were started with."""
        return Statement(
            "RunParameters", ["sagemaker:ListPipelineParametersForExecution"], [self.execution_arns]
        )

    def read_pipeline_statements(self) -> list[Statement]:
        """Return the permissions to look at the pipeline and find and follow its executions, as Studio does."""
        look = ["sagemaker:DescribePipeline", "sagemaker:ListPipelineExecutions", "sagemaker:ListTags"]
        ran = ["sagemaker:DescribePipelineDefinitionForExecution"]
        return [
            Statement("LookAtPipeline", look, [self.pipeline_arn]),
            *self.follow_statements(),
            self.parameters_statement(),
            Statement("WhatRan", ran, [self.execution_arns]),
        ]

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let the grantee start this pipeline, and no other."""
        return grant(grantee, self.start_statements())

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let the grantee look at the pipeline and follow its executions."""
        return grant(grantee, self.read_pipeline_statements())

    def grant_stop(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let the grantee stop an execution."""
        return grant(
            grantee, [Statement("StopExecution", ["sagemaker:StopPipelineExecution"], [self.execution_arns])]
        )

    def on_status_change(
        self,
        construct_id: str,
        *,
        statuses: Sequence[str] = ("Failed", "Stopped"),
        target: events.IRuleTarget | None = None,
    ) -> events.Rule:
        """Return a rule for executions that reach one of the statuses (default: failed or stopped)."""
        return events.Rule(
            self,
            construct_id,
            event_pattern=status_pattern(statuses, self.pipeline_arn),
            targets=None if target is None else [target],
        )

    def metric_failed(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the number of failed executions; period default: 5 minutes."""
        return self._metric("ExecutionFailed", "Sum", period)

    def metric_succeeded(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the number of executions that succeeded; period default: 5 minutes."""
        return self._metric("ExecutionSucceeded", "Sum", period)

    def metric_duration(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the mean duration of executions in milliseconds; period default: 5 minutes."""
        return self._metric("ExecutionDuration", "Average", period)

    def _metric(self, name: str, statistic: str, period: Duration | None) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/Sagemaker/ModelBuildingPipeline",
            metric_name=name,
            dimensions_map={"PipelineName": self.pipeline_name},
            statistic=statistic,
            period=period,
        )


def status_pattern(
    statuses: Sequence[str], pipeline_arn: str | None = None, *, but_executions: Sequence[str] = ()
) -> events.EventPattern:
    """Return the pattern of executions that reach a status, of one pipeline or of all in the account but some."""
    detail: dict[str, object] = {"currentPipelineExecutionStatus": list(statuses)}
    if pipeline_arn is not None:
        detail["pipelineArn"] = [pipeline_arn]
    if but_executions:
        detail["pipelineExecutionArn"] = [{"anything-but": {"wildcard": list(but_executions)}}]
    return events.EventPattern(
        source=["aws.sagemaker"],
        detail_type=["SageMaker Model Building Pipeline Execution Status Change"],
        detail=detail,
    )
