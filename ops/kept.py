"""What a destroyed stack has left in its account: found by name, or through its alias where it has only an id."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import botocore.exceptions

from ops.errors import CommandError

Resource = Mapping[str, Any]

KEY = "AWS::KMS::Key"
ALIAS = "AWS::KMS::Alias"
BUCKET = "AWS::S3::Bucket"
GROUP = "AWS::SageMaker::ModelPackageGroup"

#: The properties that CloudFormation must know of a resource that it takes up: required ones, and those that it
#: could later change by replacing the resource only. It believes what it is told and looks at nothing, so all
#: other properties are given by an update afterwards, which really sets them.
IDENTIFYING = {
    KEY: (),
    ALIAS: ("AliasName", "TargetKeyId"),
    BUCKET: ("BucketName",),
    GROUP: ("ModelPackageGroupName", "ModelPackageGroupDescription"),
}


@dataclass(frozen=True)
class Kept:
    """A resource that stayed.

    Attributes
    ----------
    logical_id
        Its name in the template.
    definition
        What the template says about it.
    identifier
        How CloudFormation finds it: its type's primary identifier.
    words
        How a person knows it.
    """

    logical_id: str
    definition: Resource
    identifier: dict[str, str]
    words: str

    @property
    def bare(self) -> dict[str, Any]:
        """Return the definition with only the properties that an import needs."""
        properties = self.definition.get("Properties", {})
        wanted = IDENTIFYING[self.definition["Type"]]
        return {
            **self.definition,
            "Properties": {key: properties[key] for key in wanted if key in properties},
        }

    def needs_only(self, there: Collection[str]) -> bool:
        """Return whether all that the definition refers to is there; else only a whole deployment can give it."""
        depends = self.definition.get("DependsOn", [])
        needed = {depends} if isinstance(depends, str) else set(depends)
        needed |= set(_references(self.definition.get("Properties", {})))
        return all(name in there or name.startswith("AWS::") for name in needed)


def _references(value: Any) -> Iterator[str]:
    """Yield what an expression of a template refers to."""
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
    elif isinstance(value, Mapping):
        if name := referred(value):
            yield name
        elif "Fn::Sub" in value:
            text = value["Fn::Sub"]
            yield from re.findall(r"\$\{([^!.}]+)", text if isinstance(text, str) else text[0])
        for one in value.values():
            yield from _references(one)


def retained(template: Mapping[str, Any]) -> dict[str, Resource]:
    """Return the resources of a template that stay when their stack goes."""
    return {
        name: resource
        for name, resource in template.get("Resources", {}).items()
        if resource["Type"] in IDENTIFYING and str(resource.get("DeletionPolicy", "")).startswith("Retain")
    }


def find(session: Any, missing: Mapping[str, Resource], ours: Callable[[str], str | None]) -> list[Kept]:
    """Return which of the resources that a stack lacks are there already, keys first.

    Parameters
    ----------
    session
        A boto3 session in the stack's account and region.
    missing
        Retained resources of the template that the stack doesn't have.
    ours
        Physical id of a resource that the stack has, by its logical id; None where it has none.

    Raises
    ------
    CommandError
        Where something that stayed can't be taken up as it is.
    """
    keys = _keys(session.client("kms"), missing, ours)
    found = list(keys.values())
    for name, resource in missing.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == BUCKET and _bucket_exists(session.client("s3"), properties["BucketName"]):
            _check_its_key(session.client("s3"), properties, missing, found, ours)
            bucket = properties["BucketName"]
            found.append(Kept(name, resource, {"BucketName": bucket}, f"bucket {bucket}"))
        elif resource["Type"] == GROUP:
            group = properties["ModelPackageGroupName"]
            if arn := _group_arn(session.client("sagemaker"), group):
                identifier = {"ModelPackageGroupArn": arn}
                found.append(Kept(name, resource, identifier, f"model package group {group}"))
    return found


def _keys(kms: Any, missing: Mapping[str, Resource], ours: Callable[[str], str | None]) -> dict[str, Kept]:
    """Return aliases that exist, and the keys that they stand for, by logical id."""
    found: dict[str, Kept] = {}
    for name, resource in missing.items():
        if resource["Type"] != ALIAS:
            continue
        alias = resource["Properties"]["AliasName"]
        key = _key_of(kms, alias)
        if key is None:
            continue
        logical_id = referred(resource["Properties"]["TargetKeyId"])
        if logical_id in missing:
            identifier = {"KeyId": key["KeyId"]}
            found[logical_id] = Kept(logical_id, missing[logical_id], identifier, f"key {key['KeyId']}")
        elif (other := ours(logical_id)) != key["KeyId"]:
            raise CommandError(
                f"{alias} stands for key {key['KeyId']}, but the stack has made key {other}: what the first one"
                f" encrypts would be lost from sight. Delete the stack and adopt again"
            )
        found[name] = Kept(name, resource, {"AliasName": alias}, alias)
    return found


def _key_of(kms: Any, alias: str) -> Mapping[str, Any] | None:
    try:
        key: Mapping[str, Any] = kms.describe_key(KeyId=alias)["KeyMetadata"]
    except kms.exceptions.NotFoundException:
        return None
    if key["KeyState"] != "Enabled":
        fix = (
            f"aws kms cancel-key-deletion --key-id {key['KeyId']} and "
            if key["KeyState"] == "PendingDeletion"
            else ""
        )
        raise CommandError(
            f"the key of {alias} is {key['KeyState']}; run: {fix}aws kms enable-key --key-id {key['KeyId']}"
        )
    return key


def _bucket_exists(s3: Any, bucket: str) -> bool:
    try:
        s3.head_bucket(Bucket=bucket)
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("404", "NoSuchBucket"):
            return False
        raise CommandError(
            f"bucket {bucket} exists, but these credentials may not look at it ({code})"
        ) from None
    return True


def _check_its_key(
    s3: Any,
    properties: Resource,
    missing: Mapping[str, Resource],
    found: list[Kept],
    ours: Callable[[str], str | None],
) -> None:
    """Refuse a bucket whose key is not the one that the stack would have: its objects could no longer be read."""
    rules = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    defaults = [rule.get("ServerSideEncryptionByDefault", {}) for rule in rules]
    logical_ids = [referred(default["KMSMasterKeyID"]) for default in defaults if "KMSMasterKeyID" in default]
    if not logical_ids:
        return
    bucket = properties["BucketName"]
    encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    used = str(encryption[0]["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID", "S3's own key"))
    here = {one.logical_id: one.identifier.get("KeyId") for one in found}
    key = here.get(logical_ids[0]) or ours(logical_ids[0])
    if key and used.endswith(key):
        return
    aliases = [
        one["Properties"]["AliasName"]
        for one in missing.values()
        if one["Type"] == ALIAS and referred(one["Properties"]["TargetKeyId"]) == logical_ids[0]
    ]
    alias = aliases[0] if aliases else "the alias of the stack's key"
    stands, verb = (f"stands for {key}", "update-alias") if key else ("is gone", "create-alias")
    raise CommandError(
        f"bucket {bucket} is encrypted with {used}, but {alias} {stands}; set it right:"
        f" aws kms {verb} --alias-name {alias} --target-key-id {used}"
    )


def _group_arn(sagemaker: Any, group: str) -> str | None:
    pages = sagemaker.get_paginator("list_model_package_groups").paginate(NameContains=group)
    for page in pages:
        for one in page["ModelPackageGroupSummaryList"]:
            if one["ModelPackageGroupName"] == group:
                return str(one["ModelPackageGroupArn"])
    return None


def referred(value: Any) -> str:
    """Return the logical id that an expression of a template refers to, else an empty text."""
    if isinstance(value, Mapping):
        target = value.get("Ref") or value.get("Fn::GetAtt")
        return str(target[0] if isinstance(target, list) else target or "").split(".")[0]
    return ""
