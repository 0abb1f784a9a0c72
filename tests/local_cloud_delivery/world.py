"""A small pipeline in one account, built of plain API calls and echo commands."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_cloud.cloud import LocalCloud

ACCOUNT = "111111111111"
REGION = "us-east-1"
REPOSITORY = "example/small"
CONNECTION = f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/11111111-2222-3333-4444-555555555555"
BUCKET = "pipeline-artifacts-of-tests"
ENDED = ("Succeeded", "Failed", "Stopped", "Superseded", "Cancelled")


def wait_for(what: Callable[[], Any], seconds: float = 20) -> Any:
    """Return the first true value of a question."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class Repository:
    """A git repository to take from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._git("init", "--quiet", "--initial-branch", "main")

    def commit(self, files: dict[str, str], message: str = "A commit") -> str:
        """Commit files and return the commit's id."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", message)
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


def trust(service: str, *principals: str) -> dict[str, Any]:
    """Return a trust policy for a service, and for roles."""
    statements: list[dict[str, Any]] = []
    if service:
        statements.append({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})
    if principals:
        statements.append(
            {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": "sts:AssumeRole"}
        )
    return {"Version": "2012-10-17", "Statement": statements}


def allow(*actions: str, resource: str = "*") -> dict[str, Any]:
    """Return a statement that allows."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


class World:
    """A cloud with a bucket, roles and a repository; makes pipelines in it."""

    def __init__(self, cloud: LocalCloud, repository: Repository, prefix: str) -> None:
        self.cloud, self.repository, self.prefix = cloud, repository, prefix
        self.session = cloud.session(ACCOUNT)
        self.codepipeline = self.session.client("codepipeline")
        self.codebuild = self.session.client("codebuild")
        self.iam = self.session.client("iam")
        self.pipeline_role = self.role(
            "pipeline", trust("codepipeline.amazonaws.com"), allow("sts:AssumeRole"), allow("s3:*")
        )
        self.action_role = self.role(
            "action",
            trust("", self.pipeline_role),
            allow("codeconnections:UseConnection", resource=CONNECTION),
            allow("codebuild:StartBuild", "codebuild:BatchGetBuilds", "codebuild:StopBuild"),
            allow("s3:*"),
        )
        self.build_role = self.role("build", trust("codebuild.amazonaws.com"), allow("s3:*"))

    def role(self, name: str, trusted: dict[str, Any], *statements: dict[str, Any]) -> str:
        """Create a role and return its ARN."""
        full = f"{self.prefix}-{name}"
        made = self.iam.create_role(RoleName=full, AssumeRolePolicyDocument=json.dumps(trusted))
        if statements:
            policy = {"Version": "2012-10-17", "Statement": list(statements)}
            self.iam.put_role_policy(RoleName=full, PolicyName="own", PolicyDocument=json.dumps(policy))
        return str(made["Role"]["Arn"])

    def project(
        self,
        name: str,
        *commands: str,
        spec: dict[str, Any] | None = None,
        role: str | None = None,
        variables: dict[str, str] | None = None,
    ) -> str:
        """Create a project and return its name."""
        full = f"{self.prefix}-{name}"
        own = spec or {"version": "0.2", "phases": {"build": {"commands": list(commands)}}}
        environment = [{"name": key, "value": value} for key, value in (variables or {}).items()]
        self.codebuild.create_project(
            name=full,
            source={"type": "CODEPIPELINE", "buildspec": json.dumps(own)},
            artifacts={"type": "CODEPIPELINE"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": environment,
            },
            serviceRole=role or self.build_role,
        )
        return full

    def source(self) -> dict[str, Any]:
        """Return the source stage."""
        configuration = {"ConnectionArn": CONNECTION, "FullRepositoryId": REPOSITORY, "BranchName": "main"}
        return {
            "name": "Source",
            "actions": [
                {
                    "name": "Take",
                    "actionTypeId": kind("Source", "CodeStarSourceConnection"),
                    "configuration": configuration,
                    "outputArtifacts": [{"name": "Files"}],
                    "namespace": "Taken",
                    "roleArn": self.action_role,
                }
            ],
        }

    def build(self, name: str, project: str, **more: Any) -> dict[str, Any]:
        """Return a build action of the files."""
        configuration = {"ProjectName": project, **more.pop("configuration", {})}
        return {
            "name": name,
            "actionTypeId": kind("Build", "CodeBuild"),
            "configuration": configuration,
            "inputArtifacts": [{"name": "Files"}],
            "roleArn": self.action_role,
            **more,
        }

    def declaration(self, name: str, *stages: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Return a pipeline of the source and stages."""
        return {
            "name": f"{self.prefix}-{name}",
            "roleArn": self.pipeline_role,
            "pipelineType": "V2",
            "artifactStore": {"type": "S3", "location": BUCKET},
            "stages": [self.source(), *stages],
            **more,
        }

    def create(self, name: str, *stages: dict[str, Any], **more: Any) -> Pipeline:
        """Create a pipeline, which starts its first execution."""
        declaration = self.declaration(name, *stages, **more)
        self.codepipeline.create_pipeline(pipeline=declaration)
        return Pipeline(self, declaration["name"])


class Pipeline:
    """Follows a pipeline."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.client = world, name, world.codepipeline

    @property
    def newest(self) -> str:
        """Id of the newest execution."""
        found = self.client.list_pipeline_executions(pipelineName=self.name)["pipelineExecutionSummaries"]
        return str(found[0]["pipelineExecutionId"])

    def start(self, **arguments: Any) -> str:
        """Start an execution."""
        return str(self.client.start_pipeline_execution(name=self.name, **arguments)["pipelineExecutionId"])

    def execution(self, execution: str | None = None) -> dict[str, Any]:
        """Return an execution."""
        found = self.client.get_pipeline_execution(
            pipelineName=self.name, pipelineExecutionId=execution or self.newest
        )
        return dict(found["pipelineExecution"])

    def ended(self, execution: str | None = None) -> str:
        """Wait for the end of an execution and return its status."""
        wanted = execution or self.newest

        def status() -> str:
            found = str(self.execution(wanted)["status"])
            return found if found in ENDED else ""

        return str(wait_for(status))

    def actions(self, execution: str | None = None) -> dict[str, dict[str, Any]]:
        """Return the newest runs of actions by name."""
        found = self.client.list_action_executions(
            pipelineName=self.name, filter={"pipelineExecutionId": execution or self.newest}
        )["actionExecutionDetails"]
        return {one["actionName"]: one for one in reversed(found)}

    def why(self, action: str, execution: str | None = None) -> str:
        """Return why an action failed."""
        result = self.actions(execution)[action]["output"]["executionResult"]
        return str(result["errorDetails"]["message"])

    def log(self, action: str) -> str:
        """Return the log of a build."""
        url = self.actions()[action]["output"]["executionResult"]["externalExecutionUrl"]
        return Path(url.removeprefix("file://")).read_text()

    def action_state(self, stage: str, action: str) -> dict[str, Any]:
        """Return the state of an action."""
        stages = self.client.get_pipeline_state(name=self.name)["stageStates"]
        found = next(one for one in stages if one["stageName"] == stage)
        return dict(next(one for one in found["actionStates"] if one["actionName"] == action))

    def token(self, stage: str, action: str) -> str:
        """Wait for an approval and return its token."""
        return str(wait_for(lambda: self.action_state(stage, action).get("latestExecution", {}).get("token")))

    def answer(self, stage: str, action: str, status: str, summary: str = "said so") -> None:
        """Answer an approval."""
        self.client.put_approval_result(
            pipelineName=self.name,
            stageName=stage,
            actionName=action,
            result={"status": status, "summary": summary},
            token=self.token(stage, action),
        )


def kind(category: str, provider: str) -> dict[str, str]:
    """Return an action's type."""
    return {"category": category, "owner": "AWS", "provider": provider, "version": "1"}


def approval(name: str, **more: Any) -> dict[str, Any]:
    """Return an approval action."""
    return {"name": name, "actionTypeId": kind("Approval", "Manual"), **more}


def stage(name: str, *actions: dict[str, Any]) -> dict[str, Any]:
    """Return a stage."""
    return {"name": name, "actions": list(actions)}
