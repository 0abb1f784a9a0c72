"""`make bootstrap-help`: policies that cover what our stacks hold and little more, and commands for a shell."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from ops import assembly, bootstrap, bootstrap_policy
from ops.bootstrap_left_out import LEFT_OUT
from ops.bootstrap_policy import MOST_CHARACTERS, MOST_POLICIES, Names, documents, size
from ops.bootstrap_rules import RULES
from ops.errors import CommandError
from ops.iam import statements as policies
from ops.iam.globs import covers
from ops.iam.statements import Group, Statement
from ops.iam.templates import CLOSE, OPEN, Template
from stacks.settings import load
from tests.stacks.installations import CONNECTION, SETTINGS, synthesized

pytestmark = pytest.mark.xdist_group("bootstrap")  # its installations are synthesized once

BRANCH = "feature/a-name-that-is-so-long-that-nothing-has-room-for-it"
INSTALLATIONS: dict[str, dict[str, Any]] = {
    **{name: SETTINGS[name] for name in ("default", "full", "one-account", "elsewhere", "new-network")},
    "github": SETTINGS["default"] | {"delivery": {"by": "github", "repository": "example/cdk-mlops"}},
    "jenkins": SETTINGS["default"]
    | {"delivery": {"by": "jenkins", "jenkins_principals": ["arn:aws:iam::333333333333:role/jenkins"]}},
    "versions": SETTINGS["full"]
    | {
        "delivery": {
            "repository": "example/cdk-mlops",
            "connection_arn": CONNECTION,
            "approve_versions": True,
        }
    },
}

#: What each type can't be made without, and of which resource.
MAKES = {
    "AWS::CloudWatch::Alarm": "cloudwatch:PutMetricAlarm",
    "AWS::CodeBuild::Project": "codebuild:CreateProject",
    "AWS::CodePipeline::Pipeline": "codepipeline:CreatePipeline",
    "AWS::Events::Rule": "events:PutRule",
    "AWS::IAM::OIDCProvider": "iam:CreateOpenIDConnectProvider",
    "AWS::KMS::Alias": "kms:CreateAlias",
    "AWS::IAM::Role": "iam:CreateRole",
    "AWS::Lambda::Function": "lambda:CreateFunction",
    "AWS::Logs::LogGroup": "logs:CreateLogGroup",
    "AWS::S3::Bucket": "s3:CreateBucket",
    "AWS::SNS::Topic": "sns:CreateTopic",
    "AWS::SQS::Queue": "sqs:CreateQueue",
    "AWS::SageMaker::ModelPackageGroup": "sagemaker:CreateModelPackageGroup",
    "AWS::Scheduler::Schedule": "scheduler:CreateSchedule",
}


@cache
def folder(name: str) -> Path:
    return Path(synthesized(INSTALLATIONS[name]).directory)


@cache
def allowed(name: str) -> dict[str, list[Statement]]:
    """What the policies of each account of an installation allow, by account."""
    settings = load(INSTALLATIONS[name])
    work = folder(name) / "policies"
    return {
        place.account: [
            statement
            for file in bootstrap.write_policies(settings, place, folder(name), work)
            for statement in policies.parse(json.loads(file.read_text()))
        ]
        for place in bootstrap.places(settings)
    }


def templates(name: str) -> Iterator[tuple[Template, str]]:
    """Every stack of an installation, and its account."""
    settings = load(INSTALLATIONS[name])
    for place in bootstrap.places(settings):
        for stack in place.stacks:
            where = {"account": place.account, "region": settings.region, "partition": settings.partition}
            yield Template(assembly.find(folder(name), stack).template, stack=stack, **where), place.account


def permits(listed: list[Statement], action: str, resource: str) -> bool:
    wanted = Statement("Allow", None, Group((action.lower(),)), Group((resource,)), frozenset())
    return any(one.covers(wanted, whatever_conditions=True) for one in listed)


def named(template: Template, logical_id: str, account: str) -> str:
    """A resource's ARN; where CloudFormation makes up the name, as it does that."""
    resource, properties = template.raw_resources[logical_id], template.resources[logical_id]["Properties"]
    place = template.resolve({"Fn::Sub": f"${{AWS::Partition}}:{{}}:${{AWS::Region}}:{account}"})
    if resource["Type"] == "AWS::KMS::Alias":
        return f"arn:{place.format('kms')}:{properties['AliasName']}"
    if resource["Type"] == "AWS::Scheduler::Schedule":
        return f"arn:{place.format('scheduler')}:schedule/default/{properties['Name']}"
    if resource["Type"] == "AWS::IAM::OIDCProvider":
        return f"arn:aws:iam::{account}:oidc-provider/{properties['Url'].removeprefix('https://')}"
    arn = template.arn(logical_id)
    if OPEN not in arn:
        return arn
    made_up = f"{template.stack}-{logical_id}-1ABCDEFGHIJKL"
    head, tail = arn.split(OPEN)[0], arn.split(CLOSE)[-1]
    return head + (made_up.lower() if resource["Type"] == "AWS::S3::Bucket" else made_up) + tail


