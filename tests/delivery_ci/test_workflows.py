"""The GitHub workflows and the Jenkinsfile: correct, thin, the same path, and prod behind a person's approval."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from rehearsal.ci_steps import Job, github_jobs, jenkins_stages

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROMOTE = ROOT / ".github" / "workflows" / "promote.yml"
JENKINSFILE = ROOT / "Jenkinsfile"
JOBS: dict[str, dict[str, Any]] = yaml.safe_load(PROMOTE.read_text())["jobs"]
GITHUB = github_jobs(PROMOTE)
JENKINS = jenkins_stages(JENKINSFILE)


def actionlint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run actionlint on the workflows below a folder."""
    program = ROOT / "node_modules" / "@tktco" / "node-actionlint" / "bin" / "node-actionlint.js"
    return subprocess.run(
        [ROOT / ".venv" / "bin" / "node", program, ".github/workflows/*.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_actionlint_finds_nothing_in_the_workflows() -> None:
    found = actionlint(ROOT)
    assert found.returncode == 0, found.stdout
    assert f"Checking {len(WORKFLOWS)} workflow file(s)" in found.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "finding"),
    [
        ("needs.test.outputs.promote ", "needs.test.outputs.promoted ", 'property "promoted" is not defined'),
        (
            "needs: [test, review, confirm-prod]",
            "needs: [test, reviews]",
            'needs job "reviews" which does not exist',
        ),
        ("runs-on: ubuntu-24.04", "runs-on: ubunut-24.04", 'label "ubunut-24.04" is unknown'),
        ("id-token: write", "id-tokens: write", 'unknown permission scope "id-tokens"'),
        ("aws-region:", "aws_region:", 'missing input "aws-region"'),
    ],
)
def test_actionlint_finds_a_mistake(right: str, wrong: str, finding: str, tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    text = PROMOTE.read_text()
    assert right in text
    (folder / "promote.yml").write_text(text.replace(right, wrong, 1))
    found = actionlint(tmp_path)
    assert found.returncode == 1
    assert finding in found.stdout


def scripts(jobs: list[Job]) -> list[str]:
    return [step.script for job in jobs for step in job.steps]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_shell_step_of_a_workflow_is_listed(path: Path) -> None:
    def runs(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["run"]] if isinstance(node.get("run"), str) else []
            return own + [one for value in node.values() for one in runs(value)]
        return [one for value in node for one in runs(value)] if isinstance(node, list) else []

    found = runs(yaml.safe_load(path.read_text())["jobs"])
    assert found
    assert sorted(scripts(github_jobs(path))) == sorted(found)
    assert len(found) == len(re.findall(r"^ +(?:- )?run: ", path.read_text(), re.M))


def test_every_shell_step_of_the_jenkinsfile_is_listed_in_order() -> None:
    code = re.sub(r"(?m)^\s*//.*$", "", JENKINSFILE.read_text())
    found = re.findall(r"\bsh '([^'\n]*)'", code)
    assert len(found) == len(re.findall(r"\b(?:sh|bat|powershell)\b", code))
    assert scripts(JENKINS) == found


@pytest.mark.parametrize("jobs", [GITHUB, JENKINS], ids=["github", "jenkins"])
def test_every_make_target_exists(jobs: list[Job]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {target for command in make_commands(jobs) for target in command.targets}
    assert named <= targets
    assert {"test", "synth", "deliver", "check-stage", "record", "review"} <= named


class Command:
    """A make command: its targets and variables, wherever it takes its role from."""

    def __init__(self, script: str) -> None:
        words = re.findall(r'(?:[^\s"]|"[^"]*")+', script)[1:]
        pairs = [word.replace('"', "").partition("=") for word in words if "=" in word]
        self.variables = {key: value for key, _, value in pairs}
        self.targets = [word for word in words if "=" not in word and not word.startswith("-")]
        self.role = self.variables.pop("ROLE", "")
        if self.targets == ["in-role"]:
            self.targets = self.variables.pop("TARGET").split()


def make_commands(jobs: list[Job]) -> list[Command]:
    return [Command(script) for script in scripts(jobs) if script.startswith("make ")]


def test_both_systems_walk_the_same_path() -> None:
    """What is GitHub's own: a check that its environments have reviewers."""
    github, jenkins = (
        [
            (command.targets, command.variables)
            for command in make_commands(jobs)
            if command.targets != ["ci-guard"]
        ]
        for jobs in (GITHUB, JENKINS)
    )
    assert github == jenkins


@pytest.mark.parametrize("jobs", [GITHUB, JENKINS], ids=["github", "jenkins"])
def test_a_commit_passes_the_stages_in_order_and_is_checked_in_each(jobs: list[Job]) -> None:
    path = [
        f"{command.targets[-1]} {' '.join(command.variables.values())}".strip()
        for command in make_commands(jobs)
    ]
    wanted = [
        "test",
        "synth",
        "ci-permissions registry dev",
        "deliver registry dev",
        "check-stage dev",
        "record dev",
    ]
    wanted += ["ci-permissions staging", "deliver staging", "check-stage staging", "record staging"]
    wanted += ["review prod", "ci-permissions prod", "deliver prod", "check-stage prod", "record prod"]
    assert [one for one in path if one not in ("ci-variables", "ci-guard")] == wanted


def test_one_synthesis_is_all_there_is() -> None:
    for jobs in (GITHUB, JENKINS):
        assert sum("synth" in script for script in scripts(jobs)) == 1
        for job in jobs:
            if any("deliver" in step.script for step in job.steps):
                assert job.steps[0].script == "tar --extract --file cdk.out.tar"


def test_no_shell_step_is_written_by_an_expression() -> None:
    """Text of a commit or a branch in a script would be run."""
    assert not [script for path in WORKFLOWS for script in scripts(github_jobs(path)) if "${{" in script]


def test_no_account_and_no_secret_stands_in_a_file() -> None:
    for path in (*WORKFLOWS, JENKINSFILE):
        assert not re.search(r"\b\d{12}\b|arn:aws|secrets\.|AKIA", path.read_text()), path.name


def test_prods_role_is_taken_only_in_the_environment_that_reviewers_protect() -> None:
    taking = {job.name for job in GITHUB for step in job.steps if "prod-role" in step.role}
    assert taking == {"prod"}
    assert JOBS["prod"]["environment"] == "prod"
    assert [name for name, job in JOBS.items() if job.get("environment") == "prod"] == ["prod"]


def test_jobs_that_take_a_role_of_the_branch_name_no_environment() -> None:
    """A token of a job with an environment says nothing of the branch, and the role's trust refuses it."""
    for job in GITHUB:
        if any(step.role == "${{ needs.test.outputs.role }}" for step in job.steps):
            assert job.approval == "", job.name


def test_what_runs_the_tests_can_become_nobody() -> None:
    assert "id-token" not in JOBS["test"]["permissions"]
    assert yaml.safe_load(PROMOTE.read_text())["permissions"] == {"contents": "read"}


@pytest.mark.parametrize(
    ("stage", "gate"), [("dev", "permissions-dev"), ("staging", "permissions-staging"), ("prod", "review")]
)
def test_a_stage_waits_for_its_gate_and_for_the_confirmation_where_there_is_one(
    stage: str, gate: str
) -> None:
    assert {gate, f"confirm-{stage}"} <= set(JOBS[stage]["needs"])
    condition = " ".join(JOBS[stage]["if"].split())
    assert condition == (
        f"${{{{ !failure() && !cancelled() && needs.{gate}.result == 'success' && (needs.{gate}.outputs.widens =="
        f" 'false' || needs.confirm-{stage}.result == 'success') }}}}"
    )
    assert f"needs.{gate}.outputs.widens == 'true'" in JOBS[f"confirm-{stage}"]["if"]
    assert JOBS[f"confirm-{stage}"]["environment"] == "permissions"


def test_the_reviewers_see_the_review_where_they_are_asked() -> None:
    """And as it stands: nothing of it is read as Markdown, or by the shell."""
    (shown,) = [step.script for job in GITHUB for step in job.steps if "GITHUB_STEP_SUMMARY" in step.script]
    script = shown.replace("build/review/prod/review.txt", "review.txt")
    said = "- `a` $(touch b) * %s\n+ c"
    with TemporaryDirectory() as folder:
        (Path(folder) / "review.txt").write_text(said + "\n")
        env = {"PATH": os.environ["PATH"], "GITHUB_STEP_SUMMARY": "summary.md"}
        subprocess.run(["bash", "-c", script], cwd=folder, env=env, check=True)
        assert (Path(folder) / "summary.md").read_text() == f"```\n{said}\n```\n"
        assert not (Path(folder) / "b").exists()
    assert JOBS["prod"]["needs"] == ["test", "review", "confirm-prod"]


def test_promotions_do_not_overlap() -> None:
    assert yaml.safe_load(PROMOTE.read_text())["concurrency"] == {
        "group": "promote",
        "cancel-in-progress": False,
    }
    assert "disableConcurrentBuilds()" in JENKINSFILE.read_text()


def test_nothing_but_the_tests_runs_where_the_settings_say_so() -> None:
    for job in GITHUB:
        if job.name != "test":
            assert job.condition, job.name
    for stage in JENKINS:
        if stage.name != "Test":
            assert stage.condition.startswith("env.PROMOTE == 'true'"), stage.name


def test_in_jenkins_a_person_is_asked_before_prod_and_where_permissions_widen() -> None:
    asked = [stage.name for stage in JENKINS if stage.approval]
    assert asked == ["Confirm dev", "Confirm staging", "Confirm prod", "Promote to prod"]
    names = [stage.name for stage in JENKINS]
    assert names.index("Prod") == names.index("Promote to prod") + 1
    assert JENKINSFILE.read_text().count("submitter 'mlops-approvers'") == len(asked)
