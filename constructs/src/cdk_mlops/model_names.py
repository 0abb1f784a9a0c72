"""The names of one model, from which those of its pipelines, jobs, roles and objects are made."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cdk_mlops._validation import check_pattern

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
# Lower case because SageMaker writes the ARNs of jobs and pipelines so, and roles are narrowed by them. A
# role's name has 64 characters: "<prefix>-<stage>-<purpose>" must fit with 16 for the stage and 14 for the
# purpose.
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class ModelNames:
    """The names of one model.

    Parameters
    ----------
    prefix
        Begins the names of the model's pipelines, jobs, roles and functions. 1 to 32 lower-case letters,
        digits and hyphens.
    model_name
        First part of every object key of the model. 1 to 63 letters, digits and hyphens.
    package_group
        The model package group in the registry account. 1 to 63 letters, digits and hyphens.

    Raises
    ------
    ValueError
        If a name has other characters or is too long.
    """

    prefix: str
    model_name: str
    package_group: str

    def __post_init__(self) -> None:
        """Check the names."""
        check_pattern(
            "prefix", self.prefix, _PREFIX, "be 1 to 32 lower-case letters, digits and inner hyphens"
        )
        for prop in ("model_name", "package_group"):
            check_pattern(prop, getattr(self, prop), _NAME, "be 1 to 63 letters, digits and inner hyphens")
