"""State kept in S3: small JSON objects, written under conditions so that the first writer wins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.aws import AwsError, error_code

_LOST = ("PreconditionFailed", "412")
_GONE = ("NoSuchKey", "404", "NotFound")
_AGAIN = ("ConditionalRequestConflict", "409")


class UnreadableObject(Exception):
    """An object that should hold a JSON object holds something else."""


@dataclass(frozen=True)
class ObjectSummary:
    """One object of a listing."""

    key: str
    size: int
    etag: str
    modified: datetime | None = None


@dataclass(frozen=True)
class ObjectVersion:
    """The current S3 version of an object. Its bytes never change: whoever writes the key makes another version."""

    uri: str
    version_id: str
    modified: datetime


@dataclass(frozen=True)
class Document:
    """A JSON object and the ETag it was read with."""

    value: dict[str, Any]
    etag: str


class ObjectStore:
    """One bucket.

    Whether an object exists is asked by listing: where the permission to list is bounded by prefix, S3 answers a read
    of a missing key with 403, which can't be told from a missing permission.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """

    def __init__(self, s3: Any, bucket: str) -> None:
        self.s3 = s3
        self.bucket = bucket

    def uri(self, key: str) -> str:
        """The object's URI."""
        return f"s3://{self.bucket}/{key}"

    def listing(self, prefix: str) -> list[ObjectSummary]:
        """All objects whose key begins with `prefix`, in the order of their keys."""
        found: list[ObjectSummary] = []
        token: dict[str, str] = {}
        while True:
            page = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **token)
            for item in page.get("Contents", []):
                etag = str(item["ETag"]).strip('"')
                found.append(ObjectSummary(item["Key"], int(item["Size"]), etag, item.get("LastModified")))
            if not page.get("IsTruncated"):
                return sorted(found, key=lambda item: item.key)
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def exists(self, key: str) -> bool:
        """Whether there is an object of exactly this key."""
        page = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1)
        # the exact key is the first of all that begin with it
        return any(item["Key"] == key for item in page.get("Contents", []))

    def current_version(self, key: str) -> ObjectVersion | None:
        """The current version of an object, or None where there is none or it was deleted.

        It needs `s3:ListBucketVersions` and neither reads nor decrypts the object. In a bucket without versions the id
        is `null`.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        # the exact key is the first of all that begin with it, and its newest version the first of its versions
        page = self.s3.list_object_versions(Bucket=self.bucket, Prefix=key)
        for item in page.get("Versions", []):
            if item["Key"] == key and item.get("IsLatest"):
                return ObjectVersion(self.uri(key), str(item.get("VersionId", "null")), item["LastModified"])
        return None

    def read_json(self, key: str) -> Document | None:
        """Read an object, or None where there is none.

        Raises
        ------
        UnreadableObject
            It holds no JSON object.
        """
        if not self.exists(key):
            return None
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=key)
        except AwsError as error:
            if error_code(error) in _GONE:
                return None
            raise
        try:
            value = json.loads(answer["Body"].read())
        except ValueError as error:
            raise UnreadableObject(f"{self.uri(key)} holds no JSON: {error}") from error
        if not isinstance(value, dict):
            raise UnreadableObject(f"{self.uri(key)} holds no JSON object")
        return Document(value, str(answer["ETag"]))

    def etag(self, key: str) -> str | None:
        """ETag of an object that may be unreadable, or None where there is none."""
        return next((f'"{item.etag}"' for item in self.listing(key) if item.key == key), None)

    def write_json(self, key: str, value: dict[str, Any] | list[dict[str, Any]]) -> None:
        """Write an object, whatever was there."""
        self._put(key, value)

    def create_json(self, key: str, value: dict[str, Any]) -> bool:
        """Write an object that must not exist yet; False where it does."""
        return self._put(key, value, IfNoneMatch="*")

    def replace_json(self, key: str, value: dict[str, Any], etag: str) -> bool:
        """Write over the object that was read with this ETag; False where someone else has written since."""
        return self._put(key, value, IfMatch=etag)

    def _put(self, key: str, value: dict[str, Any] | list[dict[str, Any]], **condition: str) -> bool:
        body = json.dumps(value, indent=1, sort_keys=True, default=str).encode()
        attempts = 5
        for attempt in range(1, attempts + 1):
            try:
                self.s3.put_object(
                    Bucket=self.bucket, Key=key, Body=body, ContentType="application/json", **condition
                )
            except AwsError as error:
                code = error_code(error)
                if condition and code in _LOST:
                    return False
                if "IfMatch" in condition and code in _GONE:
                    return False
                # two conditional writes met: S3 asks to try again
                if code in _AGAIN and attempt < attempts:
                    continue
                raise
            return True
        raise AssertionError("unreachable")


def digest(objects: Iterable[ObjectSummary]) -> str:
    """SHA-256 of keys, sizes and ETags: it changes whenever an object is added, removed or written again."""
    lines = [f"{item.key}\t{item.size}\t{item.etag}" for item in sorted(objects, key=lambda item: item.key)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
