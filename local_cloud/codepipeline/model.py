"""What CodePipeline remembers: pipelines, their executions, and the runs of their actions."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_cloud.engine_services import Role

Declaration = dict[str, Any]
SUPERSEDED, QUEUED, PARALLEL = "SUPERSEDED", "QUEUED", "PARALLEL"


@dataclass(frozen=True)
class Scope:
    """The account and region that a request or a resource belongs to."""

    account: str
    region: str

    @property
    def partition(self) -> str:
        """The region's partition."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def arn(self, *names: str) -> str:
        """Return the ARN of a pipeline, of a stage in it, or of an action in that."""
        return f"arn:{self.partition}:codepipeline:{self.region}:{self.account}:{'/'.join(names)}"


@dataclass
class Pipeline:
    """A pipeline; a change replaces its declaration and counts its version up."""

    scope: Scope
    declaration: Declaration
    version: int = 1
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.declaration["name"])

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn(self.name)

    @property
    def mode(self) -> str:
        """What happens to executions that meet: ``SUPERSEDED``, ``QUEUED`` or ``PARALLEL``."""
        return str(self.declaration.get("executionMode") or SUPERSEDED)

    @property
    def stages(self) -> list[Declaration]:
        """Its stages as they are declared now."""
        return list(self.declaration["stages"])


@dataclass(frozen=True)
class Revision:
    """A commit that a source action took.

    Attributes
    ----------
    commit
        Its id.
    message
        Its message, or an empty string.
    url
        Where it came from.
    """

    commit: str
    message: str
    url: str


@dataclass(frozen=True)
class Artifact:
    """A folder that one action hands to others.

    Attributes
    ----------
    name
        Its name in the pipeline.
    folder
        Where its files are; nobody changes them once they are there.
    bucket, key
        Object of the artifact store that stands for it: whoever may not read that doesn't get the folder.
    revision
        The commit, of a source's artifact.
    """

    name: str
    folder: Path
    bucket: str
    key: str
    revision: Revision | None = None


@dataclass
class ActionRun:
    """One run of an action; times are seconds since the epoch."""

    stage: str
    declaration: Declaration
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "InProgress"
    started: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    resolved: dict[str, str] = field(default_factory=dict)
    inputs: list[Artifact] = field(default_factory=list)
    outputs: list[Artifact] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    external_id: str = ""
    external_url: str = ""
    error: dict[str, str] | None = None
    token: str = ""
    updated_by: str = ""
    revision: Revision | None = None

    @property
    def name(self) -> str:
        """The action's name."""
        return str(self.declaration["name"])


@dataclass
class Execution:
    """One way of a change through a pipeline, with the declaration that it began with."""

    pipeline: Pipeline
    declaration: Declaration
    version: int
    trigger: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    revisions_wanted: dict[str, str] = field(default_factory=dict)
    execution_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "InProgress"
    summary: str = ""
    attempt: int = 1
    started: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    stopped_because: str | None = None
    stages: dict[str, str] = field(default_factory=dict)
    runs: list[ActionRun] = field(default_factory=list)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether nothing more will begin in it."""
        return self.status not in ("InProgress", "Stopping")

    @property
    def revisions(self) -> list[tuple[ActionRun, Revision]]:
        """The commits that its source actions took."""
        return [(run, run.revision) for run in self.runs if run.revision is not None]


@dataclass(frozen=True)
class Work:
    """What an action's program gets.

    Attributes
    ----------
    execution, run
        Whose action it is, and where it notes what becomes of it.
    role
        Session of the action's role, or of the pipeline's where it has none of its own.
    region
        Where it acts.
    artifacts
        Its input artifacts, in order.
    folder
        Its own, empty; for what it leaves.
    """

    execution: Execution
    run: ActionRun
    role: Role
    region: str
    artifacts: list[Artifact]
    folder: Path

    @property
    def configuration(self) -> dict[str, str]:
        """The action's configuration with its variables filled."""
        return self.run.resolved

    @property
    def outputs(self) -> list[str]:
        """Names of the artifacts that it has to make."""
        return [str(one["name"]) for one in self.run.declaration.get("outputArtifacts") or []]
