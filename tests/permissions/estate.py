"""All stacks of an installation as one estate: who there is, what they may, and what each resource's own policy says.

Read from the synthesized templates alone, with references, names and ARNs resolved as CloudFormation would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.permissions.evaluator import Decision, Request, Target, decide
from tests.permissions.policy import Caller, Context, Statement, as_list
from tests.permissions.world import MAIN, Installation

Template = Mapping[str, Any]


@dataclass(frozen=True)
class Role:
    """A role of a stack: its own policies, and who its trust admits."""

    caller: Caller
    stack: str
    identity: list[Statement]
    trust: list[Statement]

    @property
    def name(self) -> str:
        """Return the part of the ARN after ``role``."""
        return self.caller.arn.split(":role", 1)[1]


@dataclass
class Stack:
    """A template with what it takes to resolve it."""

    name: str
    account: str
    region: str
    template: Template
    partition: str = "aws"

    @property
    def resources(self) -> Mapping[str, Any]:
        """Return the resources by logical id."""
        return dict(self.template["Resources"])

    def of_type(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Yield logical id and resolved properties of each resource of a type."""
        for logical_id, one in self.resources.items():
            if one["Type"] == kind:
                yield logical_id, self.resolved(one.get("Properties", {}))

    def arn(self, service: str, rest: str, *, regional: bool = True) -> str:
        """Return an ARN in this stack's account."""
        return f"arn:{self.partition}:{service}:{self.region if regional else ''}:{self.account}:{rest}"

    def resolved(self, value: Any) -> Any:
        """Return a value with its intrinsic functions evaluated.

        Raises
        ------
        ValueError
            For a function or attribute that isn't understood: a policy that isn't resolved can't be judged.
        """
        if isinstance(value, list):
            return [self.resolved(one) for one in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), = value.items()  # fmt: skip
            if name == "Ref":
                return self._reference(argument)
            if name == "Fn::GetAtt":
                return self._attribute(*argument)
            if name == "Fn::Join":
                return argument[0].join(str(self.resolved(one)) for one in argument[1])
            if name == "Fn::Select":
                return self.resolved(argument[1])[int(argument[0])]
            if name == "Fn::Split":
                return str(self.resolved(argument[1])).split(argument[0])
            if name.startswith("Fn::"):
                raise ValueError(f"{self.name}: {name} isn't understood here")
        return {key: self.resolved(one) for key, one in value.items()}

    def _reference(self, name: str) -> str:
        pseudo = {
            "AWS::Partition": self.partition,
            "AWS::AccountId": self.account,
            "AWS::Region": self.region,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.name,
            "AWS::StackId": self.arn("cloudformation", f"stack/{self.name}/0"),
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.template.get("Parameters", {}):
            return str(self.template["Parameters"][name].get("Default", f"<{name}>"))
        kind = self.resources[name]["Type"]
        if kind == "AWS::SNS::Topic":
            return str(self._attribute(name, "TopicArn"))
        if kind == "AWS::SageMaker::ModelPackageGroup":
            return str(self._attribute(name, "ModelPackageGroupArn"))
        return self.name_of(name)

    def name_of(self, logical_id: str) -> str:
        """Return a resource's physical name: the one it is given, else one that CloudFormation would make."""
        one = self.resources[logical_id]
        key = _NAMES.get(one["Type"])
        named = one.get("Properties", {}).get(key) if key else None
        return f"{self.name}-{logical_id}" if named is None else str(self.resolved(named))

    def _attribute(self, logical_id: str, attribute: str) -> Any:
        one = self.resources[logical_id]
        kind = one["Type"]
        if attribute in ("Arn", "TopicArn", "ModelPackageGroupArn") and kind in _ARNS:
            return _ARNS[kind](self, logical_id)
        if kind.startswith("Custom::") or attribute in ("Version", "CodeUri"):
            return f"<{logical_id}.{attribute}>"
        raise ValueError(f"{self.name}: {attribute} of {kind} isn't understood here")


def _role_arn(stack: Stack, logical_id: str) -> str:
    path = stack.resources[logical_id].get("Properties", {}).get("Path", "/")
    return stack.arn("iam", f"role{path}{stack.name_of(logical_id)}", regional=False)


def _bucket_arn(stack: Stack, logical_id: str) -> str:
    return f"arn:{stack.partition}:s3:::{stack.name_of(logical_id)}"


def _named(service: str, prefix: str) -> Callable[[Stack, str], str]:
    return lambda stack, logical_id: stack.arn(service, f"{prefix}{stack.name_of(logical_id)}")


_NAMES = {
    "AWS::IAM::Role": "RoleName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Events::Rule": "Name",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SageMaker::ModelPackageGroup": "ModelPackageGroupName",
    "AWS::CodePipeline::Pipeline": "Name",
    "AWS::CodeBuild::Project": "Name",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::Scheduler::Schedule": "Name",
    "Custom::SageMakerPipeline": "PipelineName",
}
_ARNS: Mapping[str, Callable[[Stack, str], str]] = {
    "AWS::IAM::Role": _role_arn,
    "AWS::S3::Bucket": _bucket_arn,
    "AWS::KMS::Key": _named("kms", "key/"),
    "AWS::Lambda::Function": _named("lambda", "function:"),
    "AWS::SNS::Topic": _named("sns", ""),
    "AWS::SQS::Queue": _named("sqs", ""),
    "AWS::Events::Rule": _named("events", "rule/"),
    "AWS::Logs::LogGroup": _named("logs", "log-group:"),
    "AWS::SageMaker::ModelPackageGroup": _named("sagemaker", "model-package-group/"),
    "AWS::CodeBuild::Project": _named("codebuild", "project/"),
    "AWS::CloudWatch::Alarm": _named("cloudwatch", "alarm:"),
    "AWS::CodePipeline::Pipeline": _named("codepipeline", ""),
    "AWS::IAM::OIDCProvider": lambda stack, _: stack.arn(
        "iam", "oidc-provider/token.actions.githubusercontent.com", regional=False
    ),
}


@dataclass
class Estate:
    """The stacks of an installation, and the decisions that follow from their policies."""

    stacks: list[Stack]
    installation: Installation = MAIN

    @cached_property
    def roles(self) -> dict[str, Role]:
        """Return all roles by ARN, with every policy that is attached to them."""
        found: dict[str, Role] = {}
        for stack in self.stacks:
            attached: dict[str, list[Statement]] = {}
            for logical_id, properties in [
                *stack.of_type("AWS::IAM::Policy"),
                *stack.of_type("AWS::IAM::ManagedPolicy"),
            ]:
                read = _read(properties["PolicyDocument"], f"{stack.name}/{logical_id}")
                for role in properties.get("Roles", []):
                    attached.setdefault(str(role), []).extend(read)
            for logical_id, properties in stack.of_type("AWS::IAM::Role"):
                source = f"{stack.name}/{logical_id}"
                identity = [
                    statement
                    for policy in properties.get("Policies", [])
                    for statement in _read(policy["PolicyDocument"], f"{source}/{policy['PolicyName']}")
                ]
                identity += attached.pop(stack.name_of(logical_id), [])
                caller = Caller(_role_arn(stack, logical_id), stack.account)
                trust = _read(properties["AssumeRolePolicyDocument"], f"{source}/trust")
                found[caller.arn] = Role(caller, stack.name, identity, trust)
            if attached:
                raise ValueError(f"{stack.name}: policies of roles that aren't there: {sorted(attached)}")
        return found

    @cached_property
    def policies(self) -> dict[str, tuple[str, list[Statement]]]:
        """Return account and own policy of each resource that has one, or could, by ARN."""
        found: dict[str, tuple[str, list[Statement]]] = {
            arn: (role.caller.account, role.trust) for arn, role in self.roles.items()
        }
        for stack in self.stacks:

            def add(arn: str, documents: list[Any], source: str, stack: Stack = stack) -> None:
                found.setdefault(arn, (stack.account, []))[1].extend(
                    statement
                    for document in documents
                    for statement in _read(document, f"{stack.name}/{source}")
                )

            for kind in ("AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::Lambda::Function"):
                for logical_id, _ in stack.of_type(kind):
                    add(_ARNS[kind](stack, logical_id), [], logical_id)
            for logical_id, key in stack.of_type("AWS::KMS::Key"):
                add(_ARNS["AWS::KMS::Key"](stack, logical_id), [key["KeyPolicy"]], logical_id)
            for logical_id, group in stack.of_type("AWS::SageMaker::ModelPackageGroup"):
                documents = [_parsed(group[key]) for key in ("ModelPackageGroupPolicy",) if key in group]
                add(_ARNS["AWS::SageMaker::ModelPackageGroup"](stack, logical_id), documents, logical_id)
            for logical_id, policy in stack.of_type("AWS::S3::BucketPolicy"):
                add(f"arn:{stack.partition}:s3:::{policy['Bucket']}", [policy["PolicyDocument"]], logical_id)
            for logical_id, policy in stack.of_type("AWS::SNS::TopicPolicy"):
                for topic in policy["Topics"]:
                    add(topic, [policy["PolicyDocument"]], logical_id)
            for logical_id, policy in stack.of_type("AWS::SQS::QueuePolicy"):
                for queue in policy["Queues"]:
                    add(
                        stack.arn("sqs", str(queue).rsplit("/", 1)[-1]),
                        [policy["PolicyDocument"]],
                        logical_id,
                    )
            for logical_id, permission in stack.of_type("AWS::Lambda::Permission"):
                name = str(permission["FunctionName"])
                arn = name if name.startswith("arn:") else stack.arn("lambda", f"function:{name}")
                add(arn, [_permission(permission, arn)], logical_id)
        return found

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Return the alias of each key, by the key's ARN."""
        return {
            str(alias["TargetKeyId"]): str(alias["AliasName"])
            for stack in self.stacks
            for _, alias in stack.of_type("AWS::KMS::Alias")
        }

    def owner(self, arn: str) -> str:
        """Return the ARN of the resource whose policy decides about an ARN: a bucket for its objects ..."""
        service, rest = arn.split(":", 5)[2], arn.split(":", 5)[5]
        if service == "s3":
            return arn.split("/", 1)[0]
        if service == "sagemaker" and rest.startswith("model-package/"):
            return arn.replace(f":{rest}", f":model-package-group/{rest.split('/')[1]}")
        return arn

    def decide(self, caller: Caller, action: str, resource: str, context: Context) -> Decision:
        """Decide a request of a role, a person or a service."""
        owner = self.owner(resource)
        account, policy = self.policies.get(owner, (resource.split(":")[4] or caller.account, None))
        role = self.roles.get(caller.arn)
        if resource in self.aliases:
            context = {**context, "kms:resourcealiases": (self.aliases[resource],)}
        return decide(
            Request(caller, action, resource, context), role.identity if role else [], Target(account, policy)
        )


def _parsed(document: object) -> Any:
    return json.loads(document) if isinstance(document, str) else document


def _read(document: Mapping[str, Any], source: str) -> list[Statement]:
    return [
        Statement.of(raw, f"{source}[{raw.get('Sid', index)}]")
        for index, raw in enumerate(as_list(document["Statement"]))
    ]


def _permission(permission: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """Return what ``AWS::Lambda::Permission`` adds to a function's policy."""
    conditions: dict[str, dict[str, str]] = {}
    if "SourceArn" in permission:
        conditions["ArnLike"] = {"aws:SourceArn": permission["SourceArn"]}
    if "SourceAccount" in permission:
        conditions["StringEquals"] = {"aws:SourceAccount": permission["SourceAccount"]}
    principal = str(permission["Principal"])
    return {
        "Statement": {
            "Effect": "Allow",
            "Action": permission["Action"],
            "Resource": arn,
            "Principal": {"Service" if principal.endswith(".amazonaws.com") else "AWS": principal},
            **({"Condition": conditions} if conditions else {}),
        }
    }
