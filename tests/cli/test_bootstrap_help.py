"""The commands that `make bootstrap-help` prints, run as they are; then a build that looks by the bootstrap's roles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.deployer import deploy
from local_cloud.keeper import write_profiles
from ops import bootstrap, cdk
from stacks import settings as app
from stacks.installation import Settings
from tests.stacks.installations import CONNECTION, synthesized

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("cli-bootstrap")]

VALUES: dict[str, Any] = {
    "models": [{"folder": "mammography"}],
    "delivery": {"repository": "example/cdk-mlops", "connection_arn": CONNECTION},
}
WIDER: dict[str, Any] = VALUES | {"people": {"operators": ["arn:aws:iam::222222222222:user/grace"]}}

# Stands for the AWS CLI, which this repository doesn't need: the two commands that the scripts have.
AWS = """#!{python}
import argparse, pathlib, sys
import boto3
import botocore.exceptions
parser = argparse.ArgumentParser()
parser.add_argument("service", choices=["iam"])
parser.add_argument("operation", choices=["create-policy", "create-policy-version"])
for name in ("policy-name", "policy-arn", "policy-document", "profile"):
    parser.add_argument(f"--{{name}}")
parser.add_argument("--set-as-default", action="store_true")
given = parser.parse_args()
document = pathlib.Path(given.policy_document.removeprefix("file://")).read_text()
iam = boto3.Session(profile_name=given.profile).client("iam")
try:
    if given.operation == "create-policy":
        iam.create_policy(PolicyName=given.policy_name, PolicyDocument=document)
    else:
        now = given.set_as_default
        iam.create_policy_version(PolicyArn=given.policy_arn, PolicyDocument=document, SetAsDefault=now)
except botocore.exceptions.ClientError as error:
    sys.exit(str(error))
"""


@dataclass
class Prepared:
    """An embedded cloud after the commands, with the stacks deployed."""

    cloud: LocalCloud
    settings: Settings
    environment: dict[str, str]
    said: tuple[str, ...]

    def build(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a build of the delivery: in its account, without profiles for the others."""
        account = self.settings.accounts["registry"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "MLOPS_"))}
        env = kept | self.cloud.environment(account, self.settings.region)
        env |= {
            "MLOPS_BUILD": "true",
            "MLOPS_SETTINGS": self.environment["MLOPS_SETTINGS"],
            "GIT_COMMIT": "0" * 40,
        }
        return subprocess.run(
            [sys.executable, "-m", "ops", command],
            cwd=cdk.ROOT,
            env=env | variables,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    work = tmp_path_factory.mktemp("bootstrap")
    settings, assembly = app.load(VALUES), Path(synthesized(VALUES).directory)
    (work / "settings.json").write_text(json.dumps(VALUES))
    (work / "bin").mkdir()
    (work / "bin" / "aws").write_text(AWS.format(python=sys.executable))
    (work / "bin" / "aws").chmod(0o755)
    bootstrap.run(settings, assembly, work / "scripts", cdk.ROOT, say=lambda line: None)
    with LocalCloud.start(accounts=tuple(dict.fromkeys(settings.accounts.values()))) as cloud:
        profiles = {f"mlops-{name}": account for name, account in settings.accounts.items()}
        write_profiles(work / "config", cloud, settings.region, profiles)
        env = {key: value for key, value in cdk.environment({}).items() if not key.startswith("AWS_")} | {
            "AWS_CONFIG_FILE": str(work / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(work / "config"),
            "AWS_ENDPOINT_URL": cloud.endpoint,
            "AWS_ENDPOINT_URL_S3": cloud.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLOPS_SETTINGS": str(work / "settings.json"),
            "PATH": f"{work / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        said = [
            run_script(work / "scripts" / f"{name}.sh", env)
            for name in ("registry", "dev", "prod", "registry")
        ]
        deploy(cloud, assembly, stacks=["RegistryStack", "DevStack", "ProdStack"])
        yield Prepared(cloud, settings, env, tuple(said))


def run_script(script: Path, env: dict[str, str]) -> str:
    """Run what `make bootstrap-help` wrote, to its good end."""
    done = subprocess.run(["bash", str(script)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_a_script_can_be_run_again_and_then_sets_a_new_version(prepared: Prepared) -> None:
    assert ["its newest version instead" in said for said in prepared.said] == [False, False, False, True]


def test_cloudformation_deploys_with_our_policies_and_no_other(prepared: Prepared) -> None:
    region = prepared.settings.region
    for account in dict.fromkeys(prepared.settings.accounts.values()):
        iam = prepared.cloud.session(account, region).client("iam")
        name = f"cdk-hnb659fds-cfn-exec-role-{account}-{region}"
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        assert attached
        assert all(one["PolicyName"].startswith(bootstrap.POLICY) for one in attached)
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []


def test_a_build_reads_what_is_deployed_by_the_lookup_roles(prepared: Prepared) -> None:
    same = prepared.build(
        "permissions", STAGES="registry dev prod", ASSEMBLY=str(synthesized(VALUES).directory)
    )
    assert (same.returncode, same.stdout, same.stderr) == (0, "registry, dev, prod: nothing widens\n", "")
    wider = prepared.build("permissions", STAGES="prod", ASSEMBLY=str(synthesized(WIDER).directory))
    assert (wider.returncode, wider.stderr) == (3, "")
    assert wider.stdout.startswith("ProdStack: role mlops-prod-operator is new; can be assumed by")


def test_a_build_writes_a_review_by_the_lookup_roles(prepared: Prepared) -> None:
    done = prepared.build("review", STAGE="prod", ASSEMBLY=str(synthesized(WIDER).directory))
    assert (done.returncode, done.stderr) == (0, "")
    assert "mammography-severity-model: no version has been registered yet." in done.stdout
    assert "mammo-severity-train-pipeline keeps its definition; its code stays." in done.stdout


def test_a_build_that_nobody_trusts_gets_one_line_with_the_way_out(prepared: Prepared) -> None:
    iam = prepared.cloud.session(prepared.settings.accounts["registry"], prepared.settings.region).client(
        "iam"
    )
    iam.create_user(UserName="stranger")
    key = iam.create_access_key(UserName="stranger")["AccessKey"]
    credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    done = prepared.build(
        "permissions", STAGES="prod", ASSEMBLY=str(synthesized(VALUES).directory), **credentials
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "lookup-role-222222222222-us-east-1" in line
    assert "make bootstrap-help" in line
