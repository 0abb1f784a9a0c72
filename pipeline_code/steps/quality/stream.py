"""The state of a data set's files in one pass, whatever their size."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .blocks import BLOCK, is_parquet, plain_size
from .csv_stream import CsvStream
from .layout import Layout
from .state import DatasetState

SMALL = 4 << 20  # bytes of a data set that the row reader reads: nothing has to be loaded for that
THREADS = 2
SILENT = 5.0  # seconds between lines of progress


class Progress:
    """Tells on stderr how far reading has come, now and then.

    Parameters
    ----------
    total
        Bytes of all files.
    """

    def __init__(self, total: int) -> None:
        self.total, self.bytes, self.rows = total, 0, 0
        self.told = time.monotonic()

    def __call__(self, more_bytes: int, more_rows: int) -> None:
        """Note what was read."""
        self.bytes += more_bytes
        self.rows += more_rows
        if time.monotonic() - self.told >= SILENT:
            self.told = time.monotonic()
            # what a compressed file holds is a guess
            share = min(self.bytes / self.total, 1.0) if self.total else 1.0
            print(f"read {self.rows:,} rows, about {share:.0%} of the data", file=sys.stderr, flush=True)


def read_state(
    layout: Layout,
    files: Iterable[tuple[Path, str]],
    *,
    small: int = SMALL,
    block_size: int = BLOCK,
) -> DatasetState:
    """Return the state of files: CSV, plain or compressed, or Parquet.

    Parameters
    ----------
    files
        Each one's path, and its name in problems; in the order in which problems are told.
    small
        Bytes of all files up to which CSV files are read row by row.
    block_size
        Bytes of a CSV file that are read at a time.
    """
    listed = list(files)
    size = sum(plain_size(path) for path, _ in listed)
    progress = Progress(size)
    total = DatasetState.of(layout.columns)
    with ThreadPoolExecutor(THREADS) as pool:
        for path, name in listed:
            if is_parquet(path):
                from .parquet_stream import (
                    ParquetStream,
                )  # only where it is needed: Arrow takes a while to load

                state = ParquetStream(layout, name, pool=pool, progress=progress).read(path)
            else:
                state = CsvStream(
                    layout,
                    name,
                    total,
                    pool=pool if size > small else None,
                    progress=progress,
                    block_size=block_size,
                ).read(path)
            if len(listed) == 1:
                return state
            total.absorb(state)
    return total
