"""What GitHub's jobs can deploy and what not, seen on the embedded cloud with the real CDK CLI and IAM enforced."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.cloud import LocalCloud
from tests.delivery_ci.installations import ACCOUNTS, GITHUB
from tests.delivery_ci.promotion import Promotion, broken

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("delivery-ci")]

SETTINGS: dict[str, Any] = {
    "models": [{"folder": "mammography"}],
    "delivery": GITHUB,
}
MAIN, ENVIRONMENT = "repo:example/mlops:ref:refs/heads/main", "repo:example/mlops:environment:prod"
Result = subprocess.CompletedProcess[str]


@dataclass
class Story:
    """What was seen, in its order."""

    made: dict[str, Result] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with LocalCloud.start(accounts=tuple(ACCOUNTS.values())) as cloud:
        place = Promotion(cloud, tmp_path_factory.mktemp("promotion"), ACCOUNTS)
        place.prepare(SETTINGS)
        yield told(place)


def told(place: Promotion) -> Story:
    """Promote as the workflow does, and try what it must not be able to do."""
    story = Story()

    def deliver(point: str, env: dict[str, str], stages: str, assembly: str) -> None:
        story.made[point] = place.make(env, "deliver", f"STAGES={stages}", f"ASSEMBLY={assembly}")
        stack = {"registry": "RegistryStack", "dev": "DevStack", "prod": "ProdStack"}
        story.states[point] = " ".join(place.state(stage, stack[stage]) for stage in stages.split())

    good = str(place.assembly)
    place.deploy_roles()
    branch = place.job("github", MAIN)
    deliver("dev by the branch", branch, "registry dev", good)
    deliver("prod by the branch", branch, "prod", good)
    for what, role, subject in (
        ("another branch", "github", "repo:example/mlops:ref:refs/heads/other"),
        ("a pull request", "github", "repo:example/mlops:pull_request"),
        ("another repository", "github", "repo:someone/mlops:ref:refs/heads/main"),
        ("prod's role for the branch", "github-prod", MAIN),
        ("prod's role for another environment", "github-prod", "repo:example/mlops:environment:permissions"),
    ):
        try:
            place.job(role, subject)
            story.refused[what] = "was let in"
        except ClientError as error:
            story.refused[what] = error.response["Error"]["Code"]
    reviewed = place.job("github-prod", ENVIRONMENT)
    deliver("prod after the review", reviewed, "prod", good)
    deliver("dev after the review", reviewed, "dev", good)
    deliver(
        "a broken prod", reviewed, "prod", str(broken(place.assembly, place.work / "broken", "ProdStack"))
    )
    return story


def said(story: Story, point: str) -> str:
    return story.made[point].stdout + story.made[point].stderr


def test_a_job_of_the_branch_delivers_registry_and_dev(story: Story) -> None:
    assert story.made["dev by the branch"].returncode == 0, said(story, "dev by the branch")
    assert story.states["dev by the branch"] == "CREATE_COMPLETE CREATE_COMPLETE"


def test_a_job_of_the_branch_cannot_deliver_prod_and_is_told_so_in_one_line(story: Story) -> None:
    assert story.states["prod by the branch"] == "none"
    assert (
        "deliver: these credentials may not deploy prod (ProdStack)"
        in story.made["prod by the branch"].stderr
    )


def test_a_job_of_the_reviewed_environment_delivers_prod(story: Story) -> None:
    assert story.made["prod after the review"].returncode == 0, said(story, "prod after the review")
    assert story.states["prod after the review"] == "CREATE_COMPLETE"


def test_a_job_of_the_reviewed_environment_can_deliver_prod_only(story: Story) -> None:
    assert story.made["dev after the review"].returncode != 0


@pytest.mark.parametrize(
    "who",
    [
        "another branch",
        "a pull request",
        "another repository",
        "prod's role for the branch",
        "prod's role for another environment",
    ],
)
def test_nobody_else_gets_a_role(story: Story, who: str) -> None:
    assert story.refused[who] == "AccessDenied"


def test_a_deployment_that_fails_half_way_says_what_runs_now(story: Story) -> None:
    failed = story.made["a broken prod"]
    assert failed.returncode != 0
    assert story.states["a broken prod"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "deliver: prod (ProdStack) failed and was rolled back (UPDATE_ROLLBACK_COMPLETE)" in failed.stderr
    assert "no-such-role" in failed.stdout, "the reason is not above"
