"""The network made for the jobs: no way out of it but the endpoints, and these open to our roles only."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_mlops import JobVpc
from cdk_mlops.job_vpc import ENDPOINT_ACTIONS
from tests.library.library_app import DEV, REGION, REGISTRY, add_stage, new_stack, only, template_of

BUCKETS = [f"sagemaker-mlops-dev-{DEV}-{REGION}", f"sagemaker-mlops-artifacts-{REGISTRY}-{REGION}"]


@cache
def template(endpoints: tuple[str, ...] = (), prefix_list: str | None = None) -> dict[str, Any]:
    stack = new_stack()
    stage = add_stage(stack, "dev")
    JobVpc(
        stack,
        "Network",
        stage="dev",
        data_bucket=stage.data,
        registry=stage.registry,
        interface_endpoints=endpoints,
        s3_prefix_list=prefix_list,
    )
    return template_of(stack)


def of_kind(found: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: one["Properties"]
        for name, one in found["Resources"].items()
        if one["Type"] == f"AWS::EC2::{kind}"
    }


def with_partition(value: Any) -> Any:
    """Return a value with its joins, which hold nothing unknown but the partition, made texts."""
    if isinstance(value, dict):
        if "Fn::Join" in value:
            return "".join("aws" if isinstance(part, dict) else part for part in value["Fn::Join"][1])
        return {key: with_partition(inner) for key, inner in value.items()}
    return [with_partition(inner) for inner in value] if isinstance(value, list) else value


def policy(found: dict[str, Any], service: str) -> dict[str, dict[str, Any]]:
    """Return the statements of an endpoint's policy by their Sid."""
    (document,) = (
        one["PolicyDocument"]
        for one in of_kind(found, "VPCEndpoint").values()
        if one["ServiceName"].endswith(f"{REGION}.{service}")
    )
    return {one["Sid"]: with_partition(one) for one in document["Statement"]}


def test_there_are_two_private_subnets_in_two_zones_that_a_synthesis_does_not_ask_for() -> None:
    subnets = list(of_kind(template(), "Subnet").values())
    assert [one["AvailabilityZone"] for one in subnets] == [
        {"Fn::Select": [number, {"Fn::GetAZs": ""}]} for number in (0, 1)
    ]
    assert all(one["MapPublicIpOnLaunch"] is False for one in subnets)
    assert len(of_kind(template(), "SubnetRouteTableAssociation")) == 2


def test_no_route_leads_out_but_that_of_the_endpoint_for_s3() -> None:
    found = template()
    kinds = {one["Type"] for one in found["Resources"].values()}
    ways_out = (
        "InternetGateway",
        "NatGateway",
        "Route",
        "VPCGatewayAttachment",
        "TransitGateway",
        "VPNGateway",
    )
    assert kinds.isdisjoint(f"AWS::EC2::{way}" for way in ways_out)
    (endpoint,) = of_kind(found, "VPCEndpoint").values()
    (table,) = of_kind(found, "RouteTable")
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert endpoint["ServiceName"] == f"com.amazonaws.{REGION}.s3"
    assert endpoint["RouteTableIds"] == [{"Fn::GetAtt": [table, "RouteTableId"]}]


