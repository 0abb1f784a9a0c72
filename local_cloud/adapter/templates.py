"""CloudFormation: the resource types that ministack lacks, and the properties that it drops."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any
from xml.sax.saxutils import escape

from local_cloud.adapter import hooks, networks, trails, web_identity

Properties = dict[str, Any]
_S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_GROUP = "AWS::SageMaker::ModelPackageGroup"


def _call_sagemaker(service: ModuleType, operation: str, request: Properties) -> Properties:
    """Call the SageMaker service as CloudFormation would."""
    headers = {"x-amz-target": f"SageMaker.{operation}", "content-type": "application/x-amz-json-1.1"}
    body = json.dumps(request).encode()

    def call() -> Any:
        return asyncio.run(service.handle_request("POST", "/", headers, body, {}))

    # A loop of its own, on a thread of its own: the caller may be on the loop that serves requests.
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        status, _, answer = pool.submit(contextvars.copy_context().run, call).result()
    parsed: Properties = json.loads(answer or b"{}")
    if status >= 400:
        raise ValueError(parsed.get("message") or parsed.get("Message") or f"{operation} failed")
    return parsed


def _group_handlers(service: ModuleType) -> dict[str, Callable[..., Any]]:
    def describe(name: str) -> tuple[str, Properties]:
        group = _call_sagemaker(service, "DescribeModelPackageGroup", {"ModelPackageGroupName": name})
        attributes: Properties = {"ModelPackageGroupStatus": "Completed"}
        for key in ("ModelPackageGroupArn", "CreationTime"):
            attributes[key] = str(group.get(key, ""))
        return str(group["ModelPackageGroupArn"]), attributes

    def set_policy(name: str, policy: Any) -> None:
        text = policy if isinstance(policy, str) else json.dumps(policy)
        request = {"ModelPackageGroupName": name, "ResourcePolicy": text}
        _call_sagemaker(service, "PutModelPackageGroupPolicy", request)

    def create(_logical_id: str, props: Properties, _stack: str) -> tuple[str, Properties]:
        name = props["ModelPackageGroupName"]
        fields = ("ModelPackageGroupName", "ModelPackageGroupDescription", "Tags")
        _call_sagemaker(
            service, "CreateModelPackageGroup", {key: props[key] for key in fields if key in props}
        )
        if policy := props.get("ModelPackageGroupPolicy"):
            set_policy(name, policy)
        return describe(name)

    def update(_physical_id: str, old: Properties, new: Properties, _stack: str) -> tuple[str, Properties]:
        name = new["ModelPackageGroupName"]
        if policy := new.get("ModelPackageGroupPolicy"):
            set_policy(name, policy)
        elif old.get("ModelPackageGroupPolicy"):
            _call_sagemaker(service, "DeleteModelPackageGroupPolicy", {"ModelPackageGroupName": name})
        return describe(name)

    def delete(physical_id: str, _props: Properties) -> None:
        name = physical_id.rpartition("/")[2]
        _call_sagemaker(service, "DeleteModelPackageGroup", {"ModelPackageGroupName": name})

    def adopt(identifier: dict[str, str]) -> tuple[str, Properties]:
        return describe(next(iter(identifier.values())).rpartition("/")[2])

    return {"create": create, "update": update, "delete": delete, "import": adopt}


def _bus_policy_handlers() -> dict[str, Callable[..., Any]]:
    def put(props: Properties) -> str:
        events = hooks.module("services.eventbridge")
        bus, statement_id = props.get("EventBusName") or "default", props["StatementId"]
        events._ensure_default_bus()
        if bus not in events._event_buses:
            raise ValueError(f"Event bus {bus} does not exist.")
        statement = props.get("Statement")
        if isinstance(statement, str):
            statement = json.loads(statement)
        if statement is None:
            events._put_permission({**props, "EventBusName": bus})
        else:
            policy = events._event_bus_policies.setdefault(bus, {"Version": "2012-10-17", "Statement": []})
            others = [item for item in policy["Statement"] if item.get("Sid") != statement_id]
            policy["Statement"] = [*others, {**statement, "Sid": statement_id}]
        return f"{bus}|{statement_id}"

    def create(_logical_id: str, props: Properties, _stack: str) -> tuple[str, Properties]:
        return put(props), {}

    def update(_physical_id: str, _old: Properties, new: Properties, _stack: str) -> tuple[str, Properties]:
        return put(new), {}

    def delete(physical_id: str, _props: Properties) -> None:
        bus, _, statement_id = physical_id.partition("|")
        hooks.module("services.eventbridge")._remove_permission(
            {"EventBusName": bus, "StatementId": statement_id}
        )

    return {"create": create, "update": update, "delete": delete}


def _also(resource_type: str, apply: Callable[[str, Properties], None]) -> None:
    """Apply the properties that ministack drops, after its own create and update."""
    handlers = hooks.module("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    known = handlers[resource_type]

    def create(logical_id: str, props: Properties, stack: str) -> Any:
        result = known["create"](logical_id, props, stack)
        apply(result[0], props)
        return result

    def update(physical_id: str, old: Properties, new: Properties, stack: str, *logical_id: str) -> Any:
        result = known["update"](physical_id, old, new, stack, *logical_id)
        apply(result[0], new)
        return result

    handlers[resource_type] = {**known, "create": create, "update": update}


def _xml(tag: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_xml(tag, item) for item in value)
    if isinstance(value, dict):
        return f"<{tag}>{''.join(_xml(name, item) for name, item in value.items())}</{tag}>"
    return f"<{tag}>{escape(str(value).lower() if isinstance(value, bool) else str(value))}</{tag}>"


def encryption_xml(configuration: Properties) -> str:
    """A bucket's ``BucketEncryption`` as the XML that PutBucketEncryption takes."""
    rules = []
    for rule in configuration.get("ServerSideEncryptionConfiguration") or []:
        default = {**(rule.get("ServerSideEncryptionByDefault") or {})}
        body: Properties = {"ApplyServerSideEncryptionByDefault": default}
        if "BucketKeyEnabled" in rule:
            body["BucketKeyEnabled"] = rule["BucketKeyEnabled"]
        rules.append(body)
    inner = "".join(_xml("Rule", rule) for rule in rules)
    return f'<ServerSideEncryptionConfiguration xmlns="{_S3_NAMESPACE}">{inner}</ServerSideEncryptionConfiguration>'


