"""CloudFormation: what ministack lacks of a network, which are its flow logs and rules of security groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_cloud.adapter import hooks

Properties = dict[str, Any]
Handlers = dict[str, Callable[..., Any]]

FLOW_LOG = "AWS::EC2::FlowLog"
RULES = {
    "AWS::EC2::SecurityGroupIngress": "IpPermissions",
    "AWS::EC2::SecurityGroupEgress": "IpPermissionsEgress",
}
_FLOW_LOG_REPLACED_BY = (
    "ResourceId",
    "ResourceType",
    "TrafficType",
    "LogDestinationType",
    "LogGroupName",
    "DeliverLogsPermissionArn",
)
_RULE_REPLACED_BY = (
    "GroupId",
    "IpProtocol",
    "FromPort",
    "ToPort",
    "SourceSecurityGroupId",
    "DestinationSecurityGroupId",
)


def _flow_log_handlers() -> Handlers:
    def create(_logical_id: str, props: Properties, _stack: str) -> tuple[str, Properties]:
        ec2 = hooks.module("services.ec2")
        if props["ResourceType"] == "VPC" and props["ResourceId"] not in ec2._vpcs:
            raise ValueError(f"The vpc ID '{props['ResourceId']}' does not exist")
        asked = {key: value for key, value in props.items() if isinstance(value, str)}
        before = set(ec2._flow_logs)
        ec2._create_flow_logs({**asked, "ResourceId.1": props["ResourceId"]})
        (made,) = set(ec2._flow_logs) - before
        return made, {"Id": made}

    def update(physical_id: str, _old: Properties, _new: Properties, _stack: str) -> tuple[str, Properties]:
        return physical_id, {"Id": physical_id}

    def delete(physical_id: str, _props: Properties) -> None:
        hooks.module("services.ec2")._flow_logs.pop(physical_id, None)

    return {"create": create, "update": update, "delete": delete}


def _rule_handlers(kind: str) -> Handlers:
    """A rule is kept in its group as EC2 would: by what it allows."""

    def rules(props: Properties) -> tuple[list[Properties], list[Properties]]:
        groups = hooks.module("services.ec2")._security_groups
        if props["GroupId"] not in groups:
            raise ValueError(f"The security group '{props['GroupId']}' does not exist")
        made = hooks.module("services.cloudformation.provisioners")._ec2_sg_permissions([props])
        return groups[props["GroupId"]].setdefault(RULES[kind], []), made

    def create(logical_id: str, props: Properties, stack: str) -> tuple[str, Properties]:
        held, made = rules(props)
        held.extend(made)
        return f"{stack}-{logical_id}", {"Id": f"{stack}-{logical_id}"}

    def update(physical_id: str, old: Properties, new: Properties, _stack: str) -> tuple[str, Properties]:
        delete(physical_id, old)
        held, made = rules(new)
        held.extend(made)
        return physical_id, {"Id": physical_id}

    def delete(_physical_id: str, props: Properties) -> None:
        if props.get("GroupId") in hooks.module("services.ec2")._security_groups:
            held, made = rules(props)
            held[:] = [rule for rule in held if rule not in made]

    return {"create": create, "update": update, "delete": delete}


def install() -> None:
    """Teach CloudFormation the types."""
    provisioners = hooks.module("services.cloudformation.provisioners")
    provisioners._RESOURCE_HANDLERS[FLOW_LOG] = _flow_log_handlers()
    provisioners._REPLACING_PROPERTIES[FLOW_LOG] = _FLOW_LOG_REPLACED_BY
    for kind in RULES:
        provisioners._RESOURCE_HANDLERS[kind] = _rule_handlers(kind)
        provisioners._REPLACING_PROPERTIES[kind] = _RULE_REPLACED_BY
