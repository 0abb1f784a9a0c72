"""docs/compliance.md says what is counted in the templates, and nothing is too wide."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cdk_mlops.compliance import rules
from tests.compliance.acknowledgements import read
from tests.compliance.counts import Counts, count
from tests.stacks.installations import template

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compliance.md"
STACKS = ("RegistryStack", "DevStack", "StagingStack", "ProdStack", "DeliveryStack")
BLOCK = re.compile(r"(?<=<!-- counted -->\n).*?(?=<!-- end -->)", re.DOTALL)


def counted() -> Counts:
    return count([template("versions", stack) for stack in STACKS])


def table(found: Counts) -> str:
    """Return the page's table of what was counted."""
    links = dict(re.findall(r'"([a-z0-9]+:[A-Za-z]+)": "(list_[a-z0-9-]+\.html)"', rules()[0].content))
    base = "https://docs.aws.amazon.com/service-authorization/latest/reference/"
    named = ", ".join(f"[{action}]({base}{links[action]})" for action in sorted(found.everywhere))
    return (
        f"| | here |\n|---|---|\n| roles | {found.roles} |\n| allow statements | {found.allow_statements} |\n"
        f"| managed policies of AWS, FullAccess or other | {found.managed_policies} |\n"
        f"| actions that are a whole service (`service:*`, `*`) | {found.whole_services} |\n"
        "| actions on `*` without a condition, each because AWS knows no resource for it | "
        f"{len(found.everywhere)}: {named} |\n"
    )


def test_no_managed_policy_is_attached_and_no_action_is_a_whole_service() -> None:
    found = counted()
    assert (found.managed_policies, found.whole_services) == (0, 0)
    assert found.allow_statements > 100


def test_what_is_allowed_everywhere_is_what_aws_knows_no_resource_for() -> None:
    known = set(re.findall(r'"([a-z0-9]+:[A-Za-z]+)": "list_', rules()[0].content))
    assert counted().everywhere <= known


def test_counting_sees_what_is_too_wide() -> None:
    wide = {"Effect": "Allow", "Action": ["s3:*", "ec2:RunInstances"], "Resource": "*"}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AmazonS3FullAccess"],
            "Policies": [{"PolicyDocument": {"Statement": wide}}],
        },
    }
    found = count([{"Resources": {"Role": role}}])
    assert found == Counts(1, 1, 1, 1, frozenset({"s3:*", "ec2:RunInstances"}))


def test_the_page_says_what_is_counted() -> None:
    text = PAGE.read_text()
    if os.environ.get("UPDATE_SNAPSHOTS"):
        text = BLOCK.sub(lambda _: table(counted()), text)
        PAGE.write_text(text)
    (block,) = BLOCK.findall(text)
    assert block == table(counted()), "the permissions have changed; look at it, then: make snapshots"


def test_the_page_names_every_rule_of_the_packs_that_is_lived_with() -> None:
    text = PAGE.read_text()
    lived_with = {finding.rule.rpartition("-")[2] for one in read() for finding in one.covers}
    assert lived_with == set(re.findall(r"^\| `(\w+)` \| ", text, re.MULTILINE))


def test_the_page_names_every_rule_of_our_own() -> None:
    written = {found for one in rules() for found in re.findall(r"MLOPS-[A-Z]+-\d", one.content)}
    assert written == set(re.findall(r"MLOPS-[A-Z]+-\d", PAGE.read_text()))
