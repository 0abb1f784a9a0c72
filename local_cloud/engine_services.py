"""What the engine of the embedded cloud gives to the services that are ours; the seam between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

#: Environment variables of a role's session, as `IssueSession` returns them.
Role = dict[str, str]


class IssueSession(Protocol):
    """Assume a role for a service, as the service would."""

    def __call__(
        self, role_arn: str, service: str, session_name: str, source_arn: str | None = None
    ) -> dict[str, str]:
        """Return the environment variables of a session of `role_arn`.

        Parameters
        ----------
        role_arn
            The role's ARN, with its path.
        service
            The service principal, e.g. ``sagemaker.amazonaws.com``.
        session_name
            Name of the session; shows in the caller's ARN.
        source_arn
            What the service acts for (a pipeline, a job, a schedule): given to the trust policy as
            ``aws:SourceArn``. Default: none; ``aws:SourceAccount`` is the role's account then.

        Returns
        -------
        dict[str, str]
            ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION``,
            ``AWS_DEFAULT_REGION`` and ``AWS_ENDPOINT_URL``: all that boto3 needs.

        Raises
        ------
        PermissionError
            The role doesn't exist, or its trust policy doesn't admit the service; says which.
        """
        ...


class PutEvent(Protocol):
    """Put an event of an AWS service on the account's default bus."""

    def __call__(
        self,
        account: str,
        region: str,
        source: str,
        detail_type: str,
        detail: dict[str, Any],
        resources: list[str],
    ) -> None:
        """Deliver the event to the rules of the bus; may be called from any thread."""
        ...


@dataclass(frozen=True, kw_only=True)
class EngineServices:
    """Callbacks and places that the SageMaker service needs; passed to its ``configure`` at start.

    Attributes
    ----------
    secure_endpoint
        URL of the port that counts as TLS.
    issue_session
        A session of a role, for a service.
    put_event
        Puts an event of a service on an account's default bus.
    work_dir
        A folder for the files of jobs; the only place outside memory that may be written.
    caller
        ARN of the principal that signs with an access key id. Default: nobody is known.
    """

    secure_endpoint: str
    issue_session: IssueSession
    put_event: PutEvent
    work_dir: Path
    caller: Callable[[str], str] = lambda _access_key: ""


class RecordBuild(Protocol):
    """Keep what CodeBuild tells of a build."""

    def __call__(self, account: str, region: str, build: dict[str, Any]) -> None:
        """Keep the record of a build, by its id; later ones replace it."""
        ...


@dataclass(frozen=True, kw_only=True)
class DeliveryServices:
    """Callbacks and places that CodePipeline needs; passed to its ``configure`` at start.

    Attributes
    ----------
    engine
        What it shares with SageMaker. Its ``work_dir`` is CodePipeline's own.
    denial
        Why a role's session may not do an action on a resource, None where it may: (session, action, resource ARN).
    project
        A copy of a CodeBuild project in the API's shape, None where there is none: (account, region, name).
    record_build
        Keeps a build for BatchGetBuilds.
    keep_template
        Keeps a template and returns the URL that CloudFormation takes for it.
    caller
        ARN of the principal that signs with an access key id.
    """

    engine: EngineServices
    denial: Callable[[Role, str, str], str | None]
    project: Callable[[str, str, str], dict[str, Any] | None]
    record_build: RecordBuild
    keep_template: Callable[[str], str]
    caller: Callable[[str], str]
