"""One readable message for each outcome of a delivery pipeline, and for each promotion that waits for a person."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_events as events
from constructs import Construct

from cdk_mlops._alarms import function_alarm, queue_alarm
from cdk_mlops._functions import HandlerFunction
from cdk_mlops._statements import Statement, arn, list_bucket, read_objects, write_objects
from cdk_mlops._validation import check_pattern, check_stage
from cdk_mlops.alert_topic import TopicForAlerts
from cdk_mlops.stage_data_bucket import DataBucket

_PIPELINE = re.compile(r"[A-Za-z0-9.@_-]{1,100}")
_ACTION = re.compile(r"[A-Za-z0-9.@_-]{1,100}")
_ENDS = ["SUCCEEDED", "FAILED", "STOPPED", "SUPERSEDED"]
_STAGE = "delivery"


class DeliveryAlerts(Construct):
    """Tells how each commit fared in a CodePipeline: what happened, why, what was done by itself, what to do next.

    One message an outcome (in the last stage, failed, stopped, overtaken), and one where an approval waits. Those of
    a failure say what each stage runs now: untouched, rolled back, or the new definitions and how to go back.

    Parameters
    ----------
    pipeline_name
        The CodePipeline of this account and region.
    stages
        Which stage of the installation each stage of the pipeline deploys, in order: ``{"Staging": "staging",
        "Prod": "prod"}``. Failures before the first of them deployed nothing.
    state_bucket
        Where the function keeps its claims, under ``state/notices/``: events come more than once.
    alerts
        The topic: make one with `AlertTopic`, or use one that exists.
    approvals
        Names of the actions by which people let a commit pass. Default: ``PromoteToProd``. Other approvals are not
        told of while they wait.
    gates
        Names of builds that answer an approval beside them: where one fails, the approval waits for a person, who is
        told. Default: ``Permissions``.
    releases_pipeline_name
        A CodePipeline that releases model versions, with the variables ``MODEL`` and ``VERSION``: its outcomes are
        told too. Default: none.
    release_approvals
        Names of that pipeline's approvals. Default: ``ReleaseToProd``.

    Attributes
    ----------
    function, dead_letter_queue
        The notifier, and where events lie that it failed on.

    Raises
    ------
    ValueError
        If the pipeline's name, a stage or an approval can't be one.

    See https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        pipeline_name: str,
        stages: Mapping[str, str],
        state_bucket: DataBucket,
        alerts: TopicForAlerts,
        approvals: Sequence[str] = ("PromoteToProd",),
        gates: Sequence[str] = ("Permissions",),
        releases_pipeline_name: str | None = None,
        release_approvals: Sequence[str] = ("ReleaseToProd",),
    ) -> None:
        rule = "be 1 to 100 letters, digits and .@-_"
        check_pattern("pipeline_name", pipeline_name, _PIPELINE, rule)
        for name, stage in stages.items():
            check_pattern("stages", name, _ACTION, rule)
            check_stage("stages", stage)
        for approval in approvals:
            check_pattern("approvals", approval, _ACTION, rule)
        for gate in gates:
            check_pattern("gates", gate, _ACTION, rule)
        releases = [] if releases_pipeline_name is None else [releases_pipeline_name]
        for name in releases:
            check_pattern("releases_pipeline_name", name, _PIPELINE, rule)
        for approval in release_approvals:
            check_pattern("release_approvals", approval, _ACTION, rule)
        if not stages or not approvals or not gates:
            raise ValueError("stages, approvals and gates must each hold at least one name, got none")
        super().__init__(scope, construct_id)
        self._pipelines, claims = [pipeline_name, *releases], "state/notices/*"
        self.handler = HandlerFunction(
            self,
            "Function",
            handler="delivery_notifier",
            name="notifier",
            prefix="mlops",
            stage=_STAGE,
            purpose="notifier",
            description=f"Tells people how commits fare in {pipeline_name}",
            statements=[
                Statement(
                    "Executions",
                    ["codepipeline:GetPipelineExecution", "codepipeline:ListActionExecutions"],
                    [arn(self, "codepipeline", name) for name in self._pipelines],
                ),
                list_bucket("ListClaims", state_bucket.bucket_arn, [claims]),
                read_objects("ReadClaims", state_bucket.bucket_arn, [claims]),
                write_objects("Claim", state_bucket.bucket_arn, [claims]),
                *state_bucket.key.statements("encrypt_decrypt", sid="StateKey"),
                *alerts.publish_statements(),
            ],
            environment={
                "PIPELINE_NAME": pipeline_name,
                "STAGES": ",".join(f"{name}={stage}" for name, stage in stages.items()),
                "APPROVALS": ",".join(approvals),
                "GATES": ",".join(gates),
                "STATE_BUCKET": state_bucket.bucket_name,
                "TOPIC_ARN": alerts.topic.topic_arn,
                **(
                    {"RELEASES_PIPELINE_NAME": releases[0], "RELEASE_APPROVALS": ",".join(release_approvals)}
                    if releases
                    else {}
                ),
            },
            timeout=Duration.seconds(120),
            log_key=state_bucket.key,
            started_by_events=True,
        )
        self.function, self.role = self.handler.function, self.handler.role
        self.dead_letter_queue = self.handler.dead_letter_queue
        waiting = {
            "state": ["STARTED"],
            "action": [*approvals, *(release_approvals if releases else [])],
            "type": {"category": ["Approval"]},
        }
        self.rules = [
            self._rule("Ended", "CodePipeline Pipeline Execution State Change", {"state": _ENDS}),
            self._rule("Waits", "CodePipeline Action Execution State Change", waiting),
            self._rule(
                "Unanswered",
                "CodePipeline Action Execution State Change",
                {"state": ["FAILED"], "action": list(gates)},
            ),
        ]
        function_alarm(self, "NotifierErrors", stage=_STAGE, function=self.function, topic=alerts.topic)
        if self.dead_letter_queue is not None:
            queue_alarm(
                self, "NotifierDeadLetters", stage=_STAGE, queue=self.dead_letter_queue, topic=alerts.topic
            )

    def _rule(self, construct_id: str, detail_type: str, detail: Mapping[str, object]) -> events.Rule:
        pattern = events.EventPattern(
            source=["aws.codepipeline"],
            detail_type=[detail_type],
            detail={"pipeline": self._pipelines, **detail},
        )
        return events.Rule(self, construct_id, event_pattern=pattern, targets=[self.handler.as_target()])