def lifecycle_xml(configuration: Properties) -> str:
    """A bucket's ``LifecycleConfiguration`` as the XML that PutBucketLifecycleConfiguration takes."""
    rules = []
    for rule in configuration.get("Rules") or []:
        body: Properties = {"ID": rule.get("Id", ""), "Status": rule["Status"]}
        body["Filter"] = {"Prefix": rule.get("Prefix", "")}
        expiration = {"Days": rule.get("ExpirationInDays"), "Date": rule.get("ExpirationDate")}
        expiration["ExpiredObjectDeleteMarker"] = rule.get("ExpiredObjectDeleteMarker")
        if any(value is not None for value in expiration.values()):
            body["Expiration"] = {key: value for key, value in expiration.items() if value is not None}
        noncurrent = dict(rule.get("NoncurrentVersionExpiration") or {})
        if "NoncurrentVersionExpirationInDays" in rule:
            noncurrent["NoncurrentDays"] = rule["NoncurrentVersionExpirationInDays"]
        if noncurrent:
            body["NoncurrentVersionExpiration"] = noncurrent
        if "AbortIncompleteMultipartUpload" in rule:
            body["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
        transitions = [
            {"Days": item["TransitionInDays"], "StorageClass": item["StorageClass"]}
            for item in rule.get("Transitions") or []
            if "TransitionInDays" in item
        ]
        if transitions:
            body["Transition"] = transitions
        rules.append(body)
    inner = "".join(_xml("Rule", rule) for rule in rules)
    return f'<LifecycleConfiguration xmlns="{_S3_NAMESPACE}">{inner}</LifecycleConfiguration>'


def logging_xml(configuration: Properties) -> str:
    """A bucket's ``LoggingConfiguration`` as the XML that PutBucketLogging takes."""
    target = {
        "TargetBucket": configuration["DestinationBucketName"],
        "TargetPrefix": configuration.get("LogFilePrefix", ""),
    }
    return (
        f'<BucketLoggingStatus xmlns="{_S3_NAMESPACE}">{_xml("LoggingEnabled", target)}</BucketLoggingStatus>'
    )


def _bucket(name: str, props: Properties) -> None:
    s3 = hooks.module("services.s3")
    if logging := props.get("LoggingConfiguration"):
        s3._bucket_logging_config[name] = logging_xml(logging)
    else:
        s3._bucket_logging_config.pop(name, None)
    if encryption := props.get("BucketEncryption"):
        s3._bucket_encryption[name] = encryption_xml(encryption)
    else:
        s3._bucket_encryption.pop(name, None)
    if lifecycle := props.get("LifecycleConfiguration"):
        status, _, body = s3._put_bucket_lifecycle(name, lifecycle_xml(lifecycle).encode())
        if status >= 400:
            raise ValueError(
                f"LifecycleConfiguration of {name} is refused: {body.decode('utf-8', 'replace')}"
            )
    else:
        s3._delete_bucket_lifecycle(name)


def _with_managed_key(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let an upload ask for aws:kms without naming a key, as the CDK CLI does: S3's own key serves then."""

    def resolve(headers: dict[str, str], bucket: str) -> Any:
        algorithm = headers.get("x-amz-server-side-encryption")
        if algorithm == "aws:kms" and not headers.get("x-amz-server-side-encryption-aws-kms-key-id"):
            return {"x-amz-server-side-encryption": algorithm}, None
        return original(headers, bucket)

    return resolve


def _topic(arn: str, props: Properties) -> None:
    attributes = hooks.module("services.sns")._topic_by_arn_any_scope(arn)["attributes"]
    if key := props.get("KmsMasterKeyId"):
        attributes["KmsMasterKeyId"] = key
    else:
        attributes.pop("KmsMasterKeyId", None)
    policy = json.loads(attributes.get("Policy") or "{}")
    if policy.get("Id") == "__default_policy_ID":
        # AWS's default policy admits the owner only; ministack's admits the world.
        owner = {"StringEquals": {"AWS:SourceOwner": arn.split(":")[4]}}
        for statement in policy["Statement"]:
            statement["Condition"] = owner
        attributes["Policy"] = json.dumps(policy)


def _refuse_existing(kind: str, exists: Callable[[Properties], str | None]) -> None:
    """Let a stack fail to create what exists, as on AWS: ministack would write over it.

    Parameters
    ----------
    kind
        The resource type.
    exists
        Returns the refusal where there is one with the properties' name.
    """
    handlers = hooks.module("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    known = handlers[kind]

    def create(logical_id: str, props: Properties, stack: str) -> Any:
        if refusal := exists(props):
            raise ValueError(refusal)
        return known["create"](logical_id, props, stack)

    handlers[kind] = {**known, "create": create}


def _existing_alias(props: Properties) -> str | None:
    kms = hooks.module("services.kms")
    arn = kms._alias_arn(str(props.get("AliasName")))
    return f"An alias with the name {arn} already exists" if arn in kms._aliases else None


def _existing_role(props: Properties) -> str | None:
    name = props.get("RoleName")
    if name not in hooks.module("services.iam")._roles:
        return None
    return f"Resource of type 'AWS::IAM::Role' with identifier '{name}' already exists."


def _schedule(name: str, props: Properties) -> None:
    schedules = hooks.module("services.scheduler")._schedules
    record = schedules.get(f"{props.get('GroupName', 'default')}/{name}")
    if record is None:
        raise ValueError(f"Schedule {name} can't be created: check its group, target and role.")
    record["ScheduleExpressionTimezone"] = props.get("ScheduleExpressionTimezone", "UTC")
    for key in ("StartDate", "EndDate", "KmsKeyArn"):
        record[key] = props.get(key)


def install(sagemaker: ModuleType) -> None:
    """Teach CloudFormation what our stacks use.

    Parameters
    ----------
    sagemaker
        The SageMaker service's module.
    """
    provisioners = hooks.module("services.cloudformation.provisioners")
    provisioners._RESOURCE_HANDLERS[_GROUP] = _group_handlers(sagemaker)
    provisioners._RESOURCE_HANDLERS["AWS::Events::EventBusPolicy"] = _bus_policy_handlers()
    provisioners._RESOURCE_HANDLERS[trails.TYPE] = trails.handlers()
    provisioners._REPLACING_PROPERTIES[trails.TYPE] = ("TrailName",)
    provisioners._REPLACING_PROPERTIES[_GROUP] = ("ModelPackageGroupName", "ModelPackageGroupDescription")
    provisioners._REPLACING_PROPERTIES["AWS::Events::EventBusPolicy"] = ("EventBusName", "StatementId")
    provisioners._REPLACING_PROPERTIES["AWS::Scheduler::Schedule"] = ("Name", "GroupName")
    web_identity.install()
    networks.install()
    _refuse_existing("AWS::KMS::Alias", _existing_alias)
    _refuse_existing("AWS::IAM::Role", _existing_role)
    _also("AWS::S3::Bucket", _bucket)
    _also("AWS::SNS::Topic", _topic)
    _also("AWS::Scheduler::Schedule", _schedule)
    hooks.wrap("services.s3", "_resolve_sse_write_headers", _with_managed_key)
