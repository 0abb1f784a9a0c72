"""What `make check` runs fails where it must, and what it covers can be deployed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.deployer import deploy
from tests.compliance.__main__ import validated
from tests.compliance.installations import AUDIT, ONE_MODEL, Installation
from tests.compliance.seeds import BROKEN, Resources
from tests.stacks.installations import ROOT, context, synthesized

REGISTRY = "333333333333"
HERE = Installation("seeded", {})


@contextmanager
def app_with(resources: Resources, folder: Path, **more: object) -> Iterator[cdk.App]:
    """An app as `make check` makes it, with bare resources."""
    quiet = {"@aws-cdk/core:validationReportPrettyPrint": False}
    app = cdk.App(context={**context(), **quiet, **more}, analytics_reporting=False, outdir=str(folder))
    stack = cdk.Stack(app, "Seeded", env=cdk.Environment(account=REGISTRY, region="eu-west-1"))
    for logical_id, (kind, properties) in resources.items():
        cdk.CfnResource(stack, logical_id, type=kind, properties=properties)
    yield app


def failures(resources: Resources, folder: Path, **more: object) -> list[str]:
    with app_with(resources, folder, **more) as app:
        return validated(app, HERE)


def test_a_template_that_cdks_own_validation_refuses_fails(tmp_path: Path) -> None:
    (line,) = failures({"Queue": ("AWS::SQS::Queue", {"NoSuchProperty": 1})}, tmp_path)
    assert line.startswith("seeded: ")


def test_a_template_that_breaks_one_of_our_rules_fails(tmp_path: Path) -> None:
    (line,) = failures(BROKEN["AnyResource"][1], tmp_path)
    assert line.startswith("seeded: ")


def test_what_would_only_be_a_warning_fails_too(tmp_path: Path) -> None:
    flag = {"@aws-cdk/core:validateAgainstDefaultRules": False}
    lines = failures(BROKEN["AnyResource"][1], tmp_path, **flag)
    assert any("MLOPS-IAM-3" in line for line in lines)


def test_a_template_without_a_fault_passes(tmp_path: Path) -> None:
    assert failures({"Group": ("AWS::Logs::LogGroup", {"RetentionInDays": 7})}, tmp_path) == []


def test_cdk_synth_fails_for_what_its_validation_finds() -> None:
    flags: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
    assert flags["@aws-cdk/core:validateAgainstDefaultRules"] is True


@pytest.mark.cloud
@pytest.mark.xdist_group("audit")
def test_a_registry_with_an_audit_trail_deploys_and_watches_the_artifacts() -> None:
    assembly = Path(synthesized({**ONE_MODEL, "audit": AUDIT}).directory)
    with LocalCloud.start(accounts=(REGISTRY,)) as cloud:
        deploy(cloud, assembly, stacks=["RegistryStack"])
        session = cloud.session(REGISTRY)
        trails, s3 = session.client("cloudtrail"), session.client("s3")
        assert trails.get_trail_status(Name="mlops-registry-audit")["IsLogging"] is True
        selectors = trails.get_event_selectors(TrailName="mlops-registry-audit")["AdvancedEventSelectors"]
        artifacts = f"sagemaker-mlops-artifacts-{REGISTRY}-us-east-1"
        assert f"arn:aws:s3:::{artifacts}/" in json.dumps(selectors)
        logged = s3.get_bucket_logging(Bucket=artifacts)["LoggingEnabled"]
        assert logged["TargetBucket"] == f"sagemaker-mlops-registry-logs-{REGISTRY}-us-east-1"