def test_s3_is_reached_by_the_roles_of_the_stage_in_the_two_buckets_of_our_accounts_only() -> None:
    assert policy(template(), "s3") == {
        "OurBuckets": {
            "Sid": "OurBuckets",
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{bucket}{keys}" for keys in ("", "/*") for bucket in BUCKETS],
            "Condition": {
                "StringEquals": {"aws:PrincipalAccount": DEV, "aws:ResourceAccount": [DEV, REGISTRY]},
                "ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{DEV}:role/mlops/dev/*"},
            },
        }
    }


@pytest.mark.parametrize("service", ENDPOINT_ACTIONS)
def test_an_interface_endpoint_lets_the_roles_of_the_stage_do_a_few_things(service: str) -> None:
    found = template((service,))
    statement = policy(found, service)["OurRoles"]
    assert statement["Action"] == list(ENDPOINT_ACTIONS[service])
    assert not any(action.endswith("*") for action in statement["Action"])
    assert statement["Condition"] == {
        "StringEquals": {"aws:PrincipalAccount": DEV},
        "ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{DEV}:role/mlops/dev/*"},
    }


def test_image_layers_are_reached_only_where_images_are_pulled_through_the_network() -> None:
    layers = f"arn:aws:s3:::prod-{REGION}-starport-layer-bucket/*"
    assert policy(template(("ecr.dkr",)), "s3")["ImageLayers"]["Resource"] == layers
    assert "ImageLayers" not in policy(template(("ecr.api",)), "s3")


def test_jobs_are_reached_by_nobody_but_each_other_through_the_encrypted_tunnel() -> None:
    found = template()
    ((group, properties),) = of_kind(found, "SecurityGroup").items()
    assert "SecurityGroupIngress" not in properties
    own = {"Fn::GetAtt": [group, "GroupId"]}
    ways_in = of_kind(found, "SecurityGroupIngress").values()
    assert [(one["IpProtocol"], one.get("FromPort"), one["SourceSecurityGroupId"]) for one in ways_in] == [
        ("udp", 500, own),
        ("50", None, own),
    ]


@pytest.mark.parametrize(
    ("prefix_list", "way"),
    [(None, {"CidrIp": "0.0.0.0/0"}), ("pl-63a5400a", {"DestinationPrefixListId": "pl-63a5400a"})],
)
def test_jobs_are_let_out_by_https_and_to_s3_only_where_its_prefix_list_is_known(
    prefix_list: str | None, way: dict[str, str]
) -> None:
    (group,) = of_kind(template(prefix_list=prefix_list), "SecurityGroup").values()
    (out,) = group["SecurityGroupEgress"]
    out.pop("Description")
    assert out == {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **way}


def test_interface_endpoints_are_reached_by_the_jobs_only_and_reach_nothing() -> None:
    found = template(("logs",))
    jobs, endpoints = of_kind(found, "SecurityGroup")
    (way_in,) = of_kind(found, "SecurityGroup")[endpoints]["SecurityGroupIngress"]
    assert way_in["SourceSecurityGroupId"] == {"Fn::GetAtt": [jobs, "GroupId"]}
    (way_out,) = of_kind(found, "SecurityGroup")[endpoints]["SecurityGroupEgress"]
    assert way_out["CidrIp"] == "255.255.255.255/32"
    assert [
        one["DestinationSecurityGroupId"]
        for name, one in of_kind(found, "SecurityGroupEgress").items()
        if "ToEndpoints" in name
    ] == [{"Fn::GetAtt": [endpoints, "GroupId"]}]


def test_all_traffic_is_written_down_encrypted_and_kept_for_a_year() -> None:
    found = template()
    (flow,) = of_kind(found, "FlowLog").values()
    assert (flow["ResourceType"], flow["TrafficType"]) == ("VPC", "ALL")
    group = only(found, "AWS::Logs::LogGroup", "NetworkFlows")
    assert group["LogGroupName"] == "/mlops/dev/network-flows"
    assert group["RetentionInDays"] == 365
    key = group["KmsKeyId"]["Fn::GetAtt"][0]
    statements = found["Resources"][key]["Properties"]["KeyPolicy"]["Statement"]
    assert any(":log-group:/mlops/*" in json.dumps(one.get("Condition", {})) for one in statements)


def test_flow_logs_are_written_by_a_role_that_can_do_nothing_else() -> None:
    role = only(template(), "AWS::IAM::Role", "FlowsRole")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": DEV}
    ((statement,),) = ([*one["PolicyDocument"]["Statement"]] for one in role["Policies"])
    assert f":logs:{REGION}:{DEV}:log-group:/mlops/dev/network-flows:*" in json.dumps(statement["Resource"])


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"stage": "D"}, "stage must be"),
        ({"interface_endpoints": ["s3"]}, r"interface_endpoints must be one of ecr\.api, .*got 's3'"),
        ({"s3_prefix_list": "s3"}, "s3_prefix_list must be an id such as pl-63a5400a, got 's3'"),
    ],
)
def test_fails_for_a_prop_that_cannot_be(props: dict[str, Any], message: str) -> None:
    stack = new_stack()
    stage = add_stage(stack, "dev")
    given: dict[str, Any] = {"stage": "dev", "data_bucket": stage.data, "registry": stage.registry}
    with pytest.raises(ValueError, match=message):
        JobVpc(stack, "Network", **given | props)


def test_names_are_the_region_s_own_in_china() -> None:
    stack = cdk.Stack(
        cdk.App(analytics_reporting=False), "S", env=cdk.Environment(account=DEV, region="cn-north-1")
    )
    stage = add_stage(stack, "dev")
    JobVpc(
        stack,
        "Network",
        stage="dev",
        data_bucket=stage.data,
        registry=stage.registry,
        interface_endpoints=["ecr.api", "logs"],
    )
    names = {one["ServiceName"] for one in of_kind(template_of(stack), "VPCEndpoint").values()}
    assert names == {
        "com.amazonaws.cn-north-1.s3",
        "cn.com.amazonaws.cn-north-1.ecr.api",
        "com.amazonaws.cn-north-1.logs",
    }
