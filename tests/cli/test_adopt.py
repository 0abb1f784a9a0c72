"""Adopting into a stack that exists, and stacks that can't adopt; the whole way is in test_life_of_an_installation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from local_cloud.cloud import LocalCloud
from local_cloud.deployer import deploy, destroy
from ops import __main__ as ops
from ops import adopt, cdk
from ops.errors import CommandError
from tests.stacks.installations import CONNECTION, synthesized

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("cli")]

SETTINGS: dict[str, Any] = {"models": [{"folder": "mammography"}]}
GROUP = "AWS::SageMaker::ModelPackageGroup"
REGISTRY, DEV = "333333333333", "111111111111"


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud.start() as started:
        yield started


@pytest.fixture(scope="module")
def bootstrapped(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, env = tmp_path_factory.mktemp("bootstrap"), cdk.environment(cloud.environment(REGISTRY))
    command = ["bootstrap", f"aws://{REGISTRY}/us-east-1"]
    with cdk.Command(command, env, folder / "bootstrap.log", folder=folder) as running:
        running.finish()


@pytest.fixture
def place(cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> adopt.Place:
    """The registry's stack, as its account's root sees it, with settings of ours."""
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    for name, value in cloud.environment(REGISTRY).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLOPS_SETTINGS", str(tmp_path / "settings.json"))
    monkeypatch.setenv("GIT_COMMIT", "0" * 40)
    return adopt.Place("RegistryStack", cloud.session(REGISTRY))


@pytest.mark.usefixtures("bootstrapped")
def test_a_group_that_left_the_settings_and_comes_back_is_taken_up_by_the_stack_that_exists(
    cloud: LocalCloud, place: adopt.Place, tmp_path: Path
) -> None:
    assembly = Path(synthesized(SETTINGS).directory)
    template = json.loads((assembly / "RegistryStack.template.json").read_text())
    without = {name: one for name, one in template["Resources"].items() if one["Type"] != GROUP}
    deploy(cloud, assembly, stacks=["RegistryStack"])
    cloudformation = place.session.client("cloudformation")
    update = {"TemplateBody": json.dumps({**template, "Resources": without})}
    cloudformation.update_stack(StackName="RegistryStack", Capabilities=["CAPABILITY_NAMED_IAM"], **update)
    cloudformation.get_waiter("stack_update_complete").wait(StackName="RegistryStack")
    (group,) = place.session.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]

    said: list[str] = []
    adopt.adopt([place], tmp_path / "work", say=said.append)

    assert said[0] == f"RegistryStack: takes up model package group {group['ModelPackageGroupName']}"
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName="RegistryStack")
    resources = [one for page in pages for one in page["StackResourceSummaries"]]
    assert {one["LogicalResourceId"] for one in resources} == set(template["Resources"])
    (taken,) = [one for one in resources if one["ResourceType"] == GROUP]
    assert taken["PhysicalResourceId"] == group["ModelPackageGroupArn"]
    assert adopt.deployed_template(place)["Resources"] == template["Resources"]


@pytest.mark.usefixtures("bootstrapped")
def test_what_the_delivery_leaves_is_taken_up_and_it_can_be_deployed_again(
    cloud: LocalCloud, place: adopt.Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = {"repository": "example/it", "connection_arn": CONNECTION}
    values = {**SETTINGS, "delivery": delivery}
    (tmp_path / "settings.json").write_text(json.dumps(values))
    monkeypatch.setenv("STAGE", "delivery")
    assembly = Path(synthesized(values).directory)
    deploy(cloud, assembly, stacks=["DeliveryStack"])
    template = json.loads((assembly / "DeliveryStack.template.json").read_text())
    kept = {name: one for name, one in template["Resources"].items() if one.get("DeletionPolicy") == "Retain"}
    before = _physical_ids(place)
    artifacts = f"sagemaker-mlops-delivery-artifacts-{REGISTRY}-us-east-1"
    place.session.client("s3").put_object(Bucket=artifacts, Key="left", Body=b"behind")
    destroy(cloud, assembly, stacks=["DeliveryStack"])

    assert ops.main(["adopt"]) == 0
    deploy(cloud, assembly, stacks=["DeliveryStack"])

    after = _physical_ids(place)
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert set(after) == set(template["Resources"])
    assert artifacts in {after[name] for name in kept}
    assert place.session.client("s3").get_object(Bucket=artifacts, Key="left")["Body"].read() == b"behind"


def _physical_ids(place: adopt.Place) -> dict[str, str]:
    pages = place.session.client("cloudformation").get_paginator("list_stack_resources")
    found = pages.paginate(StackName="DeliveryStack")
    return {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for page in found
        for one in page["StackResourceSummaries"]
    }


def test_a_stack_that_could_not_be_deleted_is_to_be_deleted_first(cloud: LocalCloud) -> None:
    session = cloud.session(DEV)
    cloudformation, sagemaker = session.client("cloudformation"), session.client("sagemaker")
    group = {"Type": GROUP, "Properties": {"ModelPackageGroupName": "full"}}
    cloudformation.create_stack(StackName="DevStack", TemplateBody=json.dumps({"Resources": {"G": group}}))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="DevStack", WaiterConfig={"Delay": 1})
    sagemaker.create_model_package(
        ModelPackageGroupName="full",
        InferenceSpecification={
            "Containers": [{"Image": "333333333333.dkr.ecr.us-east-1.amazonaws.com/x:1"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )
    cloudformation.delete_stack(StackName="DevStack")
    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName="DevStack", WaiterConfig={"Delay": 1}
        )
    with pytest.raises(CommandError) as error:
        adopt.deployed_template(adopt.Place("DevStack", session))
    assert (
        str(error.value) == "DevStack is DELETE_FAILED; delete what is left of it first: cdk destroy DevStack"
    )


def test_a_stack_that_is_not_there_has_no_template(cloud: LocalCloud) -> None:
    assert adopt.deployed_template(adopt.Place("NoStack", cloud.session(DEV))) == {}


def test_a_cdk_command_that_fails_is_told_with_the_place_of_its_log(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    env = cdk.environment(cloud.environment(DEV))
    command = cdk.Command(["deploy", "--app", "nowhere"], env, tmp_path / "x.log", folder=tmp_path)
    with command, pytest.raises(CommandError, match=r"cdk deploy --app nowhere failed with exit code 1"):
        command.finish()


def test_an_unknown_stage_is_one_line(
    place: adopt.Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGE", "test")
    assert ops.main(["adopt"]) == 1
    expected = "adopt: STAGE must be one of registry, dev, prod, got 'test'; all by default\n"
    assert capsys.readouterr().err == expected


def test_an_installation_that_keeps_nothing_has_nothing_to_take_up(
    place: adopt.Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({**SETTINGS, "throw_away": True}))
    assert ops.main(["adopt"]) == 0
    assert "there is nothing to take up" in capsys.readouterr().out
