"""What an isolated job's program can't do: use the role's credentials, or reach anything by the network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.runner import isolation
from tests.local_cloud.engine_kit import unique
from tests.local_cloud_sagemaker.definitions import pipeline, processing
from tests.local_cloud_sagemaker.stage import ROLE, Stage

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("sagemaker")]

# What a program finds: the names of its secrets, and whether the engine's port answers.
LOOK = """
import socket
def reached():
    try:
        socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), timeout=3).close()
    except OSError:
        return False
    return True
found = {"secrets": sorted(n for n in os.environ if "KEY" in n or "TOKEN" in n or "ENDPOINT" in n),
         "region": os.environ["AWS_REGION"], "reached": reached()}
(root / "output/seen/found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def stage(cloud: LocalCloud) -> Stage:
    return Stage(cloud)


def what_a_job_finds(stage: Stage, **network: Any) -> dict[str, Any]:
    key = unique("isolation")
    step = processing(
        "Look",
        stage.program(LOOK),
        outputs={"seen": stage.uri(key)},
        environment={"PORT": stage.cloud.endpoint.rsplit(":", 1)[1].strip("/")},
    )
    step["Arguments"] |= network
    run = stage.run(pipeline(step, parameters=[ROLE]))
    assert run.status == "Succeeded", run.reason("Look")
    found: dict[str, Any] = json.loads(stage.read(f"{key}/found.json"))
    return found


def test_an_isolated_job_has_no_credentials_and_no_network_where_the_machine_can_take_it(
    stage: Stage,
) -> None:
    found = what_a_job_finds(stage, NetworkConfig={"EnableNetworkIsolation": True})
    assert found == {"secrets": [], "region": "us-east-1", "reached": not isolation.launcher()}


@pytest.mark.parametrize("network", [{}, {"NetworkConfig": {"EnableNetworkIsolation": False}}])
def test_any_other_job_has_the_credentials_of_its_role_and_the_network(
    stage: Stage, network: dict[str, Any]
) -> None:
    found = what_a_job_finds(stage, **network)
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} <= set(found["secrets"])
    assert found["reached"]


@pytest.mark.parametrize(
    ("request_says", "model_says", "isolated"),
    [
        ({"EnableNetworkIsolation": True}, {}, True),
        ({"NetworkConfig": {"EnableNetworkIsolation": True}}, {}, True),
        ({"NetworkConfig": {"VpcConfig": {}}}, {}, False),
        ({}, {"isolated": True}, True),
        ({}, {"isolated": False}, False),
        ({}, {}, False),
    ],
)
def test_a_job_is_isolated_where_its_request_or_its_model_says_so(
    request_says: dict[str, Any], model_says: dict[str, Any], isolated: bool
) -> None:
    assert isolation.is_isolated(request_says, model_says) is isolated


def test_a_program_runs_as_it_is_where_no_namespace_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_cloud.runner.isolation.shutil.which", lambda name: None)
    isolation.launcher.cache_clear()
    assert isolation.without_network(["python3"]) == ["python3"]
    isolation.launcher.cache_clear()
