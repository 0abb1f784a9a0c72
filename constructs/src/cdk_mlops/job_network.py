"""The network that jobs run in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from constructs import Construct

from cdk_mlops._statements import NO_RESOURCE, Statement, arn
from cdk_mlops._validation import check_pattern

_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")
_GROUP = re.compile(r"sg-[0-9a-f]{8,17}")


@dataclass(frozen=True, kw_only=True)
class JobNetwork:
    """Subnets and security groups of an existing VPC.

    Parameters
    ----------
    subnets, security_groups
        Ids, at least one each.

    Raises
    ------
    ValueError
        If an id can't be one.
    """

    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the ids."""
        for prop, ids, pattern, example in (
            ("subnets", self.subnets, _SUBNET, "subnet-0123456789abcdef0"),
            ("security_groups", self.security_groups, _GROUP, "sg-0123456789abcdef0"),
        ):
            if not ids:
                raise ValueError(f"{prop} must hold at least one id such as {example}, got none")
            for value in ids:
                check_pattern(prop, value, pattern, f"hold ids such as {example}")

    def statements(self, scope: Construct) -> Sequence[Statement]:
        """Return the permissions by which a job gets its network interfaces in these subnets, and in no others."""
        places = [arn(scope, "ec2", f"subnet/{one}") for one in self.subnets]
        places += [arn(scope, "ec2", f"security-group/{one}") for one in self.security_groups]
        interfaces = arn(scope, "ec2", "network-interface/*")
        look = ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
        return [
            Statement("CreateInterface", ["ec2:CreateNetworkInterface"], [*places, interfaces]),
            Statement(
                "UseInterface",
                [
                    "ec2:CreateNetworkInterfacePermission",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DeleteNetworkInterfacePermission",
                ],
                [interfaces],
                {"ArnEquals": {"ec2:Subnet": [arn(scope, "ec2", f"subnet/{one}") for one in self.subnets]}},
            ),
            # EC2's describing actions have no resource-level permissions.
            Statement(f"LookAtNetwork{NO_RESOURCE}", [f"ec2:Describe{what}" for what in look], ["*"]),
        ]
