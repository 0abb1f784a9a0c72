"""The CodeBuild action: runs a project's build specification as a local process under its service role."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.codepipeline import buildspec, driver, leftovers
from local_cloud.codepipeline.artifacts import Artifacts
from local_cloud.codepipeline.environment import bash, build_environment, make_tools
from local_cloud.codepipeline.errors import ActionAbandoned, ActionFailed
from local_cloud.codepipeline.model import Artifact, Work
from local_cloud.engine_services import DeliveryServices, Role
from local_cloud.runner.clients import RoleClients
from local_cloud.runner.process import ProcessPool

_SERVICE = "codebuild.amazonaws.com"
_SUMMARY_LINES = 5
# What make and npm say about a failure that was told already.
_NOISE = re.compile(r"\[Container\].*|make(\[\d+\])?: .*|npm (ERR!|error) .*log.*|\s*")


class Replacements:
    """Commands of build specifications that are run as others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commands: dict[str, str] = {}

    def set(self, command: str, replacement: str) -> None:
        """Run `replacement` wherever a build specification says `command`."""
        with self._lock:
            self._commands[command.strip()] = replacement

    def clear(self) -> None:
        """Run everything as it is written again."""
        with self._lock:
            self._commands.clear()

    def of(self, command: str) -> str | None:
        """Return what is to be run instead of a command, or None."""
        with self._lock:
            return self._commands.get(command.strip())


class BuildAction:
    """Runs builds.

    Parameters
    ----------
    services
        What the engine gives.
    artifacts
        Where inputs come from and outputs go.
    replacements
        Commands that are run as others.
    caller
        The environment that the server was started with.
    """

    def __init__(
        self,
        services: DeliveryServices,
        artifacts: Artifacts,
        replacements: Replacements,
        caller: dict[str, str],
    ) -> None:
        self._services, self._artifacts = services, artifacts
        self._replacements, self._caller = replacements, caller
        self._pool = ProcessPool()
        self._work = services.engine.work_dir
        self._abandoned: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._going: set[str] = set()
        self._lock = threading.Lock()
        make_tools(self._work / "tools")

    def run(self, work: Work) -> None:
        """Start a build of the project and wait for its end."""
        scope = work.execution.pipeline.scope
        name = work.configuration["ProjectName"]
        arn = f"arn:{scope.partition}:codebuild:{work.region}:{scope.account}:project/{name}"
        for action in ("codebuild:StartBuild", "codebuild:BatchGetBuilds"):
            if denial := self._services.denial(work.role, action, arn):
                raise ActionFailed(
                    f"Error calling {action.partition(':')[2]}: {denial}", code="PermissionError"
                )
        project = self._services.project(scope.account, work.region, name)
        if project is None:
            raise ActionFailed(
                f"Error calling startBuild: Project cannot be found: {arn}", code="ConfigurationError"
            )
        Build(self, work, project).run()

    def abandon(self, work: Work) -> None:
        """End a running build."""
        with self._lock:
            self._abandoned.add(work.run.run_id)
        self._pool.stop(work.run.run_id)

    def close(self) -> None:
        """End all builds."""
        self._pool.close()
        with self._lock:
            leftovers.end(self._going)

    def _number(self, project: str) -> int:
        with self._lock:
            self._numbers[project] = self._numbers.get(project, 0) + 1
            return self._numbers[project]

    def _note(self, build_id: str, *, going: bool) -> None:
        with self._lock:
            (self._going.add if going else self._going.discard)(build_id)

    def _is_abandoned(self, work: Work) -> bool:
        with self._lock:
            return work.run.run_id in self._abandoned


