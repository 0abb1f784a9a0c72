"""Reads ``mlops.network``: where the jobs run, by ids of what exists or by the wish for a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stacks.installation import Network, NewNetwork
from stacks.section import Section, SettingsError, suggestion

SUBNET = (r"subnet-[0-9a-f]{8,17}", "subnet ids such as subnet-0123456789abcdef0")
GROUP = (r"sg-[0-9a-f]{8,17}", "be a security group id such as sg-0123456789abcdef0")
PREFIX_LIST = (r"pl-[0-9a-f]{8,17}", "be the id of S3's prefix list in the region, such as pl-63a5400a")
ENDPOINTS = ("ecr.api", "ecr.dkr", "kms", "logs", "monitoring", "sts")


def networks(section: Section, stages: Sequence[str]) -> Mapping[str, Network | NewNetwork]:
    """Return the network of each stage: of all, since they run the same definitions, or of none."""
    new = _new(section)
    named = {stage: _named(section.section(stage)) for stage in stages if section.raw(stage) is not None}
    section.done()
    if new is not None:
        if named:
            raise SettingsError(
                f"{section.path}.create makes a network for every stage, but {' and '.join(named)} has one named;"
                " leave out one or the other"
            )
        return dict.fromkeys(stages, new)
    missing = [stage for stage in stages if stage not in named]
    if named and missing:
        raise SettingsError(
            f"{section.path} names {' and '.join(named)} only: all stages run the same definitions;"
            f" name {' and '.join(missing)} too, or none"
        )
    return named


def _new(section: Section) -> NewNetwork | None:
    create = section.flag("create", False)
    endpoints = section.texts(
        "interface_endpoints", pattern=r"[a-z.]+", rule=f"some of {', '.join(ENDPOINTS)}"
    )
    for service in endpoints:
        if service not in ENDPOINTS:
            known = f"{suggestion(service, ENDPOINTS)}; known are {', '.join(ENDPOINTS)}"
            raise SettingsError(f"{section.name('interface_endpoints')}: no endpoint '{service}'{known}")
    prefix_list = section.optional_text("s3_prefix_list", pattern=PREFIX_LIST[0], rule=PREFIX_LIST[1])
    if create:
        return NewNetwork(interface_endpoints=tuple(dict.fromkeys(endpoints)), s3_prefix_list=prefix_list)
    for key, value in (("interface_endpoints", endpoints), ("s3_prefix_list", prefix_list)):
        if value:
            raise section.fail(key, "belongs to a network made here: set create to true, or leave it out")
    return None


def _named(section: Section) -> Network:
    subnets = section.texts("subnets", pattern=SUBNET[0], rule=SUBNET[1])
    if len(subnets) != 2:
        raise section.fail("subnets", "must hold two subnet ids")
    group = section.text("security_group", None, pattern=GROUP[0], rule=GROUP[1])
    section.done()
    return Network(subnets=(subnets[0], subnets[1]), security_group=group)
