"""Who or what a template gives policies to: roles and other identities, their trust, and resources with a policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.iam import statements
from ops.iam.statements import Statement
from ops.iam.templates import Template, digest, has_arn

#: Identities: their word, and the property of a policy that lists them.
IDENTITIES = {
    "AWS::IAM::Role": ("role", "Roles"),
    "AWS::IAM::User": ("user", "Users"),
    "AWS::IAM::Group": ("group", "Groups"),
}
#: Policies of their own: whom they belong to, and the type of that.
_ATTACHED = {
    "AWS::S3::BucketPolicy": ("Bucket", "AWS::S3::Bucket"),
    "AWS::SQS::QueuePolicy": ("Queues", "AWS::SQS::Queue"),
    "AWS::SQS::QueueInlinePolicy": ("Queue", "AWS::SQS::Queue"),
    "AWS::SNS::TopicPolicy": ("Topics", "AWS::SNS::Topic"),
    "AWS::SNS::TopicInlinePolicy": ("TopicArn", "AWS::SNS::Topic"),
    "AWS::SecretsManager::ResourcePolicy": ("SecretId", "AWS::SecretsManager::Secret"),
}
_WORDS = {
    "AWS::S3::Bucket": "bucket",
    "AWS::SQS::Queue": "queue",
    "AWS::SNS::Topic": "topic",
    "AWS::KMS::Key": "key",
    "AWS::Lambda::Function": "function",
    "AWS::SageMaker::ModelPackageGroup": "model package group",
    "AWS::Events::EventBus": "event bus",
    "AWS::IAM::ManagedPolicy": "managed policy",
}
_POLICY_TYPES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
_INLINE_TYPES = {
    "AWS::IAM::RolePolicy": ("AWS::IAM::Role", "RoleName"),
    "AWS::IAM::UserPolicy": ("AWS::IAM::User", "UserName"),
    "AWS::IAM::GroupPolicy": ("AWS::IAM::Group", "GroupName"),
}
#: What gives access in ways that are not compared in detail: anything new or different about it counts.
_WHOLE = (
    "AWS::IAM::",
    "AWS::RAM::",
    "AWS::SSO::",
    "AWS::LakeFormation::",
    "AWS::EC2::SecurityGroup",
    "AWS::Lambda::Url",
)
_WHOLE_TOO = ("AWS::CloudFormation::Stack", "AWS::Lambda::LayerVersionPermission", "AWS::KMS::ReplicaKey")
_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


@dataclass
class Holder:
    """One identity, trust or resource, and the statements that apply to it.

    Attributes
    ----------
    kind
        ``identity``, ``trust``, ``resource``, ``policy`` (a managed one), or ``whole``: compared as it stands.
    label
        How a person knows it.
    statements
        Of all its policies.
    managed
        ARNs of managed policies that the template doesn't hold.
    boundary
        ARN of its permissions boundary.
    guards
        Names of protections that are on.
    runs_as
        ARNs of the roles that it runs with.
    stays
        Whether it stays when it leaves the template.
    attached
        Of a managed policy: whether the template attaches it, so that its statements count there already.
    whole
        Digest of what is compared as it stands.
    """

    kind: str
    label: str
    statements: list[Statement] = field(default_factory=list)
    managed: set[str] = field(default_factory=set)
    boundary: str | None = None
    guards: set[str] = field(default_factory=set)
    runs_as: set[str] = field(default_factory=set)
    stays: bool = False
    attached: bool = False
    whole: str = ""


class Holders:
    """All holders of a template, by a key that is the same in another template for the same thing."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.found: dict[tuple[str, str], Holder] = {}
        self._read: set[str] = set()  # resources whose policies are taken care of
        self._aliases = self._key_aliases()
        steps = (self._identities, self._policies, self._attached, self._permissions, self._buses)
        for step in (*steps, self._everything_else):
            step()

    # --- keys and labels

    def _of(self, kind: str, type_: str, raw: Any) -> Holder:
        """Return the holder that an expression names, made where it is new."""
        key, label = self._identify(type_, raw)
        stays = False
        logical_id = self._referred(raw)
        if logical_id:
            stays = str(self.template.raw_resources[logical_id].get("DeletionPolicy", "")).startswith(
                "Retain"
            )
        elif kind == "resource":
            stays = True  # it is not the template's, so it is there whatever the template says
        return self.found.setdefault((kind, key), Holder(kind, label, stays=stays))

    def _identify(self, type_: str, raw: Any) -> tuple[str, str]:
        logical_id = self._referred(raw)
        if logical_id:
            actual = self.template.raw_resources[logical_id]["Type"]
            word = _WORDS.get(actual) or (IDENTITIES.get(actual) or (actual,))[0]
            alias = self._aliases.get(logical_id)
            name = self.template.name(logical_id)
            key = self.template.arn(logical_id) if has_arn(actual) else f"{actual} {name}"
            return key, f"{word} {alias or name}"
        text = str(self.template.resolve(raw))
        word = _WORDS.get(type_) or (IDENTITIES.get(type_) or (type_,))[0]
        for name, resource in self.template.raw_resources.items():  # named, not referred to
            if resource["Type"] == type_ and text in (self.template.name(name), self.template.arn(name)):
                return self._identify(type_, {"Ref": name})
        return text, f"{word} {text}"

    def _referred(self, raw: Any) -> str:
        if isinstance(raw, Mapping) and len(raw) == 1:
            target = raw.get("Ref") or raw.get("Fn::GetAtt")
            name = str(target[0] if isinstance(target, list) else target or "").split(".")[0]
            return name if name in self.template.raw_resources else ""
        return ""

    def _key_aliases(self) -> dict[str, str]:
        return {
            self._referred(resource["Properties"].get("TargetKeyId")): str(
                self.template.resolve(resource["Properties"].get("AliasName"))
            )
            for resource in self.template.raw_resources.values()
            if resource["Type"] == "AWS::KMS::Alias"
        }

    def _each(self, *types: str) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
        """Yield logical id, raw and resolved properties of the resources of some types, once."""
        for name, resource in self.template.raw_resources.items():
            if resource["Type"] in types:
                self._read.add(name)
                yield name, resource.get("Properties", {}), self.template.resources[name]["Properties"]

    # --- what has policies

    def _identities(self) -> None:
        for type_ in IDENTITIES:
            for name, raw, resolved in self._each(type_):
                holder = self._of("identity", type_, {"Ref": name})
                for policy in _listed(resolved.get("Policies", [])):
                    document = policy.get("PolicyDocument") if isinstance(policy, Mapping) else policy
                    holder.statements += statements.parse(document)
                for one in _listed(raw.get("ManagedPolicyArns", [])):
                    self._attach(holder, one)
                if "PermissionsBoundary" in resolved:
                    holder.boundary = str(resolved["PermissionsBoundary"])
                if "AssumeRolePolicyDocument" in resolved:
                    trust = self._of("trust", type_, {"Ref": name})
                    trust.statements += statements.parse(resolved["AssumeRolePolicyDocument"])
                holder.managed |= {f"group {one}" for one in map(str, _listed(resolved.get("Groups", [])))}
                if "LoginProfile" in resolved:
                    holder.managed.add("a password for the console")

    def _attach(self, holder: Holder, raw: Any) -> None:
        """Give an identity a managed policy: its statements where the template holds it."""
        logical_id = self._referred(raw)
        if logical_id and self.template.raw_resources[logical_id]["Type"] == "AWS::IAM::ManagedPolicy":
            document = self.template.resources[logical_id]["Properties"].get("PolicyDocument")
            holder.statements += statements.parse(document)
            self._of("policy", "AWS::IAM::ManagedPolicy", raw).attached = True
        else:
            holder.managed.add(str(self.template.resolve(raw)))

    def _policies(self) -> None:
        for name, raw, resolved in self._each(*_POLICY_TYPES):
            if self.template.raw_resources[name]["Type"] == "AWS::IAM::ManagedPolicy":
                policy = self._of("policy", "AWS::IAM::ManagedPolicy", {"Ref": name})
                policy.statements += statements.parse(resolved.get("PolicyDocument"))
                policy.attached |= any(raw.get(listed) for _, listed in IDENTITIES.values())
            for type_, (_, listed) in IDENTITIES.items():
                for one in _listed(raw.get(listed, [])):
                    self._of("identity", type_, one).statements += statements.parse(
                        resolved.get("PolicyDocument")
                    )
        for inline, (type_, key) in _INLINE_TYPES.items():
            for _, raw, resolved in self._each(inline):
                self._of("identity", type_, raw.get(key)).statements += statements.parse(
                    resolved.get("PolicyDocument")
                )

    def _attached(self) -> None:
        for policy_type, (key, type_) in _ATTACHED.items():
            for _, raw, resolved in self._each(policy_type):
                for one in _listed(raw.get(key)):
                    document = resolved.get("PolicyDocument") or resolved.get("ResourcePolicy")
                    self._of("resource", type_, one).statements += statements.parse(document)

    def _permissions(self) -> None:
        for _, raw, resolved in self._each("AWS::Lambda::Permission"):
            holder = self._of("resource", "AWS::Lambda::Function", raw.get("FunctionName"))
            holder.statements.append(_permission(resolved))

    def _buses(self) -> None:
        for _, raw, resolved in self._each("AWS::Events::EventBusPolicy"):
            holder = self._of("resource", "AWS::Events::EventBus", raw.get("EventBusName", "default"))
            if "Statement" in resolved:
                listed = resolved["Statement"]
            else:
                kept = {key: resolved[key] for key in ("Principal", "Action") if key in resolved}
                principal = {"AWS": kept.get("Principal")}
                listed = {**kept, "Effect": "Allow", "Principal": principal, "Resource": "*"}
                condition = resolved.get("Condition")
                if condition:
                    listed["Condition"] = {condition["Type"]: {condition["Key"]: condition["Value"]}}
            holder.statements += statements.parse({"Version": "2012-10-17", "Statement": listed})

    def _everything_else(self) -> None:
        """Read policies wherever else they are, and mark down what gives access in other ways."""
        for name, resource in self.template.raw_resources.items():
            if name in self._read:
                continue
            type_, resolved = resource["Type"], self.template.resources[name]["Properties"]
            documents = list(_documents(resolved))
            guards = _guards(resolved) if type_ == "AWS::S3::Bucket" else set()
            holder = self._of("resource", type_, {"Ref": name})
            holder.guards, holder.runs_as = guards, set(_roles(resolved))
            for document in documents:
                holder.statements += statements.parse(document)
            if type_.startswith(_WHOLE) or type_ in _WHOLE_TOO:
                key = self.template.name(name)
                self.found["whole", f"{type_} {key}"] = Holder(
                    "whole", f"{type_} {key}", whole=digest(resolved)
                )
        if transform := self.template.body.get("Transform"):
            label = f"transform {json.dumps(transform)}"
            self.found["whole", label] = Holder("whole", label, whole=digest([self.template.body]))