class Build:
    """One build.

    Parameters
    ----------
    action
        Who runs it.
    work
        For whom.
    project
        The project, in the API's shape.
    """

    def __init__(self, action: BuildAction, work: Work, project: dict[str, Any]) -> None:
        self._action, self._given, self._project = action, work, project
        self._scope = work.execution.pipeline.scope
        self._name = str(project["name"])
        self._id = f"{self._name}:{uuid.uuid4()}"
        self._folder = work.folder
        self._log = work.folder / "build.log"
        self._log.touch()
        self._timed_out = False
        build_arn = str(project["arn"]).replace(":project/", ":build/").rpartition("/")[0] + f"/{self._id}"
        self._record: dict[str, Any] = {
            "id": self._id,
            "arn": build_arn,
            "buildNumber": action._number(str(project["arn"])),
            "startTime": int(time.time()),
            "currentPhase": "SUBMITTED",
            "buildStatus": "IN_PROGRESS",
            "projectName": self._name,
            "phases": [],
            "source": project.get("source", {}),
            "artifacts": project.get("artifacts", {}),
            "environment": project.get("environment", {}),
            "serviceRole": project.get("serviceRole", ""),
            "logs": {
                "groupName": f"/aws/codebuild/{self._name}",
                "streamName": self._id.partition(":")[2],
                "deepLink": self._log.as_uri(),
            },
            "timeoutInMinutes": project.get("timeoutInMinutes", 60),
            "initiator": f"codepipeline/{work.execution.pipeline.name}",
            "encryptionKey": project.get("encryptionKey", ""),
            "buildComplete": False,
        }
        if not work.artifacts:
            raise ActionFailed("A build needs an input artifact", code="ConfigurationError")
        named = work.configuration.get("PrimarySource")
        self._primary = next((one for one in work.artifacts if one.name == named), work.artifacts[0])
        if self._primary.revision:
            self._record["resolvedSourceVersion"] = self._primary.revision.commit

    def run(self) -> None:
        """Run it; its record tells BatchGetBuilds how far it is."""
        run = self._given.run
        run.external_id, run.external_url = self._id, self._log.as_uri()
        self._temporary = Path(tempfile.mkdtemp(prefix="build-"))
        status = "FAULT"
        self._keep()
        try:
            self._perform()
            status = "SUCCEEDED"
        except ActionFailed as error:
            status = "TIMED_OUT" if self._timed_out else "FAILED"
            if not self._log.stat().st_size:
                self._log.write_text(f"[Container] {error.message}\n")
            raise
        except ActionAbandoned:
            status = "STOPPED"
            raise
        finally:
            self._record |= {"buildStatus": status, "currentPhase": "COMPLETED", "endTime": int(time.time())}
            self._record["buildComplete"] = True
            self._keep()
            for path in (
                self._temporary,
                *(self._folder / name for name in ("src", "home", "npm", "registries")),
            ):
                shutil.rmtree(path, ignore_errors=True)

    def _keep(self) -> None:
        self._action._services.record_build(
            self._scope.account, self._given.region, json.loads(json.dumps(self._record))
        )

    def _perform(self) -> None:
        role = self._role()
        source, folders = self._sources(role)
        spec = buildspec.read(str((self._project.get("source") or {}).get("buildspec") or ""), source)
        environment = self._environment(role, spec, source, folders)
        results = self._folder / "results"
        results.mkdir()
        program = self._folder / "build.sh"
        driver.write(spec, program, results, self._action._replacements.of)
        self._record["currentPhase"] = "BUILD"
        self._keep()
        self._execute(program, environment, source)
        self._judge(results)
        self._given.run.variables = _pairs(results / "exported")
        self._give(role, spec, source)
        self._given.run.summary = summary(self._log)

    def _role(self) -> Role:
        role = str(self._project.get("serviceRole"))
        try:
            return self._action._services.engine.issue_session(
                role, _SERVICE, f"AWSCodeBuild-{self._id.partition(':')[2]}", str(self._project["arn"])
            )
        except PermissionError as error:
            raise ActionFailed(
                "Error calling startBuild: CodeBuild is not authorized to perform: sts:AssumeRole on service role."
                f" Please verify that the role exists and trusts CodeBuild: {error}",
                code="PermissionError",
            ) from None

    def _sources(self, role: Role) -> tuple[Path, dict[str, Path]]:
        """Copy the input artifacts; the primary one is where the build begins."""
        folders = {}
        for artifact in self._given.artifacts:
            place = self._folder / "src" / artifact.name
            shutil.copytree(Artifacts.get(artifact, role), place, symlinks=True)
            folders[artifact.name] = place
        return folders.pop(self._primary.name), folders

    def _environment(
        self, role: Role, spec: buildspec.Buildspec, source: Path, folders: dict[str, Path]
    ) -> dict[str, str]:
        work = self._action._work
        base = build_environment(
            tools=work / "tools",
            folder=self._folder,
            temporary=self._temporary,
            caches=work / "caches",
            role=role,
            caller=self._action._caller,
        )
        declared = list((self._project.get("environment") or {}).get("environmentVariables") or [])
        declared += json.loads(self._given.configuration.get("EnvironmentVariables") or "[]")
        own = {str(one["name"]): self._value(one, role) for one in declared}
        from_spec = dict(spec.variables)
        for name, reference in spec.parameters.items():
            from_spec[name] = self._value({"type": "PARAMETER_STORE", "value": reference}, role)
        for name, reference in spec.secrets.items():
            from_spec[name] = self._value({"type": "SECRETS_MANAGER", "value": reference}, role)
        return {**base, **from_spec, **own, **self._codebuild_variables(source, folders)}

    def _value(self, variable: dict[str, Any], role: Role) -> str:
        kind, value = variable.get("type") or "PLAINTEXT", str(variable.get("value", ""))
        try:
            if kind == "PARAMETER_STORE":
                ssm = RoleClients(role).client("ssm")
                return str(ssm.get_parameter(Name=value, WithDecryption=True)["Parameter"]["Value"])
            if kind == "SECRETS_MANAGER":
                secret, _, key = value.partition(":") if not value.startswith("arn:") else (value, "", "")
                text = str(
                    RoleClients(role)
                    .client("secretsmanager")
                    .get_secret_value(SecretId=secret)["SecretString"]
                )
                return str(json.loads(text)[key.partition(":")[0]]) if key else text
        except ClientError as error:
            raise ActionFailed(
                f"Build terminated with state: FAILED. Phase: DOWNLOAD_SOURCE, Code: {kind}, Message: {error}"
            ) from None
        return value

    def _codebuild_variables(self, source: Path, folders: dict[str, Path]) -> dict[str, str]:
        record, first = self._record, self._primary
        found = {
            "CODEBUILD_BUILD_ARN": record["arn"],
            "CODEBUILD_BUILD_ID": self._id,
            "CODEBUILD_BUILD_IMAGE": str((self._project.get("environment") or {}).get("image", "")),
            "CODEBUILD_BUILD_NUMBER": str(record["buildNumber"]),
            "CODEBUILD_INITIATOR": record["initiator"],
            "CODEBUILD_KMS_KEY_ID": record["encryptionKey"],
            "CODEBUILD_LOG_PATH": record["logs"]["streamName"],
            "CODEBUILD_SOURCE_VERSION": f"arn:{self._scope.partition}:s3:::{first.bucket}/{first.key}",
            "CODEBUILD_SRC_DIR": str(source),
            "CODEBUILD_START_TIME": str(record["startTime"] * 1000),
            **{f"CODEBUILD_SRC_DIR_{name}": str(folder) for name, folder in folders.items()},
        }
        if "resolvedSourceVersion" in record:
            found["CODEBUILD_RESOLVED_SOURCE_VERSION"] = record["resolvedSourceVersion"]
        return found

    def _execute(self, program: Path, environment: dict[str, str], source: Path) -> None:
        key, pool = self._given.run.run_id, self._action._pool
        minutes = float(
            self._given.run.declaration.get("timeoutInMinutes") or self._record["timeoutInMinutes"]
        )

        def end() -> None:
            self._timed_out = True
            pool.stop(key)

        timer = threading.Timer(minutes * 60, end)
        timer.daemon = True
        timer.start()
        self._action._note(self._id, going=True)
        try:
            code = pool.run(
                key,
                [bash(), str(program)],
                environment=environment,
                folder=source,
                stdout=self._log,
                stderr=self._log,
            )
        finally:
            timer.cancel()
            pool.forget(key)
            leftovers.end({self._id})
            self._action._note(self._id, going=False)
        if self._action._is_abandoned(self._given):
            raise ActionAbandoned
        if self._timed_out:
            raise ActionFailed(
                f"Build terminated with state: TIMED_OUT after {minutes:g} minutes",
                summary=summary(self._log),
            )
        if code not in (0, 1):
            raise ActionFailed(
                f"Build terminated with state: FAILED. The build's shell ended with exit status {code}",
                summary=summary(self._log),
            )

    def _judge(self, results: Path) -> None:
        """Raise what the first failed command left."""
        failure = results / "failure"
        if not failure.exists():
            return
        phase, code, command = failure.read_text().split("\0")[:3]
        raise ActionFailed(
            f"Build terminated with state: FAILED. Phase: {phase}, Code: COMMAND_EXECUTION_ERROR, Message: Error while"
            f" executing command: {command}. Reason: exit status {code}",
            summary=summary(self._log),
        )

    def _give(self, role: Role, spec: buildspec.Buildspec, source: Path) -> None:
        outputs = self._given.outputs
        for name in outputs:
            wanted = spec.secondary.get(name) or (spec.output if len(outputs) == 1 else None)
            if wanted is None:
                raise ActionFailed(
                    "Build terminated with state: FAILED. Phase: UPLOAD_ARTIFACTS, Code: CLIENT_ERROR, Message:"
                    f" the build specification doesn't say what goes into the artifact {name}"
                )
            collected = self._folder / "out" / name
            wanted.collect(source, collected)
            made: Artifact = self._action._artifacts.put(
                self._given.execution, name, collected, role, region=self._given.region
            )
            self._given.run.outputs.append(made)


def _pairs(file: Path) -> dict[str, str]:
    fields = file.read_text().split("\0")[:-1] if file.exists() else []
    return dict(zip(fields[::2], fields[1::2], strict=True))


def summary(log: Path) -> str:
    """Return the last lines of a build's log that say something, without what CodeBuild and make add."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 16_384))
        lines = stream.read().decode(errors="replace").splitlines()
    said = [line.rstrip() for line in lines if not _NOISE.fullmatch(line)]
    return "\n".join(said[-_SUMMARY_LINES:])
