"""The network of a stage's jobs: what the settings name, or what the stage's stack makes; and a branch's view of it."""

from __future__ import annotations

import aws_cdk as cdk

from cdk_mlops import DataBucket, JobNetwork, JobVpc, ModelRegistry
from stacks.installation import Network, NewNetwork, Stage

_EXPORTS = ("job-subnet-1", "job-subnet-2", "job-security-group")


def network_of(
    stack: cdk.Stack, stage: Stage, *, data: DataBucket, registry: ModelRegistry
) -> JobNetwork | None:
    """Return where the jobs of a stage run, made in its stack if the settings ask for it.

    Dev's are exported: feature branches run in the same subnets, from stacks of their own.
    """
    wanted = stage.network
    if not isinstance(wanted, NewNetwork):
        return _named(wanted)
    network = JobVpc(
        stack,
        "Network",
        stage=stage.name,
        data_bucket=data,
        registry=registry,
        interface_endpoints=wanted.interface_endpoints,
        s3_prefix_list=wanted.s3_prefix_list,
    ).network
    if stage.name == "dev":
        for name, value in zip(_EXPORTS, (*network.subnets, *network.security_groups), strict=True):
            export = _export(stage.name, name)
            cdk.CfnOutput(stack, "".join(map(str.title, name.split("-"))), value=value, export_name=export)
    return network


def network_of_branch(stage: Stage) -> JobNetwork | None:
    """Return where the jobs of a feature branch run: where main's do."""
    if not isinstance(stage.network, NewNetwork):
        return _named(stage.network)
    first, second, group = (cdk.Fn.import_value(_export(stage.name, name)) for name in _EXPORTS)
    return JobNetwork(subnets=(first, second), security_groups=(group,))


def _named(network: Network | None) -> JobNetwork | None:
    if network is None:
        return None
    return JobNetwork(subnets=network.subnets, security_groups=(network.security_group,))


def _export(stage: str, name: str) -> str:
    return f"mlops-{stage}-{name}"
