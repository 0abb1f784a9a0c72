"""Copies between S3 and the folders of a job, with the permissions of the job's role."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError


class TransferError(Exception):
    """Data couldn't be read or written; the message is fit to be a job's failure reason: one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an S3 URI.

    Raises
    ------
    TransferError
        It isn't one.
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise TransferError(f'ClientError: "{uri}" isn\'t an S3 URI of the form s3://bucket/key')
    return parts.netloc, parts.path.lstrip("/")


def read_object(s3: Any, uri: str) -> bytes:
    """Return the content of an object."""
    bucket, key = split_uri(uri)
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except (ClientError, BotoCoreError) as error:
        raise TransferError(f"ClientError: can't read {uri}: {error}") from error
    return content


def objects_under(s3: Any, uri: str, role_arn: str) -> list[tuple[str, str]]:
    """List the objects that an S3 prefix names.

    Returns
    -------
    list[tuple[str, str]]
        URI of the object, and its path relative to the prefix (its file name where the URI is the object's own).

    Raises
    ------
    TransferError
        Nothing is there, or the role may not list it.
    """
    bucket, prefix = split_uri(uri)
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    except (ClientError, BotoCoreError) as error:
        raise TransferError(f'ClientError: can\'t list "{uri}": {error}') from error
    found = [(f"s3://{bucket}/{key}", _relative(key, prefix)) for key in keys if not key.endswith("/")]
    if not found:
        raise TransferError(
            f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the '
            f"bucket exists in the selected region, that objects exist under that S3 prefix, and that the role "
            f'"{role_arn}" has "s3:ListBucket" permissions on bucket "{bucket}".'
        )
    return found


def _relative(key: str, prefix: str) -> str:
    folder = prefix if prefix.endswith("/") or not prefix else prefix + "/"
    if key.startswith(folder):
        return key[len(folder) :]
    # The prefix is the object itself, or cuts a name in two: SageMaker keeps the path from the last slash on.
    return key[prefix.rfind("/") + 1 :]


def download(s3: Any, uri: str, folder: Path, role_arn: str) -> list[Path]:
    """Copy all objects under a prefix into a folder; returns the files."""
    return download_objects(s3, objects_under(s3, uri, role_arn), folder, role_arn)


def download_objects(s3: Any, objects: Iterable[tuple[str, str]], folder: Path, role_arn: str) -> list[Path]:
    """Copy objects into a folder, as `objects_under` lists them; returns the files."""
    files = []
    for source, relative in objects:
        target = folder / relative
        if not target.resolve().is_relative_to(folder.resolve()):
            raise TransferError(f"ClientError: the key of {source} leads out of the folder of its channel")
        bucket, key = split_uri(source)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            body = s3.get_object(Bucket=bucket, Key=key)["Body"]
            with target.open("wb") as file:
                shutil.copyfileobj(body, file, 1 << 20)
        except (ClientError, BotoCoreError) as error:
            raise TransferError(f"ClientError: can't read {source} as {role_arn}: {error}") from error
        except (OSError, ValueError) as error:  # a key that is a folder of another one, too long, or no name
            raise TransferError(f"ClientError: {source} can't be a file in the job: {error}") from error
        files.append(target)
    return files


def upload(s3: Any, file: Path, uri: str, kms_key: str | None) -> None:
    """Write a file to an object, encrypted with a KMS key if one is given."""
    bucket, key = split_uri(uri)
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
    try:
        with file.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=key, Body=body, **encryption)
    except (ClientError, BotoCoreError) as error:
        raise TransferError(f"ClientError: can't write {uri}: {error}") from error


def upload_folder(s3: Any, folder: Path, uri: str, kms_key: str | None) -> None:
    """Write all files under a folder to objects under a prefix."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        upload(s3, file, f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}", kms_key)
