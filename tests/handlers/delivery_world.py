"""A delivery pipeline in the middle of an execution, for the tests of its notifier."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from delivery_notifier.events import ACTION_EVENT, PIPELINE_EVENT, read_outcome
from delivery_notifier.facts import FactFinder
from delivery_notifier.notifier import Notifier
from delivery_notifier.route import Route
from shared.claims import Claims
from shared.objects import ObjectStore
from tests.handlers.fake_aws import ACCOUNT, NOW, REGION, Clock, FakeS3, FakeSns, Service

PIPELINE, RUN = "mlops-delivery", "11111111-2222-3333-4444-555555555555"
COMMIT = "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d"
BUCKET = "sagemaker-mlops-delivery"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:mlops-delivery-alerts"
PERSON = f"arn:aws:sts::{ACCOUNT}:assumed-role/Reviewers/grace"
LOG = "https://console.aws.amazon.com/codebuild/log"
ROUTE = Route(
    PIPELINE,
    (("RegistryAndDev", "dev"), ("Staging", "staging"), ("Prod", "prod")),
    ("PromoteToProd",),
    REGION,
    ("Permissions",),
)
WAY = {
    "Source": ["source"],
    "Build": ["Synth"],
    "UpdatePipeline": ["SelfMutate"],
    "Assets": ["FileAssets"],
    "RegistryAndDev": [
        *("ConfirmPermissions", "Permissions", "Registry.RegistryStack.Prepare", "Dev.DevStack.Prepare"),
        *("Registry.RegistryStack.Deploy", "Dev.DevStack.Deploy", "Check"),
    ],
    "Staging": ["ConfirmPermissions", "Permissions", "StagingStack.Prepare", "StagingStack.Deploy", "Check"],
    "Prod": [
        *("Review", "ConfirmPermissions", "Permissions", "PromoteToProd"),
        *("ProdStack.Prepare", "ProdStack.Deploy", "Check"),
    ],
}


class FakeCodePipeline(Service):
    """One execution, its actions in pages of three."""

    service = "codepipeline"

    def __init__(self) -> None:
        super().__init__()
        self.details: list[dict[str, Any]] = []
        self.execution: dict[str, Any] = {"artifactRevisions": [{"revisionId": COMMIT}]}
        self.appears_after = 0  # how many calls the history lags behind
        self._asked = 0

    def list_action_executions(self, **request: Any) -> dict[str, Any]:
        self._receive("ListActionExecutions", request)
        start = int(request.get("nextToken", 0))
        if not start:
            self._asked += 1
        if self._asked <= self.appears_after:
            return {"actionExecutionDetails": []}
        newest_first = sorted(self.details, key=lambda one: one["startTime"], reverse=True)
        page: dict[str, Any] = {"actionExecutionDetails": newest_first[start : start + 3]}
        return page | ({"nextToken": str(start + 3)} if start + 3 < len(newest_first) else {})

    def get_pipeline_execution(self, **request: Any) -> dict[str, Any]:
        self._receive("GetPipelineExecution", request)
        return {"pipelineExecution": self.execution}


class World:
    """A commit on its way."""

    def __init__(self) -> None:
        self.s3, self.sns, self.clock = FakeS3(BUCKET), FakeSns(), Clock()
        self.codepipeline = FakeCodePipeline()
        self._minute = 0

    @property
    def notifier(self) -> Notifier:
        finder = FactFinder(self.codepipeline, self.clock.sleep)
        return Notifier(ROUTE, TOPIC, finder, Claims(ObjectStore(self.s3, BUCKET), self.clock.now), self.sns)

    def gets_to(self, stage: str, action: str, status: str = "Failed", **result: Any) -> World:
        """Let every action up to this one succeed, and this one end so."""
        for name, actions in WAY.items():
            for one in actions:
                here = (name, one) == (stage, action)
                self.runs(name, one, status if here else "Succeeded", **(result if here else {}))
                if here:
                    return self
        raise AssertionError(f"no action {action} in {stage}")

    def runs(
        self,
        stage: str,
        action: str,
        status: str = "Succeeded",
        *,
        reason: str = "",
        by: str = "",
        variables: dict[str, str] | None = None,
        shown: dict[str, str] | None = None,
    ) -> None:
        """Record one action of the execution."""
        self._minute += 1
        given = _inputs(stage, action) | ({"resolvedConfiguration": shown} if shown else {})
        output = _outputs(stage, action, variables)
        if status == "Failed" and given["actionTypeId"]["category"] != "Approval":
            output["executionResult"] = {
                "externalExecutionUrl": LOG,
                "errorDetails": {"code": "JobFailed", "message": reason or "exit status 1"},
            }
        elif reason:
            output["executionResult"] = {"externalExecutionSummary": reason}
        self.codepipeline.details.append(
            {
                "pipelineExecutionId": RUN,
                "actionExecutionId": f"action-{self._minute}",
                "stageName": stage,
                "actionName": action,
                "startTime": NOW + timedelta(minutes=self._minute),
                "status": status,
                "input": given,
                "output": output,
                **({"updatedBy": by} if by else {}),
            }
        )

    def tell(self, event: dict[str, Any], request_id: str = "one") -> str:
        """Hand an event to the notifier."""
        outcome = read_outcome(event, ROUTE)
        return "ignored" if outcome is None else str(self.notifier.tell(outcome, request_id)["notice"])

    @property
    def subject(self) -> str:
        (message,) = self.sns.published
        return str(message["Subject"])

    @property
    def body(self) -> str:
        (message,) = self.sns.published
        return str(message["Message"])

    def under(self, heading: str) -> str:
        """Lines of the one message under a heading."""
        parts = self.body.split("\n\n")
        (found,) = [part for part in parts if part.startswith(heading + "\n")]
        return found.removeprefix(heading + "\n")


def ends(state: str, attempt: int | None = 1, pipeline: str = PIPELINE) -> dict[str, Any]:
    """Event of an execution's end."""
    detail = {"pipeline": pipeline, "execution-id": RUN, "state": state, "version": 3.0}
    more = {} if attempt is None else {"pipeline-execution-attempt": float(attempt)}
    return {
        "id": "e1",
        "detail-type": PIPELINE_EVENT,
        "time": "2026-11-20T23:05:00Z",
        "detail": detail | more,
    }


