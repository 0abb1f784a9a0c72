"""The code asset: a zip file is checked, then unpacked under an immutable prefix named by its hash."""

from __future__ import annotations

import hashlib
import lzma
import stat
import struct
import tempfile
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO, Any

from sagemaker_pipeline.properties import Code
from shared import log
from shared.aws import AwsError, error_code, error_text
from shared.objects import ObjectStore
from shared.text import one_line

MOST_FILES = 2_000
MOST_PACKED_BYTES = 100 * 1024**2
MOST_BYTES = 250 * 1024**2
MOST_BYTES_A_FILE = 50 * 1024**2
_CHUNK = 1024**2
# What zipfile raises of an archive that is damaged, encrypted or packed in a way that it doesn't know.
_DAMAGED = (zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError, RuntimeError, IndexError)


class BadArchive(Exception):
    """The code asset must not or can't be unpacked."""


def unpack(s3: Any, code: Code) -> bool:
    """Unpack the code where that isn't done yet; False where it is.

    The marker is written after everything else: a folder without it is unpacked again, one with it is never touched.

    Raises
    ------
    BadArchive
        The asset can't be read or is refused.
    """
    target = ObjectStore(s3, code.bucket)
    if target.exists(code.marker):
        return False
    with tempfile.TemporaryFile() as packed:
        _download(s3, code, packed)
        files: dict[str, dict[str, Any]] = {}
        with _open(packed) as archive:
            for info in checked_entries(archive):
                body = _read(archive, info)
                s3.put_object(Bucket=code.bucket, Key=f"{code.folder}/{info.filename}", Body=body)
                files[info.filename] = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    target.create_json(code.marker, {"folder": code.uri, "files": files})
    log.info("code unpacked", folder=code.uri, files=len(files))
    return True


def _download(s3: Any, code: Code, packed: IO[bytes]) -> None:
    try:
        answer = s3.get_object(Bucket=code.source_bucket, Key=code.source_key)
    except AwsError as error:
        place = f"s3://{code.source_bucket}/{code.source_key}"
        raise BadArchive(
            f"the code asset {place} can't be read: {error_code(error)}: {error_text(error)}"
        ) from error
    size = 0
    while chunk := answer["Body"].read(_CHUNK):
        size += len(chunk)
        if size > MOST_PACKED_BYTES:
            raise BadArchive(
                f"the code asset is larger than {MOST_PACKED_BYTES // 1024**2} MB: leave data and models out"
            )
        packed.write(chunk)


def _open(packed: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(packed)
    except (zipfile.BadZipFile, *_DAMAGED) as error:
        raise BadArchive(f"the code asset is no zip file: {one_line(error)}") from error


def checked_entries(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """List the files to unpack.

    Raises
    ------
    BadArchive
        A name leads out of the folder, an entry is no plain file, or it is all too much.
    """
    # a folder's name ends with a slash; ZipInfo.is_dir() breaks on a name that is empty
    entries = [info for info in archive.infolist() if not info.filename.endswith("/")]
    if not entries:
        raise BadArchive("the code asset holds no file")
    if len(entries) > MOST_FILES:
        raise BadArchive(f"the code asset holds {len(entries)} files, more than {MOST_FILES}")
    names: set[str] = set()
    for info in entries:
        _check_name(info.orig_filename)
        if info.filename in names:
            raise BadArchive(f"the code asset holds '{info.filename}' twice")
        names.add(info.filename)
        mode = info.external_attr >> 16
        if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise BadArchive(f"the code asset's '{info.filename}' is a link or a device, not a plain file")
        if info.flag_bits & 0x1:
            raise BadArchive(f"the code asset's '{info.filename}' is encrypted")
        if info.file_size > MOST_BYTES_A_FILE:
            raise BadArchive(
                f"the code asset's '{info.filename}' has {info.file_size:,} bytes, more than {MOST_BYTES_A_FILE:,}"
            )
    total = sum(info.file_size for info in entries)
    if total > MOST_BYTES:
        raise BadArchive(f"the code asset unpacks to {total:,} bytes, more than {MOST_BYTES:,}")
    return entries


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    odd = path.is_absolute() or "\\" in name or ":" in name or not name.isprintable()
    if odd or any(part in ("..", ".", "") for part in name.split("/")):
        raise BadArchive(f"the code asset's entry {name!r} is refused: it must be a plain relative path")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as source:
            # one byte more than was declared, so that a wrong declaration is seen
            body = source.read(info.file_size + 1)
    except (zipfile.BadZipFile, *_DAMAGED) as error:
        raise BadArchive(
            f"the code asset's '{info.filename}' can't be unpacked: {type(error).__name__}: {one_line(error)}"
        ) from error
    if len(body) != info.file_size:
        raise BadArchive(
            f"the code asset's '{info.filename}' doesn't have the size that the zip file declares"
        )
    return body
