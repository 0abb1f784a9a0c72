"""What cdk-nag's packs find in an installation, in words that are the same for all accounts, stages and models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import aws_cdk as cdk
import cdk_nag

from stacks.installation import Model

PACKS: tuple[type[cdk_nag.NagPack], ...] = (
    cdk_nag.AwsSolutionsChecks,
    cdk_nag.NIST80053R5Checks,
    cdk_nag.HIPAASecurityChecks,
)
_STAGES, _TITLES = "dev|staging|prod", "Dev|Staging|Prod"


@dataclass(frozen=True, order=True)
class Finding:
    """One rule that one resource breaks.

    Attributes
    ----------
    rule
        Such as ``NIST.800.53.R5-LambdaDLQ``.
    place
        Path of the construct: ``<Stage>Stack/<prefix>/TrainRole/Resource/Resource``.
    detail
        What exactly, where a rule finds several things in a resource, such as ``s3:::bucket/*``; else empty.
    """

    rule: str
    place: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.rule} at {self.place}" + (f": {self.detail}" if self.detail else "")


def names_of(models: Iterable[Model]) -> dict[str, str]:
    """Return the word that stands for each name of a model, longest names first."""
    names: dict[str, str] = {}
    for model in models:
        jobs = {} if model.branch_of is None else {model.branch_of.job_prefix: "<prefix>"}
        names |= {
            model.model_name: "<model>",
            model.model_package_group: "<group>",
            model.prefix: "<prefix>",
        } | jobs
    return dict(sorted(names.items(), key=lambda item: -len(item[0])))


def findings(app: cdk.App, names: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what the packs find in a synthesized app; several stages or models can give the same."""
    for pack in PACKS:
        for violation in pack(app).validate_scope(app).violations:
            rule, _, detail = violation.rule_name.partition("[")
            detail = detail_of(detail.removesuffix("]"), names)
            for resource in violation.violating_resources:
                yield Finding(rule, place_of(str(resource.construct_path), names), detail)


def place_of(path: str, names: Mapping[str, str]) -> str:
    """Return a construct's path without its stage and model, and without the delivery stage that deploys the stack."""
    path = re.sub(rf"^DeliveryStack/(Registry|{_TITLES})/(?=\w+Stack/)", "", path)
    path = re.sub(rf"^({_TITLES})Stack/", "<Stage>Stack/", path)
    path = re.sub(rf"/(Check|Permissions)({_TITLES})(Role|Logs)/", r"/\1<Stage>\3/", path)
    path = re.sub(
        rf"^DeliveryStack/Pipeline/Pipeline/({_TITLES}|RegistryAndDev)/",
        "DeliveryStack/Pipeline/Pipeline/<Stage>/",
        path,
    )
    return _named(path, names)


def detail_of(detail: str, names: Mapping[str, str]) -> str:
    """Return what was found without account, region, stage and names of models."""
    detail = re.sub(r"\d{12}", "<account>", _named(detail, names))
    detail = re.sub(rf"(?<=[-/])({_STAGES})(?=[-/:])", "<stage>", detail)
    detail = re.sub(
        r"^Resource::|arn:aws:|(?<=:)[a-z]+-[a-z]+-\d(?=:)|-?<account>(-[a-z]+-[a-z]+-\d)?", "", detail
    )
    return re.sub(r"<(\w+?)[0-9A-F]{8}\.Arn>", r"<\1>", detail)


def _named(text: str, names: Mapping[str, str]) -> str:
    for name, word in names.items():
        text = re.sub(
            rf"(?<![a-z0-9-]){re.escape(name)}(?![a-z0-9])|(?<=-){re.escape(name)}(?=/)", word, text
        )
    return text
