"""One stack of a cloud assembly: what its template says of the pipelines, and all that is needed to deploy it again."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ops.errors import CommandError

PIPELINE_TYPE = "Custom::SageMakerPipeline"
DEFINITION, CODE, COMMIT = "mlops:definition", "mlops:code", "mlops:commit"
_STACK, _ASSETS, _NESTED = "aws:cloudformation:stack", "cdk:asset-manifest", "cdk:cloud-assembly"
_SYNTH = "make one: make synth"


@dataclass(frozen=True)
class StackAssembly:
    """A stack as it was synthesized.

    Parameters
    ----------
    name
        The stack's name.
    folder
        The assembly that holds it, which may be nested in another one.
    artifact
        The stack's entry in that assembly's manifest.
    manifest
        All of that manifest.
    """

    name: str
    folder: Path
    artifact: Mapping[str, Any]
    manifest: Mapping[str, Any]

    @property
    def template(self) -> dict[str, Any]:
        """Return the CloudFormation template."""
        return dict(json.loads((self.folder / self.artifact["properties"]["templateFile"]).read_text()))

    @cached_property
    def pipelines(self) -> dict[str, dict[str, str]]:
        """Return the tags of each pipeline that the stack deploys, by the pipeline's name."""
        found = [one for one in self.template["Resources"].values() if one["Type"] == PIPELINE_TYPE]
        return {
            str(one["Properties"]["PipelineName"]): {
                str(key): str(value) for key, value in one["Properties"].get("Tags", {}).items()
            }
            for one in found
        }

    @property
    def definitions(self) -> dict[str, str]:
        """Return the digest of each pipeline's definition by the pipeline's name."""
        return {name: tags.get(DEFINITION, "") for name, tags in sorted(self.pipelines.items())}

    @property
    def commit(self) -> str:
        """Return the commit that was synthesized."""
        commits = {tags.get(COMMIT, "unknown") for tags in self.pipelines.values()}
        return commits.pop() if len(commits) == 1 else "unknown"

    def asset(self, key: str) -> str:
        """Return the text of the file asset that the template knows by a key of the bootstrap's bucket.

        Raises
        ------
        CommandError
            Where the assembly has no such file.
        """
        for artifact_id in self.artifact.get("dependencies", []):
            needed = self.manifest["artifacts"][artifact_id]
            if needed["type"] == _ASSETS:
                manifest = json.loads((self.folder / needed["properties"]["file"]).read_text())
                for asset in manifest.get("files", {}).values():
                    if key in [one["objectKey"] for one in asset["destinations"].values()]:
                        return Path(self.folder / asset["source"]["path"]).read_text()
        raise CommandError(f"the assembly in {self.folder} has no asset {key} of {self.name}; {_SYNTH}")

    def pack(self) -> bytes:
        """Return this stack's part of the assembly as an archive: the same bytes for the same content.

        `cdk deploy --app <folder>` deploys what it holds under the stack's own name.

        Raises
        ------
        CommandError
            Where the stack needs something that isn't a file, such as an image.
        """
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content, mode in sorted(self._files(), key=lambda file: file[0]):
                entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3  # Unix, wherever it is packed: the mode is kept
                entry.external_attr = (0o100000 | mode) << 16
                archive.writestr(entry, content)
        return out.getvalue()

    def _files(self) -> Iterator[tuple[str, bytes, int]]:
        template = self.artifact["properties"]["templateFile"]
        yield template, (self.folder / template).read_bytes(), 0o644
        # What describes the constructs, their places in the code included, is of no use for a deployment.
        own = {key: value for key, value in self.artifact.items() if key != "additionalMetadataFile"}
        artifacts: dict[str, Any] = {self.name: {**own, "displayName": self.name}}
        sources: dict[str, Path] = {}
        for artifact_id in self.artifact.get("dependencies", []):
            needed = self.manifest["artifacts"][artifact_id]
            if needed["type"] != _ASSETS:
                continue  # another stack, which is deployed by itself
            artifacts[artifact_id] = needed
            file = needed["properties"]["file"]
            yield file, self._asset_manifest(file, sources), 0o644
        manifest = {"version": self.manifest["version"], "artifacts": artifacts}
        kept = [one for one in self.artifact.get("dependencies", []) if one in artifacts]
        artifacts[self.name]["dependencies"] = kept
        yield "manifest.json", _json(manifest), 0o644
        yield "cdk.out", _json({"version": self.manifest["version"]}), 0o644
        for name, path in sources.items():
            if path.is_dir():
                for file in (one for one in path.rglob("*") if one.is_file()):
                    yield f"{name}/{file.relative_to(path).as_posix()}", file.read_bytes(), _mode(file)
            elif name != template:
                yield name, path.read_bytes(), 0o644

    def _asset_manifest(self, file: str, sources: dict[str, Path]) -> bytes:
        assets = json.loads((self.folder / file).read_text())
        if assets.get("dockerImages"):
            raise CommandError(f"{self.name} has image assets, which a recorded assembly can't hold")
        for asset in assets.get("files", {}).values():
            source = asset["source"]
            if "path" not in source:
                raise CommandError(
                    f"{self.name} has an asset that is made by a command, not a file or folder"
                )
            # A nested assembly names its assets beside it: here all lie side by side.
            path = self.folder / source["path"]
            source["path"] = path.name
            sources[path.name] = path
        return _json(assets)


def find(folder: Path, stack: str) -> StackAssembly:
    """Return a stack of an assembly, its own or one nested in it, such as a stage of the delivery pipeline.

    Parameters
    ----------
    folder
        Of the assembly, such as ``cdk.out``.
    stack
        The stack's name.

    Raises
    ------
    CommandError
        Where there is no assembly, or it doesn't have the stack.
    """
    known: dict[str, StackAssembly] = {}
    for found in _stacks(folder):
        known.setdefault(found.name, found)
    if stack not in known:
        raise CommandError(
            f"the assembly in {folder} has no {stack}, only {', '.join(sorted(known)) or 'nothing'}; {_SYNTH}"
        )
    return known[stack]


def _stacks(folder: Path) -> Iterator[StackAssembly]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        artifacts: dict[str, Any] = manifest["artifacts"]
    except FileNotFoundError:
        raise CommandError(f"there is no assembly in {folder}; {_SYNTH}") from None
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"{folder / 'manifest.json'} is no manifest of an assembly; {_SYNTH}") from None
    for artifact_id, artifact in artifacts.items():
        if artifact["type"] == _STACK:
            name = artifact.get("properties", {}).get("stackName", artifact_id)
            yield StackAssembly(name, folder, artifact, manifest)
    for artifact in artifacts.values():
        if artifact["type"] == _NESTED:
            yield from _stacks(folder / artifact["properties"]["directoryName"])


def _mode(file: Path) -> int:
    return 0o755 if os.access(file, os.X_OK) else 0o644


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
