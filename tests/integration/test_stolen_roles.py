"""What the demo tries with stolen roles, one call a test: each is refused by a permission, and by nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from demo import denials
from demo.world import APPROVER, World
from tests.integration.loop import Loop

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-a")]

#: Who, and what they try: as `demo.denials` says it.
TRIED = (
    ("prod's train role", "approves a version"),
    ("dev's train role", "approves a version"),
    ("dev's train role", "registers a version as approved"),
    ("prod's inference role", "registers a version"),
    ("dev's train role", "reads prod's training data"),
    ("dev's train role", "writes into prod's part of the artifacts"),
    ("a stranger's role, all of S3 and KMS allowed", "reads the model"),
    ("prod's train role", "reads another model's data"),
    ("prod's train role", "reads its own data without TLS"),
    ("prod's inference role", "overwrites the code of the steps"),
    ("prod's inference role", "overwrites the model"),
    ("prod's train role", "overwrites the approved model that dev trained"),
    ("the role that records approvals", "approves a version"),
    ("the role that records approvals", "overwrites the approved model"),
    ("prod's train role", "deletes a version"),
    ("dev's train role", "starts prod's train pipeline"),
    (f"{APPROVER} without a second factor", "takes the approver role"),
)


@dataclass
class Stolen:
    """The installation as `demo.denials` knows one, with an approver's access key."""

    loop: Loop
    person: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loop, name)


@pytest.fixture(scope="module")
def attempts(loop: Loop) -> dict[tuple[str, str], denials.Attempt]:
    """The calls by who makes them and what they are."""
    thief = loop.user("registry", "mallory", loop.settings.approver_role_arn)
    world = cast(World, Stolen(loop, thief))
    return {(one.who, one.what): one for one in denials.attempts(world)}


def test_everything_that_the_demo_tries_is_tried_here(
    attempts: dict[tuple[str, str], denials.Attempt],
) -> None:
    assert sorted(attempts) == sorted(TRIED)


@pytest.mark.parametrize(("who", "what"), TRIED, ids=[f"{who} {what}" for who, what in TRIED])
def test_a_stolen_role_is_refused(
    attempts: dict[tuple[str, str], denials.Attempt], who: str, what: str
) -> None:
    allowed, answer = denials._attempt(attempts[who, what].call)
    assert not allowed, answer
    assert any(code in answer for code in denials.REFUSALS), answer
