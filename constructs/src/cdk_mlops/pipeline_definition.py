"""A compiled pipeline definition, read at synth so that mistakes show before anything is deployed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from cdk_mlops._validation import is_token

_MARKER = re.compile(r"@function:([^@\s\"]+)@")
# SageMaker's limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreatePipeline.html
_MAX_CHARACTERS = 1_048_576
_MAX_PARAMETERS = 200
_MAX_VALUE = 1024


@dataclass(frozen=True)
class PipelineDefinition:
    """What the construct needs to know of a definition.

    Parameters
    ----------
    path
        The JSON file.
    parameters
        Declared parameters by name, as in the file.
    markers
        Names in the file's markers ``@function:<name>@``, which stand for ARNs of functions.
    sha256
        Digest of the file's bytes.
    """

    path: Path
    parameters: Mapping[str, Mapping[str, Any]]
    markers: frozenset[str]
    sha256: str

    @staticmethod
    def read(path: str | PathLike[str]) -> PipelineDefinition:
        """Read a compiled definition.

        Raises
        ------
        ValueError
            If the file is missing, is no pipeline definition, or is larger than SageMaker takes.
        """
        file = Path(path)
        try:
            content = file.read_bytes()
            body = json.loads(content)
        except OSError as error:
            raise ValueError(f"definition must be a readable file, got '{file}': {error.strerror}") from None
        except ValueError as error:
            raise ValueError(f"definition must be JSON, got '{file}': {error}") from None
        if not isinstance(body, dict) or not isinstance(body.get("Steps"), list) or not body["Steps"]:
            raise ValueError(f"definition must be a SageMaker pipeline with Steps, got '{file}' without any")
        declared = body.get("Parameters", [])
        if not isinstance(declared, list) or not all(
            isinstance(one, dict) and "Name" in one for one in declared
        ):
            raise ValueError(
                f"definition must have a list of Parameters with a Name each, got others in '{file}'"
            )
        text = content.decode()
        if len(text) > _MAX_CHARACTERS:
            raise ValueError(
                f"definition must have at most {_MAX_CHARACTERS} characters, got {len(text)} in '{file}'"
            )
        if len(declared) > _MAX_PARAMETERS:
            raise ValueError(
                f"definition must have at most {_MAX_PARAMETERS} parameters, got {len(declared)} in '{file}'"
            )
        return PipelineDefinition(
            path=file,
            parameters={one["Name"]: one for one in declared},
            markers=frozenset(_MARKER.findall(text)),
            sha256=hashlib.sha256(content).hexdigest(),
        )

    def check_defaults(self, defaults: Mapping[str, str], filled: Collection[str]) -> None:
        """Check the values given for parameters; ``filled`` names those that get their value at deployment.

        Raises
        ------
        ValueError
            Naming unknown parameters, those left without a value, or a value of the wrong type.
        """
        unknown = sorted((set(defaults) | set(filled)) - set(self.parameters))
        if unknown:
            raise ValueError(
                f"parameter_defaults must be parameters of {self.path.name}, got {_quoted(unknown)}; "
                f"it has {', '.join(sorted(self.parameters)) or 'none'}"
            )
        twice = sorted(set(defaults) & set(filled))
        if twice:
            raise ValueError(f"parameter_defaults must not hold {_quoted(twice)}: the deployment fills it")
        missing = sorted(
            name
            for name, declared in self.parameters.items()
            if name not in defaults and name not in filled and "DefaultValue" not in declared
        )
        if missing:
            raise ValueError(
                f"parameter_defaults must give {_quoted(missing)}: {self.path.name} has no default for it"
            )
        for name, value in defaults.items():
            _check_value(name, value, self.parameters[name])

    def check_functions(self, markers: Collection[str]) -> None:
        """Check that each marker has a function and each function a marker.

        Raises
        ------
        ValueError
            Naming those without the other.
        """
        missing, unknown = sorted(self.markers - set(markers)), sorted(set(markers) - self.markers)
        if missing:
            raise ValueError(f"functions must give {_quoted(missing)}: {self.path.name} marks a step with it")
        if unknown:
            raise ValueError(f"functions must be markers of {self.path.name}, got {_quoted(unknown)}")


def _check_value(name: str, value: str, declared: Mapping[str, Any]) -> None:
    if is_token(value):
        return
    if not isinstance(value, str):
        raise ValueError(f"parameter_defaults['{name}'] must be a string, got {value!r}")
    kind = declared.get("Type", "String")
    try:
        if kind == "Integer":
            int(value)
        elif kind == "Float":
            float(value)
        elif kind == "Boolean" and value.lower() not in ("true", "false"):
            raise ValueError
    except ValueError:
        raise ValueError(f"parameter_defaults['{name}'] must be of type {kind}, got '{value}'") from None
    if len(value) > _MAX_VALUE:
        raise ValueError(
            f"parameter_defaults['{name}'] must have at most {_MAX_VALUE} characters, got {len(value)}"
        )
    allowed = declared.get("EnumValues")
    if allowed and kind == "String" and value not in allowed:
        raise ValueError(f"parameter_defaults['{name}'] must be one of {', '.join(allowed)}, got '{value}'")


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
