"""Runs the jobs of .github/workflows/promote.yml: what GitHub's own actions do is done here, each shell step is run."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rehearsal.ci_steps import Job, github_jobs
from rehearsal.errors import RehearsalError
from rehearsal.expressions import filled, holds
from rehearsal.settings import ACCOUNTS, REPOSITORY
from rehearsal.shell_steps import Machine, pairs
from rehearsal.world import World

WORKFLOW = Path(".github") / "workflows" / "promote.yml"
ISSUER = "https://token.actions.githubusercontent.com"
ASSEMBLY = "cdk.out.tar"


def promote(world: World) -> list[str]:
    """Run the workflow for main's commit; return the jobs that ran.

    Raises
    ------
    RehearsalError
        Where a step fails, or a person refuses.
    """
    machine = Machine(world, "github")
    kept = machine.folder / "artifacts"
    kept.mkdir()
    # GitHub's words: a function of a condition has its answer, as a name has.
    values = {"failure()": "false", "cancelled()": "false", "github.token": "a-token-of-this-job"}
    ran = []
    with reviewed_environments() as api:
        for job in github_jobs(world.origin.folder / WORKFLOW):
            if job.condition and not holds(job.condition, values):
                values[f"needs.{job.name}.result"] = "skipped"
                continue
            if job.approval:
                _review(world, job)
            outputs = _run(world, machine, job, values, kept, api)
            values[f"needs.{job.name}.result"] = "success"
            values |= {f"needs.{job.name}.outputs.{name}": value for name, value in outputs.items()}
            ran.append(job.name)
    return ran


def _review(world: World, job: Job) -> None:
    with world.record.step(job.name, f"Reviewers of {job.approval}") as row:
        answer = world.approver.answer(
            job.name, f"The GitHub environment {job.approval} waits for its reviewers."
        )
        row.result, row.said = ("Approved" if answer.approved else "Rejected"), answer.note
        if not answer.approved:
            raise RehearsalError(f"{job.name} was refused: {answer.note}")


def _run(
    world: World, machine: Machine, job: Job, values: Mapping[str, str], kept: Path, api: str
) -> dict[str, str]:
    """Run a job's steps and return its outputs."""
    folder = machine.checkout(job.name)
    if (kept / ASSEMBLY).exists():
        shutil.copy2(kept / ASSEMBLY, folder / ASSEMBLY)
    known = dict(values)
    env = machine.environment(
        {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": api,
            "GITHUB_REF_NAME": "main",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SHA": world.origin.head,
            "GITHUB_STEP_SUMMARY": str(folder / "step-summary.md"),
        }
    )
    credentials: dict[str, str] = {}
    for number, step in enumerate(job.steps):
        if any(not holds(one, known) for one in step.conditions if one != job.condition):
            continue
        if step.role and not credentials:
            credentials = _assume(world, filled(step.role, known), job)
        output = folder / f"step-output-{number}"
        own = {name: filled(value, known) for name, value in step.env.items()}
        machine.run(
            step,
            filled(step.script, known),
            folder,
            {**env, **own, **credentials, "GITHUB_OUTPUT": str(output)},
        )
        known |= {f"steps.{step.step_id}.outputs.{name}": value for name, value in pairs(output).items()}
    if (folder / ASSEMBLY).exists():
        shutil.copy2(folder / ASSEMBLY, kept / ASSEMBLY)
    return {name: filled(expression, known) for name, expression in (job.outputs or {}).items()}


def _assume(world: World, role_arn: str, job: Job) -> dict[str, str]:
    """Return what configure-aws-credentials leaves: the role's session, for GitHub's token of the job."""
    place = f"environment:{job.approval}" if job.approval else "ref:refs/heads/main"
    sts = world.session(ACCOUNTS["registry"]).client("sts")
    keys = sts.assume_role_with_web_identity(
        RoleArn=role_arn, RoleSessionName=job.name, WebIdentityToken=token(f"repo:{REPOSITORY}:{place}")
    )["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def token(subject: str) -> str:
    """Return a token as GitHub issues it to a job; the embedded cloud doesn't look at its signature."""

    def part(values: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part({'iss': ISSUER, 'aud': 'sts.amazonaws.com', 'sub': subject})}.none"


@contextmanager
def reviewed_environments() -> Iterator[str]:
    """Stand for GitHub's API, where every environment has a reviewer; yield its URL."""
    answer = json.dumps(
        {"protection_rules": [{"type": "required_reviewers", "reviewers": [{"type": "User"}]}]}
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
