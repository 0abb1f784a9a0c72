"""An installation on the embedded cloud that GitHub Actions promotes: bootstrapped, with its delivery roles."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud.cloud import LocalCloud
from ops import cdk

REGION = "us-east-1"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
ISSUER = "https://token.actions.githubusercontent.com"


def token(subject: str, audience: str = "sts.amazonaws.com") -> str:
    """Return a token as GitHub issues it to a job; the embedded cloud doesn't look at the signature."""

    def part(values: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part({'iss': ISSUER, 'aud': audience, 'sub': subject})}.none"


@dataclass
class Promotion:
    """The cloud, the assembly, and what a job of the workflow can do."""

    cloud: LocalCloud
    work: Path
    accounts: dict[str, str]

    @property
    def assembly(self) -> Path:
        """Return the assembly that is promoted."""
        return self.work / "cdk.out"

    def root(self, account: str) -> dict[str, str]:
        """Return the environment of a command that an account's root runs."""
        return {
            **cdk.environment(self.cloud.environment(self.accounts[account], REGION)),
            "MLOPS_SETTINGS": str(self.work / "settings.json"),
            "GIT_COMMIT": "0" * 40,
        }

    def prepare(self, settings: dict[str, Any]) -> None:
        """Bootstrap the accounts and, beside that, synthesize."""
        (self.work / "settings.json").write_text(json.dumps(settings))
        trust = ["--trust", self.accounts["registry"], "--cloudformation-execution-policies", ADMINISTRATOR]
        commands = [
            cdk.Command(
                ["bootstrap", f"aws://{account}/{REGION}", *trust],
                self.root(name),
                self.work / f"bootstrap-{name}.log",
                folder=self.work,
            )
            for name, account in self.accounts.items()
        ]
        synth = ["synth", "--quiet", "--output", str(self.assembly)]
        commands.append(cdk.Command(synth, self.root("registry"), self.work / "synth.log"))
        with ExitStack() as running:
            for command in [running.enter_context(command) for command in commands]:
                command.finish()

    def deploy_roles(self) -> None:
        """Deploy the delivery's roles, as a person does once."""
        arguments = ["deploy", "DeliveryStack", "--app", str(self.assembly), "--require-approval", "never"]
        log = self.work / "roles.log"
        with cdk.Command(arguments, self.root("registry"), log, folder=self.work) as command:
            command.finish()

    def job(self, role: str, subject: str) -> dict[str, str]:
        """Return the environment of a job's steps after configure-aws-credentials."""
        account = self.accounts["registry"]
        sts = self.cloud.session(account).client("sts")
        keys = sts.assume_role_with_web_identity(
            RoleArn=f"arn:aws:iam::{account}:role/mlops/delivery/build/mlops-delivery-{role}",
            RoleSessionName="job",
            WebIdentityToken=token(subject),
        )["Credentials"]
        return self.root("registry") | {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }

    def make(self, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make targets as a step does."""
        return subprocess.run(
            ["make", *arguments], cwd=cdk.ROOT, env=env, capture_output=True, text=True, check=False
        )

    def state(self, account: str, stack: str) -> str:
        """Return the state of a stack; gone or never made is none."""
        cloudformation = self.cloud.session(self.accounts[account]).client("cloudformation")
        listed = cloudformation.list_stacks()["StackSummaries"]
        states = [str(one["StackStatus"]) for one in listed if one["StackName"] == stack]
        return states[0] if states else "none"


def broken(assembly: Path, copy: Path, stack: str) -> Path:
    """Copy an assembly, with one resource more in a stack that CloudFormation can't make."""
    shutil.copytree(assembly, copy)
    manifest = copy / "manifest.json"
    properties = json.loads(manifest.read_text())["artifacts"][stack]["properties"]
    template = copy / properties["templateFile"]
    found = json.loads(template.read_text())
    statement = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::none"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    # After all others, so that there is something to take back.
    found["Resources"]["Broken"] = {
        "Type": "AWS::IAM::Policy",
        "Properties": {"PolicyName": "broken", "Roles": ["no-such-role"], "PolicyDocument": policy},
        "DependsOn": sorted(found["Resources"]),
    }
    alarms = [one for one in found["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    for alarm in alarms:
        alarm["Properties"]["AlarmDescription"] = "changed, and taken back"
    old = re.search(r"([0-9a-f]{64})\.json", properties["stackTemplateAssetObjectUrl"])
    assert old is not None
    template.write_text(json.dumps(found))
    new = hashlib.sha256(template.read_bytes()).hexdigest()
    for file in (manifest, copy / f"{stack}.assets.json"):
        file.write_text(file.read_text().replace(old.group(1), new))
    return copy
