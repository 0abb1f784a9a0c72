"""The delivery pipeline's template, taken apart for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.stacks.installations import assembly, resources, template

BOTH = ("full", "delivered")  # with staging, and without
ALL = (*BOTH, "versions")  # and with releases of versions
WAVES = {"dev": "RegistryAndDev", "staging": "Staging", "prod": "Prod"}


def pipeline_named(name: str, installation: str) -> dict[str, Any]:
    """Return the pipeline of that name."""
    pipelines = resources(template(installation, "DeliveryStack"), "AWS::CodePipeline::Pipeline").values()
    (found,) = [one for one in pipelines if one["Name"] == name]
    return found


def stages(installation: str = "full", name: str = "mlops-delivery") -> dict[str, list[dict[str, Any]]]:
    """Return the actions of every stage in their run order, by the stage's name."""
    pipeline = pipeline_named(name, installation)
    return {
        stage["Name"]: sorted(stage["Actions"], key=lambda action: (action["RunOrder"], action["Name"]))
        for stage in pipeline["Stages"]
    }


def action(stage: str, name: str, installation: str = "full") -> dict[str, Any]:
    """Return one action."""
    (found,) = [one for one in stages(installation)[stage] if one["Name"] == name]
    return found


def project(name: str, installation: str = "full") -> dict[str, Any]:
    """Return the CodeBuild project of that name."""
    projects = resources(template(installation, "DeliveryStack"), "AWS::CodeBuild::Project").values()
    (found,) = [one for one in projects if one["Name"] == name]
    return found


def buildspec(name: str, installation: str = "full") -> dict[str, Any]:
    """Return what a project runs; the one of the assets is a file in the assembly."""
    spec = project(name, installation)["Source"]["BuildSpec"]
    path = Path(assembly(installation).directory) / spec if len(spec) < 200 else None
    return dict(json.loads(spec if path is None else path.read_text()))


def environment(name: str, installation: str = "full") -> dict[str, Any]:
    """Return the environment variables that a project gives its builds."""
    variables = project(name, installation)["Environment"].get("EnvironmentVariables", [])
    return {one["Name"]: one["Value"] for one in variables}


def role(name: str, installation: str = "full") -> dict[str, Any]:
    """Return the role of that name."""
    roles = resources(template(installation, "DeliveryStack"), "AWS::IAM::Role").values()
    (found,) = [one for one in roles if one["RoleName"] == name]
    return found
