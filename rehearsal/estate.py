"""What is deployed on the embedded cloud: the state of a stage, and whether it was touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo.lookout import Lookout, Run
from ops import data
from rehearsal.settings import ACCOUNTS
from stacks.installation import PIPELINE_KINDS, STACKS, StageName

KINDS = PIPELINE_KINDS


@dataclass(frozen=True)
class StageState:
    """A stage as CloudFormation and SageMaker tell it.

    ``pipelines`` holds the tags of each pipeline, by name, and when it was changed last, as ``changed``.
    """

    stack_status: str
    stack_updated: str
    pipelines: Mapping[str, Mapping[str, str]]

    @property
    def exists(self) -> bool:
        """Return whether its stack does."""
        return self.stack_status != "absent"

    @property
    def definitions(self) -> dict[str, str]:
        """Return the digest of each pipeline's definition, by the pipeline's name."""
        return {name: tags.get("mlops:definition", "") for name, tags in self.pipelines.items()}

    @property
    def tags(self) -> dict[str, dict[str, str]]:
        """Return what the pipelines are: their tags, without when they were changed."""
        return {
            name: {key: tags[key] for key in tags if key != "changed"}
            for name, tags in self.pipelines.items()
        }


def state(world: Lookout, stage: StageName) -> StageState:
    """Return what is deployed to a stage now."""
    stack = _stack(world, stage)
    if stack is None:
        return StageState("absent", "", {})
    updated = stack.get("LastUpdatedTime") or stack["CreationTime"]
    return StageState(str(stack["StackStatus"]), str(updated), _pipelines(world, stage))


def _stack(world: Lookout, stage: StageName) -> dict[str, Any] | None:
    cloudformation = client(world, stage, "cloudformation")
    for one in cloudformation.describe_stacks()["Stacks"]:
        if one["StackName"] == STACKS[stage]:
            return dict(one)
    return None


def _pipelines(world: Lookout, stage: StageName) -> dict[str, dict[str, str]]:
    sagemaker = client(world, stage, "sagemaker")
    found = {}
    for summary in sagemaker.list_pipelines()["PipelineSummaries"]:
        tags = sagemaker.list_tags(ResourceArn=summary["PipelineArn"])["Tags"]
        found[str(summary["PipelineName"])] = {
            **{tag["Key"]: tag["Value"] for tag in tags},
            "changed": str(summary.get("LastModifiedTime", "")),
        }
    return found


def client(world: Lookout, account_name: str, service: str) -> Any:
    """Return a client of an account's root; of staging too while the settings have none."""
    if account_name in world.settings.accounts:
        return world.client(account_name, service)
    return world.session(ACCOUNTS[account_name]).client(service)


def score(world: Lookout, stage: StageName, name: str) -> Run:
    """Score the model's first batch in a stage, as an operator would, and return how it went."""
    batch = data.batch_files(world.model)[0]
    uri = data.batch_uri(world.stage(stage), world.model, batch)
    arn = world.start(stage, "inference", {"transform_input": uri, "Rescore": "true"})
    return world.follow(name, stage, arn)


def scored_with(world: Lookout, run: Run) -> dict[str, Any]:
    """Return what the stage recorded about the batch that a run scored."""
    stage = world.settings.known_stage(run.stage)
    s3 = world.client(run.stage, "s3")
    prefix = f"{world.model.model_name}/state/scored/"
    for found in s3.list_objects_v2(Bucket=stage.data_bucket_name, Prefix=prefix).get("Contents", []):
        record = world.read_json(f"s3://{stage.data_bucket_name}/{found['Key']}", run.stage)
        if record.get("execution_id") == run.outcome.execution_id:
            return dict(record)
    return {}
