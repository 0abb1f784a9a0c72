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
    job_prefix
        Begins the names of the model's jobs and SageMaker models, which roles are narrowed to by
        ``<job_prefix>-<kind>-*``. Default: the prefix.
    data_name
        First part of the keys of its training data and batches, which it only reads: a model on a feature branch
        learns from another one's. Default: the model's name.

    Raises
    ------
    ValueError
        If a name has other characters or is too long.
    """

    prefix: str
    model_name: str
    package_group: str
    job_prefix: str | None = None
    data_name: str | None = None

    def __post_init__(self) -> None:
        """Check the names."""
        check_pattern(
            "prefix", self.prefix, _PREFIX, "be 1 to 32 lower-case letters, digits and inner hyphens"
        )
        for prop, value in (("model_name", self.model_name), ("package_group", self.package_group)):
            check_pattern(prop, value, _NAME, "be 1 to 63 letters, digits and inner hyphens")
        if self.job_prefix is not None:
            rule = "be 1 to 32 lower-case letters, digits and inner hyphens"
            check_pattern("job_prefix", self.job_prefix, _PREFIX, rule)
        if self.data_name is not None:
            check_pattern("data_name", self.data_name, _NAME, "be 1 to 63 letters, digits and inner hyphens")

    @property
    def jobs(self) -> str:
        """Return what the names of its jobs and SageMaker models begin with."""
        return self.prefix if self.job_prefix is None else self.job_prefix

    @property
    def data(self) -> str:
        """Return the key prefix of its training data and batches, without a slash at its end."""
        return f"{self.model_name if self.data_name is None else self.data_name}/data"
