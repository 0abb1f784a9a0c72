"""The model archive of a job: plain files in it, and nothing that leads out of the model's folder."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from local_cloud.runner.jobs import JobError

MOST_BYTES = 1 << 30
MOST_MEMBERS = 1000
_AROUND = 1 << 20  # bytes that headers and padding may have
_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError, RecursionError)


class _Bounded:
    """Unpacked bytes, up to a number: an archive, or a header in it, may expand a thousandfold."""

    def __init__(self, packed: gzip.GzipFile) -> None:
        self.packed, self.left = packed, MOST_BYTES + _AROUND

    def read(self, size: int) -> bytes:
        content = self.packed.read(min(size, self.left + 1))
        self.left -= len(content)
        if self.left < 0:
            raise ValueError(f"it unpacks to more than {MOST_BYTES >> 20} MiB")
        return content


def unpack_model(archive: Path, folder: Path, uri: str) -> None:
    """Write the files of a ``model.tar.gz`` below a folder, and nothing anywhere else.

    Parameters
    ----------
    uri
        Where the archive came from, for the message.

    Raises
    ------
    JobError
        It can't be read, holds anything but plain files and folders, or is too large.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with gzip.open(archive) as packed:
            _unpack(_Bounded(packed), folder)
    except _DAMAGED as error:
        reason = " ".join(str(error).split()) if not isinstance(error, RecursionError) else "too deep"
        raise JobError(f"ClientError: {uri} isn't a model archive: {reason}") from error


def _unpack(source: _Bounded, folder: Path) -> None:
    with tarfile.open(fileobj=source, mode="r|") as packed:  # type: ignore[call-overload]  # all it needs is read()
        for number, member in enumerate(packed):
            name = PurePosixPath(member.name)
            plain = member.isdir() or (member.isreg() and not member.issparse())
            if not plain or name.is_absolute() or ".." in name.parts or not member.name.isprintable():
                raise ValueError(f"it holds {member.name!r}, which is no plain file below the model's folder")
            if not 0 <= member.size <= MOST_BYTES or number >= MOST_MEMBERS:
                raise ValueError("it holds too much")
            held = packed.extractfile(member)
            if held is None:  # a folder: those of its files are made
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:  # a name that comes twice is refused
                while chunk := held.read(1 << 20):
                    out.write(chunk)
