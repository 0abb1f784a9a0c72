"""One release an approval: which version, of which model, by the commit that the last stage runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.aws import Arn
from shared.registry import APPROVED, REJECTED, RELEASED, is_released
from shared.text import is_version

EVENT_TYPE = "SageMaker Model Package State Change"
WITHDRAWN = "withdrawn"  # the StageStatus of a version that lost its approval after its release
UNDER_WAY = "InProgress"


class BadEvent(Exception):
    """An event that isn't what its detail-type promises."""


@dataclass(frozen=True)
class Starter:
    """Everything that a start needs.

    Parameters
    ----------
    delivery, delivered_stage
        The pipeline that delivers commits, and the stage of it that a commit must have passed.
    models
        By the name of its package group, each model as the commands know it.
    """

    pipeline: str
    source_action: str
    delivery: str
    delivered_stage: str
    models: Mapping[str, str]
    sagemaker: Any
    codepipeline: Any

    def start(self, event: dict[str, Any]) -> dict[str, Any]:
        """Start the release of the version that an event tells of, unless it needs none.

        A version that lost its approval loses its release too: approved again, it must be released again.

        Raises
        ------
        BadEvent
            The event names no version.
        """
        detail = event.get("detail")
        if event.get("detail-type") != EVENT_TYPE or not isinstance(detail, dict):
            raise BadEvent(f"expected '{EVENT_TYPE}', got '{event.get('detail-type')}'")
        arn = str(detail.get("ModelPackageArn", ""))
        group, number = _parts(arn)
        # SageMaker writes some ARNs in lower case whatever the group's case is.
        model = next((one for name, one in self.models.items() if name.lower() == group.lower()), None)
        if model is None:
            return _ignored(f"{group} is no group of ours")
        # Several events tell of one change, and a release is a change too: the version itself says what it is.
        package = self.sagemaker.describe_model_package(ModelPackageName=arn)
        status = package.get("ModelApprovalStatus")
        if is_released(package) and REJECTED in (status, detail.get("ModelApprovalStatus")):
            # It may be approved again by now: the event of this very change comes back and starts its release.
            return self._withdraw(arn, number, str(event.get("time", "")))
        if status != APPROVED:
            return _ignored(f"version {number} is {status}")
        if is_released(package):
            return _ignored(f"version {number} is released")
        if self._under_way(model, number):
            return _ignored(f"the release of version {number} is under way")
        changed = package.get("LastModifiedTime") or package.get("CreationTime") or ""
        token = hashlib.sha256(f"{arn} {changed}".encode()).hexdigest()
        variables = {"MODEL": model, "VERSION": number}
        answer = self.codepipeline.start_pipeline_execution(
            name=self.pipeline,
            variables=[{"name": name, "value": value} for name, value in variables.items()],
            clientRequestToken=token,
            **self._revisions(),
        )
        return {"release": "started", "execution_id": answer["pipelineExecutionId"], **variables}

    def _withdraw(self, arn: str, number: str, when: str) -> dict[str, Any]:
        life = {
            "Stage": RELEASED[0],
            "StageStatus": WITHDRAWN,
            "StageDescription": f"rejected {when}".strip(),
        }
        self.sagemaker.update_model_package(ModelPackageArn=arn, ModelLifeCycle=life)
        return {"release": WITHDRAWN, "VERSION": number}

    def _under_way(self, model: str, number: str) -> bool:
        """Whether a release of the version runs or waits: whatever else changes of a version is told by events too."""
        wanted = {"MODEL": model, "VERSION": number}
        found = self.codepipeline.list_pipeline_executions(pipelineName=self.pipeline, maxResults=100)
        for one in found.get("pipelineExecutionSummaries", []):
            if one.get("status") != UNDER_WAY:
                continue
            execution = self.codepipeline.get_pipeline_execution(
                pipelineName=self.pipeline, pipelineExecutionId=one["pipelineExecutionId"]
            )["pipelineExecution"]
            if {item["name"]: item["resolvedValue"] for item in execution.get("variables", [])} == wanted:
                return True
        return False

    def _revisions(self) -> dict[str, Any]:
        """Return the commit that the last stage runs; before the first promotion the newest is taken."""
        found = self.codepipeline.list_pipeline_executions(
            pipelineName=self.delivery,
            maxResults=1,
            filter={"succeededInStage": {"stageName": self.delivered_stage}},
        ).get("pipelineExecutionSummaries", [])
        commits = [one["revisionId"] for item in found for one in item.get("sourceRevisions", [])]
        if not commits:
            return {}
        revision = {
            "actionName": self.source_action,
            "revisionType": "COMMIT_ID",
            "revisionValue": commits[0],
        }
        return {"sourceRevisions": [revision]}


def _parts(arn: str) -> tuple[str, str]:
    try:
        parts = Arn.parse(arn).resource.split("/")
    except ValueError as error:
        raise BadEvent(str(error)) from error
    if len(parts) != 3 or parts[0] != "model-package" or not is_version(parts[2]):
        raise BadEvent(f"expected the ARN of a model version, got '{arn}'")
    return parts[1], parts[2]


def _ignored(reason: str) -> dict[str, Any]:
    return {"release": "not started", "reason": reason}
