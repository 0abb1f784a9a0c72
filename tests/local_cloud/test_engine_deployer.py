"""The deployer takes a cloud assembly to the embedded cloud, and says what failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.deployer import DeploymentError, deploy, destroy
from tests.local_cloud.engine_kit import DEV, FAKE, REGISTRY

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("cdk")]
BUCKET = f"engine-test-artifacts-{REGISTRY}"


def test_deploys_updates_fails_and_destroys(assembly: Callable[[str], Path]) -> None:
    with LocalCloud.start(sagemaker_module=FAKE) as cloud:
        stacks = deploy(cloud, assembly("one"))
        assert {name: stack.status for name, stack in stacks.items()} == {
            "EngineRegistry": "CREATE_COMPLETE",
            "EngineDev": "CREATE_COMPLETE",
        }
        assert stacks["EngineDev"].outputs["Value"] == "one"
        assert not any(stack.changed for stack in deploy(cloud, assembly("one")).values())
        with pytest.raises(
            DeploymentError, match=r"EngineDev ended UPDATE_ROLLBACK_COMPLETE: Custom.*value bad"
        ):
            deploy(cloud, assembly("bad"), stacks=["EngineDev"])
        assert deploy(cloud, assembly("two"), stacks=["EngineDev"])["EngineDev"].outputs["Value"] == "two"
        cloud.session(REGISTRY).client("s3").put_object(Bucket=BUCKET, Key="kept", Body=b"1")
        destroy(cloud, assembly("two"))
        alive = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_FAILED"]
        left = cloud.session(DEV).client("cloudformation").list_stacks(StackStatusFilter=alive)
        assert left["StackSummaries"] == []
        with pytest.raises(DeploymentError, match=BUCKET):
            deploy(cloud, assembly("one"), stacks=["EngineRegistry"])
        deploy(cloud, assembly("one"), import_existing=True)
        found = cloud.session(REGISTRY).client("s3").get_object(Bucket=BUCKET, Key="kept")
        assert found["Body"].read() == b"1"


def test_an_unknown_stack_is_named_with_the_known_ones(
    engine: LocalCloud, assembly: Callable[[str], Path]
) -> None:
    with pytest.raises(ValueError, match="has no stack 'Other'; it has: EngineRegistry, EngineDev"):
        deploy(engine, assembly("one"), stacks=["Other"])


def test_a_folder_that_is_no_assembly_is_refused(engine: LocalCloud, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no cloud assembly: it has no manifest\.json"):
        deploy(engine, tmp_path)
