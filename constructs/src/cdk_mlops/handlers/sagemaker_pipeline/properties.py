"""The resource's properties, checked: CloudFormation passes every value as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.text import shorten

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}")
_HASH = re.compile(r"[A-Za-z0-9_-]{8,128}")


class BadProperties(Exception):
    """A property of the resource is missing or malformed."""


@dataclass(frozen=True)
class Code:
    """The code asset and where it is unpacked.

    Parameters
    ----------
    folder
        `<CodeDestinationPrefix>/<CodeHash>`, without a slash at the end.
    marker
        Key of the object that says that the folder is complete. It lies outside of the folder and begins otherwise,
        because SageMaker reads every key that begins like the folder.
    parameter
        Name of the pipeline parameter that takes the folder's URI.
    """

    source_bucket: str
    source_key: str
    bucket: str
    folder: str
    marker: str
    parameter: str

    @property
    def uri(self) -> str:
        """URI of the folder, without a slash at the end."""
        return f"s3://{self.bucket}/{self.folder}"


@dataclass(frozen=True)
class Properties:
    """What a stack says about a pipeline."""

    name: str
    display_name: str
    description: str
    role_arn: str
    definition_bucket: str
    definition_key: str
    code: Code | None
    defaults: dict[str, str]
    functions: dict[str, str]
    tags: dict[str, str]
    adopt: bool
    rename_jobs: dict[str, str]

    @classmethod
    def parse(cls, properties: Mapping[str, Any]) -> Properties:
        """Read the properties.

        Raises
        ------
        BadProperties
            One is missing or malformed; the message names it.
        """
        name = _text(properties, "PipelineName")
        if not _NAME.fullmatch(name):
            raise BadProperties(
                f"PipelineName must be letters and digits with dashes between them, got '{name}'"
            )
        adopt = str(properties.get("AdoptExisting", "false")).lower()
        if adopt not in ("true", "false"):
            raise BadProperties(f"AdoptExisting must be true or false, got '{adopt}'")
        return cls(
            name=name,
            display_name=str(properties.get("DisplayName") or name),
            description=shorten(str(properties.get("Description") or ""), 3072),
            role_arn=_text(properties, "RoleArn"),
            definition_bucket=_text(properties, "DefinitionBucket"),
            definition_key=_text(properties, "DefinitionKey"),
            code=_code(properties),
            defaults=text_map(properties, "ParameterDefaults"),
            functions={
                name.removeprefix("@function:").removesuffix("@"): arn
                for name, arn in text_map(properties, "Functions").items()
            },
            tags=text_map(properties, "Tags"),
            adopt=adopt == "true",
            rename_jobs=text_map(properties, "RenameJobs"),
        )


def _text(properties: Mapping[str, Any], name: str) -> str:
    value = properties.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadProperties(f"the property {name} is missing")
    return value.strip()


def text_map(properties: Mapping[str, Any], name: str) -> dict[str, str]:
    """Read a property that maps names to values.

    Raises
    ------
    BadProperties
        It is something else.
    """
    value = properties.get(name) or {}
    if not isinstance(value, Mapping):
        raise BadProperties(f"the property {name} must map names to values, got '{shorten(str(value), 80)}'")
    for key, item in value.items():
        if not isinstance(item, str | int | float | bool):
            raise BadProperties(f"the property {name} must map names to single values, got '{key}: {item}'")
    # CloudFormation itself writes true, not True
    return {
        str(key): str(item).lower() if isinstance(item, bool) else str(item) for key, item in value.items()
    }


def _code(properties: Mapping[str, Any]) -> Code | None:
    if not properties.get("CodeBucket") and not properties.get("CodeKey"):
        return None
    prefix, digest = _text(properties, "CodeDestinationPrefix").strip("/"), _text(properties, "CodeHash")
    if not prefix or ".." in prefix.split("/"):
        raise BadProperties(f"CodeDestinationPrefix must be a folder such as model/scripts, got '{prefix}'")
    if not _HASH.fullmatch(digest):
        raise BadProperties(
            f"CodeHash must be 8 to 128 letters, digits, - or _, got '{shorten(digest, 140)}'"
        )
    return Code(
        source_bucket=_text(properties, "CodeBucket"),
        source_key=_text(properties, "CodeKey"),
        bucket=_text(properties, "CodeDestinationBucket"),
        folder=f"{prefix}/{digest}",
        marker=f"{prefix}/_complete/{digest}.json",
        parameter=str(properties.get("CodeParameter") or "CodeUri"),
    )