def acts(stage: str, action: str, state: str = "STARTED", attempt: int = 1) -> dict[str, Any]:
    """Event of an approval."""
    detail = {
        "pipeline": PIPELINE,
        "execution-id": RUN,
        "pipeline-execution-attempt": float(attempt),
        "stage": stage,
        "action": action,
        "state": state,
        "type": {"owner": "AWS", "category": "Approval", "provider": "Manual", "version": "1"},
    }
    return {"id": "e2", "detail-type": ACTION_EVENT, "time": "2026-11-20T23:05:00Z", "detail": detail}


def _inputs(stage: str, action: str) -> dict[str, Any]:
    if stage == "Source":
        return {"actionTypeId": {"category": "Source"}}
    if action in ("ConfirmPermissions", "PromoteToProd", "ReleaseToProd"):
        return {"actionTypeId": {"category": "Approval"}}
    if action.endswith(("Prepare", "Deploy")):
        return {
            "actionTypeId": {"category": "Deploy"},
            "configuration": {"StackName": action.split(".")[-2]},
        }
    return {"actionTypeId": {"category": "Build"}}


def _outputs(stage: str, action: str, variables: dict[str, str] | None) -> dict[str, Any]:
    if stage == "Source":
        variables = {"CommitId": COMMIT, "CommitMessage": "Raise the gate\n\nto 0.86"}
    if action == "Review" and variables is None:
        variables = {
            "SUMMARY": "version 3: AUC 0.904, +0.012\n2 definitions change",
            "REVIEW_URL": "https://review",
        }
    return {"outputVariables": variables} if variables else {}
