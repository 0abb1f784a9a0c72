"""A CSV file, plain or compressed, as blocks of whole rows, in bounded memory."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..rows import UnreadableError
from .unpacked import Unpacked

BLOCK = 4 << 20  # bytes that are read at a time: larger ones are memory that is new to the process each time
LONGEST_LINE = 8 << 20  # bytes of a line that is still read
LONGEST_CELL = 131_072  # letters of a cell: the limit of Python's csv module

PARQUET = b"PAR1"
_GZIP, _ZSTD, _XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00"
BROKEN_STREAM = (OSError, EOFError, zlib.error, lzma.LZMAError)


class Source(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most so many; none at the end."""


@dataclass(frozen=True)
class Block:
    """Whole rows of a file.

    Attributes
    ----------
    offset
        Bytes of the file before it, once decompressed.
    simple
        Whether a fast reader sees the same rows in it as Python's csv module: quotes stand where they should, lines
        end with a line feed, no cell is too long.
    last
        Whether the file ends with it.
    """

    content: bytes
    offset: int
    simple: bool
    last: bool


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a file; one that is compressed (gzip, zstd, xz; bzip2 by its name) is read as what it holds.

    Raises
    ------
    UnreadableError
        It can't be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UnreadableError(f"can't be opened: {error.strerror}") from None
    with file as raw:
        start = raw.read(6)
        raw.seek(0)
        if start.startswith(_GZIP):
            with gzip.open(raw) as unpacked:
                yield unpacked
        elif start.startswith(_XZ):
            yield Unpacked.xz(raw)
        elif path.suffix == ".bz2":
            yield Unpacked.bzip2(raw)
        elif start.startswith(_ZSTD):
            import pyarrow  # only where it is needed: it takes a while to load

            with pyarrow.CompressedInputStream(raw, "zstd") as unpacked:
                yield unpacked
        else:
            yield raw


def plain_size(path: Path) -> int:
    """Return how many bytes a file holds; of a compressed one, how many it may well hold.

    Of one that can't be opened it is none: who reads the file tells why.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(6)
    except OSError:
        return 0
    return size * 16 if start.startswith((_GZIP, _ZSTD, _XZ)) or path.suffix == ".bz2" else size


def is_parquet(path: Path) -> bool:
    """Return whether a file is a Parquet file: by its ending, or as it begins and ends."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return True
    with suppress(OSError), path.open("rb") as file:
        if file.read(4) != PARQUET or path.stat().st_size < 12:
            return False
        file.seek(-4, 2)
        return file.read(4) == PARQUET
    return False


class Blocks:
    """The blocks of an open file.

    Parameters
    ----------
    size
        Bytes that are read at a time.
    """

    def __init__(self, file: Source, size: int = BLOCK) -> None:
        self.file, self.size = file, size
        self.rest, self.offset = b"", 0

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks.

        Raises
        ------
        UnreadableError
            The compressed stream is broken, or a line endless.
        """
        ended = False
        while not ended:
            read = self._read()
            ended = not read
            held = self.rest + read if self.rest else read
            if ended:
                content, self.rest = held, b""
            else:
                end = _end_of_rows(held)
                if end == 0:
                    self._keep(held)
                    continue
                content, self.rest = held[:end], held[end:]
            if content or ended:
                yield self._block(content, ended)

    def give_back(self, content: bytes) -> None:
        """Take back the end of the last block: a row that isn't complete.

        Raises
        ------
        UnreadableError
            The row is endless.
        """
        self.offset -= len(content)
        self._keep(content + self.rest)

    def _keep(self, content: bytes) -> None:
        if len(content) > LONGEST_LINE:
            raise UnreadableError(
                f"a row is longer than {LONGEST_LINE:,} bytes: it is not a CSV file of rows"
            )
        self.rest = content

    def _block(self, content: bytes, last: bool) -> Block:
        block = Block(content, self.offset, _is_simple(content), last)
        self.offset += len(content)
        return block

    def _read(self) -> bytes:
        try:
            return self.file.read(self.size)
        except BROKEN_STREAM as error:
            raise UnreadableError(f"the compressed file is broken or cut off: {error}") from None


def _end_of_rows(held: bytes) -> int:
    """Return how many bytes are whole rows: up to a line's end that isn't within quotes."""
    end = held.rfind(b"\n") + 1
    if not end:
        return held.rfind(b"\r", 0, len(held) - 1) + 1  # not the last byte: a line feed may follow it
    if b'"' not in held:
        return end
    letters = np.frombuffer(held, np.uint8)
    quotes = np.flatnonzero(letters == ord('"'))
    if len(np.flatnonzero(quotes < end)) % 2 == 0 or not _quotes_are_regular(held, quotes):
        return end  # where the quotes can't be trusted, the row reader finds out, and gives the rest back
    ends = np.flatnonzero(letters == ord("\n"))
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _is_simple(content: bytes) -> bool:
    if b"\r" in content and content.count(b"\r") != content.count(b"\r\n"):
        return False
    if b'"' in content:
        quotes = np.flatnonzero(np.frombuffer(content, np.uint8) == ord('"'))
        if len(quotes) % 2 or not _quotes_are_regular(content, quotes):
            return False
    start = 0
    while len(content) - start > LONGEST_CELL:
        start = content.rfind(b"\n", start, start + LONGEST_CELL) + 1
        if not start:
            return False
    return True


def _quotes_are_regular(content: bytes, quotes: Any) -> bool:
    """Return whether each quote opens a cell, closes one, or is one of two within a cell."""
    opening, closing = quotes[::2], quotes[1::2]
    doubled = closing[: len(opening) - 1] + 1 == opening[1:]
    letters = np.frombuffer(
        b"\n" + content + b"\n", np.uint8
    )  # before place p, and after it, are p and p + 2
    before, after = letters[opening], letters[closing + 2]
    starts = (before == ord(",")) | (before == ord("\n"))
    starts[1:] |= doubled
    ends = (after == ord(",")) | (after == ord("\n")) | (after == ord("\r"))
    ends[: len(doubled)] |= doubled
    return bool(starts.all() and ends.all())
