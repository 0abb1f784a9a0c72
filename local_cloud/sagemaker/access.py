"""What IAM has to allow for a request: actions, resources and the values of condition keys.

See https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
"""

from __future__ import annotations

from typing import Any

from local_cloud.sagemaker.arns import Reference, Scope, parse_arn, reference
from local_cloud.sagemaker.errors import ServiceError
from local_cloud.sagemaker.roles import PRINCIPAL
from local_cloud.sagemaker.tags import Tags

Context = dict[str, str | list[str]]
Check = tuple[str, str, Context]

# The members of a request by which its resource is known, in the order in which they count.
_NAMED_BY = (
    ("ProcessingJobName", "processing-job"),
    ("TrainingJobName", "training-job"),
    ("TransformJobName", "transform-job"),
    ("ModelName", "model"),
    ("PipelineName", "pipeline"),
)
_ROLE_MEMBERS = ("RoleArn", "ExecutionRoleArn")


class Access:
    """Derives the checks of a request from its body.

    Parameters
    ----------
    tags
        Give the values of ``aws:ResourceTag``.
    """

    def __init__(self, tags: Tags) -> None:
        self._tags = tags

    def resource(self, operation: str, body: dict[str, Any], caller: Scope) -> str:
        """Return the ARN of the resource that a request is about, ``*`` where there is none."""
        try:
            return self._resource(operation, body, caller)
        except ServiceError:
            return "*"  # malformed: the operation itself will refuse it

    def _resource(self, operation: str, body: dict[str, Any], caller: Scope) -> str:
        group = body.get("ModelPackageGroupName")
        if operation == "CreateModelPackage":
            found = reference(group or body.get("ModelPackageName", "*"), "model-package-group", caller)
            return Reference(found.scope, "model-package", f"{found.name}/*" if group else found.name).arn
        if operation.endswith(("ModelPackage", "Tags")) or body.get("PipelineExecutionArn"):
            for member in ("ModelPackageName", "ModelPackageArn", "ResourceArn", "PipelineExecutionArn"):
                if body.get(member):
                    name = str(body[member])
                    return (
                        parse_arn(name).arn if name.startswith("arn:") else caller.arn("model-package", name)
                    )
        if group:
            return reference(group, "model-package-group", caller).arn
        if operation == "ListModelPackages":
            return caller.arn("model-package", "*")
        if operation.startswith("List") and operation != "ListPipelineExecutions":
            return "*"
        for member, kind in _NAMED_BY:
            if body.get(member):
                own = member == "ModelName" and operation == "CreateTransformJob"
                return "*" if own else reference(str(body[member]), kind, caller).arn
        return "*"

    def context(self, operation: str, body: dict[str, Any], caller: Scope) -> Context:
        """Return the values of the condition keys of a request's main action."""
        context: Context = {}
        if operation in ("CreateModelPackage", "UpdateModelPackage"):
            status = body.get("ModelApprovalStatus")
            if status is None and operation == "CreateModelPackage":
                status = "PendingManualApproval"
            if status is not None:
                context["sagemaker:ModelApprovalStatus"] = str(status)
            life = body.get("ModelLifeCycle") or {}
            for member, key in (("Stage", "stage"), ("StageStatus", "stageStatus")):
                if life.get(member) is not None:
                    context[f"sagemaker:ModelLifeCycle:{key}"] = str(life[member])
            for key, value in (body.get("CustomerMetadataProperties") or {}).items():
                context[f"sagemaker:CustomerMetadataProperties/{key}"] = str(value)
        context.update(_job_context(body))
        if operation == "AddTags" or operation.startswith("Create"):
            tags = {
                tag["Key"]: tag["Value"] for tag in body.get("Tags") or [] if {"Key", "Value"} <= set(tag)
            }
            context.update({f"aws:RequestTag/{key}": value for key, value in tags.items()})
            if tags:
                context["aws:TagKeys"] = list(tags)
        elif operation == "DeleteTags":
            context["aws:TagKeys"] = [str(key) for key in body.get("TagKeys") or []]
        context.update(self._resource_tags(self.resource(operation, body, caller)))
        return context

    def _resource_tags(self, arn: str) -> Context:
        if not arn.startswith("arn:"):
            return {}
        # An execution is guarded by the tags of its pipeline.
        owner = arn.split("/execution/")[0]
        tags = self._tags.of(owner)
        both: Context = {}
        for key, value in tags.items():
            both[f"aws:ResourceTag/{key}"] = both[f"sagemaker:ResourceTag/{key}"] = value
        return both

    def checks(self, operation: str, body: dict[str, Any], caller: Scope) -> list[Check]:
        """Return all that must be allowed: the operation, what it needs besides, and passing the role."""
        context = self.context(operation, body, caller)
        resource = self.resource(operation, body, caller)
        checks: list[Check] = [(f"sagemaker:{operation}", resource, context)]
        if operation == "ListModelPackages" and body.get("ModelPackageGroupName"):
            group = parse_arn(resource)
            checks.append(
                ("sagemaker:ListModelPackages", group.scope.arn("model-package", f"{group.name}/*"), context)
            )
        if operation == "CreateModel":
            checks += [("sagemaker:CreateModel", arn, {}) for arn in _foreign_packages(body, caller)]
        if operation.startswith("Create") and body.get("Tags"):
            checks.append(("sagemaker:AddTags", resource, context))
        passed: Context = {"iam:PassedToService": PRINCIPAL, "iam:AssociatedResourceArn": resource}
        checks += [
            ("iam:PassRole", str(body[member]), passed) for member in _ROLE_MEMBERS if body.get(member)
        ]
        return checks