def outside(template: Template, account: str, listed: list[Statement]) -> list[str]:
    """Resources of a template that a policy doesn't let CloudFormation make."""
    made = {
        named(template, logical_id, account): MAKES[resource["Type"]]
        for logical_id, resource in template.raw_resources.items()
        if resource["Type"] in MAKES
    }
    assert made
    return [arn for arn, action in made.items() if not permits(listed, action, arn)]


# --- the rules


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_every_resource_of_every_stack_lies_within_the_policies(name: str) -> None:
    for template, account in templates(name):
        assert outside(template, account, allowed(name)[account]) == []


def test_a_branch_lies_within_the_policy_of_dev() -> None:
    (stack,) = assembly._stacks(Path(synthesized(SETTINGS["full"], branch=BRANCH).directory))
    account = "111111111111"
    template = Template(stack.template, stack=stack.name, account=account, region="us-east-1")
    types = {one["Type"] for one in template.raw_resources.values()}
    assert {one for one in types if not one.startswith("Custom::")} <= set(RULES)
    assert outside(template, account, allowed("full")[account]) == []


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_every_role_may_be_handed_to_its_service_and_no_other_role_may(name: str) -> None:
    for account, listed in allowed(name).items():
        partition = load(INSTALLATIONS[name]).partition
        passing = [one for one in listed if one.covers(one) and "iam:passrole" in one.actions.patterns]
        assert all(one.clauses for one in passing)
        assert permits(listed, "iam:PassRole", f"arn:{partition}:iam::{account}:role/mlops/dev/x/y")
        assert not permits(listed, "iam:PassRole", f"arn:{partition}:iam::{account}:role/Administrator")


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_what_is_not_ours_is_out_of_reach(name: str) -> None:
    for account, listed in allowed(name).items():
        place = f"arn:aws:{{}}:us-east-1:{account}:"
        for action, resource in (
            ("iam:CreateRole", f"arn:aws:iam::{account}:role/Administrator"),
            ("iam:PutRolePolicy", f"arn:aws:iam::{account}:role/Administrator"),
            ("iam:CreateUser", f"arn:aws:iam::{account}:user/x"),
            ("iam:AttachRolePolicy", f"arn:aws:iam::{account}:role/mlops/dev/x/y"),
            ("s3:GetObject", f"arn:aws:s3:::sagemaker-mlops-dev-{account}-us-east-1/rows.csv"),
            ("s3:DeleteBucket", "arn:aws:s3:::payroll"),
            ("kms:Decrypt", place.format("kms") + "key/1"),
            ("lambda:UpdateFunctionCode", place.format("lambda") + "function:payroll"),
            ("sagemaker:UpdateModelPackage", place.format("sagemaker") + "model-package/g/1"),
            ("sts:AssumeRole", f"arn:aws:iam::{account}:role/mlops/dev/x/y"),
        ):
            assert not permits(listed, action, resource), action


def test_no_statement_is_wide_without_need() -> None:
    for listed in allowed("full").values():
        for statement in listed:
            assert not statement.actions.all_but
            assert all(not action.endswith(":*") and action != "*" for action in statement.actions.patterns)
    anywhere = {action for rule in RULES.values() for action in rule.anywhere}
    wide = {
        action
        for listed in allowed("full").values()
        for one in listed
        if one.resources and "*" in one.resources.patterns
        for action in one.actions.texts
    }
    assert wide <= anywhere


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_has_all_that_the_types_schema_asks_for_or_a_reason_why_not(kind: str) -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    asked = {action for handler in schema.get("handlers", {}).values() for action in handler["permissions"]}
    rule, without = RULES[kind], {action for actions in LEFT_OUT.values() for action in actions}
    # What a stack needs in any case, or a role that is handed over, stands in statements of its own.
    given = {
        *rule.actions,
        *rule.anywhere,
        "s3:GetObject",
        "s3:GetObjectVersion",
        "iam:PassRole",
        "iam:GetRole",
    }
    given |= {"codestar-connections:PassConnection", "kms:DescribeKey", "sns:Subscribe", "sns:Unsubscribe"}
    if kind == "AWS::EC2::FlowLog":
        without |= {"s3:GetBucketPolicy", "s3:PutBucketPolicy"}  # ours go to a log group
    missing = {one for one in asked - without if not any(covers(have.lower(), one.lower()) for have in given)}
    assert missing == set()


