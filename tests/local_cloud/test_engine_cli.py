"""The real CDK CLI against the embedded cloud: bootstrap, deploy, diff, a failing update, destroy."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.keeper import profile_name, write_profiles
from local_cloud.process import clean_environment
from tests.local_cloud.engine_kit import DEV, FAKE, REGISTRY

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("cdk")]
ROOT = Path(__file__).resolve().parents[2]
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


class Cli:
    """Runs the pinned CDK CLI under a profile of the embedded cloud."""

    def __init__(self, cloud: LocalCloud, folder: Path) -> None:
        self._folder = folder
        write_profiles(folder / "aws-config", cloud, "us-east-1")
        self._environment = {
            **clean_environment(),
            "AWS_CONFIG_FILE": str(folder / "aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws-config"),
            "AWS_ENDPOINT_URL": cloud.endpoint,
            "AWS_ENDPOINT_URL_S3": cloud.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }

    def run(self, *arguments: str, account: str = DEV) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / ".venv/bin/node"), str(ROOT / "node_modules/aws-cdk/bin/cdk"), *arguments]
        command += ["--profile", profile_name(account), "--ci"]
        return subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def test_the_cdk_cli_bootstraps_deploys_diffs_rolls_back_and_destroys(
    assembly: Callable[[str], Path], tmp_path: Path
) -> None:
    app = ["--app", str(assembly("one"))]
    with LocalCloud.start(sagemaker_module=FAKE) as cloud:
        cli = Cli(cloud, tmp_path)
        for account in (DEV, REGISTRY):
            environment = f"aws://{account}/us-east-1"
            trust = ["--trust", DEV, "--cloudformation-execution-policies", ADMINISTRATOR]
            bootstrapped = cli.run("bootstrap", *trust, environment, account=account)
            assert bootstrapped.returncode == 0, bootstrapped.stdout + bootstrapped.stderr
        deployed = cli.run("deploy", "--all", "--concurrency", "2", "--require-approval", "never", *app)
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        diff = cli.run("diff", "--fail", *app)
        assert diff.returncode == 0, diff.stdout + diff.stderr
        assert "Number of stacks with differences: 0" in diff.stdout + diff.stderr
        failing = cli.run(
            "deploy", "EngineDev", "-e", "--require-approval", "never", "--app", str(assembly("bad"))
        )
        assert failing.returncode == 1
        assert "the value bad is refused" in failing.stdout + failing.stderr
        stacks = cloud.session(DEV).client("cloudformation").describe_stacks(StackName="EngineDev")["Stacks"]
        assert stacks[0]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        destroyed = cli.run("destroy", "--all", "--force", *app)
        assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
        buckets = cloud.session(REGISTRY).client("s3").list_buckets()["Buckets"]
        assert f"engine-test-artifacts-{REGISTRY}" in [bucket["Name"] for bucket in buckets]


def test_another_account_must_trust_the_one_that_deploys(
    assembly: Callable[[str], Path], tmp_path: Path
) -> None:
    with LocalCloud.start(sagemaker_module=FAKE) as cloud:
        cli = Cli(cloud, tmp_path)
        for account in (DEV, REGISTRY):
            cli.run("bootstrap", f"aws://{account}/us-east-1", account=account)
        refused = cli.run(
            "deploy", "EngineRegistry", "--require-approval", "never", "--app", str(assembly("one"))
        )
        assert refused.returncode == 1
        assert "Could not assume role in target account" in refused.stdout + refused.stderr
