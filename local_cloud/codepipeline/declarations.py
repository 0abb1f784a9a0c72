"""Checks the declaration of a pipeline, and reads it from a template."""

from __future__ import annotations

from typing import Any

from local_cloud.codepipeline.deploy import MODES
from local_cloud.codepipeline.errors import ServiceError
from local_cloud.codepipeline.model import Declaration

#: What can be run: (category, provider) -> configuration keys that it can't do without.
ACTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("Source", "CodeStarSourceConnection"): ("ConnectionArn", "FullRepositoryId", "BranchName"),
    ("Build", "CodeBuild"): ("ProjectName",),
    ("Test", "CodeBuild"): ("ProjectName",),
    ("Deploy", "CloudFormation"): ("ActionMode", "StackName"),
    ("Approval", "Manual"): (),
}
_CONDITIONS = ("onFailure", "onSuccess", "beforeEntry")
_VERBATIM = ("Configuration",)


def check(declaration: Declaration) -> None:
    """Refuse what CodePipeline refuses, and what the embedded cloud can't run.

    Raises
    ------
    ServiceError
        Says what is wrong.
    """
    stages = declaration["stages"]
    if len(stages) < 2:
        raise _wrong("Pipeline has only 1 stage(s). There should be a minimum of 2 stages in a pipeline")
    _unique([stage["name"] for stage in stages], "stage")
    made: set[str] = set()
    for place, stage in enumerate(stages):
        for condition in _CONDITIONS:
            if stage.get(condition):
                raise _wrong(f"stage {stage['name']} has {condition}, which the embedded cloud doesn't run")
        if not stage.get("actions"):
            raise _wrong(f"Stage {stage['name']} has no actions")
        _unique([action["name"] for action in stage["actions"]], f"action in stage {stage['name']}")
        for action in sorted(stage["actions"], key=lambda one: int(one.get("runOrder", 1))):
            _check_action(stage["name"], action, made, first=place == 0)


def _check_action(stage: str, action: Declaration, made: set[str], *, first: bool) -> None:
    kind = action["actionTypeId"]
    where = f"action {action['name']} of stage {stage}"
    needed = ACTIONS.get((kind["category"], kind["provider"]))
    if needed is None:
        known = ", ".join(f"{category}/{provider}" for category, provider in ACTIONS)
        raise _wrong(
            f"{where} is {kind['category']}/{kind['provider']}, which the embedded cloud doesn't run; it runs {known}"
        )
    if (kind["category"] == "Source") != first:
        rule = "Source actions belong in the first stage, and only they"
        raise _wrong(f"{where}: {rule}")
    configuration = action.get("configuration") or {}
    if missing := [key for key in needed if key not in configuration]:
        raise _wrong(f"{where} has no {', '.join(missing)} in its configuration")
    mode = configuration.get("ActionMode")
    if kind["provider"] == "CloudFormation" and mode not in MODES:
        raise _wrong(f"{where} has ActionMode {mode}; the embedded cloud runs {', '.join(MODES)}")
    for one in action.get("inputArtifacts") or []:
        if one["name"] not in made:
            raise _wrong(f"{where} takes the artifact {one['name']}, which no action before it makes")
    for one in action.get("outputArtifacts") or []:
        if one["name"] in made:
            raise _wrong(f"{where} makes the artifact {one['name']}, which another action makes already")
        made.add(one["name"])


def _unique(names: list[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise _wrong(f"There is more than one {what} with the name {name}")


def _wrong(message: str) -> ServiceError:
    return ServiceError("InvalidStructureException", message)


def from_template(properties: dict[str, Any], name: str) -> Declaration:
    """Return the declaration that a template's ``AWS::CodePipeline::Pipeline`` means.

    Parameters
    ----------
    properties
        The resource's properties.
    name
        The pipeline's name.
    """
    members = (
        "RoleArn",
        "ArtifactStore",
        "ArtifactStores",
        "Stages",
        "ExecutionMode",
        "PipelineType",
        "Variables",
        "Triggers",
    )
    found = {_lower(key): _lowered(properties[key]) for key in members if key in properties}
    if "artifactStores" in found:
        found["artifactStores"] = {one["region"]: one["artifactStore"] for one in found["artifactStores"]}
    for stage in found.get("stages", []):
        for action in stage.get("actions", []):
            for member in ("runOrder", "timeoutInMinutes"):
                if member in action:
                    action[member] = int(action[member])
            if "configuration" in action:
                action["configuration"] = {
                    key: str(value).lower() if isinstance(value, bool) else str(value)
                    for key, value in action["configuration"].items()
                }
    return {"name": name, **found}


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {_lower(key): item if key in _VERBATIM else _lowered(item) for key, item in value.items()}
    return [_lowered(item) for item in value] if isinstance(value, list) else value
