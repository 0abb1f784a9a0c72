"""A CloudFormation template with its expressions resolved, as far as that is possible before it is deployed.

What is known is written out: account, region, names that the template gives. The rest becomes a marker that stands for
one thing only: two templates have the same marker only where they mean the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

#: Enclose a marker; no name or ARN has these characters.
OPEN, SEPARATOR, CLOSE = "\ue000", "\ue003", "\ue001"
_SAFE = {ord("*"): 0xE010, ord("?"): 0xE011, ord(":"): 0xE012, ord("$"): 0xE013}
_SUB = re.compile(r"\$\{([^!}][^}]*)\}")

#: Types whose ARN follows from their name: the property with the name, and the ARN around it.
_ARNS = {
    "AWS::CloudWatch::Alarm": ("AlarmName", "arn:{p}:cloudwatch:{r}:{a}:alarm:{n}"),
    "AWS::CodeBuild::Project": ("Name", "arn:{p}:codebuild:{r}:{a}:project/{n}"),
    "AWS::CodePipeline::Pipeline": ("Name", "arn:{p}:codepipeline:{r}:{a}:{n}"),
    "AWS::Events::EventBus": ("Name", "arn:{p}:events:{r}:{a}:event-bus/{n}"),
    "AWS::Events::Rule": ("Name", "arn:{p}:events:{r}:{a}:rule/{n}"),
    "AWS::KMS::Key": ("", "arn:{p}:kms:{r}:{a}:key/{n}"),
    "AWS::Lambda::Function": ("FunctionName", "arn:{p}:lambda:{r}:{a}:function:{n}"),
    "AWS::Logs::LogGroup": ("LogGroupName", "arn:{p}:logs:{r}:{a}:log-group:{n}:*"),
    "AWS::S3::Bucket": ("BucketName", "arn:{p}:s3:::{n}"),
    "AWS::SNS::Topic": ("TopicName", "arn:{p}:sns:{r}:{a}:{n}"),
    "AWS::SQS::Queue": ("QueueName", "arn:{p}:sqs:{r}:{a}:{n}"),
    "AWS::SageMaker::ModelPackageGroup": (
        "ModelPackageGroupName",
        "arn:{p}:sagemaker:{r}:{a}:model-package-group/{n}",
    ),
}
_BY_PATH = {
    "AWS::IAM::Role": ("RoleName", "role"),
    "AWS::IAM::User": ("UserName", "user"),
    "AWS::IAM::Group": ("GroupName", "group"),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", "policy"),
}
#: Types whose ``Ref`` is their ARN; that of a queue is its URL, of the others their name.
_REF_IS_ARN = ("AWS::SNS::Topic", "AWS::IAM::ManagedPolicy", "AWS::SageMaker::ModelPackageGroup")
_OTHER_REFS = ("AWS::SQS::Queue",)


class Template:
    """A template and where it is deployed.

    Parameters
    ----------
    body
        The template as CloudFormation reads it.
    stack
        Name of its stack.
    account, region, partition
        Where the stack is.
    """

    def __init__(
        self, body: Mapping[str, Any], *, stack: str, account: str, region: str, partition: str = "aws"
    ) -> None:
        self.body = body
        self.stack = stack
        self._place = {"p": partition, "r": region, "a": account}
        self._resolving: list[str] = []
        self._pseudo = {
            "AWS::AccountId": account,
            "AWS::Region": region,
            "AWS::Partition": partition,
            "AWS::StackName": stack,
            "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
        }

    @property
    def raw_resources(self) -> Mapping[str, Any]:
        """Return the resources as the template has them."""
        found: Mapping[str, Any] = self.body.get("Resources", {})
        return found

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Return each resource with its properties resolved."""
        return {
            name: {**resource, "Properties": self.resolve(resource.get("Properties", {}))}
            for name, resource in self.raw_resources.items()
        }

    def resolve(self, value: Any) -> Any:
        """Return a value of the template with its expressions resolved or marked."""
        if isinstance(value, list):
            kept = [self.resolve(one) for one in value]
            return [one for one in kept if one != {"Ref": "AWS::NoValue"}]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref" and argument == "AWS::NoValue":
                return dict(value)
            if name == "Ref" or name.startswith("Fn::"):
                return self._expression(name, argument)
        resolved = {key: self.resolve(one) for key, one in value.items()}
        return {key: one for key, one in resolved.items() if one != {"Ref": "AWS::NoValue"}}

    def arn(self, logical_id: str) -> str:
        """Return the ARN of a resource, with a marker where it has no name yet."""
        return self._attribute(logical_id, "Arn")

    def name(self, logical_id: str) -> str:
        """Return a resource's name where the template gives one, else its logical id."""
        kind = self.raw_resources[logical_id]["Type"]
        key = (_ARNS.get(kind) or _BY_PATH.get(kind) or ("",))[0]
        given = self.resolve(self.raw_resources[logical_id].get("Properties", {}).get(key)) if key else None
        return given if isinstance(given, str) else logical_id

    # --- expressions

    def _expression(self, name: str, argument: Any) -> Any:
        solve: Callable[[Any], Any] | None = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Join": self._join,
            "Fn::Sub": self._sub,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
        }.get(name)
        try:
            found = solve(argument) if solve else None
        except (KeyError, IndexError, TypeError, ValueError):
            found = None
        return self._unknown({name: argument}) if found is None else found

    def _ref(self, name: str) -> str | None:
        if name in self._pseudo:
            return self._pseudo[name]
        if name not in self.raw_resources:
            return None
        kind = self.raw_resources[name]["Type"]
        if kind in _REF_IS_ARN:
            return self._attribute(name, "Arn")
        if kind in _OTHER_REFS or (kind not in _ARNS and kind not in _BY_PATH):
            return self._attribute(name, "Ref")
        return self._name_or_marker(name)

    def _get_att(self, argument: Any) -> str:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return self._attribute(name, attribute)

    def _join(self, argument: Any) -> str:
        delimiter, parts = argument[0], self.resolve(argument[1])
        return str(delimiter).join(_text(part) for part in _list(parts))

    def _sub(self, argument: Any) -> str:
        text, values = (argument, {}) if isinstance(argument, str) else argument
        found = {name: _text(self.resolve(value)) for name, value in values.items()}

        def replace(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name in found:
                return found[name]
            kind = "Fn::GetAtt" if "." in name else "Ref"
            return _text(self._expression(kind, name))

        return _SUB.sub(replace, text).replace("${!", "${")

    def _select(self, argument: Any) -> Any:
        return _list(self.resolve(argument[1]))[int(argument[0])]

    def _split(self, argument: Any) -> list[str]:
        text = _text(self.resolve(argument[1]))
        if OPEN in text:
            raise ValueError(text)  # the delimiter may be within what isn't known yet
        return text.split(argument[0])

    # --- resources

    def _attribute(self, logical_id: str, attribute: str) -> str:
        resource = self.raw_resources[logical_id]
        kind, properties = resource["Type"], resource.get("Properties", {})
        if attribute == "Arn" and kind in _ARNS:
            return _ARNS[kind][1].format(**self._place, n=self._name_or_marker(logical_id))
        if attribute == "Arn" and kind in _BY_PATH:
            path = _text(self.resolve(properties.get("Path", "/")))
            place = f"arn:{self._place['p']}:iam::{self._place['a']}"
            return f"{place}:{_BY_PATH[kind][1]}{path}{self._name_or_marker(logical_id)}"
        if kind in _ARNS or kind in _BY_PATH:
            return f"{_marker(logical_id, kind)}.{attribute}"
        # What such a resource gives may depend on its properties: with other ones it is another thing.
        return f"{_marker(logical_id, kind, self._digest_of(logical_id))}.{attribute}"

    def _name_or_marker(self, logical_id: str) -> str:
        kind = self.raw_resources[logical_id]["Type"]
        given = self.name(logical_id)
        return _marker(logical_id, kind) if given == logical_id else given

    def _digest_of(self, logical_id: str) -> str:
        if logical_id in self._resolving:
            return "itself"
        self._resolving.append(logical_id)
        try:
            return digest(self.resolve(self.raw_resources[logical_id].get("Properties", {})))
        finally:
            self._resolving.pop()

    def _unknown(self, expression: Mapping[str, Any]) -> str:
        """Return a marker for what only CloudFormation knows; with other parameters it would be something else."""
        given = {key: self.body.get(key) for key in ("Parameters", "Mappings", "Conditions", "Transform")}
        return _marker(json.dumps(expression, sort_keys=True), digest([expression, given]))


def has_arn(kind: str) -> bool:
    """Return whether the ARN of a type's resources follows from their names."""
    return kind in _ARNS or kind in _BY_PATH


def _marker(what: str, *more: str) -> str:
    # Neither a pattern nor the end of a part of an ARN may be seen in a marker.
    return f"{OPEN}{what.translate(_SAFE)}{SEPARATOR}{' '.join(more).translate(_SAFE)}{CLOSE}"


def readable(text: str) -> str:
    """Return a text with its markers as a person wants to see them: the logical id, or the expression."""
    known = re.sub(f"{OPEN}([^{SEPARATOR}]*){SEPARATOR}[^{CLOSE}]*{CLOSE}", r"\1", text)
    return known.translate({new: old for old, new in _SAFE.items()})


def digest(value: Any) -> str:
    """Return a short digest of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise TypeError(value)
    return str(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value
