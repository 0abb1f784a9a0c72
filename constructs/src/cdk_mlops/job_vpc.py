"""A network made for the jobs: two private subnets and no way out but the endpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aws_cdk import CfnTag, Fn, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_mlops._functions import log_group_key
from cdk_mlops._roles import service_role
from cdk_mlops._statements import Statement, arn, iam_arn, place_of
from cdk_mlops._validation import check_choice, check_pattern, check_stage
from cdk_mlops.job_network import JobNetwork
from cdk_mlops.model_registry import ModelRegistry
from cdk_mlops.stage_data_bucket import DataBucket

VPC_CIDR, SUBNET_CIDRS = "10.0.0.0/24", ("10.0.0.0/25", "10.0.0.128/25")
HTTPS = 443
_PULL = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)
#: What a container may ask each service through its interface endpoint.
ENDPOINT_ACTIONS: Mapping[str, Sequence[str]] = {
    "ecr.api": _PULL,
    "ecr.dkr": _PULL,
    "kms": ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"),
    "logs": ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
    "monitoring": ("cloudwatch:PutMetricData",),
    "sts": ("sts:GetCallerIdentity",),
}
_PREFIX_LIST = re.compile(r"pl-[0-9a-f]{8,17}")


class JobVpc(Construct):
    """A VPC for the jobs of a stage: no internet gateway, no NAT, no route but that to S3, flow logs of everything.

    SageMaker moves a job's data and model through the VPC to S3, so there is a gateway endpoint for S3, open to the
    roles of the stage and to the two buckets only. Images, logs and metrics go over SageMaker's own network, and our
    containers call nothing themselves (they are isolated): so there is no other endpoint unless one is named.

    Parameters
    ----------
    stage
        Such as ``dev``: roles below ``/mlops/<stage>/`` get through the endpoints.
    data_bucket, registry
        The buckets that the jobs read and write; where the data bucket's key is one of this stack, it encrypts the
        flow logs.
    interface_endpoints
        What containers that aren't isolated call: ``ecr.api``, ``ecr.dkr``, ``kms``, ``logs``, ``monitoring``,
        ``sts``. Each costs by the hour. Default: none.
    s3_prefix_list
        Id of the region's prefix list of S3, such as ``pl-63a5400a``, so that the jobs' security group lets out to S3
        only. Default: to anywhere by HTTPS; nothing but the endpoints can be reached anyway.

    Attributes
    ----------
    network
        The `JobNetwork` of its subnets and security group.
    vpc
        The `ec2.CfnVPC`.

    Raises
    ------
    ValueError
        If a prop can't be right.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/infrastructure-give-access.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        data_bucket: DataBucket,
        registry: ModelRegistry,
        interface_endpoints: Sequence[str] = (),
        s3_prefix_list: str | None = None,
    ) -> None:
        check_stage("stage", stage)
        for service in interface_endpoints:
            check_choice("interface_endpoints", service, tuple(ENDPOINT_ACTIONS))
        if s3_prefix_list is not None:
            check_pattern("s3_prefix_list", s3_prefix_list, _PREFIX_LIST, "be an id such as pl-63a5400a")
        super().__init__(scope, construct_id)
        self._stage = stage
        self.vpc = ec2.CfnVPC(
            self,
            "Resource",
            cidr_block=VPC_CIDR,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._named("jobs"),
        )
        self._table = ec2.CfnRouteTable(self, "Routes", vpc_id=self.vpc.attr_vpc_id, tags=self._named("jobs"))
        subnets = [self._subnet(number, cidr) for number, cidr in enumerate(SUBNET_CIDRS)]
        group = self._jobs_group(s3_prefix_list)
        self._s3_endpoint(data_bucket, registry, layers="ecr.dkr" in interface_endpoints)
        if interface_endpoints:
            self._interface_endpoints(sorted(set(interface_endpoints)), subnets, group)
        self._flow_logs(data_bucket)
        self.network = JobNetwork(subnets=tuple(subnets), security_groups=(group,))

    def _named(self, what: str) -> list[CfnTag]:
        return [CfnTag(key="Name", value=f"mlops-{self._stage}-{what}")]

    def _subnet(self, number: int, cidr: str) -> str:
        subnet = ec2.CfnSubnet(
            self,
            f"Subnet{number + 1}",
            vpc_id=self.vpc.attr_vpc_id,
            cidr_block=cidr,
            # Asked for at deployment, so that a synthesis needs no account.
            availability_zone=Fn.select(number, Fn.get_azs()),
            map_public_ip_on_launch=False,
            tags=self._named(f"jobs-{number + 1}"),
        )
        ec2.CfnSubnetRouteTableAssociation(
            self,
            f"Subnet{number + 1}Routes",
            subnet_id=subnet.attr_subnet_id,
            route_table_id=self._table.attr_route_table_id,
        )
        return subnet.attr_subnet_id

    def _jobs_group(self, s3_prefix_list: str | None) -> str:
        if s3_prefix_list is None:
            out = ec2.CfnSecurityGroup.EgressProperty(
                ip_protocol="tcp",
                from_port=HTTPS,
                to_port=HTTPS,
                cidr_ip="0.0.0.0/0",
                description="To the endpoints: there is no route to anywhere else",
            )
        else:
            out = ec2.CfnSecurityGroup.EgressProperty(
                ip_protocol="tcp",
                from_port=HTTPS,
                to_port=HTTPS,
                destination_prefix_list_id=s3_prefix_list,
                description="To S3",
            )
        group = ec2.CfnSecurityGroup(
            self,
            "Jobs",
            group_description=f"Jobs of stage {self._stage}: out to the endpoints, in from tunnels between them",
            vpc_id=self.vpc.attr_vpc_id,
            security_group_egress=[out],
            tags=self._named("jobs"),
        )
        self._between_instances(group.attr_group_id)
        return group.attr_group_id

    def _between_instances(self, group: str) -> None:
        """Let the instances of a job exchange keys and talk through the tunnel of the encryption.

        https://docs.aws.amazon.com/sagemaker/latest/dg/train-encrypt.html
        """
        for name, protocol, port in (("KeyExchange", "udp", 500), ("Tunnel", "50", None)):
            ec2.CfnSecurityGroupIngress(
                self,
                f"{name}In",
                group_id=group,
                source_security_group_id=group,
                ip_protocol=protocol,
                from_port=port,
                to_port=port,
                description="Between the instances of a job, encrypted",
            )
            ec2.CfnSecurityGroupEgress(
                self,
                f"{name}Out",
                group_id=group,
                destination_security_group_id=group,
                ip_protocol=protocol,
                from_port=port,
                to_port=port,
                description="Between the instances of a job, encrypted",
            )

    def _s3_endpoint(self, data_bucket: DataBucket, registry: ModelRegistry, *, layers: bool) -> None:
        place = place_of(self)
        buckets = [
            f"arn:{place.partition}:s3:::{name}"
            for name in dict.fromkeys((data_bucket.bucket_name, registry.artifacts_bucket_name))
        ]
        accounts = list(dict.fromkeys((place.account, registry.account)))
        statements = [
            self._for_our_roles(
                "OurBuckets",
                ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListBucket"],
                [*buckets, *(f"{bucket}/*" for bucket in buckets)],
                owners=accounts,
            )
        ]
        if layers:
            # ECR signs these requests itself: https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
            statements.append(
                {
                    "Sid": "ImageLayers",
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "s3:GetObject",
                    "Resource": f"arn:{place.partition}:s3:::prod-{place.region}-starport-layer-bucket/*",
                }
            )
        ec2.CfnVPCEndpoint(
            self,
            "S3",
            service_name=f"com.amazonaws.{place.region}.s3",
            vpc_id=self.vpc.attr_vpc_id,
            vpc_endpoint_type="Gateway",
            route_table_ids=[self._table.attr_route_table_id],
            policy_document={"Version": "2012-10-17", "Statement": statements},
        )

    def _interface_endpoints(self, services: Sequence[str], subnets: Sequence[str], jobs: str) -> None:
        group = ec2.CfnSecurityGroup(
            self,
            "Endpoints",
            group_description=f"Interface endpoints of stage {self._stage}: in from its jobs",
            vpc_id=self.vpc.attr_vpc_id,
            security_group_ingress=[
                ec2.CfnSecurityGroup.IngressProperty(
                    ip_protocol="tcp",
                    from_port=HTTPS,
                    to_port=HTTPS,
                    source_security_group_id=jobs,
                    description="From the jobs",
                )
            ],
            # They answer only. Without a rule EC2 would let out to anywhere: this one leads nowhere.
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="icmp",
                    from_port=252,
                    to_port=86,
                    cidr_ip="255.255.255.255/32",
                    description="To nowhere",
                )
            ],
            tags=self._named("endpoints"),
        )
        ec2.CfnSecurityGroupEgress(
            self,
            "JobsToEndpoints",
            group_id=jobs,
            destination_security_group_id=group.attr_group_id,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            description="To the interface endpoints",
        )
        for service in services:
            statement = self._for_our_roles("OurRoles", list(ENDPOINT_ACTIONS[service]), ["*"])
            ec2.CfnVPCEndpoint(
                self,
                "".join(part.title() for part in service.split(".")),
                # Some of China's have a prefix of their own.
                service_name=ec2.InterfaceVpcEndpointAwsService(service).name,
                vpc_id=self.vpc.attr_vpc_id,
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(subnets),
                security_group_ids=[group.attr_group_id],
                policy_document={"Version": "2012-10-17", "Statement": [statement]},
            )

    def _for_our_roles(
        self, sid: str, actions: Sequence[str], resources: Sequence[str], owners: Sequence[str] = ()
    ) -> dict[str, object]:
        """Return a statement of an endpoint's policy: it can't name a role, so it says which by a condition."""
        account = {"aws:PrincipalAccount": place_of(self).account}
        owned = {"aws:ResourceAccount": list(owners)} if owners else {}
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": "*",
            "Action": list(actions),
            "Resource": list(resources),
            "Condition": {
                "StringEquals": {**account, **owned},
                "ArnLike": {"aws:PrincipalArn": iam_arn(self, f"role/mlops/{self._stage}/*")},
            },
        }

    def _flow_logs(self, data_bucket: DataBucket) -> None:
        name = f"/mlops/{self._stage}/network-flows"
        group = logs.LogGroup(
            self,
            "Flows",
            log_group_name=name,
            retention=logs.RetentionDays.ONE_YEAR,
            encryption_key=log_group_key(self, data_bucket.key, "/mlops/*"),
            removal_policy=RemovalPolicy.DESTROY,
        )
        streams = arn(self, "logs", f"log-group:{name}:*")
        role = service_role(
            self,
            "FlowsRole",
            stage=self._stage,
            purpose="network-flows",
            service="vpc-flow-logs.amazonaws.com",
            description=f"Writes down what goes in and out of the network of stage {self._stage}",
            trust_conditions={
                "StringEquals": {"aws:SourceAccount": place_of(self).account},
                "ArnLike": {"aws:SourceArn": arn(self, "ec2", "vpc-flow-log/*")},
            },
            statements=[
                Statement(
                    "OwnLogs",
                    ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                    [streams],
                )
            ],
        )
        ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=self.vpc.attr_vpc_id,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=group.log_group_name,
            deliver_logs_permission_arn=role.role_arn,
            tags=self._named("network-flows"),
        )