def test_nothing_is_left_out_that_no_schema_asks_for() -> None:
    asked = {
        action
        for kind in RULES
        for handler in PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind)
        .schema.get("handlers", {})
        .values()
        for action in handler["permissions"]
    }
    assert {action for actions in LEFT_OUT.values() for action in actions} - asked == set()


def test_fails_for_a_type_that_nobody_has_reviewed() -> None:
    names = Names("aws", "us-east-1", "1" * 12, ("S",), ("mlops",), "t", ("g",))
    with pytest.raises(CommandError, match=r"nothing is known of AWS::EC2::Instance: add a rule"):
        bootstrap_policy.statements({"AWS::S3::Bucket", "AWS::EC2::Instance"}, names)


# --- the files


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_policies_stay_within_what_iam_takes(name: str) -> None:
    settings = load(INSTALLATIONS[name])
    for place in bootstrap.places(settings):
        files = bootstrap.write_policies(settings, place, folder(name), folder(name) / "policies")
        assert len(files) <= MOST_POLICIES
        assert all(size(json.loads(file.read_text())) <= MOST_CHARACTERS for file in files)


def statement(characters: int) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "a:b", "Resource": "x" * characters}


def test_statements_that_fit_together_share_a_policy_up_to_the_last_character() -> None:
    empty = size({"Version": "2012-10-17", "Statement": [statement(0), statement(0)]})
    half = (MOST_CHARACTERS - empty) // 2
    fits = documents([statement(half), statement(MOST_CHARACTERS - empty - half)])
    assert [size(one) for one in fits] == [MOST_CHARACTERS]
    assert len(documents([statement(half), statement(MOST_CHARACTERS - empty - half + 1)])) == 2


@pytest.mark.parametrize("listed", [[statement(MOST_CHARACTERS)], [statement(5000)] * 11])
def test_fails_where_a_role_can_not_have_so_much(listed: list[dict[str, Any]]) -> None:
    with pytest.raises(CommandError, match="a role takes 10"):
        documents(listed)


# --- the commands


def printed(name: str, tmp_path: Path) -> str:
    lines: list[str] = []
    settings = load(INSTALLATIONS[name])
    bootstrap.run(settings, folder(name), tmp_path / "a folder" / "bootstrap", tmp_path, say=lines.append)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_the_commands_are_a_script_that_a_shell_takes(name: str, tmp_path: Path) -> None:
    script = printed(name, tmp_path)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    pretend = 'aws() { for one in "$@"; do echo "[$one]"; done; }; cdk() { aws "$@"; }\n'
    seen = subprocess.run(
        ["bash", "-eu"], input=pretend + script, text=True, check=True, capture_output=True
    ).stdout
    for line in seen.splitlines():
        if line.startswith("[file://"):
            assert (tmp_path / line[8:-1]).is_file()


@pytest.mark.parametrize("name", ["full", "one-account"])
def test_each_account_has_a_script_with_the_commands_that_are_printed(name: str, tmp_path: Path) -> None:
    listed = [line for line in printed(name, tmp_path).splitlines() if line and not line.startswith("#")]
    scripts = sorted((tmp_path / "a folder" / "bootstrap").glob("*.sh"))
    assert len(scripts) == len(bootstrap.places(load(INSTALLATIONS[name])))
    for path in scripts:
        subprocess.run(["bash", "-n", str(path)], check=True)
    together = "".join(path.read_text() for path in scripts)
    assert [line for line in listed if line not in together] == []


def test_each_account_is_prepared_once_and_trusts_the_one_that_deploys(tmp_path: Path) -> None:
    commands = [line for line in printed("full", tmp_path).splitlines() if line.startswith("cdk ")]
    assert [line.split()[2] for line in commands] == [
        f"aws://{account}/us-east-1"
        for account in ("333333333333", "111111111111", "444444444444", "222222222222")
    ]
    assert "--trust" not in commands[0]
    assert all("--trust 333333333333 --trust-for-lookup 333333333333" in line for line in commands[1:])


def test_one_account_for_all_is_prepared_once(tmp_path: Path) -> None:
    script = printed("one-account", tmp_path)
    assert script.count("cdk bootstrap") == 1
    assert (
        "# registry and dev and prod: account 111111111111, for RegistryStack and DevStack and ProdStack;"
        in script
    )


def test_another_partition_has_its_own_arns(tmp_path: Path) -> None:
    script = printed("elsewhere", tmp_path)
    assert "arn:aws-cn:iam::333333333333:policy/mlops-deployment" in script
    assert "arn:aws:" not in "".join(
        path.read_text() for path in (tmp_path / "a folder" / "bootstrap").iterdir()
    )
