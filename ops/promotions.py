"""Records of what was promoted to a stage, and which of them a rollback goes to.

A record is two objects in the stage's data bucket, ``_promotions/<id>/promotion.json`` and ``assembly.zip``: all that
CloudFormation needs to deploy it once more.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import botocore.exceptions

from ops.assembly import StackAssembly
from ops.checks_common import keys_below, read
from ops.errors import CommandError

PREFIX = "_promotions/"
RECORD, ARCHIVE = "promotion.json", "assembly.zip"
_MAX_UNPACKED = 2**30
# What zipfile raises of an archive that is damaged, encrypted or packed in a way that it doesn't know.
_UNREADABLE = (
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    IndexError,
)


@dataclass(frozen=True)
class Promotion:
    """What was deployed to a stage, and when.

    ``restores`` names the promotion that a rollback brought back; it is empty where ``rollback`` is false.
    """

    id: str
    stage: str
    stack: str
    commit: str
    recorded_at: str
    assembly_sha256: str
    definitions: Mapping[str, str]
    rollback: bool = False
    restores: str = ""

    def check(self) -> None:
        """Look whether every part is what its name says.

        Raises
        ------
        TypeError
            One isn't.
        """
        texts = [
            getattr(self, one.name) for one in fields(self) if one.name not in ("definitions", "rollback")
        ]
        if isinstance(self.definitions, dict):
            texts += [*self.definitions, *self.definitions.values()]
        fine = all(isinstance(text, str) and text.isprintable() for text in texts)
        if not fine or not isinstance(self.definitions, dict) or not isinstance(self.rollback, bool):
            raise TypeError("a part of the record is of the wrong type")

    @property
    def origin(self) -> str:
        """Return the promotion that brought these bytes to the stage first."""
        return self.restores if self.rollback else self.id

    def is_deployed(self, tags: Mapping[str, Mapping[str, str] | None]) -> bool:
        """Whether pipelines with these tags, by name, are the ones of this promotion."""
        return all(
            (found := tags.get(name)) is not None
            and found.get("mlops:definition") == sha256
            and found.get("mlops:commit") == self.commit
            for name, sha256 in self.definitions.items()
        )


@dataclass(frozen=True)
class Promotions:
    """The records of one stage.

    Parameters
    ----------
    s3
        A client that may read and write below ``_promotions/``.
    bucket
        The stage's data bucket.
    stage
        Its name.
    """

    s3: Any
    bucket: str
    stage: str

    def all(self) -> list[Promotion]:
        """Return the records, the oldest first.

        Raises
        ------
        CommandError
            Where one can't be read.
        """
        keys = [key for key in keys_below(self.s3, self.bucket, PREFIX) if key.endswith(f"/{RECORD}")]
        return [self._read(key) for key in sorted(keys)]

    def add(
        self, stack: StackAssembly, archive: bytes, *, now: datetime, restores: Promotion | None = None
    ) -> Promotion:
        """Record what is deployed, and return the record.

        Parameters
        ----------
        stack
            What is deployed.
        archive
            The same, packed.
        now
            With a time zone.
        restores
            The promotion that a rollback brought back. Default: it was no rollback.
        """
        moment = now.astimezone(UTC)
        promotion = Promotion(
            id=f"{moment:%Y%m%dT%H%M%SZ}-{stack.commit[:12]}",
            stage=self.stage,
            stack=stack.name,
            commit=stack.commit,
            recorded_at=moment.isoformat(timespec="seconds"),
            assembly_sha256=hashlib.sha256(archive).hexdigest(),
            definitions=stack.definitions,
            rollback=restores is not None,
            restores="" if restores is None else restores.origin,
        )
        # The record comes last: without it the archive counts for nothing.
        self._put(promotion.id, ARCHIVE, archive)
        body = {key: value for key, value in asdict(promotion).items() if key != "id"}
        self._put(promotion.id, RECORD, (json.dumps(body, indent=1, sort_keys=True) + "\n").encode())
        return promotion

    def archive(self, promotion: Promotion) -> bytes:
        """Return a promotion's assembly.

        Raises
        ------
        CommandError
            Where it is missing, or isn't what was recorded.
        """
        uri = f"s3://{self.bucket}/{PREFIX}{promotion.id}/{ARCHIVE}"
        content = read(self.s3, uri)
        if content is None:
            raise CommandError(f"{uri} can't be read; choose another promotion: TO=<id>")
        found = hashlib.sha256(content).hexdigest()
        if found != promotion.assembly_sha256:
            raise CommandError(
                f"{uri} was changed since it was recorded: its sha256 is {found}, not {promotion.assembly_sha256};"
                " nothing was deployed; restore its first version, or choose another promotion: TO=<id>"
            )
        return content

    def _put(self, promotion_id: str, name: str, content: bytes) -> None:
        key = f"{PREFIX}{promotion_id}/{name}"
        try:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, IfNoneMatch="*")
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
                raise
            raise CommandError(
                f"s3://{self.bucket}/{key} exists already; records are never overwritten: try again"
            ) from None

    def _read(self, key: str) -> Promotion:
        uri = f"s3://{self.bucket}/{key}"
        content = read(self.s3, uri)
        if content is None:
            raise CommandError(f"{uri} can't be read")
        try:
            promotion = Promotion(id=key.removeprefix(PREFIX).split("/")[0], **json.loads(content))
            promotion.check()
            return promotion
        except (ValueError, TypeError, RecursionError):
            raise CommandError(
                f"{uri} is no record of a promotion; restore its first version, or remove it"
            ) from None


def path_to_now(records: Sequence[Promotion]) -> list[Promotion]:
    """Return the promotions that a stage has behind it, the present one last.

    A promotion is put on top; one of the very same bytes as the one below takes its place. A rollback takes all off
    that came after what it brought back; where that had been taken off before, it is put on top.
    """
    by_id = {record.id: record for record in records}
    path: list[Promotion] = []
    for record in records:
        origins = [one.id for one in path]
        if record.rollback and record.restores in origins:
            del path[origins.index(record.restores) + 1 :]
        else:
            promoted = by_id.get(record.origin, record)
            if path and path[-1].assembly_sha256 == promoted.assembly_sha256:
                path.pop()
            path.append(promoted)
    return path


def target(
    records: Sequence[Promotion], tags: Mapping[str, Mapping[str, str] | None], to: str | None
) -> Promotion:
    """Return the promotion that a rollback goes to.

    That is the one before what is deployed now; where what is deployed was never recorded, as after a check that
    failed, it is the last one that was.

    Parameters
    ----------
    records
        All of the stage, the oldest first.
    tags
        Of the stage's pipelines now, by name.
    to
        Id of the promotion that a person wants. Default: the one before.

    Raises
    ------
    CommandError
        Where there is none.
    """
    if not records:
        raise CommandError(
            "no promotion has been recorded for this stage; the delivery pipeline does, and make record"
        )
    if to is not None:
        chosen = next((one for one in records if one.id == to), None)
        if chosen is None:
            known = ", ".join(one.id for one in reversed(records))
            raise CommandError(f"there is no promotion '{to}'; there are {known}")
        return chosen
    path = path_to_now(records)
    deployed = [place for place, one in enumerate(path) if one.is_deployed(tags)]
    if not deployed:
        return path[-1]
    if deployed[-1] == 0:
        raise CommandError(
            f"{path[0].id} is the first promotion of this stage: there is no earlier promotion to go back to"
        )
    return path[deployed[-1] - 1]


def unpack(archive: bytes, folder: Path) -> None:
    """Write an archive's files below a folder that is new or empty, and nothing anywhere else.

    Raises
    ------
    CommandError
        Where it holds anything but plain files with relative names, or unpacks to more than a gibibyte.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            entries = packed.infolist()
            if sum(entry.file_size for entry in entries) > _MAX_UNPACKED:
                raise CommandError("the recorded assembly unpacks to more than 1 GiB; nothing was deployed")
            for entry in entries:
                path = folder / _relative(entry)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as out:  # a name that comes twice, or is a folder too, is refused
                    out.write(packed.read(entry))
                path.chmod(stat.S_IMODE(entry.external_attr >> 16) & 0o755 or 0o644)
    except zipfile.BadZipFile:
        raise CommandError("the recorded assembly is no zip archive; nothing was deployed") from None
    except _UNREADABLE as error:
        raise CommandError(
            f"the recorded assembly can't be unpacked ({type(error).__name__}: {' '.join(str(error).split())});"
            " nothing was deployed"
        ) from None


