"""The delivery pipeline: what it does, in which order, and that its stacks are those of a direct deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stacks.delivery_stack import CLI_VERSION
from tests.stacks.delivery_kit import ALL, BOTH, WAVES, action, buildspec, environment, project, stages
from tests.stacks.installations import ROOT, SETTINGS, assembly, resources, synthesized, template

STAGE_OF = {"RegistryStack": "Registry", "DevStack": "Dev", "StagingStack": "Staging", "ProdStack": "Prod"}
GIT_COMMIT = "#{Source@example_cdk-mlops.CommitId}"


def nested(name: str) -> tuple[dict[str, Any], str]:
    """Return the template of a stack inside the delivery pipeline, and its stack name."""
    folder = Path(assembly("full").directory)
    (manifest,) = folder.glob(f"assembly-DeliveryStack-{STAGE_OF[name]}/manifest.json")
    artifacts = json.loads(manifest.read_text())["artifacts"].values()
    (stack,) = [one for one in artifacts if one["type"] == "aws:cloudformation:stack"]
    properties = stack["properties"]
    return json.loads((manifest.parent / properties["templateFile"]).read_text()), properties["stackName"]


def order(stage: str, installation: str = "full") -> list[list[str]]:
    """Return the names of a stage's actions, those that run together in one list."""
    found: dict[int, list[str]] = {}
    for one in stages(installation)[stage]:
        found.setdefault(one["RunOrder"], []).append(one["Name"])
    return [found[number] for number in sorted(found)]


@pytest.mark.parametrize(("installation", "between"), [("full", ["Staging"]), ("delivered", [])])
def test_a_commit_passes_tests_then_dev_then_staging_if_there_is_one_then_prod(
    installation: str, between: list[str]
) -> None:
    assert list(stages(installation)) == [
        *("Source", "Build", "UpdatePipeline", "Assets", "RegistryAndDev"),
        *between,
        "Prod",
    ]


def test_a_stage_is_gate_then_deployment_then_check() -> None:
    assert order("RegistryAndDev") == [
        ["ConfirmPermissions", "Permissions"],
        ["Dev.DevStack.Prepare", "Registry.RegistryStack.Prepare"],
        ["Dev.DevStack.Deploy", "Registry.RegistryStack.Deploy"],
        ["Check"],
    ]
    assert order("Staging") == [
        ["ConfirmPermissions", "Permissions"],
        ["StagingStack.Prepare"],
        ["StagingStack.Deploy"],
        ["Check"],
    ]


@pytest.mark.parametrize("installation", BOTH)
def test_prod_waits_for_review_permissions_and_a_person(installation: str) -> None:
    assert order("Prod", installation) == [
        ["Review"],
        ["ConfirmPermissions", "Permissions"],
        ["PromoteToProd"],
        ["ProdStack.Prepare"],
        ["ProdStack.Deploy"],
        ["Check"],
    ]
    assert action("Prod", "PromoteToProd", installation)["ActionTypeId"]["Category"] == "Approval"


def test_the_approval_shows_what_the_review_found() -> None:
    shown = action("Prod", "PromoteToProd")["Configuration"]
    namespace = action("Prod", "Review")["Namespace"]
    assert shown["CustomData"] == f"#{{{namespace}.SUMMARY}}"
    assert shown["ExternalEntityLink"] == f"#{{{namespace}.REVIEW_URL}}"
    spec = buildspec("mlops-delivery-review")
    assert sorted(spec["env"]["exported-variables"]) == ["REVIEW_URL", "SUMMARY"]
    assert spec["phases"]["build"]["commands"] == [
        "make review STAGE=prod",
        '. "$REVIEW_EXPORTS"',
        "export SUMMARY REVIEW_URL",
    ]
    assert set(environment("mlops-delivery-review")) >= {"REVIEW_BUCKET", "REVIEW_EXPORTS"}


