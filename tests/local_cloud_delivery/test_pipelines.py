"""Pipelines on the embedded cloud: order, variables, approvals, stops."""

from __future__ import annotations

import pytest

from tests.local_cloud_delivery.world import World, stage

pytestmark = pytest.mark.cloud


def test_a_created_pipeline_carries_the_head_of_its_branch_through_its_stages(world: World) -> None:
    project = world.project("show", "cat greeting.txt", "ls -A")
    pipeline = world.create("one", stage("Build", world.build("Show", project)))
    assert pipeline.ended() == "Succeeded"
    assert "hello" in pipeline.log("Show")
    assert ".git" not in pipeline.log("Show")
    revision = pipeline.execution()["artifactRevisions"][0]
    assert revision["name"] == "Files"
    assert revision["revisionSummary"].startswith("Say hello")
    assert pipeline.actions()["Take"]["output"]["outputVariables"]["CommitId"] == revision["revisionId"]
