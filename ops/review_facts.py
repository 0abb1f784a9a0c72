"""What a person must know before a commit is let into a stage: of the registry, the stage and the assembly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.exceptions

from ops import assembly, permissions, registry
from ops.deployed import look_up, pairs
from ops.iam.templates import Template
from ops.registry import Version
from ops.review_diff import Change, definition_changes, filled, template_changes
from stacks.installation import Model, Settings, Stage, partition_of

NEWEST = 5  # versions shown of each model


@dataclass(frozen=True)
class Models:
    """The newest versions of a model, and the one that is in use.

    Attributes
    ----------
    versions
        The newest first; nothing before the first training.
    champion
        The newest approved one; None before the first approval.
    """

    name: str
    versions: tuple[Version, ...]
    champion: Version | None


@dataclass(frozen=True)
class Pipeline:
    """One pipeline of the stage: as it is and as it would be.

    Attributes
    ----------
    old, new
        Its tags ``mlops:definition``, ``mlops:code``, ``mlops:commit``; old is None where it isn't deployed, new where
        it would go.
    changes
        Of its definition.
    """

    name: str
    old: dict[str, str] | None
    new: dict[str, str] | None
    changes: tuple[Change, ...]

    def differs(self, tag: str) -> bool:
        """Return whether the pipelines carry different tags, such as ``mlops:code``."""
        return (self.old or {}).get(tag) != (self.new or {}).get(tag)


@dataclass(frozen=True)
class Review:
    """All of it.

    Attributes
    ----------
    deployed_commit
        What the stage's pipelines say that they were made from; None where nothing is deployed.
    widening
        See `ops.permissions.widening`.
    """

    stage: str
    account: str
    stack: str
    commit: str
    deployed_commit: str | None
    models: tuple[Models, ...]
    pipelines: tuple[Pipeline, ...]
    resources: tuple[Change, ...]
    widening: tuple[str, ...]


def collect(settings: Settings, stage: Stage, folder: Path) -> Review:
    """Look at the registry, the stage and the assembly.

    Raises
    ------
    CommandError
        Where one of them can't be read.
    """
    (pair,) = pairs(settings, [stage.name], folder)
    versions = look_up(settings, "registry").client("sagemaker")
    sagemaker = look_up(settings, stage.name).client("sagemaker")
    place = {"stack": pair.stack, "account": pair.account, "region": pair.region}
    place["partition"] = partition_of(pair.region)
    new = Template(pair.new, **place)
    old = None if pair.old is None else Template(pair.old, **place)
    stack = assembly.find(folder, pair.stack)
    pipelines = _pipelines(stack, old, new, sagemaker)
    commits = [one.old.get(assembly.COMMIT, "unknown") for one in pipelines if one.old is not None]
    return Review(
        stage=stage.name,
        account=stage.account,
        stack=pair.stack,
        commit=settings.commit if stack.commit == "unknown" else stack.commit,
        deployed_commit=" and ".join(dict.fromkeys(commits)) or None,
        models=tuple(_models(versions, model) for model in settings.models),
        pipelines=tuple(pipelines),
        resources=tuple(template_changes(old, new)),
        widening=tuple(permissions.widening([pair])),
    )


def _models(sagemaker: Any, model: Model) -> Models:
    group = model.model_package_group
    newest = registry.newest(sagemaker, group, NEWEST)
    champions = registry.newest(sagemaker, group, 1, status="Approved")
    return Models(model.model_name, tuple(newest), champions[0] if champions else None)


# --- pipelines


def _pipelines(
    stack: assembly.StackAssembly, old: Template | None, new: Template, sagemaker: Any
) -> list[Pipeline]:
    wanted = _of(new)
    gone = [name for name in ([] if old is None else _of(old)) if name not in wanted]
    found = []
    for name, properties in wanted.items():
        deployed = _deployed(sagemaker, name)
        definition = json.loads(stack.asset(properties["DefinitionKey"]))
        after = filled(definition, properties.get("ParameterDefaults", {}), properties.get("Functions", {}))
        changes = definition_changes(deployed[0] if deployed else None, after)
        tags = {str(key): str(value) for key, value in properties.get("Tags", {}).items()}
        found.append(Pipeline(name, deployed[1] if deployed else None, tags, tuple(changes)))
    return found + [Pipeline(name, {}, None, (Change("removed", "the pipeline"),)) for name in gone]


def _of(template: Template) -> dict[str, dict[str, Any]]:
    """Return the properties of a template's pipelines by name."""
    found = [
        one["Properties"] for one in template.resources.values() if one["Type"] == assembly.PIPELINE_TYPE
    ]
    return {str(one["PipelineName"]): one for one in found}


def _deployed(sagemaker: Any, name: str) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Return a pipeline's definition and tags; None where there is no such pipeline."""
    try:
        described = sagemaker.describe_pipeline(PipelineName=name)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"].startswith("ResourceNotFound"):
            return None
        raise
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=described["PipelineArn"])
    tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    return json.loads(described["PipelineDefinition"]), tags
