"""Build specifications of CodeBuild: read, checked, and what of them counts here.

See https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from local_cloud.codepipeline.errors import ActionFailed

PHASES = ("install", "pre_build", "build", "post_build")
DEFAULT_FILE = "buildspec.yml"
_PHASE_KEYS = {"commands", "finally", "on-failure", "run-as", "runtime-versions"}
_KEYS = {"version", "phases", "env", "artifacts", "cache", "reports", "run-as", "proxy"}


@dataclass(frozen=True)
class Phase:
    """Commands of a phase.

    Attributes
    ----------
    commands, finally_commands
        In order; the latter run whatever became of the former.
    goes_on
        Whether the build goes on after a failure.
    """

    commands: tuple[str, ...] = ()
    finally_commands: tuple[str, ...] = ()
    goes_on: bool = False


@dataclass(frozen=True)
class Output:
    """Which files a build leaves."""

    patterns: tuple[str, ...]
    base: str = "."
    flat: bool = False
    excluded: tuple[str, ...] = ()

    def collect(self, source: Path, target: Path) -> None:
        """Copy the files from the build's folder.

        Raises
        ------
        ActionFailed
            There is nothing to copy.
        """
        base = source / self.base
        target.mkdir(parents=True, exist_ok=True)
        found = 0
        for path in self._files(base):
            inner = path.relative_to(base)
            goal = target / (inner.name if self.flat else inner)
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, goal)
            found += 1
        if not found:
            raise ActionFailed(
                "Build terminated with state: FAILED. Phase: UPLOAD_ARTIFACTS, Code: CLIENT_ERROR, Message:"
                f" no matching artifact paths found: {', '.join(self.patterns)} in {self.base}",
            )

    def _files(self, base: Path) -> Iterator[Path]:
        left_out = {path for pattern in self.excluded for path in base.glob(pattern.lstrip("/"))}
        seen: set[Path] = set()
        for pattern in self.patterns:
            for path in sorted(base.glob(pattern.removeprefix("./").lstrip("/"))):
                if path.is_file() and path not in seen and path not in left_out:
                    seen.add(path)
                    yield path


@dataclass(frozen=True)
class Buildspec:
    """A build specification."""

    phases: dict[str, Phase]
    variables: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    exported: tuple[str, ...] = ()
    output: Output | None = None
    secondary: dict[str, Output] = field(default_factory=dict)


def read(given: str, source: Path) -> Buildspec:
    """Read the build specification of a project.

    Parameters
    ----------
    given
        The project's: YAML or JSON text, the path of a file in the source, or nothing for ``buildspec.yml``.
    source
        The primary source.

    Raises
    ------
    ActionFailed
        There is none, or it makes no sense; says what.
    """
    text = given
    if "\n" not in given.strip() and not given.strip().startswith("{"):
        file = source / (given.strip() or DEFAULT_FILE)
        if not file.is_file():
            raise _wrong(
                f"{given.strip() or DEFAULT_FILE}: there is no such file in the source", "YAML_FILE_ERROR"
            )
        text = file.read_text()
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _wrong(
            f"the build specification is no YAML: {' '.join(str(error).split())}", "YAML_FILE_ERROR"
        ) from None
    if not isinstance(found, dict):
        raise _wrong("the build specification is no mapping", "YAML_FILE_ERROR")
    return _parse(found)


def _parse(found: dict[str, Any]) -> Buildspec:
    if str(found.get("version")) not in ("0.2", "0.1"):
        raise _wrong(f"the build specification's version must be 0.2, got {found.get('version')!r}")
    if unknown := found.keys() - _KEYS:
        raise _wrong(f"the embedded cloud doesn't know {', '.join(sorted(unknown))} in a build specification")
    env = found.get("env") or {}
    artifacts = found.get("artifacts") or {}
    phases = found.get("phases") or {}
    if unknown := phases.keys() - set(PHASES):
        raise _wrong(f"the build specification has unknown phases: {', '.join(sorted(unknown))}")
    secondary = artifacts.get("secondary-artifacts") or {}
    return Buildspec(
        phases={name: _phase(name, phases[name] or {}) for name in PHASES if name in phases},
        variables={key: str(value) for key, value in (env.get("variables") or {}).items()},
        parameters=dict(env.get("parameter-store") or {}),
        secrets=dict(env.get("secrets-manager") or {}),
        exported=tuple(env.get("exported-variables") or ()),
        output=_output(artifacts) if artifacts.get("files") else None,
        secondary={name: _output(one) for name, one in secondary.items()},
    )


def _phase(name: str, phase: dict[str, Any]) -> Phase:
    if unknown := phase.keys() - _PHASE_KEYS:
        raise _wrong(
            f"phase {name} of the build specification has unknown keys: {', '.join(sorted(unknown))}"
        )
    on_failure = str(phase.get("on-failure") or "ABORT")
    if on_failure not in ("ABORT", "CONTINUE"):
        raise _wrong(
            f"on-failure of phase {name} is {on_failure}; the embedded cloud knows ABORT and CONTINUE"
        )
    return Phase(_texts(phase.get("commands")), _texts(phase.get("finally")), on_failure == "CONTINUE")


def _output(given: dict[str, Any]) -> Output:
    return Output(
        patterns=_texts(given.get("files")),
        base=str(given.get("base-directory") or "."),
        flat=given.get("discard-paths") in (True, "yes"),
        excluded=_texts(given.get("exclude-paths")),
    )


def _texts(value: Any) -> tuple[str, ...]:
    return (str(value),) if isinstance(value, str) else tuple(str(item) for item in value or ())


def _wrong(message: str, code: str = "CLIENT_ERROR") -> ActionFailed:
    return ActionFailed(
        f"Build terminated with state: FAILED. Phase: DOWNLOAD_SOURCE, Code: {code}, Message: {message}"
    )