def _guards(properties: Mapping[str, Any]) -> set[str]:
    """Return a bucket's protections against the public."""
    block = properties.get("PublicAccessBlockConfiguration") or {}
    found = {name for name in _BLOCKS if str(block.get(name)).lower() == "true"}
    rules = (properties.get("OwnershipControls") or {}).get("Rules", [])
    if any(rule.get("ObjectOwnership") == "BucketOwnerEnforced" for rule in rules):
        found.add("BucketOwnerEnforced")
    if properties.get("AccessControl", "Private") == "Private":
        found.add("no access control list")
    return found


def _roles(value: Any) -> Iterator[str]:
    """Yield the roles that a resource's properties hand to a service."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            if isinstance(one, str) and key.lower() in ("role", "rolearn", "servicerole", "executionrolearn"):
                yield one
            else:
                yield from _roles(one)
    elif isinstance(value, list):
        for one in value:
            yield from _roles(one)


def _documents(value: Any) -> Iterator[Any]:
    """Yield the policy documents in a resource's properties, also those written as text."""
    if isinstance(value, str) and value.lstrip().startswith("{") and '"Statement"' in value:
        try:
            value = json.loads(value)
        except ValueError:
            yield value
            return
    if isinstance(value, Mapping):
        if "Statement" in value:
            yield value
            return
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _documents(one)


def _permission(properties: Mapping[str, Any]) -> Statement:
    """Return a function's permission as the statement that Lambda makes of it."""
    known = {"FunctionName", "Action", "Principal"}
    keys = {
        "SourceArn": ("ArnLike", "aws:SourceArn"),
        "SourceAccount": ("StringEquals", "aws:SourceAccount"),
        "PrincipalOrgID": ("StringEquals", "aws:PrincipalOrgID"),
        "EventSourceToken": ("StringEquals", "lambda:EventSourceToken"),
        "FunctionUrlAuthType": ("StringEquals", "lambda:FunctionUrlAuthType"),
        "InvokedViaFunctionUrl": ("Bool", "lambda:InvokedViaFunctionUrl"),
    }
    if set(properties) - known - set(keys):
        return statements.parse(dict(properties))[0]
    condition: dict[str, dict[str, object]] = {}
    for name, (operator, key) in keys.items():
        if name in properties:
            condition.setdefault(operator, {})[key] = properties[name]
    principal = str(properties.get("Principal"))
    service = principal.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    (parsed,) = statements.parse(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Action": properties.get("Action"),
                "Principal": {"Service" if service else "AWS": principal},
                "Resource": "*",
                "Condition": condition,
            },
        }
    )
    return parsed


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
