"""An installation that the real CDK CLI deploys to an embedded cloud, and what can be seen of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from demo.lookout import Lookout
from local_cloud.keeper import write_profiles
from ops import cdk

STACKS = ("RegistryStack", "DevStack", "ProdStack")
DELIVERED = ("DeliveryStack/Registry/*", "DeliveryStack/Dev/*", "DeliveryStack/Prod/*")
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@dataclass
class Installation(Lookout):
    """Three accounts and the CDK CLI: the commands that a person types, on assemblies synthesized before."""

    work: Path = Path()

    def environment(self, account_name: str = "registry", settings: str = "direct") -> dict[str, str]:
        """Return the environment of a command that an account's root runs."""
        credentials = self.cloud.environment(self.settings.accounts[account_name], self.region)
        # The commit is a parameter of the pipelines, and others may commit while this runs.
        return {**cdk.environment(credentials, self.work / f"{settings}.json"), "GIT_COMMIT": "0" * 40}

    def prepare(self, settings: dict[str, dict[str, Any]]) -> None:
        """Bootstrap the accounts and, beside that, synthesize the settings by name."""
        trust = ["--trust", self.settings.accounts["registry"]]
        trust += ["--cloudformation-execution-policies", ADMINISTRATOR]
        commands = []
        for name, account in self.settings.accounts.items():
            arguments = ["bootstrap", f"aws://{account}/{self.region}", *trust]
            log = self.work / f"bootstrap-{name}.log"
            commands.append(cdk.Command(arguments, self.environment(name), log, folder=self.work))
        for name, values in settings.items():
            (self.work / f"{name}.json").write_text(json.dumps(values))
            arguments = ["synth", "--quiet", "--output", str(self.work / name)]
            commands.append(
                cdk.Command(arguments, self.environment(settings=name), self.work / f"synth-{name}.log")
            )
        with ExitStack() as running:
            for command in [running.enter_context(command) for command in commands]:
                command.finish()

    def cdk(self, *arguments: str, assembly: str = "direct") -> str:
        """Run a CDK command on an assembly and return what it printed."""
        log = self.work / f"{arguments[0]}-{assembly}.log"
        whole = [*arguments, "--app", str(self.work / assembly)]
        with cdk.Command(whole, self.environment(), log, folder=self.work) as command:
            return command.finish()

    def deploy(self, *stacks: str, assembly: str = "direct") -> str:
        """Deploy stacks."""
        return self.cdk(
            "deploy", *stacks, "--require-approval", "never", "--concurrency", "3", assembly=assembly
        )

    def adopt(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run ``make adopt`` as a person with one AWS profile an account."""
        config = self.work / "aws-config"
        profiles = {f"mlops-{name}": account for name, account in self.settings.accounts.items()}
        write_profiles(config, self.cloud, self.region, profiles)
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        env |= {
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(config),
            "AWS_ENDPOINT_URL": self.cloud.endpoint,
            "AWS_ENDPOINT_URL_S3": self.cloud.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLOPS_SETTINGS": str(self.work / "direct.json"),
            "GIT_COMMIT": "0" * 40,
        }
        return subprocess.run(
            [sys.executable, "-m", "ops", "adopt"],
            cwd=cdk.ROOT,
            env=env | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def statuses(self) -> dict[str, str]:
        """Return the state of each stack; gone is none."""
        found = {}
        for stack, account in zip(STACKS, ("registry", "dev", "prod"), strict=True):
            listed = self.client(account, "cloudformation").list_stacks()["StackSummaries"]
            states = [one["StackStatus"] for one in listed if one["StackName"] == stack]
            found[stack] = states[0] if states else "none"
        return found

    def holdings(self) -> dict[str, Any]:
        """Return what stays, in every detail: keys by alias, buckets, groups, and what each lets whom do."""
        found: dict[str, Any] = {}
        for account in self.settings.accounts:
            kms, s3 = self.client(account, "kms"), self.client(account, "s3")
            for alias in kms.list_aliases()["Aliases"]:
                if alias["AliasName"].startswith("alias/mlops-"):
                    found[alias["AliasName"]] = _key(kms, alias["TargetKeyId"])
            for bucket in s3.list_buckets()["Buckets"]:
                if bucket["Name"].startswith("sagemaker-mlops-"):
                    found[bucket["Name"]] = _bucket(s3, bucket["Name"])
        sagemaker, group = self.client("registry", "sagemaker"), self.model.model_package_group
        policy = sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"]
        described = sagemaker.describe_model_package_group(ModelPackageGroupName=group)
        tags = sagemaker.list_tags(ResourceArn=described["ModelPackageGroupArn"])["Tags"]
        created = str(described["CreationTime"])
        found[group] = {"policy": json.loads(policy), "created": created, "tags": _tags(tags)}
        return found


def changed_types(diff: str) -> set[str]:
    """Return the types of the resources that a diff adds, changes or removes."""
    return set(re.findall(r"^\[[+~-]\] (\S+)", diff, re.MULTILINE))


def differences(diff: str) -> int:
    """Return how many stacks a diff found different."""
    (number,) = re.findall(r"Number of stacks with differences: (\d+)", diff)
    return int(number)


def _tags(tags: list[dict[str, str]]) -> dict[str, str]:
    return {
        tag.get("Key") or tag["TagKey"]: tag.get("Value") or tag["TagValue"]
        for tag in tags
        if not (tag.get("Key") or tag["TagKey"]).startswith("aws:")
    }


def _key(kms: Any, key: str) -> dict[str, Any]:
    return {
        "id": key,
        "description": kms.describe_key(KeyId=key)["KeyMetadata"]["Description"],
        "policy": json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]),
        "rotates": kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"],
        "tags": _tags(kms.list_resource_tags(KeyId=key)["Tags"]),
    }


def _bucket(s3: Any, bucket: str) -> dict[str, Any]:
    def ask(operation: str) -> Any:
        try:
            answer = getattr(s3, f"get_{operation}")(Bucket=bucket)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}

    return {
        name: ask(name)
        for name in (
            "bucket_encryption",
            "bucket_versioning",
            "bucket_lifecycle_configuration",
            "bucket_ownership_controls",
            "bucket_policy",
            "bucket_tagging",
            "public_access_block",
        )
    }
