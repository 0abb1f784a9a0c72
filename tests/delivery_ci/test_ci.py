"""What CI systems are told of the settings, of the permissions gate, and how a step runs in a delivery role."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.deployer import deploy
from ops import ci
from ops.errors import CommandError
from stacks.settings import load
from tests.delivery_ci.installations import REGISTRY, SETTINGS, artifact
from tests.local_cloud.engine_kit import FAKE, allow, document, trust

BUILD = f"arn:aws:iam::{REGISTRY}:role/mlops/delivery/build/mlops-delivery-"
ON_GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "example/mlops", "GITHUB_REF_NAME": "main"}
AGENT, OTHER = "agents/jenkins", "agents/other"


def variables(name: str, env: dict[str, str]) -> dict[str, str]:
    return ci.variables(load({"models": [{"folder": "mammography"}], **SETTINGS.get(name, {})}), env)


def test_github_is_told_its_roles_region_and_stages() -> None:
    assert variables("github", ON_GITHUB) == {
        "promote": "true",
        "why": "",
        "region": "us-east-1",
        "staging": "false",
        "role": f"{BUILD}github",
        "prod_role": f"{BUILD}github-prod",
    }


def test_ids_in_the_repository_are_not_part_of_its_name() -> None:
    assert variables("github-ids", ON_GITHUB)["promote"] == "true"


def test_jenkins_is_told_that_there_is_a_staging() -> None:
    found = variables("jenkins", {"BRANCH_NAME": "main"})
    assert (found["promote"], found["staging"]) == ("true", "true")
    assert found["role"] == found["prod_role"] == f"{BUILD}jenkins"


def test_a_jenkins_job_of_one_branch_says_nothing_of_it_and_promotes() -> None:
    assert variables("jenkins", {})["promote"] == "true"


@pytest.mark.parametrize(
    ("name", "env", "why"),
    [
        ("none", ON_GITHUB, "cdk.json has no mlops.delivery"),
        ("jenkins", ON_GITHUB, "mlops.delivery.by is jenkins, this is github"),
        ("github", {}, "mlops.delivery.by is github, this is jenkins"),
        (
            "github",
            {**ON_GITHUB, "GITHUB_REPOSITORY": "fork/mlops"},
            "mlops.delivery.repository is example/mlops, this is fork/mlops",
        ),
        ("github-staging", ON_GITHUB, "mlops.delivery.branch is release, this is main"),
        ("jenkins", {"BRANCH_NAME": "idea"}, "mlops.delivery.branch is main, this is idea"),
    ],
)
def test_what_is_not_to_be_promoted_here_is_not_and_it_says_why(
    name: str, env: dict[str, str], why: str
) -> None:
    found = variables(name, env)
    assert (found["promote"], found["why"]) == ("false", why)


def test_values_go_to_a_file_and_to_githubs_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ci, "OUTPUTS", tmp_path / "ci")
    outputs = tmp_path / "outputs"
    outputs.write_text("before=1\n")
    said: list[str] = []
    ci.put_out("permissions", {"widens": "true"}, {"GITHUB_OUTPUT": str(outputs)}, said.append)
    assert (tmp_path / "ci" / "permissions").read_text() == "widens=true\n"
    assert outputs.read_text() == "before=1\nwidens=true\n"
    assert said == ["widens=true"]


@pytest.mark.parametrize(("code", "widens"), [(0, "false"), (3, "true")])
def test_the_gates_answer_becomes_a_variable(code: int, widens: str) -> None:
    assert ci.gate([sys.executable, "-c", f"raise SystemExit({code})"]) == {"widens": widens}


@pytest.mark.parametrize("code", [1, 2])
def test_a_gate_that_cannot_tell_stops_the_promotion(code: int) -> None:
    with pytest.raises(CommandError) as refused:
        ci.gate([sys.executable, "-c", f"raise SystemExit({code})"])
    assert f"could not tell (exit code {code})" in str(refused.value)


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    """Jenkins' role, deployed, and an account with the agents that may and may not take it."""
    with LocalCloud.start(accounts=(REGISTRY, "555555555555"), sagemaker_module=FAKE) as running:
        iam = running.session("555555555555").client("iam")
        for name in (AGENT, OTHER):
            path, role = name.split("/")
            policy = trust({"AWS": "arn:aws:iam::555555555555:root"})
            iam.create_role(RoleName=role, Path=f"/{path}/", AssumeRolePolicyDocument=policy)
            own = document(allow("sts:AssumeRole", on=f"{BUILD}jenkins"))
            iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=own)
        deploy(running, Path(artifact("jenkins").assembly.directory))
        yield running


def agent(cloud: LocalCloud, name: str) -> Any:
    return cloud.assume(f"arn:aws:iam::555555555555:role/{name}", session_name="build")


@pytest.mark.cloud
@pytest.mark.xdist_group("delivery-ci-jenkins")
def test_the_agent_that_is_named_gets_the_role(cloud: LocalCloud) -> None:
    keys = ci.assume(agent(cloud, AGENT), f"{BUILD}jenkins")
    assert set(keys) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}


@pytest.mark.cloud
@pytest.mark.xdist_group("delivery-ci-jenkins")
def test_another_role_of_the_same_account_is_refused_in_one_line(cloud: LocalCloud) -> None:
    with pytest.raises(CommandError) as refused:
        ci.assume(agent(cloud, OTHER), f"{BUILD}jenkins")
    assert f"may not become {BUILD}jenkins (AccessDenied)" in str(refused.value)
    assert "mlops.delivery.jenkins_principals" in str(refused.value)


@pytest.mark.parametrize(
    ("role", "targets", "message"),
    [
        (None, "deliver", "ROLE must be jenkins, got None"),
        ("github", "deliver", "ROLE must be jenkins, got 'github'"),
        ("jenkins", None, "TARGET is missing"),
    ],
)
def test_a_step_without_role_or_target_is_told_so(
    role: str | None, targets: str | None, message: str
) -> None:
    with pytest.raises(CommandError) as refused:
        ci.run_in_role(load({}), role, targets)
    assert message in str(refused.value)


def test_make_gets_the_roles_credentials_instead_of_a_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[Any] = []

    def become(program: str, arguments: list[str], env: dict[str, str]) -> None:
        became.extend([program, arguments, env])
        raise SystemExit(0)

    monkeypatch.setattr(os, "execvpe", become)
    monkeypatch.setattr(boto3, "Session", lambda **_: None)
    monkeypatch.setattr(ci, "assume", lambda _session, arn: {"AWS_ACCESS_KEY_ID": arn})
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("STAGES", "registry dev")
    with pytest.raises(SystemExit):
        ci.run_in_role(load({}), "jenkins", "deliver check-stage")
    program, arguments, env = became
    assert (program, arguments) == ("make", ["make", "--no-print-directory", "deliver", "check-stage"])
    assert env["AWS_ACCESS_KEY_ID"] == f"{BUILD}jenkins"
    assert env["STAGES"] == "registry dev"
    assert "AWS_PROFILE" not in env
