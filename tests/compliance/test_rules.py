"""The library's rules catch what breaks them, each its own, and let pass what is right."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import aws_cdk as cdk
import pytest

from cdk_mlops.compliance import FILES, add_rules, rules
from tests.compliance.seeds import BROKEN, RIGHT, Resources

FLAG = "@aws-cdk/core:validateAgainstDefaultRules"
QUIET = {"@aws-cdk/core:validationReportPrettyPrint": False}


def add_stack(app: cdk.App, name: str, resources: Resources) -> cdk.Stack:
    """Add a stack of bare resources."""
    stack = cdk.Stack(app, name, env=cdk.Environment(account="111111111111", region="eu-west-1"))
    for logical_id, (kind, properties) in resources.items():
        cdk.CfnResource(stack, logical_id, type=kind, properties=properties)
    return stack


def reported(app: cdk.App) -> dict[str, set[str]]:
    """Return which of our rules a synthesized app breaks, by stack."""
    found = defaultdict(set)
    report = json.loads((Path(app.outdir) / "validation-report.json").read_text())
    for plugin in report["pluginReports"]:
        for violation in plugin["violations"]:
            for construct in violation["violatingConstructs"]:
                if violation["ruleName"].startswith("MLOPS-"):
                    found[construct["constructPath"].partition("/")[0]].add(violation["ruleName"])
    return found


@cache
def verdicts() -> dict[str, set[str]]:
    """Return what the rules say about all templates, in one synthesis: an engine takes long to start."""
    app = cdk.App(context=QUIET, analytics_reporting=False)
    for name, (_, resources) in BROKEN.items():
        add_stack(app, f"Broken{name}", resources)
    for name, resources in RIGHT.items():
        add_stack(app, f"Right{name}", resources)
    add_rules(app)
    app.synth()
    return reported(app)


@pytest.mark.parametrize("name", BROKEN)
def test_a_seeded_violation_is_caught_by_its_rule_and_by_no_other(name: str) -> None:
    rule, _ = BROKEN[name]
    assert verdicts().get(f"Broken{name}") == {rule}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_breaks_no_rule(name: str) -> None:
    assert verdicts().get(f"Right{name}", set()) == set()


def test_every_rule_has_a_seeded_violation() -> None:
    written = {found for one in rules() for found in re.findall(r'"(MLOPS-[A-Z]+-\d)"', one.content)}
    assert written == {rule for rule, _ in BROKEN.values()}
    assert len(rules()) == len(FILES)


def test_every_rule_is_explained_where_its_file_begins() -> None:
    for one in rules():
        heading, _, rest = one.content.partition("package ")
        assert set(re.findall(r"MLOPS-[A-Z]+-\d", heading)) == set(re.findall(r'"(MLOPS-[A-Z]+-\d)"', rest))


def test_a_broken_rule_fails_the_synthesis_where_the_context_says_so() -> None:
    app = cdk.App(context={**QUIET, FLAG: True}, analytics_reporting=False)
    add_stack(app, "Broken", BROKEN["AnyResource"][1])
    add_rules(app)
    with pytest.raises(RuntimeError, match=r"[Vv]alidation"):
        app.synth()


def test_an_acknowledged_finding_is_let_pass() -> None:
    app = cdk.App(context={**QUIET, FLAG: True}, analytics_reporting=False)
    stack = add_stack(app, "Broken", BROKEN["AnyResource"][1])
    cdk.Validations.of(stack).acknowledge(
        cdk.Acknowledgment(id="CloudFormation-Validate::MLOPS-IAM-3", reason="a test of the acknowledgement")
    )
    add_rules(app)
    app.synth()


def test_cdks_own_validation_stays_on_beside_the_rules() -> None:
    app = cdk.App(context={**QUIET, FLAG: True}, analytics_reporting=False)
    add_stack(app, "Wrong", {"Queue": ("AWS::SQS::Queue", {"NoSuchProperty": 1})})
    add_rules(app)
    with pytest.raises(RuntimeError, match=r"[Vv]alidation"):
        app.synth()
