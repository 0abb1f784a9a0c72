"""What other CI systems need beside the targets that people use: variables, the gate's answer, and a role to run in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import boto3
import botocore.exceptions

from ops.errors import CommandError
from ops.permissions import WIDENS
from stacks.installation import Delivery, Settings

ROOT = Path(__file__).resolve().parent.parent
OUTPUTS = ROOT / "build" / "ci"
_ROLE = re.compile(r"jenkins(-\w+)*")  # GitHub's jobs have their role already


def variables(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    """Return what a CI system needs to know of the settings, so that it holds no account id of its own.

    Returns
    -------
    dict
        ``promote`` (``true`` where this run is of the repository and branch that are promoted by this system),
        ``why`` (it isn't), ``region``, ``staging`` (``true`` | ``false``), ``role``, ``prod_role``.
    """
    system = "github" if env.get("GITHUB_ACTIONS") == "true" else "jenkins"
    why = _why_not(settings.delivery, system, env)
    return {
        "promote": "false" if why else "true",
        "why": why,
        "region": settings.region,
        "staging": "true" if "staging" in settings.stages else "false",
        "role": settings.delivery_role_arn(system),
        "prod_role": settings.delivery_role_arn("github-prod" if system == "github" else "jenkins"),
    }


def _why_not(delivery: Delivery | None, system: str, env: Mapping[str, str]) -> str:
    if delivery is None:
        return "cdk.json has no mlops.delivery"
    if delivery.by != system:
        return f"mlops.delivery.by is {delivery.by}, this is {system}"
    repository = "/".join(part.split("@")[0] for part in delivery.repository.split("/"))
    if system == "github" and env.get("GITHUB_REPOSITORY") != repository:
        return f"mlops.delivery.repository is {repository}, this is {env.get('GITHUB_REPOSITORY')}"
    # Jenkins says it in multibranch pipelines only; elsewhere the job is of one branch anyway.
    branch = env.get("GITHUB_REF_NAME" if system == "github" else "BRANCH_NAME", delivery.branch)
    return (
        "" if branch == delivery.branch else f"mlops.delivery.branch is {delivery.branch}, this is {branch}"
    )


def put_out(name: str, values: Mapping[str, str], env: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Write values as ``name=value`` lines to ``build/ci/<name>``, and to where GitHub looks for a step's outputs."""
    lines = [f"{key}={value}" for key, value in values.items()]
    OUTPUTS.mkdir(parents=True, exist_ok=True)
    (OUTPUTS / name).write_text("\n".join(lines) + "\n")
    if env.get("GITHUB_OUTPUT"):
        with Path(env["GITHUB_OUTPUT"]).open("a") as outputs:
            outputs.write("\n".join(lines) + "\n")
    for line in lines:
        say(line)


def gate(command: Sequence[str] = (sys.executable, "-m", "ops", "permissions")) -> dict[str, str]:
    """Run the permissions gate and return its answer as a variable, since `make` tells one failure only.

    Returns
    -------
    dict
        ``widens``: ``true`` where a person must confirm, else ``false``.

    Raises
    ------
    CommandError
        Where the gate couldn't tell.
    """
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code not in (0, WIDENS):
        raise CommandError(f"make permissions could not tell (exit code {code}); its reason is above")
    return {"widens": "true" if code == WIDENS else "false"}


def run_in_role(settings: Settings, role: str | None, targets: str | None) -> NoReturn:
    """Become `make` for some targets, with an hour's credentials of a delivery role in its environment.

    Nothing is printed or written: no log, file or other step sees the credentials.

    Parameters
    ----------
    role
        ``jenkins``, or a further one of an installation's own, such as ``jenkins-prod``.
    targets
        Targets of the Makefile, separated by spaces.

    Raises
    ------
    CommandError
        Where the role or the targets are missing, or the role's trust refuses.
    """
    if role is None or not _ROLE.fullmatch(role):
        raise CommandError(f"ROLE must be jenkins, got {role!r}; for example ROLE=jenkins TARGET=deliver")
    if not targets:
        raise CommandError("TARGET is missing: which make target to run, such as TARGET=deliver")
    session = boto3.Session(region_name=settings.region)
    keys = assume(session, settings.delivery_role_arn(role))
    env = {
        key: value for key, value in os.environ.items() if key not in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
    }
    sys.stdout.flush()
    os.execvpe("make", ["make", "--no-print-directory", *targets.split()], env | keys)  # noqa: S606 - `make`, by the user's own path


def assume(session: Any, role_arn: str) -> dict[str, str]:
    """Return the credentials of a delivery role as environment variables.

    Raises
    ------
    CommandError
        Where there are no credentials to begin with, or the role's trust refuses.
    """
    try:
        sts = session.client("sts")
        identity = sts.get_caller_identity()["Arn"]
        answer = sts.assume_role(RoleArn=role_arn, RoleSessionName="promotion")
    except botocore.exceptions.NoCredentialsError:
        raise CommandError(
            f"no credentials found to become {role_arn}: run the agent as one of mlops.delivery.jenkins_principals"
        ) from None
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        raise CommandError(
            f"{identity} may not become {role_arn} ({code}): name it under mlops.delivery.jenkins_principals, deploy"
            " DeliveryStack, and let its own policy allow sts:AssumeRole on that role"
        ) from None
    keys = answer["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
