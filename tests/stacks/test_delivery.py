"""The delivery pipeline: what it does, in which order, and that its stacks are those of a direct deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.stacks.installations import CONNECTION, assembly, resources, template


def stages() -> list[dict[str, Any]]:
    (pipeline,) = resources(template("full", "DeliveryStack"), "AWS::CodePipeline::Pipeline").values()
    return list(pipeline["Stages"])


def nested(name: str) -> tuple[dict[str, Any], str]:
    """Return the template of a stack inside the delivery pipeline, and its stack name."""
    folder = Path(assembly("full").directory)
    stage = {"RegistryStack": "Registry", "DevStack": "Dev", "StagingStack": "Staging", "ProdStack": "Prod"}[
        name
    ]
    (manifest,) = folder.glob(f"assembly-DeliveryStack-{stage}/manifest.json")
    artifacts = json.loads(manifest.read_text())["artifacts"].values()
    (stack,) = [one for one in artifacts if one["type"] == "aws:cloudformation:stack"]
    properties = stack["properties"]
    return json.loads((manifest.parent / properties["templateFile"]).read_text()), properties["stackName"]


def test_the_order_is_source_build_mutation_dev_approval_prod() -> None:
    assert [stage["Name"] for stage in stages()] == [
        "Source",
        "Build",
        "UpdatePipeline",
        "Assets",
        "RegistryAndDev",
        "Staging",
        "Prod",
    ]


def test_a_person_decides_before_anything_happens_in_prod() -> None:
    actions = sorted(stages()[-1]["Actions"], key=lambda action: action["RunOrder"])
    assert actions[0]["ActionTypeId"]["Category"] == "Approval"
    assert all(action["RunOrder"] > actions[0]["RunOrder"] for action in actions[1:])


def test_the_whole_suite_runs_before_anything_is_deployed() -> None:
    projects = resources(template("full", "DeliveryStack"), "AWS::CodeBuild::Project")
    specs = [
        one["Source"]["BuildSpec"] for one in projects.values() if isinstance(one["Source"]["BuildSpec"], str)
    ]
    assert any("make check test" in spec for spec in specs)


def test_the_stacks_are_those_of_a_direct_deployment() -> None:
    for name in ("RegistryStack", "DevStack", "StagingStack", "ProdStack"):
        inside, stack_name = nested(name)
        assert stack_name == name
        assert inside == template("full", name)


def test_the_connection_may_be_used_under_both_of_its_names() -> None:
    statements = [
        statement
        for policy in resources(template("full", "DeliveryStack"), "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if "onnections:UseConnection" in json.dumps(statement["Action"])
    ]
    text = json.dumps(statements)
    assert "codestar-connections:UseConnection" in text
    assert "codeconnections:UseConnection" in text
    assert all(statement["Resource"] == CONNECTION for statement in statements)


def test_artifacts_are_encrypted_with_a_rotating_key() -> None:
    found = template("full", "DeliveryStack")
    assert all(key["EnableKeyRotation"] for key in resources(found, "AWS::KMS::Key").values())
    for bucket in resources(found, "AWS::S3::Bucket").values():
        assert "aws:kms" in json.dumps(bucket["BucketEncryption"])


def test_nothing_is_built_without_a_delivery_section() -> None:
    names = [stack.stack_name for stack in assembly("default").stacks]
    assert sorted(names) == ["DevStack", "ProdStack", "RegistryStack"]
