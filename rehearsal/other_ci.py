"""The same promotion by other CI systems: their shell steps, with the roles that they would have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rehearsal import github, jenkins, promotions, settings
from rehearsal.ci_steps import Job, github_jobs, jenkins_stages
from rehearsal.errors import check
from rehearsal.world import World


def other_systems(world: World) -> None:
    """Promote one commit by GitHub Actions and one by Jenkins."""
    promote(world, "GitHub Actions", settings.GITHUB, github.promote)
    jobs = github_jobs(world.origin.folder / github.WORKFLOW)
    _all_ran(world, jobs)
    promote(world, "Jenkins", settings.JENKINS, jenkins.promote)
    _all_ran(world, jenkins_stages(world.origin.folder / "Jenkinsfile"))


def promote(
    world: World, system: str, delivery: Mapping[str, Any], run: Callable[[World], list[str]]
) -> None:
    """Commit that a system delivers, deploy its roles, and run its steps."""
    record = world.record
    with record.part(f"By {system}", "every shell step, with the role that it would have") as part:

        def change(values: dict[str, Any]) -> None:
            values["delivery"] = dict(delivery)

        with record.step("A person", "git push"):
            part.commit = world.commit(f"Deliver by {system}", change=change)
        with record.step("A person", "cdk deploy") as row:
            world.desk.pull()
            world.desk.cdk("deploy", "DeliveryStack", "--require-approval", "never")
            row.said = f"DeliveryStack: the roles that {system} takes"
        run(world)
        part.arrived = True
        promotions.same_bytes(world)


def _all_ran(world: World, jobs: list[Job]) -> None:
    """See that no shell step was left out."""
    ran = {(row.stage, row.action) for row in world.record.current.rows}
    left = [step.name for job in jobs for step in job.steps if (job.name, step.name) not in ran]
    check(not left, "every shell step ran", ", ".join(left))
