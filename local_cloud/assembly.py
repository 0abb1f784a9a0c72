"""Reads a synthesized CDK cloud assembly: its stacks, their assets and their order."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class FileAsset:
    """A file or folder that goes to the bootstrap bucket before its stack is deployed."""

    path: Path
    zipped: bool
    bucket: str
    key: str

    def content(self) -> bytes:
        """The bytes to upload; a folder as a zip archive that doesn't depend on times."""
        if not self.zipped:
            return self.path.read_bytes()
        if self.path.is_file():
            return self.path.read_bytes()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(self.path.rglob("*")):
                if path.is_file():
                    info = zipfile.ZipInfo(path.relative_to(self.path).as_posix(), _ZIP_EPOCH)
                    info.external_attr = (path.stat().st_mode & 0xFFFF) << 16
                    archive.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


@dataclass(frozen=True, kw_only=True)
class StackArtifact:
    """A stack of an assembly.

    Attributes
    ----------
    artifact_id
        Its id in the assembly.
    name
        Its name in CloudFormation.
    display_name
        What a person types: the construct path.
    account, region
        Where it goes.
    template
        The template's text.
    assets
        What it needs in the bootstrap bucket.
    tags
        Stack-level tags.
    after
        Artifact ids of the stacks that must be there before.
    """

    artifact_id: str
    name: str
    display_name: str
    account: str
    region: str
    template: str
    assets: tuple[FileAsset, ...]
    tags: dict[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()

    @property
    def bootstrap_parameter(self) -> str | None:
        """Name of the SSM parameter with the bootstrap version that the template checks, if it does."""
        parameter = json.loads(self.template).get("Parameters", {}).get("BootstrapVersion", {})
        found: str | None = parameter.get("Default")
        return found


def _assets(folder: Path, manifest_file: str, account: str, region: str) -> Iterator[FileAsset]:
    for asset in json.loads((folder / manifest_file).read_text()).get("files", {}).values():
        for destination in asset["destinations"].values():
            bucket, key = (
                destination[name].replace("${AWS::AccountId}", account).replace("${AWS::Region}", region)
                for name in ("bucketName", "objectKey")
            )
            zipped = asset["source"].get("packaging") == "zip"
            yield FileAsset(path=folder / asset["source"]["path"], zipped=zipped, bucket=bucket, key=key)


def _read(folder: Path) -> Iterator[StackArtifact]:
    artifacts: dict[str, Any] = json.loads((folder / "manifest.json").read_text())["artifacts"]
    stacks = {name for name, artifact in artifacts.items() if artifact["type"] == "aws:cloudformation:stack"}
    for name, artifact in artifacts.items():
        properties = artifact.get("properties", {})
        if artifact["type"] == "cdk:cloud-assembly":
            yield from _read(folder / properties["directoryName"])
        if name not in stacks:
            continue
        account, region = artifact["environment"].removeprefix("aws://").split("/")
        if not account.isdigit():
            raise ValueError(f"stack {name} names no account and region: give it an env")
        needed = artifact.get("dependencies", [])
        manifests = [
            artifacts[other]["properties"]["file"]
            for other in needed
            if artifacts.get(other, {}).get("type") == "cdk:asset-manifest"
        ]
        yield StackArtifact(
            artifact_id=name,
            name=properties.get("stackName", name),
            display_name=artifact.get("displayName", name),
            account=account,
            region=region,
            template=(folder / properties["templateFile"]).read_text(),
            assets=tuple(asset for file in manifests for asset in _assets(folder, file, account, region)),
            tags=properties.get("tags", {}),
            after=tuple(other for other in needed if other in stacks),
        )


def read_assembly(folder: Path, stacks: Sequence[str] | None = None) -> list[StackArtifact]:
    """Read the stacks of a cloud assembly, those of its stages too.

    Parameters
    ----------
    folder
        The output of ``cdk synth``: ``cdk.out``.
    stacks
        Ids, names or construct paths of the wanted stacks. Default: all.

    Raises
    ------
    ValueError
        The folder is no assembly, a wanted stack is not in it, or a stack has no account.
    """
    if not (folder / "manifest.json").is_file():
        raise ValueError(f"{folder} is no cloud assembly: it has no manifest.json; run cdk synth first")
    found = list(_read(folder))
    if stacks is None:
        return found
    wanted = []
    for given in stacks:
        match = next((one for one in found if given in (one.artifact_id, one.name, one.display_name)), None)
        if match is None:
            known = ", ".join(one.artifact_id for one in found)
            raise ValueError(f"{folder} has no stack {given!r}; it has: {known}")
        wanted.append(match)
    return wanted