def test_the_whole_suite_runs_before_anything_is_deployed() -> None:
    assert buildspec("mlops-delivery-synth")["phases"]["build"]["commands"] == [
        "make check test",
        "make synth",
    ]


@pytest.mark.parametrize(
    ("stage", "accounts"), [("dev", "registry dev"), ("staging", "staging"), ("prod", "prod")]
)
def test_the_gate_compares_the_accounts_of_its_stage_and_answers_the_approval_beside_it(
    stage: str, accounts: str
) -> None:
    (command,) = buildspec(f"mlops-delivery-permissions-{stage}")["phases"]["build"]["commands"]
    approval = f"mlops-delivery/{WAVES[stage]}/ConfirmPermissions"
    assert command == f'make permissions STAGES="{accounts}" APPROVAL={approval}'
    assert action(WAVES[stage], "ConfirmPermissions")["ActionTypeId"]["Provider"] == "Manual"


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_a_stage_is_checked_and_then_recorded(stage: str) -> None:
    commands = buildspec(f"mlops-delivery-check-{stage}")["phases"]["build"]["commands"]
    assert commands == [f"make check-stage STAGE={stage}", f"make record STAGE={stage}"]


@pytest.mark.parametrize(
    ("stage", "name", "step"),
    [
        ("RegistryAndDev", "Permissions", "permissions-dev"),
        ("RegistryAndDev", "Check", "check-dev"),
        ("Staging", "Check", "check-staging"),
        ("Prod", "Review", "review"),
        ("Prod", "Check", "check-prod"),
    ],
)
def test_every_build_has_the_source_its_commit_and_the_assembly_at_cdk_out(
    stage: str, name: str, step: str
) -> None:
    found = action(stage, name)
    given = json.loads(found["Configuration"]["EnvironmentVariables"])
    assert {"name": "GIT_COMMIT", "type": "PLAINTEXT", "value": GIT_COMMIT} in given
    assert environment(f"mlops-delivery-{step}")["MLOPS_BUILD"] == "true"
    source, synth = [one["Name"] for one in found["InputArtifacts"]]
    assert found["Configuration"]["PrimarySource"] == source
    install = buildspec(f"mlops-delivery-{step}")["phases"]["install"]["commands"]
    assert any(f'ln -s -- "$CODEBUILD_SRC_DIR_{synth}" "cdk.out"' in command for command in install)


def test_all_files_are_published_by_one_build_that_never_takes_a_role_that_deploys() -> None:
    assert len(stages()["Assets"]) == 1
    spec = buildspec("mlops-delivery-assets")
    assert spec["phases"]["install"]["commands"] == [f"npm install -g aws-cdk@{CLI_VERSION}"]
    narrow, publish = spec["phases"]["build"]["commands"]
    assert "s/-deploy-role-/-lookup-role-/" in narrow
    assert publish.startswith("cdk publish-assets")
    assert "'DeliveryStack/**'" in publish


def test_the_role_that_deploys_is_called_in_the_assembly_as_the_build_of_files_expects() -> None:
    for manifest in Path(assembly("full").directory).glob("assembly-DeliveryStack-*/manifest.json"):
        (stack,) = [
            one
            for one in json.loads(manifest.read_text())["artifacts"].values()
            if one["type"] == "aws:cloudformation:stack"
        ]
        assert "-deploy-role-" in stack["properties"]["assumeRoleArn"]


def test_the_pipeline_updates_itself_with_the_pinned_cli() -> None:
    commands = json.dumps(buildspec("mlops-delivery-selfupdate"))
    assert f"aws-cdk@{CLI_VERSION}" in commands
    assert "deploy DeliveryStack" in commands
    package = json.loads((ROOT / "package.json").read_text())
    assert CLI_VERSION in json.dumps(package)


def test_the_stacks_are_those_of_a_direct_deployment() -> None:
    for name in STAGE_OF:
        inside, stack_name = nested(name)
        assert stack_name == name
        assert inside == template("full", name)


