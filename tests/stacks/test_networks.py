"""The network that an installation makes for its jobs, and who refers to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.library.policy_audit import findings
from tests.stacks.installations import SETTINGS, assembly, resources, synthesized, template

STACKS = ("DevStack", "ProdStack")


def made(stack: str) -> dict[str, Any]:
    """Return references to the subnets and the group that a stack makes, by the parameter of the pipelines."""
    found = template("new-network", stack)
    subnets = list(resources(found, "AWS::EC2::Subnet"))
    (group,) = [name for name in resources(found, "AWS::EC2::SecurityGroup") if "Jobs" in name]
    return {
        "SubnetId1": {"Fn::GetAtt": [subnets[0], "SubnetId"]},
        "SubnetId2": {"Fn::GetAtt": [subnets[1], "SubnetId"]},
        "SecurityGroupId": {"Fn::GetAtt": [group, "GroupId"]},
    }


@pytest.mark.parametrize("stack", STACKS)
def test_all_pipelines_run_in_the_network_of_their_stage(stack: str) -> None:
    pipelines = resources(template("new-network", stack), "Custom::SageMakerPipeline").values()
    assert len(pipelines) == 3
    for one in pipelines:
        assert one["ParameterDefaults"].items() >= made(stack).items()


@pytest.mark.parametrize("stack", STACKS)
def test_job_roles_create_jobs_and_interfaces_there_only(stack: str) -> None:
    roles = resources(template("new-network", stack), "AWS::IAM::Role")
    for kind in ("Train", "Inference"):
        (role,) = (one for name, one in roles.items() if f"{kind}Role" in name)
        statements = {
            one["Sid"]: one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]
        }
        first, second, group = made(stack).values()
        for sid, one in statements.items():
            if sid.startswith("Create") and sid.endswith(("Jobs", "CreateModels")) and "Transform" not in sid:
                assert one["Condition"]["ForAllValues:StringEquals"] == {
                    "sagemaker:VpcSubnets": [first, second],
                    "sagemaker:VpcSecurityGroupIds": [group],
                }, sid
        text = json.dumps(statements["CreateInterface"]["Resource"])
        assert all(json.dumps(one) in text for one in (first, second, group))


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_of_it_is_open_to_everybody(stack: str) -> None:
    assert findings(template("new-network", stack)) == []


def test_each_stage_has_a_network_of_its_own_and_the_registry_has_none() -> None:
    kinds = {
        stack.stack_name: sum(one["Type"] == "AWS::EC2::VPC" for one in stack.template["Resources"].values())
        for stack in assembly("new-network").stacks
    }
    assert kinds == {"RegistryStack": 0, "DevStack": 1, "ProdStack": 1}


def test_a_branch_runs_where_devs_jobs_run() -> None:
    exports = {
        one["Export"]["Name"]
        for one in template("new-network", "DevStack")["Outputs"].values()
        if "Export" in one
    }
    branch = (
        synthesized(SETTINGS["new-network"], branch="feature/trees").get_stack_artifact("DevStack").template
    )
    assert resources(branch, "AWS::EC2::VPC") == {}
    for one in resources(branch, "Custom::SageMakerPipeline").values():
        defaults = one["ParameterDefaults"]
        imported = [
            defaults[name]["Fn::ImportValue"] for name in ("SubnetId1", "SubnetId2", "SecurityGroupId")
        ]
        assert len(set(imported)) == 3
        assert set(imported) <= exports