def _foreign_packages(body: dict[str, Any], caller: Scope) -> list[str]:
    containers = [body.get("PrimaryContainer"), *(body.get("Containers") or [])]
    names = [str(item["ModelPackageName"]) for item in containers if item and item.get("ModelPackageName")]
    found = []
    for name in names:
        try:
            package = reference(name, "model-package", caller)
        except ServiceError:
            continue
        if package.scope.account != caller.account:
            found.append(package.arn)
    return found


def _job_context(body: dict[str, Any]) -> Context:
    """Return the condition keys by which jobs can be narrowed; a key is absent where the request doesn't say."""
    cluster = (body.get("ProcessingResources") or {}).get("ClusterConfig") or {}
    resources = body.get("ResourceConfig") or body.get("TransformResources") or cluster
    output = (
        body.get("ProcessingOutputConfig")
        or body.get("OutputDataConfig")
        or body.get("TransformOutput")
        or {}
    )
    network = body.get("NetworkConfig") or {}
    vpc = body.get("VpcConfig") or network.get("VpcConfig") or {}
    runtime = (body.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds")
    encrypted = network.get(
        "EnableInterContainerTrafficEncryption", body.get("EnableInterContainerTrafficEncryption")
    )
    isolated = network.get("EnableNetworkIsolation", body.get("EnableNetworkIsolation"))
    context: Context = {}
    if resources.get("InstanceType"):
        context["sagemaker:InstanceTypes"] = [str(resources["InstanceType"])]
    if resources.get("VolumeKmsKeyId"):
        context.update(_key_context("Volume", resources["VolumeKmsKeyId"]))
    if output.get("KmsKeyId"):
        context.update(_key_context("Output", output["KmsKeyId"]))
    if vpc.get("Subnets"):
        context["sagemaker:VpcSubnets"] = [str(item) for item in vpc["Subnets"]]
        context["sagemaker:VpcSecurityGroupIds"] = [str(item) for item in vpc.get("SecurityGroupIds") or []]
    if runtime is not None:
        context["sagemaker:MaxRuntimeInSeconds"] = str(runtime)
    if encrypted is not None:
        context["sagemaker:InterContainerTrafficEncryption"] = str(encrypted).lower()
    if isolated is not None:
        context["sagemaker:NetworkIsolation"] = str(isolated).lower()
    return context


def _key_context(use: str, key: object) -> Context:
    # AWS documents key ARNs for the newer name; what the request carries stands in for it, as with the older name.
    return {f"sagemaker:{use}KmsKey": str(key), f"sagemaker:{use}KmsKeyArn": str(key)}
