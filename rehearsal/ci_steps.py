"""The shell steps of the promotion in other CI systems, in the order in which these would run them.

The rehearsal runs what this lists: every ``run:`` of a GitHub workflow and every ``sh`` of a Jenkinsfile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rehearsal.groovy import Block, parse


@dataclass(frozen=True)
class ShellStep:
    """One shell step.

    Attributes
    ----------
    job
        The GitHub job's id, or the Jenkins stage's name.
    name
        What the step is called; its first line where it has no name.
    script
        What the shell runs.
    env
        Variables that are set for it, those of job and workflow included; GitHub's expressions stand as they are.
    conditions
        Under which it runs: of the job and of the step, as they are written.
    step_id
        By which later GitHub steps and jobs name its outputs.
    role
        GitHub's expression of the AWS role whose credentials it has, or the role that Jenkins's step takes; empty
        where it has none.
    """

    job: str
    name: str
    script: str
    env: Mapping[str, str]
    conditions: tuple[str, ...]
    step_id: str = ""
    role: str = ""


@dataclass(frozen=True)
class Job:
    """A GitHub job or a Jenkins stage: its shell steps, and whether a person is asked before they run.

    Attributes
    ----------
    name
        The GitHub job's id, or the Jenkins stage's name.
    steps
        Its shell steps in order.
    needs
        GitHub: the jobs that it waits for.
    condition
        Under which it runs, as it is written; empty is always.
    approval
        GitHub: the environment that it names. Jenkins: the question of its ``input``. Empty where nobody is asked.
    outputs
        GitHub: expressions of its outputs by name.
    """

    name: str
    steps: tuple[ShellStep, ...]
    needs: tuple[str, ...] = ()
    condition: str = ""
    approval: str = ""
    outputs: Mapping[str, str] | None = None


def github_jobs(path: Path) -> list[Job]:
    """Return the jobs of a workflow, each after those that it needs.

    Raises
    ------
    ValueError
        Where jobs need each other in a circle, or one that there isn't.
    """
    workflow: dict[str, Any] = yaml.safe_load(path.read_text())
    waiting = {name: _github_job(name, job, workflow) for name, job in workflow["jobs"].items()}
    ordered: list[Job] = []
    while waiting:
        done = {job.name for job in ordered}
        ready = [job for job in waiting.values() if set(job.needs) <= done]
        if not ready:
            raise ValueError(f"the jobs {', '.join(waiting)} of {path.name} wait for each other, or for none")
        ordered += ready
        for job in ready:
            del waiting[job.name]
    return ordered


def _github_job(name: str, job: Mapping[str, Any], workflow: Mapping[str, Any]) -> Job:
    env = {**_texts(workflow.get("env")), **_texts(job.get("env"))}
    condition, role = str(job.get("if", "")), ""
    steps = []
    for step in job.get("steps", []):
        if str(step.get("uses", "")).startswith("aws-actions/configure-aws-credentials@"):
            role = str(step["with"]["role-to-assume"])
        if "run" not in step:
            continue
        script = str(step["run"])
        conditions = tuple(one for one in (condition, str(step.get("if", ""))) if one)
        title = str(step.get("name", script.splitlines()[0]))
        own = {**env, **_texts(step.get("env"))}
        steps.append(ShellStep(name, title, script, own, conditions, str(step.get("id", "")), role))
    environment = job.get("environment", "")
    return Job(
        name=name,
        steps=tuple(steps),
        needs=tuple(_list(job.get("needs", []))),
        condition=condition,
        approval=str(environment.get("name", "") if isinstance(environment, dict) else environment),
        outputs=_texts(job.get("outputs")),
    )


def jenkins_stages(path: Path) -> list[Job]:
    """Return the stages of a declarative Jenkinsfile in order, nested ones by themselves."""
    (pipeline,) = parse(path.read_text()).named("pipeline")
    return _stages(pipeline, {})


def _stages(block: Block, inherited: Mapping[str, str]) -> list[Job]:
    env = {**inherited, **_environment(block)}
    found: list[Job] = []
    for stages in block.named("stages"):
        for stage in stages.named("stage"):
            found += [_stage(stage, env), *_stages(stage, env)]
    return [one for one in found if one.steps or one.approval]


def _stage(stage: Block, inherited: Mapping[str, str]) -> Job:
    name = stage.text_argument
    env = {**inherited, **_environment(stage)}
    condition = " && ".join(
        expression.body for when in stage.named("when") for expression in when.named("expression")
    )
    questions = [call.text for asks in stage.named("input") for call in asks.calls("message")]
    steps = [
        ShellStep(
            job=name,
            name=call.text.splitlines()[0],
            script=call.text,
            env=env,
            conditions=(condition,) if condition else (),
            role="".join(re.findall(r"\bROLE=([\w-]+)", call.text)),
        )
        for body in stage.named("steps")
        for call in body.calls("sh", deep=True)
    ]
    return Job(name=name, steps=tuple(steps), condition=condition, approval=" ".join(questions))


def _environment(block: Block) -> dict[str, str]:
    return {name: value for body in block.named("environment") for name, value in body.assignments()}


def _texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (values or {}).items()}


def _list(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
