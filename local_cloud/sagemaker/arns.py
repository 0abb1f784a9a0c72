"""Names and ARNs of SageMaker's resources."""

from __future__ import annotations

from dataclasses import dataclass

from local_cloud.sagemaker.errors import invalid


def partition_of(region: str) -> str:
    """Return the partition of a region."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


@dataclass(frozen=True)
class Scope:
    """The account and region that a request or a resource belongs to."""

    account: str
    region: str

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource.

        SageMaker writes the names of pipelines, jobs and models in lower case in their ARNs, those of model package
        groups as they are.
        """
        shown = name if kind.startswith("model-package") else name.lower()
        return f"arn:{partition_of(self.region)}:sagemaker:{self.region}:{self.account}:{kind}/{shown}"


@dataclass(frozen=True)
class Reference:
    """A resource that a request names, by its name or its ARN."""

    scope: Scope
    kind: str
    name: str

    @property
    def arn(self) -> str:
        """The ARN of the resource."""
        return self.scope.arn(self.kind, self.name)


def parse_arn(arn: str) -> Reference:
    """Return the resource of a SageMaker ARN.

    Raises
    ------
    ServiceError
        It isn't one.
    """
    sections = arn.split(":", 5)
    if len(sections) != 6 or sections[2] != "sagemaker" or "/" not in sections[5]:
        raise invalid(f"'{arn}' isn't an ARN of SageMaker")
    kind, _, name = sections[5].partition("/")
    return Reference(Scope(sections[4], sections[3]), kind, name)


def reference(text: str, kind: str, caller: Scope) -> Reference:
    """Return the resource that a name or ARN means for a caller.

    Raises
    ------
    ServiceError
        It is an ARN of another kind of resource.
    """
    if not text.startswith("arn:"):
        return Reference(caller, kind, text)
    found = parse_arn(text)
    if found.kind != kind:
        raise invalid(f"'{text}' is the ARN of a {found.kind}, not of a {kind}")
    return found