def _relative(entry: zipfile.ZipInfo) -> PurePosixPath:
    written, mode = entry.orig_filename, entry.external_attr >> 16
    name = PurePosixPath(written)
    escapes = name.is_absolute() or ".." in name.parts or "\\" in written or ":" in written
    if escapes or not name.parts or not written.isprintable() or written.endswith("/"):
        plain = False
    else:
        plain = not mode or stat.S_ISREG(mode)
    if not plain:
        raise CommandError(
            f"the recorded assembly holds {written!r}, which is no plain file below its folder; nothing was"
            " deployed"
        )
    return name


def table(records: Sequence[Promotion], tags: Mapping[str, Mapping[str, str] | None]) -> str:
    """Return the records as lines for a person, the newest first."""
    if not records:
        return "no promotion has been recorded yet; the delivery pipeline does, and make record"
    path = path_to_now(records)
    deployed = next((one.id for one in reversed(path) if one.is_deployed(tags)), None)
    lines = [f"{'id':<30}  {'commit':<12}  recorded at"]
    for record in reversed(records):
        notes = [f"rollback to {record.restores}"] if record.rollback else []
        notes += ["deployed now"] if record.id == deployed else []
        line = f"{record.id:<30}  {record.commit[:12]:<12}  {record.recorded_at}  {', '.join(notes)}"
        lines.append(line.rstrip())
    return "\n".join(lines)