def test_a_build_makes_what_a_person_makes_but_no_stack_twice() -> None:
    built = Path(synthesized(SETTINGS["delivered"], by_hand=False).directory)
    by_hand = Path(assembly("delivered").directory)
    assert {path.name for path in built.glob("*.template.json")} == {"DeliveryStack.template.json"}
    templates = {path.relative_to(built) for path in built.rglob("*.template.json")}
    assert len(templates) > len(WAVES)
    for path in templates:
        assert (built / path).read_bytes() == (by_hand / path).read_bytes(), path


@pytest.mark.parametrize("installation", ALL)
def test_every_build_has_an_end_no_privileges_and_a_log_that_is_kept(installation: str) -> None:
    found = template(installation, "DeliveryStack")
    groups = {
        one["LogGroupName"]: one["RetentionInDays"]
        for one in resources(found, "AWS::Logs::LogGroup").values()
    }
    for one in resources(found, "AWS::CodeBuild::Project").values():
        assert one["TimeoutInMinutes"] <= 180
        assert one["Environment"]["PrivilegedMode"] is False
        assert groups[f"/aws/codebuild/{one['Name']}"] == 365


@pytest.mark.parametrize("installation", ALL)
def test_all_that_is_kept_is_encrypted_with_rotating_keys_and_open_over_tls_only(installation: str) -> None:
    found = template(installation, "DeliveryStack")
    assert all(key["EnableKeyRotation"] for key in resources(found, "AWS::KMS::Key").values())
    closed = json.dumps(list(resources(found, "AWS::S3::BucketPolicy").values()))
    for name, bucket in resources(found, "AWS::S3::Bucket").items():
        # S3's log delivery can't write where a key of KMS encrypts
        algorithm = "AES256" if "-logs-" in bucket.get("BucketName", "") else "aws:kms"
        assert algorithm in json.dumps(bucket["BucketEncryption"])
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert name in closed
    for policy in resources(found, "AWS::S3::BucketPolicy").values():
        first = policy["PolicyDocument"]["Statement"][0]
        assert (first["Effect"], first["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    for topic in resources(found, "AWS::SNS::Topic").values():
        assert topic["KmsMasterKeyId"]


def test_reviews_are_kept_a_year() -> None:
    buckets = resources(template("full", "DeliveryStack"), "AWS::S3::Bucket").values()
    (reviews,) = [
        one for one in buckets if one.get("BucketName") == "sagemaker-mlops-delivery-333333333333-us-east-1"
    ]
    days = [rule.get("ExpirationInDays") for rule in reviews["LifecycleConfiguration"]["Rules"]]
    assert 365 in days
    assert environment("mlops-delivery-review")["REVIEW_BUCKET"] == reviews["BucketName"]


def test_projects_name_their_roles_by_arn_since_a_name_does_not_tell_the_path() -> None:
    for one in resources(template("versions", "DeliveryStack"), "AWS::CodeBuild::Project").values():
        assert one["ServiceRole"]["Fn::GetAtt"][1] == "Arn"


@pytest.mark.parametrize("stack", ["RegistryStack", "DevStack", "ProdStack"])
def test_delivery_adds_a_role_for_its_checks_to_a_stage_and_changes_nothing_else(stack: str) -> None:
    without, with_it = (template(name, stack)["Resources"] for name in ("default", "delivered"))
    added = {key: one["Type"] for key, one in with_it.items() if key not in without}
    assert all(key.startswith("Checker") and kind.startswith("AWS::IAM::") for key, kind in added.items())
    assert bool(added) == (stack != "RegistryStack")
    assert {key: one for key, one in with_it.items() if key not in added} == without


def test_nothing_is_built_without_a_delivery_section() -> None:
    names = [stack.stack_name for stack in assembly("default").stacks]
    assert sorted(names) == ["DevStack", "ProdStack", "RegistryStack"]


def test_there_is_no_build_for_a_stage_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="expected 1"):
        project("mlops-delivery-check-staging", "delivered")
