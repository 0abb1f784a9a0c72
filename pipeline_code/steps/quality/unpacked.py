"""What a bzip2 or xz file holds, its streams one after another, in bounded memory.

``bz2.open`` and ``lzma.open`` take whatever follows the first stream and isn't one for the end of the file: a damaged
file would be read as a shorter one. Here it is an error, as it is with gzip and zstd.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from typing import Protocol

CHUNK = 1 << 16  # packed bytes that are read at a time


class _Packed(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Stream(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Unpacked:
    """Reads streams of one kind.

    Parameters
    ----------
    begin
        Returns the decompressor of a stream.
    padded
        Whether zeros, four at a time, may follow a stream.
    """

    def __init__(self, raw: _Packed, begin: Callable[[], _Stream], *, padded: bool) -> None:
        self.raw, self.begin, self.padded = raw, begin, padded
        self.stream: _Stream | None = begin()
        self.packed = b""  # bytes of the stream that its decompressor wasn't given yet

    @classmethod
    def bzip2(cls, raw: _Packed) -> Unpacked:
        """Return what a bzip2 file holds."""
        return cls(raw, bz2.BZ2Decompressor, padded=False)

    @classmethod
    def xz(cls, raw: _Packed) -> Unpacked:
        """Return what an xz file holds.

        See https://tukaani.org/xz/xz-file-format.txt for the padding of its streams.
        """
        return cls(raw, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), padded=True)

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, as many as asked for; fewer at the end.

        Raises
        ------
        OSError, EOFError, lzma.LZMAError
            The file is broken or cut off, or something else follows its streams.
        """
        parts, left = [], size
        while left and self.stream is not None:
            if self.stream.eof:
                self._go_on(self.stream.unused_data)
                continue
            if self.stream.needs_input and not self.packed:
                self.packed = self.raw.read(CHUNK)
                if not self.packed:
                    raise EOFError("it ends within a stream")
            parts.append(self.stream.decompress(self.packed, left))
            self.packed = b""
            left -= len(parts[-1])
        return b"".join(parts)

    def _go_on(self, packed: bytes) -> None:
        """Begin the stream that follows, where one does."""
        zeros = 0
        while True:
            packed = packed or self.raw.read(CHUNK)
            self.packed = packed.lstrip(b"\0") if self.padded else packed
            zeros += len(packed) - len(self.packed)
            if self.packed or not packed:
                break
            packed = b""
        if zeros % 4:
            raise OSError(f"{zeros} zeros follow a stream, which isn't a multiple of four")
        self.stream = self.begin() if self.packed else None
